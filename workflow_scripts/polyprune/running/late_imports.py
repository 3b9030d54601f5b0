"""What torch and transformers import and stages here never ask for, left out of cold jobs until something does.

Importing one class of models brings torch's compiler, with its distributed tensors and sympy, and scipy's optimisers
for the losses of detectors, and looks through the sources of all models twice: half of the CPU-seconds in which a job
that runs a model began. None of it computes anything here: no model is compiled, or spread over devices.

* `torch._dynamo` is there without what is in it, and runs its own code when anything is asked of it but one submodule.
  transformers takes marks of it, for what a compiler is to leave alone: without one, a marked function is the function.
* `torch._meta_registrations`, with torch's decompositions, references and primitives, is there in the same way: a
  quarter of torch's import registers operators of its meta device and of its compiler. Until it has run, an operator of
  the meta device that is not in torch's own library raises NotImplementedError (`model/meta.py`). Where there is a GPU
  torch is imported whole: without these it was tried on CPUs alone.
* transformers' packages look through sources when they are asked for a name that they do not have; submodules are
  imported without that.
* transformers asks whether torch has distributed tensors, and whether scipy is there, and is told no.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from polyprune.running.gpus import visible_gpus


def _mark(function: Callable[..., Any] | None = None, *_: object, **__: object) -> Callable[..., Any]:
    """As a decorator, or with options as what makes one."""
    return function or _mark


_COMPILER, _ASKED = "torch._dynamo", "transformers.utils.import_utils"
_METAS, _OF_METAS = "torch._meta_registrations", ("torch._decomp", "torch._prims", "torch._refs")
"""Torch itself asks for attributes of the latter without importing them."""
_LIGHT = f"{_COMPILER}._trace_wrapped_higher_order_op"
"""What transformers takes of the compiler besides marks; it imports nothing else of it."""
_MARKS = ("disable", "allow_in_graph", "assume_constant_result")
_NOT_THERE = ("is_torch_distributed_available", "is_scipy_available")


def install() -> None:
    """Before torch or transformers is imported."""
    late = _LOADERS if visible_gpus() else _LOADERS | _OPERATORS
    sys.meta_path.insert(0, _Finder(late))  # type: ignore[arg-type]


class _Finder:
    def __init__(self, late: Mapping[str, type[_Loader]]) -> None:
        self.late = late

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        package = sys.modules.get(name.rpartition(".")[0])
        if isinstance(package, _LateModule) and name != _LIGHT:
            package.run()
            if name in sys.modules:
                return _already_run(name, sys.modules[name])
        loader = self.late.get(name)
        spec = PathFinder.find_spec(name, path, target) if loader else None
        if loader and spec and spec.loader:
            spec.loader = loader(spec.loader)  # type: ignore[assignment]
        return spec


class _Loader:
    """Of a module in place of its own; no subclass of importlib's, whose import takes 20 ms."""

    def __init__(self, own: Any) -> None:
        self.own = own

    def create_module(self, spec: ModuleSpec) -> None:
        """By the usual way."""


class _Late(_Loader):
    """As the standard library's LazyLoader, but that imports of submodules do not run the package."""

    def exec_module(self, module: ModuleType) -> None:
        module.__class__ = _LateModule


class _LateModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.run()
        return getattr(self, name)

    def run(self) -> None:
        """The module's own code, which makes it what it would have been, after that of torch's meta device."""
        metas = sys.modules.get(_METAS)
        if metas is not self and isinstance(metas, _LateModule):
            metas.run()
        if isinstance(self, _LateModule):  # else it ran with those
            loader = vars(self)["__loader__"].own
            self.__class__ = ModuleType  # type: ignore[assignment]
            vars(self)["__loader__"] = vars(self)["__spec__"].loader = loader
            loader.exec_module(self)


class _LateCompiler(_Late):
    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(dict.fromkeys(_MARKS, _mark))
        super().exec_module(module)


class _LateMetas(_Late):
    def exec_module(self, module: ModuleType) -> None:
        for name in _OF_METAS:
            import_module(name)
        base = import_module("torch._opaque_base").OpaqueBaseMeta
        import_module("torch._C")._set_generator_metaclass(base)  # as one of these does; without it none can be made
        super().exec_module(module)


def _already_run(name: str, module: ModuleType) -> ModuleSpec:
    """Of a submodule that its package imported while it was looked for: its own code is not run again.

    Python takes the module's own spec in such a case, which is its own again afterwards.
    """
    spec = ModuleSpec(name, _There(module))  # type: ignore[arg-type]
    module.__spec__ = spec
    return spec


class _There:
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
        package, look = vars(module)["_LazyModule"], vars(module)["define_import_structure"]
        vars(module).update(_LazyModule=_looking_late(package), define_import_structure=partial(_Unread, look))


class _Unread(dict[frozenset[str], dict[str, Any]]):
    """The names of a package's modules, by what they need installed, before `look` has looked for them."""

    def __init__(self, look: Callable[..., dict[frozenset[str], dict[str, Any]]], *args: Any, **options: Any) -> None:
        super().__init__({frozenset(): {}})
        self.look = partial(look, *args, **options)

    def read(self) -> dict[frozenset[str], dict[str, Any]]:
        """All names, those that were added since among them."""
        found = self.look()
        return {needed: self.get(needed, {}) | found.get(needed, {}) for needed in [*self, *found]}


def _looking_late(kind: Any) -> type[ModuleType]:
    """transformers' class of packages, which reads its names when it is asked for one that it does not have."""

    class LookingLate(kind):
        def __init__(self, name: str, file: str, names: Any, **options: Any) -> None:
            super().__init__(name, file, names, **options)
            if isinstance(names, _Unread):
                del self.__dict__["__all__"]
                self._again = lambda: super(LookingLate, self).__init__(name, file, names.read(), **options)

        def __getattr__(self, name: str) -> Any:
            try:
                return super().__getattr__(name)
            except AttributeError:
                if "_again" not in vars(self):
                    raise
            if Path(self.__path__[0], f"{name}.py").is_file():
                return import_module(f"{self.__name__}.{name}")
            self.__dict__.pop("_again")()
            return getattr(self, name)

    return LookingLate


_LOADERS: dict[str, type[_Loader]] = {_COMPILER: _LateCompiler, _ASKED: _Told}
_OPERATORS: dict[str, type[_Loader]] = {_METAS: _LateMetas, **dict.fromkeys(_OF_METAS, _Late)}
