# What compression does to hidden states and predictions: dense and compressed model pushed through the same text.
# One job a variant, with all evaluation languages as its outputs.


for corpus in settings.corpora:

    rule:
        name:
            f"dump_dense_{corpus}"
        input:
            model="results/{model}/model.json",
            evaluation=evaluation_paths(corpus),
        output:
            dump_outputs(corpus, "results/{model}/dense"),
        log:
            f"logs/{{model}}/dense/hidden_states/{corpus}.log",
        wildcard_constraints:
            model=models_of(corpus),
        conda:
            "../envs/polyprune.yaml"
        threads: cpus
        resources:
            gpu=gpus,
            gpu_model=gpu_model,
            constraint=constraint,
            mem_mb=dump_memory,
            runtime=dump_minutes,
        params:
            spec=dump_spec,
        shell:
            "python -m polyprune dump_hidden_states --settings {params.spec:q} --model {input.model} --cell "
            "--evaluation {input.evaluation} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"

    rule:
        name:
            f"dump_cell_{corpus}"
        input:
            model="results/{model}/model.json",
            cell=cell_artifact,
            evaluation=evaluation_paths(corpus),
        output:
            dump_outputs(corpus, "results/{model}/{method}/{scheme}/{calibration}/seed{seed}"),
        log:
            f"logs/{{model}}/{{method}}/{{scheme}}/{{calibration}}/seed{{seed}}/hidden_states/{corpus}.log",
        benchmark:
            f"logs/{{model}}/{{method}}/{{scheme}}/{{calibration}}/seed{{seed}}/hidden_states/{corpus}.benchmark.jsonl"
        wildcard_constraints:
            model=models_of(corpus),
        conda:
            "../envs/polyprune.yaml"
        threads: cpus
        resources:
            gpu=gpus,
            gpu_model=gpu_model,
            constraint=constraint,
            mem_mb=dump_memory,
            runtime=dump_minutes,
        params:
            spec=dump_spec,
        shell:
            "python -m polyprune dump_hidden_states --settings {params.spec:q} --model {input.model} --cell {input.cell} "
            "--evaluation {input.evaluation} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"
