"""Dask's arrays and tables as blocks in rows and columns, of sizes maybe unknown."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array

from skbn.checks import check_weights
from skbn.engines.dask import blocks
from skbn.engines.dask.blocks import Boxed, Learning, Mapping, boxed

# Neighbours that are merged at once, so that the bits do not follow Dask's setting.
# A merge is quick beside a task: a thousand blocks need three levels.
NEIGHBOURS = 16

EMPTY: Boxed = np.empty((0, 0), dtype=object)


class Blocks:
    """A Dask array.

    Parameters
    ----------
    X : dask.array.Array of shape (n_samples, n_features)

    Attributes
    ----------
    shape : tuple
        NaN where the number of rows is not known.
    columns : list of slice
        Features of the blocks of a row of blocks.
    """

    learn = staticmethod(blocks.learn_block)

    def __init__(self, X: Any) -> None:
        if X.ndim != 2:
            raise ValueError(
                f"Expected 2D array, got {X.ndim}D Dask array instead: reshape it to "
                "one row an example."
            )
        if math.isnan(X.shape[1]):
            raise ValueError(
                "The number of columns of the Dask array is unknown: call "
                "X.compute_chunk_sizes() first."
            )
        self.X, self.shape = X, X.shape
        self.row_chunks: tuple[float, ...] = X.chunks[0]
        stops = np.cumsum(X.chunks[1]).tolist()
        self.columns = [
            slice(stop - width, stop)
            for stop, width in zip(stops, X.chunks[1], strict=True)
        ]

    def sample(self) -> Any:
        """Return one row of zeros of this kind, for all that needs no data."""
        shape = 1, self.shape[1]
        if issparse(self.X._meta):
            return type(self.X._meta)(shape, dtype=self.X.dtype)
        # Objects may be numbers.
        dtype = np.float64 if self.X.dtype.kind == "O" else self.X.dtype
        return np.zeros_like(self.X._meta, shape=shape, dtype=dtype)

    def blocks(self) -> Any:
        """Return a Dask array of what ``learn`` takes."""
        return self.X

    def map(self, task: Mapping) -> Any:
        """Return the array mapped, not yet computed."""
        import dask.array as da

        meta = self.X._meta.astype(task.dtype)
        return da.map_blocks(
            blocks.map_block, self.X, _shared(task), dtype=task.dtype, meta=meta
        )


class Partitions:
    """A Dask table; else like ``Blocks``.

    Parameters
    ----------
    X : dask.dataframe.DataFrame
    """

    learn = staticmethod(blocks.learn_partition)

    def __init__(self, X: Any) -> None:
        n_features = len(X.columns)
        self.X, self.shape = X, (math.nan, n_features)
        self.row_chunks = (math.nan,) * X.npartitions
        self.columns = [slice(0, n_features)]

    def sample(self) -> Any:
        """Return some rows of this kind, for all that needs no data."""
        import pandas as pd

        sample = self.X._meta_nonempty.copy()
        for j, dtype in enumerate(sample.dtypes):
            # What holds text or objects may hold numbers in them.
            if pd.api.types.is_string_dtype(dtype) or dtype == "category":
                sample.isetitem(j, 0.0)
        return sample

    def blocks(self) -> Any:
        """Return a Dask array of what ``learn`` takes."""
        return _as_array(self.X, boxed, EMPTY)

    def map(self, task: Mapping) -> Any:
        """Return the table mapped, not yet computed."""
        meta = self.X._meta.astype(task.dtype)
        # Not shared: older versions of Dask pass no Delayed on to a partition.
        return self.X.map_partitions(blocks.map_partition, task=task, meta=meta)


Collection = Blocks | Partitions


def records(X: Collection, task: Learning, sample_weight: Any) -> list[Any]:
    """Compute the records of all rows, one for each column of blocks.

    Parameters
    ----------
    X : Blocks or Partitions
    task : Learning
    sample_weight : Dask array of shape (n_samples,) or (), or None
    """
    import dask.array as da

    arguments = [X.blocks(), _shared(task)]
    if sample_weight is not None:
        arguments.append(
            sample_weight[:, None] if sample_weight.ndim else sample_weight
        )
    shape = len(X.row_chunks), len(X.columns)
    chunks = tuple((1,) * n for n in shape)
    each = da.map_blocks(X.learn, *arguments, chunks=chunks, dtype=object, meta=EMPTY)
    merged = da.reduction(
        each,
        chunk=_same,
        combine=blocks.merge,
        aggregate=blocks.merge,
        axis=0,
        keepdims=True,
        concatenate=False,
        split_every=NEIGHBOURS,
        dtype=object,
        meta=EMPTY,
    )
    return list(merged.compute()[0])


def as_weights(sample_weight: Any, X: Collection, *, some: bool) -> Any:
    """Return weights as a Dask array in the blocks of X's rows, or of no axes.

    Raises
    ------
    ValueError
        They do not go with X, as far as can be told before anything is computed.
    """
    import dask.array as da

    if isinstance(sample_weight, numbers.Real):
        check_weights(sample_weight, 1, some=some)
        return da.from_array(np.asarray(float(sample_weight)), name=False)
    n_samples = X.shape[0]
    if hasattr(sample_weight, "__dask_graph__"):
        weights = sample_weight
        if hasattr(weights, "npartitions") and hasattr(weights, "divisions"):
            weights = _as_array(weights, np.asarray, np.empty((0,) * weights.ndim))
        _check_blocks(weights, X)
    elif math.isnan(n_samples):
        raise ValueError(
            "sample_weight must be a Dask array or series with the partitions of X, "
            "since the number of rows in each is unknown."
        )
    else:
        checked = check_weights(sample_weight, int(n_samples), some=some)
        weights = da.from_array(checked, name=False)
    is_known = not math.isnan(n_samples + sum(weights.chunks[0]))
    return weights.rechunk((X.row_chunks,)) if is_known else weights


def _check_blocks(weights: Any, X: Collection) -> None:
    n_samples = X.shape[0]
    if weights.ndim != 1 or not (
        math.isnan(n_samples + weights.shape[0]) or weights.shape[0] == n_samples
    ):
        raise ValueError(
            f"sample_weight.shape == {weights.shape}, expected {(n_samples,)}!"
        )
    if math.isnan(n_samples + weights.shape[0]):
        ours, theirs = len(X.row_chunks), weights.numblocks[0]
        if ours != theirs:
            raise ValueError(
                f"sample_weight has {theirs} blocks and X has {ours} in its rows, "
                "of unknown sizes: they must be cut in the same places."
            )


def refuse_empty(estimator: Any, shape: tuple[float, ...]) -> None:
    """Raise scikit-learn's error where there are no rows, or no columns."""
    if 0 in shape:
        check_array(np.empty([0 if n == 0 else 1 for n in shape]), estimator=estimator)


def _as_array(X: Any, function: Any, meta: Any) -> Any:
    """Return a Dask array of what a function makes of each partition of a table.

    Each stays a block of its own: Dask's own way to an array plans anew, and reads some
    small partitions as one.
    """
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    # Once: what is lowered again may get other names.
    table = X.simplify().expr.lower_completely()
    keys = table.__dask_keys__()
    name = f"partition-{tokenize(keys, function)}"
    rest = (0,) * (meta.ndim - 1)
    tasks = {(name, i, *rest): (function, key) for i, key in enumerate(keys)}
    source = f"{name}-source"
    graph = HighLevelGraph(
        {source: dict(table.__dask_graph__()), name: tasks},
        {source: set(), name: {source}},
    )
    chunks = ((math.nan,) * len(keys), *((1,) for _ in rest))
    return da.Array(graph, name, chunks, meta=meta)


def _shared(task: Any) -> Any:
    """Return a task as a Dask array of no axes: one copy, however many blocks."""
    import dask.array as da
    from dask.base import tokenize

    return da.from_array(boxed(task, ()), name=f"task-{tokenize(task)}")


def _same(each: Any, axis: Any = None, keepdims: Any = None) -> Any:  # noqa: ARG001
    return each
