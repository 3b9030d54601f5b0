# Tables and figures of studies. What is drawn, and by which module, is the study's to say (grammar/reports.py).


for study, table in inputs.tables():

    rule:
        name:
            f"tabulate_{study}_{table}"
        input:
            measurements=later(inputs.measurements, study, table),
            paper=later(inputs.printed, study, table),
            evidence=later(inputs.evidence, study, table),
        output:
            parquet=study_path(study, f"{table}.parquet"),
            markdown=study_path(study, f"{table}.md"),
            picture=report(
                study_path(study, f"{table}.png"),
                caption="captions/table.rst",
                category=f"Study {study}",
                subcategory="Tables",
                labels=inputs.labels(study, table),
            ),
            sheet=study_path(study, f"{table}.json"),
        log:
            f"logs/{study}/{table}.log",
        localrule: True
        conda:
            "../envs/polyprune.yaml"
        params:
            spec=later(specs.tabulate, study, table),
            measurements=words(inputs.measurements, study, table),
            evidence=words(inputs.evidence, study, table),
        shell:
            "python -m polyprune tabulate --settings {params.spec:q} --measurements {params.measurements} --paper "
            "{input.paper} --evidence {params.evidence} --output {output.parquet} --markdown {output.markdown} "
            "--picture {output.picture} --sheet {output.sheet} --log {log} --threads {threads}"


for study, figure in inputs.figures():

    rule:
        name:
            f"plot_{study}_{figure}"
        input:
            measurements=later(inputs.measurements, study, figure),
        output:
            parquet=study_path(study, f"{figure}.parquet"),
            pdf=study_path(study, f"{figure}.pdf"),
            png=report(
                study_path(study, f"{figure}.png"),
                caption="captions/figure.rst",
                category=f"Study {study}",
                subcategory="Figures",
                labels=inputs.labels(study, figure),
            ),
        log:
            f"logs/{study}/{figure}.log",
        localrule: True
        conda:
            "../envs/polyprune.yaml"
        params:
            spec=later(specs.plot_figure, study, figure),
            measurements=words(inputs.measurements, study, figure),
        shell:
            "python -m polyprune plot_figure --settings {params.spec:q} --measurements {params.measurements} --output "
            "{output.parquet} --pdf {output.pdf} --png {output.png} --log {log} --threads {threads}"


for study in settings.studies:

    rule:
        name:
            f"write_report_{study}"
        input:
            sheets=later(inputs.sheets, study),
            pictures=later(inputs.pictures, study),
            answer=study_path(study, "best_calibration.parquet"),
            claims=study_path(study, "claims.parquet"),
            manifests=later(inputs.manifests, study),
            corpora=later(inputs.texts, study),
        output:
            page=study_path(study, "report.html"),
        log:
            f"logs/{study}/report.log",
        localrule: True
        conda:
            "../envs/polyprune.yaml"
        params:
            spec=later(specs.write_report, study),
        shell:
            "python -m polyprune write_report --settings {params.spec:q} --sheets {input.sheets} --pictures "
            "{input.pictures} --answer {input.answer} --claims {input.claims} --manifests {input.manifests} --corpora "
            "{input.corpora} --output {output.page} --log {log} --threads {threads}"
