"""A model with the bytes a weight that it will be used in, as far as that is known when jobs are planned. No torch.

A CPU may compute a 16-bit model in float32, which takes twice the memory; it chooses when the model is registered
(`model/arithmetic.py`). From then on the registration says it; before, the larger is planned where it may so choose.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from polyprune.artifacts.identity import MODEL, RESULTS
from polyprune.artifacts.json_files import load_record
from polyprune.errors import UserError
from polyprune.settings.config import Settings
from polyprune.settings.models import Model, TrainedSource

_BUILT_FOR_CPUS = "+cpu"
_FLOAT32 = "float32"


def as_used(settings: Settings, name: str) -> Model:
    """The model of this name; of its `sizes` the bytes a weight are of the dtype that jobs use."""
    model = settings.models[name]
    n_bytes = _bytes_used(settings, model, Path(RESULTS, name, "model.json"))
    if n_bytes == model.sizes.bytes_per_weight:
        return model
    sizes = model.sizes.model_copy(update={"bytes_per_weight": n_bytes})
    return model.model_copy(update={"shape": sizes, "sizes": sizes})


def _bytes_used(settings: Settings, model: Model, manifest: Path) -> int:
    own = model.sizes.bytes_per_weight
    if getattr(model.source, "dtype", None) or isinstance(model.source, TrainedSource):
        return own
    if (at := _time(manifest)) is not None:
        return 4 if _chosen(manifest, at) == _FLOAT32 else own
    device = settings.engine.device
    return 4 if device == "cpu" or (device == "auto" and _torch_is_for_cpus()) else own


def _time(file: Path) -> int | None:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None


@cache
def _chosen(manifest: Path, at: int) -> str | None:  # noqa: ARG001
    """The dtype that a registration says was chosen, at the time `at` of its file; None of one that is damaged."""
    try:
        return load_record(manifest, MODEL).get("chosen_dtype")
    except UserError:
        return None


@cache
def _torch_is_for_cpus() -> bool:
    """Whether the torch of this Python says so in its version: no GPU can compute the model then."""
    try:
        return version("torch").endswith(_BUILT_FOR_CPUS)
    except PackageNotFoundError:
        return False
