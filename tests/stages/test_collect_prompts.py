"""The prompts of one language, from the user's file or generated, as one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.helpers.digests import digest_by_hand
from tests.helpers.parallel_prompts import row, write_prompts

from polyprune.artifacts.prompts import Prompt, load_prompts
from polyprune.corpora.demo import reading_questions
from polyprune.errors import UserError
from polyprune.settings.text import DemoPrompts
from polyprune.stages.collect_prompts import collect_prompts

WHO = {"place": None, "schema": "prompts/2"}
ROWS = [row("b", 1), row("a", 10), row("a", 2)]


def metadata(path: Path) -> dict[str, Any]:
    return json.loads(pq.read_schema(path).metadata[b"polyprune"])


def test_prompts_of_a_file_are_sorted_and_say_what_they_are_from(tmp_path: Path):
    """Wherever the file lies; its content decides."""
    written = []
    for name, rows in (("here", ROWS), ("there", ROWS), ("turned", ROWS[::-1])):
        (tmp_path / name).mkdir()
        prompts = write_prompts(tmp_path / name, rows)
        collect_prompts(prompts, "en", tmp_path / "en.parquet", {"code": "abc"})
        assert load_prompts(tmp_path / "en.parquet") == [Prompt("a#2", "On a.\nQ2?"), Prompt("a#10", "On a.\nQ10?")]
        revision = digest_by_hand([".jsonl", tmp_path / name / "eng_Latn.jsonl"])
        assert metadata(tmp_path / "en.parquet") == {"code": "abc", "dataset": "files", "revision": revision} | WHO
        written.append((tmp_path / "en.parquet").read_bytes())
    assert written[0] == written[1] != written[2]


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path):
    prompts = write_prompts(tmp_path, ROWS)
    (tmp_path / "eng_Latn.jsonl").unlink()
    with pytest.raises(UserError, match=r"eng_Latn\.jsonl does not exist; correct the path"):
        collect_prompts(prompts, "en", tmp_path / "en.parquet", {})
    (tmp_path / "eng_Latn.jsonl").mkdir()
    with pytest.raises(UserError, match=r"eng_Latn\.jsonl is a folder; correct the path"):
        collect_prompts(prompts, "en", tmp_path / "en.parquet", {})


def test_generated_prompts_are_the_questions_on_the_passages_of_the_language(tmp_path: Path):
    settings = DemoPrompts(kind="demo", languages=["de", "sw"], n_prompts=7)
    for language in settings.languages:
        collect_prompts(settings, language, tmp_path / f"{language}.parquet", {"code": "abc"})
        found = load_prompts(tmp_path / f"{language}.parquet")
        asked = reading_questions(language, 7, "prompts")
        assert [each.text.split("\n") for each in found] == [[each.passage, each.question] for each in asked]
        assert [each.item for each in found] == [f"0000{number}" for number in range(7)]
    assert metadata(tmp_path / "sw.parquet") == {"code": "abc", "dataset": "generated"} | WHO
    before = (tmp_path / "sw.parquet").read_bytes()
    collect_prompts(settings, "sw", tmp_path / "sw.parquet", {"code": "abc"})
    assert (tmp_path / "sw.parquet").read_bytes() == before != (tmp_path / "de.parquet").read_bytes()


def test_fewer_generated_prompts_are_the_first_of_more(tmp_path: Path):
    for n in (3, 7):
        settings = DemoPrompts(kind="demo", languages=["zh"], n_prompts=n)
        collect_prompts(settings, "zh", tmp_path / f"{n}.parquet", {})
    assert load_prompts(tmp_path / "3.parquet") == load_prompts(tmp_path / "7.parquet")[:3]


def test_a_file_with_too_few_prompts_is_refused_and_nothing_is_written(tmp_path: Path):
    with pytest.raises(UserError) as refused:
        collect_prompts(write_prompts(tmp_path, ROWS[:1]), "en", tmp_path / "en.parquet", {})
    assert str(refused.value) == (f"{tmp_path / 'eng_Latn.jsonl'} has 1 prompts, 2 are wanted: lower `n_prompts`")
    assert not list(tmp_path.glob("*.parquet*"))
