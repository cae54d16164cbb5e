"""Sparse data with a shift: a linear operator, so that no zero need be stored."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy as shallow_copy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from skbn.affine import Affine, Offset
from skbn.engines import numpy as numpy_engine
from skbn.engines.sparse.entries import Entries, without_duplicates

Array = NDArray[np.float64]
Write = Callable[..., None]


class CentredOperator(LinearOperator):
    """``matrix + ones(n_samples) shift'``, which is never stored.

    Products take one product with the matrix and one with the shift, so that
    ``svds``, ``lsqr`` and all else that asks for products can use it.

    Parameters
    ----------
    matrix : CSR or CSC of shape (n_samples, n_features), float64
        Images of what is stored: whole for the features in ``full``, without the
        shift for the others.
    shift : ndarray of shape (n_features,)
        What zero is transformed to, less what the matrix holds.
    full : ndarray of shape (n_features,), bool
        Features that store every row. Their shift is in the matrix: it may be large,
        and would take digits from the sums.
    affine : Affine
        The map that made it.
    """

    def __init__(
        self, matrix: Any, shift: Array, full: NDArray[np.bool_], affine: Affine
    ) -> None:
        super().__init__(np.dtype(np.float64), matrix.shape)
        self.matrix, self.shift = matrix, shift
        self.full, self.affine = full, affine

    def _matvec(self, x: Any) -> Any:
        return self.matrix @ x + self.shift @ x

    def _rmatvec(self, x: Any) -> Any:
        x = np.ravel(x)
        return self.matrix.T @ x + self.shift * x.sum()

    def _matmat(self, X: Any) -> Any:
        return self.matrix @ X + self.shift @ X

    def _rmatmat(self, X: Any) -> Any:
        return self.matrix.T @ X + np.multiply.outer(self.shift, X.sum(axis=0))


def has_shift(affine: Affine) -> bool:
    """Whether the map moves zero, or may: by a mean, or by a beta that is not 0."""
    mean, beta = affine.center, affine.shift
    if not affine.divides:
        mean, beta = beta, mean
    return mean is not None or (beta is not None and bool(beta[0].any()))


def centred(X: Any, affine: Affine, write: Write) -> CentredOperator:
    """Return X transformed as an operator, with arrays of its own.

    ``write(entries, affine, data, indices)`` writes the entries transformed.
    """
    X = without_duplicates(X)
    entries = Entries(X)
    full = entries.n_stored() == entries.n_rows
    shift = np.empty((1, entries.n_features))
    numpy_engine.write(np.zeros_like(shift), affine, shift)
    matrix = _transformed(X, entries, _shifting(affine, full), write)
    return CentredOperator(matrix, np.where(full, 0.0, shift[0]), full, affine)


def uncentred(operator: CentredOperator, affine: Affine, write: Write) -> Any:
    """Return the sparse matrix that an operator has been made of.

    Raises
    ------
    ValueError
        Another map has made it.
    """
    if not _same(operator.affine.inverse, affine):
        raise ValueError(
            "This linear operator was made with other statistics or parameters: its "
            "inverse transform is not sparse."
        )
    X = operator.matrix
    return _transformed(X, Entries(X), _shifting(affine, operator.full), write)


def _transformed(X: Any, entries: Entries, affine: Affine, write: Write) -> Any:
    transformed = shallow_copy(X)
    transformed.data = np.empty(entries.count)
    transformed.indices = np.empty_like(entries.indices)
    transformed.indptr = entries.indptr.copy()
    write(entries, affine, transformed.data, transformed.indices)
    return transformed


def _shifting(affine: Affine, features: NDArray[np.bool_]) -> Affine:
    """Return the map that shifts these features only."""

    def only(offset: Offset | None) -> Any:
        if offset is None:
            return None
        return tuple(
            None if part is None else np.where(features, part, 0.0) for part in offset
        )

    return replace(affine, center=only(affine.center), shift=only(affine.shift))


def _same(one: Affine, other: Affine) -> bool:
    def parts(affine: Affine) -> list[Any]:
        return [*(affine.center or ()), affine.scale, *(affine.shift or ())]

    ours, theirs = parts(one), parts(other)
    return (
        one.divides == other.divides
        and len(ours) == len(theirs)
        and all(map(_equal, ours, theirs))
    )


def _equal(a: Array | None, b: Array | None) -> bool:
    if a is None or b is None:
        return a is b
    return np.array_equal(a, b, equal_nan=True)
