"""Engines: one folder for each way to read and normalise a kind of data.

An engine is a package of this folder with the functions

* ``accepts(X) -> bool``
* ``moments(X, weights=None, *, n_threads=None) -> Moments``
* ``normalize(X, affine, *, copy=True, n_threads=None)``, the image of X

described in ``skbn.engines.numpy``. Adding one is adding its folder: engines, tests and
benchmarks are found by listing this folder. The type of the data picks the engine;
for NumPy arrays, which several engines read, the parameter ``engine`` does.

An engine for other containers has ``CONTAINER = True``. Its functions take a further
keyword ``engine``, the parameter, and it may have

* ``check(estimator, X, *, reset, names=True)``: X as it wants it, or an error
* ``rows(X, start, stop)``: some rows of X, by default ``X[start:stop]``
* ``find_infinity(X) -> (row, column)``
* ``check_map(estimator, X, affine)``, which raises where X cannot have that image
"""

from __future__ import annotations

import pkgutil
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np

from skbn.engines.base import Reader

GROUP = "skbn.engines"

# Values that repay ten seconds of a compiler, or a fraction of one to load what it
# left on the disk.
LARGE = 2**25


@cache
def names() -> tuple[str, ...]:
    """Return the names of the engines of this folder, sorted."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.ispkg))


@cache
def load(name: str) -> ModuleType:
    """Return the engine of that name.

    Raises
    ------
    ImportError
        What the engine needs is not installed.
    """
    try:
        return import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"engine={name!r} needs {error.name}, which is not installed: "
            f"pip install 'skbn[{name}]'."
        ) from error


@cache
def containers() -> dict[str, Any]:
    """Return the engines for containers: this folder's, then those of others.

    Others register a module, or an object with its functions, as an entry point of
    the group ``skbn.engines``.
    """
    # Not above: with the modules that it needs it takes 7 ms to import.
    from importlib.metadata import entry_points

    # NumPy's engine and Numba's, which takes a second to load, read arrays.
    ours = {name: load(name) for name in names() if name not in {"numpy", "numba"}}
    theirs = {point.name: point.load() for point in entry_points(group=GROUP)}
    return {name: e for name, e in (ours | theirs).items() if e.CONTAINER}


def reader(X: Any) -> Any | None:
    """Return the engine for the container X; None for what becomes an array."""
    if type(X) in (np.ndarray, list):
        return None
    return next((e for e in containers().values() if e.accepts(X)), None)


def choose(name: str, X: Any, *, weighted: bool = False, mapping: bool = False) -> Any:
    """Return the engine to read X with; ``name`` is the parameter ``engine``.

    The work is moments, those of weighted rows, or a map. For ``"auto"`` and an array
    that is Numba's where it is compiled already, or the array large enough to repay
    its compiler.

    Raises
    ------
    ValueError
        Unknown name, or an engine that does not read X.
    ImportError
        What the engine needs is not installed.
    """
    if name == "auto":
        if isinstance(X, np.ndarray):
            return _for_array(
                X, "map" if mapping else "weighted" if weighted else "moments"
            )
    elif name not in names() and name not in containers():
        known = tuple(dict.fromkeys((*names(), *containers())))
        raise ValueError(f"engine={name!r} is unknown; engines are {known}.")
    elif isinstance(X, np.ndarray):
        if name in containers():
            raise ValueError(f"engine={name!r} does not read NumPy arrays.")
        return load(name)
    return Reader(reader(X), name)


def _for_array(X: Any, work: str) -> ModuleType:
    numba = sys.modules.get(f"{__name__}.numba")
    if numba is not None and numba.ready(X.dtype, work):
        return numba
    large = X.size >= LARGE and find_spec("numba") is not None
    return load("numba") if large else load("numpy")
