"""What engines share: their contract and its defaults, errors, values out of range.

An engine is a package of this folder, or an object, with the functions

* ``accepts(X) -> bool``: whether the data are of its kind; cheap, importing nothing
* ``moments(X, weights=None, *, n_threads=None) -> Moments``: of the rows of X
* ``normalize(X, affine, *, copy=True, n_threads=None)``: X mapped

described in ``skbn.engines.numpy``. NumPy's arrays are read by several; for those the
parameter ``engine`` chooses. An engine for another container has ``CONTAINER = True``,
its functions take a further keyword ``engine``, that parameter, and it may have

* ``check(estimator, X, *, reset, names=True)``: X as it wants it, or an error
* ``pooled(earlier, X, *, n_threads=None)``: the moments of earlier rows and then X,
  by default those of X merged with them
* ``rows(X, start, stop)``: some rows of X, by default ``X[start:stop]``
* ``find_infinity(X) -> (row, column)``
* ``check_map(estimator, X, affine)``, which raises where X cannot be mapped so
* ``with_weights(X, name)``: X with a column of it as sample weights, and no feature,
  where ``sample_weight`` is its name
* ``LAZY = True`` where ``normalize`` returns data of X's kind, not computed yet:
  ``set_output`` makes nothing else of them

One for collections, data that lie in parts, in other processes maybe, has in place of
``moments``

* ``learn(X, sample_weight, start, *, batch_size=None, some=False, n_threads=None,
  engine="auto") -> Running``: what the rows of X show, from the records of the parts,
  merged in their order. ``start`` is the record of an empty stream, ``batch_size`` the
  rows of a batch, None for a part, and ``some`` says that not all weights may be zero
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn.moments import UNIT, Moments, pool, scaled

AnyArray = NDArray[Any]
Array = NDArray[np.float64]

# Sums of values, and of weights times values, from here on are out of range: their
# squares would be, or the halves that exact products split them into.
LARGE_VALUE = 2.0**450
# Values from here on are summed in units of 2**UNIT where some sum is out of range.
# Sums of as many smaller ones as fit into memory are not.
LARGE_TERM = 2.0**400
# Values that are looked at together where one is out of range.
BLOCK = 2**18


class InfinityInBlockError(ValueError):
    """An engine met an infinity; the caller, who knows the names, says where."""


class OutOfRangeError(ArithmeticError):
    """Sums left the range of float64: of an infinity, or of values too large."""


@cache
def names() -> tuple[str, ...]:
    """Return the names of the engines of this folder, sorted."""
    folder = str(Path(__file__).parent)
    return tuple(sorted(m.name for m in iter_modules([folder]) if m.ispkg))


@cache
def load(name: str) -> ModuleType:
    """Return the engine of that name.

    Raises
    ------
    ImportError
        What the engine needs is not installed.
    """
    try:
        return import_module(f"skbn.engines.{name}")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"engine={name!r} needs {error.name}, which is not installed: "
            f"pip install 'skbn[{name}]'."
        ) from error


def is_sparse_frame(X: Any) -> bool:
    """Whether X is a pandas DataFrame that stores all of its columns sparsely."""
    dtypes = getattr(X, "dtypes", None)
    if dtypes is None or not hasattr(X, "sparse") or X.shape[1] == 0:
        return False
    return all(hasattr(dtype, "fill_value") for dtype in dtypes)


def find_infinity(X: AnyArray) -> tuple[int, int] | None:
    """Row and column of the first infinity in an array, row by row."""
    n_rows = max(1, BLOCK // X.shape[1])
    for start in range(0, len(X), n_rows):
        found = np.argwhere(np.isinf(X[start : start + n_rows]))
        if len(found):
            return start + int(found[0][0]), int(found[0][1])
    return None


def output_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of normalised data: their own up to float64, else float64."""
    if dtype.kind == "f" and dtype.itemsize <= 8:
        return dtype.newbyteorder("=")
    return np.dtype(np.float64)


def output(X: AnyArray, copy: bool) -> AnyArray:
    """Return where normalised X goes: X itself, if it may, or a new array."""
    if not copy and may_be_overwritten(X):
        return X
    return np.empty_like(X, dtype=output_dtype(X.dtype), subok=False)


def may_be_overwritten(X: AnyArray) -> bool:
    """Whether X holds its normalised values: in dtype, writeable, each value apart."""
    if X.dtype != output_dtype(X.dtype) or not X.flags.writeable:
        return False
    inner, outer = sorted(zip(np.abs(X.strides), X.shape, strict=True))
    row = inner[0] * (inner[1] - 1) + X.itemsize
    apart = inner[0] >= X.itemsize or inner[1] == 1
    return bool(apart and (outer[0] >= row or outer[1] == 1))


def larger_unit(largest: Array) -> NDArray[np.intp]:
    """Powers of two that values up to ``largest`` are divided by, to be summed.

    Parameters
    ----------
    largest : ndarray of shape (n_features,)
        Largest absolute value of each feature.

    Raises
    ------
    InfinityInBlockError
        One of them is infinite.
    """
    if np.isinf(largest).any():
        raise InfinityInBlockError
    return np.where(largest >= LARGE_TERM, UNIT, 0)


def moments_of_any_size(
    moments: Callable[[AnyArray, Array | None], Moments],
    X: AnyArray,
    weights: Array | None,
) -> Moments:
    """Moments of the rows of an array, in larger units if they need be.

    Parameters
    ----------
    moments : callable
        Raises OutOfRangeError where sums leave the range.

    Raises
    ------
    InfinityInBlockError
    """
    try:
        return moments(X, weights)
    except OutOfRangeError:
        unit = larger_unit(_largest(X))
    total = Moments.empty(X.shape[1])
    with np.errstate(all="ignore"):
        for block in _blocks(X):
            part = None if weights is None else weights[block]
            small = np.ldexp(X[block].astype(np.float64), -unit)
            total = pool(total, moments(small, part))
        return Moments(total.weight, scaled(total.values, unit))


def _blocks(X: AnyArray) -> list[slice]:
    n_rows = max(1, BLOCK // X.shape[1])
    return [slice(start, start + n_rows) for start in range(0, len(X), n_rows)]


def _largest(X: AnyArray) -> Array:
    """Largest absolute value of each feature, zero where all are missing."""
    largest = np.zeros(X.shape[1])
    for block in _blocks(X):
        values = np.abs(X[block].astype(np.float64))
        np.fmax(largest, np.fmax.reduce(values, axis=0), out=largest)
    return largest
