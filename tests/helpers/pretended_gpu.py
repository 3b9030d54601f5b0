"""A GPU that computes on the CPU: for mistakes that only a GPU would show, found without one.

Within `pretended_gpu`, tensors on `cuda` are on a device of their own as far as anybody can see: an operation on
tensors of both devices is refused as torch refuses it, NumPy cannot have them, and random numbers need a generator of
theirs. What they hold comes from the CPU's kernels, so results can be compared. Streams are in step; `streams.py` has
others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
import torch._dynamo  # which looks at what is patched below when it is imported
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("cuda", 0)
GIBIBYTE = 1 << 30
aten = torch.ops.aten
BETWEEN_DEVICES = {Tensor.__setitem__, Tensor.copy_, aten.copy_, aten._to_copy, aten.to}
BY_INDICES = {Tensor.__getitem__, aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}
"""Second come indices, which may lie on the CPU."""
OF_HOST = {Tensor.tolist, Tensor.data_ptr}
UNLINKED = "PyTorch is not linked with support for cuda devices"
"""What torch built for CPUs says where it asks the device for something first: of indexing, `copy_`, `contiguous`, …"""


class There(Tensor):
    """A tensor on the device; `host` is where the CPU can compute with it."""

    host: Tensor

    @staticmethod
    def __new__(cls, host: Tensor) -> There:
        how = {"strides": host.stride(), "storage_offset": host.storage_offset(), "dtype": host.dtype}
        made = Tensor._make_wrapper_subclass(cls, host.shape, device=GPU, **how)
        made.host = host
        return made

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            if func in OF_HOST:
                return func(args[0].host)
            if func == Tensor.data.__set__:  # type: ignore[attr-defined]
                args[0].host = args[1].host if isinstance(args[1], There) else args[1]
            try:
                return func(*args, **(kwargs or {}))
            except RuntimeError as error:
                if UNLINKED not in str(error):
                    raise
                return _run(func, args, dict(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, dict(kwargs or {}))


class _Everywhere(TorchDispatchMode):
    """So that new tensors are on the device, too."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, dict(kwargs or {}))


class _Generators(TorchFunctionMode):
    """Refuses a generator of the other device."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if (generator := (kwargs or {}).get("generator")) is not None:
            own = args[0].device if args and isinstance(args[0], Tensor) else (kwargs or {}).get("device") or "cpu"
            if torch.device(own).type != generator.device.type:
                raise RuntimeError(f"{func}: expected a generator of device {own}, found one of {generator.device}")
        return func(*args, **(kwargs or {}))


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute on the CPU, and place the result where a GPU would."""
    kind, leaves = getattr(func, "overloadpacket", func), tree_leaves((args, kwargs))
    there = [leaf for leaf in leaves if isinstance(leaf, There)]
    if there and kind not in BETWEEN_DEVICES:
        for leaf in [leaves[0], *tree_leaves(args[2:])] if kind in BY_INDICES else leaves:
            if isinstance(leaf, Tensor) and not isinstance(leaf, There) and leaf.dim():
                raise RuntimeError(f"{func}: expected all tensors to be on the same device, but found at least two")
    asked = next((leaf for leaf in leaves if isinstance(leaf, torch.device)), None)
    on_device = bool(there) if asked is None else asked.type == "cuda"
    if kind in (aten.copy_, Tensor.copy_):
        on_device = isinstance(args[0], There)
    if kwargs.get("pin_memory"):
        del kwargs["pin_memory"]
    owners = {id(leaf.host): leaf for leaf in there}
    with _disable_current_modes():
        args, kwargs = tree_map(_here, (args, kwargs))
        compute: Any = ON_GPUS_ALONE.get(func, func)
        result = compute(*args, **kwargs)

    def placed(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or leaf.is_meta:
            return leaf
        if not on_device:
            return leaf.clone() if id(leaf) in owners else leaf
        if id(leaf) in owners:
            return owners[id(leaf)]
        return There(leaf.clone() if any(leaf is each for each in leaves) else leaf)

    return tree_map(placed, result)


def _here(leaf: Any) -> Any:
    """What the CPU takes in place of a tensor on the device, and of the device."""
    if isinstance(leaf, torch.device) and leaf.type == "cuda":
        return torch.device("cpu")
    return leaf.host if isinstance(leaf, There) else leaf


def _product_in_float32(left: Tensor, right: Tensor, out_dtype: torch.dtype) -> Tensor:
    return left.to(out_dtype) @ right.to(out_dtype)


ON_GPUS_ALONE: dict[Any, Callable[..., Any]] = {aten.mm.dtype: _product_in_float32}


class _Generator(torch.Generator):
    """Of either device."""

    def __new__(cls, device: Any = "cpu") -> _Generator:
        made = super().__new__(cls)
        made.place = torch.device(device)  # type: ignore[attr-defined]
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.place  # type: ignore[attr-defined]


class _Event:
    def synchronize(self) -> None:
        pass


class _Stream:
    """Of a device whose work is done when it is asked for."""

    def __init__(self, _: torch.device | None = None) -> None:
        pass

    def record_event(self) -> _Event:
        return _Event()

    def wait_event(self, _: _Event) -> None:
        pass

    def wait_stream(self, _: _Stream) -> None:
        pass

    def synchronize(self) -> None:
        pass


@contextmanager
def _there(_: _Stream | None = None) -> Iterator[None]:
    """Within, the device is there for this thread. Nothing is kept for gradients, which would end the process."""
    with torch.no_grad(), _Generators(), _Everywhere():
        yield


MODULE = SimpleNamespace(Stream=_Stream, current_stream=_Stream, stream=_there)
IN_PLACE_OF_CUDA: dict[str, Callable[..., Any]] = {
    "_lazy_init": lambda: None,
    "is_available": lambda: True,
    "synchronize": lambda _=None: None,
    "empty_cache": lambda: None,
    "mem_get_info": lambda _=None: (GIBIBYTE, GIBIBYTE),
    "max_memory_allocated": lambda _=None: GIBIBYTE,
    "reset_peak_memory_stats": lambda _=None: None,
    "get_device_name": lambda _=None: "a pretended GPU",
}


@contextmanager
def pretended_gpu(monkeypatch: Any) -> Iterator[torch.device]:
    """Within: the device is there."""
    real = torch.get_device_module
    with monkeypatch.context() as patch:
        for name, value in IN_PLACE_OF_CUDA.items():
            patch.setattr(torch.cuda, name, value)
        patch.setattr(torch, "Generator", _Generator)
        patch.setattr(Tensor, "record_stream", lambda *_: None)
        patch.setattr(torch, "_has_compatible_shallow_copy_type", lambda a, b: type(a) is type(b) is There)
        patch.setattr(torch.inference_mode, "__enter__", lambda _: None)  # no parameters could be made within
        patch.setattr(torch.inference_mode, "__exit__", lambda *_: None)
        patch.setattr(torch, "get_device_module", lambda device: MODULE if device.type == "cuda" else real(device))
        torch._C._set_only_lift_cpu_tensors(True)  # as torch's own fake tensors need it for `torch.tensor`
        try:
            with _there():
                yield GPU
        finally:
            torch._C._set_only_lift_cpu_tensors(False)
