"""The engine for Spark's DataFrames, classic and Connect: the extra ``skbn[spark]``.

``fit`` runs one job. Each partition is read where it is, in Arrow's batches, by the
engine for tables or for arrays, and sends a record of its rows as JSON; neighbouring
partitions are merged by the workers, 64 at a time, and the rest by the driver, in the
order of the partitions. ``transform`` computes nothing: it returns a DataFrame with an
expression for each feature, or, for more than 1,000 columns, which Spark is slow to
plan, with one function that the workers call. An expression cannot refuse an infinity,
which stays one, or becomes a bound of ``clip``.

Features are numbers in a column each, null where they are missing, or one column of
vectors (``pyspark.ml``) or of arrays; a null there is a row of missing values. Where
the metadata of a column do not say how many features it holds, its first row is read.

Rows of a DataFrame have no order. To all averages it is one batch, in whatever
partitions it lies, so that the cumulative average and the momentum need none. A
half-life, and a momentum with a ``batch_size``, do: ``skbn.spark.in_order`` gives it,
and without it is an error. Batches are then cut by one task, which reads all rows.

The last bits of a result depend on the partitions, and on the rows of Arrow's batches
(``spark.sql.execution.arrow.maxRecordsPerBatch``), not on the workers: with
``engine="auto"`` NumPy reads the partitions, with ``n_threads=None`` on one thread,
since Spark works on several at a time.
"""

from __future__ import annotations

import numbers
import re
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils import check_array

from skbn.affine import Affine
from skbn.averaging import Cumulative, HalfLife
from skbn.checks import check_weights
from skbn.engines.spark import expressions, partitions
from skbn.engines.spark.expressions import literal
from skbn.engines.spark.partitions import SENT, Learning, Mapping
from skbn.engines.spark.rows import Checked, Rows, as_array, quoted
from skbn.running import Running

CONTAINER = LAZY = True

__all__ = [
    "CONTAINER",
    "LAZY",
    "accepts",
    "check",
    "learn",
    "normalize",
    "with_weights",
]

# Columns that are mapped by an expression each. Images of 20,000 rows took 1 s for 400
# columns, 6 s for 800 and 9 s for 1,600 (Spark 4.3, two busy cores); by the workers,
# 6 s for 400 and 14 s for 800.
MOST_EXPRESSIONS = 1000


def accepts(X: object) -> bool:
    """Whether X is a DataFrame of Spark, or its rows in order."""
    return isinstance(X, Rows) or any(
        base.__name__ == "DataFrame" and base.__module__.startswith("pyspark.sql.")
        for base in type(X).__mro__
    )


def with_weights(X: Any, name: str) -> Rows:
    """Return X with a column of it as the weights of its rows, and no feature."""
    return replace(_rows(X), weight=name)


def _rows(X: Any) -> Rows:
    return X if isinstance(X, Rows) else Rows(X)


def check(estimator: Any, X: Any, *, reset: bool, names: bool = True) -> Checked:
    """Return X with what its schema says.

    Parameters
    ----------
    estimator : estimator
        Its ``n_features_in_`` and ``feature_names_in_`` are compared, or set.
    X : pyspark.sql.DataFrame of shape (n_samples, n_features), or Rows
    reset : bool
        Whether to set them.
    names : bool
        Whether names matter.

    Raises
    ------
    ValueError, TypeError
        There is no column, one does not hold numbers, or other features were seen.
    """
    return Checked(_rows(X), estimator, reset=reset, names=names)


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
    """Return the record of all rows.

    Parameters
    ----------
    X : Checked
        From ``check``.
    sample_weight : str, float, or None
        A column of X, set apart by ``with_weights``, or the weight of every row.
    start : Running
        Of an empty stream.
    batch_size : int or None
        Rows a batch, which matters to momentum alone; None for all rows.
    some : bool
        Whether some of the weights must not be zero.

    Raises
    ------
    ValueError, TypeError
        There are no rows, or no order where one is needed, or a partition holds what it
        must not; the error names it.
    ImportError
        The workers lack what they need.
    """
    averaging = start.averaging
    cuts = not averaging.between and batch_size is not None
    _check_order(X.rows, cuts=cuts, ages=isinstance(averaging, HalfLife))
    frame = _to_read(X, sample_weight, cuts=cuts, some=some)
    task = Learning(
        averaging=averaging if cuts or averaging.between else Cumulative(),
        n_features=X.shape[1],
        names=X.feature_names,
        weighted=len(frame.columns) > len(X.names),
        batch_size=batch_size if cuts else None,
        engine="numpy" if engine == "auto" else engine,
        n_threads=n_threads or 1,
    )
    sent = _collected(frame.mapInArrow(task.records, SENT), alone=cuts)
    if not sent:
        check_array(np.empty((0, X.shape[1])), estimator=X.estimator)
    _, running, positive = partitions.received(sent)
    if some and task.weighted and not positive:
        raise ValueError("All of sample_weight is zero: there is nothing to fit.")
    return running if cuts else _as_one_batch(start, running)


def _check_order(rows: Rows, *, cuts: bool, ages: bool) -> None:
    """Raise where rows are counted and have no order."""
    if (cuts or ages) and not rows.order:
        what = "halflife" if ages else "momentum with a batch_size"
        other = "" if ages else " Or pass batch_size=None: X is then one batch."
        raise ValueError(
            f"{what} counts rows in their order, and a Spark DataFrame has none: pass "
            f"skbn.spark.in_order(X, columns), which says what to sort by.{other}"
        )


def _to_read(X: Checked, sample_weight: Any, *, cuts: bool, some: bool) -> Any:
    """Return features and weights in the partitions and the order to be read."""
    rows, frame = X.rows, X.rows.frame
    if cuts:
        frame = frame.repartition(1).sortWithinPartitions(*map(quoted, rows.order))
    elif rows.order:
        frame = frame.orderBy(*map(quoted, rows.order))
    weight = None
    if rows.weight is not None:
        weight = f"CAST({quoted(rows.weight)} AS DOUBLE)"
    elif isinstance(sample_weight, numbers.Real):
        weight = literal(*check_weights(sample_weight, 1, some=some).tolist())
    elif sample_weight is not None:
        raise TypeError(
            "sample_weight of a Spark DataFrame is the name of a column or a number, "
            f"not a {type(sample_weight).__name__}."
        )
    if X.container == "vector":
        frame = frame.withColumn(X.names[0], as_array(X.names[0], X.container))
    texts = [*map(quoted, X.names), *([] if weight is None else [weight])]
    # Not all names of columns go through mapInArrow.
    return frame.selectExpr(*(f"{text} AS c{i}" for i, text in enumerate(texts)))


def _collected(sent: Any, *, alone: bool) -> list[Any]:
    """Return what is left once the workers have merged neighbours.

    Nobody knows before how many partitions there are, so that neighbours are grouped
    however few they are, which takes one task more.
    """
    from pyspark.errors import PythonException
    from pyspark.sql import functions as F

    if not alone:
        groups = sent.groupBy(F.expr(f"number div {partitions.NEIGHBOURS}"))
        if hasattr(groups, "applyInArrow"):
            sent = groups.applyInArrow(partitions.merge, SENT)
        else:
            sent = groups.applyInPandas(partitions.merge_pandas, SENT)
    try:
        return sent.collect()
    except PythonException as error:
        missing = re.search(r"No module named '([\w.]+)'", str(error))
        if missing is None:
            raise
        raise ImportError(
            f"The workers of Spark have no module {missing[1]!r}: install it, with "
            "'skbn[spark]', in their Python (PYSPARK_PYTHON)."
        ) from None


def _as_one_batch(start: Running, whole: Running) -> Running:
    """Return the record once all rows have been seen as one batch."""
    moments, decay_steps = whole.moments, whole.decay_steps
    if not start.averaging.between:
        moments, decay_steps = start.averaging.from_batch(moments, 0)
    return start.merge(
        replace(whole, moments=moments, decay_steps=decay_steps, n_batches=1)
    )


def normalize(
    X: Checked,
    affine: Affine,
    *,
    copy: bool = True,  # noqa: ARG001
    n_threads: int | None = None,  # noqa: ARG001
    engine: str = "auto",  # noqa: ARG001
) -> Any:
    """Return X mapped, a DataFrame with its other columns as they were."""
    frame = X.rows.frame
    if X.container != "columns":
        (name,), n_features = X.names, X.shape[1]
        return expressions.mapped_array(
            frame, affine, name, X.container, n_features, X.dtype
        )
    if len(X.names) > MOST_EXPRESSIONS:
        return _mapped_by_workers(X, affine)
    return expressions.mapped_columns(frame, affine, X.names, X.dtype)


def _mapped_by_workers(X: Checked, affine: Affine) -> Any:
    from pyspark.sql.types import DoubleType, FloatType, StructField, StructType

    kind, frame = FloatType() if X.dtype == np.float32 else DoubleType(), X.rows.frame
    at = {name: position for position, name in enumerate(frame.columns)}
    features = [at[name] for name in X.names]
    kinds = [field.dataType for field in frame.schema.fields]
    for position in features:
        kinds[position] = kind
    # Not all names of columns go through mapInArrow.
    plain = [f"c{i}" for i in range(len(kinds))]
    schema = StructType(
        [StructField(name, kind) for name, kind in zip(plain, kinds, strict=True)]
    )
    task = Mapping(affine, X.dtype, features)
    return frame.toDF(*plain).mapInArrow(task.images, schema).toDF(*frame.columns)
