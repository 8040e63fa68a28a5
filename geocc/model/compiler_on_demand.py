"""torch's compiler, imported when somebody asks for it and not because somebody might.

Transformers takes four names from `torch._dynamo` when it is imported. They bring the whole compiler with them, more than a
thousand modules and a quarter of a cold start, and captioning calls none of them. Here those four are stand-ins that do
what the real ones do, and any other name, and any other module of the compiler, imports the real thing in their place.
"""

from __future__ import annotations

import functools
import sys
import threading
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["import_compiler_on_demand"]

_COMPILER = "torch._dynamo"
_GETITEM = "torch._dynamo._trace_wrapped_higher_order_op"


def import_compiler_on_demand() -> None:
    """From now on, import torch's compiler when it is first used; nothing happens where it is imported already.

    For a process that is geocc's own: in another one, somebody may look into `sys.modules` for it.
    """
    if _COMPILER not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Waiting(ModuleType):
    """A module that is found but not run; it becomes the real one when a name is asked of it that has no stand-in."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system asks for what it has not set
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        _run_compiler()
        return getattr(self, name)


class _Finder(MetaPathFinder):
    """Finds the compiler's package and the one module of it that Transformers names; runs it for any other."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in {_COMPILER, _GETITEM}:
            spec = PathFinder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Postponing(spec.loader)
            return spec
        if fullname.startswith(f"{_COMPILER}."):
            _run_compiler()
        return None


class _Postponing(Loader):
    def __init__(self, real: Loader) -> None:
        self.real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Waiting(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(_STAND_INS[module.__name__])


_running = threading.RLock()
_marked: list[tuple[str, Any]] = []  # what was decorated before the compiler was there


def _run_compiler() -> None:
    """Put the real modules in the place of those that wait, and repeat to them what the stand-ins were told."""
    with _running:
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
        package, module = sys.modules.get(_COMPILER), sys.modules.get(_GETITEM)
        if isinstance(package, _Waiting):  # first, as in any import
            _run(package)
            for mark, function in _marked:
                getattr(package, mark)(function)
            _marked.clear()
        if isinstance(module, _Waiting):
            _run(module)


def _run(module: ModuleType) -> None:
    for name in _STAND_INS[module.__name__]:
        vars(module).pop(name, None)
    module.__class__ = ModuleType
    spec: Any = module.__spec__
    spec.loader = module.__loader__ = spec.loader.real
    spec.loader.exec_module(module)


def _marking(mark: str) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        _marked.append((mark, function))
        return function

    return decorate


def _disable(fn: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Stand in for `torch._dynamo.disable`: with no compiler there is nothing to keep a function from."""
    if fn is None:
        return lambda function: _disable(function, *args, **kwargs)

    @functools.wraps(fn)
    def undisturbed(*given: Any, **named: Any) -> Any:
        compiler = sys.modules[_COMPILER]
        real = fn if isinstance(compiler, _Waiting) else compiler.disable(fn, *args, **kwargs)
        return real(*given, **named)

    return undisturbed


def _transform_getitem_to_index() -> Any:
    _run_compiler()
    return sys.modules[_GETITEM].TransformGetItemToIndex()


_STAND_INS: dict[str, dict[str, Any]] = {
    _COMPILER: {
        "allow_in_graph": _marking("allow_in_graph"),
        "assume_constant_result": _marking("assume_constant_result"),
        "disable": _disable,
    },
    _GETITEM: {"TransformGetItemToIndex": _transform_getitem_to_index},
}
