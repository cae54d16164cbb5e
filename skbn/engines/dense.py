"""NumPy arrays, and all that becomes one: read by the NumPy or the Numba engine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn.affine import Affine
from skbn.checks import check_dense as check
from skbn.constant_features import scaling as scaling_by_numpy
from skbn.engines.auto import use_numba
from skbn.engines.base import find_infinity, load
from skbn.moments import Combine, Moments
from skbn.moments import combine as combine_by_numpy

__all__ = [
    "accepts",
    "check",
    "choose",
    "find_infinity",
    "moments",
    "normalize",
    "pooled",
]

AnyArray = NDArray[Any]

# Values that repay ten seconds of a compiler, or a fraction of one to load what it
# left on the disk.
LARGE = 2**25

CONTAINER = True


def accepts(X: object) -> bool:
    """Whether X is an array."""
    return isinstance(X, np.ndarray)


def choose(engine: str, dtype: np.dtype[Any], n_values: int, work: str) -> Any:
    """Return the engine for so many values of arrays of that dtype.

    ``engine`` is the parameter, and ``work`` is "moments", "weighted" or "map".
    """
    numba = use_numba(engine, (work, dtype), n_values, LARGE)
    return load("numba" if numba else "numpy")


def combine(engine: str) -> Combine:
    """Return what merges moments: Numba's once it is loaded, of the same bits."""
    return _compiled(engine, "combine", combine_by_numpy)


def scaling(engine: str) -> Callable[..., Any]:
    """Return ``skbn.constant_features.scaling``, or Numba's, likewise."""
    return _compiled(engine, "scaling", scaling_by_numpy)


def _compiled(engine: str, name: str, by_numpy: Callable[..., Any]) -> Any:
    numba = None if engine == "numpy" else sys.modules.get("skbn.engines.numba")
    # Another thread may be half-way through its import.
    return getattr(numba, name, by_numpy)


def moments(
    X: AnyArray,
    weights: NDArray[np.float64] | None = None,
    *,
    n_threads: int | None = None,
    engine: str = "auto",
) -> Moments:
    """Moments of the rows of X, NaN left out; see ``skbn.engines.numpy``."""
    work = "moments" if weights is None else "weighted"
    chosen = choose(engine, X.dtype, X.size, work)
    return chosen.moments(X, weights, n_threads=n_threads)


def pooled(
    earlier: Moments,
    X: AnyArray,
    *,
    n_threads: int | None = None,
    engine: str = "auto",
) -> Moments:
    """Moments of earlier rows and then X: by one call, where the engine has it."""
    chosen = choose(engine, X.dtype, X.size, "moments")
    together = chosen.pooled(earlier, X) if hasattr(chosen, "pooled") else None
    if together is None:
        batch = chosen.moments(X, n_threads=n_threads)
        return combine(engine)(earlier, batch, between=True)
    return together


def normalize(
    X: AnyArray,
    affine: Affine,
    *,
    copy: bool = True,
    n_threads: int | None = None,
    engine: str = "auto",
) -> AnyArray:
    """Return X mapped; see ``skbn.engines.numpy``."""
    chosen = choose(engine, X.dtype, X.size, "map")
    return chosen.normalize(X, affine, copy=copy, n_threads=n_threads)
