"""Refusals shared by the methods: arithmetic that would end in a plausible but wrong number."""

import torch
from jaxtyping import Num
from torch import Tensor


def is_finite(values: Num[Tensor, "..."]) -> bool:
    """Whether `values` hold neither NaN nor infinity: by their extremes, which are NaN if any is."""
    return values.numel() == 0 or bool(torch.isfinite(torch.stack(values.aminmax())).all())


def require_finite(values: Num[Tensor, "..."], what: str) -> None:
    """Raise if `values` hold NaN or infinity; `what` names them and their place.

    Raises:
        ValueError: with how many values are not finite and the usual cause.
    """
    if not is_finite(values):
        n_bad = int((~torch.isfinite(values)).sum())
        raise ValueError(
            f"{what}: {n_bad} of {values.numel()} values are NaN or infinite; the usual cause is "
            "float16 overflow: load the model in the dtype of its checkpoint (bfloat16 for recent models)"
        )


def require_full_float32() -> None:
    """Raise if float32 matrix products may be rounded to TF32 or bfloat16.

    TF32 products have 10 bits of mantissa: enough to change masks and to make a factorisation fail.

    Raises:
        RuntimeError: with the setting found.
    """
    precision = torch.get_float32_matmul_precision()
    if precision != "highest":
        raise RuntimeError(
            f"float32 matrix products have precision {precision!r}, but pruning statistics need 'highest'; "
            "call torch.set_float32_matmul_precision('highest')"
        )
