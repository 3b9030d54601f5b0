# Language subspaces (LSAR), from dumps of parallel prompts.


rule measure_lsar:
    input:
        dense=inputs.prompt_dumps("{model}/dense"),
        cell=inputs.prompt_dumps("{model}/{method}/{scheme}/{calibration}/seed{seed}"),
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/lsar.parquet",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/measure_lsar.log",
    conda:
        "../envs/polyprune.yaml"
    resources:
        **needs.small(8000, 60),
    params:
        spec=specs.measure_lsar,
    shell:
        "python -m polyprune measure_lsar --settings {params.spec:q} --dense {input.dense} --cell {input.cell} "
        "--output {output} --log {log} --threads {threads}"
