# polyprune: in which language should a multilingual model be calibrated when it is compressed?
# Data flows through files, in the order of the includes; README.md says what to ask for.
from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/corpora.smk"
include: "rules/models.smk"
include: "rules/calibrate.smk"
include: "rules/prune.smk"
include: "rules/hidden_states.smk"
include: "rules/metrics.smk"
include: "rules/analysis.smk"
include: "rules/report.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        tables_of(settings.studies),
        figures_of(settings.studies),


onstart:
    start_worker_if_local()
