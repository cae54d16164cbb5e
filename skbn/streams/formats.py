"""Kinds of files, and how each is read.

A kind of file is a class with

* ``names``: its columns; ``schema``: with their types of Arrow, or None
* ``n_rows``: or None, where nothing but reading tells
* ``read(columns, size, start)``: an iterator over (row, data), from the row ``start``
  or one before, with ``size`` rows at a time or so
* ``rows_of_pieces(size, n_columns)``, where it reads some other number of rows at a
  time than ``size``
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
# Row groups of more values are read in equal parts: of groups of 21 million values
# learning then holds 640 MiB at most, and 930 in parts of 2**23. Parts across the
# borders of groups take half as long again (1.6 GB in groups of 250,000 x 20, Intel
# Xeon, 2026-11).
PIECE_VALUES = 6 * 2**20
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

    def read(self, columns: Sequence[Column], size: int, start: int) -> Rows:
        """Yield rows from ``start`` on, or from somewhere before.

        A piece is a row group, or several small ones, or an equal part of a large one.
        """
        first = 0
        with self._open() as file:
            for groups in self._small_ones_together(size):
                last = first + sum(self.groups[i] for i in groups)
                if last > start:
                    yield from self._pieces(file, groups, first, columns, size)
                first = last

    def read_groups(self, columns: Sequence[Column], size: int) -> Rows:
        """Yield the rows, never those of two row groups together."""
        first = 0
        with self._open() as file:
            for i, n in enumerate(self.groups):
                yield from self._pieces(file, [i], first, columns, size)
                first += n

    def rows_of_pieces(self, size: int, n_columns: int) -> int:
        """Rows of most pieces: ``size``, or those of row groups that have more."""
        n = max(self.groups, default=0)
        return max(size, _equal_part(n, max(size, PIECE_VALUES // n_columns)))

    def _small_ones_together(self, size: int) -> Iterator[list[int]]:
        """Yield row groups one after the other, as many as have so many rows."""
        held: list[int] = []
        n_held = 0
        for i, n in enumerate(self.groups):
            if held and n_held + n > size:
                yield held
                held, n_held = [], 0
            held.append(i)
            n_held += n
        if held:
            yield held

    def _pieces(
        self,
        file: Any,
        groups: list[int],
        first: int,
        columns: Sequence[Column],
        size: int,
    ) -> Rows:
        n = sum(self.groups[i] for i in groups)
        rows = _equal_part(n, max(size, PIECE_VALUES // len(columns)))
        for batch in file.iter_batches(rows, row_groups=groups, columns=columns):
            yield first, pyarrow().Table.from_batches([batch]).select(columns)
            first += batch.num_rows

    def ends_group(self, row: int) -> bool:
        """Whether a row is the first one after a row group."""
        return row in self.ends


def _equal_part(n: int, most: int) -> int:
    """Rows of the largest equal part of n that has so many rows or fewer."""
    return max(1, -(-n // max(1, -(-n // most))))


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
