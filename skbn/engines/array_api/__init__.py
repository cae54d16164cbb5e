"""The engine for arrays of other libraries, by the Python array API specification.

With scikit-learn's ``array_api_dispatch`` on, arrays of PyTorch, JAX, CuPy and others
are mapped to arrays of the same library, device and floating dtype. Statistics stay on
the host, a few numbers a feature: data never travel there, but sample weights do.

An array in the host's memory that NumPy can view is read by the dense engine that the
parameter ``engine`` picks, exact to 15 digits. Any other is computed with operators
and functions of the specification only, on its own device: in float64, right to 1e-13
of the value, or, where a device has float32 at most, with compensated sums and
float32's own digits. ``transform`` then takes the memory of two further arrays in that
dtype.

Tested with array_api_strict on several devices, and with PyTorch and JAX on the CPU.
CuPy, and PyTorch and JAX on GPUs (CUDA, MPS, XPU), should work by the specification
and have not been tested.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn._sklearn import (
    get_namespace,
    get_namespace_and_device,
    is_array_of_other_library,
)
from skbn.affine import Affine
from skbn.checks import check_data
from skbn.engines import dense
from skbn.engines.array_api.device import apply, block_moments, widest
from skbn.engines.base import find_infinity as find_in_array
from skbn.engines.base import output
from skbn.moments import Moments, pool

CONTAINER = True

# Values that are summed before a look at the host, which keeps the sums of all.
BLOCK = 2**22
# Of DLPack's device types, the host's memory.
HOST = 1

Array = NDArray[np.float64]


def accepts(X: object) -> bool:
    """Whether this engine reads X: an array of another library, if that is asked."""
    return is_array_of_other_library(X)


def check(estimator: Any, X: Any, *, reset: bool, names: bool = True) -> Any:
    """Return X, checked as scikit-learn does, and remember its kind if ``reset``.

    Raises
    ------
    ValueError
        X is not two-dimensional, empty, complex, of other features, or asks for a
        gradient.
    """
    if getattr(X, "requires_grad", False):
        raise ValueError(
            "X requires a gradient, which is not passed on: give X.detach() instead."
        )
    # With a dtype to ask for, scikit-learn takes JAX's bfloat16 for text.
    X = check_data(estimator, X, reset=reset, names=names, dtype=None)
    xp, _, device = get_namespace_and_device(X)
    if xp.isdtype(X.dtype, "complex floating"):
        raise ValueError(f"Complex data not supported: {X.dtype}.")
    if reset:
        estimator._space = xp.empty(0, dtype=widest(xp, device), device=device)
    return X


def rows(X: Any, start: int, stop: int) -> Any:
    """Return the rows from start to stop."""
    return X[start:stop, :]


def find_infinity(X: Any) -> tuple[int, int] | None:
    """Row and column of the first infinity."""
    view = _view(X)
    if view is not None:
        return find_in_array(view)
    xp = get_namespace(X)[0]
    infinite = xp.reshape(xp.astype(xp.isinf(X), xp.int8), (-1,))
    first = int(xp.argmax(infinite))
    if not int(infinite[first]):
        return None
    return divmod(first, X.shape[1])


def moments(
    X: Any,
    weights: Array | None = None,
    *,
    n_threads: int | None = None,
    engine: str = "auto",
) -> Moments:
    """Moments of the rows of X, NaN left out; see ``skbn.engines.numpy``."""
    view = _view(X)
    if view is not None:
        return dense.moments(view, weights, n_threads=n_threads, engine=engine)
    n_rows = max(1, BLOCK // X.shape[1])
    total = Moments.empty(X.shape[1])
    for start in range(0, X.shape[0], n_rows):
        stop = min(start + n_rows, X.shape[0])
        part = None if weights is None else weights[start:stop]
        total = pool(total, block_moments(rows(X, start, stop), part))
    return total


def normalize(
    X: Any,
    affine: Affine,
    *,
    copy: bool = True,
    n_threads: int | None = None,
    engine: str = "auto",
) -> Any:
    """Return X mapped, of its library, device and floating dtype.

    With ``copy=False`` it is X itself, where NumPy may write to its memory.

    Raises
    ------
    InfinityInBlockError
        X holds an infinity, and has not been changed.
    """
    xp, _, device = get_namespace_and_device(X)
    floats = widest(xp, device)
    floating = xp.isdtype(X.dtype, "real floating")
    view = _view(X)
    if view is None:
        return apply(X, affine, X.dtype if floating else floats)
    if floating:
        target = output(view, copy)
    else:
        target = np.empty_like(view, str(floats).rpartition(".")[2], subok=False)
    writer = dense.choose(engine, view.dtype, view.size, "map")
    writer.write(view, affine, target, n_threads=n_threads)
    return X if target is view else _as_kind(target, xp, device)


def _view(X: Any) -> NDArray[Any] | None:
    """X as NumPy sees its memory; None where that would be a copy, or impossible."""
    if X.__dlpack_device__()[0] != HOST:
        return None
    try:
        view = np.asarray(X)
    except (TypeError, RuntimeError, ValueError, BufferError):
        return None
    is_known = view.dtype.kind in "fiub" and view.dtype.isbuiltin < 2
    return view if is_known else None


def _as_kind(array: NDArray[Any], xp: Any, device: Any) -> Any:
    """The array as one of another library, over the same memory if it can be."""
    try:
        out = xp.from_dlpack(array)
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError):
        out = None
    if out is not None and out.device == device:
        return out
    return xp.asarray(array, device=device)
