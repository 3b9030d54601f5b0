"""What is finished of a question: files that are there, cells that are whole, and questions that cannot be asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.helpers.shipped import ROOT

from polyprune.errors import UserError
from polyprune.settings.load import SHIPPED_FILES
from polyprune.workflow.finished import finished, main
from polyprune.workflow.ledger import read_config

SETTINGS = read_config([ROOT / file for file in SHIPPED_FILES])
CELL = "results/tiny-llama/gptq/w4g128/de/seed0"


def test_files_that_are_there_and_cells_that_are_whole(tmp_path: Path) -> None:
    """GPTQ of the demo: seven cells of 4 bits and seven of 8, four benchmarks each; one is whole, one lacks a file."""
    names = ("arc", "belebele", "hellaswag", "mmlu")
    made = [f"{CELL}/evaluation/items/{name}.parquet" for name in names]
    made.append(f"{CELL.replace('/de/', '/en/')}/evaluation/items/arc.parquet")
    for file in made:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    found = finished(SETTINGS, "tiny-llama", "de", "gptq", tmp_path)
    assert sorted(found["items"]) == sorted(made) and found["dumps"] == []
    four, eight = found["cells"]
    assert (four["scheme"], four["cells"], four["finished"]) == ("w4g128", 7, 1)
    assert four["lacking"] == ["ar", "en", "es", "ru", "sw", "zh"]
    assert (eight["scheme"], eight["finished"], len(eight["lacking"])) == ("w8g128", 0, 7)
    assert found["targets"] == ["results/demo/best_calibration.md"] and found["title"] == "tiny Llama"


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        (("tiny-lama", "de", None), "MODEL: 'tiny-lama' is not one of .*did you mean tiny-llama"),
        (("tiny-llama", "fr", None), "LANGUAGE: 'fr' is not one of ar, de"),
        (("tiny-llama", "de", "wnda"), "METHOD: 'wnda' is not one of .*did you mean wanda"),
        (("tiny-aya", "de", "ria"), "no study compresses tiny-aya by ria"),
    ],
)
def test_questions_that_cannot_be_asked(asked: tuple[str, str, str | None], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=complaint):
        finished(SETTINGS, *asked, tmp_path)


def test_the_command_prints_the_question(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["--model", "tiny-aya", "--language", "sw", "--method", ""]) == 0
    assert json.loads(capsys.readouterr().out)["language"] == "sw"
    assert main(["--model", "", "--language", "sw"]) == 1
    assert "as make answer MODEL=tiny-llama LANGUAGE=de; models: aya-23-35b" in capsys.readouterr().err
