# Text, one file a corpus and language: generated, the user's own, or from the hub. Rules that fetch run where Snakemake
# runs: compute nodes often have no network.


rule collect_documents:
    output:
        "results/corpora/{corpus}/{language}.parquet",
    log:
        "logs/corpora/{corpus}/{language}.log",
    wildcard_constraints:
        corpus=at_hand(settings.corpora),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=lambda w: spec(
            "collect_documents",
            w,
            f"corpora/from_{settings.corpora[w.corpus].kind}.py",
            corpus=corpus_settings(w.corpus, w.language),
            language=w.language,
        ),
    shell:
        "python -m polyprune collect_documents --settings {params.spec:q} --output {output} "
        "--log {log} --threads {threads}"


rule fetch_documents:
    output:
        "results/corpora/{corpus}/{language}.parquet",
    log:
        "logs/corpora/{corpus}/{language}.log",
    wildcard_constraints:
        corpus=from_hub(settings.corpora),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=lambda w: spec(
            "fetch_documents",
            w,
            corpus=corpus_settings(w.corpus, w.language),
            language=w.language,
        ),
    shell:
        "python -m polyprune fetch_documents --settings {params.spec:q} --output {output} "
        "--log {log} --threads {threads}"
