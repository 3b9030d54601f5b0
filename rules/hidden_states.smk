# What compression does to hidden states and predictions: dense and compressed model pushed through the same text or
# prompts. One job a variant, or for the cells of a bundle (engine.cells_per_dump), with all languages as its outputs.


for corpus in settings.corpora:

    rule:
        name:
            f"dump_dense_{corpus}"
        input:
            model="results/{model}/model.json",
            evaluation=inputs.evaluation_text(corpus),
        output:
            inputs.dumps(corpus, "{model}/dense"),
        log:
            f"logs/{{model}}/dense/hidden_states/{corpus}.log",
        benchmark:
            f"logs/{{model}}/dense/hidden_states/{corpus}.benchmark.jsonl"
        wildcard_constraints:
            model=only.models_on(corpus),
        conda:
            "../envs/polyprune.yaml"
        threads: needs.threads
        resources:
            **needs.dump(f"dump_dense_{corpus}", 0),
        params:
            spec=specs.dump_hidden_states,
        shell:
            "python -m polyprune dump_hidden_states --settings {params.spec:q} --model {input.model} --cell "
            "--evaluation {input.evaluation} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"

    for dump in bundles.on_corpus(corpus):

        rule:
            name:
                dump.rule
            input:
                model="results/{model}/model.json",
                cell=inputs.cells(dump.variants),
                evaluation=inputs.evaluation_text(corpus),
            output:
                inputs.dumps(corpus, *dump.variants),
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
            threads: needs.threads
            resources:
                **needs.dump(dump.rule, len(dump.variants)),
            params:
                spec=bundles.spec(specs.dump_hidden_states, dump),
            shell:
                "python -m polyprune dump_hidden_states --settings {params.spec:q} --model {input.model} --cell "
                "{input.cell} --evaluation {input.evaluation} --output {output} --log {log} --threads {threads} --gpus "
                "{resources.gpu}"

    workflow.ruleorder(*(dump.rule for dump in bundles.on_corpus(corpus)))


for prompts in settings.prompts:

    rule:
        name:
            f"dump_dense_{prompts}"
        input:
            model="results/{model}/model.json",
            prompts=inputs.prompt_set(prompts),
        output:
            inputs.dumps(prompts, "{model}/dense"),
        log:
            f"logs/{{model}}/dense/hidden_states/{prompts}.log",
        benchmark:
            f"logs/{{model}}/dense/hidden_states/{prompts}.benchmark.jsonl"
        wildcard_constraints:
            model=only.models_asked(prompts),
        conda:
            "../envs/polyprune.yaml"
        threads: needs.threads
        resources:
            **needs.dump(f"dump_dense_{prompts}", 0),
        params:
            spec=specs.dump_prompts,
        shell:
            "python -m polyprune dump_prompts --settings {params.spec:q} --model {input.model} --cell --prompts "
            "{input.prompts} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"

    for dump in bundles.on_prompts(prompts):

        rule:
            name:
                dump.rule
            input:
                model="results/{model}/model.json",
                cell=inputs.cells(dump.variants),
                prompts=inputs.prompt_set(prompts),
            output:
                inputs.dumps(prompts, *dump.variants),
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
            threads: needs.threads
            resources:
                **needs.dump(dump.rule, len(dump.variants)),
            params:
                spec=bundles.spec(specs.dump_prompts, dump),
            shell:
                "python -m polyprune dump_prompts --settings {params.spec:q} --model {input.model} --cell {input.cell} "
                "--prompts {input.prompts} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"

    workflow.ruleorder(*(dump.rule for dump in bundles.on_prompts(prompts)))
