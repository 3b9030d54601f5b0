"""Memory is planned in the dtype that a model is used in: its own, one that was asked for, or one that a CPU chose."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helpers.configuration import CORRECT

from polyprune.artifacts.identity import MODEL
from polyprune.artifacts.json_files import save_record
from polyprune.settings.config import Settings
from polyprune.settings.load import load_settings
from polyprune.workflow import as_used as module
from polyprune.workflow.as_used import as_used
from polyprune.workflow.needs import Needs
from polyprune.workflow.prices import job_memory_mb, output_bytes

JOB = {"model": "big", "method": "sparsegpt", "scheme": "0.50", "calibration": "de", "seed": "0"}
SIZES = {"num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 192, "num_attention_heads": 4,
         "vocab_size": 9_000_000, "max_position_embeddings": 256}  # fmt: skip


def settings(device: str, dtype: str = "bfloat16", asked: str | None = None) -> Settings:
    """Of a model folder here, whose config.json names `dtype`."""
    Path("model").mkdir(exist_ok=True)
    Path("model/config.json").write_text(json.dumps(SIZES | {"dtype": dtype}))
    config: dict[str, Any] = yaml.safe_load(CORRECT)
    config["models"]["big"]["source"] = {"kind": "folder", "path": "model"} | ({"dtype": asked} if asked else {})
    del config["models"]["big"]["shape"]
    return load_settings(config | {"engine": {"device": device}})


def register(dtype: str | None) -> None:
    about = {"source": {"kind": "folder", "path": "model"}} | ({"chosen_dtype": dtype} if dtype else {})
    save_record(Path("results/big/model.json"), MODEL, about)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    module._torch_is_for_cpus.cache_clear()
    yield
    module._torch_is_for_cpus.cache_clear()


def test_what_a_registration_chose_is_counted(tmp_path: Path) -> None:
    """Twice the bytes from the job after the registration on, in the same run."""
    asked = settings("auto")
    memory = Needs(asked, None, None).compression()["mem_mb"]
    job = {"rule": "reconstruct_model", "wildcards": JOB, "output": []}

    def planned() -> tuple[int, float, float]:
        return memory(JOB, 1), job_memory_mb(job, asked, {}), output_bytes(job, asked)

    register(None)
    own = planned()
    (tmp_path / "results/big/model.json").unlink()
    register("float32")
    weights_mb = 2 * SIZES["vocab_size"] * SIZES["hidden_size"] * 2 // 2**20
    assert planned()[0] - own[0] == pytest.approx(weights_mb, rel=0.01) and planned()[1] == planned()[0]
    per_weight = asked.models["big"].sizes.linear_weights
    assert planned()[2] - own[2] == pytest.approx(0.5 * 2 * per_weight)


@pytest.mark.parametrize(
    ("device", "torch", "own", "asked", "n_bytes"),
    [
        ("cpu", "2.13.0", "bfloat16", None, 4),
        ("auto", "2.13.0+cpu", "bfloat16", None, 4),
        ("auto", "2.13.0", "bfloat16", None, 2),
        ("cuda", "2.13.0+cpu", "bfloat16", None, 2),
        ("cpu", "2.13.0", "bfloat16", "bfloat16", 2),
        ("cpu", "2.13.0", "float32", "bfloat16", 2),
        ("cuda", "2.13.0", "bfloat16", "float32", 4),
        ("cuda", "2.13.0", "float32", None, 4),
    ],
)
def test_before_the_registration_the_larger_is_counted_where_a_cpu_may_choose_it(
    device: str, torch: str, own: str, asked: str | None, n_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "version", lambda _: torch)
    assert as_used(settings(device, own, asked), "big").sizes.bytes_per_weight == n_bytes


def test_a_dtype_that_is_asked_for_counts_also_where_the_shape_is_given_by_hand() -> None:
    config: dict[str, Any] = yaml.safe_load(CORRECT)
    config["models"]["big"]["source"]["dtype"] = "float32"
    assert load_settings(config).models["big"].sizes.bytes_per_weight == 4
