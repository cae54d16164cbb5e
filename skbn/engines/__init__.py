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
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

SUFFIX = "_engine"

# Values that repay ten seconds of a compiler, or a fraction of one to load what it
# left on the disk.
LARGE = 2**25


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
    """Return the engine of that name.

    Raises
    ------
    ImportError
        What the engine needs is not installed.
    """
    try:
        return import_module(f"{__name__}.{name}{SUFFIX}")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"engine={name!r} needs {error.name}, which is not installed: "
            f"pip install 'skbn[{name}]'."
        ) from error


def choose(name: str, X: Any, *, weighted: bool = False) -> ModuleType:
    """Return the engine asked for, or for ``"auto"`` the one to read X.

    That is Numba's where it is compiled already, or the array large enough to repay
    its compiler.

    Raises
    ------
    ValueError
        Unknown name.
    ImportError
        What the engine needs is not installed.
    """
    if name == "auto":
        numba = sys.modules.get(f"{__name__}.numba{SUFFIX}")
        if numba is not None and numba.ready(X.dtype, weighted=weighted):
            return numba
        large = X.size >= LARGE and find_spec("numba") is not None
        return load("numba") if large else load("numpy")
    if name not in names():
        raise ValueError(f"engine={name!r} is unknown; engines are {names()}.")
    return load(name)
