# Numbers from dumps. Short jobs: run where Snakemake runs.


rule measure_dense:
    input:
        dumps=inputs.corpus_dumps("{model}/dense"),
    output:
        perplexity="results/{model}/dense/perplexity.parquet",
    log:
        "logs/{model}/dense/measure_dense.log",
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    params:
        spec=specs.measure_drift,
    shell:
        "python -m polyprune measure_drift --settings {params.spec:q} --dumps {input.dumps} --perplexity "
        "{output.perplexity} --drift --log {log} --threads {threads}"


rule measure_drift:
    input:
        dumps=inputs.corpus_dumps("{model}/{method}/{scheme}/{calibration}/seed{seed}"),
    output:
        perplexity="results/{model}/{method}/{scheme}/{calibration}/seed{seed}/perplexity.parquet",
        drift="results/{model}/{method}/{scheme}/{calibration}/seed{seed}/drift.parquet",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/measure_drift.log",
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    params:
        spec=specs.measure_drift,
    shell:
        "python -m polyprune measure_drift --settings {params.spec:q} --dumps {input.dumps} --perplexity "
        "{output.perplexity} --drift {output.drift} --log {log} --threads {threads}"
