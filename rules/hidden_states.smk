# What compression does to hidden states and predictions: dense and compressed model pushed through the same text.
# One job a variant, or for the cells of a bundle (engine.cells_per_dump), with all evaluation languages as its outputs.


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
        benchmark:
            f"logs/{{model}}/dense/hidden_states/{corpus}.benchmark.jsonl"
        wildcard_constraints:
            model=models_of(corpus),
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
            spec=dump_spec,
        shell:
            "python -m polyprune dump_hidden_states --settings {params.spec:q} --model {input.model} --cell "
            "--evaluation {input.evaluation} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"

    for dump in dump_rules(corpus, models_of(corpus), dumped_on_corpus(corpus)):

        rule:
            name:
                dump.rule
            input:
                model="results/{model}/model.json",
                cell=cell_artifacts(dump.variants),
                evaluation=evaluation_paths(corpus),
            output:
                [path for variant in dump.variants for path in dump_outputs(corpus, f"results/{variant}")],
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
                spec=dump_spec,
            shell:
                "python -m polyprune dump_hidden_states --settings {params.spec:q} --model {input.model} "
                "--cell {input.cell} --evaluation {input.evaluation} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"
