# Data of benchmarks: from the hub, from the user's folder, or generated.


rule register_benchmark:
    input:
        outside.benchmark,
    output:
        "results/benchmarks/hub/{benchmark}.json",
    log:
        "logs/benchmarks/hub/{benchmark}.log",
    wildcard_constraints:
        benchmark=only.benchmarks(fetched=False),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    params:
        spec=specs.register_benchmark,
    shell:
        "python -m polyprune register_benchmark --settings {params.spec:q} --output {output} --log {log} "
        "--threads {threads}"


rule fetch_benchmark:
    input:
        outside.benchmark,
    output:
        "results/benchmarks/hub/{benchmark}.json",
    log:
        "logs/benchmarks/hub/{benchmark}.log",
    wildcard_constraints:
        benchmark=only.benchmarks(fetched=True),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=specs.fetch_benchmark,
    shell:
        "python -m polyprune fetch_benchmark --settings {params.spec:q} --output {output} --log {log} --threads "
        "{threads}"


rule generate_benchmark:
    output:
        "results/benchmarks/demo/{benchmark}.json",
    log:
        "logs/benchmarks/demo/{benchmark}.log",
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    params:
        spec=specs.generate_benchmark,
    shell:
        "python -m polyprune generate_benchmark --settings {params.spec:q} --output {output} --log {log} "
        "--threads {threads}"
