# What every rule file uses: the settings, and objects that know the rest: `specs` (what a result depends on besides its
# inputs), `inputs` (which files a rule reads), `needs` (threads, memory, time, GPU), `bundles` (which cells one job
# dumps), `only` (what wildcards may be), `outside` (the user's own files), `lacking` (languages without questions) and
# `strangers` (results that Snakemake has no record of). They are plain Python, tested without Snakemake:
# workflow_scripts/polyprune/workflow.
import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

PACKAGES = Path(workflow.basedir) / "workflow_scripts"
sys.path.insert(0, str(PACKAGES))

try:
    from polyprune.running import lifeline, terminal, worker
    from polyprune.settings.load import load_settings
except ModuleNotFoundError as error:
    raise WorkflowError(
        f"the Python that runs this Snakemake, {sys.executable}, has no {error.name}. Type: source .venv/bin/activate "
        "(before that, if there is no .venv yet, make install), and start again"
    ) from None

from polyprune.artifacts.identity import CONFIGFILES_VARIABLE
from polyprune.cluster import slurm
from polyprune.cluster.site import TEMPLATE, cluster_file, load_cluster, shell_prefix
from polyprune.cluster.start import require_cluster
from polyprune.errors import UserError
from polyprune.grammar.paths import PAPER, study_path
from polyprune.places import export_places
from polyprune.running.run import export_engine
from polyprune.running.submitted import planned_bundles, write_plan
from polyprune.workflow import beside
from polyprune.workflow.asked import targets_in
from polyprune.workflow.braces import later, words
from polyprune.workflow.bundles import Bundles
from polyprune.workflow.by_content import compare_by_content
from polyprune.workflow.dry_runs import tell_total
from polyprune.workflow.dumped import Dumped
from polyprune.workflow.earlier import keep_earlier, put_back
from polyprune.workflow.inputs import Inputs
from polyprune.workflow.lacking import Lacking
from polyprune.workflow.needs import Needs
from polyprune.workflow.outside import Outside, places_of
from polyprune.workflow.quick_plans import collect_rarely, only_plan, quicken
from polyprune.workflow.shared_cache import require_cacheable, share
from polyprune.workflow.spec_values import CODES
from polyprune.workflow.specs import Specs
from polyprune.workflow.starts import require_choice, require_targets, uses_profile
from polyprune.workflow.strangers import Strangers
from polyprune.workflow.text_inputs import WRITTEN
from polyprune.workflow.targets import as_named, require_sizes
from polyprune.workflow.wildcards import Only
from polyprune.workflow.writable import require_writable

collect_rarely()
shown = terminal.attach(logger, workflow.output_settings)

# Snakemake lists the command line's files first, but merges them last.
of_command_line = workflow.overwrite_configfiles
config_files = [Path(file) for file in [*workflow.configfiles[len(of_command_line) :], *of_command_line]]

given = as_named(sys.argv[1:])
caching = workflow.workflow_settings.cache is not None

try:
    settings = load_settings(config, config_files)
    require_sizes(given, settings)
    cluster = load_cluster()
    if caching:
        require_cacheable(settings, given)
except UserError as error:
    raise WorkflowError(str(error)) from None

export_engine(settings.engine)
export_places(places_of(settings))
brings_python = workflow.deployment_settings.deployment_method
python = None if brings_python else Path(sys.executable).parent
shell.prefix(shell_prefix(PACKAGES, python, cluster.modules))
if workflow.is_main_process:
    typed = [word for file in of_command_line for word in ("--configfile", os.path.relpath(file))]
    os.environ[CONFIGFILES_VARIABLE] = shlex.join(typed)
os.environ.update(POLYPRUNE_LOCK=str(Path(workflow.basedir, "envs", "lock")))  # for envs/polyprune.post-deploy.sh
lifeline.tie()
if workflow.is_main_process:
    put_back(slurm.queued_work)

if workflow.is_main_process:
    for sentence in settings.left_out:
        logger.warning(sentence)

specs = Specs(settings)
inputs = Inputs(settings, Path(os.path.relpath(workflow.basedir)))
needs = Needs(settings, cluster.gpu_model, cluster.constraint)
outside = Outside(settings, config_files, workflow, logger.warning)
outside.refusals.tell_when_planned()
lacking = Lacking(settings, workflow, logger.warning)
dumped = Dumped(inputs, specs)
strangers = Strangers(workflow, logger.warning, dumped.spec_of)
try:
    of_run = workflow.is_main_process
    targets, planned = (targets_in(given, settings), {}) if of_run else ([], planned_bundles())
    bundles = Bundles(settings, inputs, targets, dumped.is_made, planned)
except UserError as error:
    raise WorkflowError(str(error)) from None
only = Only(settings)


wildcard_constraints:
    **only.everywhere(),
