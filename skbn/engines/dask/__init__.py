"""The engine for Dask's arrays and DataFrames: the extra ``skbn[dask]``.

Each block is read where it is, by the engine for its kind: NumPy arrays, SciPy's CSR
and CSC, pandas DataFrames. ``fit`` computes once: a record of each block, merged in the
order of the blocks, so that all three averages are those of the rows in that order. A
block, all columns of it, is a batch for the momentum, or with a ``batch_size`` is cut
into some. ``transform`` computes nothing; it keeps kind, chunks, divisions and names,
whatever ``set_output`` asks for.

Where something is computed is Dask's choice: by the distributed client where there is
one. The last bits of a result do not depend on it, nor on the number of workers: what
reads the blocks is chosen here, once for all of them. With ``engine="auto"`` that is
Numba for 2**25 values and more, where it is installed; NumPy for fewer, or where the
number of rows is not known. With ``n_threads=None`` each block has one thread, since
Dask works on several blocks at a time.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy.sparse import issparse

from skbn import engines
from skbn.affine import Affine
from skbn.engines import dense
from skbn.engines.base import load, output_dtype
from skbn.engines.dask.blocks import Learning, Mapping
from skbn.engines.dask.collections import (
    Blocks,
    Collection,
    Partitions,
    as_weights,
    records,
    refuse_empty,
)
from skbn.engines.sparse.linear_operator import has_shift
from skbn.running import Running, side_by_side

CONTAINER = LAZY = True

__all__ = ["CONTAINER", "LAZY", "accepts", "check", "check_map", "learn", "normalize"]

KINDS = {"Array": Blocks, "DataFrame": Partitions}
MODULES = frozenset({"dask", "dask_expr"})


def accepts(X: object) -> bool:
    """Whether X is a Dask array or DataFrame."""
    return _kind(X) is not None


def _kind(X: object) -> Any:
    for base in type(X).__mro__:
        if base.__module__.partition(".")[0] in MODULES and base.__name__ in KINDS:
            return KINDS[base.__name__]
    return None


class Checked:
    """A collection whose features have been checked.

    Parameters
    ----------
    estimator : estimator
    X : Blocks or Partitions
    dtype : dtype
        Of X mapped.
    """

    def __init__(self, estimator: Any, X: Collection, dtype: np.dtype[Any]) -> None:
        self.X, self.shape, self.dtype = X, X.shape, dtype
        # Of its own, for workers: no state, nor what callbacks hold on to.
        self.estimator = type(estimator)(**estimator.get_params(deep=False))
        self.names = getattr(estimator, "feature_names_in_", None)

    def task(self, engine: str, n_threads: int | None) -> dict[str, Any]:
        """Return what all blocks have in common."""
        n_values = self.shape[0] * self.shape[1]
        return {
            "estimator": self.estimator,
            "columns": self.X.columns,
            "names": self.names,
            "engine": _choose(engine, n_values),
            "n_threads": n_threads or 1,
        }


def _choose(engine: str, n_values: float) -> str:
    """What reads all blocks, by the parameter and what the metadata say."""
    if engine == "numba":
        load("numba")
    if engine in {"numpy", "numba"}:
        return engine
    large = n_values >= dense.LARGE  # False where it is NaN
    return "numba" if large and find_spec("numba") else "numpy"


def check(estimator: Any, X: Any, *, reset: bool, names: bool = True) -> Checked:
    """Return X with what its metadata say, as the engine for its blocks checks them.

    Parameters
    ----------
    estimator : estimator
        Its ``n_features_in_`` and ``feature_names_in_`` are compared, or set.
    X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_features)
    reset : bool
        Whether to set them.
    names : bool
        Whether names matter.

    Raises
    ------
    ValueError, TypeError
        X is empty or not two-dimensional, its dtypes are not those of numbers, it would
        have to be centred and is sparse, or other features were seen.
    """
    collection = _kind(X)(X)
    refuse_empty(estimator, collection.shape)
    sample = collection.sample()
    reader = engines.reader(sample, "numpy")
    sample = reader.check(estimator, sample, reset=reset, names=names)
    return Checked(estimator, collection, output_dtype(np.dtype(sample.dtype)))


def check_map(estimator: Any, X: Checked, affine: Affine) -> None:
    """Raise a ValueError where blocks cannot be mapped so: sparse ones, and shifted."""
    sample = X.X.sample()
    reader = engines.reader(sample, "numpy")
    reader.check_map(estimator, sample, affine)
    if issparse(sample) and has_shift(affine):
        raise ValueError(
            "Blocks of a Dask array cannot be linear operators: pass "
            "`with_mean=False` and `beta=None`."
        )


def learn(
    X: Checked,
    sample_weight: Any,
    start: Running,
    *,
    batch_size: int | None = None,
    some: bool = False,
    n_threads: int | None = None,
    engine: str = "auto",
) -> Running:
    """Return the record of all rows, in the order of the blocks: computed at once.

    Parameters
    ----------
    X : Checked
        From ``check``.
    sample_weight : Dask array or series, array-like of shape (n_samples,), float, None
    start : Running
        Of an empty stream.
    batch_size : int or None
        Rows a batch, the last of each block with fewer; None for all of a block.
    some : bool
        Whether some of the weights must not be zero.

    Raises
    ------
    ValueError, TypeError
        There are no rows, weights do not go with them, or a block holds what it must
        not; the error names it.
    """
    weights: Any = None
    if sample_weight is not None:
        weights = as_weights(sample_weight, X.X, some=some)
    task = Learning(
        **X.task(engine, n_threads), averaging=start.averaging, batch_size=batch_size
    )
    running = side_by_side(records(X.X, task, weights))
    if running.n_batches == 0:
        refuse_empty(X.estimator, (0, X.shape[1]))
    nothing = some and weights is not None and not np.any(running.seen[0])
    if nothing and not (weights > 0).any().compute():
        raise ValueError("All of sample_weight is zero: there is nothing to fit.")
    return running


def normalize(
    X: Checked,
    affine: Affine,
    *,
    copy: bool = True,  # noqa: ARG001
    n_threads: int | None = None,
    engine: str = "auto",
) -> Any:
    """Return X mapped, lazily, of its kind; its blocks are never written to."""
    task = Mapping(**X.task(engine, n_threads), affine=affine, dtype=X.dtype)
    return X.X.map(task)
