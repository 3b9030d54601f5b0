"""A tiny model from a corpus: what it is trained on, what lies on disk afterwards, and that it comes out the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer
from transformers.models.auto import AutoModelForCausalLM

from polyprune.artifacts.corpus import save_corpus
from polyprune.errors import UserError
from polyprune.model.source import locate, read_manifest
from polyprune.model.training import build_model, train
from polyprune.settings.models import Shape, TrainedSource
from polyprune.stages.train_model import train_model

SHAPE = Shape(layers=1, hidden=16, intermediate=32, heads=2, kv_heads=1, vocabulary=300, max_positions=32)
LENGTH = 16
GERMAN = [f"Die Wohnung Nummer {number} ist groß und hell." for number in range(40)]
CHINESE = [f"第{number}号公寓又大又明亮。" for number in range(40)]
HELD_OUT = ["Niemand darf dies sehen."]


def source(**changes: Any) -> TrainedSource:
    values = {"kind": "train", "architecture": "llama", "steps": 4, "batch_sequences": 2, "sequence_length": LENGTH}
    return TrainedSource.model_validate({**values, "vocabulary": 300, **changes})


def corpora(
    folder: Path, german: list[str] = GERMAN, chinese: list[str] = CHINESE, held_out: list[str] = HELD_OUT
) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for language, texts in (("de", german), ("zh", chinese)):
        splits = {"train": texts, "calibration": held_out, "evaluation": held_out}
        save_corpus(folder / language, splits, {"language": language})
    return [folder / "de", folder / "zh"]


def trained(folder: Path, corpus: list[Path], settings: TrainedSource | None = None) -> Path:
    """The folder of the model."""
    output = folder / "model.json"
    train_model(corpus, ["de", "zh"], settings or source(), SHAPE, output, {"code": "abc"})
    return locate(output)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def plain_sequences(folder: Path, documents: list[str]) -> torch.Tensor:
    """Documents one after the other, each between <s> and </s>, cut into sequences; what is left over is dropped."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids: list[int] = []
    for document in documents:
        ids += [0, *tokenizer(document, add_special_tokens=False)["input_ids"], 1]
    n = len(ids) // LENGTH
    return torch.tensor(ids[: n * LENGTH]).view(n, LENGTH)


def test_the_model_is_trained_on_the_documents_in_order_and_loads_in_transformers(tmp_path: Path):
    folder = trained(tmp_path / "results", corpora(tmp_path))
    assert folder == tmp_path / "results" / "checkpoint"
    model, expected = AutoModelForCausalLM.from_pretrained(folder), build_model(source(), SHAPE)
    untrained = {name: value.clone() for name, value in expected.state_dict().items()}
    train(expected, plain_sequences(folder, GERMAN + CHINESE), source())
    for name, value in expected.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
        assert not torch.equal(untrained[name], value), name
    manifest = read_manifest(tmp_path / "results" / "model.json")
    assert manifest["source"] == {"kind": "train"} and manifest["provenance"] == {"code": "abc"}
    assert manifest["architecture"] == "LlamaForCausalLM"


def test_training_lowers_the_loss_on_its_text(tmp_path: Path):
    settings = source(steps=40)
    folder = trained(tmp_path / "results", corpora(tmp_path), settings)
    sequences = plain_sequences(folder, GERMAN + CHINESE)
    with torch.inference_mode():
        before = build_model(settings, SHAPE)(sequences, labels=sequences).loss
        after = AutoModelForCausalLM.from_pretrained(folder)(sequences, labels=sequences).loss
    assert after < 0.8 * before


def test_the_tokenizer_is_of_the_training_text_and_loses_nothing(tmp_path: Path):
    """It has as many tokens as the settings say, and its merges are of words that the text has."""
    tokenizer = AutoTokenizer.from_pretrained(trained(tmp_path / "results", corpora(tmp_path)))
    assert len(tokenizer) == 300 and (tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1)
    for text in (GERMAN[3], CHINESE[7], "Ünïcode ✓"):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text
    assert len(tokenizer.tokenize(" Wohnung")) < 4 < len(tokenizer.tokenize(" Niemand"))


def test_the_same_text_gives_the_same_bytes_and_held_out_text_changes_nothing(tmp_path: Path):
    first = trained(tmp_path / "a", corpora(tmp_path / "x"))
    again = trained(tmp_path / "b", corpora(tmp_path / "y", held_out=["Etwas ganz anderes."]))
    assert files_of(first) == files_of(again)
    assert (tmp_path / "a/model.json").read_bytes() == (tmp_path / "b/model.json").read_bytes()
    for number, other in enumerate((source(seed=1), source(architecture="cohere"))):
        assert files_of(trained(tmp_path / str(number), corpora(tmp_path / "x"), other)) != files_of(first)


@pytest.mark.parametrize(("share", "kept"), [(0.25, 10), (0.001, 1)])
def test_an_outlier_language_keeps_the_first_of_its_documents(share: float, kept: int, tmp_path: Path):
    """The same bytes as of a corpus that has no more; one document at least."""
    rare = trained(tmp_path / "rare", corpora(tmp_path / "all"), source(outlier_languages={"zh": share}))
    few = trained(tmp_path / "few", corpora(tmp_path / "less", chinese=CHINESE[:kept]))
    assert files_of(rare) == files_of(few)


def test_nothing_of_a_checkpoint_from_before_is_left(tmp_path: Path):
    (tmp_path / "results" / "checkpoint").mkdir(parents=True)
    for name in ("model.safetensors.index.json", "added_tokens.json"):
        (tmp_path / "results" / "checkpoint" / name).write_text("{}")
    corpus = corpora(tmp_path)
    assert files_of(trained(tmp_path / "results", corpus)) == files_of(trained(tmp_path / "fresh", corpus))


def test_text_that_does_not_do_is_refused_and_leaves_no_model(tmp_path: Path):
    empty, short = corpora(tmp_path / "empty", chinese=[]), corpora(tmp_path / "short", ["groß"], ["大"])
    few = corpora(tmp_path / "few", ["Die Wohnung"], ["大"])
    refusals = [
        (empty, source(), f"{empty[1]} has no training documents for zh"),
        (
            short,
            source(),
            r"the training text gives a vocabulary of 2\d\d, config.yaml wants 300: lower `vocabulary` "
            r"\(in source and shape\) or bring more text",
        ),
        (few, source(vocabulary=260), "1 training sequences do not fill a batch of 2; bring more text"),
    ]
    for corpus, settings, message in refusals:
        with pytest.raises(UserError, match=message):
            trained(tmp_path / "results", corpus, settings)
        assert not (tmp_path / "results").exists()
