"""Targets that nothing makes are refused with what was meant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.helpers.shipped import shipped_config

from polyprune.errors import UserError
from polyprune.settings.config import Settings
from polyprune.settings.load import load_settings
from polyprune.workflow.starts import require_choice, require_target, require_targets, uses_profile

CELL = "llama-3-8b/wanda/0.50/de/seed0/perplexity.parquet"


@dataclass(frozen=True)
class Rule:
    """What of Snakemake's is asked of a rule."""

    name: str
    output: tuple[str, ...] = ()

    def is_producer(self, path: str) -> bool:
        values = r"(?P<\1>[a-z0-9.-]+)"
        return any(re.fullmatch(re.sub(r"\{(\w+)\}", values, each), path) for each in self.output)


RULES = [
    Rule("demo"),
    Rule("tables", ("results/table1.parquet", "results/table2.parquet", "results/report.html")),
    Rule("collect", ("results/corpora/{corpus}/{language}.parquet",)),
    Rule(
        "prune_model", (f"results/{CELL}", "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/x/config.json")
    ),
    Rule("dump", ("results/{model}/dense/hidden_states/mc4/de.h5", "results/{model}/dense/hidden_states/mc4/en.h5")),
]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(shipped_config())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One with a study in a file that was not named."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/own.yaml").write_text("models: {my-model: {}}\nstudies: {own: {}}\n", encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("a: [", encoding="utf-8")
    (tmp_path / "there.txt").touch()
    return tmp_path


@pytest.mark.parametrize("target", ["paper", "results/table1.parquet", "results/report.html", f"results/{CELL}"])
def test_targets_pass(target: str, settings: Settings):
    require_target(target, settings)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("table2", "table2 is no target: type results/table2.parquet"),
        ("table2.png", "table2.png is no target: type results/table2.png"),
        ("figure1", "figure1 is no target: type results/figure1.pdf"),
        ("results/table2", "results/table2 is no target: type results/table2.parquet"),
        ("resuts/table2.parquet", "resuts/table2.parquet is no target: type results/table2.parquet"),
        ("demo/table1", "demo/table1 is no target: type results/demo/table1.parquet"),
        (CELL, f"{CELL} is no target: type results/{CELL}"),
        ("papr", "papr is no target: type paper"),
        (
            "own",
            "which was not named (make: CONFIGFILE=studies/own.yaml): type --configfile studies/own.yaml -- own",
        ),
        ("results/own/table1.md", "type --configfile studies/own.yaml -- results/own/table1.md"),
        ("results/my-model/model.json", "type --configfile studies/own.yaml -- results/my-model/model.json"),
        ("results/other/table1.md", "known where it is named: --configfile FILE -- results/other/table1.md"),
    ],
)
def test_others_are_refused_with_what_to_type(target: str, said: str, settings: Settings):
    with pytest.raises(UserError) as refused:
        require_target(target, settings)
    assert str(refused.value).endswith(said)


@pytest.mark.parametrize(
    "words",
    [
        "--profile local --cores 2 -n paper",
        "-n prune_model",
        "-n there.txt",
        "--config a=1 b=2 -- paper",
        "--forcerun prune_model train_model -- results/table1.parquet",
        "--set-threads prune_model=2 dump=3 --keep-going demo",
    ],
)
def test_command_lines_pass_whatever_their_options_take(words: str, settings: Settings):
    require_targets(words.split(), settings, RULES)


@pytest.mark.parametrize("words", ["-n table2", "--cores 2 table2", "--profile local -- table2", "paper table2 -n"])
def test_a_wrong_target_is_found_wherever_it_stands(words: str, settings: Settings):
    with pytest.raises(UserError, match=r"type results/table2\.parquet"):
        require_targets(words.split(), settings, RULES)


def test_a_result_that_nothing_makes_any_more_is_no_target_although_it_is_there(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for place in ("results/former/model.json", "notes.txt"):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).touch()
    require_targets(["-n", "notes.txt"], settings, RULES)
    with pytest.raises(UserError, match=r"results/former/model\.json: 'former' is"):
        require_targets(["-n", "results/former/model.json"], settings, RULES)


@pytest.mark.parametrize("place", ["results", "elsewhere"])
def test_results_are_not_named_by_their_absolute_places(place: str, settings: Settings, folder: Path):
    """Snakemake would not know them, or believe that they are finished where they are there."""
    (folder / "elsewhere").mkdir()
    (folder / "results").symlink_to("elsewhere")
    (folder / "elsewhere/table1.parquet").touch()
    with pytest.raises(UserError, match=r"type results/table1\.parquet$"):
        require_targets(["-n", str(folder / place / "table1.parquet")], settings, RULES)
    require_targets(["-n", str(folder / "there.txt")], settings, RULES)


def test_a_profile_is_named_by_an_option_or_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    assert uses_profile(["--profile", "local"]) and uses_profile(["--profile=slurm", "-n"])
    assert not uses_profile(["--cores", "2", "paper"])
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "local")
    assert uses_profile([])


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        (f"results/{CELL}", None),
        ("results/corpora/demo/de.parquet", None),
        ("results/report.htm", "; did you mean results/report.html?"),
        ("results/corpora/demo/de.parquets", "; did you mean results/corpora/demo/de.parquet?"),
        (
            "results/tiny-llama/wanda/0.50/de/seed0/export/config.jsn",
            "; did you mean results/tiny-llama/wanda/0.50/de/seed0/x/config.json?",
        ),
        (
            "results/llama-3-8b/dense/hidden_states/mc4/es.h5",
            "did you mean results/llama-3-8b/dense/hidden_states/mc4/",
        ),
        ("results/tiny-llama/wanda", ""),
    ],
)
def test_a_path_that_no_rule_makes_is_refused_with_the_nearest(word: str, hint: str | None, settings: Settings):
    """Although it is of the grammar as far as that goes."""
    if hint is None:
        require_targets(["-n", "--", word], settings, RULES)
        return
    with pytest.raises(UserError) as refused:
        require_targets(["-n", "--", word], settings, RULES)
    assert str(refused.value).startswith(f"{word} is no target: no rule makes such a file")
    assert hint in str(refused.value) and ("did you mean" in str(refused.value)) == bool(hint)


def test_the_papers_study_does_not_begin_where_another_was_named():
    """Settings alone, a target, or the paper's own study edited do begin it."""
    own, broken = Path("studies/own.yaml"), Path("broken.yaml")
    Path("engine.yaml").write_text("engine: {device: cpu}\nstudies:\n")
    Path("paper.yaml").write_text("studies: {other: {}, paper: {}}\n")
    require_choice({"results/own/table1.parquet"}, [own])
    for files in ([], [Path("engine.yaml")], [broken], [own, Path("paper.yaml")]):
        require_choice(frozenset(), files)
    with pytest.raises(
        UserError, match="no target was named, and the default is the paper's study: type -- own behind"
    ):
        require_choice(frozenset(), [Path("engine.yaml"), own])
