"""The engine for tables: pandas and polars DataFrames, pyarrow Tables.

Columns are read one by one, each by the dense engine that the parameter ``engine``
picks: where the memory of a column can be viewed, as it is; else, where values are
missing or the column lies in pieces, from a copy of that column. Nulls, ``pd.NA`` and
NaN are missing values. The transformed data are a NumPy array in the order of columns,
float32 where all columns are, or are narrow integers beside float32, else float64;
scikit-learn's ``set_output`` makes a DataFrame of it without another copy.

polars and pyarrow are read through Narwhals, the extra ``skbn[dataframe]``. Without it
their tables are converted whole, by scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from skbn import threads
from skbn._sklearn import check_feature_names, check_n_features
from skbn.affine import Affine
from skbn.engines import dense
from skbn.engines.base import AnyArray, is_sparse_frame
from skbn.engines.base import find_infinity as find_in_array
from skbn.engines.dataframe.columns import (
    narwhals_block,
    narwhals_column,
    pandas_block,
    pandas_column,
)
from skbn.engines.dataframe.frame import Column, Frame, values_of
from skbn.moments import Moments, side_by_side

CONTAINER = True

TABLES = {
    ("pandas", "DataFrame"),
    ("polars", "DataFrame"),
    ("pyarrow", "Table"),
    ("narwhals", "DataFrame"),
}

# Columns of fewer values in all are quicker on one thread.
SMALL = 2**18

# Columns at most so long, in a table of at most so many values, are copied in less time
# than it takes to look at each: 20 µs (Intel Xeon Sapphire Rapids, 2026-11).
SHORT, LITTLE = 2**12, 2**22

# Tasks a thread, each of neighbouring columns: column by column two threads write to
# the same huge pages at first, and ``transform`` took 80 ms instead of 65.
TASKS = 4


def accepts(X: object) -> bool:
    """Whether this engine reads X: a DataFrame, a Table, or a subclass of one.

    A pandas DataFrame whose columns are all sparse is a sparse matrix, as in
    scikit-learn.
    """
    return _library(X) is not None and not is_sparse_frame(X)


def _library(X: object) -> str | None:
    for base in type(X).__mro__:
        library = base.__module__.partition(".")[0]
        if (library, base.__name__) in TABLES:
            return library if library == "pandas" or find_spec("narwhals") else None
    return None


def check(estimator: Any, X: Any, *, reset: bool, names: bool = True) -> Any:
    """Return the columns of X, once its names and their number are checked.

    Parameters are those of ``skbn.checks.check_dense``.

    Raises
    ------
    ValueError, TypeError
        X is empty, a column does not hold numbers, or other features were seen.
    """
    library = _library(X)
    if library == "narwhals":
        X = X.to_native()
    if names:
        check_feature_names(estimator, X, reset=reset)
    shape = tuple(X.shape)
    if 0 in shape:
        check_array(np.empty(shape), estimator=estimator)
    frame = Frame(_columns(X, library), shape[0])
    check_n_features(estimator, frame, reset=reset)
    return frame


def _columns(X: Any, library: str | None) -> list[Column] | AnyArray:
    """The columns of a table, or all of them as one array."""
    n_samples, n_features = X.shape
    is_small = n_samples <= SHORT and n_samples * n_features <= LITTLE
    if library == "pandas":
        block = pandas_block(X) if is_small else None
        if block is not None:
            return block
        return [pandas_column(series, name) for name, series in X.items()]
    import narwhals

    table = narwhals.from_native(X, eager_only=True)
    block = narwhals_block(table) if is_small else None
    if block is not None:
        return block
    return [narwhals_column(series) for series in table.iter_columns()]


def find_infinity(X: Frame) -> tuple[int, int] | None:
    """Row and column of the first infinity, as in an array."""
    if X.whole is not None:
        return find_in_array(X.whole)
    found = []
    for j, column in enumerate(X.columns):
        if (location := find_in_array(values_of(column)[:, None])) is not None:
            found.append((location[0], j))
    return min(found, default=None)


def moments(
    X: Frame,
    weights: NDArray[np.float64] | None = None,
    *,
    n_threads: int | None = None,
    engine: str = "auto",
) -> Moments:
    """Moments of the rows of X, missing values left out; see ``skbn.engines.numpy``."""
    readers = _dense(X, engine, "moments" if weights is None else "weighted")

    def one(part: slice, n_threads: int | None) -> Moments:
        block = X.read(part)
        return readers[block.dtype].moments(block, weights, n_threads=n_threads)

    whole = side_by_side(_each_part(X, one, n_threads))
    if weights is None and np.all(whole.weight[0] == X.shape[0]):
        return whole.weighing((float(X.shape[0]), 0.0))
    return whole


def normalize(
    X: Frame,
    affine: Affine,
    *,
    copy: bool = True,  # noqa: ARG001
    n_threads: int | None = None,
    engine: str = "auto",
) -> AnyArray:
    """Return X mapped, a new array, each column in one piece.

    A table is never written to, since others may share its columns.
    """
    out = X.empty_output()
    writers = _dense(X, engine, "map")

    def one(part: slice, n_threads: int | None) -> None:
        block, target = X.read(part), out[:, part]
        write = writers[block.dtype].write
        write(block, affine.columns(part), target, n_threads=n_threads)

    _each_part(X, one, n_threads)
    return out


def _dense(X: Frame, engine: str, work: str) -> dict[np.dtype[Any], Any]:
    """Engines for the dtypes of the columns, chosen by the size of the whole.

    Before any is used: one that compiles on the way would be ready for the next
    column and not for the last.
    """
    return {dtype: dense.choose(engine, dtype, X.size, work) for dtype in X.dtypes()}


def _each_part(
    X: Frame, function: Callable[[slice, int | None], Any], n_threads: int | None
) -> list[Any]:
    """Call the function for all parts: these, or what is in them, by threads."""
    parts = X.parts()
    if X.size < SMALL:
        n_threads = 1
    if len(parts) < (n := threads.effective_n_threads(n_threads)):
        return [function(part, n_threads) for part in parts]
    several = -(-len(parts) // (TASKS * n))
    runs = [parts[i : i + several] for i in range(0, len(parts), several)]
    done = threads.run(lambda run: [function(part, 1) for part in run], runs, n)
    return [result for run in done for result in run]
