"""Which stages an edit of the package concerns, and that entries beside those in use concern none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from tests.helpers.digests import clear_caches
from tests.helpers.mappings import reversed_mappings

from polyprune import provenance
from polyprune.grammar.methods import METHODS
from polyprune.grammar.reports import DRAWINGS, TABLES
from polyprune.provenance import code_digest

SOURCE = provenance.PACKAGE
STAGES = sorted(file.stem for file in (SOURCE / "stages").glob("[a-z]*.py"))


@pytest.fixture(scope="module")
def shipped() -> dict[str, str]:
    """Digests of the package as it is: they do not depend on where it lies."""
    clear_caches()
    return all_digests()


def copy_of_the_package(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real package in another place, whose digests are taken from now on."""
    package = root / "polyprune"
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "NEUTRAL", {package / file.relative_to(SOURCE) for file in provenance.NEUTRAL})
    monkeypatch.setattr(provenance, "PACKAGE", package)
    clear_caches()
    return package


def all_digests() -> dict[str, str]:
    """Of every stage, alone or with each of the modules that it takes by name."""
    found = {stage: code_digest(stage) for stage in STAGES}
    taken = {
        "prune_model": [f"methods/{method}.py" for method, traits in METHODS.items() if not traits.experts],
        "tabulate": [f"report/tables/{kind.module}.py" for kind in TABLES.values()],
        "plot_figure": [f"report/figures/{kind.module}.py" for kind in DRAWINGS.values()],
        "collect_documents": [f"corpora/from_{kind}.py" for kind in ("demo", "files")],
        "collect_prompts": [f"corpora/from_{kind}.py" for kind in ("demo", "files")],
        "evaluate_model": ["evaluation/cloze.py", "evaluation/vllm_backend.py", "evaluation/mkqa/mkqa_de.yaml"],
    }
    return found | {f"{stage} {each}": code_digest(stage, each) for stage, modules in taken.items() for each in modules}


GENERATED = {
    "generate_benchmark",
    "collect_documents corpora/from_demo.py",
    "collect_prompts corpora/from_demo.py",
    "evaluate_model evaluation/cloze.py",
}
"""What uses the demo's phrases; questions are put to its models by cloze alone."""
OF_DRIFT = {
    *("measure_drift", "answer_question", "write_report"),
    *("tabulate report/tables/drift.py", "tabulate report/tables/benchmarks.py"),
}
"""What works out metrics of drift, or how sure they are; no compression, dump or evaluation."""


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        pytest.param("__init__.py", "__version__ = ", "__version__ = '9' + ", set(), id="version"),
        pytest.param("corpora/demo/phrases/de.yaml", "labels:", "# words\nlabels:", set(), id="a comment"),
        pytest.param("corpora/demo/phrases/de.yaml", "labels:", "more: {}\nlabels:", GENERATED, id="a phrase"),
        pytest.param(
            "grammar/methods.py", "METHODS = {\n", 'METHODS = {\n    "new": Traits("New"),\n', set(), id="a method"
        ),
        pytest.param(
            "grammar/reports.py", "TABLES = {\n", 'TABLES = {\n    "new": Kind("new", "drift"),\n', set(), id="a table"
        ),
        pytest.param(
            "grammar/reports.py",
            "DRAWINGS = {\n",
            'DRAWINGS = {\n    "new": Kind("new", "lape"),\n',
            set(),
            id="a figure",
        ),
        pytest.param(
            "grammar/benchmarks.py",
            "BENCHMARKS = {\n",
            'BENCHMARKS = {\n    "new": Benchmark("New", 1, [], []),\n',
            set(),
            id="a benchmark",
        ),
        pytest.param("grammar/methods.py", 'Traits("Wanda")', 'Traits("WANDA")', set(), id="a title"),
        pytest.param(
            "grammar/benchmarks.py", 'Benchmark("MKQA",', 'Benchmark("Mkqa",', set(), id="a title of a benchmark"
        ),
        pytest.param("grammar/benchmarks.py", '_MKQA = ("ar",', '_MKQA = ("ar", "fr",', set(), id="a language"),
        pytest.param(
            "evaluation/mkqa/mkqa_de.yaml",
            "task: mkqa_de",
            "task: mkqa_de2",
            {"evaluate_model evaluation/mkqa/mkqa_de.yaml"},
            id="a task",
        ),
        pytest.param(
            "evaluation/vllm_backend.py",
            "from __future__ import annotations\n",
            "from __future__ import annotations\n\nNEW = 1\n",
            {"evaluate_model evaluation/vllm_backend.py"},
            id="a backend",
        ),
        pytest.param(
            "evaluation/cloze.py",
            "from __future__ import annotations\n",
            "from __future__ import annotations\n\nNEW = 1\n",
            {"evaluate_model evaluation/cloze.py"},
            id="cloze scoring",
        ),
        pytest.param(
            "maths/drift.py",
            "def snr_db(",
            "def metric() -> None: ...\n\n\ndef snr_db(",
            OF_DRIFT,
            id="a metric",
        ),
        pytest.param(
            "maths/wanda.py",
            "    return keep_per_row(",
            "    return  keep_per_row(",
            {"prune_model methods/wanda.py", "prune_model methods/dsnot.py", "measure_outliers"},
            id="a method's equations",
        ),
    ],
)
def test_an_edit_concerns_the_stages_that_need_what_it_edits(
    file: str,
    old: str,
    new: str,
    changed: set[str],
    shipped: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package = copy_of_the_package(tmp_path, monkeypatch)
    text = (package / file).read_text(encoding="utf-8")
    assert text.count(old) == 1
    (package / file).write_text(text.replace(old, new), encoding="utf-8")
    clear_caches()
    after = all_digests()
    monkeypatch.undo()
    clear_caches()
    assert {stage for stage in shipped if shipped[stage] != after[stage]} == changed


def test_files_beside_those_in_use_concern_nothing(
    shipped: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new method, table, figure, and task of a benchmark in one more language."""
    package = copy_of_the_package(tmp_path, monkeypatch)
    for file in ("methods/new.py", "report/tables/new.py", "report/figures/new.py", "evaluation/mkqa/mkqa_fr.yaml"):
        (package / file).write_text("a: 1\n", encoding="utf-8")
    clear_caches()
    after = all_digests()
    monkeypatch.undo()
    clear_caches()
    assert after == shipped


def test_comments_of_any_file_do_not_count(
    shipped: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below all code and data of the package."""
    package = copy_of_the_package(tmp_path, monkeypatch)
    for file in [*package.rglob("*.py"), *package.rglob("*.yaml")]:
        file.write_text(file.read_text(encoding="utf-8") + "\n# said besides\n", encoding="utf-8")
    clear_caches()
    after = all_digests()
    monkeypatch.undo()
    clear_caches()
    assert after == shipped


def test_the_order_of_keys_of_a_data_file_does_not_count(
    shipped: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = copy_of_the_package(tmp_path, monkeypatch)
    files = list(package.rglob("*.yaml"))
    assert {file.parent.name for file in files} >= {"phrases", "mkqa"}
    for file in files:
        text = file.read_text(encoding="utf-8").replace("!function utils.", "plain.")
        turned = yaml.safe_dump(reversed_mappings(yaml.safe_load(text)), allow_unicode=True, sort_keys=False)
        assert turned != text
        file.write_text(turned.replace("plain.", "!function utils."), encoding="utf-8")
    clear_caches()
    after = all_digests()
    monkeypatch.undo()
    clear_caches()
    assert after == shipped
