"""torch's meta device, on which tensors have shapes and no numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def on_meta(make: Callable[[], Any]) -> Any:
    """What `make` makes there.

    Most operators of this device are in torch's library. Where one is missing, it is in torch's module of the others,
    which jobs import late (`running/late_imports.py`), and `make` is called again.
    """
    with torch.device("meta"):
        try:
            return make()
        except NotImplementedError:
            from torch._meta_registrations import activate_meta  # noqa: F401

            return make()
