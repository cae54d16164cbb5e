"""What a CSR or CSC matrix stores, read in parts, and never changed."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

AnyArray = NDArray[Any]

# Entries that are looked at together. With half as many the interpreter takes as long
# as the work: 43 ms instead of 35 for 4 million entries.
BLOCK = 2**17


class Entries:
    """The stored entries of a CSR or CSC matrix, without those past its end.

    Attributes
    ----------
    data, indices : ndarray of shape (n_entries,)
    indptr : ndarray of shape (n_majors + 1,)
        Where each row, or for CSC each column, begins.
    by_rows : bool
        Whether the matrix is CSR.
    """

    def __init__(self, X: Any) -> None:
        self.indptr = X.indptr
        self.count = int(X.indptr[-1])
        self.data, self.indices = X.data[: self.count], X.indices[: self.count]
        self.by_rows = X.format == "csr"
        self.n_rows, self.n_features = X.shape

    def majors(self, first: int, last: int) -> slice:
        """Rows, or for CSC columns, that the entries from first to last are of."""
        # A plain int would have all of indptr converted.
        number = self.indptr.dtype.type
        start = self.indptr.searchsorted(number(first), "right") - 1
        stop = self.indptr.searchsorted(number(last), "left")
        return slice(int(start), max(int(start), int(stop)))

    def columns(self, first: int, last: int) -> slice:
        """Features that these entries may be of."""
        return slice(0, self.n_features) if self.by_rows else self.majors(first, last)

    def major_of(self, first: int, last: int) -> tuple[AnyArray, int]:
        """Row, or for CSC column, of each entry, less the first one; and that one."""
        majors = self.majors(first, last)
        starts = self.indptr[majors.start : majors.stop + 1].clip(first, last)
        numbers = np.arange(majors.stop - majors.start, dtype=self.indices.dtype)
        return np.repeat(numbers, np.diff(starts)), majors.start

    def minor_of(self, first: int, last: int) -> AnyArray:
        """Column, or for CSC row, of each entry.

        Raises
        ------
        ValueError
            A column or row that the matrix does not have.
        """
        minors = self.indices[first:last]
        limit = self.n_features if self.by_rows else self.n_rows
        # Without a sign negative ones are too large as well.
        if minors.size and minors.view(f"u{minors.itemsize}").max() >= limit:
            raise bad_index(limit)
        return minors

    def features(self, first: int, last: int) -> tuple[AnyArray, int]:
        """Feature of each entry, less the first one in question; and that one."""
        if self.by_rows:
            return self.minor_of(first, last), 0
        return self.major_of(first, last)

    def most_of_a_feature(self, first: int, last: int) -> int:
        """A number no less than the entries of any feature, none stored twice."""
        majors = self.majors(first, last)
        if self.by_rows:
            return min(last - first, majors.stop - majors.start)
        starts = self.indptr[majors.start : majors.stop + 1].clip(first, last)
        return int(np.diff(starts).max())

    def is_unsorted(self, first: int, last: int) -> bool:
        """Whether one does not come after the one before it, in a row or column."""
        second, majors = max(first, 1), self.majors(first, last)
        falls = self.indices[second:last] <= self.indices[second - 1 : last - 1]
        starts = self.indptr[majors.start : majors.stop]
        # Of the first row, or column, some entries may come before these.
        starts = starts[int(starts[0] < second) :]
        if np.count_nonzero(starts[1:] == starts[:-1]):
            falls[starts - second] = False
            return bool(falls.any())
        # Quicker, where none is empty: to count those at which one begins.
        expected = np.count_nonzero(falls.take(starts - second))
        return bool(np.count_nonzero(falls) > expected)

    def n_stored(self) -> NDArray[np.intp]:
        """Entries of each feature."""
        if not self.by_rows:
            return np.diff(self.indptr)
        number = np.zeros(self.n_features, dtype=np.intp)
        step = max(BLOCK, self.n_features)
        for first in range(0, self.count, step):
            columns = self.minor_of(first, min(first + step, self.count))
            number += np.bincount(columns, minlength=self.n_features)
        return number

    def rows(self, first: int, last: int) -> AnyArray:
        """Row of each entry."""
        if self.by_rows:
            rows, start = self.major_of(first, last)
            return rows + start
        return self.minor_of(first, last)


def stored_features(entries: Entries) -> tuple[NDArray[np.intp], Any]:
    """Return the features of which anything is stored, and a matrix of them alone.

    Raises
    ------
    ValueError
        A column that the matrix does not have.
    """
    indices, indptr = entries.indices, entries.indptr
    if entries.by_rows:
        minors = entries.minor_of(0, entries.count)
        features, places = np.unique(minors, return_inverse=True)
        indices = places.astype(indices.dtype)
    else:
        features = np.flatnonzero(np.diff(indptr))
        indptr = indptr[np.append(features, entries.n_features)]
    kind = csr_array if entries.by_rows else csc_array
    shape = entries.n_rows, features.size
    return features, kind((entries.data, indices, indptr), shape=shape)


def find_infinity(X: Any) -> tuple[int, int] | None:
    """Row and column of the first infinity, row by row."""
    entries, found = Entries(without_duplicates(X)), []
    for first in range(0, entries.count, BLOCK):
        last = min(first + BLOCK, entries.count)
        here = np.isinf(entries.data[first:last])
        if here.any():
            features, start = entries.features(first, last)
            rows, columns = entries.rows(first, last)[here], features[here] + start
            found.append(min(zip(rows.tolist(), columns.tolist(), strict=True)))
    return min(found, default=None)


def bad_index(limit: int) -> ValueError:
    """Return the error for an index out of bounds."""
    return ValueError(f"The sparse matrix has an index that is not in [0, {limit}).")


def without_duplicates(X: Any) -> Any:
    """X, or a copy in which entries of the same place are summed."""
    twin, entries = _twin(X), Entries(X)
    if twin.has_canonical_format or not _repeats(entries):
        return X
    twin.data, twin.indices = entries.data.copy(), entries.indices.copy()
    twin.indptr = entries.indptr.copy()
    twin.sum_duplicates()
    return twin


def trimmed(X: Any) -> Any:
    """X, or a matrix whose arrays end where its entries do.

    SciPy writes past the end of an array where columns are taken of a matrix with
    longer ones (scipy/scipy issue 23784).
    """
    entries = Entries(X)
    if entries.count == len(X.data) == len(X.indices):
        return X
    twin = _twin(X)
    twin.data, twin.indices = entries.data, entries.indices
    return twin


def _twin(X: Any) -> Any:
    """A matrix on the arrays of X that has yet to look at them."""
    twin = copy(X)
    for flag in ("_has_canonical_format", "_has_sorted_indices"):
        vars(twin).pop(flag, None)
    return twin


def _repeats(entries: Entries) -> bool:
    """Whether some place is stored twice; whole rows, or columns, at a time."""
    n_minors = entries.n_features if entries.by_rows else entries.n_rows
    number, last = entries.indptr.dtype.type, 0
    while last < entries.count:
        first = last
        stop = np.searchsorted(entries.indptr, number(first + 1), "left")
        full = np.searchsorted(
            entries.indptr, number(min(first + BLOCK, entries.count)), "right"
        )
        last = int(entries.indptr[max(stop, full - 1)])
        majors, _ = entries.major_of(first, last)
        places = majors.astype(np.int64) * n_minors + entries.minor_of(first, last)
        places.sort()
        if (places[1:] == places[:-1]).any():
            return True
    return False
