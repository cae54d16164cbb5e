"""Engines: one file for each way to read and normalise a kind of data.

An engine is a module ``<name>_engine`` of this folder with the functions

* ``accepts(X) -> bool``
* ``moments(X, weights=None, *, n_threads=None) -> Moments``
* ``normalize(X, affine, out, *, n_threads=None)``

described in ``numpy_engine``. Adding one is adding its file: engines, tests and
benchmarks are found by listing this folder.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

SUFFIX = "_engine"


class InfinityInBlockError(ValueError):
    """An engine met an infinity; the caller, who knows the names, says where."""


@cache
def names() -> tuple[str, ...]:
    """Return the names of the engines, sorted."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(
        sorted(name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX))
    )


@cache
def load(name: str) -> ModuleType:
    """Return the engine of that name."""
    return import_module(f"{__name__}.{name}{SUFFIX}")


def choose(name: str, X: Any) -> ModuleType:
    """Return the engine asked for, or for ``"auto"`` the one to read X.

    Raises
    ------
    ValueError
        Unknown name.
    """
    if name == "auto":
        return next(engine for engine in map(load, names()) if engine.accepts(X))
    if name not in names():
        raise ValueError(f"engine={name!r} is unknown; engines are {names()}.")
    return load(name)
