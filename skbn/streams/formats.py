"""Kinds of files, and how each is read.

A kind of file is a class with

* ``names``: its columns; ``schema``: with their types of Arrow, or None
* ``n_rows``: or None, where nothing but reading tells
* ``read(columns, size, start)``: an iterator over (row, data), from the row ``start``
  or one before, with ``size`` rows at a time or so
* ``read_groups(columns, size)`` and ``ends_group(row)``, where the way in which the
  file is cut is worth keeping: the same, no piece of two groups; whether a group ends
  before a row
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from skbn.streams.columns import Column, pyarrow

Rows: TypeAlias = Iterator[tuple[int, Any]]

# Bytes that Parquet's reader buffers of a column. Without a buffer it reads all that a
# row group has of it: 65 MB more for row groups of 40 MB, and no quicker.
BUFFER = 2**16
# Of a row group this many values or fewer are read at once: groups of 250,000 x 20 take
# 0.55 s a GB so, and 0.8 s in pieces across their borders (Intel Xeon, 2026-11).
PIECE_VALUES = 2**23
# Batches of IPC files that are larger are mapped, not read.
LARGE_BATCH = 2**26


class Parquet:
    """Row groups that are read one after the other, nothing buffered ahead."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as file:
            self.schema = file.schema_arrow
            metadata = file.metadata
            self.groups = [
                metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)
            ]
        self.ends = frozenset(accumulate(self.groups))
        self.names = tuple(self.schema.names)
        self.n_rows = sum(self.groups)

    def _open(self) -> Any:
        pyarrow()
        from pyarrow.parquet import ParquetFile

        return ParquetFile(self.path, pre_buffer=False, buffer_size=BUFFER)

    def group(self, row: int) -> tuple[int, int]:
        """Row group of a row, and its first row."""
        first = 0
        for i, n in enumerate(self.groups):
            if row < first + n:
                return i, first
            first += n
        return len(self.groups), first

    def read(self, columns: Sequence[Column], size: int, start: int) -> Rows:
        """Yield rows from ``start`` on, or from somewhere before."""
        group, row = self.group(start)
        later = list(range(group, len(self.groups)))
        with self._open() as file:
            for batch in file.iter_batches(
                max(size, self._rows_of_pieces(len(columns))),
                row_groups=later,
                columns=columns,
            ):
                yield row, pyarrow().Table.from_batches([batch]).select(columns)
                row += batch.num_rows

    def _rows_of_pieces(self, n_columns: int) -> int:
        """Rows of equal parts of a row group."""
        largest = max(self.groups, default=0)
        n_parts = -(-largest * n_columns // PIECE_VALUES)
        return -(-largest // max(1, n_parts))

    def read_groups(self, columns: Sequence[Column], size: int) -> Rows:
        """Yield the rows, never those of two row groups together."""
        row = 0
        with self._open() as file:
            for group in range(len(self.groups)):
                for batch in file.iter_batches(
                    size, row_groups=[group], columns=columns
                ):
                    yield row, pyarrow().Table.from_batches([batch]).select(columns)
                    row += batch.num_rows

    def ends_group(self, row: int) -> bool:
        """Whether a row is the first one after a row group."""
        return row in self.ends


class Ipc:
    """Record batches of an Arrow IPC file (Feather), or of a stream in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self.is_file = file.read(6) == b"ARROW1"
        with self._open(None) as reader:
            self.schema = reader.schema
            n_batches = reader.num_record_batches if self.is_file else 1
            counts = self.is_file and hasattr(reader, "count_rows")
            self.n_rows = reader.count_rows() if counts else None
        self.names = tuple(self.schema.names)
        self.is_mapped = path.stat().st_size > LARGE_BATCH * max(1, n_batches)

    def _open(self, columns: Sequence[Column] | None) -> Any:
        pa = pyarrow()
        options = None
        if columns is not None:
            fields = [self.schema.get_field_index(name) for name in columns]
            options = pa.ipc.IpcReadOptions(included_fields=fields)
        mapped = getattr(self, "is_mapped", False)
        file = (pa.memory_map if mapped else pa.OSFile)(os.fspath(self.path))
        opened = pa.ipc.open_file if self.is_file else pa.ipc.open_stream
        return opened(file, options=options)

    def read(self, columns: Sequence[Column], size: int, start: int) -> Rows:
        """Yield rows from ``start`` on, or from somewhere before."""
        yield from self.read_groups(columns, size)

    def read_groups(self, columns: Sequence[Column], size: int) -> Rows:
        """Yield the record batches."""
        row = 0
        with self._open(columns) as reader:
            n = reader.num_record_batches if self.is_file else None
            batches = iter(reader) if n is None else map(reader.get_batch, range(n))
            for batch in batches:
                yield row, pyarrow().Table.from_batches([batch]).select(list(columns))
                row += batch.num_rows

    def ends_group(self, row: int) -> bool:
        """Whether a row is the first one after a record batch: pieces are those."""
        return True


class Csv:
    """Text with a header.

    Numbers are read as float64: the first ones of a column may be whole and later ones
    not.
    """

    n_rows = None

    def __init__(self, path: Path) -> None:
        self.path = path
        self.floats: Sequence[Column] = ()
        self.texts: Sequence[Column] = ()
        with self._naming_the_row(None), self._open() as reader:
            self.schema = reader.schema
        self.names = tuple(self.schema.names)

    def _open(
        self, columns: Sequence[Column] | None = None, *, use_threads: bool = True
    ) -> Any:
        pa = pyarrow()
        from pyarrow import csv

        types = dict.fromkeys(self.floats, pa.float64())
        types |= dict.fromkeys(self.texts, pa.string())
        convert = csv.ConvertOptions(include_columns=columns, column_types=types)
        read = csv.ReadOptions(use_threads=use_threads)
        return csv.open_csv(self.path, read_options=read, convert_options=convert)

    @contextmanager
    def _naming_the_row(self, columns: Sequence[Column] | None) -> Iterator[None]:
        try:
            yield
        except pyarrow().ArrowInvalid as error:
            raise ValueError(self.what_is_wrong(columns) or str(error)) from error

    def what_is_wrong(
        self, columns: Sequence[Column] | None, floats: Sequence[Column] | None = None
    ) -> str | None:
        """Read again after an error, with one thread, which knows the row."""
        self.floats = self.floats if floats is None else floats
        try:
            for _ in self._open(columns, use_threads=False):
                pass
        except pyarrow().ArrowInvalid as error:
            return named_cell(error, getattr(self, "names", ()))
        return None

    def read(self, columns: Sequence[Column], size: int, start: int) -> Rows:
        """Yield rows from ``start`` on, or from somewhere before."""
        row = 0
        with self._naming_the_row(columns), self._open(columns) as reader:
            for batch in reader:
                yield row, pyarrow().Table.from_batches([batch])
                row += batch.num_rows


_CELL = re.compile(
    r"In CSV column #(\d+): Row #(\d+): CSV conversion error to \w+: (.*)"
)


def named_cell(error: Exception, names: Sequence[Column]) -> str:
    """What pyarrow says of a cell of CSV, with the name of its column, and the row."""
    found = _CELL.match(str(error))
    if found is None:
        return str(error)
    column, row, problem = found.groups()
    # pyarrow counts from 1, with the header.
    return f"column {names[int(column)]!r}, row {int(row) - 2}: {problem}"


class Npy:
    """One array of NumPy, mapped anew for each piece: its pages do not add up."""

    schema = None

    def __init__(self, path: Path) -> None:
        self.path = path
        shape = self._map().shape
        if len(shape) != 2:
            raise ValueError(f"an array of two dimensions is needed; its are {shape}")
        self.n_rows, self.names = shape[0], tuple(range(shape[1]))

    def _map(self) -> Any:
        return np.load(self.path, mmap_mode="r")

    def read(self, columns: Sequence[Column], size: int, start: int) -> Rows:
        """Yield rows from ``start`` on, or from somewhere before."""
        everything = list(columns) == list(self.names)
        for row in range(start, self.n_rows, size):
            rows = self._map()[row : row + size]
            # Read here, ahead of who computes.
            yield row, np.array(rows if everything else rows[:, list(columns)])


KINDS: dict[str, Any] = {
    ".parquet": Parquet,
    ".pq": Parquet,
    ".arrow": Ipc,
    ".feather": Ipc,
    ".ipc": Ipc,
    ".csv": Csv,
    ".csv.gz": Csv,
    ".npy": Npy,
}


def kind_of(path: Path) -> str | None:
    """The suffix that says how a file is read."""
    name = path.name.lower()
    return next((suffix for suffix in KINDS if name.endswith(suffix)), None)
