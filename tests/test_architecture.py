"""Imports go down, stages know nothing of each other, and Snakemake starts without torch.

The floors of the house, from the ground up. A folder may import those that `ALLOWED` names for it, all of them below:

    commands, errors, log, places, processes, provenance
                                   the ground: imported from everywhere, imports nothing of ours
    grammar                        the words that paths and the configuration are made of
    settings, maths                what the configuration may say; equations, tensors in and tensors out
    artifacts                      one module a file format
    hub                            models and data sets of the Hugging Face hub, each at one commit
    methods, corpora               one module a compression method; one a source of text
    model                          what touches transformers: decoders, layer by layer
    evaluation, report             benchmarks under the harness; tables and figures
    stages                         one function a rule: files in, files out
    workflow, cluster, running     around the stages: what Snakemake asks for when it plans, the user's cluster, one job

No one imports stages: `running` takes a stage by its name, as stages take methods, sources of text and backends.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from polyprune.provenance import import_closure
from polyprune.workflow.specs import Specs

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "workflow_scripts" / "polyprune"
MODULES = sorted(PACKAGE.rglob("*.py"))
STAGES = sorted(file.stem for file in (PACKAGE / "stages").glob("*.py") if file.stem != "__init__")
TESTS = sorted((ROOT / "tests").rglob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))
MOST_LINES = 310
WIDEST = 120
WRITTEN = [
    *("Snakefile", "Makefile", ".ci/run", "CITATION.cff", "config.yaml", "pyproject.toml"),
    *(
        file.relative_to(ROOT).as_posix()
        for folder in ("", "data", "docs", "envs", "local", "rules", "slurm", "studies", "tests", "workflow_scripts")
        for ending in ("md", "rst", "smk", "yaml", "txt", "sh")
        for file in sorted((ROOT / folder).glob(f"*.{ending}" if folder in ("", "data") else f"**/*.{ending}"))
        if file.parent.name != "lock" or ending == "sh"
    ),
]
"""What people read, but Python; a tool writes the lock."""
MOST_LOOSE_MODULES = 7
"""Beside `__init__` and `__main__`."""
HEAVY = {"torch", "transformers", "pandas", "h5py", "datasets", "matplotlib", "pyarrow", "lm_eval"}

GROUND = {"commands", "errors", "log", "places", "processes", "provenance"}
"""Modules beside the folders that every folder may import."""
ALLOWED = {
    "commands": set(),
    "errors": set(),
    "log": set(),
    "places": set(),
    "processes": set(),
    "provenance": set(),
    "grammar": set(),
    "maths": {"grammar"},
    "settings": {"grammar"},
    "artifacts": {"grammar", "maths"},
    "hub": {"artifacts", "settings"},
    "methods": {"artifacts", "grammar", "maths"},
    "corpora": {"artifacts", "grammar", "hub", "settings"},
    "model": {"artifacts", "grammar", "hub", "maths", "methods", "settings"},
    "evaluation": {"artifacts", "corpora", "grammar", "hub", "maths", "methods", "model", "settings"},
    "report": {"artifacts", "grammar", "maths", "methods", "settings"},
    "stages": {
        *("artifacts", "corpora", "evaluation", "grammar", "hub", "maths", "methods", "model", "report"),
        "settings",
    },
    "running": {"settings", "artifacts", "grammar", "maths", "model"},
    "cluster": {"settings", "workflow"},
    "workflow": {"artifacts", "corpora", "grammar", "model", "settings"},
    "__main__": {"running"},
    "__init__": set(),
}
"""What each folder, and each module beside the folders, may import of the package."""
BARE = {
    **{layer: set() for layer in ("maths", "errors", "log", "processes", "provenance")},
    "methods": {"provenance"},
    "places": {"errors"},
}
"""Those that may import less of the ground: they compute, and neither log nor read."""


def layer_of(file: Path) -> str:
    first = file.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_names(file: Path) -> set[str]:
    """Modules of the package that a file imports, as dotted names below it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    inside = {name.removeprefix("polyprune.") for name in names if name.split(".")[0] == "polyprune"}
    return inside - {"__version__"}


def test_every_module_belongs_to_a_layer():
    assert {layer_of(file) for file in MODULES} <= set(ALLOWED)


def test_few_modules_are_loose():
    loose = {file.stem for file in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert len(loose) <= MOST_LOOSE_MODULES, f"move one into a folder: {', '.join(sorted(loose))}"


@pytest.mark.parametrize("file", [*MODULES, *TESTS], ids=lambda file: file.relative_to(ROOT).as_posix())
def test_a_file_is_short_and_imports_nothing_relative(file: Path):
    text = file.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES, "split it by topic"
    relative = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) and node.level]
    assert not relative, "code digests do not follow relative imports"


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_go_down(file: Path):
    layer = layer_of(file)
    allowed = ALLOWED[layer] | BARE.get(layer, GROUND) | {layer}
    upwards = {name for name in imported_names(file) if name.split(".")[0] not in allowed}
    assert not upwards, f"{layer} may import {', '.join(sorted(allowed))}"


def test_the_layers_have_no_cycle():
    waiting = {layer: below - {layer} for layer, below in ALLOWED.items()}
    while ready := {layer for layer, below in waiting.items() if not below & set(waiting)}:
        for layer in ready:
            waiting.pop(layer)
    assert waiting == {}


def test_no_module_imports_itself_by_way_of_others():
    names = {".".join(file.relative_to(PACKAGE).with_suffix("").parts): file for file in MODULES}
    waiting = {
        file: {
            names[each] for name in imported_names(file) for each in (name, name.rpartition(".")[0]) if each in names
        }
        for file in MODULES
    }
    while ready := {file for file, needed in waiting.items() if not needed & set(waiting)}:
        for file in ready:
            waiting.pop(file)
    assert not waiting, f"a circle: {', '.join(file.relative_to(PACKAGE).as_posix() for file in waiting)}"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_no_stage_and_is_one_function_of_its_name(stage: str):
    file = PACKAGE / "stages" / f"{stage}.py"
    assert not {name for name in imported_names(file) if name.startswith("stages")}
    functions = {
        node.name: node
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    function = functions[stage]
    assert function.args.args[-1].arg == "provenance"
    assert ast.unparse(function.returns or ast.Constant(0)) == "None"
    assert ast.get_docstring(function)
    entry_points = {name for name, node in functions.items() if any(a.arg == "provenance" for a in node.args.args)}
    assert {name for name in entry_points if not name.startswith("_")} == {stage}


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_only_what_plans_and_submits_knows_snakemake(file: Path):
    """Neither a stage nor anything that it is made of."""
    knows = re.search(r"^\s*(from|import) snakemake", file.read_text(encoding="utf-8"), re.MULTILINE)
    assert not knows or layer_of(file) in ("workflow", "cluster")


def test_rules_stages_specs_and_tests_are_the_same_set():
    text = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "rules").glob("*.smk")))
    called = re.findall(r"python -m polyprune (\w+) .*?\n(?!        )", text, flags=re.DOTALL)
    asked = re.findall(r"spec=(?:(?:later|partial)\()?specs\.(\w+).*?python -m polyprune (\w+) ", text, flags=re.DOTALL)
    methods = {name for name in dir(Specs) if not name.startswith("_")}
    tested = {file.stem.removeprefix("test_") for file in (ROOT / "tests" / "stages").glob("test_*.py")}
    assert all(spec == stage for spec, stage in asked) and len(asked) == len(called)
    assert set(called) == set(STAGES) == methods == tested


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_reads_are_not_the_tables_of_what_there_is(stage: str):
    """A new method, benchmark, table or figure beside the existing ones makes nothing again."""
    closure = {file.relative_to(PACKAGE).as_posix() for file in import_closure(PACKAGE / "stages" / f"{stage}.py")}
    assert not closure & {"grammar/methods.py", "grammar/benchmarks.py", "grammar/reports.py", "__init__.py"}


def test_the_arguments_of_every_rule_are_parameters_of_its_stage():
    text = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "rules").glob("*.smk")))
    commands = re.findall(r'shell:\s*((?:"[^"]*"\s*)+)', text)
    assert len(commands) >= len(STAGES)
    for command in commands:
        words = "".join(re.findall(r'"([^"]*)"', command)).split()
        stage = words[words.index("polyprune") + 1]
        tree = ast.parse((PACKAGE / "stages" / f"{stage}.py").read_text(encoding="utf-8"))
        (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == stage)
        parameters = {argument.arg for argument in function.args.args}
        options = {word[2:].replace("-", "_") for word in words if word.startswith("--")}
        assert options - {"settings", "log", "threads", "gpus"} <= parameters, stage
        assert {"settings", "log", "threads"} <= options, stage


@pytest.mark.parametrize("file", WRITTEN)
def test_what_is_written_is_no_wider_than_a_page(file: str):
    """Ruff says so of Python. Tables of documents are as wide as they are, and so is an address."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    wide = [
        number
        for number, line in enumerate(lines, start=1)
        if len(line) > WIDEST
        and not (file.endswith(".md") and line.lstrip(" +-").startswith("|"))
        and len(line.split()[-1]) < 100
    ]
    assert not wide, f"wrap lines {wide} at {WIDEST} columns"


def test_snakemake_starts_without_heavy_libraries():
    text = (ROOT / "rules" / "common.smk").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if re.match(r" *(from|import) polyprune", line)]
    assert len(lines) >= 4
    code = "\n".join([*lines, "import sys", f"print(sorted({HEAVY!r} & set(sys.modules)))"])
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(PACKAGE.parent)}, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_tests_mirror_the_package():
    folders = {file.parent.name for file in TESTS if file.parent.parent == ROOT / "tests"}
    assert folders <= {layer_of(file) for file in MODULES} | {"helpers", "slurm", "battery", "real"}


@pytest.mark.parametrize("file", [*MODULES, *TESTS, *BENCHMARKS], ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_test_module_is_imported(file: Path):
    """Not by code in strings either, which tests run in processes of their own."""
    text = file.read_text(encoding="utf-8")
    named = re.findall(r"(?:from|import) tests[\w.]*\.test_\w+|from tests[\w.]* import [\w, ]*\btest_\w+", text)
    assert not named, "what tests share lies in tests/helpers"


@pytest.mark.parametrize(
    "helper", [file for file in TESTS if file.parent.name == "helpers"], ids=lambda file: file.stem
)
def test_everything_that_tests_share_is_used(helper: Path):
    """Each module by another file, each of its functions and constants somewhere."""
    text = helper.read_text(encoding="utf-8")
    others = "".join(file.read_text(encoding="utf-8") for file in [*TESTS, *BENCHMARKS] if file != helper)
    assert re.search(rf"tests.helpers.{helper.stem} import|tests.helpers import .*\b{helper.stem}\b", others)
    for name in re.findall(r"^(?:def |class )?([A-Za-z]\w*)(?:\(| = |: )", text, flags=re.MULTILINE):
        assert len(re.findall(rf"\b{name}\b", text)) > 1 or re.search(rf"\b{name}\b", others), name
