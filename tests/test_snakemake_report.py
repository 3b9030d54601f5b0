"""`snakemake --report`: every table, figure and answer is in it, with category, caption and labels.

The results are stand-ins: what the report says of them comes from the rules.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from tests.helpers.checkout import ROOT, copy_repository

ANSWERS = {
    "best_calibration.png": "The best calibration language",
    "claims.md": "The paper's claims",
    "versus_paper.md": "The study beside the paper",
    "why.png": "What goes with the damage",
}
TARGETS = ("quick", "kinds", *(f"results/quick/{name}" for name in ("report.html", "versus_paper.md", "why.md")))
STUDIES = yaml.safe_load((ROOT / "studies/quick.yaml").read_text(encoding="utf-8"))["studies"]
TITLES = {
    f"results/{study}/{name}.png": (kind, entry["title"])
    for study, said in STUDIES.items()
    for kind in ("tables", "figures")
    for name, entry in said.get(kind, {}).items()
} | {f"results/quick/{file}": ("answers", title) for file, title in ANSWERS.items()}


def value(page: str, name: str) -> Any:
    """What the page's script gives to a variable."""
    (found,) = re.finditer(rf'<script[^>]*>\s*(?:var )?{name} = (?=["{{])', page)
    return json.JSONDecoder().raw_decode(page, found.end())[0]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = copy_repository(tmp_path_factory.mktemp("clone"))
    for name in TITLES:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(file) if file.suffix == ".png" else file.write_text("# A table\n")
    words = ("--profile", "local", "--configfile", "studies/quick.yaml", "--report", "report.html", "--", *TARGETS)
    run = subprocess.run([sys.executable, "-m", "snakemake", *words], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_report_begins_with_what_the_workflow_is(page: str):
    said = " ".join(value(page, "workflow_desc").split())
    assert "asks in which language a multilingual model is to be calibrated" in said


def test_every_result_is_in_the_category_of_its_study_and_its_kind(page: str):
    expected: dict[str, dict[str, set[str]]] = {}
    for file, (kind, _) in TITLES.items():
        expected.setdefault(f"Study {Path(file).parent.name}", {}).setdefault(kind.capitalize(), set()).add(file)
    found = {
        study: {kind: set(files) for kind, files in kinds.items()} for study, kinds in value(page, "categories").items()
    }
    assert found == expected and {len(kinds) for kinds in found.values()} == {2}


def test_every_result_has_its_title_a_caption_and_its_content(page: str):
    results = value(page, "results")
    assert set(results) == set(TITLES)
    for file, result in results.items():
        kind, title = TITLES[file]
        assert result["labels"] == {"what": Path(file).stem, "title": title}
        assert len(result["caption"]) > 100 and not result["size"].startswith("0")
        assert ("down and across" in result["caption"]) == (kind == "tables")
        assert result["data_uri"].startswith("data:") and len(result["data_uri"]) > 60
    assert len({result["caption"] for result in results.values()}) == 2 + len(ANSWERS)
