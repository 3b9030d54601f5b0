# polyprune: in which language should a multilingual model be calibrated when it is compressed?
# Data flows through files, in the order of the includes; README.md says what to ask for.
import os

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.0")
if not os.path.exists("config.yaml"):
    raise WorkflowError(
        f"there is no config.yaml in {os.getcwd()}: start in the repository's folder "
        f"(cd {os.path.realpath(workflow.basedir)}), or have config.yaml and studies/ where --directory leads to"
    )


configfile: "config.yaml"
configfile: "studies/demo.yaml"


report: "rules/captions/workflow.rst"  # the first page of snakemake --report


include: "rules/common.smk"


if cluster.image:

    container: cluster.image


include: "rules/corpora.smk"
include: "rules/prompts.smk"
include: "rules/models.smk"
include: "rules/benchmarks.smk"
include: "rules/calibrate.smk"
include: "rules/prune.smk"
include: "rules/imports.smk"
include: "rules/hidden_states.smk"
include: "rules/metrics.smk"
include: "rules/evaluate.smk"
include: "rules/masks.smk"
include: "rules/subspaces.smk"
include: "rules/neurons.smk"
include: "rules/experts.smk"
include: "rules/report.smk"
include: "rules/answers.smk"
include: "rules/why.smk"


# `snakemake paper`, `snakemake demo`: all tables of a study, and every cell and score that they are made from, so that
# a deleted cell is made again even where the tables are finished. The paper's study is the default.
for study in settings.studies:

    rule:
        name:
            study
        default_target: study == PAPER
        input:
            later(inputs.study, study),
        localrule: True


if workflow.is_main_process:
    try:
        require_writable([".snakemake/locks"])  # Snakemake's own, in dry runs, too
        require_targets(given, settings, list(workflow.rules))
    except UserError as error:
        raise WorkflowError(str(error)) from None
    if workflow.output_settings.dryrun:
        tell_total(logger, settings, given)
    elif not uses_profile(given):
        logger.warning(
            "No profile was named. Type snakemake --profile local, or --profile slurm on a cluster: they say what "
            "makes a result out of date, how many GPUs there are, and what is shown."
        )
    if not workflow.output_settings.dryrun:
        from polyprune.cluster.submission import replace_plugin  # it brings the plugin, which jobs do not need

        replace_plugin()
if caching:
    share(workflow.rules, settings, given)
strangers.watch(workflow.rules)
only_plan(logger, workflow.output_settings)
quicken(workflow.rules)
compare_by_content()


# What jobs take away is kept until they succeed. Folders may be written. No run of another checkout on the same files.
# What is planned, for jobs to compare themselves with. A warm worker for jobs of this machine and Python; on Slurm, no
# jobs of a killed run beside this one's.
onstart:
    keep_earlier(workflow, logger)
    try:
        require_choice(workflow.dag_settings.targets, [Path(file) for file in of_command_line])
        require_writable(str(file) for job in workflow.dag.needrun_jobs() for file in (*job.output, *job.log))
        strangers.require_none(workflow.dag)
        beside.announce(workflow.dag.needrun_jobs())
        dumped.record_as_alone(workflow, logger)
        planned = (job.params.spec for job in workflow.dag.jobs if job.rule.shellcmd)
        write_plan(planned, CODES, bundles.members, Path(".snakemake", "plans"))
        if not workflow.non_local_exec and not brings_python:
            worker.start()
        elif workflow.executor_plugin.name == "slurm":
            if not os.environ.get("SNAKEMAKE_SLURM_PARTITIONS"):
                logger.warning(require_cluster(cluster, cluster_file(), cluster_file() == TEMPLATE))
            slurm.take_over(workflow.dag, Path.cwd(), logger)
    except UserError as error:
        raise WorkflowError(str(error)) from None


onsuccess:
    if shown:
        shown.stop(log)
        terminal.show_table(given)


onerror:
    if shown:
        shown.stop(log)
