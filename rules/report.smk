# Tables of studies.


for study, table in tables_that_report("drift"):

    rule:
        name:
            f"tabulate_{study}_{table}"
        input:
            scores=table_scores(study, table),
            paper=printed_numbers(study, table),
        output:
            parquet=study_path(study, f"{table}.parquet"),
            markdown=study_path(study, f"{table}.md"),
            picture=study_path(study, f"{table}.png"),
        log:
            f"logs/{study}/{table}.log",
        localrule: True
        conda:
            "../envs/polyprune.yaml"
        params:
            spec=table_spec("tabulate_drift", study, table),
        shell:
            "python -m polyprune tabulate_drift --settings {params.spec:q} --scores {input.scores} --paper {input.paper} "
            "--output {output.parquet} --markdown {output.markdown} --picture {output.picture} --log {log} --threads {threads}"


for study, table in tables_that_report("benchmarks"):

    rule:
        name:
            f"tabulate_{study}_{table}"
        input:
            scores=benchmark_scores(study, table),
            paper=printed_numbers(study, table),
        output:
            parquet=study_path(study, f"{table}.parquet"),
            markdown=study_path(study, f"{table}.md"),
            picture=study_path(study, f"{table}.png"),
        log:
            f"logs/{study}/{table}.log",
        localrule: True
        conda:
            "../envs/polyprune.yaml"
        params:
            spec=table_spec("tabulate_benchmarks", study, table),
        shell:
            "python -m polyprune tabulate_benchmarks --settings {params.spec:q} --scores {input.scores} --paper {input.paper} "
            "--output {output.parquet} --markdown {output.markdown} --picture {output.picture} --log {log} --threads {threads}"
