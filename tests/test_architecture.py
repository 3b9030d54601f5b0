"""Imports go down, stages know nothing of each other, and Snakemake starts without torch."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "workflow_scripts" / "polyprune"
MODULES = sorted(PACKAGE.rglob("*.py"))
STAGES = sorted(file.stem for file in (PACKAGE / "stages").glob("*.py") if file.stem != "__init__")
HEAVY = {"torch", "transformers", "pandas", "h5py", "datasets", "matplotlib", "pyarrow", "lm_eval"}

GROUND = {"errors", "log", "provenance"}
"""Modules beside the folders that every folder may import."""
ALLOWED = {
    "errors": set(),
    "log": set(),
    "provenance": set(),
    "grammar": set(),
    "maths": {"grammar"},
    "settings": {"grammar"},
    "artifacts": {"grammar", "maths"},
    "hub": {"artifacts"},
    "methods": {"artifacts", "grammar", "maths"},
    "corpora": {"artifacts", "grammar", "hub", "settings"},
    "model": {"artifacts", "grammar", "hub", "maths", "methods", "settings"},
    "evaluation": {"artifacts", "corpora", "grammar", "hub", "maths", "methods", "model", "settings"},
    "report": {"artifacts", "grammar", "maths", "methods", "settings"},
    "stages": {
        *("artifacts", "corpora", "evaluation", "grammar", "hub", "maths", "methods", "model", "report"),
        "settings",
    },
    "running": {"settings", "model"},
    "cluster": {"settings", "workflow"},
    "workflow": {"grammar", "settings"},
    "__main__": {"running"},
    "__init__": set(),
}
"""What each folder, and each module beside the folders, may import of the package."""
BARE = {"maths": set(), "methods": {"provenance"}, "errors": set(), "log": set(), "provenance": set()}
"""Those that may import less of the ground: they compute, and neither log nor read."""


def layer_of(file: Path) -> str:
    first = file.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_names(file: Path) -> set[str]:
    """Modules of the package that a file imports, as dotted names below it; relative imports are refused."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import, which code digests do not follow"
            assert node.module
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    inside = {name.removeprefix("polyprune.") for name in names if name.split(".")[0] == "polyprune"}
    return inside - {"__version__"}


def test_every_module_belongs_to_a_layer():
    assert {layer_of(file) for file in MODULES} <= set(ALLOWED)


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


def test_every_stage_has_a_rule_and_every_rule_a_stage():
    text = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "rules").glob("*.smk")))
    called = set(re.findall(r"python -m polyprune (\w+) ", text))
    assert called == set(STAGES)


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


def test_snakemake_starts_without_heavy_libraries():
    text = (ROOT / "rules" / "common.smk").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if re.match(r"(from|import) polyprune", line)]
    assert len(lines) >= 4
    code = "\n".join([*lines, "import sys", f"print(sorted({HEAVY!r} & set(sys.modules)))"])
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(PACKAGE.parent)}, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
