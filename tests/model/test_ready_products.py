"""Linear layers in the order of a CPU's kernels against torch's own."""

from __future__ import annotations

import pytest
import torch
from tests.helpers.harness import language_model, model_folder
from torch import nn

from polyprune.model.ready_products import ReadyLinear, make_ready


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("bias", [True, False])
def test_products_are_those_of_linear_layers(dtype: torch.dtype, tolerance: float, bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(45, 70, bias=bias, dtype=dtype)
    ready = ReadyLinear(linear)
    inputs = torch.randn(6, 8, 45, dtype=dtype)
    with torch.inference_mode():
        for case in (inputs, inputs[:, 2:5], inputs.transpose(0, 1), inputs[0, 0], inputs[:0]):
            torch.testing.assert_close(ready(case), linear(case), atol=tolerance, rtol=tolerance)
        assert torch.equal(ready.weight, linear.weight), "for models that look at it"


def test_only_plain_linear_layers_of_usual_dtypes_are_replaced() -> None:
    class Special(nn.Linear):
        pass

    replaced = nn.Linear(4, 4)
    model = nn.ModuleDict({
        "inner": nn.Sequential(replaced, nn.ReLU()),
        "special": Special(4, 4),
        "in_float64": nn.Linear(4, 4, dtype=torch.float64),
        "elsewhere": nn.Linear(4, 4, device="meta"),
    })  # fmt: skip
    make_ready(model)
    assert replaced.weight is None, "a product of the layer may hold it still"
    found = {name for name, module in model.named_modules() if isinstance(module, ReadyLinear)}
    assert found == {"inner.0"}


def test_a_whole_model_on_a_cpu_holds_its_weights_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    decoder = language_model(model_folder(tmp_path_factory.mktemp("llama"), "llama")).weights.decoder
    assert not any(isinstance(module, nn.Linear) for module in decoder.model.modules()), "the head's are replaced too"
    matrices = [name for name, one in decoder.layers.named_parameters() if one.dim() == 2]
    assert not matrices, "none beside what is ordered"
