# Parallel prompts, one file a language, and in a model's tokens.


rule collect_prompts:
    input:
        outside.prompts,
    output:
        "results/prompts/{prompts}/{language}.parquet",
    log:
        "logs/prompts/{prompts}/{language}.log",
    wildcard_constraints:
        prompts=only.prompts(fetched=False),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=specs.collect_prompts,
    shell:
        "python -m polyprune collect_prompts --settings {params.spec:q} --output {output} --log {log} --threads "
        "{threads}"


rule fetch_prompts:
    input:
        outside.prompts,
    output:
        "results/prompts/{prompts}/{language}.parquet",
    log:
        "logs/prompts/{prompts}/{language}.log",
    wildcard_constraints:
        prompts=only.prompts(fetched=True),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=specs.fetch_prompts,
    shell:
        "python -m polyprune fetch_prompts --settings {params.spec:q} --output {output} --log {log} --threads "
        "{threads}"


for prompts in settings.prompts:

    rule:
        name:
            f"build_prompt_set_{prompts}"
        input:
            model="results/{model}/model.json",
            prompting="results/{model}/prompting.json",
            prompts=inputs.prompts(prompts),
        output:
            inputs.prompt_set(prompts),
        log:
            f"logs/{{model}}/prompts/{prompts}.log",
        wildcard_constraints:
            model=only.models_asked(prompts),
        localrule: True
        conda:
            "../envs/polyprune.yaml"
        resources:
            login_node=1,
        params:
            spec=specs.build_prompt_set,
        shell:
            "python -m polyprune build_prompt_set --settings {params.spec:q} --model {input.model} --prompting "
            "{input.prompting} --prompts {input.prompts} --output {output} --log {log} --threads {threads}"
