"""The engine for lazy tables: polars LazyFrames, DuckDB relations, those of Narwhals.

``transform`` returns a table of the same kind, still lazy, with the same columns in
float64, or float32 where all of them are; whatever ``set_output`` asks for. It computes
nothing, so that it cannot refuse an infinity, which stays one, or becomes a bound of
``clip``. ``fit`` reads the rows once, some at a time, with the engine for tables: SQL's
own variance loses eight digits at an offset of 1e9. To the momentum a lazy table is one
batch, or with a ``batch_size`` is cut into some, however its rows come in.

A relation of SQL has the order that its query asks for; momentum and half-life depend
on that.

All are read through Narwhals, the extra ``skbn[dataframe]``; other tables that it reads
lazily are accepted once they are wrapped, by ``narwhals.from_native``.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.utils import check_array

from skbn import engines
from skbn._sklearn import check_feature_names, check_n_features
from skbn.affine import Affine
from skbn.checks import check_weights, infinity_error
from skbn.engines.base import InfinityInBlockError, output_dtype
from skbn.engines.dataframe.columns import PLAIN, WIDE
from skbn.engines.dataframe.frame import FLOAT
from skbn.engines.lazyframe.expressions import mapped
from skbn.engines.lazyframe.reading import Part, batches, tables
from skbn.moments import Combine, Moments
from skbn.running import Running

CONTAINER = LAZY = True

__all__ = ["CONTAINER", "LAZY", "accepts", "check", "learn", "normalize"]

KINDS = {
    "polars": "LazyFrame",
    "narwhals": "LazyFrame",
    "duckdb": "DuckDBPyRelation",
    "_duckdb": "DuckDBPyRelation",
}
# Values that are read at once.
PART = 2**22


def accepts(X: object) -> bool:
    """Whether X is a lazy table of one of these libraries."""
    return any(
        KINDS.get(base.__module__.partition(".")[0]) == base.__name__
        for base in type(X).__mro__
    )


class LazyTable:
    """A lazy table whose columns have been checked.

    Parameters
    ----------
    estimator : estimator
    X : lazy table
    frame : narwhals.LazyFrame
        The same, wrapped.
    names : list of str
    dtype : dtype
        Of X mapped.
    """

    def __init__(
        self, estimator: Any, X: Any, frame: Any, names: list[str], dtype: Any
    ) -> None:
        self.estimator, self.X, self.frame = estimator, X, frame
        self.names, self.dtype = names, dtype
        self.shape = math.nan, len(names)

    def tables(self) -> Iterator[Any]:
        """Yield the rows in tables."""
        return tables(self.frame.to_native(), max(1, PART // self.shape[1]))


def check(estimator: Any, X: Any, *, reset: bool, names: bool = True) -> LazyTable:
    """Return X wrapped, once the names, types and number of its columns are checked.

    Parameters
    ----------
    estimator : estimator
        Its ``n_features_in_`` and ``feature_names_in_`` are compared, or set.
    X : lazy table of shape (n_samples, n_features)
    reset : bool
        Whether to set them.
    names : bool
        Whether names matter.

    Raises
    ------
    ValueError, TypeError
        There is no column, one does not hold numbers, or other features were seen.
    ImportError
        Narwhals is not installed.
    """
    if find_spec("narwhals") is None:
        raise ImportError(
            "Lazy tables are read by narwhals, which is not installed: "
            "pip install 'skbn[dataframe]'."
        )
    import narwhals as nw
    import pyarrow as pa

    frame = nw.from_native(X, pass_through=False)
    schema = frame.collect_schema()
    columns = list(schema)
    if not columns:
        check_array(np.empty((1, 0)), estimator=estimator)
    kinds = [_kind(name, dtype) for name, dtype in schema.items()]
    sample = pa.table({name: [0.0] for name in columns})
    if names:
        check_feature_names(estimator, sample, reset=reset)
    table = LazyTable(
        estimator, X, frame, columns, output_dtype(np.result_type(*kinds))
    )
    check_n_features(estimator, np.empty((1, len(columns))), reset=reset)
    return table


def _kind(name: str, dtype: Any) -> np.dtype[Any]:
    kind = str(dtype).partition("(")[0]
    if kind in PLAIN:
        return PLAIN[kind]
    if kind not in WIDE:
        raise TypeError(
            f"Columns of a lazy table must hold numbers, and feature {name!r} is of "
            f"type {dtype}: cast it, or leave it out."
        )
    return FLOAT


def learn(
    X: LazyTable,
    sample_weight: Any,
    start: Running,
    *,
    batch_size: int | None = None,
    some: bool = False,
    n_threads: int | None = None,
    engine: str = "auto",
) -> Running:
    """Return the record of all rows, in their order, read once.

    Parameters
    ----------
    X : LazyTable
        From ``check``.
    sample_weight : array-like of shape (n_samples,), float, or None
    start : Running
        Of an empty stream.
    batch_size : int or None
        Rows a batch; None for all rows.
    some : bool
        Whether some of the weights must not be zero.

    Raises
    ------
    ValueError
        There are no rows, weights do not go with them, or one holds an infinity.
    """
    weights = each = None
    if isinstance(sample_weight, numbers.Real):
        each = check_weights(sample_weight, 1, some=some)
    elif sample_weight is not None:
        weights = check_weights(sample_weight, len(sample_weight), some=some)
    rows = _Rows(X, each, engine, n_threads)
    running = start
    for batch in batches(X.tables(), weights, batch_size):
        running = running.learn_parts(rows.read(batch), rows)
    if rows.count == 0:
        check_array(np.empty((0, X.shape[1])), estimator=X.estimator)
    if weights is not None and len(weights) != rows.count:
        raise ValueError(
            f"sample_weight.shape == {weights.shape}, expected {(rows.count,)}!"
        )
    return running


class _Rows:
    """What reads the rows of a lazy table: the engine for tables.

    Parameters
    ----------
    X : LazyTable
    weight : ndarray of shape (1,) or None
        Of every row.

    Attributes
    ----------
    count : int
        Rows read so far, the present ones included.
    """

    def __init__(
        self, X: LazyTable, weight: Any, engine: str, n_threads: int | None
    ) -> None:
        self.X, self.weight, self.count = X, weight, 0
        self.options = engine, n_threads
        self.reader: Any = None
        self.present: Any = None

    def read(self, batch: Iterator[Part]) -> Iterator[Part]:
        """Yield the parts of a batch as the engine wants them."""
        for table, its in batch:
            self.reader = engines.reader(table, *self.options)
            self.present = self.reader.check(
                self.X.estimator, table, reset=False, names=False
            )
            self.count += table.shape[0]
            if its is not None and len(its) < table.shape[0]:
                raise ValueError("sample_weight has fewer rows than X.")
            given = self.weight is not None
            yield self.present, np.repeat(self.weight, table.shape[0]) if given else its

    @property
    def combine(self) -> Combine:
        """What merges moments."""
        return self.reader.combine

    def moments(self, X: Any, weights: Any = None) -> Moments:
        """Moments of some of the present rows."""
        with self._naming_infinity(X):
            return self.reader.moments(X, weights)

    def pooled(self, earlier: Moments, X: Any) -> Moments:
        """Moments of earlier rows and then some of the present ones."""
        with self._naming_infinity(X):
            return self.reader.pooled(earlier, X)

    @contextmanager
    def _naming_infinity(self, X: Any) -> Iterator[None]:
        try:
            yield
        except InfinityInBlockError:
            row, column = self.reader.find_infinity(self.present)
            row += self.count - self.present.shape[0]
            raise infinity_error(X, (row, column), self.X.names) from None

    def rows(self, X: Any, start: int, stop: int) -> Any:
        """Return some of them."""
        return self.reader.rows(X, start, stop)


def normalize(
    X: LazyTable,
    affine: Affine,
    *,
    copy: bool = True,  # noqa: ARG001
    n_threads: int | None = None,  # noqa: ARG001
    engine: str = "auto",  # noqa: ARG001
) -> Any:
    """Return X mapped, lazily, of its kind."""
    image = mapped(X.frame, affine, X.names, X.dtype)
    return image if X.X is X.frame else image.to_native()
