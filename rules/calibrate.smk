# Text in a model's tokens: calibration shards by calibration and seed, evaluation sets by language. Seconds each: run
# where Snakemake runs. And text that a dense model writes itself to be calibrated on.


rule write_text:
    input:
        model="results/{model}/model.json",
        corpus=inputs.terms,
    output:
        WRITTEN,
    log:
        "logs/{model}/self_written/{calibration}/seed{seed}/write_text.log",
    benchmark:
        "logs/{model}/self_written/{calibration}/seed{seed}/write_text.benchmark.jsonl"
    wildcard_constraints:
        calibration=only.self_written(),
    conda:
        "../envs/polyprune.yaml"
    threads: needs.threads
    resources:
        **needs.writing(),
    params:
        spec=specs.write_text,
    shell:
        "python -m polyprune write_text --settings {params.spec:q} --model {input.model} --corpus {input.corpus} "
        "--output {output} --log {log} --threads {threads} --gpus {resources.gpu}"


rule build_calibration_set:
    input:
        model="results/{model}/model.json",
        prompting=inputs.template,
        corpus=inputs.calibration_text,
    output:
        "results/{model}/calibration/{calibration}/seed{seed}/tokens.safetensors",
    log:
        "logs/{model}/calibration/{calibration}/seed{seed}/build_calibration_set.log",
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=specs.build_calibration_set,
    shell:
        "python -m polyprune build_calibration_set --settings {params.spec:q} --model {input.model} --prompting "
        "{input.prompting} --corpus {input.corpus} --output {output} --log {log} --threads {threads}"


for corpus in settings.corpora:

    rule:
        name:
            f"build_evaluation_set_{corpus}"
        input:
            model="results/{model}/model.json",
            corpus=inputs.corpus(corpus),
        output:
            inputs.evaluation_text(corpus),
        log:
            f"logs/{{model}}/evaluation_text/{corpus}.log",
        wildcard_constraints:
            model=only.models_on(corpus),
        localrule: True
        conda:
            "../envs/polyprune.yaml"
        resources:
            login_node=1,
        params:
            spec=specs.build_evaluation_set,
        shell:
            "python -m polyprune build_evaluation_set --settings {params.spec:q} --model {input.model} --corpus "
            "{input.corpus} --output {output} --log {log} --threads {threads}"
