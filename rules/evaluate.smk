# Benchmarks: their data, from the hub or generated, and what variants score on them. One job a variant and benchmark,
# with all languages in it.


rule register_benchmark:
    output:
        "results/benchmarks/hub/{benchmark}.json",
    log:
        "logs/benchmarks/hub/{benchmark}.log",
    wildcard_constraints:
        benchmark=any_of(BENCHMARKS if settings.evaluation.data_root else []),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    params:
        spec=lambda w: spec(
            "register_benchmark",
            w,
            benchmark=w.benchmark,
            data_root=settings.evaluation.data_root,
        ),
    shell:
        "python -m polyprune register_benchmark --settings {params.spec:q} --output {output} "
        "--log {log} --threads {threads}"


rule fetch_benchmark:
    output:
        "results/benchmarks/hub/{benchmark}.json",
    log:
        "logs/benchmarks/hub/{benchmark}.log",
    wildcard_constraints:
        benchmark=any_of([] if settings.evaluation.data_root else BENCHMARKS),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=lambda w: spec(
            "fetch_benchmark",
            w,
            benchmark=w.benchmark,
            mkqa_commit=settings.evaluation.mkqa.commit,
        ),
    shell:
        "python -m polyprune fetch_benchmark --settings {params.spec:q} --output {output} "
        "--log {log} --threads {threads}"


rule generate_benchmark:
    output:
        "results/benchmarks/demo/{benchmark}.json",
    log:
        "logs/benchmarks/demo/{benchmark}.log",
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    params:
        spec=lambda w: spec(
            "generate_benchmark",
            w,
            benchmark=w.benchmark,
            questions=settings.evaluation.demo_questions,
        ),
    shell:
        "python -m polyprune generate_benchmark --settings {params.spec:q} --output {output} "
        "--log {log} --threads {threads}"


rule evaluate_dense:
    input:
        model="results/{model}/model.json",
        data=benchmark_data,
    output:
        scores="results/{model}/dense/evaluation/{benchmark}.parquet",
        answers="results/{model}/dense/evaluation/items/{benchmark}.parquet",
    log:
        "logs/{model}/dense/evaluation/{benchmark}.log",
    benchmark:
        "logs/{model}/dense/evaluation/{benchmark}.benchmark.jsonl"
    conda:
        "../envs/polyprune.yaml"
    threads: cpus
    resources:
        gpu=gpus,
        gpu_model=gpu_model,
        constraint=constraint,
        mem_mb=evaluation_memory,
        runtime=evaluation_minutes,
    params:
        spec=evaluation_spec,
    shell:
        "python -m polyprune evaluate_model --settings {params.spec:q} --model {input.model} --cell --data {input.data} "
        "--scores {output.scores} --items {output.answers} --log {log} --threads {threads} --gpus {resources.gpu}"


rule evaluate_model:
    input:
        model="results/{model}/model.json",
        cell=cell_artifact,
        data=benchmark_data,
    output:
        scores="results/{model}/{method}/{scheme}/{calibration}/seed{seed}/evaluation/{benchmark}.parquet",
        answers="results/{model}/{method}/{scheme}/{calibration}/seed{seed}/evaluation/items/{benchmark}.parquet",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/evaluation/{benchmark}.log",
    benchmark:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/evaluation/{benchmark}.benchmark.jsonl"
    conda:
        "../envs/polyprune.yaml"
    threads: cpus
    resources:
        gpu=gpus,
        gpu_model=gpu_model,
        constraint=constraint,
        mem_mb=evaluation_memory,
        runtime=evaluation_minutes,
    params:
        spec=evaluation_spec,
    shell:
        "python -m polyprune evaluate_model --settings {params.spec:q} --model {input.model} --cell {input.cell} "
        "--data {input.data} --scores {output.scores} --items {output.answers} --log {log} --threads {threads} --gpus {resources.gpu}"
