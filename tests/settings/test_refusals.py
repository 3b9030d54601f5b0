"""What is wrong in a configuration is refused at once, all of it, with file, line and valid choices."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.helpers.configuration import complaints, edited, line_of, load
from tests.helpers.shipped import shipped_config

from polyprune.errors import UserError
from polyprune.grammar.methods import METHODS
from polyprune.grammar.schemes import parse_scheme
from polyprune.settings.load import load_settings
from polyprune.settings.models import Shape


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
        "codes, dataset, documents, field, files, kind, languages, revision; did you mean files?",
        f"{line_of(text, '  mine:')}: corpora.mine: Input tag 'file' found using 'kind' does not match any of the "
        "expected tags: 'demo', 'hub', 'files', 'tmx', 'prompts'",
        f"{line_of(text, 'languages: [de, de]')}: corpora.made.languages: de listed twice",
        f"{line_of(text, '  big:')}: models.big.title: this key is required",
        *(
            f"{shape}: models.{name}.shape.layers: Input should be a valid integer, got 'two'"
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
        "alps, awq, block_size, correlation, damping, dsnot, experts, gptq, lwanda, owl, ria, routers; did you "
        "mean damping?",
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
        f"{line_of(text, '  corpora: {')}: studies.corpora: 'corpora' is the name of a folder or file of results/; "
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
        "(model big)",
        f"{scheme}: {main}.schemes.1: wanda does not take 'w4g128': w4g128 is for quantisation, sparsities for pruning",
        f"{scheme}: {main}.schemes.1: sparsegpt does not take 'w4g128': w4g128 is for quantisation, "
        "sparsities for pruning",
        f"{scheme}: {main}.schemes.2: big does not take '2of128': its hidden width 64 is no multiple of 128",
        f"{scheme}: {main}.schemes.3: big does not take '4of5': its hidden width 64 is no multiple of 5",
    ]


def test_a_composed_cell_has_two_parts_that_there_are(tmp_path: Path):
    text = edited(("[de, de-en]", "[de, en]"), ('["0.50", 2of4]', '["0.50-layer1-from-en", "0.50-layer3-from-sw"]'))
    main, calibrations = "studies.first.grids.main", line_of(text, "calibrations: [de, en]")
    assert complaints(text, folder=tmp_path) == [
        f"{calibrations}: {main}.calibrations.0: calibration 'sw': 'sw' is not one of de, en (model big)",
        f"{calibrations}: {main}.calibrations.1: scheme '0.50-layer1-from-en' takes from calibration 'en' what it has; "
        "that cell is '0.50' (model big)",
        f"{line_of(text, 'schemes:')}: {main}.schemes.1: big does not take '0.50-layer3-from-sw': it has 2 layers, "
        "counted from 1",
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
        ("hidden: 64", "hidden: 66", "models.big.shape: hidden must be a multiple of heads where no `head`"),
        ("heads: 4", "heads: 6\n      head: 16", None),
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


@pytest.mark.parametrize(
    "name",
    ["corpora", "benchmarks", "prompts", "paper", "claims", "claims.md", "table2", "table12.parquet", "figure3.pdf"],
)
def test_a_model_cannot_be_named_like_what_lies_in_results(name: str, tmp_path: Path):
    text = edited(("  tiny:\n", f"  {name}:\n"))
    assert complaints(text, folder=tmp_path) == [
        f"{line_of(text, f'  {name}:')}: models.{name}: {name!r} is the name of a folder or file of results/; "
        "choose another"
    ]


@pytest.mark.parametrize("name", ["table-1", "tables", "corpora2", "claimsmd"])
def test_a_name_that_only_looks_like_it_is_free(name: str, tmp_path: Path):
    (tmp_path / "c.yaml").write_text(edited(("  tiny:\n", f"  {name}:\n")), encoding="utf-8")
    assert name in load([tmp_path / "c.yaml"]).models


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("layers: 2", "layers: true", "models.big.shape.layers: Input should be a valid integer, got True"),
        ("layers: 2", 'layers: "2"', "models.big.shape.layers: Input should be a valid integer, got '2'"),
        ("layers: 2", "layers: 2.0", "models.big.shape.layers: Input should be a valid integer, got 2.0"),
        (
            "layers: 2",
            f"layers: {10**30}",
            f"models.big.shape.layers: Input should be less than or equal to 1000000000, got {10**30}",
        ),
        ("layers: 2", "layers: .inf", "models.big.shape.layers: Input should be a valid integer, got inf"),
        (
            "seeds: [0, 1]",
            f"seeds: [0, {10**20}]",
            f"studies.first.grids.main.seeds.1: Input should be less than or equal to 2147483647, got {10**20}",
        ),
        (
            "seeds: [0, 1]",
            "seeds: [0, true]",
            "studies.first.grids.main.seeds.1: Input should be a valid integer, got True",
        ),
        ("train: 0.5", "train: true", "corpora.mine.shares.train: Input should be a valid number, got True"),
        ("train: 0.5", 'train: "0.5"', "corpora.mine.shares.train: Input should be a valid number, got '0.5'"),
        ("sw: 0.01", "sw: .nan", "models.tiny.source.outlier_languages.sw: Input should be a finite number, got nan"),
        ("      main:", "      ../main:", "studies.first.grids.../main: String should match pattern"),
    ],
)
def test_what_is_no_count_is_refused(old: str, new: str, complaint: str, tmp_path: Path):
    assert complaint in "\n".join(complaints(edited((old, new)), folder=tmp_path))


def test_masks_of_one_seed_cannot_be_compared(tmp_path: Path):
    one = edited(("report: drift", "report: mask_iou"), ("seeds: [0, 1]", "seeds: [0]"))
    assert complaints(one, folder=tmp_path) == [
        f"{line_of(one, 'grids: [main]')}: studies.first.tables.table1.grids.0: masks of several seeds are compared, "
        "and grid 'main' has one; list more `seeds`"
    ]
    figure = "        grids: [main]\n    figures: {figure1: {title: F, draws: mask_iou, grids: [main]}}\n"
    of_one = ("wanda, sparsegpt", "wanda"), ('["0.50", 2of4]', '["0.50"]')
    one = edited(("        grids: [main]\n", figure), ("seeds: [0, 1]", "seeds: [0]"), *of_one)
    assert [line.split(": ")[1] for line in complaints(one, folder=tmp_path)] == [
        "studies.first.figures.figure1.grids.0"
    ]


def test_a_benchmark_in_none_of_a_models_languages_is_refused(tmp_path: Path):
    """In some of them is enough: the table has these columns."""
    table = ("report: drift", "report: benchmarks\n        benchmarks: [belebele, arc]")
    swahili = edited(("languages: [de, en]", "languages: [sw]"), ("[de, de-en]", "[sw]"), table)
    assert complaints(swahili, folder=tmp_path) == [
        f"{line_of(swahili, 'benchmarks: [')}: studies.first.tables.table1.benchmarks.1: arc is in none of "
        "big's languages (sw), only in ar, de, en, es, ru, zh"
    ]
    both = edited(("languages: [de, en]", "languages: [sw, en]"), ("[de, de-en]", "[sw]"), table)
    (tmp_path / "c.yaml").write_text(both, encoding="utf-8")
    load([tmp_path / "c.yaml"])


def test_a_mix_needs_a_sequence_a_language(tmp_path: Path):
    text = edited(("calibration_sequences: 8", "calibration_sequences: 1"))
    assert complaints(text, folder=tmp_path) == [
        f"{line_of(text, 'calibrations:')}: studies.first.grids.main.calibrations.1: calibration 'de-en': a mix "
        "of 2 languages needs as many sequences (model big)"
    ]


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
