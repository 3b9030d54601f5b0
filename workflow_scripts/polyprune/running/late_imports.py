"""What transformers imports for models and stages here never ask for, left out of cold jobs until something does.

Importing one class of models brings torch's compiler, with its distributed tensors and sympy, and scipy's optimisers
for the losses of detectors, and looks through the sources of all models twice: half of the CPU-seconds in which a job
that runs a model began. None of it computes anything here: no model is compiled, or spread over devices.

* `torch._dynamo` and `transformers.models` are there without what is in them, and run their own code when anything is
  asked of them but one submodule of the former and all of the latter. Of the compiler transformers takes marks, for
  what a compiler is to leave alone: without one, a marked function is the function.
* transformers asks whether torch has distributed tensors, and whether scipy is there, and is told no.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


def _mark(function: Callable[..., Any] | None = None, *_: object, **__: object) -> Callable[..., Any]:
    """As a decorator, or with options as what makes one."""
    return function or _mark


_COMPILER, _MODELS, _ASKED = "torch._dynamo", "transformers.models", "transformers.utils.import_utils"
_LIGHT = f"{_COMPILER}._trace_wrapped_higher_order_op"
"""What transformers takes of the compiler besides marks; it imports nothing else of it."""
_LATE: dict[str, dict[str, Any]] = {
    _COMPILER: dict.fromkeys(("disable", "allow_in_graph", "assume_constant_result"), _mark),
    _MODELS: {},
}
"""Packages that run when they are asked for something, and what they have without."""
_NOT_THERE = ("is_torch_distributed_available", "is_scipy_available")


def install() -> None:
    """Before torch or transformers is imported."""
    sys.meta_path.insert(0, _Finder())  # type: ignore[arg-type]


class _Finder:
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        package = sys.modules.get(name.rpartition(".")[0])
        if isinstance(package, _LateModule) and package.__name__ == _COMPILER and name != _LIGHT:
            package.run()
            if name in sys.modules:
                return ModuleSpec(name, _There(sys.modules[name]))  # type: ignore[arg-type]
        if name not in _LATE and name != _ASKED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec and spec.loader:
            spec.loader = (_Late if name in _LATE else _Told)(spec.loader)  # type: ignore[assignment]
        return spec


class _Loader:
    """Of a package in place of its own; no subclass of importlib's, whose import takes 20 ms."""

    def __init__(self, own: Any) -> None:
        self.own = own

    def create_module(self, spec: ModuleSpec) -> None:
        """By the usual way."""


class _Late(_Loader):
    """As the standard library's LazyLoader, but that imports of submodules do not run the package."""

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(_LATE[module.__name__])
        module.__class__ = _LateModule


class _LateModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.run()
        return getattr(sys.modules[self.__name__], name)

    def run(self) -> None:
        """The package's own code, which makes it what it would have been."""
        loader = vars(self)["__loader__"].own
        self.__class__ = ModuleType  # type: ignore[assignment]
        vars(self)["__loader__"] = vars(self)["__spec__"].loader = loader
        loader.exec_module(self)


class _There:
    """Of a submodule that its package imported while it was looked for."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


class _Told(_Loader):
    def exec_module(self, module: ModuleType) -> None:
        self.own.exec_module(module)
        vars(module).update(dict.fromkeys(_NOT_THERE, lambda: False))
