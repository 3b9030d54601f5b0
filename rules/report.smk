# Tables and figures of studies. What is drawn, and by which module, is the study's to say (grammar/reports.py).


for study, table in inputs.tables():

    rule:
        name:
            f"tabulate_{study}_{table}"
        input:
            measurements=inputs.measurements(study, table),
            paper=inputs.printed(study, table),
            evidence=inputs.evidence(study, table),
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
            spec=specs.tabulate(study, table),
            evidence=words(inputs.evidence(study, table)),
        shell:
            "python -m polyprune tabulate --settings {params.spec:q} --measurements {input.measurements} --paper "
            "{input.paper} --evidence {params.evidence} --output {output.parquet} --markdown {output.markdown} "
            "--picture {output.picture} --log {log} --threads {threads}"


for study, figure in inputs.figures():

    rule:
        name:
            f"plot_{study}_{figure}"
        input:
            measurements=inputs.measurements(study, figure),
        output:
            parquet=study_path(study, f"{figure}.parquet"),
            pdf=study_path(study, f"{figure}.pdf"),
            png=study_path(study, f"{figure}.png"),
        log:
            f"logs/{study}/{figure}.log",
        localrule: True
        conda:
            "../envs/polyprune.yaml"
        params:
            spec=specs.plot_figure(study, figure),
        shell:
            "python -m polyprune plot_figure --settings {params.spec:q} --measurements {input.measurements} --output "
            "{output.parquet} --pdf {output.pdf} --png {output.png} --log {log} --threads {threads}"
