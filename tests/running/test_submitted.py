"""A job that waits does not run with what was edited meanwhile: settings, or code that decides its result."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.helpers.checkout import copy_repository
from tests.helpers.digests import clear_caches
from tests.helpers.runs import replace, snakemake

from polyprune import provenance
from polyprune.errors import UserError
from polyprune.grammar.paths import Cell
from polyprune.provenance import canonical_json, code_digest
from polyprune.running import submitted
from polyprune.running.submitted import SUBMITTED, planned_bundles, require_as_planned, write_plan

TEXT = "results/corpora/demo/de.parquet"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of two stages, and no plan."""
    root = tmp_path / "polyprune"
    for name, text in {"stages/do": "LIMIT = 3\n", "stages/other": "", "methods/one": "SHARE = 1\n"}.items():
        (root / f"{name}.py").parent.mkdir(parents=True, exist_ok=True)
        (root / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(provenance, "PACKAGE", root)
    monkeypatch.setattr(submitted, "PACKAGE", root)
    monkeypatch.setenv(SUBMITTED, "")
    monkeypatch.delenv(SUBMITTED)
    clear_caches()
    yield root
    clear_caches()


BUNDLES = {"mc4": [[Cell("8b", "wanda", "0.50", calibration, 0) for calibration in ("de", "en")]]}


def planned(folder: Path) -> str:
    """The spec of a job whose plan is written down."""
    code = code_digest("do", "methods/one.py")
    spec = canonical_json({"code": code, "job": "do", "seed": 0})
    write_plan([spec], {code: ("do", "methods/one.py")}, BUNDLES, folder / "plans")
    clear_caches()
    return spec


@pytest.mark.usefixtures("package")
def test_what_was_planned_runs_and_another_setting_does_not(tmp_path: Path) -> None:
    spec = planned(tmp_path)
    require_as_planned(spec)
    with pytest.raises(UserError, match="the configuration, of what decides this job's result, was edited after"):
        require_as_planned(spec.replace('"seed":0', '"seed":1'))


@pytest.mark.parametrize("file", ["stages/do.py", "methods/one.py"])
def test_code_of_the_job_must_not_change(package: Path, tmp_path: Path, file: str) -> None:
    spec = planned(tmp_path)
    replace(package / file, " = ", " = 1 + ")
    with pytest.raises(UserError, match=r"the code below .*polyprune, of what this job runs, was edited after"):
        require_as_planned(spec)


def test_a_job_that_read_the_edited_code_is_refused_too(package: Path, tmp_path: Path) -> None:
    planned(tmp_path)
    replace(package / "stages/do.py", "3", "4")
    spec = canonical_json({"code": code_digest("do", "methods/one.py"), "job": "do", "seed": 0})
    with pytest.raises(UserError, match="the code below"):
        require_as_planned(spec)


@pytest.mark.parametrize("edit", [("stages/do.py", "LIMIT", "# why\nLIMIT"), ("stages/other.py", "", "LIMIT = 1\n")])
def test_other_edits_are_let_pass(package: Path, tmp_path: Path, edit: tuple[str, str, str]) -> None:
    spec = planned(tmp_path)
    replace(package / edit[0], *edit[1:])
    require_as_planned(spec)


@pytest.mark.usefixtures("package")
def test_a_job_by_itself_has_no_plan_and_a_lost_plan_is_said(tmp_path: Path) -> None:
    require_as_planned(canonical_json({"code": "any"}))
    spec = planned(tmp_path)
    Path(os.environ[SUBMITTED]).unlink()
    with pytest.raises(UserError, match=r"plans/\w+\.json, in which the run .* cannot be read"):
        require_as_planned(spec)


def as_on_a_cluster(folder: Path) -> subprocess.CompletedProcess[str]:
    """The job of a text as the Slurm plugin runs it: another Snakemake, which reads the configuration anew."""
    (plan,) = (folder / ".snakemake/plans").glob("*.json")
    command = [sys.executable, "-m", "snakemake", "--snakefile", "Snakefile", "--mode", "remote", "--no-hooks"]
    command += ["--target-jobs", "collect_documents:corpus=demo,language=de", "--allowed-rules", "collect_documents"]
    command += ["--cores", "1", "--force", "--nolock", "--ignore-incomplete", "--quiet", "all"]
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "POLYPRUNE_WORKER")}
    return subprocess.run(
        command, cwd=folder, env=environment | {SUBMITTED: str(plan)}, capture_output=True, text=True, timeout=600
    )


def test_a_job_of_snakemakes_refuses_what_was_edited_while_it_waited(tmp_path: Path) -> None:
    folder = copy_repository(tmp_path)
    run = snakemake(folder, "--", TEXT)
    assert run.returncode == 0, run.stderr
    made = (folder / TEXT).read_bytes()
    log, demo = folder / "logs/corpora/demo/de.log", folder / "studies/demo.yaml"
    source = folder / "workflow_scripts/polyprune/corpora/from_demo.py"
    edits = {demo: ("train: 3000", "train: 3001"), source: ('SOURCE = {"', 'EDITED, SOURCE = 1, {"')}
    for file, (old, new) in edits.items():
        before = file.read_text(encoding="utf-8")
        replace(file, old, new)
        (folder / TEXT).unlink(missing_ok=True)
        refused = as_on_a_cluster(folder)
        assert refused.returncode != 0 and not (folder / TEXT).exists()
        what = "configuration" if file == demo else "code"
        assert f"the {what}" in log.read_text(encoding="utf-8").splitlines()[-1], log.read_text(encoding="utf-8")
        file.write_text(before, encoding="utf-8")
    run = as_on_a_cluster(folder)
    assert run.returncode == 0 and (folder / TEXT).read_bytes() == made, run.stderr


@pytest.mark.usefixtures("package")
def test_a_job_knows_which_cells_its_run_dumps_together(tmp_path: Path) -> None:
    assert planned_bundles() == {}, "a job by itself"
    planned(tmp_path)
    assert planned_bundles() == BUNDLES
    Path(os.environ[SUBMITTED]).unlink()
    with pytest.raises(UserError, match="cannot be read"):
        planned_bundles()
