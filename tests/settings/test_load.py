"""What is shipped is valid; values arrive typed, and each has its line."""

from __future__ import annotations

import copy
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.helpers.configuration import CORRECT, complaints, edited, line_of, load, merged

from polyprune.errors import UserError
from polyprune.grammar.paths import Cell
from polyprune.settings.load import SHIPPED_FILES, load_settings
from polyprune.settings.text import DemoCorpus, FilesCorpus, HubCorpus
from polyprune.settings.yaml_lines import read_yaml, read_yaml_lines, repeated_keys

ROOT = Path(__file__).parents[2]
SHIPPED = [ROOT / file for file in SHIPPED_FILES]
STUDIES = sorted((ROOT / "studies").glob("*.yaml"))


def test_snakemake_merges_configuration_files_as_these_tests_do():
    from snakemake.utils import update_config

    base, over = {"a": {"b": [1, 2], "c": 1}, "d": 1}, {"a": {"b": [3]}, "d": {"e": 1}}
    by_snakemake = copy.deepcopy(base)
    update_config(by_snakemake, over)
    assert merged(base, over) == by_snakemake == {"a": {"b": [3], "c": 1}, "d": {"e": 1}}


def test_the_shipped_configuration_is_valid():
    settings = load(SHIPPED)
    assert isinstance(settings.corpora["mc4"], HubCorpus)
    assert isinstance(settings.corpora["demo"], DemoCorpus)
    paper = settings.studies["paper"].cells("table1")
    assert len(paper) == len(set(paper)) == 2 * 2 * 1 * 7 * 3
    assert paper[0] == Cell("llama-3-8b", "wanda", "0.50", "ar", 0)
    assert {cell.calibration for cell in settings.studies["demo"].cells("table1")} >= {"sw", "ar-de-en-es-ru-sw-zh"}


@pytest.mark.parametrize("study", STUDIES, ids=lambda file: file.stem)
def test_every_shipped_study_is_valid_over_the_configuration(study: Path):
    settings = load([*SHIPPED, study])
    assert settings.studies[study.stem].cells("table1")
    assert "paper" in settings.studies


def test_values_arrive_typed_and_defaults_are_filled_in(tmp_path: Path):
    (tmp_path / "c.yaml").write_text(CORRECT, encoding="utf-8")
    settings = load([tmp_path / "c.yaml"])
    assert isinstance(settings.corpora["mine"], FilesCorpus)
    assert settings.corpora["mine"].languages == ["de", "en"]
    assert settings.languages_of("tiny") == ["de", "sw"]
    assert settings.models["tiny"].text.corpus == "made"
    assert settings.models["tiny"].text.sequence_length == 256
    assert settings.compression.damping == 0.01
    assert settings.models["big"].sizes.linear_weights == 2 * (64 * 16 * 12 + 3 * 64 * 192)


def test_a_cell_that_two_grids_share_is_in_the_table_once(tmp_path: Path):
    grid = """
      main:
        models: [big]
        methods: [wanda, sparsegpt]
        schemes: ["0.50", 2of4]
        calibrations: [de, de-en]
        seeds: [0, 1]
"""
    again = grid.replace("main:", "again:").replace("[0, 1]", "[1, 2]")
    text = edited((grid, grid + again), ("grids: [main]", "grids: [main, again]"))
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    cells = load([tmp_path / "c.yaml"]).studies["first"].cells("table1")
    assert len(cells) == len(set(cells)) == 2 * 2 * 2 * 3
    assert [cell.seed for cell in cells[:2]] == [0, 1]
    assert cells[-1] == Cell("big", "sparsegpt", "2of4", "de-en", 2)


def test_the_line_is_of_the_last_file_that_says_the_value(tmp_path: Path):
    base = edited(("      sequence_length: 256", "      sequence_length: 512"))
    over = "\nmodels:\n  tiny:\n    text:\n      sequence_length: 1024\n"
    assert complaints(base, over, folder=tmp_path) == [
        f"{line_of(base, 'sequence_length: 512')}: models.big.text.sequence_length: "
        "512 is beyond the model's 256 positions",
        "1.yaml:5: models.tiny.text.sequence_length: 1024 is beyond the model's 256 positions",
    ]


def test_lines_of_keys_that_override_merged_ones(tmp_path: Path):
    (tmp_path / "c.yaml").write_text(
        "a: &a\n  x: 1\n  y: [1, 2]\nb: &b\n  z: 3\nc:\n  <<: [*a, *b]\n  x: 2\nd:\n  e:\n  - 1\n  - f: 1\n",
        encoding="utf-8",
    )
    lines = read_yaml_lines(tmp_path / "c.yaml").lines
    assert lines[("c", "x")] == 8
    assert lines[("c", "y")] == 3
    assert lines[("c", "y", 1)] == 3
    assert lines[("c", "z")] == 5
    assert lines[("d", "e", 1, "f")] == 12
    assert ("c", "<<") not in lines


def test_an_empty_file_has_no_lines(tmp_path: Path):
    (tmp_path / "c.yaml").write_text("# nothing\n", encoding="utf-8")
    assert read_yaml_lines(tmp_path / "c.yaml").lines == {}


def test_a_value_from_the_command_line_has_no_line(tmp_path: Path):
    (tmp_path / "c.yaml").write_text(CORRECT, encoding="utf-8")
    config = merged(yaml.safe_load(CORRECT), {"engine": {"device": "tpu"}})
    with pytest.raises(UserError, match=r"config: engine\.device: Input should be 'auto', 'cpu' or 'cuda', got 'tpu'"):
        load_settings(config, [tmp_path / "c.yaml"])


def children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_loading_is_fast_and_takes_no_torch():
    code = (
        "import sys, pathlib, yaml; from polyprune.settings.load import load_settings; "
        "file = pathlib.Path('config.yaml'); load_settings(yaml.safe_load(file.read_text()), [file]); "
        "print(sorted({'torch', 'transformers', 'pandas', 'h5py'} & set(sys.modules)))"
    )
    before = children_seconds()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"PYTHONPATH": "workflow_scripts"}, capture_output=True, text=True
    )
    used = children_seconds() - before
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
    assert used < 2.0, f"{used:.1f} s of CPU time"


def test_a_key_that_stands_twice_in_a_mapping_is_refused_with_both_lines(tmp_path: Path):
    """YAML's readers would take the last, and say nothing."""
    seeds = "        seeds: [0, 1]\n"
    line = int(line_of(CORRECT, seeds).partition(":")[2])
    (tmp_path / "c.yaml").write_text(CORRECT.replace(seeds, f"{seeds}        seeds: [1]\n"), encoding="utf-8")
    with pytest.raises(UserError) as refused:
        load([tmp_path / "c.yaml"])
    said = f"stands twice in {tmp_path / 'c.yaml'}, on lines {line} and {line + 1}, and only the last would count"
    assert said in str(refused.value)


def test_keys_of_merged_mappings_may_be_said_again(tmp_path: Path):
    (tmp_path / "c.yaml").write_text("a: &a {x: 1}\nb: {<<: *a, x: 2}\nc: [{x: 1}, {x: 1, y: {x: 1}}]\n")
    assert list(repeated_keys(tmp_path / "c.yaml")) == []
    (tmp_path / "c.yaml").write_text("a: [{x: 1}, {x: 1,\n y: {x: 1, z: 2, x: 3}}]\n")
    assert list(repeated_keys(tmp_path / "c.yaml")) == [(("a", 1, "y", "x"), 2, 2)]


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "a: &a {b: *a}\n", "a: &a {<<: *a}\n"])
def test_an_anchor_that_holds_itself_is_refused_whoever_reads_the_file(text: str, tmp_path: Path):
    """Snakemake's own reader takes some of them."""
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    for read in (lambda file: load_settings({}, [file]), read_yaml, read_yaml_lines):
        with pytest.raises(UserError, match=r"c\.yaml:1: what the anchor here names holds an alias of itself"):
            read(tmp_path / "c.yaml")


@pytest.mark.parametrize(("word", "read"), [("no", "False, as which YAML reads no and off"), ("on", "True, as which")])
def test_a_word_that_yaml_takes_for_a_truth_is_to_stand_in_quotes(word: str, read: str):
    config = yaml.safe_load(f"corpora: {{x: {{kind: demo, languages: [{word}, de]}}}}")
    with pytest.raises(UserError, match=f"languages.0: .* got {read}.*: write a language or a name in quotes"):
        load_settings(config)
