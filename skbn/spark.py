"""Spark: DataFrames in an order, and ``BatchNormTransformer`` as a stage of pipelines.

It needs PySpark: ``python -m pip install 'skbn[spark]'``, also in the Python of the
workers. :class:`skbn.BatchNormTransformer` takes Spark's DataFrames, classic and
Connect, without this module.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from skbn.engines.spark.rows import Rows, quoted
from skbn.state import from_document, to_document
from skbn.transformer import BatchNormTransformer

try:
    from pyspark import keyword_only
    from pyspark.ml import Estimator, Model
    from pyspark.ml.param import Param, Params, TypeConverters
    from pyspark.ml.param.shared import (
        HasInputCol,
        HasInputCols,
        HasOutputCol,
        HasOutputCols,
        HasWeightCol,
    )
    from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
    from pyspark.sql import functions as F
except ImportError as error:
    raise ImportError(
        "skbn.spark needs PySpark: python -m pip install 'skbn[spark]'"
    ) from error

__all__ = ["BatchNormScaler", "BatchNormScalerModel", "in_order"]


def in_order(X: Any, *columns: str) -> Rows:
    """Return the rows of a Spark DataFrame, sorted by some columns, for ``fit``.

    Rows of a DataFrame have no order of their own, and ``halflife``, and ``momentum``
    with a ``batch_size``, count rows.

    Parameters
    ----------
    X : pyspark.sql.DataFrame
    *columns : str
        What the rows are sorted by, from low to high. They are no features. Rows that
        are equal in them come in any order: so that the result is always the same, no
        two should be.

    Returns
    -------
    Rows
        ``fit``, ``partial_fit``, ``transform`` and ``inverse_transform`` take it for X;
        the latter two return a DataFrame in which these columns are as they were.

    Raises
    ------
    ValueError
        There is no column to sort by.

    Examples
    --------
    >>> from pyspark.sql import SparkSession
    >>> from skbn import BatchNormTransformer
    >>> from skbn.spark import in_order
    >>> spark = SparkSession.builder.getOrCreate()
    >>> readings = spark.range(100).selectExpr("100 - id AS time", "id % 2 AS level")
    >>> scaler = BatchNormTransformer(halflife=1)
    >>> scaler.fit(in_order(readings, "time")).mean_.item()
    0.3333
    """
    if not columns:
        raise ValueError("in_order needs the names of the columns to sort by.")
    return Rows(X, order=columns)


def _numbers(given: Any) -> Any:
    """Convert a number, or one a feature, for JSON."""
    try:
        return np.asarray(given, dtype=np.float64).tolist()
    except ValueError as error:
        raise TypeError(f"{given!r} is no number, nor a list of some") from error


# As in Spark's own classes; the names in Python are those of the transformer.
PARAMETERS = {
    "momentum": "momentum",
    "halflife": "halflife",
    "zeroDebias": "zero_debias",
    "ddof": "ddof",
    "epsilon": "epsilon",
    "withMean": "with_mean",
    "withStd": "with_std",
    "gamma": "gamma",
    "beta": "beta",
    "clip": "clip",
    "batchSize": "batch_size",
}


class _Columns(HasInputCol, HasInputCols, HasOutputCol, HasOutputCols):
    """The columns of a stage: one of vectors or arrays, or a number in each of some."""

    def _columns(self) -> dict[str, str]:
        """Return the columns read, and those written."""
        one, several = (self.isSet(p) for p in (self.inputCol, self.inputCols))
        if one == several:
            raise ValueError(
                "Set inputCol, a column of vectors or arrays, or inputCols, columns "
                "of numbers."
            )
        if one:
            return {self.getInputCol(): self.getOutputCol()}
        names = self.getInputCols()
        if not self.isSet(self.outputCols):
            return {name: f"{name}_scaled" for name in names}
        outputs = self.getOutputCols()
        if len(outputs) != len(names):
            raise ValueError(
                f"{len(names)} inputCols and {len(outputs)} outputCols must be as many."
            )
        return dict(zip(names, outputs, strict=True))


class BatchNormScaler(
    Estimator, _Columns, HasWeightCol, DefaultParamsReadable, DefaultParamsWritable
):
    """Standardise columns of a DataFrame: an Estimator for Spark's ``Pipeline``.

    Parameters
    ----------
    inputCol : str, optional
        A column of vectors or arrays that holds all features.
    outputCol : str, optional
        Where it goes, of the same type; by default Spark's, the stage's uid and
        "__output".
    inputCols : list of str, optional
        Columns of numbers, in place of ``inputCol``.
    outputCols : list of str, optional
        Where they go, double, or float where all are; by default their names and
        "_scaled".
    weightCol : str, optional
        Weights of the rows.
    orderCols : list of str, optional
        What the rows are sorted by, for ``halflife``, and for ``momentum`` with
        ``batchSize``; see :func:`in_order`.
    momentum, halflife, zeroDebias, ddof, epsilon, withMean, withStd, gamma, beta, \
clip, batchSize : optional
        The parameters of :class:`skbn.BatchNormTransformer`, and their defaults: other
        than Spark's ``StandardScaler``, this one centres.

    Raises
    ------
    ValueError
        By ``fit``: see :meth:`skbn.BatchNormTransformer.fit`.

    Examples
    --------
    >>> from pyspark.ml import Pipeline
    >>> from pyspark.sql import SparkSession
    >>> from skbn.spark import BatchNormScaler
    >>> spark = SparkSession.builder.getOrCreate()
    >>> readings = spark.sql("SELECT explode(array(1D, 2D, NULL, 3D)) AS level")
    >>> scaler = BatchNormScaler(inputCols=["level"], outputCols=["scaled"])
    >>> model = Pipeline(stages=[scaler]).fit(readings)
    >>> [row.scaled for row in model.transform(readings).collect()]
    [-1.2247, 0.0, None, 1.2247]
    """

    orderCols = Param(
        Params._dummy(), "orderCols", "sorts the rows", TypeConverters.toListString
    )
    momentum = Param(
        Params._dummy(), "momentum", "weight of a new batch", TypeConverters.toFloat
    )
    halflife = Param(
        Params._dummy(), "halflife", "half-life in rows", TypeConverters.toFloat
    )
    zeroDebias = Param(
        Params._dummy(),
        "zeroDebias",
        "whether averages are divided by the weight gathered",
        TypeConverters.toBoolean,
    )
    ddof = Param(
        Params._dummy(),
        "ddof",
        "the variance is divided by rows - ddof",
        TypeConverters.toInt,
    )
    epsilon = Param(
        Params._dummy(), "epsilon", "added to the variance", TypeConverters.toFloat
    )
    withMean = Param(
        Params._dummy(), "withMean", "whether to centre", TypeConverters.toBoolean
    )
    withStd = Param(
        Params._dummy(), "withStd", "whether to scale", TypeConverters.toBoolean
    )
    gamma = Param(Params._dummy(), "gamma", "scale of what is standardised", _numbers)
    beta = Param(Params._dummy(), "beta", "shift of what is standardised", _numbers)
    clip = Param(Params._dummy(), "clip", "bounds of the output", _numbers)
    batchSize = Param(
        Params._dummy(), "batchSize", "rows of a batch", TypeConverters.toInt
    )

    @keyword_only
    def __init__(self, **parameters: Any) -> None:
        super().__init__()
        self.setParams(**parameters)

    def setParams(self, **parameters: Any) -> BatchNormScaler:
        """Set parameters; with None they get their defaults."""
        for name, value in parameters.items():
            if not self.hasParam(name):
                raise TypeError(f"BatchNormScaler has no parameter {name!r}.")
            if value is None:
                self.clear(self.getParam(name))
            else:
                self._set(**{name: value})
        return self

    def transformer(self) -> BatchNormTransformer:
        """Return what is fitted, with the parameters of this stage."""
        given = {
            ours: self.getOrDefault(theirs)
            for theirs, ours in PARAMETERS.items()
            if self.isSet(theirs)
        }
        if isinstance(given.get("clip"), list):
            given["clip"] = tuple(given["clip"])
        return BatchNormTransformer(**given)

    def _fit(self, dataset: Any) -> BatchNormScalerModel:
        order = self.getOrDefault("orderCols") if self.isSet("orderCols") else ()
        rows = Rows(
            dataset,
            features=tuple(self._columns()),
            order=tuple(order),
            weight=self.getWeightCol() if self.isSet("weightCol") else None,
        )
        fitted = self.transformer().fit(rows)
        model = BatchNormScalerModel(state=json.dumps(to_document(fitted)))
        return self._copyValues(model._resetUid(self.uid))


class BatchNormScalerModel(
    Model, _Columns, DefaultParamsReadable, DefaultParamsWritable
):
    """A fitted :class:`BatchNormScaler`.

    Parameters
    ----------
    state : str
        JSON of a fitted transformer, as :func:`skbn.state.to_document` has it. It is a
        parameter, so that Spark's own persistence saves it.

    Attributes
    ----------
    transformer : BatchNormTransformer
        What was fitted, a new one each time.
    """

    state = Param(
        Params._dummy(), "state", "JSON of skbn.state", TypeConverters.toString
    )

    @keyword_only
    def __init__(self, *, state: str | None = None) -> None:
        super().__init__()
        if state is not None:
            self._set(state=state)

    @property
    def transformer(self) -> BatchNormTransformer:
        """What was fitted, a new one each time."""
        return from_document(json.loads(self.getOrDefault("state")))

    def inverse_transform(self, dataset: Any) -> Any:
        """Return a DataFrame with what was read, mapped back from what was written."""
        columns = {out: name for name, out in self._columns().items()}
        return self.transformer.inverse_transform(self._copied(dataset, columns))

    def _transform(self, dataset: Any) -> Any:
        return self.transformer.transform(self._copied(dataset, self._columns()))

    def _copied(self, dataset: Any, columns: dict[str, str]) -> Rows:
        """Return rows whose features are copies of columns, to be mapped."""
        copies = {out: F.col(quoted(name)) for name, out in columns.items()}
        names = tuple(self._columns())
        return Rows(dataset.withColumns(copies), features=tuple(copies), names=names)
