"""Files as destinations: a writer for each kind of file, by suffix.

A writer takes tables, or arrays where it says so, one group of rows after the other.
The first one decides what the columns are.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias

import numpy as np

from skbn._files import atomic_write
from skbn.streams.columns import pyarrow

Destination: TypeAlias = str | os.PathLike[str] | IO[bytes]

# Values that are looked at before a dictionary is made of all of them.
SAMPLE = 4096


class Writer(Protocol):
    """What is described above."""

    takes_tables: bool
    keeps_groups: bool

    def write(self, rows: Any, ends_group: bool) -> None:
        """Write some rows, with which a group of rows ends, or not yet."""

    def close(self) -> None:
        """Write what comes at the end."""


class _TableWriter(ABC):
    takes_tables = keeps_groups = True

    def __init__(self, file: IO[bytes], *, keeps_dictionaries: bool = False) -> None:
        self.file, self.keeps_dictionaries = file, keeps_dictionaries
        self.writer: Any = None
        self.schema: Any = None
        self.group: list[Any] = []

    def write(self, rows: Any, ends_group: bool) -> None:
        """Write a table, once its group is whole.

        Raises
        ------
        ValueError
            Its columns are not those of the first one.
        """
        if self.writer is None:
            self.schema = rows.schema
            self.writer = self.open(rows)
        elif not rows.schema.equals(self.schema):
            _refuse_other(rows.schema, self.schema)
            rows = rows.cast(self.schema)  # it differs in what may be null
        self.group.append(rows)
        if ends_group or not self.keeps_groups:
            group, self.group = self.group, []
            self.add(pyarrow().concat_tables(group))

    @abstractmethod
    def open(self, rows: Any) -> Any:
        """Return pyarrow's writer."""

    def add(self, rows: Any) -> None:
        """Write a table."""
        self.writer.write_table(rows)

    def close(self) -> None:
        """Write what comes at the end."""
        if self.writer is not None:
            self.writer.close()


def _refuse_other(found: Any, expected: Any) -> None:
    """Raise a ValueError that names a column in which two schemas differ."""
    for ours in expected:
        i = found.get_field_index(ours.name)
        if i < 0:
            raise ValueError(f"there is no column {ours.name!r}, as in rows before")
        if found.field(i).type != ours.type:
            raise ValueError(
                f"column {ours.name!r} is {found.field(i).type}, and {ours.type} in "
                "rows before"
            )
    if found.names != expected.names:
        raise ValueError(f"the columns are {found.names}, before {expected.names}")


class ParquetWriter(_TableWriter):
    """Each group is a row group."""

    def open(self, rows: Any) -> Any:
        """Return the writer of pyarrow."""
        pyarrow()
        from pyarrow import parquet

        repeated = [n for n in self.schema.names if _repeats(rows.column(n))]
        return parquet.ParquetWriter(self.file, self.schema, use_dictionary=repeated)

    def add(self, rows: Any) -> None:
        """Write a table as one group."""
        self.writer.write_table(rows, row_group_size=max(1, rows.num_rows))


def _repeats(column: Any) -> bool:
    """Whether a dictionary of the values may pay.

    Where all floats differ it takes eight times the time to write them, for nothing.
    """
    if not pyarrow().types.is_floating(column.type):
        return True
    first = column.slice(0, SAMPLE)
    return len(first.unique()) <= len(first) // 2


def _with_values(table: Any) -> Any:
    """The table with values where it has dictionaries of them."""
    is_dictionary = pyarrow().types.is_dictionary
    for i, field in enumerate(table.schema):
        if is_dictionary(field.type):
            plain = field.type.value_type
            column = table.column(i).cast(plain)
            table = table.set_column(i, field.with_type(plain), column)
    return table


class IpcWriter(_TableWriter):
    """Each group is a record batch.

    A file has one dictionary a column, so what comes with several of them is written as
    the values.
    """

    def write(self, rows: Any, ends_group: bool) -> None:
        """Write a table, once its group is whole."""
        if not self.keeps_dictionaries:
            rows = _with_values(rows)
        super().write(rows, ends_group)

    def open(self, rows: Any) -> Any:
        """Return the writer of pyarrow."""
        return pyarrow().ipc.new_file(self.file, self.schema)

    def add(self, rows: Any) -> None:
        """Write a table as one group."""
        self.writer.write_table(rows.combine_chunks())


class CsvWriter(_TableWriter):
    """Text with a header, nothing for a null."""

    keeps_groups = False

    def open(self, rows: Any) -> Any:
        """Return the writer of pyarrow."""
        pyarrow()
        from pyarrow import csv

        return csv.CSVWriter(self.file, self.schema)


class NpyWriter:
    """One array. The number of rows is written at the end, where NumPy leaves room.

    Not through a map: where the disk is full, writing to that kills the process.
    """

    takes_tables = keeps_groups = False

    def __init__(self, file: IO[bytes], *, keeps_dictionaries: bool = False) -> None:
        self.file = file
        self.n_rows = 0
        self.form: tuple[np.dtype[Any], int] | None = None

    def write(self, rows: Any, ends_group: bool) -> None:
        """Write an array of shape (n_rows, n_columns).

        Raises
        ------
        ValueError
            Its dtype or number of columns is not that of the first one.
        """
        form = rows.dtype, rows.shape[1]
        if self.form is None:
            self.form = form
            self._write_header()
        elif form != self.form:
            raise ValueError(
                f"rows of {form[1]} columns, {form[0]}, come after rows of "
                f"{self.form[1]}, {self.form[0]}"
            )
        self.file.write(np.ascontiguousarray(rows).data)
        self.n_rows += len(rows)

    def _write_header(self) -> None:
        assert self.form is not None
        dtype, n_columns = self.form
        np.lib.format.write_array_header_1_0(
            self.file,
            {
                "descr": np.lib.format.dtype_to_descr(dtype),
                "fortran_order": False,
                "shape": (self.n_rows, n_columns),
            },
        )

    def close(self) -> None:
        """Write the number of rows."""
        self.file.seek(0)
        self._write_header()


KINDS: dict[str, type[Any]] = {
    ".parquet": ParquetWriter,
    ".pq": ParquetWriter,
    ".arrow": IpcWriter,
    ".feather": IpcWriter,
    ".ipc": IpcWriter,
    ".csv": CsvWriter,
    ".npy": NpyWriter,
}


def open_destination(destination: Destination) -> AbstractContextManager[IO[bytes]]:
    """Return a new file that takes the place of a path, or what is open already."""
    if isinstance(destination, (str, os.PathLike)):
        return atomic_write(destination)
    return nullcontext(destination)


def name_of(destination: Destination) -> str:
    """Return the path, or the name of what is open."""
    if isinstance(destination, (str, os.PathLike)):
        return os.fspath(destination)
    return str(getattr(destination, "name", "the output"))


def writer_for(destination: Destination) -> type[Writer]:
    """Return the writer for a file of that name; CSV for what is open already.

    Raises
    ------
    ValueError
        There is none.
    """
    if not isinstance(destination, (str, os.PathLike)):
        return CsvWriter
    kind = KINDS.get(Path(destination).suffix.lower())
    if kind is None:
        raise ValueError(
            f"{os.fspath(destination)}: it is not known how to write this file; known "
            f"are {', '.join(KINDS)}."
        )
    return kind
