# What variants score on benchmarks. One job a variant and benchmark, with all languages in it.


rule evaluate_dense:
    input:
        outside.questions,
        lacking.languages,
        model="results/{model}/model.json",
        prompting="results/{model}/prompting.json",
        data=inputs.benchmark,
    output:
        scores="results/{model}/dense/evaluation/{benchmark}.parquet",
        answers="results/{model}/dense/evaluation/items/{benchmark}.parquet",
    log:
        "logs/{model}/dense/evaluation/{benchmark}.log",
    benchmark:
        "logs/{model}/dense/evaluation/{benchmark}.benchmark.jsonl"
    conda:
        "../envs/polyprune.yaml"
    threads: needs.threads
    resources:
        **needs.evaluation(),
    params:
        spec=specs.evaluate_model,
    shell:
        "python -m polyprune evaluate_model --settings {params.spec:q} --model {input.model} --prompting "
        "{input.prompting} --cell --data {input.data} --scores {output.scores} --items {output.answers} --log {log} "
        "--threads {threads} --gpus {resources.gpu}"


rule evaluate_model:
    input:
        outside.questions,
        lacking.languages,
        model="results/{model}/model.json",
        prompting="results/{model}/prompting.json",
        cell=inputs.cell,
        data=inputs.benchmark,
    output:
        scores="results/{model}/{method}/{scheme}/{calibration}/seed{seed}/evaluation/{benchmark}.parquet",
        answers="results/{model}/{method}/{scheme}/{calibration}/seed{seed}/evaluation/items/{benchmark}.parquet",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/evaluation/{benchmark}.log",
    benchmark:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/evaluation/{benchmark}.benchmark.jsonl"
    conda:
        "../envs/polyprune.yaml"
    threads: needs.threads
    resources:
        **needs.evaluation(),
    params:
        spec=specs.evaluate_model,
    shell:
        "python -m polyprune evaluate_model --settings {params.spec:q} --model {input.model} --prompting "
        "{input.prompting} --cell {input.cell} --data {input.data} --scores {output.scores} --items {output.answers} "
        "--log {log} --threads {threads} --gpus {resources.gpu}"
