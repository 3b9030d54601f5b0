"""A plugin of pytest that runs tests on a pretended GPU: those of modules with a `CPU` that they compute on.

pytest -p tests.helpers.on_a_gpu tests/stages/test_dump_hidden_states.py tests/stages/test_evaluate_model.py …
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest


def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Walks along columns are the CPU's; tests/maths/test_column_kernels.py interprets the kernels."""
    from polyprune.maths import gptq, sparsegpt

    for module in (gptq, sparsegpt):
        monkeypatch.setattr(module, "gpu_kernels", lambda _: None)


@pytest.fixture(autouse=True)
def _on_a_gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from tests.helpers.pretended_gpu import GPU, pretended_gpu

    from polyprune.running import device

    monkeypatch.setattr(request.module, "CPU", GPU, raising=False)
    monkeypatch.setattr(device, "choose_device", lambda *_: GPU)
    without_kernels(monkeypatch)
    with pretended_gpu(monkeypatch):
        yield
