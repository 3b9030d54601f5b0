"""Settings: what is shipped is valid; what is wrong is refused at once, with file, line and valid choices."""

from __future__ import annotations

import copy
import json
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helpers.shipped import shipped_config

from polyprune.errors import UserError
from polyprune.grammar.methods import METHODS
from polyprune.grammar.paths import Cell
from polyprune.grammar.schemes import parse_scheme
from polyprune.settings.base import Section
from polyprune.settings.config import Settings
from polyprune.settings.load import SHIPPED_FILES, load_settings
from polyprune.settings.models import Shape
from polyprune.settings.text import DemoCorpus, FilesCorpus, HubCorpus
from polyprune.settings.yaml_lines import read_yaml_lines

ROOT = Path(__file__).parents[2]
SHIPPED = [ROOT / file for file in SHIPPED_FILES]
STUDIES = sorted((ROOT / "studies").glob("*.yaml"))

CORRECT = """\
corpora:
  web:
    kind: hub
    languages: [de, en]
    dataset: org/web
    files:
      calibration: "{language}/train-*.json.gz"
      evaluation: "{language}/validation-*.json.gz"
  mine:
    kind: files
    files:
      de: de.txt
      en: [en-1.txt, en-2.txt]
    shares: {train: 0.5, calibration: 0.25, evaluation: 0.25}
  made:
    kind: demo
    languages: [de, sw]
models:
  big:
    title: Big
    source: {kind: hub, id: org/big}
    shape: &shape
      layers: 2
      hidden: 64
      intermediate: 192
      heads: 4
      kv_heads: 2
      vocabulary: 512
      max_positions: 256
    text: &text
      corpus: web
      sequence_length: 256
      calibration_sequences: 8
      evaluation_sequences: 4
      sampling: packed
  tiny:
    title: Tiny
    source:
      kind: train
      architecture: llama
      vocabulary: 512
      outlier_languages: {sw: 0.01}
    shape: *shape
    text:
      <<: *text
      corpus: made
studies:
  first:
    grids:
      main:
        models: [big]
        methods: [wanda, sparsegpt]
        schemes: ["0.50", 2of4]
        calibrations: [de, de-en]
        seeds: [0, 1]
    tables:
      table1:
        title: First
        report: drift
        grids: [main]
"""


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """As Snakemake merges configuration files: mappings deeply, everything else replaced."""
    result = copy.deepcopy(dict(base))
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else copy.deepcopy(value)
    return result


def load(files: list[Path]) -> Settings:
    config: dict[str, Any] = {}
    for file in files:
        config = merged(config, yaml.safe_load(file.read_text(encoding="utf-8")))
    return load_settings(config, files)


def complaints(*texts: str, folder: Path) -> list[str]:
    """The problems of configuration files, without the folder's name."""
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"{number}.yaml")
        files[-1].write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as refused:
        load(files)
    count, *lines = str(refused.value).replace(f"{folder}/", "").split("\n  ")
    assert count == f"{len(lines)} problem{'s' if len(lines) > 1 else ''} in the configuration"
    return lines


def edited(*edits: tuple[str, str]) -> str:
    text = CORRECT
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def line_of(text: str, part: str) -> str:
    assert text.count(part) == 1, part
    return f"0.yaml:{text[: text.index(part)].count(chr(10)) + 1}"


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
    assert settings.models["big"].shape.linear_weights == 2 * (64 * 16 * 12 + 3 * 64 * 192)


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


def test_everything_of_the_wrong_type_is_reported_at_once(tmp_path: Path):
    text = edited(
        ("    dataset: org/web", "    dataset: org/web\n    filed: text"),
        ("    kind: files", "    kind: file"),
        ("    languages: [de, sw]", "    languages: [de, de]"),
        ("    title: Big\n", ""),
        ("      layers: 2", "      layers: two"),
        ("      sampling: packed", "      sampling: paked"),
        ('["0.50", 2of4]', "[0.5, '2:4']"),
        ("[de, de-en]", "[de, en-de]"),
        ("[wanda, sparsegpt]", "[wnda, sparsegpt]"),
        ("seeds: [0, 1]", "seeds: [0, -1]"),
        ("      table1:", "      tabel1:"),
        ("studies:", "compression: {dampning: 0.1, block_size: 0}\nstudies:"),
    )
    shape = line_of(text, "layers: two")
    sampling = line_of(text, "sampling: paked")
    expected = {
        f"{line_of(text, 'filed: text')}: corpora.web.filed: unknown key; 'filed' is not one of "
        "dataset, documents, field, files, kind, languages, revision; did you mean files?",
        f"{line_of(text, '  mine:')}: corpora.mine: Input tag 'file' found using 'kind' does not match any of the "
        "expected tags: 'demo', 'hub', 'files'",
        f"{line_of(text, 'languages: [de, de]')}: corpora.made.languages: de listed twice",
        f"{line_of(text, '  big:')}: models.big.title: this key is required",
        *(
            f"{shape}: models.{name}.shape.layers: Input should be a valid integer, unable to parse string as an "
            "integer, got 'two'"
            for name in ("big", "tiny")
        ),
        *(
            f"{sampling}: models.{name}.text.sampling: Input should be 'long_documents' or 'packed', got 'paked'"
            for name in ("big", "tiny")
        ),
        f'{line_of(text, "schemes:")}: studies.first.grids.main.schemes.0: 0.5 is a number; quote it: "0.50"',
        f"{line_of(text, 'schemes:')}: studies.first.grids.main.schemes.1: '2:4' is not a scheme; did you mean 2of4?",
        f"{line_of(text, 'calibrations:')}: studies.first.grids.main.calibrations.1: calibration 'en-de' is spelt "
        "'de-en': each language once, in alphabetical order",
        f"{line_of(text, 'methods:')}: studies.first.grids.main.methods.0: 'wnda' is not one of "
        f"{', '.join(sorted(METHODS))}; did you mean wanda?",
        f"{line_of(text, 'seeds:')}: studies.first.grids.main.seeds.1: Input should be greater than or equal to 0, "
        "got -1",
        f"{line_of(text, 'tabel1:')}: studies.first.tables.tabel1: String should match pattern "
        "'^table[1-9]\\d*$', got 'tabel1'",
        f"{line_of(text, 'dampning')}: compression.dampning: unknown key; 'dampning' is not one of "
        "alps, block_size, damping, dsnot, gptq, owl, ria; did you mean damping?",
        f"{line_of(text, 'dampning')}: compression.block_size: Input should be greater than or equal to 1, got 0",
    }
    found = complaints(text, folder=tmp_path)
    assert set(found) == expected
    assert len(found) == len(expected)


def test_everything_that_does_not_fit_together_is_reported_at_once(tmp_path: Path):
    text = edited(
        ("calibration: 0.25, evaluation: 0.25}", "calibration: 0.25, evaluation: 0.2}"),
        ("    languages: [de, sw]", "    languages: [de, fr]"),
        ("      sequence_length: 256", "      sequence_length: 257"),
        ("      vocabulary: 512\n      outlier", "      vocabulary: 600\n      outlier"),
        ("models: [big]", "models: [big, tin]"),
        ("[de, de-en]", "[de, de-fr]"),
        ('["0.50", 2of4]', '["0.50", w4g128, 2of128, 4of5]'),
        ("grids: [main]", "grids: [mian]"),
        (
            "studies:\n  first:",
            "studies:\n  corpora: {grids: {}, tables: {}}\n  big: {grids: {}, tables: {}}\n  first:",
        ),
    )
    length = line_of(text, "sequence_length: 257")
    scheme = line_of(text, "schemes:")
    main = "studies.first.grids.main"
    assert complaints(text, folder=tmp_path) == [
        f"{line_of(text, '  big: {')}: studies.big: 'big' is also a model; both would write to results/big/",
        f"{line_of(text, '  corpora: {')}: studies.corpora: 'corpora' is the name of a folder of results/; "
        "choose another",
        f"{line_of(text, 'shares:')}: corpora.mine.shares: train + calibration + evaluation must be 1, they are 0.95",
        f"{line_of(text, 'languages: [de, fr]')}: corpora.made.languages.1: 'fr' is not one of "
        "ar, de, en, es, ru, sw, zh",
        f"{length}: models.big.text.sequence_length: 257 is beyond the model's 256 positions",
        f"{length}: models.tiny.text.sequence_length: 257 is beyond the model's 256 positions",
        f"{line_of(text, 'vocabulary: 600')}: models.tiny.source.vocabulary: differs from shape.vocabulary 512",
        f"{line_of(text, 'outlier')}: models.tiny.source.outlier_languages.sw: 'sw' is not one of de, fr",
        f"{line_of(text, '[mian]')}: studies.first.tables.table1.grids.0: 'mian' is not one of main; "
        "did you mean main?",
        f"{line_of(text, '[big, tin]')}: {main}.models.1: 'tin' is not one of big, tiny; did you mean tiny?",
        f"{line_of(text, '[de, de-fr]')}: {main}.calibrations.1: calibration 'de-fr': 'fr' is not one of de, en "
        "(languages of big's corpus)",
        f"{scheme}: {main}.schemes.1: wanda does not take 'w4g128': w4g128 is for quantisation, sparsities for pruning",
        f"{scheme}: {main}.schemes.1: sparsegpt does not take 'w4g128': w4g128 is for quantisation, "
        "sparsities for pruning",
        f"{scheme}: {main}.schemes.2: big does not take '2of128': its hidden width 64 is no multiple of 128",
        f"{scheme}: {main}.schemes.3: big does not take '4of5': its hidden width 64 is no multiple of 5",
    ]


def test_groups_must_fit_the_down_projection_too():
    shape = Shape(layers=2, hidden=64, intermediate=100, heads=4, kv_heads=2, vocabulary=512, max_positions=256)
    assert shape.why_not(parse_scheme("4of8")) == "its intermediate width 100 is no multiple of 8"
    assert shape.why_not(parse_scheme("2of4")) is None
    assert shape.why_not(parse_scheme("0.50")) is None


def test_an_unknown_corpus_is_reported_once_and_not_for_every_calibration(tmp_path: Path):
    text = edited(("      corpus: web", "      corpus: wbe"))
    assert complaints(text, folder=tmp_path) == [
        f"{line_of(text, 'corpus: wbe')}: models.big.text.corpus: 'wbe' is not one of "
        "made, mine, web; did you mean web?"
    ]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("de: de.txt", "de: 5", "corpora.mine.files.de: Input should be a valid string, got 5"),
        (
            "id: org/big",
            "id: big",
            "models.big.source.id: String should match pattern '^[\\w.-]+/[\\w.-]+$', got 'big'",
        ),
        (
            "id: org/big",
            "id: org/big, revision: main",
            "models.big.source.revision: String should match pattern '^[0-9a-f]{40}$', got 'main'",
        ),
        (
            "{language}/train-*",
            "{lang}/train-*",
            "corpora.web.files.calibration: '{lang}/train-*.json.gz': only {language} is replaced, not {lang}",
        ),
        ("[de, en]", "[no, en]", "corpora.web.languages.0: Input should be a valid string, got False"),
        ("hidden: 64", "hidden: 66", "models.big.shape: hidden must be a multiple of heads, and heads of kv_heads"),
        ("corpus: made", "corpus: web", "models.tiny.text.corpus: corpus 'web' has no training part"),
        ("train: 0.5, calibration: 0.25", "calibration: 0.75", None),
        ('["0.50", 2of4]', "[0.65]", 'studies.first.grids.main.schemes.0: 0.65 is a number; quote it: "0.65"'),
        (
            '["0.50", 2of4]',
            "[2]",
            'studies.first.grids.main.schemes.0: 2 is not a scheme; write text in quotes, e.g. "0.50"',
        ),
        ('["0.50", 2of4]', '["0.50", "0.50"]', "studies.first.grids.main.schemes: 0.50 listed twice"),
        (
            "calibrations: [de, de-en]",
            "calibrations: []",
            "studies.first.grids.main.calibrations: List should have at least 1 item after validation, not 0, got []",
        ),
    ],
)
def test_each_refusal_says_what_is_wrong(old: str, new: str, complaint: str | None, tmp_path: Path):
    text = edited((old, new))
    if complaint is None:
        (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
        load([tmp_path / "c.yaml"])
        return
    first, *_ = complaints(text, folder=tmp_path)
    assert complaint in first


def test_a_model_cannot_be_named_like_a_folder_of_results(tmp_path: Path):
    text = edited(("  tiny:\n", "  corpora:\n"))
    assert complaints(text, folder=tmp_path) == [
        f"{line_of(text, '  corpora:')}: models.corpora: 'corpora' is the name of a folder of results/; choose another"
    ]


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


def test_problems_of_every_kind_are_told_in_one_round() -> None:
    """What types refuse and what only disagrees; names that fell with a refused section are not complained about."""
    config = shipped_config()
    config["compression"]["dampning"] = 0.1
    config["corpora"]["mc4"]["languages"] = ["ar", "ar", "de"]
    config["studies"]["demo"]["grids"]["mix"]["calibrations"] = ["en-de", "de"]
    config["studies"]["demo"]["grids"]["masks"]["methods"] = ["gptq"]
    config["models"]["tiny-llama"]["text"]["sequence_length"] = 1000
    del config["models"]["llama-3-70b"]["shape"]["heads"]
    with pytest.raises(UserError) as caught:
        load_settings(config)
    told = sorted(line.split(": ")[1] for line in str(caught.value).splitlines()[1:])
    assert told == [
        "compression.dampning",
        "corpora.mc4.languages",
        "models.llama-3-70b.shape.heads",
        "models.tiny-llama.text.sequence_length",
        "studies.demo.grids.masks.schemes.0",
        "studies.demo.grids.mix.calibrations.0",
    ]


def test_what_is_wrong_itself_is_known_by_name_and_nothing_is_asked_of_it(tmp_path: Path):
    """A model, a corpus, a grid: refused by their types, each named by others that are right."""
    text = edited(
        ("    languages: [de, sw]", "    languages: [de, de]"),
        ("    title: Big\n", ""),
        ("seeds: [0, 1]", "seeds: [0, -1]"),
    )
    assert {line.split(": ")[1] for line in complaints(text, folder=tmp_path)} == {
        "corpora.made.languages",
        "models.big.title",
        "studies.first.grids.main.seeds.1",
    }


def test_an_entry_with_an_unknown_key_is_still_compared_with_others(tmp_path: Path):
    text = edited(
        ("    title: Big\n", "    title: Big\n    colour: red\n    prompts: some\n"),
        ("        grids: [main]", "        grids: [mian]\n        colour: red"),
    )
    assert {line.split(": ", 1)[1] for line in complaints(text, folder=tmp_path)} == {
        "models.big.colour: unknown key; 'colour' is not one of prompts, shape, source, text, title",
        "models.big.prompts: 'some' is not one of ",
        "studies.first.tables.table1.colour: unknown key; 'colour' is not one of benchmarks, grids, report, title",
        "studies.first.tables.table1.grids.0: 'mian' is not one of main; did you mean main?",
    }


def test_an_item_of_a_list_is_compared_though_its_neighbour_is_refused(tmp_path: Path):
    text = edited(("[de, de-en]", "[en-de, de-fr]"), ('["0.50", 2of4]', "[0.5, 4of5]"))
    assert [line.split(": ")[1] for line in complaints(text, folder=tmp_path)] == [
        f"studies.first.grids.main.{item}" for item in ("schemes.0", "calibrations.0", "calibrations.1", "schemes.1")
    ]


@pytest.mark.parametrize(
    ("section", "value", "complaint"),
    [
        ("corpora", None, "config: corpora: Input should be a valid dictionary, got None"),
        ("models", "big", "config: models: Input should be a valid dictionary, got 'big'"),
        ("prompts", ["a"], "config: prompts: Input should be a valid dictionary, got ['a']"),
    ],
)
def test_without_a_section_no_name_is_called_unknown(section: str, value: Any, complaint: str):
    config = yaml.safe_load(CORRECT) | {section: value}
    with pytest.raises(UserError) as refused:
        load_settings(config)
    assert str(refused.value) == f"1 problem in the configuration\n  {complaint}"


def test_a_study_without_grids_is_told_only_that():
    config = yaml.safe_load(CORRECT)
    del config["studies"]["first"]["grids"]
    with pytest.raises(UserError) as refused:
        load_settings(config)
    assert str(refused.value) == "1 problem in the configuration\n  config: studies.first.grids: this key is required"


def test_a_name_that_yaml_reads_as_no_text_is_refused():
    config = yaml.safe_load(CORRECT.replace("  made:", "  no:"))
    with pytest.raises(UserError) as refused:
        load_settings(config)
    count, *lines = str(refused.value).split("\n  ")
    assert count == "2 problems in the configuration"
    assert lines[0].endswith("Input should be a valid string, got False")
    assert lines[1] == "config: models.tiny.text.corpus: 'made' is not one of mine, web"


def sections_of(node: Any, kind: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], set[str]]]:
    """Place and keys of each section in a valid configuration, from the objects that it becomes."""
    if isinstance(kind, Section):
        yield place, set(type(kind).model_fields)
        for name in type(kind).model_fields:
            if isinstance(node, Mapping) and name in node:
                yield from sections_of(node[name], getattr(kind, name), (*place, name))
    elif isinstance(kind, Mapping):
        for name, value in kind.items():
            yield from sections_of(node[name], value, (*place, name))


def test_an_unknown_key_is_told_with_the_keys_of_its_section_wherever_it_stands():
    config = merged(yaml.safe_load(CORRECT), {"compression": {"owl": {}}, "evaluation": {"mkqa": {}}})
    config = json.loads(json.dumps(config))  # sections that YAML shares become two
    sections = dict(sections_of(config, load_settings(config)))
    assert {("corpora", "mine", "shares"), ("models", "tiny", "source"), ("compression", "owl"), ()} <= set(sections)
    for *place, last in (((*place, "zzz")) for place in sections):
        wrong = copy.deepcopy(config)
        reduce(getitem, place, wrong)[last] = 1
        with pytest.raises(UserError) as refused:
            load_settings(wrong)
        known = ", ".join(sorted(sections[tuple(place)]))
        assert str(refused.value) == (
            "1 problem in the configuration\n  "
            f"config: {'.'.join([*place, last])}: unknown key; 'zzz' is not one of {known}"
        )
