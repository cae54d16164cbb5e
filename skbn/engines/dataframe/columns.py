"""The columns of pandas, polars and pyarrow tables, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skbn.checks import NOT_NUMBERS, first_not_a_number, located, narrowed
from skbn.engines.base import AnyArray
from skbn.engines.dataframe.frame import FLOAT, Column, Stored

NUMBERS = "fiub"
# By the names that Narwhals gives them.
PLAIN = {
    name: np.dtype(name.lower().replace("boolean", "bool"))
    for name in (
        *("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"),
        *("Float32", "Float64", "Boolean"),
    )
}
DATES = {"Date", "Datetime", "Duration", "Time"}
# Several values in one: polars gives the parts, where they are alike, as an array.
NESTED = {"Array", "List", "Struct"}
# Numbers that NumPy has no type for.
WIDE = {"Decimal", "Int128", "UInt128"}


def pandas_block(X: Any) -> AnyArray | None:
    """Return the values of a pandas DataFrame if all are numbers of one NumPy dtype."""
    kinds = set(X.dtypes)
    kind = kinds.pop() if len(kinds) == 1 else None
    if isinstance(kind, np.dtype) and kind.kind in NUMBERS:
        values = X.to_numpy()
        return narrowed(values) if kind.kind == "f" else values
    return None


def narwhals_block(table: Any) -> AnyArray | None:
    """Return the values of a table that Narwhals has wrapped, likewise."""
    kinds = set(map(str, table.schema.values()))
    kind = PLAIN.get(kinds.pop()) if len(kinds) == 1 else None
    values = None if kind is None else table.to_numpy()
    # Of another dtype where some integers or booleans are missing.
    if values is None or values.dtype != kind:
        return None
    return np.asfortranarray(values)


def pandas_column(series: Any, name: Any) -> Column:
    """Return a column of a pandas DataFrame.

    Raises
    ------
    ValueError, TypeError
        It does not hold numbers.
    """
    dtype = series.dtype
    # Types of pandas with a mask, of Arrow, and sparse ones know NumPy's for them.
    numpy_dtype = getattr(dtype, "numpy_dtype", dtype)
    if hasattr(dtype, "fill_value"):
        numpy_dtype = dtype.subtype
    _refuse(getattr(numpy_dtype, "kind", "O"), dtype, name)
    if isinstance(dtype, np.dtype) and dtype.kind in NUMBERS:
        values = series.to_numpy()
        return narrowed(values) if dtype.kind == "f" else values
    if isinstance(numpy_dtype, np.dtype) and numpy_dtype.kind in NUMBERS:
        missing = bool(series.isna().any())
        return Stored(series.array, numpy_dtype, missing, _from_pandas)
    return _as_floats(lambda: _from_pandas(series, FLOAT), series, name)


def _from_pandas(series: Any, dtype: np.dtype[Any]) -> AnyArray:
    if dtype.kind == "f":
        return series.to_numpy(dtype=dtype, na_value=np.nan)
    return series.to_numpy(dtype=dtype)


def narwhals_column(series: Any) -> Column:
    """Return a column of a table that Narwhals has wrapped.

    Raises
    ------
    ValueError, TypeError
        It does not hold numbers.
    """
    dtype = str(series.dtype).partition("(")[0]
    if dtype in PLAIN:
        return _plain_column(series, PLAIN[dtype])
    if dtype in DATES:
        _refuse("M", series.dtype, series.name)
    if dtype in WIDE:
        from narwhals import Float64

        return _plain_column(series.cast(Float64), FLOAT)
    if dtype in NESTED:
        raise TypeError(
            f"Columns must hold numbers, and feature {series.name!r} is of type "
            f"{series.dtype}: make a column of each part first."
        )
    values = np.asarray(series.to_numpy())
    _refuse(values.dtype.kind, series.dtype, series.name)
    if values.dtype.kind not in NUMBERS:
        objects = values.astype(object)
        values = _as_floats(lambda: objects.astype(FLOAT), objects, series.name)
    return values


def _plain_column(series: Any, kind: np.dtype[Any]) -> Column:
    missing = series.null_count() > 0
    if not missing and kind.kind != "b" and _parts(series.to_native()) == 1:
        return series.to_numpy()
    return Stored(series, kind, missing, _from_narwhals)


def _parts(native: Any) -> int:
    """Number of pieces of memory that a column of polars or pyarrow lies in."""
    if hasattr(native, "num_chunks"):
        return native.num_chunks
    return native.n_chunks() if hasattr(native, "n_chunks") else 0


def _from_narwhals(series: Any, dtype: np.dtype[Any]) -> AnyArray:
    if series.dtype.is_float():
        # In a third of the time that polars takes to do it on the way to NumPy.
        series = series.fill_null(float("nan"))
    # None, which stands for a missing boolean, becomes NaN.
    return np.asarray(series.to_numpy()).astype(dtype, copy=False)


def _refuse(kind: str, dtype: Any, name: Any) -> None:
    """Raise an error for what is not a number and would become one."""
    if kind in "mM":
        raise TypeError(
            f"Dates and durations ({dtype}) are not numbers: convert them to a unit "
            f"of your choice first (feature {name!r})."
        )
    if kind == "c":
        raise ValueError(f"Complex data not supported: {dtype} (feature {name!r}).")


def _as_floats(convert: Callable[[], AnyArray], values: Any, name: Any) -> AnyArray:
    """Return a column of objects as float64, or raise an error with its location."""
    try:
        return convert()
    except NOT_NUMBERS as error:
        row = first_not_a_number(values)
        where = "" if row is None else f", row {row}"
        raise located(error, f"feature {name!r}{where}") from error
