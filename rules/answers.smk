# What a study says: the best calibration with its uncertainty, the study beside the paper, and the paper's claims.


for study in settings.studies:

    rule:
        name:
            f"answer_question_{study}"
        input:
            answers=later(inputs.answers, study),
            dumps=later(inputs.dumps_of_study, study),
        output:
            parquet=study_path(study, "best_calibration.parquet"),
            markdown=study_path(study, "best_calibration.md"),
            picture=report(
                study_path(study, "best_calibration.png"),
                caption="captions/answer.rst",
                category=f"Study {study}",
                subcategory="Answers",
                labels={"what": "best_calibration", "title": "The best calibration language"},
            ),
        log:
            f"logs/{study}/best_calibration.log",
        conda:
            "../envs/polyprune.yaml"
        resources:
            **needs.small(8000, 60),
        params:
            spec=later(specs.answer_question, study),
            answers=words(inputs.answers, study),
            dumps=words(inputs.dumps_of_study, study),
        shell:
            "python -m polyprune answer_question --settings {params.spec:q} --items {params.answers} --dumps "
            "{params.dumps} --output {output.parquet} --markdown {output.markdown} --picture {output.picture} --log "
            "{log} --threads {threads}"

    rule:
        name:
            f"compare_with_paper_{study}"
        input:
            tables=later(inputs.parquet_tables, study),
            paper=later(inputs.all_printed),
        output:
            parquet=study_path(study, "versus_paper.parquet"),
            markdown=report(
                study_path(study, "versus_paper.md"),
                caption="captions/versus_paper.rst",
                category=f"Study {study}",
                subcategory="Answers",
                labels={"what": "versus_paper", "title": "The study beside the paper"},
            ),
            pictures=directory(study_path(study, "versus_paper")),
        log:
            f"logs/{study}/versus_paper.log",
        localrule: True
        conda:
            "../envs/polyprune.yaml"
        params:
            spec=later(specs.compare_with_paper, study),
        shell:
            "python -m polyprune compare_with_paper --settings {params.spec:q} --tables {input.tables} "
            "--paper {input.paper} --output {output.parquet} --markdown {output.markdown} --pictures {output.pictures} "
            "--log {log} --threads {threads}"

    rule:
        name:
            f"tabulate_claims_{study}"
        input:
            tables=later(inputs.parquet_tables, study),
            paper=later(inputs.all_printed),
        output:
            claims=study_path(study, "claims.parquet"),
            claims_markdown=report(
                study_path(study, "claims.md"),
                caption="captions/claims.rst",
                category=f"Study {study}",
                subcategory="Answers",
                labels={"what": "claims", "title": "The paper's claims"},
            ),
            blocks=study_path(study, "block_tests.parquet"),
            blocks_markdown=study_path(study, "block_tests.md"),
        log:
            f"logs/{study}/claims.log",
        localrule: True
        conda:
            "../envs/polyprune.yaml"
        params:
            spec=later(specs.tabulate_claims, study),
        shell:
            "python -m polyprune tabulate_claims --settings {params.spec:q} --paper {input.paper} --tables "
            "{input.tables} --claims {output.claims} --claims-markdown {output.claims_markdown} "
            "--blocks {output.blocks} --blocks-markdown {output.blocks_markdown} --log {log} --threads {threads}"
