"""Why, from files: traits of languages, tests on damage of known causes, the page and the picture."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats
from tests.helpers.checkout import ROOT
from tests.helpers.headers import scored
from tests.helpers.scores import write_variant
from tests.helpers.titles import titles_of

from polyprune.artifacts.evaluations import SCORES, SCORES_SCHEMA
from polyprune.artifacts.prompts import PromptSet, save_prompt_set
from polyprune.artifacts.tables import save_table
from polyprune.errors import UserError
from polyprune.report.why.why import GIVEN, damage, distances, explain, losses, mantel_rows, pairs, traits
from polyprune.stages.explain_damage import explain_damage

LANGUAGES = ("ar", "de", "en", "es", "ru", "sw", "zh")
INDO_EUROPEAN = ("de", "en", "es", "ru")
COLUMNS = ("ar", "de", "en-e", "en-c", "es", "ru", "zh")
"""Of the benchmark, which has no Swahili."""


def language(column: str) -> str:
    return column.split("-")[0]


def log_perplexity(calibration: str, evaluated: str) -> float:
    """Harm by kinship alone: nothing in the own language, little within a phylum, much beyond; and a level each."""
    harm = 0.0 if calibration == evaluated else 0.1 if {calibration, evaluated} <= set(INDO_EUROPEAN) else 0.3
    return 2.0 + harm + 0.1 * LANGUAGES.index(evaluated)


def accuracy(calibration: str, column: str) -> float:
    """Each nat of drift costs ten points."""
    return 0.8 - 0.1 * log_perplexity(calibration, language(column)) - 0.01 * COLUMNS.index(column)


def benchmark_file(path: Path, calibration: str) -> Path:
    variant = {"model": "m", "method": "wanda", "scheme": "0.50", "calibration": calibration, "seed": 0}
    rows = [
        {**variant, "benchmark": "arc", "eval_language": column, "task": column, "metric": "acc", "unit": "1"}
        | {"value": accuracy(calibration, column), "n": 50, "headline": True, "profile": "paper"}
        for column in COLUMNS
    ]
    save_table(path, SCORES_SCHEMA, pa.Table.from_pylist(rows, schema=SCORES), scored(variant))
    return path


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files that the stage writes of a study of one block, by their names; a mix is left aside."""
    folder = tmp_path_factory.mktemp("why")
    dense = {("bits_per_byte", each): 0.5 + 0.01 * index for index, each in enumerate(LANGUAGES)}
    dense |= {("perplexity", each): 5.0 for each in LANGUAGES}
    scores = [write_variant(folder, "m", dense)]
    for calibration in (*LANGUAGES, "de-en"):
        values = {("perplexity", each): np.exp(log_perplexity(calibration, each)) for each in LANGUAGES}
        values |= {("snr", each): -20 * log_perplexity(calibration, each) for each in LANGUAGES}
        scores.append(write_variant(folder, "m", values, ("wanda", "0.50", calibration, 0)))
    evaluations = [benchmark_file(folder / f"{each}.parquet", each) for each in (*LANGUAGES, "de-en")]
    prompts = []
    for index, each in enumerate(LANGUAGES):
        path = folder / "results" / "m" / "prompts" / "p" / f"{each}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = np.array([1] * (10 + index) + [0] * 5, np.uint8)
        tokens, start = content.astype(np.int32), np.array([0, 8, len(content)])
        save_prompt_set(path, PromptSet(tokens, content, start, {"language": each, "items": ["a", "b"]}))
        prompts.append(path)
    made = {name: folder / f"why.{name}" for name in ("parquet", "md", "png")}
    shares: dict[str, dict[str, float]] = {"m": {str(each): 1 / 7 for each in LANGUAGES}}
    explain_damage(
        *(scores, evaluations, prompts, ROOT / "data/paper/languages.csv", shares, "Why", titles_of({"m": "Model"})),
        *(made["parquet"], made["md"], made["png"], {}),
    )
    return made


@pytest.fixture(scope="module")
def rows(study: dict[str, Path]) -> pd.DataFrame:
    return pq.read_table(study["parquet"]).to_pandas()


def one(rows: pd.DataFrame, **wanted: str) -> Mapping[Any, Any]:
    for name, value in wanted.items():
        rows = rows[rows[name] == value]
    (found,) = rows.to_dict("records")
    return found


def test_traits_of_languages_are_measured_or_have_a_source(rows: pd.DataFrame) -> None:
    told = rows[rows["kind"] == "trait"]
    assert one(told, language="ru", explained_by="bits_per_byte")["value"] == pytest.approx(0.54)
    assert one(told, language="de", explained_by="tokens_per_prompt")["value"] == 11 / 2
    assert one(told, language="sw", explained_by="text")["value"] == pytest.approx(1 / 7)
    family = one(told, language="sw", explained_by="family")
    assert (family["text"], family["source"]) == ("Atlantic-Congo", "table 5 of the paper")
    assert told["source"].notna().all() and set(told["language"]) == set(LANGUAGES)


def test_the_table_of_languages_is_the_papers() -> None:
    known = pd.read_csv(ROOT / "data/paper/languages.csv").set_index("language")
    assert list(known["family"]) == [
        *("Afro-Asiatic", "Germanic", "Germanic", "Romance", "Balto-Slavic", "Atlantic-Congo", "Sino-Tibetan")
    ]
    assert list(known["writing_system"]) == ["Arabic", *["Latin"] * 3, "Cyrillic", "Latin", "Simplified Han"]
    assert set(known.index[known["phylum"] == "Indo-European"]) == set(INDO_EUROPEAN)


def test_harm_that_goes_by_kinship_is_found_and_other_traits_are_not_bold(
    rows: pd.DataFrame, study: dict[str, Path]
) -> None:
    mantel = rows[rows["kind"] == "mantel"]
    kinship = one(mantel, metric="perplexity", explained_by="kinship")
    pairs = [(a, b) for index, a in enumerate(LANGUAGES) for b in LANGUAGES[index + 1 :]]
    both = [{a, b} <= set(INDO_EUROPEAN) for a, b in pairs]
    apart = [0 if {a, b} == {"de", "en"} else 1 if related else 2 for (a, b), related in zip(pairs, both, strict=True)]
    harm = [0.1 if related else 0.3 for related in both]
    assert kinship["r"] == pytest.approx(stats.pearsonr(apart, harm)[0]) and kinship["n"] == 7
    assert kinship["p"] == pytest.approx(1 / 35)  # a relabelling within the phylum changes nothing
    benchmark = one(mantel, metric="arc", explained_by="kinship")
    assert benchmark["n"] == 6 and benchmark["r"] > 0.9
    assert not len(mantel[mantel["explained_by"] == "text"]), "the same share in all languages is no distance"
    page = study["md"].read_text(encoding="utf-8")
    assert "| perplexity (7)" in page and f"({kinship['p']:.3f}) from" in page


def test_loss_that_follows_drift_is_predicted_at_every_level(rows: pd.DataFrame) -> None:
    predictions = rows[rows["kind"] == "prediction"]
    cells = list(product(LANGUAGES, COLUMNS))
    drift = [log_perplexity(calibration, language(column)) for calibration, column in cells]
    loss = [-100 * accuracy(calibration, column) for calibration, column in cells]
    for metric in ("perplexity", "snr"):
        raw = one(predictions, metric="arc", explained_by=metric, given=GIVEN[0])
        assert raw["r"] == pytest.approx(stats.pearsonr(drift, loss)[0]) and raw["n"] == 49
        for given in GIVEN[1:]:
            assert one(predictions, metric="benchmarks", explained_by=metric, given=given)["r"] == pytest.approx(1)
    assert set(predictions["explained_by"]) == {"perplexity", "snr"}


@pytest.mark.parametrize(
    ("method", "partial", "p", "kinship"),
    [
        ("wanda", [(0.11, 0.21), (0.09, 0.14)], [(0.065, 0.0044), (0.099, 0.041)], (0.68, 0.74)),
        ("sparsegpt", [(0.37, 0.40), (0.20, 0.22)], [(0.0002, 0.0002), (0.014, 0.0054)], (0.81, 0.81)),
    ],
)
def test_the_papers_printed_tables_say_what_the_page_on_methods_reports(
    method: str, partial: list[tuple[float, float]], p: list[tuple[float, float]], kinship: tuple[float, float]
) -> None:
    files = [ROOT / f"data/paper/table{number}.csv" for number in (1, 2)]
    printed = pd.concat([pd.read_csv(file, dtype={"scheme": "str"}, keep_default_na=False) for file in files])
    printed = printed[printed["method"] == method].rename(columns={"mean": "value"}).astype({"value": "float64"})
    printed = printed[~printed["metric"].isin(["snr", "pruning_error"])]
    found = [pair for _, benchmark, _, pair in pairs(printed) if benchmark == "benchmarks"]
    for given, r_wanted, p_wanted in zip(GIVEN[2:], partial, p, strict=True):
        of_models = [pair.partial(given) for pair in found]
        assert [each.r for each in of_models if each] == pytest.approx(r_wanted, abs=0.006)
        assert [each.p for each in of_models if each] == pytest.approx(p_wanted, abs=0.001)
    known = pd.read_csv(ROOT / "data/paper/languages.csv")
    dense = [{"model": model, "method": "dense", "eval_language": each, "value": 1.0, "metric": "bits_per_byte"}
             for model in ("llama-3-8b", "aya-23-8b") for each in LANGUAGES]  # fmt: skip
    tests = pd.DataFrame(mantel_rows(printed, traits(known, pd.DataFrame(dense), {}, {})))
    by_kinship = tests[(tests["explained_by"] == "kinship") & (tests["metric"] == "perplexity")]
    assert list(by_kinship["r"]) == pytest.approx(kinship, abs=0.006) and by_kinship["p"].max() < 0.02


def test_damage_is_what_is_lost_against_the_own_language_both_ways() -> None:
    frame = pd.DataFrame([[1.0, 2.0, 9.0], [4.0, 3.0, 9.0]], index=["de", "en"], columns=["de", "en", "sw"])
    names, found = damage(frame)
    assert names == ["de", "en"] and found.tolist() == [[0, (2 - 3 + 4 - 1) / 2], [(2 - 3 + 4 - 1) / 2, 0]]


def test_means_over_seeds_and_over_a_languages_columns_are_losses() -> None:
    about = {"model": "m", "method": "wanda", "scheme": "0.50", "metric": "arc"}
    values = [("de", "en-e", 0, 60.0), ("de", "en-e", 1, 50.0), ("de", "en-c", 0, 30.0), ("de", "en-c", 1, 40.0)]
    cells = [dict(zip(("calibration", "eval_language", "seed", "value"), each, strict=True)) for each in values]
    mix = {**cells[0], "calibration": "de-en", "value": 0.0}
    ((block, metric, loss),) = losses(pd.DataFrame([about | each for each in (*cells, mix)]))
    assert (metric, block["method"]) == ("arc", "wanda") and loss.to_dict() == {"en": {"de": -45.0}}


def test_an_infinite_snr_is_no_loss_to_explain() -> None:
    """Where the first layer is the dense model's, SNR is infinite in every cell, and infinity less infinity nothing."""
    about = {"model": "m", "method": "wanda", "scheme": "0.50-ends-from-dense", "eval_language": "de"}
    rows = pd.DataFrame(
        [
            about | {"calibration": calibration, "metric": metric, "value": value}
            for calibration in ("de", "en")
            for metric, value in (("snr", np.inf), ("pruning_error", 0.5))
        ]
    )
    assert [metric for _, metric, _ in losses(rows)] == ["pruning_error"]


def test_a_trait_that_a_language_lacks_is_no_distance() -> None:
    known = pd.DataFrame(
        [
            {"language": "de", "explained_by": "bits_per_byte", "value": 0.5, "text": None},
            {"language": "yo", "explained_by": "bits_per_byte", "value": 0.8, "text": None},
            {"language": "de", "explained_by": "text", "value": 10.0, "text": None},
            *({"language": "de", "explained_by": name, "value": np.nan, "text": "x"} for name in ("family", "phylum")),
        ]
    )
    found = distances(known, ["de", "yo"])
    assert set(found) == {"bits_per_byte"} and found["bits_per_byte"] == pytest.approx(np.array([[0, 0.3], [0.3, 0]]))


def test_two_calibration_languages_are_too_few_and_told_so() -> None:
    block = {"model": "m", "method": "wanda", "scheme": "0.50", "metric": "perplexity", "value": 5.0}
    few = pd.DataFrame([block | {"calibration": a, "eval_language": b} for a in ("de", "en") for b in ("de", "en")])
    with pytest.raises(UserError, match="at least three single calibration languages"):
        explain(few, pd.DataFrame({"model": [], "language": [], "explained_by": [], "value": [], "text": []}))


def test_the_page_and_the_picture_are_there(study: dict[str, Path]) -> None:
    page = study["md"].read_text(encoding="utf-8")
    assert "### Model, Wanda 50 %" in page and "power is low" in page and "Atlantic-Congo" in page
    assert study["png"].stat().st_size > 10_000
