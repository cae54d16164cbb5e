"""The map of ``transform`` as one Narwhals expression a column.

It is computed by whoever holds the table: polars, DuckDB, Spark, Dask, pandas, pyarrow.
Both parts of the mean are subtracted, in float64. Nulls stay nulls and NaN stays NaN,
also where it is clipped: to SQL NaN is the largest number, so ``clip`` of Narwhals
makes the upper bound of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skbn.affine import Affine

OPERATORS = {
    "subtract": "__sub__",
    "divide": "__truediv__",
    "multiply": "__mul__",
    "add": "__add__",
}


def mapped(frame: Any, affine: Affine, names: Sequence[str], dtype: Any) -> Any:
    """Return a table of Narwhals with some columns mapped, lazily if it is lazy.

    Parameters
    ----------
    frame : narwhals.LazyFrame or narwhals.DataFrame
    affine : Affine
    names : sequence of str
        Columns, in the order of the features.
    dtype : dtype
        float64, or float32.
    """
    return frame.with_columns(*expressions(affine, names, dtype))


def expressions(affine: Affine, names: Sequence[str], dtype: Any) -> list[Any]:
    """Return the expression of each column, under its name."""
    steps = [(name, values.tolist()) for name, values in affine.steps]
    return [
        _expression(name, [(step, values[j]) for step, values in steps], affine, dtype)
        for j, name in enumerate(names)
    ]


def _expression(
    name: str, steps: list[tuple[str, float]], affine: Affine, dtype: Any
) -> Any:
    import narwhals as nw

    value = nw.col(name).cast(nw.Float64)
    for step, number in steps:
        value = getattr(value, OPERATORS[step])(number)
    if affine.clip is not None:
        value = _clipped(value, *affine.clip)
    if np.dtype(dtype) == np.float32:
        value = value.cast(nw.Float32)
    return value.alias(name)


def _clipped(value: Any, low: float, high: float) -> Any:
    import narwhals as nw

    number = ~value.is_nan()
    above = nw.when((value > high) & number).then(nw.lit(high)).otherwise(value)
    return nw.when((value < low) & number).then(nw.lit(low)).otherwise(above)
