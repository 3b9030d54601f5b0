# A model's manifest says where it lies and identifies it; everything that uses the model depends on the manifest.


rule train_model:
    input:
        corpus=corpus_files,
    output:
        "results/{model}/model.json",
    log:
        "logs/{model}/train_model.log",
    benchmark:
        "logs/{model}/train_model.benchmark.jsonl"
    wildcard_constraints:
        model=models_with("train"),
    conda:
        "../envs/polyprune.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        spec=lambda w: spec(
            "train_model",
            w,
            source=settings.models[w.model].source.model_dump(mode="json"),
            shape=settings.models[w.model].shape.model_dump(mode="json"),
            languages=settings.languages_of(w.model),
        ),
    shell:
        "python -m polyprune train_model --settings {params.spec:q} --corpus {input.corpus} --output {output} "
        "--log {log} --threads {threads}"


rule fetch_model:
    output:
        "results/{model}/model.json",
    log:
        "logs/{model}/fetch_model.log",
    wildcard_constraints:
        model=models_with("hub"),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=lambda w: spec(
            "fetch_model",
            w,
            source=settings.models[w.model].source.model_dump(mode="json"),
            shape=settings.models[w.model].shape.model_dump(mode="json"),
            name=w.model,
        ),
    shell:
        "python -m polyprune fetch_model --settings {params.spec:q} --output {output} --log {log} --threads {threads}"


rule register_model:
    output:
        "results/{model}/model.json",
    log:
        "logs/{model}/register_model.log",
    wildcard_constraints:
        model=models_with("folder"),
    conda:
        "../envs/polyprune.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        spec=lambda w: spec(
            "register_model",
            w,
            source=settings.models[w.model].source.model_dump(mode="json"),
            shape=settings.models[w.model].shape.model_dump(mode="json"),
            name=w.model,
        ),
    shell:
        "python -m polyprune register_model --settings {params.spec:q} --output {output} --log {log} --threads {threads}"
