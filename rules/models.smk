# A model's manifest says where it lies and identifies it; everything that uses the model depends on the manifest. What
# only prompts and answers read of it has another.


rule train_model:
    input:
        corpus=inputs.training_text,
        outside=outside.model,
    output:
        "results/{model}/model.json",
    log:
        "logs/{model}/train_model.log",
    benchmark:
        "logs/{model}/train_model.benchmark.jsonl"
    wildcard_constraints:
        model=only.models_from("train"),
    conda:
        "../envs/polyprune.yaml"
    resources:
        **needs.small(2000, 60),
    params:
        spec=specs.train_model,
    shell:
        "python -m polyprune train_model --settings {params.spec:q} --corpus {input.corpus} --output {output} "
        "--log {log} --threads {threads}"


rule fetch_model:
    input:
        outside.model,
    output:
        "results/{model}/model.json",
    log:
        "logs/{model}/fetch_model.log",
    wildcard_constraints:
        model=only.models_from("hub"),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=specs.fetch_model,
    shell:
        "python -m polyprune fetch_model --settings {params.spec:q} --output {output} --log {log} --threads "
        "{threads}"


rule convert_model:
    input:
        outside.model,
    output:
        "results/{model}/model.json",
    log:
        "logs/{model}/convert_model.log",
    wildcard_constraints:
        model=only.models_from("gguf", "pickles"),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=specs.convert_model,
    shell:
        "python -m polyprune convert_model --settings {params.spec:q} --output {output} --log {log} --threads "
        "{threads}"


rule register_model:
    input:
        outside.model,
    output:
        "results/{model}/model.json",
    log:
        "logs/{model}/register_model.log",
    wildcard_constraints:
        model=only.models_from("folder"),
    conda:
        "../envs/polyprune.yaml"
    resources:
        **needs.small(4000, 60),
    params:
        spec=specs.register_model,
    shell:
        "python -m polyprune register_model --settings {params.spec:q} --output {output} --log {log} --threads "
        "{threads}"


rule register_prompting:
    input:
        outside.prompting,
        model="results/{model}/model.json",
    output:
        "results/{model}/prompting.json",
    log:
        "logs/{model}/register_prompting.log",
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=specs.register_prompting,
    shell:
        "python -m polyprune register_prompting --settings {params.spec:q} --model {input.model} --output {output} "
        "--log {log} --threads {threads}"
