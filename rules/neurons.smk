# Neurons and channels: how often and how strongly they are active, how language-specific that is (LAPE), and how wide
# they range in each language.


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
    threads: needs.threads
    resources:
        **needs.dump("count_activations_dense", 0),
    params:
        spec=specs.count_activations,
    shell:
        "python -m polyprune count_activations --settings {params.spec:q} --model {input.model} --cell "
        "--evaluation {input.evaluation} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"


rule count_activations_cell:
    input:
        model="results/{model}/model.json",
        cell=inputs.cell,
        evaluation="results/{model}/evaluation_text/{corpus}/{language}.safetensors",
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/activations/{corpus}/{language}.h5",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/activations/{corpus}/{language}.log",
    benchmark:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/activations/{corpus}/{language}.benchmark.jsonl"
    conda:
        "../envs/polyprune.yaml"
    threads: needs.threads
    resources:
        **needs.dump("count_activations_cell", 0),
    params:
        spec=specs.count_activations,
    shell:
        "python -m polyprune count_activations --settings {params.spec:q} --model {input.model} --cell "
        "{input.cell} --evaluation {input.evaluation} --output {output} --log {log} --threads {threads} --gpus "
        "{resources.gpu}"


rule measure_lape_dense:
    input:
        dense=inputs.activations("{model}/dense"),
    output:
        "results/{model}/dense/lape.parquet",
    log:
        "logs/{model}/dense/measure_lape.log",
    conda:
        "../envs/polyprune.yaml"
    resources:
        **needs.small(8000, 60),
    params:
        spec=specs.measure_lape,
    shell:
        "python -m polyprune measure_lape --settings {params.spec:q} --dense {input.dense} --cell --output "
        "{output} --log {log} --threads {threads}"


rule measure_lape_cell:
    input:
        dense=inputs.activations("{model}/dense"),
        cell=inputs.activations("{model}/{method}/{scheme}/{calibration}/seed{seed}"),
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/lape.parquet",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/measure_lape.log",
    conda:
        "../envs/polyprune.yaml"
    resources:
        **needs.small(8000, 60),
    params:
        spec=specs.measure_lape,
    shell:
        "python -m polyprune measure_lape --settings {params.spec:q} --dense {input.dense} --cell {input.cell} "
        "--output {output} --log {log} --threads {threads}"


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
        spec=specs.measure_mean_activations,
    shell:
        "python -m polyprune measure_mean_activations --settings {params.spec:q} --dense {input.dense} --cell "
        "{input.cell} --output {output} --log {log} --threads {threads}"


rule measure_activation_ranges:
    input:
        model="results/{model}/model.json",
        evaluation=inputs.texts_of_model,
    output:
        "results/{model}/dense/activation_ranges.parquet",
    log:
        "logs/{model}/dense/measure_activation_ranges.log",
    benchmark:
        "logs/{model}/dense/measure_activation_ranges.benchmark.jsonl"
    conda:
        "../envs/polyprune.yaml"
    threads: needs.threads
    resources:
        **needs.dump("measure_activation_ranges", 0),
    params:
        spec=specs.measure_activation_ranges,
    shell:
        "python -m polyprune measure_activation_ranges --settings {params.spec:q} --model {input.model} --evaluation "
        "{input.evaluation} --output {output} --log {log} --threads {threads} --gpus {resources.gpu}"
