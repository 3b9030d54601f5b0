# Inside pruned models: overlap of masks, language subspaces, neurons, channels; tables 16 and 17 and all figures.


for study, grid in mask_grids():

    rule:
        name:
            f"measure_mask_iou_{study}_{grid}"
        input:
            cells=mask_cells(study, grid),
        output:
            study_path(study, f"mask_iou/{grid}.parquet"),
        log:
            f"logs/{study}/mask_iou/{grid}.log",
        conda:
            "../envs/polyprune.yaml"
        resources:
            mem_mb=8000,
            runtime=60,
        params:
            spec=mask_iou_spec(study, grid),
        shell:
            "python -m polyprune measure_mask_iou --settings {params.spec:q} --cells {input.cells} --output {output} "
            "--log {log} --threads {threads}"


for study, table in mask_tables():

    rule:
        name:
            f"tabulate_{study}_{table}"
        input:
            measurements=mask_iou_files(
                study, settings.studies[study].tables[table].grids
            ),
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
            spec=mask_table_spec(study, table),
        shell:
            "python -m polyprune tabulate_mask_iou --settings {params.spec:q} --measurements {input.measurements} "
            "--paper {input.paper} --output {output.parquet} --markdown {output.markdown} --picture {output.picture} "
            "--log {log} --threads {threads}"


for study, figure in figures_by("plot_mask_iou"):

    rule:
        name:
            f"plot_{study}_{figure}"
        input:
            measurements=mask_iou_files(
                study, settings.studies[study].figures[figure].grids
            ),
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
            spec=figure_spec(study, figure),
        shell:
            "python -m polyprune plot_mask_iou --settings {params.spec:q} --measurements {input.measurements} "
            "--output {output.parquet} --pdf {output.pdf} --png {output.png} --log {log} --threads {threads}"
