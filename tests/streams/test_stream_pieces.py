import threading

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from strategies import examples

from skbn.streams.pieces import (
    Piece,
    Place,
    batches,
    cut,
    default_rows,
    n_rows,
    read_ahead,
    skip,
)

FORMS = {
    "array": lambda X: X,
    "sparse": sparse.csc_array,
    "table": lambda X: pa.table({"x": X[:, 0]}),
}


def as_array(rows):
    if hasattr(rows, "num_rows"):
        return rows["x"].to_numpy()[:, None]
    return rows.toarray() if sparse.issparse(rows) else rows


def pieces_of(X, lengths, form):
    """Pieces of these lengths, in parts of three pieces each."""
    row = part = start = 0
    for i, n in enumerate(lengths):
        if i and i % 3 == 0:
            part, row = part + 1, 0
        yield Piece(FORMS[form](X[start : start + n]), Place(part, row))
        row, start = row + n, start + n


lengths = st.lists(st.integers(0, 9), max_size=12)


@pytest.mark.parametrize("form", FORMS)
@given(lengths=lengths, size=st.integers(1, 12), gone=st.integers(0, 20))
@examples(60)
def test_batches_hold_the_rows_in_order_and_know_their_places(
    form, lengths, size, gone
):
    n = sum(lengths)
    gone = min(gone, n)
    X = np.arange(1.0, n + 1)[:, None]
    pieces = list(pieces_of(X, lengths, form))
    places = [
        p.place._replace(row=p.place.row + i)
        for p in pieces
        for i in range(n_rows(p.data))
    ]

    found = list(batches(skip(iter(pieces), gone), size))

    assert [b.n_rows for b in found[:-1]] == [size] * (len(found) - 1)
    assert not found or 0 < found[-1].n_rows <= size
    rows = [as_array(b.data) for b in found]
    np.testing.assert_array_equal(np.concatenate([X[:0], *rows]), X[gone:])
    known = [b.place(i) for b in found for i in range(b.n_rows)]
    assert known == places[gone:]
    for batch in found:
        last = batch.place(batch.n_rows - 1)
        assert batch.stop == last._replace(row=last.row + 1)


def test_pieces_are_batches_without_a_size():
    X = np.arange(6.0)[:, None]
    found = batches(pieces_of(X, [2, 0, 3, 1], "array"), None)
    assert [b.n_rows for b in found] == [2, 3, 1]


def test_too_few_rows_to_skip():
    with pytest.raises(ValueError, match="ends 2 rows before its checkpoint"):
        list(skip(pieces_of(np.zeros((3, 1)), [3], "array"), 5))


def test_a_reader_may_use_its_memory_again():
    buffer = np.empty((3, 1))

    def refilled():
        for i in range(5):
            buffer[:] = i
            yield Piece(buffer, Place(0, 3 * i))

    rows = np.concatenate([b.data.copy() for b in batches(refilled(), 4)])
    np.testing.assert_array_equal(rows[:, 0], np.repeat(np.arange(5.0), 3))


@pytest.mark.parametrize(
    ("columns", "rows"), [(None, 2**17), (1, 2**17), (32, 2**17), (64, 2**16)]
)
def test_default_rows(columns, rows):
    assert default_rows(columns) == rows
    assert default_rows(2**30) == 1


def test_cut_sparse():
    X = sparse.coo_array(np.eye(3))
    np.testing.assert_array_equal(cut(X, 1, 3).toarray(), np.eye(3)[1:])


# Reading ahead


def numbered(n):
    for i in range(n):
        yield Piece(np.full((1, 1), i), Place(0, i))


def test_read_ahead_yields_the_same():
    rows = [int(piece.data[0, 0]) for piece in read_ahead(numbered(20))]
    assert rows == list(range(20))


def test_it_reads_one_piece_ahead():
    read = []

    def watched():
        for piece in numbered(20):
            read.append(piece.place.row)
            yield piece

    for piece in read_ahead(watched()):
        assert len(read) <= piece.place.row + 2


def test_errors_of_the_reader_are_raised():
    def broken():
        yield from numbered(3)
        raise RuntimeError("no more")

    seen = []
    with pytest.raises(RuntimeError, match="no more"):
        seen.extend(read_ahead(broken()))
    assert [piece.place.row for piece in read_ahead(numbered(3))] == [0, 1, 2]


def test_closing_stops_the_thread_and_the_reader():
    closed = threading.Event()

    def endless():
        try:
            while True:
                yield Piece(np.zeros((1, 1)), Place())
        finally:
            closed.set()

    pieces = read_ahead(endless())
    next(pieces)
    pieces.close()
    assert closed.wait(5.0)
    assert not any(t.name == "skbn-reader" for t in threading.enumerate())
