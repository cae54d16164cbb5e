"""What is done with one partition, by the worker that holds it.

Workers send records as JSON, one row a partition. What is wrong with the data is sent
too, in place of the record: an error that is raised in a worker comes back after some
attempts, and wrapped in traces of Java.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn import _records, engines
from skbn.affine import Affine
from skbn.averaging import Averaging
from skbn.checks import InfinityError, check_weights
from skbn.engines.lazyframe.reading import batches
from skbn.running import Running

# What a worker sends, of one partition or of some that have been merged: the number of
# the first, its record, whether a weight is above zero, what is wrong.
SENT = "number int, state string, positive boolean, error string"
# Partitions that a worker merges.
NEIGHBOURS = 64


@dataclass(frozen=True)
class Learning:
    """How the record of a partition is made.

    Attributes
    ----------
    averaging : Averaging
    n_features : int
    names : list of str or None
        Of the features, where each has a column of its own.
    weighted : bool
        Whether the last column holds sample weights.
    batch_size : int or None
        Rows a batch; None for all.
    engine : str
    n_threads : int
    """

    averaging: Averaging
    n_features: int
    names: list[str] | None
    weighted: bool
    batch_size: int | None
    engine: str
    n_threads: int

    def records(self, arrow_batches: Iterator[Any]) -> Iterator[Any]:
        """Yield what is sent of a partition: nothing where it has no rows."""
        from pyspark import TaskContext

        context: Any = TaskContext.get()
        yield from self.records_of(context.partitionId(), arrow_batches)

    def records_of(self, number: int, arrow_batches: Iterator[Any]) -> Iterator[Any]:
        """Yield what is sent of the partition of that number."""
        import pyarrow as pa

        rows = Part(self, number)
        tables = (pa.Table.from_batches([b]) for b in arrow_batches if b.num_rows)
        running = Running.start(self.averaging, self.n_features)
        try:
            for batch in batches(tables, None, self.batch_size):
                running = running.learn_parts(rows.read(batch), rows)
        except ValueError as error:
            yield _sent(number, error=str(error))
        else:
            if rows.count:
                yield _sent(number, running, positive=rows.positive)


class Part(engines.ReaderOfParts):
    """The rows of a partition, as the engine for tables or for arrays reads them.

    Parameters
    ----------
    task : Learning
    number : int
        Of the partition.

    Attributes
    ----------
    positive : bool
        Whether a weight was above zero.
    """

    def __init__(self, task: Learning, number: int) -> None:
        self.task, self.number = task, number
        self.positive, self.names = False, task.names
        self.estimator = SimpleNamespace(n_features_in_=task.n_features)

    def read(self, tables: Iterable[Any]) -> Iterator[Any]:
        """Yield features and weights of some rows."""
        task = self.task
        for table, _ in tables:
            with self._naming():
                weights = self._weights(table) if task.weighted else None
                X = self._features(table)
                self.reader = engines.reader(X, task.engine, task.n_threads)
                self.present = self.reader.check(
                    self.estimator, X, reset=False, names=False
                )
            self.count += table.num_rows
            yield self.present, weights

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Say in errors where the rows are."""
        try:
            yield
        except ValueError as error:
            rows = f", its rows from {self.count} on" if self.count else ""
            raise ValueError(f"In partition {self.number}{rows}: {error}") from None

    @contextmanager
    def _naming_infinity(self) -> Iterator[None]:
        try:
            with super()._naming_infinity():
                yield
        except InfinityError as error:
            raise ValueError(f"In partition {self.number}: {error}") from None

    def _weights(self, table: Any) -> NDArray[np.float64]:
        given = table.column(table.num_columns - 1).to_numpy()
        weights = check_weights(given, table.num_rows)
        self.positive |= bool(weights.any())
        return weights

    def _features(self, table: Any) -> Any:
        n_features = self.task.n_features
        if self.task.names is None:
            return array_of(table.column(0).combine_chunks(), n_features)
        return table.select(range(n_features))


def array_of(column: Any, n_features: int) -> NDArray[Any]:
    """Return a column of lists as an array, NaN for nulls, of lists and in them.

    Raises
    ------
    ValueError
        A list is of another length.
    """
    import pyarrow.compute as pc

    known = column.is_valid().to_numpy(zero_copy_only=False)
    lengths = pc.list_value_length(column).drop_null().to_numpy()
    wrong = lengths != n_features
    if wrong.any():
        row = int(np.flatnonzero(known)[np.argmax(wrong)])
        raise ValueError(
            f"{lengths[np.argmax(wrong)]} features in row {row}, expected {n_features}."
        )
    flat = _as_numbers(column.flatten()).reshape(-1, n_features)
    if known.all():
        return flat
    dtype = flat.dtype if flat.dtype == np.float32 else np.float64
    rows = np.full((len(known), n_features), np.nan, dtype)
    rows[known] = flat
    return rows


def _as_numbers(values: Any) -> NDArray[Any]:
    """An array of Arrow as one of NumPy, NaN for null."""
    numbers = values.to_numpy(zero_copy_only=False)
    # None and decimals come as objects.
    return numbers.astype(np.float64) if numbers.dtype.kind == "O" else numbers


# Records on their way


def _sent(
    number: int,
    running: Running | None = None,
    *,
    positive: bool = False,
    error: str | None = None,
) -> Any:
    import pyarrow as pa

    state = None
    if running is not None:
        n_features = running.moments.values[0].shape[1]
        document = {"n_features": n_features, **_records.written(running)}
        state = json.dumps(document, separators=(",", ":"))
    schema = pa.schema(
        [
            ("number", pa.int32()),
            ("state", pa.string()),
            ("positive", pa.bool_()),
            ("error", pa.string()),
        ]
    )
    columns = {
        "number": [number],
        "state": [state],
        "positive": [positive],
        "error": [error],
    }
    return pa.RecordBatch.from_pydict(columns, schema=schema)


def received(rows: Iterable[Any]) -> tuple[int, Running, bool]:
    """Return number, record and positive of neighbours, merged in their order.

    Parameters
    ----------
    rows : iterable of mappings
        As ``SENT`` says, in any order.

    Raises
    ------
    ValueError
        What is wrong in the first of the partitions in which something is.
    """
    ordered = sorted(rows, key=lambda row: row["number"])
    for row in ordered:
        if row["error"] is not None:
            raise ValueError(row["error"])
    documents = (json.loads(row["state"]) for row in ordered)
    records = (_records.read(found, found["n_features"]) for found in documents)
    positive = any(row["positive"] for row in ordered)
    return ordered[0]["number"], reduce(Running.merge, records), positive


def merge(neighbours: Any) -> Any:
    """Return what is sent of neighbours, from a table of what they sent."""
    import pyarrow as pa

    rows = neighbours.to_pylist()
    try:
        number, running, positive = received(rows)
        sent = _sent(number, running, positive=positive)
    except ValueError as error:
        sent = _sent(min(row["number"] for row in rows), error=str(error))
    return pa.Table.from_batches([sent])


def merge_pandas(neighbours: Any) -> Any:
    """Do the same with DataFrames of pandas, for PySpark before 4."""
    import pyarrow as pa

    return merge(pa.Table.from_pandas(neighbours, preserve_index=False)).to_pandas()


# Images


@dataclass(frozen=True)
class Mapping:
    """How a partition is mapped, where expressions would be too many.

    Attributes
    ----------
    affine : Affine
    dtype : dtype
    columns : list of int
        Where the features are.
    """

    affine: Affine
    dtype: np.dtype[Any]
    columns: list[int]

    def images(self, arrow_batches: Iterator[Any]) -> Iterator[Any]:
        """Yield the batches of a partition mapped; an infinity stays one."""
        import pyarrow as pa

        steps = [(getattr(np, name), values) for name, values in self.affine.steps]
        for batch in arrow_batches:
            columns = list(batch.columns)
            for feature, at in enumerate(self.columns):
                gaps = columns[at].is_null().to_numpy(zero_copy_only=False)
                image = self._image(_as_numbers(columns[at]), steps, feature)
                columns[at] = pa.array(image, mask=gaps)
            yield pa.RecordBatch.from_arrays(columns, batch.schema.names)

    def _image(self, values: NDArray[Any], steps: Any, feature: int) -> NDArray[Any]:
        image = values.astype(np.float64)
        with np.errstate(all="ignore"):
            for step, numbers in steps:
                step(image, numbers[feature], out=image)
            if self.affine.clip is not None:
                np.clip(image, *self.affine.clip, out=image)
            return image.astype(self.dtype, copy=False)
