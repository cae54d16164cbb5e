"""What of a Spark DataFrame is learnt or mapped, as its schema says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_array

from skbn._sklearn import check_feature_names, check_n_features
from skbn.engines.base import output_dtype

# By the names of Spark's types.
NUMBERS = {
    "byte": "i1",
    "short": "i2",
    "integer": "i4",
    "long": "i8",
    "float": "f4",
    "double": "f8",
    "decimal": "f8",
    "boolean": "?",
}


def quoted(name: str) -> str:
    """Return the name of a column as SQL has it."""
    return "`" + name.replace("`", "``") + "`"


@dataclass(frozen=True)
class Rows:
    """A Spark DataFrame of which some columns are features.

    Attributes
    ----------
    frame : pyspark.sql.DataFrame
    features : tuple of str or None
        Columns, in the order of the features; None for all but those below.
    names : tuple of str or None
        What the features are called, where that is not as their columns are.
    order : tuple of str
        Columns by which the rows are sorted; none where they have no order.
    weight : str or None
        The column of sample weights.
    """

    frame: Any
    features: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    order: tuple[str, ...] = ()
    weight: str | None = None

    def columns(self) -> list[Any]:
        """Return the fields of the features.

        Raises
        ------
        ValueError
            A column that is asked for is not there, or there twice.
        """
        fields: dict[str, Any] = {}
        for field in self.frame.schema.fields:
            if field.name in fields:
                raise ValueError(f"Two columns are called {field.name!r}: rename one.")
            fields[field.name] = field
        apart = (*self.order, *(() if self.weight is None else (self.weight,)))
        for name in (*apart, *(self.features or ())):
            if name not in fields:
                raise ValueError(
                    f"There is no column {name!r}; there are {', '.join(fields)}."
                )
        if self.weight is not None:
            _kind(self.weight, fields[self.weight].dataType)
        names = self.features
        if names is None:
            names = tuple(name for name in fields if name not in apart)
        return [fields[name] for name in names]


class Checked:
    """A DataFrame whose features have been checked.

    Parameters
    ----------
    rows : Rows
    estimator : estimator
        Its ``n_features_in_`` is compared, or set.
    reset : bool

    Attributes
    ----------
    names : list of str
        Columns of the features.
    dtype : dtype
        Of X mapped.
    container : {"columns", "array", "vector"}
        What holds the features: a column each, or one for all.
    shape : tuple
        The number of rows is not known.
    """

    def __init__(
        self, rows: Rows, estimator: Any, *, reset: bool, names: bool = True
    ) -> None:
        self.rows, self.estimator = rows, estimator
        fields = rows.columns()
        self.names = [field.name for field in fields]
        self.container = _container(fields)
        inner = [_inner(field.dataType) for field in fields]
        kinds = [_kind(n, kind) for n, kind in zip(self.names, inner, strict=True)]
        if not fields:
            check_array(np.empty((1, 0)), estimator=estimator)
        self.dtype = output_dtype(np.result_type(*kinds))
        if names:
            self._check_names(reset)
        n_features = len(fields)
        if self.container != "columns":
            known = None if reset else getattr(estimator, "n_features_in_", None)
            n_features = _length(rows.frame, fields[0], self.container, known)
        check_n_features(estimator, np.empty((1, n_features)), reset=reset)
        self.shape = math.nan, n_features

    def _check_names(self, reset: bool) -> None:
        sample: Any = np.empty((1, 1))
        if self.container == "columns":
            import pyarrow as pa

            sample = pa.table({name: [0.0] for name in self.rows.names or self.names})
        check_feature_names(self.estimator, sample, reset=reset)

    @property
    def feature_names(self) -> list[str] | None:
        """Names of the features, for errors."""
        return self.names if self.container == "columns" else None


def _is_vector(kind: Any) -> bool:
    return type(kind).__name__ == "VectorUDT"


def _container(fields: list[Any]) -> str:
    """What holds the features: "columns", or one "array" or "vector"."""
    for field in fields:
        vector = _is_vector(field.dataType)
        if vector or field.dataType.typeName() == "array":
            if len(fields) > 1:
                raise TypeError(
                    f"Column {field.name!r} holds several features: it must be the "
                    f"only one, and there are {len(fields)}. Select it, or assemble "
                    "all columns to one vector."
                )
            return "vector" if vector else "array"
    return "columns"


def _inner(kind: Any) -> Any:
    return getattr(kind, "elementType", kind)


def _kind(name: str, kind: Any) -> np.dtype[Any]:
    """The dtype of the numbers in a column."""
    if _is_vector(kind):
        return np.dtype(np.float64)
    found = NUMBERS.get(kind.typeName())
    if found is None:
        raise TypeError(
            f"Columns of a Spark DataFrame must hold numbers, and {name!r} is of type "
            f"{kind.simpleString()}: cast it, or leave it out."
        )
    return np.dtype(found)


def _length(frame: Any, field: Any, container: str, known: int | None) -> int:
    """Number of features in a column, by its metadata, what is fitted, or a row."""
    said = (field.metadata or {}).get("ml_attr", {}).get("num_attrs")
    if said is None:
        said = known
    if said is not None:
        return int(said)
    from pyspark.sql import functions as F

    size = F.size(as_array(field.name, container)).alias("n")
    first = frame.where(F.col(quoted(field.name)).isNotNull()).select(size).head(1)
    if not first:
        raise ValueError(
            f"Found array with 0 sample(s): column {field.name!r} has no row with "
            "features in it, while a minimum of 1 is required."
        )
    if first[0]["n"] == 0:
        check_array(np.empty((1, 0)))
    return int(first[0]["n"])


def as_array(name: str, container: str) -> Any:
    """Return a column of vectors or arrays as one of arrays; null stays null."""
    from pyspark.sql import functions as F

    column = F.col(quoted(name))
    if container == "array":
        return column
    from pyspark.ml.functions import vector_to_array

    # vector_to_array takes no null.
    return F.when(column.isNotNull(), vector_to_array(column))
