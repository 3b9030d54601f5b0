# Overlap of masks, of the cells of a study's grid.


for study, grid in inputs.mask_grids():

    rule:
        name:
            f"measure_mask_iou_{study}_{grid}"
        input:
            cells=later(inputs.masks, study, grid),
        output:
            study_path(study, f"mask_iou/{grid}.parquet"),
        log:
            f"logs/{study}/mask_iou/{grid}.log",
        conda:
            "../envs/polyprune.yaml"
        resources:
            **needs.small(8000, 60),
        params:
            spec=later(specs.measure_mask_iou, study, grid),
        shell:
            "python -m polyprune measure_mask_iou --settings {params.spec:q} --cells {input.cells} --output {output} "
            "--log {log} --threads {threads}"


# Masks of checkpoints beside those computed here.
for study, grid in inputs.imported_grids():

    rule:
        name:
            f"compare_masks_{study}_{grid}"
        input:
            cells=later(inputs.masks, study, grid),
        output:
            study_path(study, f"mask_agreement/{grid}.parquet"),
        log:
            f"logs/{study}/mask_agreement/{grid}.log",
        conda:
            "../envs/polyprune.yaml"
        resources:
            **needs.small(8000, 60),
        params:
            spec=later(specs.compare_masks, study, grid),
        shell:
            "python -m polyprune compare_masks --settings {params.spec:q} --cells {input.cells} --output {output} "
            "--log {log} --threads {threads}"
