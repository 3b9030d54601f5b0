# Text in a model's tokens: calibration shards by mix and seed, evaluation sets by language. Seconds each: run where
# Snakemake runs.


rule build_calibration_set:
    input:
        model="results/{model}/model.json",
        corpus=calibration_corpus_files,
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
        spec=lambda w: spec(
            "build_calibration_set",
            w,
            text=settings.models[w.model].text.model_dump(mode="json"),
            languages=w.calibration.split("-"),
            seed=int(w.seed),
        ),
    shell:
        "python -m polyprune build_calibration_set --settings {params.spec:q} --model {input.model} "
        "--corpus {input.corpus} --output {output} --log {log} --threads {threads}"


for corpus in settings.corpora:

    rule:
        name:
            f"build_evaluation_set_{corpus}"
        input:
            model="results/{model}/model.json",
            corpus=corpus_paths(corpus),
        output:
            evaluation_paths(corpus),
        log:
            f"logs/{{model}}/evaluation_text/{corpus}.log",
        wildcard_constraints:
            model=models_of(corpus),
        localrule: True
        conda:
            "../envs/polyprune.yaml"
        resources:
            login_node=1,
        params:
            spec=lambda w: spec(
                "build_evaluation_set",
                w,
                text=settings.models[w.model].text.model_dump(mode="json"),
            ),
        shell:
            "python -m polyprune build_evaluation_set --settings {params.spec:q} --model {input.model} "
            "--corpus {input.corpus} --output {output} --log {log} --threads {threads}"
