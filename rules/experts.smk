# Mixtures of experts: cells without some of them, and where routers send the tokens of each language.


rule remove_experts:
    input:
        model="results/{model}/model.json",
        tokens="results/{model}/calibration/{calibration}/seed{seed}/tokens.safetensors",
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/mask.safetensors",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/remove_experts.log",
    benchmark:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/remove_experts.benchmark.jsonl"
    wildcard_constraints:
        method=only.removing_experts(),
        scheme=only.schemes(composed=False),
    conda:
        "../envs/polyprune.yaml"
    threads: needs.threads
    resources:
        **needs.compression(),
    params:
        spec=specs.remove_experts,
    shell:
        "python -m polyprune remove_experts --settings {params.spec:q} --model {input.model} --tokens {input.tokens} "
        "--output {output} --log {log} --threads {threads} --gpus {resources.gpu}"


rule measure_routing_dense:
    input:
        model="results/{model}/model.json",
        evaluation=inputs.texts_of_model,
    output:
        "results/{model}/dense/routing.parquet",
    log:
        "logs/{model}/dense/measure_routing.log",
    benchmark:
        "logs/{model}/dense/measure_routing_dense.benchmark.jsonl"
    conda:
        "../envs/polyprune.yaml"
    threads: needs.threads
    resources:
        **needs.dump("measure_routing", 0),
    params:
        spec=specs.measure_routing,
    shell:
        "python -m polyprune measure_routing --settings {params.spec:q} --model {input.model} --cell --evaluation "
        "{input.evaluation} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"


rule measure_routing_cell:
    input:
        model="results/{model}/model.json",
        cell=inputs.cell,
        evaluation=inputs.texts_of_model,
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/routing.parquet",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/measure_routing.log",
    benchmark:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/measure_routing_cell.benchmark.jsonl"
    conda:
        "../envs/polyprune.yaml"
    threads: needs.threads
    resources:
        **needs.dump("measure_routing", 0),
    params:
        spec=specs.measure_routing,
    shell:
        "python -m polyprune measure_routing --settings {params.spec:q} --model {input.model} --cell {input.cell} "
        "--evaluation {input.evaluation} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"
