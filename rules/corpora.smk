# Text, one file a corpus and language: generated, the user's own, from the hub or from the web. Rules that fetch run
# where Snakemake runs: compute nodes often have no network.


rule collect_documents:
    input:
        outside.documents,
    output:
        "results/corpora/{corpus}/{language}.parquet",
    log:
        "logs/corpora/{corpus}/{language}.log",
    wildcard_constraints:
        corpus=only.corpora(of_kind=None),
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


# Prompts as documents: passages and questions with the same content in every language.
rule collect_passages:
    input:
        prompts=inputs.passages,
    output:
        "results/corpora/{corpus}/{language}.parquet",
    log:
        "logs/corpora/{corpus}/{language}.log",
    wildcard_constraints:
        corpus=only.corpora(of_kind="prompts"),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=specs.collect_passages,
    shell:
        "python -m polyprune collect_passages --settings {params.spec:q} --prompts {input.prompts} --output {output} "
        "--log {log} --threads {threads}"


rule fetch_documents:
    input:
        outside.documents,
    output:
        "results/corpora/{corpus}/{language}.parquet",
    log:
        "logs/corpora/{corpus}/{language}.log",
    wildcard_constraints:
        corpus=only.corpora(of_kind="hub"),
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


rule fetch_translations:
    output:
        "results/corpora/{corpus}/{language}.parquet",
    log:
        "logs/corpora/{corpus}/{language}.log",
    wildcard_constraints:
        corpus=only.corpora(of_kind="tmx"),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=specs.fetch_translations,
    shell:
        "python -m polyprune fetch_translations --settings {params.spec:q} --output {output} --log {log} --threads "
        "{threads}"
