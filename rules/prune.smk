# The cells: a model compressed by one method, scheme, calibration and seed.


# For cells with OWL's sparsities by layer, of all methods and sparsities.
rule measure_outliers:
    input:
        model="results/{model}/model.json",
        tokens="results/{model}/calibration/{calibration}/seed{seed}/tokens.safetensors",
    output:
        "results/{model}/calibration/{calibration}/seed{seed}/outliers.json",
    log:
        "logs/{model}/calibration/{calibration}/seed{seed}/measure_outliers.log",
    benchmark:
        "logs/{model}/calibration/{calibration}/seed{seed}/measure_outliers.benchmark.jsonl"
    conda:
        "../envs/polyprune.yaml"
    threads: needs.threads
    resources:
        **needs.allocation("measure_outliers"),
    params:
        spec=specs.measure_outliers,
    shell:
        "python -m polyprune measure_outliers --settings {params.spec:q} --model {input.model} --tokens "
        "{input.tokens} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"


# For cells with sparsities by layer after how alike languages use them.
rule measure_correlations:
    input:
        model="results/{model}/model.json",
        tokens="results/{model}/calibration/{calibration}/seed{seed}/tokens.safetensors",
    output:
        "results/{model}/calibration/{calibration}/seed{seed}/correlations.json",
    log:
        "logs/{model}/calibration/{calibration}/seed{seed}/measure_correlations.log",
    benchmark:
        "logs/{model}/calibration/{calibration}/seed{seed}/measure_correlations.benchmark.jsonl"
    conda:
        "../envs/polyprune.yaml"
    threads: needs.threads
    resources:
        **needs.allocation("measure_correlations"),
    params:
        spec=specs.measure_correlations,
    shell:
        "python -m polyprune measure_correlations --settings {params.spec:q} --model {input.model} --tokens "
        "{input.tokens} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"


rule prune_model:
    input:
        model="results/{model}/model.json",
        tokens="results/{model}/calibration/{calibration}/seed{seed}/tokens.safetensors",
        allocation=inputs.allocation,
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/mask.safetensors",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/prune_model.log",
    benchmark:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/prune_model.benchmark.jsonl"
    wildcard_constraints:
        method=only.methods(updating=False),
        scheme=only.schemes(composed=False),
    conda:
        "../envs/polyprune.yaml"
    threads: needs.threads
    resources:
        **needs.compression(),
    params:
        spec=specs.prune_model,
    shell:
        "python -m polyprune prune_model --settings {params.spec:q} --model {input.model} --tokens {input.tokens} "
        "--allocation {input.allocation} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"


use rule prune_model as reconstruct_model with:
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/weights.safetensors",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/reconstruct_model.log",
    benchmark:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/reconstruct_model.benchmark.jsonl"
    wildcard_constraints:
        method=only.methods(updating=True),
        scheme=only.schemes(composed=False),


# A cell with some of its layers from another one, or from the dense model.
rule compose_masks:
    input:
        model="results/{model}/model.json",
        rest=inputs.rest,
        part=inputs.part,
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/mask.safetensors",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/compose_masks.log",
    benchmark:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/compose_masks.benchmark.jsonl"
    wildcard_constraints:
        method=only.methods(updating=False),
        scheme=only.schemes(composed=True),
    conda:
        "../envs/polyprune.yaml"
    resources:
        **needs.small(8000, 60),
    params:
        spec=specs.compose_cell,
    shell:
        "python -m polyprune compose_cell --settings {params.spec:q} --model {input.model} --rest {input.rest} "
        "--part {input.part} --output {output} --log {log} --threads {threads}"


use rule compose_masks as compose_weights with:
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/weights.safetensors",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/compose_weights.log",
    benchmark:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/compose_weights.benchmark.jsonl"
    wildcard_constraints:
        method=only.methods(updating=True),
        scheme=only.schemes(composed=True),


# The cell as a plain Hugging Face folder. Its model card says where scores are, and none of them.
rule export_model:
    input:
        model="results/{model}/model.json",
        prompting="results/{model}/prompting.json",
        cell=inputs.cell,
        scores=[],
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/export/config.json",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/export_model.log",
    benchmark:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/export_model.benchmark.jsonl"
    conda:
        "../envs/polyprune.yaml"
    resources:
        **needs.small(4000, 120),
    params:
        spec=specs.export_model,
    shell:
        "python -m polyprune export_model --settings {params.spec:q} --model {input.model} --prompting "
        "{input.prompting} --cell {input.cell} --scores {input.scores} --output {output} --log {log} --threads "
        "{threads}"


# Codes as other programs pack them, with perplexity in its model card.
use rule export_model as export_packed with:
    input:
        model="results/{model}/model.json",
        prompting="results/{model}/prompting.json",
        cell=inputs.cell,
        scores=[
            "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/perplexity.parquet",
            "results/{model}/dense/perplexity.parquet",
        ],
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/export-{layout}/config.json",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/export_packed_{layout}.log",
    benchmark:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/export_packed_{layout}.benchmark.jsonl"
