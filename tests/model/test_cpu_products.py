"""Products that are oneDNN's: right to rounding, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.helpers.harness import language_model, model_folder
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

from polyprune.model.cpu_products import ReadyLinear, make_ready, quick_products

CPU = torch.device("cpu")


@pytest.fixture(params=["AVX512", "AVX2"])
def wide(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the processor says that it has AVX-512."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: request.param)
    return request.param == "AVX512"


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


CASES = {
    "a batch": (numbers(2, 5, 48), numbers(32, 48), None),
    "a bias": (numbers(7, 48), numbers(32, 48), numbers(32)),
    "rows between others": (numbers(7, 96)[:, :48], numbers(64, 96)[::2, ::2], None),
    "weights by columns": (numbers(7, 48), numbers(48, 32).T, None),
    "one row, seen as many": (numbers(48).expand(2, 5, 48), numbers(32, 48), None),
}


class Asked(TorchFunctionMode):
    """Counts what torch itself is asked to multiply."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.times += func is linear
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("case", CASES)
def test_products_are_right_and_with_avx_512_not_torchs_own(case: str, wide: bool) -> None:
    x, weight, bias = CASES[case]
    expected = linear(x.double(), weight.double(), None if bias is None else bias.double())
    with torch.inference_mode(), Asked() as asked, quick_products(CPU):
        found = linear(x, weight, bias)
    assert asked.times == (not wide) and found.shape == expected.shape and found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("wide", ["AVX512"], indirect=True)
@pytest.mark.parametrize(
    "x, weight",
    [
        (numbers(5, 48).double(), numbers(32, 48).double()),
        (numbers(5, 48).bfloat16(), numbers(32, 48).bfloat16()),
        (numbers(48), numbers(32, 48)),
        (numbers(0, 48), numbers(32, 48)),
    ],
    ids=["float64", "bfloat16", "a vector", "no token"],
)
@pytest.mark.usefixtures("wide")
def test_others_are_left_to_torch(x: Tensor, weight: Tensor) -> None:
    with torch.inference_mode(), Asked() as asked, quick_products(CPU):
        found = linear(x, weight)
    assert asked.times == 1 and torch.equal(found, linear(x, weight))


@pytest.mark.usefixtures("wide")
def test_a_gpu_is_left_alone() -> None:
    with Asked() as asked, quick_products(torch.device("cuda")):
        linear(numbers(5, 48), numbers(32, 48))
    assert asked.times == 1


NO_BFLOAT16 = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this processor has no kernels for it: such layers stay"
)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), pytest.param(torch.bfloat16, 2e-2, marks=NO_BFLOAT16)]
)
@pytest.mark.parametrize("bias", [True, False])
def test_ready_layers_are_those_of_torch(dtype: torch.dtype, tolerance: float, bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(45, 70, bias=bias, dtype=dtype)
    ready = ReadyLinear(linear)
    inputs = torch.randn(6, 8, 45, dtype=dtype)
    with torch.inference_mode():
        for case in (inputs, inputs[:, 2:5], inputs.transpose(0, 1), inputs[0, 0], inputs[:0]):
            torch.testing.assert_close(ready(case), linear(case), atol=tolerance, rtol=tolerance)
        assert torch.equal(ready.weight, linear.weight), "for models that look at it"
        assert {name: tuple(saved.shape) for name, saved in ready.state_dict().items()} == {
            name: tuple(saved.shape) for name, saved in linear.state_dict().items()
        }, "for those that are saved"


def test_only_plain_linear_layers_of_usual_dtypes_are_replaced(wide: bool) -> None:
    class Special(nn.Linear):
        pass

    replaced, head = nn.Linear(4, 4), nn.Linear(4, 9)
    model = nn.ModuleDict({
        "inner": nn.Sequential(replaced, nn.ReLU()),
        "special": Special(4, 4),
        "in_float64": nn.Linear(4, 4, dtype=torch.float64),
        "elsewhere": nn.Linear(4, 4, device="meta"),
        "head": head,
    })  # fmt: skip
    make_ready(model, head)
    assert head.weight is None and (replaced.weight is None) == wide, "a product of the layer may hold it still"
    found = {name for name, module in model.named_modules() if isinstance(module, ReadyLinear)}
    assert found == ({"inner.0", "head"} if wide else {"head"})


def test_a_whole_model_on_a_cpu_holds_its_weights_once(wide: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    decoder = language_model(model_folder(tmp_path_factory.mktemp("llama"), "llama")).weights.decoder
    assert isinstance(decoder.model.get_output_embeddings(), ReadyLinear)
    linear = {type(module) for module in decoder.layers.modules() if hasattr(module, "in_features")}
    assert linear == {ReadyLinear if wide else nn.Linear}
    matrices = [name for name, one in decoder.layers.named_parameters() if one.dim() == 2]
    assert bool(matrices) != wide, "none beside what is ordered"
