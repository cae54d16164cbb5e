"""Pieces, as readers give them, and batches, as they are cut from those.

Readers cut where the file was cut. Batches have the number of rows that was asked for,
across files and row groups, so that what depends on batches, momentum above all, does
not depend on how a file was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

# Of the default batch: this many rows, and no more values than this.
BATCH_ROWS, BATCH_VALUES = 2**17, 2**22


class Place(NamedTuple):
    """Where a row is in a source.

    Attributes
    ----------
    part : int
        File of the source.
    row : int
        Row of the part; with a ``state``, row since that.
    state : object
        What ``load_state_dict`` of the source takes, where it has that.
    """

    part: int = 0
    row: int = 0
    state: Any = None


START = Place()


class Piece(NamedTuple):
    """Some rows as they were read: a pyarrow Table, an array or a sparse matrix."""

    data: Any
    place: Place


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows to be learnt at once.

    Attributes
    ----------
    data : Table, ndarray or sparse matrix
    pieces : list of (Place, int)
        Where its rows are from: the place of the first of so many.
    """

    data: Any
    pieces: list[tuple[Place, int]]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return sum(n for _, n in self.pieces)

    @property
    def stop(self) -> Place:
        """The place after the last row."""
        place, n = self.pieces[-1]
        return place._replace(row=place.row + n)

    def place(self, row: int) -> Place:
        """The place of a row of the batch."""
        for place, n in self.pieces:
            if row < n:
                return place._replace(row=place.row + row)
            row -= n
        return self.stop


def default_rows(n_columns: int | None) -> int:
    """Rows of a batch where nobody says: 131,072, or fewer that hold 2**22 values."""
    return max(1, min(BATCH_ROWS, BATCH_VALUES // max(1, n_columns or 1)))


# Rows of anything


def n_rows(data: Any) -> int:
    """Number of rows of a table, an array or a sparse matrix."""
    return int(data.num_rows if hasattr(data, "num_rows") else data.shape[0])


def cut(data: Any, start: int, stop: int) -> Any:
    """Return some rows."""
    if hasattr(data, "num_rows"):
        return data.slice(start, stop - start)
    return (data.tocsr() if sparse.issparse(data) else data)[start:stop]


def joined(parts: list[Any]) -> Any:
    """Return the rows of all parts.

    Raises
    ------
    ValueError
        They have other columns.
    """
    try:
        return _joined(parts)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Batches do not go together: {error}") from error


def _joined(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    if hasattr(parts[0], "num_rows"):
        import pyarrow as pa

        # Whole numbers and floats become floats. Columns in one piece are read as they
        # are: 2 ms here save 10 there (131,072 x 20, Intel Xeon, 2026-11).
        return pa.concat_tables(parts, promote_options="permissive").combine_chunks()
    if any(map(sparse.issparse, parts)):
        return sparse.vstack(parts, format="csr")
    return np.concatenate(parts)


def skip(pieces: Iterator[Piece], rows: int) -> Iterator[Piece]:
    """Yield the pieces without so many rows at the beginning.

    Raises
    ------
    ValueError
        There are fewer.
    """
    for piece in pieces:
        n = n_rows(piece.data)
        if n > rows:
            place = piece.place._replace(row=piece.place.row + rows)
            yield Piece(cut(piece.data, rows, n), place) if rows else piece
        rows = max(0, rows - n)
    if rows:
        raise ValueError(f"The source ends {rows} rows before its checkpoint goes on.")


# Batches


def batches(pieces: Iterator[Piece], size: int | None) -> Iterator[Batch]:
    """Cut pieces into batches of ``size`` rows, the last one of what is left.

    With None each piece is a batch. Pieces without rows are left out.
    """
    held: list[tuple[Any, Place, int]] = []
    missing = size or 0
    for data, first in pieces:
        n, start, place = n_rows(data), 0, first
        while size and n - start >= missing:
            held.append((_part(data, start, start + missing, n), place, missing))
            yield _batch(held)
            place = place._replace(row=place.row + missing)
            start, missing, held = start + missing, size, []
        if not size and n:
            yield _batch([(data, place, n)])
        elif start < n:
            # The reader may write its next piece to the same memory.
            rest = _own(_part(data, start, n, n))
            held.append((rest, place, n - start))
            missing -= n - start
    if held:
        yield _batch(held)


def _part(data: Any, start: int, stop: int, n: int) -> Any:
    return data if stop - start == n else cut(data, start, stop)


def _own(data: Any) -> Any:
    """Rows that nobody else writes to; those of Arrow are never written to."""
    return data if hasattr(data, "num_rows") else data.copy()


def _batch(held: list[tuple[Any, Place, int]]) -> Batch:
    data = joined([rows for rows, _, _ in held])
    return Batch(data, [(place, n) for _, place, n in held])


# Reading on while the last piece is worked on


def read_ahead(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Yield the pieces, which another thread reads: the next one while one is in use.

    An exception of the reader is raised here. Closing the generator stops the thread,
    once it has read the piece that it is at.
    """
    ready: SimpleQueue[tuple[Piece | None, BaseException | None]] = SimpleQueue()
    room, stopped = Semaphore(1), Event()

    def read() -> None:
        error = None
        try:
            with closing(pieces):  # type: ignore[type-var]
                while room.acquire() and not stopped.is_set():
                    piece = next(pieces, None)
                    if piece is None:
                        break
                    ready.put((piece, None))
                    del piece  # or it would be held until the next one is read
        except BaseException as raised:  # noqa: BLE001
            error = raised
        ready.put((None, error))

    thread = Thread(target=read, name="skbn-reader", daemon=True)
    thread.start()
    try:
        while True:
            piece, error = ready.get()
            if error is not None:
                raise error
            if piece is None:
                return
            room.release()
            yield piece
            del piece
    finally:
        stopped.set()
        room.release()
        # Not for ever: it may wait for the other end of a pipe.
        thread.join(timeout=5.0)
