# Cells that are read from checkpoints of others, as `imports` of the configuration lists them.


rule register_checkpoint:
    input:
        outside.checkpoint,
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/checkpoint.json",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/register_checkpoint.log",
    wildcard_constraints:
        method=only.imported(),
    localrule: True
    conda:
        "../envs/polyprune.yaml"
    resources:
        login_node=1,
    params:
        spec=specs.register_checkpoint,
    shell:
        "python -m polyprune register_checkpoint --settings {params.spec:q} --output {output} --log {log} --threads "
        "{threads}"


rule import_masks:
    input:
        model="results/{model}/model.json",
        checkpoint="results/{model}/{method}/{scheme}/{calibration}/seed{seed}/checkpoint.json",
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/mask.safetensors",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/import_masks.log",
    benchmark:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/import_masks.benchmark.jsonl"
    wildcard_constraints:
        method=only.imported(updating=False),
    conda:
        "../envs/polyprune.yaml"
    resources:
        **needs.small(16000, 120),
    params:
        spec=specs.import_cell,
    shell:
        "python -m polyprune import_cell --settings {params.spec:q} --model {input.model} --checkpoint "
        "{input.checkpoint} --output {output} --log {log} --threads {threads}"


use rule import_masks as import_weights with:
    output:
        "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/weights.safetensors",
    log:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/import_weights.log",
    benchmark:
        "logs/{model}/{method}/{scheme}/{calibration}/seed{seed}/import_weights.benchmark.jsonl"
    wildcard_constraints:
        method=only.imported(updating=True),
