"""Imports timm and torchvision without torch's compiler, which takes longer than torch itself."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_COMPILER = "torch._dynamo"


class _Placeholder(ModuleType):
    """Stands for a module until something other than its few given attributes is used."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)  # `importlib.util.find_spec` fails without one

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        _remove_placeholders()
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def without_compiler() -> Iterator[None]:
    """Imports inside do not import `torch._dynamo`, unless they use more of it than known here.

    timm marks one class, and torchvision asks in one operator whether code is being compiled;
    neither is used here. Whatever is imported afterwards finds the real module. Other threads must
    not use the compiler meanwhile: they would find the placeholders too.
    """
    if _COMPILER in sys.modules:
        yield
        return
    compiler, utils = _Placeholder(_COMPILER), _Placeholder(f"{_COMPILER}.utils")
    compiler.__path__ = []
    compiler.__dict__["utils"] = utils
    compiler.__dict__["disable"] = lambda function, *_args, **_kwargs: function
    utils.__dict__["is_compile_supported"] = _is_compile_supported
    sys.modules |= {module.__name__: module for module in (compiler, utils)}
    try:
        yield
    finally:
        _remove_placeholders()


def _is_compile_supported(device_type: str) -> bool:
    real = importlib.import_module(f"{_COMPILER}.utils")
    return bool(real.is_compile_supported(device_type))


def _remove_placeholders() -> None:
    for name in (_COMPILER, f"{_COMPILER}.utils"):
        if isinstance(sys.modules.get(name), _Placeholder):
            del sys.modules[name]
