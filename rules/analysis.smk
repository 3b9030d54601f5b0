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
            mem_mb=growing(8000),
            runtime=growing(60),
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
            measurements=mask_iou_files(study, settings.studies[study].tables[table].grids),
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
            measurements=mask_iou_files(study, settings.studies[study].figures[figure].grids),
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


rule collect_prompts:
    output:
        "results/prompts/{prompts}/{language}.parquet",
    log:
        "logs/prompts/{prompts}/{language}.log",
    wildcard_constraints:
        prompts=at_hand(settings.prompts),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=lambda w: spec(
            "collect_prompts",
            w,
            prompts=prompt_settings(w.prompts, w.language),
            language=w.language,
        ),
    shell:
        "python -m polyprune collect_prompts --settings {params.spec:q} --output {output} --log {log} --threads {threads}"


rule fetch_prompts:
    output:
        "results/prompts/{prompts}/{language}.parquet",
    log:
        "logs/prompts/{prompts}/{language}.log",
    wildcard_constraints:
        prompts=from_hub(settings.prompts),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=lambda w: spec(
            "fetch_prompts",
            w,
            prompts=prompt_settings(w.prompts, w.language),
            language=w.language,
        ),
    shell:
        "python -m polyprune fetch_prompts --settings {params.spec:q} --output {output} --log {log} --threads {threads}"


for prompts in settings.prompts:

    rule:
        name:
            f"build_prompt_set_{prompts}"
        input:
            model="results/{model}/model.json",
            prompts=prompt_files(prompts, "results/prompts/{prompts}/{language}.parquet"),
        output:
            prompt_files(prompts, "results/{{model}}/prompts/{prompts}/{language}.safetensors"),
        log:
            f"logs/{{model}}/prompts/{prompts}.log",
        wildcard_constraints:
            model=models_asked(prompts),
        localrule: True
        conda:
            "../envs/polyprune.yaml"
        resources:
            login_node=1,
        params:
            spec=lambda w: spec(
                "build_prompt_set",
                w,
                max_positions=settings.models[w.model].shape.max_positions,
            ),
        shell:
            "python -m polyprune build_prompt_set --settings {params.spec:q} --model {input.model} "
            "--prompts {input.prompts} --output {output} --log {log} --threads {threads}"

    rule:
        name:
            f"dump_dense_{prompts}"
        input:
            model="results/{model}/model.json",
            prompts=prompt_files(prompts, "results/{{model}}/prompts/{prompts}/{language}.safetensors"),
        output:
            prompt_files(
                prompts,
                "results/{{model}}/dense/hidden_states/{prompts}/{language}.h5",
            ),
        log:
            f"logs/{{model}}/dense/hidden_states/{prompts}.log",
        benchmark:
            f"logs/{{model}}/dense/hidden_states/{prompts}.benchmark.jsonl"
        wildcard_constraints:
            model=models_asked(prompts),
        conda:
            "../envs/polyprune.yaml"
        threads: cpus
        resources:
            gpu=gpus,
            gpu_model=gpu_model,
            constraint=constraint,
            mem_mb=dump_memory(0),
            runtime=dump_minutes(0),
        params:
            spec=lambda w: spec("dump_prompts", w),
        shell:
            "python -m polyprune dump_prompts --settings {params.spec:q} --model {input.model} --cell "
            "--prompts {input.prompts} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"

    for dump in dump_rules(prompts, models_asked(prompts), dumped_on_prompts(prompts)):

        rule:
            name:
                dump.rule
            input:
                model="results/{model}/model.json",
                cell=cell_artifacts(dump.variants),
                prompts=prompt_files(prompts, "results/{{model}}/prompts/{prompts}/{language}.safetensors"),
            output:
                [path for variant in dump.variants for path in prompt_outputs(prompts, f"results/{variant}")],
            log:
                f"logs/{dump.variants[0]}/hidden_states/{dump.log}.log",
            benchmark:
                f"logs/{dump.variants[0]}/hidden_states/{dump.log}.benchmark.jsonl"
            wildcard_constraints:
                model=dump.model,
                method=dump.method,
                scheme=dump.scheme,
            conda:
                "../envs/polyprune.yaml"
            threads: cpus
            resources:
                gpu=gpus,
                gpu_model=gpu_model,
                constraint=constraint,
                mem_mb=dump_memory(len(dump.variants)),
                runtime=dump_minutes(len(dump.variants)),
            params:
                spec=lambda w: spec("dump_prompts", w),
            shell:
                "python -m polyprune dump_prompts --settings {params.spec:q} --model {input.model} --cell {input.cell} "
                "--prompts {input.prompts} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"


rule measure_lsar:
    input:
        dense=prompt_dumps("results/{model}/dense"),
        cell=prompt_dumps("results/{model}/{method}/{scheme}/{calibration}/seed{seed}"),
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/lsar.parquet",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/measure_lsar.log",
    conda:
        "../envs/polyprune.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        spec=lsar_spec,
    shell:
        "python -m polyprune measure_lsar --settings {params.spec:q} --dense {input.dense} --cell {input.cell} "
        "--output {output} --log {log} --threads {threads}"


for study, figure in figures_by("plot_lsar"):

    rule:
        name:
            f"plot_{study}_{figure}"
        input:
            measurements=figure_cells(study, figure, "lsar.parquet"),
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
            "python -m polyprune plot_lsar --settings {params.spec:q} --measurements {input.measurements} "
            "--output {output.parquet} --pdf {output.pdf} --png {output.png} --log {log} --threads {threads}"


rule count_activations_dense:
    input:
        model="results/{model}/model.json",
        evaluation="results/{model}/evaluation_text/{corpus}/{language}.safetensors",
    output:
        "results/{model}/dense/activations/{corpus}/{language}.h5",
    log:
        "logs/{model}/dense/activations/{corpus}/{language}.log",
    benchmark:
        "logs/{model}/dense/activations/{corpus}/{language}.benchmark.jsonl"
    conda:
        "../envs/polyprune.yaml"
    threads: cpus
    resources:
        gpu=gpus,
        gpu_model=gpu_model,
        constraint=constraint,
        mem_mb=dump_memory(0),
        runtime=dump_minutes(0),
    params:
        spec=lambda w: spec(
            "count_activations",
            w,
            activation_tokens=settings.analysis.activation_tokens,
        ),
    shell:
        "python -m polyprune count_activations --settings {params.spec:q} --model {input.model} --cell "
        "--evaluation {input.evaluation} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"


rule count_activations_cell:
    input:
        model="results/{model}/model.json",
        cell=cell_artifact,
        evaluation="results/{model}/evaluation_text/{corpus}/{language}.safetensors",
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/activations/{corpus}/{language}.h5",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/activations/{corpus}/{language}.log",
    benchmark:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/activations/{corpus}/{language}.benchmark.jsonl"
    conda:
        "../envs/polyprune.yaml"
    threads: cpus
    resources:
        gpu=gpus,
        gpu_model=gpu_model,
        constraint=constraint,
        mem_mb=dump_memory(0),
        runtime=dump_minutes(0),
    params:
        spec=lambda w: spec(
            "count_activations",
            w,
            activation_tokens=settings.analysis.activation_tokens,
        ),
    shell:
        "python -m polyprune count_activations --settings {params.spec:q} --model {input.model} --cell {input.cell} "
        "--evaluation {input.evaluation} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"


rule measure_lape_dense:
    input:
        dense=activation_files("results/{model}/dense", settings.lape_languages_of),
    output:
        "results/{model}/dense/lape.parquet",
    log:
        "logs/{model}/dense/measure_lape.log",
    conda:
        "../envs/polyprune.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        spec=lape_spec,
    shell:
        "python -m polyprune measure_lape --settings {params.spec:q} --dense {input.dense} --cell --output {output} "
        "--log {log} --threads {threads}"


rule measure_lape_cell:
    input:
        dense=activation_files("results/{model}/dense", settings.lape_languages_of),
        cell=activation_files(
            "results/{model}/{method}/{scheme}/{calibration}/seed{seed}",
            settings.lape_languages_of,
        ),
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/lape.parquet",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/measure_lape.log",
    conda:
        "../envs/polyprune.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        spec=lape_spec,
    shell:
        "python -m polyprune measure_lape --settings {params.spec:q} --dense {input.dense} --cell {input.cell} "
        "--output {output} --log {log} --threads {threads}"


for study, figure in figures_by("plot_lape"):

    rule:
        name:
            f"plot_{study}_{figure}"
        input:
            measurements=lape_files(study, figure),
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
            "python -m polyprune plot_lape --settings {params.spec:q} --measurements {input.measurements} "
            "--output {output.parquet} --pdf {output.pdf} --png {output.png} --log {log} --threads {threads}"


rule measure_mean_activations:
    input:
        dense="results/{model}/dense/activations/{corpus}/{language}.h5",
        cell="results/{model}/{method}/{scheme}/{calibration}/seed{seed}/activations/{corpus}/{language}.h5",
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/mean_activations/{corpus}/{language}.parquet",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/mean_activations/{corpus}/{language}.log",
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    params:
        spec=lambda w: spec("measure_mean_activations", w, variant=cell_columns(w)),
    shell:
        "python -m polyprune measure_mean_activations --settings {params.spec:q} --dense {input.dense} "
        "--cell {input.cell} --output {output} --log {log} --threads {threads}"


for study, figure in figures_by("plot_mean_activations"):

    rule:
        name:
            f"plot_{study}_{figure}"
        input:
            measurements=mean_activation_files(study, figure),
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
            "python -m polyprune plot_mean_activations --settings {params.spec:q} --measurements {input.measurements} "
            "--output {output.parquet} --pdf {output.pdf} --png {output.png} --log {log} --threads {threads}"
