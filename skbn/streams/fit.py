"""Learn from a stream: ``partial_fit`` over the batches of a source."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import Any, TypeVar

from skbn._sklearn import FitTask, fit_task
from skbn.engines.auto import expecting
from skbn.streams import checkpoint as checkpoints
from skbn.streams.base import Source, located
from skbn.streams.checkpoint import Checkpoint, Learnt
from skbn.streams.columns import Column, Selection, split
from skbn.streams.pieces import (
    START,
    Batch,
    Piece,
    Place,
    batches,
    default_rows,
    read_ahead,
)
from skbn.streams.progress import Progress, progress_of
from skbn.streams.sources import Batches, open_source
from skbn.transformer import BatchNormTransformer

T = TypeVar("T")


def fit_stream(
    transformer: T,
    source: Any,
    *,
    columns: Iterable[Column] | None = None,
    weight_column: Column | None = None,
    batch_rows: int | None = None,
    progress: Progress = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> T:
    """Learn all that a source holds, batch by batch, by ``partial_fit``.

    Parameters
    ----------
    transformer : BatchNormTransformer, or any estimator with ``partial_fit``
        Goes on from what it has learnt before.
    source : path, glob, folder, table or iterable of batches
        One of

        * a path, a glob, a folder (with the folders in it), or a list of paths, of
          Parquet, Arrow IPC (Feather), CSV with a header, or ``.npy``; in the order of
          their names;
        * what has ``__arrow_c_stream__``: tables and readers of pyarrow, frames of
          polars and pandas, relations of DuckDB; a LazyFrame of polars; a Dataset of
          pyarrow;
        * an array or sparse matrix of shape (n_samples, n_features);
        * a binary file that is open, as ``sys.stdin.buffer``: CSV or Arrow IPC;
        * an iterable of batches, each of them an array, a sparse matrix, a table, a
          tensor, or ``(X, y)`` as a DataLoader of torch yields; a Dataset or
          IterableDataset of Hugging Face;
        * a binary file that is open, of CSV or Arrow IPC, which is read once.
    columns : list of str or int, default=None
        Features: names in tables, numbers in arrays. None for all but the weights;
        then a column that does not hold numbers is an error.
    weight_column : str or int, default=None
        Column with the weight of each row, ``sample_weight``.
    batch_rows : int, default=None
        Rows of a batch, whatever files and row groups there are; the last batch has
        what is left. With None, the parameter ``batch_size`` of the transformer, or
        131,072, or fewer that hold 2**22 values; or those of a row group of Parquet
        where that has more, of up to 6 million values, but not for ``momentum``; and an
        iterable's batches stay as they are. The result depends on it for ``momentum``
        alone.
    progress : bool or "auto", default=False
        Whether to show rows, rows a second and the time left, where the number of rows
        is known, on standard error: as a bar on a terminal, where rich is installed,
        else in lines. With "auto", on a terminal only.
    checkpoint : path-like, default=None
        File for what was learnt and how far, about every minute, and at the end. A
        call with the same arguments goes on from there; one with others is an error.
        Of a source with ``state_dict`` the position is that; files must be as they
        were; in all others rows are counted, and the first ones compared.

    Returns
    -------
    transformer
        The same.

    Raises
    ------
    ValueError
        The source has no rows; a column is missing or does not hold numbers; a file
        is not whole, has other columns than the first or was changed; a batch holds
        what cannot be learnt; the checkpoint is one of something else.
    OSError
        A file is missing or cannot be read, or the checkpoint cannot be written.
    TypeError
        The source is nothing that can be read.
    ImportError
        The extra ``skbn[files]`` is not installed and what was given needs it.

    See Also
    --------
    skbn.transform_stream : Normalise a stream into a file.

    Notes
    -----
    Of files, only the columns asked for are read. Another thread reads while a batch is
    learnt, one piece ahead; iterables are iterated by the calling thread.

    After an error, or Ctrl-C, the transformer holds all batches before, and a note at
    the exception says how many rows these are. The callbacks of scikit-learn (1.9) are
    told of one task, with a subtask for each batch.

    Examples
    --------
    >>> import numpy as np
    >>> import skbn
    >>> stream = (np.full((100, 2), [i, 10.0 * i]) for i in range(5))
    >>> scaler = skbn.fit_stream(skbn.BatchNormTransformer(), stream)
    >>> scaler.mean_
    array([ 2., 20.])
    >>> scaler.n_samples_seen_, scaler.n_batches_seen_
    (500, 5)
    """
    if not hasattr(transformer, "partial_fit"):
        raise TypeError(f"A {type(transformer).__name__} has no partial_fit.")
    opened = open_source(source)
    selection = opened.check(Selection.of(columns, weight_column))
    size = _rows_of_batches(batch_rows, transformer, opened, selection)
    kept = None
    if checkpoint is not None:
        kept = Checkpoint(checkpoint, transformer, opened, selection, size)
        if isinstance(opened, Batches):
            opened.state_interval = checkpoints.INTERVAL
    learning = Learning(transformer, opened, selection, kept)
    if learning.learnt.complete:
        learning.confirm(size)
    else:
        learning.run(size, progress)
    return transformer


def _rows_of_batches(
    asked: int | None, transformer: Any, source: Source, selection: Selection
) -> int | None:
    """Rows of a batch; None where those of an iterable stay as they are."""
    if asked is not None:
        if isinstance(asked, bool) or int(asked) != asked or asked < 1:
            raise ValueError(f"batch_rows={asked!r} must be a whole number from 1 on.")
        return int(asked)
    if isinstance(source, Batches):
        return None
    if size := getattr(transformer, "batch_size", None):
        return int(size)
    n_columns = len(selection.columns or ())
    size = default_rows(n_columns)
    if getattr(transformer, "momentum", 0.0) is None:
        # No result depends on it, and nothing has to be cut where readers do not.
        return source.rows_of_pieces(size, n_columns)
    return size


class Learning:
    """One call of ``fit_stream``.

    Attributes
    ----------
    learnt : Learnt
        What belongs to the state of the transformer.
    """

    def __init__(
        self,
        transformer: Any,
        source: Source,
        selection: Selection,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.transformer, self.source = transformer, source
        self.selection, self.checkpoint = selection, checkpoint
        known = source.names is not None
        self.read = selection.once_read() if known else selection
        self.learnt = Learnt() if checkpoint is None else checkpoint.start()
        self.batch: Batch | None = None
        self.has_begun = False

    def run(self, size: int | None, progress: Progress) -> None:
        """Learn all that is left."""
        source, label, done = self.source, self.source.name, self.learnt.rows
        pieces = self._pieces(size, self.learnt.place)
        if source.reads_ahead:
            pieces = read_ahead(pieces)
        with (
            progress_of(progress, label, source.n_rows, done) as advance,
            closing(pieces),  # type: ignore[type-var]
            expecting(self._n_values()),
            self._task() as task,
        ):
            try:
                stream = batches(pieces, size)
                first = next(stream, None)
                self.begin()
                task.begin(None, None, self._n_batches(size))
                for batch in chain([] if first is None else [first], stream):
                    stop = self.learn(batch, task)
                    advance(batch.n_rows)
                    if stop:
                        self._save()
                        break
                else:
                    self.end()
                task.end(None, _fitted(self.transformer))
            except BaseException as error:
                self.stop(error)
                raise

    def _task(self) -> FitTask:
        if isinstance(self.transformer, BatchNormTransformer):
            return fit_task(self.transformer)
        return FitTask()

    def _n_values(self) -> int:
        """Values of all rows, learnt or not, where that is known."""
        return (self.source.n_rows or 0) * len(self.selection.columns or ())

    def _n_batches(self, size: int | None) -> int | None:
        """Batches to come, where that is known; None says that there are some."""
        if self.source.n_rows is None or size is None:
            return None
        n = -(-(self.source.n_rows - self.learnt.rows) // size)
        return n if n > 1 else None

    def confirm(self, size: int | None) -> None:
        """Take over what was learnt of all rows, if the first ones are the same."""
        if self.source.identity() is None:
            next(self._pieces(size, START), None)
        self.begin()

    def _pieces(self, size: int | None, start: Place) -> Iterator[Piece]:
        names = self.selection.names
        return self.source.pieces(names, size or default_rows(len(names)), start)

    def begin(self) -> None:
        """Go on from what the checkpoint holds."""
        if self.checkpoint is not None:
            self.checkpoint.take_over(self.transformer)
        self.learnt = replace(self.learnt, record=_record(self.transformer))
        self.has_begun = True

    def learn(self, batch: Batch, task: FitTask) -> bool:
        """Learn a batch; whether a callback wants to stop."""
        self.batch = batch
        where = self.source.where(batch.place(0))
        X, weights = split(batch.data, self.read, where)
        stop = False
        try:
            if isinstance(self.transformer, BatchNormTransformer):
                task.begin_batch(X)
                fitted = self.transformer._learn(X, weights)
                stop = task.end_batch(X, fitted)
            elif weights is None:
                self.transformer.partial_fit(X)
            else:
                self.transformer.partial_fit(X, sample_weight=weights)
        except (ValueError, TypeError) as error:
            raise located(error, batch, self.source) from error
        self._count(batch)
        if self.checkpoint is not None and self.checkpoint.is_due:
            self._save()
        return stop

    def _count(self, batch: Batch) -> None:
        """Say that the batch was learnt: at once, whenever Ctrl-C comes."""
        self.learnt = Learnt(
            self.learnt.rows + batch.n_rows,
            self.learnt.batches + 1,
            batch.stop,
            record=_record(self.transformer),
        )

    def _save(self) -> None:
        if self.checkpoint is not None:
            self.checkpoint.save(self.transformer, self.learnt)

    def end(self) -> None:
        """Write the last checkpoint.

        Raises
        ------
        ValueError
            There was nothing to learn.
        """
        if not self.learnt.rows:
            raise ValueError(f"{self.source.name} has no rows.")
        self.learnt = replace(self.learnt, complete=True)
        self._save()

    def stop(self, error: BaseException) -> None:
        """Keep what was learnt before an exception, and say at it how much that is."""
        if not self.has_begun:
            return
        if self.batch and _record(self.transformer) is not self.learnt.record:
            self._count(self.batch)  # interrupted between the two
        n, rows = self.learnt.batches, self.learnt.rows
        how = "Stopped" if isinstance(error, Exception) else "Interrupted"
        error.add_note(
            f"{how} after {rows:,} rows of {self.source.name}, which the transformer "
            f"has learnt ({n:,} batches)."
            if rows
            else f"{how} before a row of {self.source.name} was learnt."
        )
        if self.checkpoint is None or not rows:
            return
        try:
            self._save()
        except (OSError, ValueError) as failure:
            error.add_note(f"The checkpoint was not written: {failure}")
        else:
            error.add_note(
                f"The same call goes on from there ({os.fspath(self.checkpoint.path)})."
            )


def _record(transformer: Any) -> Any:
    """What is another object once a batch was learnt."""
    return (
        vars(transformer).get("_running") if hasattr(transformer, "__dict__") else None
    )


def _fitted(transformer: Any) -> dict[str, Any]:
    fitted = getattr(transformer, "_fitted_attributes", None)
    record = _record(transformer)
    return {} if fitted is None or record is None else fitted(record)
