"""Results of other settings, moved here, linked or copied from a colleague: refused by the job that would read them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers.artifacts import READERS, make_results
from tests.helpers.battery import Cases, contents
from tests.helpers.cells import arguments, register
from tests.helpers.leaves import edited, everything
from tests.helpers.tiny import random_model

from polyprune.artifacts.identity import expecting
from polyprune.artifacts.tokens import TokenSet, load_tokens, save_tokens
from polyprune.log import logger
from polyprune.running.run import run
from polyprune.settings.load import load_settings
from polyprune.workflow.specs import Specs

Judge = Callable[[str], Cases]
CELL = {"model": "trained", "method": "sparsegpt", "scheme": "0.50", "calibration": "de-en", "seed": "3"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shared") / "results"
    make_results(root)
    return root


@pytest.mark.parametrize("place", READERS)
def test_every_kind_of_file_is_asked_for_the_settings_that_it_was_made_with(cases: Judge, results: Path, place: str):
    path, judge = results / place, cases("results of other settings")
    right = READERS[place](path)
    with expecting({path: {"provenance": {"sequence_length": 160}}}):
        said = judge.judge(place, lambda: READERS[place](path), says=("sequence_length none, here 160",))
    assert said and f"{path} was made with other settings" in said
    with expecting({results / "another": {"sequence_length": 160}}):
        judge.judge(place, lambda: READERS[place](path), right, sure=True)
    judge.judge(place, lambda: READERS[place](path), right, sure=True)


SHARD = {"sampling": "packed", "n_sequences": 8, "sequence_length": 24, "bos": "model", "separator": "model"}
OTHERS: list[tuple[str, Any]] = [
    ("n_sequences", 16), ("sequence_length", 160), ("sampling", "long_documents"),
    ("bos", "none"), ("separator", "none"),
    ("inputs", {"corpus": [{"corpus": {"kind": "demo", "documents": {"calibration": 9}}}]}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [("nothing", None), *OTHERS], ids=str)
def test_a_cell_is_not_made_from_a_shard_of_other_settings(cases: Judge, name: str, value: Any, tmp_path: Path):
    """As a rule runs it: exit code, log, and nothing else touched."""
    folder = tmp_path / "results" / "tiny"
    register(random_model("llama"), folder)
    found = load_tokens(folder / "tokens.safetensors")
    made = SHARD | {"inputs": {"corpus": [{"corpus": {"kind": "demo", "documents": {"calibration": 60}}}]}}
    save_tokens(folder / "tokens.safetensors", TokenSet(found.tokens, found.n_bytes, {**found.metadata, **made}))
    command = arguments(folder, "wanda", "0.50", folder / "mask.safetensors")
    at = command.index("--settings") + 1
    wanted = made if value is None else made | {name: value}
    command[at] = json.dumps(json.loads(command[at]) | {"inputs": {"tokens": wanted}})
    before = contents(folder)

    def made_cell() -> int:
        code = run(command)
        for handler in list(logger.handlers):
            handler.close()
        return code

    is_same = value is None
    cases("results of other settings").judge(name, made_cell, 0 if is_same else 1, sure=True)
    assert (folder / "mask.safetensors").exists() == is_same
    log = (folder / "mask.safetensors.log").read_text()
    if not is_same:
        assert f"tokens.safetensors was made with other settings: {name}" in log and "Traceback" not in log
        assert "take those settings, or a results folder of your own; or delete it and make it again" in log
        after = contents(folder)
        assert {place: after[place] for place in before} == before


def header_of(spec: str) -> dict[str, Any]:
    """What the header of a file says that is made with a spec."""
    return {**json.loads(spec), "torch": "1"}


def has(header: Any, wanted: Any) -> bool:
    """Whether the entries that are wanted are there, however deep."""
    if isinstance(wanted, dict):
        return isinstance(header, dict) and all(has(header.get(name), value) for name, value in wanted.items())
    return header == wanted


TURNED = {
    "models.trained.text.calibration_sequences": 9,
    "models.trained.text.sequence_length": 80,
    "models.trained.text.sampling": "long_documents",
    "corpora.made.documents": {"train": 3000, "calibration": 401, "evaluation": 150},
    "compression.damping": 0.5,
    "models.trained.source.steps": 77,
    "models.trained.text.evaluation_sequences": 5,
    "models.trained.text.sampled_tokens": 7,
}


def chain(specs: Specs) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """What is read, by reader: the header of a file, and what its reader asks of it."""
    cell, dump = json.loads(specs.prune_model(CELL)), json.loads(specs.dump_hidden_states(CELL))
    shard, drift = json.loads(specs.build_calibration_set(CELL)), json.loads(specs.measure_drift(CELL))
    evaluation, corpus = specs.build_evaluation_set(CELL), {"corpus": "made", "language": "de"}
    model = {"source": {"kind": "train"}, "provenance": header_of(specs.train_model(CELL))}
    return {
        "corpus of a shard": (header_of(specs.collect_documents(corpus)), shard["inputs"]["corpus"][0]),
        "model of a shard": (model, shard["inputs"]["model"]),
        "shard of a cell": (header_of(specs.build_calibration_set(CELL)), cell["inputs"]["tokens"]),
        "cell of a dump": (header_of(specs.prune_model(CELL)), dump["inputs"]["cell"]),
        "text of a dump": (header_of(evaluation), dump["inputs"]["evaluation"]),
        "dump of scores": ({"provenance": header_of(specs.dump_hidden_states(CELL))}, drift["inputs"]["dumps"]),
    }


def test_what_is_asked_for_is_what_the_same_settings_write():
    for reader, (header, wanted) in chain(Specs(load_settings(everything()))).items():
        assert wanted and has(header, wanted), reader


@pytest.mark.parametrize("setting", TURNED)
def test_files_of_other_settings_are_not_what_is_asked_for(cases: Judge, setting: str):
    """Of the readers of a chain, at least the one next to the setting finds the other header wrong."""
    ours = chain(Specs(load_settings(everything())))
    theirs = chain(Specs(load_settings(edited(everything(), {setting: TURNED[setting]}))))
    refusing = [reader for reader in ours if not has(theirs[reader][0], ours[reader][1])]
    cases("results of other settings").judge(setting, lambda: bool(refusing), True, sure=True)


def test_tokens_without_settings_are_refused_where_they_are_asked_for(tmp_path: Path):
    """Not taken for lack of anything to compare."""
    path = tmp_path / "tokens.safetensors"
    save_tokens(path, TokenSet(np.ones((2, 3), np.int32), np.ones((2, 3), np.int32), {}))
    with expecting({path: {"sampling": "packed"}}), pytest.raises(Exception, match="sampling none, here packed"):
        load_tokens(path)
