"""What a stream is read from, in general.

A source is a ``Source``; ``files`` and ``sources`` have one for each kind of thing.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from skbn.checks import InfinityError
from skbn.streams.columns import Column, Selection, check_numbers
from skbn.streams.pieces import Batch, Piece, Place, cut, n_rows, skip


class Source(ABC):
    """Rows that are read from some place on.

    Attributes
    ----------
    name : str
        For messages.
    names : tuple of str or of int, or None
        Columns, or None where the first batch tells.
    schema : pyarrow.Schema or None
        Their types, where they are known.
    n_rows : int or None
        None where nothing but reading tells.
    reads_ahead : bool
        Whether another thread may read; not from what a user has written, which may
        keep things for its thread and use its memory again.
    one_dictionary : bool
        Whether the values of a column come with the same dictionary everywhere.
    """

    names: tuple[Column, ...] | None = None
    schema: Any = None
    n_rows: int | None = None
    reads_ahead = True
    one_dictionary = False

    def __init__(self, source: Any) -> None:
        self.source = source
        self.name = f"the {type(source).__name__}"
        self.first_rows: str | None = None

    def check(self, selection: Selection) -> Selection:
        """Return the columns to learn, all of them named where they are known.

        Raises
        ------
        ValueError
            One is missing or does not hold numbers.
        """
        if self.names is None:
            return selection
        chosen = selection.among(self.names, self.name)
        if self.schema is not None:
            check_numbers(self.schema, chosen.names, self.name)
        return chosen

    @abstractmethod
    def pieces(
        self, columns: Sequence[Column], size: int, start: Place
    ) -> Iterator[Piece]:
        """Yield some columns of the rows from a place on, about ``size`` at a time."""

    def rows_of_pieces(self, size: int, n_columns: int) -> int:
        """Rows of most pieces, if about ``size`` are asked for."""
        return size

    def placed(self, parts: Iterator[Any]) -> Iterator[Piece]:
        """Yield parts with their places, and keep what tells the first one."""
        row = 0
        for data in parts:
            if self.first_rows is None:
                self.first_rows = digest(data)
            yield Piece(data, Place(0, row))
            row += n_rows(data)

    def groups(self, columns: Sequence[Column], size: int) -> Iterator[Piece] | None:
        """Yield all rows, none of two groups together; None if there are no groups."""
        return None

    def ends_group(self, place: Place) -> bool:
        """Whether a group of rows ends before a place."""
        return True

    def read_as_text(  # noqa: B027 (most sources have nothing that is text)
        self, writer: Any, features: Sequence[Column] | None
    ) -> None:
        """Let columns that are not features stay as written, where they can."""

    def where(self, first: Place, last: Place | None = None) -> str:
        """Say where a row is, or from where to where some are."""
        if last is None or last == first:
            return f"{self.part(first)}, row {first.row}"
        if last.part == first.part:
            return f"{self.part(first)}, rows {first.row} to {last.row}"
        return f"{self.where(first)} to {self.where(last)}"

    def part(self, place: Place) -> str:
        """Name of the part of the source that a place is in."""
        return self.name

    def identity(self) -> list[str] | None:
        """Return what tells the source from others, None before the first rows do."""
        return None if self.first_rows is None else [self.first_rows]


class FromTheStart(Source):
    """A source whose rows are read from the first one on, whatever the place."""

    def pieces(
        self, columns: Sequence[Column], size: int, start: Place
    ) -> Iterator[Piece]:
        """Yield some columns of the rows from a place on, about ``size`` at a time."""
        return skip(self.placed(self.parts(columns, size)), start.row)

    @abstractmethod
    def parts(self, columns: Sequence[Column], size: int) -> Iterator[Any]:
        """Yield some columns of all rows."""


def digest(data: Any) -> str:
    """Return a text that tells some rows from others, by the first hundred."""
    rows = cut(data, 0, min(100, n_rows(data)))
    if hasattr(rows, "num_rows"):
        content = repr(rows.to_pydict()).encode()
    elif sparse.issparse(rows):
        arrays = rows.tocsr().indptr, rows.tocsr().indices, rows.tocsr().data
        content = b"".join(array.tobytes() for array in arrays)
    else:
        content = np.asarray(rows).tobytes()
    return f"first rows {hashlib.sha256(content).hexdigest()}"


def located(error: Exception, batch: Batch, source: Source) -> Exception:
    """Return an error of a batch as one that names the file and the row."""
    if isinstance(error, InfinityError) and error.row is not None:
        where = source.where(batch.place(error.row))
        return ValueError(f"{where}: {error.without_row}")
    where = source.where(batch.place(0), batch.place(batch.n_rows - 1))
    message = " ".join(str(error).split())
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"{where}: {message}")
