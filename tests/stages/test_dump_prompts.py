"""Dumps of text and prompts and counts of activations as rules make them: what files say of themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from tests.helpers.engine import CPU, run_engine
from tests.helpers.tiny import random_model, random_tokens, save_checkpoint

from polyprune.artifacts.activations import Activations
from polyprune.artifacts.prompt_states import PromptStates
from polyprune.artifacts.prompts import PromptSet, save_prompt_set
from polyprune.artifacts.tokens import TokenSet, save_tokens
from polyprune.errors import UserError
from polyprune.model.source import read_manifest, write_manifest
from polyprune.settings.engine import Engine
from polyprune.stages.count_activations import count_activations, first_tokens
from polyprune.stages.dump_hidden_states import dump_hidden_states
from polyprune.stages.dump_prompts import dump_prompts

ENGINE = Engine(tokens_per_batch=64)
ORIGIN = {"dataset": "allenai/c4", "revision": "e" * 40, "split": "evaluation", "tokenizer_digest": "d" * 64}
TEXT = TokenSet(
    random_tokens(9, 8).numpy().astype(np.int32),
    np.ones((9, 8), np.int32),
    ORIGIN | {"language": "de", "template": False, "content": "all tokens"},
)
PROMPTS = PromptSet(
    random_tokens(1, 20)[0].numpy().astype(np.int32),
    np.array([0, 1, 1, 1, 0] * 4, np.uint8),
    np.array([0, 10, 20]),
    ORIGIN | {"language": "de", "template": True, "content": "the user's", "items": ["a", "b"]},
)
CALIBRATIONS = ("de", "zh")
RUN = {"code": "abc", "job": "dump x", "torch": "9.9"}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The manifest of a tiny model, which says that it is the hub's, and a text and prompts beside it."""
    folder = save_checkpoint(random_model("cohere"), tmp_path / "model")
    monkeypatch.setattr("polyprune.model.source.cached_model", lambda *_: folder)
    source = {"kind": "hub", "id": "CohereForAI/aya", "revision": "f" * 40}
    write_manifest(tmp_path / "model.json", source, folder, {})
    of = {"model_digest": read_manifest(tmp_path / "model.json")["digest"]}
    save_tokens(tmp_path / "text.safetensors", replace(TEXT, metadata={**TEXT.metadata, **of}))
    save_prompt_set(tmp_path / "prompts.safetensors", replace(PROMPTS, metadata={**PROMPTS.metadata, **of}))
    return tmp_path / "model.json"


def cells_of(model: Path) -> list[Path]:
    """A cell for each of `CALIBRATIONS`."""
    paths = [model.parent / f"mask-{calibration}.safetensors" for calibration in CALIBRATIONS]
    for seed, (calibration, path) in enumerate(zip(CALIBRATIONS, paths, strict=True)):
        metadata = {"model_digest": read_manifest(model)["digest"], "method": "wanda", "scheme": "0.50"}
        metadata |= {"calibration": calibration, "seed": seed, "compression": {}}
        tokens = random_tokens(4, 16, seed=seed)
        run_engine(model.parent / "model", tokens, "wanda", "0.50", path, metadata=metadata)
    return paths


def dumps(model: Path, cells: list[Path], name: str) -> dict[str, list[Path]]:
    """Files of each schema, one a cell, or one of the dense model."""
    folder, n = model.parent, max(1, len(cells))
    made = {kind: [folder / f"{name}-{kind}-{cell}.h5" for cell in range(n)] for kind in ("text", "prompts", "counts")}
    dump_hidden_states(model, cells, [folder / "text.safetensors"], made["text"], 4, CPU, ENGINE, RUN)
    dump_prompts(model, cells, [folder / "prompts.safetensors"], made["prompts"], CPU, ENGINE, RUN)
    for path, cell in zip(made["counts"], cells or [None], strict=True):
        count_activations(model, [cell] if cell else [], folder / "text.safetensors", 70, path, CPU, ENGINE, RUN)
    return made


def attributes_of(path: Path) -> dict[str, Any]:
    with h5py.File(path) as file:
        return {name: json.loads(value) if name == "provenance" else value for name, value in file.attrs.items()}


def test_files_say_what_they_are_of(model: Path) -> None:
    """Every attribute, in every schema, of the dense model and of each cell."""
    dense, of_cells = dumps(model, [], "dense"), dumps(model, cells_of(model), "cells")
    data = {"text": TEXT, "prompts": PROMPTS, "counts": first_tokens(TEXT, 70)}
    schemas = {"text": "hidden/2", "prompts": "prompt-states/2", "counts": "activations/2"}
    for kind, schema in schemas.items():
        common = {
            "schema": schema,
            "model": "CohereForAI/aya",
            "model_revision": "f" * 40,
            "model_digest": read_manifest(model)["digest"],
            "architecture": "CohereForCausalLM",
            "dtype": "float32",
            "n_layers": 3,
            "d_model": 32,
            "dataset": "allenai/c4",
            "dataset_revision": "e" * 40,
            "split": "evaluation",
            "language": "de",
            "data_digest": data[kind].digest,
            "tokenizer_digest": "d" * 64,
            "template": kind == "prompts",
            "tokens": "the user's" if kind == "prompts" else "all tokens",
        }
        for cell, path in [(None, dense[kind][0]), *enumerate(of_cells[kind])]:
            found = attributes_of(path)
            provenance, hooks = found.pop("provenance"), found.pop("hooks")
            assert ("down_proj" in hooks) == (kind == "counts") and ("L_normed" in hooks) == (kind != "counts")
            assert len(found.pop("seal")) == 32
            compression: dict[str, Any] = dict.fromkeys(("method", "scheme", "calibration"), "dense")
            if cell is not None:
                compression = {"method": "wanda", "scheme": "0.50", "calibration": CALIBRATIONS[cell], "seed": cell}
            assert found == common | compression, path
            assert (provenance["code"], provenance["torch"]) == ("abc", "9.9") and "job" not in provenance
            assert provenance["transformers"] == version("transformers")
            origin = {**data[kind].metadata, "model_digest": common["model_digest"]}
            assert provenance["data"] == {name: value for name, value in origin.items() if name != "items"}
            if cell is None:
                assert provenance["cell"] is None
            else:
                assert provenance["cell"]["seed"] == cell and "columns" not in provenance["cell"]


def test_numbers_have_units(model: Path) -> None:
    for paths in dumps(model, cells_of(model), "cells").values():
        with h5py.File(paths[0]) as file:
            sums: dict[str, Any] = {}
            file.visititems(lambda name, item, sums=sums: sums.update({name: item}))
            lacking = [
                name for name, item in sums.items() if isinstance(item, h5py.Dataset) and "unit" not in item.attrs
            ]
        places = {"layer", "prompts/item", "tokens/sequence", "tokens/position", "tokens/token_id"}
        assert set(lacking) <= places


def test_cells_together_give_the_files_that_each_gives_alone(model: Path) -> None:
    """Two languages, so that outputs can be mixed up."""
    folder, cells = model.parent, cells_of(model)
    metadata = {**TEXT.metadata, "model_digest": read_manifest(model)["digest"]}
    other = TokenSet(random_tokens(9, 8, seed=5).numpy().astype(np.int32), TEXT.n_bytes, metadata)
    save_tokens(folder / "other.safetensors", other)
    texts = [folder / f"{name}.safetensors" for name in ("text", "other")]
    together = [folder / f"{n}.h5" for n in range(4)]
    dump_hidden_states(model, cells, texts, together, 4, CPU, ENGINE, RUN | {"job": "both"})
    for n, cell in enumerate(cells):
        alone = [folder / f"alone-{n}.h5" for n in range(2)]
        dump_hidden_states(model, [cell], texts, alone, 4, CPU, ENGINE, RUN)
        assert [path.read_bytes() for path in alone] == [path.read_bytes() for path in together[2 * n : 2 * n + 2]]
    assert len({path.read_bytes() for path in together}) == 4
    prompts, outputs = folder / "prompts.safetensors", [folder / f"prompts-{n}.h5" for n in range(2)]
    dump_prompts(model, cells, [prompts], outputs, CPU, ENGINE, RUN)
    for cell, output in zip(cells, outputs, strict=True):
        dump_prompts(model, [cell], [prompts], [folder / "alone.h5"], CPU, ENGINE, RUN)
        assert (folder / "alone.h5").read_bytes() == output.read_bytes()


def test_offloaded_streams_give_the_same_bytes(model: Path) -> None:
    cells, folder = cells_of(model), model.parent
    made: dict[str, list[bytes]] = {}
    for offload in ("none", "cpu"):
        engine = Engine.model_validate(ENGINE.model_dump() | {"offload": offload})
        paths = [folder / f"{offload}-{n}.h5" for n in range(4)]
        dump_hidden_states(model, cells, [folder / "text.safetensors"], paths[:2], 4, CPU, engine, RUN)
        dump_prompts(model, cells, [folder / "prompts.safetensors"], paths[2:], CPU, engine, RUN)
        made[offload] = [path.read_bytes() for path in paths]
    assert made["none"] == made["cpu"]


def test_prompts_are_measured_over_content_tokens(model: Path) -> None:
    cells = cells_of(model)
    with PromptStates(dumps(model, cells, "cells")["prompts"][0]) as states:
        assert states.items == ["a", "b"] and states.n_content.tolist() == [6, 6]
        assert states.sums("distance")[:, 1:].min() > 0 and not states.sums("distance")[:, 0].any()


def test_counts_are_over_whole_sequences_up_to_the_tokens_asked_for(model: Path, tmp_path: Path) -> None:
    for wanted, counted in ((70, 64), (10**6, 72), (1, 8)):
        assert first_tokens(TEXT, wanted).tokens.size == counted
    count_activations(model, [], tmp_path / "text.safetensors", 70, tmp_path / "de.h5", CPU, ENGINE, {})
    with Activations(tmp_path / "de.h5") as file:
        assert file.n_tokens.tolist() == [8] * 8


@pytest.mark.parametrize("other", range(len(CALIBRATIONS)))
def test_a_cell_of_other_weights_is_refused(other: int, model: Path, tmp_path: Path) -> None:
    cells = cells_of(model)
    metadata = {"model_digest": "0" * 16, "method": "wanda", "scheme": "0.50"}
    run_engine(tmp_path / "model", random_tokens(4, 16), "wanda", "0.50", cells[other], metadata=metadata)
    refused = f"{cells[other].name} .*has model_digest 0{{16}}, expected"
    with pytest.raises(UserError, match=refused):
        dump_prompts(model, cells, [], [], CPU, ENGINE, {})
    with pytest.raises(UserError, match=refused):
        dump_hidden_states(model, cells, [], [], 4, CPU, ENGINE, {})


def test_a_failure_leaves_no_dump_of_any_cell(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    cells, folder = cells_of(model), model.parent
    monkeypatch.setattr("polyprune.stages.dump_prompts.prompt_pass", dies)
    with pytest.raises(KeyboardInterrupt):
        dump_prompts(
            model, cells, [folder / "prompts.safetensors"], [folder / "a.h5", folder / "b.h5"], CPU, ENGINE, RUN
        )
    assert not list(folder.glob("*.h5*"))
