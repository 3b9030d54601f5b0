# Why a calibration language does less for one language than for another: traits of languages, drift, loss on
# benchmarks.


for study in inputs.explained():

    rule:
        name:
            f"explain_damage_{study}"
        input:
            scores=later(inputs.scores, study, "drift"),
            evaluations=later(inputs.scores, study, "evaluation"),
            prompts=later(inputs.prompt_sets, study),
            languages=later(inputs.languages),
        output:
            parquet=study_path(study, "why.parquet"),
            markdown=study_path(study, "why.md"),
            picture=report(
                study_path(study, "why.png"),
                caption="captions/why.rst",
                category=f"Study {study}",
                subcategory="Answers",
                labels={"what": "why", "title": "What goes with the damage"},
            ),
        log:
            f"logs/{study}/why.log",
        conda:
            "../envs/polyprune.yaml"
        resources:
            **needs.small(4000, 30),
        params:
            spec=later(specs.explain_damage, study),
            scores=words(inputs.scores, study, "drift"),
            evaluations=words(inputs.scores, study, "evaluation"),
        shell:
            "python -m polyprune explain_damage --settings {params.spec:q} --scores {params.scores} "
            "--evaluations {params.evaluations} --prompts {input.prompts} --languages {input.languages} "
            "--output {output.parquet} --markdown {output.markdown} --picture {output.picture} --log {log} "
            "--threads {threads}"
