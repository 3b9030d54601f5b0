# Text, one file a corpus and language: generated, the user's own, or from the hub. Rules that fetch run where Snakemake
# runs: compute nodes often have no network.


rule collect_documents:
    input:
        outside.documents,
    output:
        "results/corpora/{corpus}/{language}.parquet",
    log:
        "logs/corpora/{corpus}/{language}.log",
    wildcard_constraints:
        corpus=only.corpora(fetched=False),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=specs.collect_documents,
    shell:
        "python -m polyprune collect_documents --settings {params.spec:q} --output {output} --log {log} --threads "
        "{threads}"


rule fetch_documents:
    output:
        "results/corpora/{corpus}/{language}.parquet",
    log:
        "logs/corpora/{corpus}/{language}.log",
    wildcard_constraints:
        corpus=only.corpora(fetched=True),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=specs.fetch_documents,
    shell:
        "python -m polyprune fetch_documents --settings {params.spec:q} --output {output} --log {log} --threads "
        "{threads}"
