# Text, one file a corpus and language: generated, from the hub, or the user's own.


rule collect_documents:
    output:
        "results/corpora/{corpus}/{language}.parquet",
    log:
        "logs/corpora/{corpus}/{language}.log",
    conda:
        "../envs/polyprune.yaml"
    resources:
        mem_mb=4000,
        runtime=240,
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
