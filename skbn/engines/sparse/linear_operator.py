"""Sparse data with a shift: a linear operator, so that no zero need be stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from skbn.affine import Affine, Offset
from skbn.engines import numpy as numpy_engine
from skbn.engines.sparse.entries import Entries, without_duplicates

Array = NDArray[np.float64]
Transform = Callable[[Any, Affine], Any]


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


def centred(X: Any, affine: Affine, transform: Transform) -> CentredOperator:
    """Return X transformed as an operator, with arrays of its own.

    ``transform(X, affine)`` is a float64 matrix of the entries transformed.
    """
    X = without_duplicates(X)
    entries = Entries(X)
    full = entries.n_stored() == entries.n_rows
    shift = np.empty((1, entries.n_features))
    numpy_engine.write(np.zeros_like(shift), affine, shift)
    matrix = transform(X, _shifting(affine, full))
    return CentredOperator(matrix, np.where(full, 0.0, shift[0]), full, affine)


def uncentred(operator: CentredOperator, affine: Affine, transform: Transform) -> Any:
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
    return transform(operator.matrix, _shifting(affine, operator.full))


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
    def agree(step: tuple[str, Array], its: tuple[str, Array]) -> bool:
        return step[0] == its[0] and np.array_equal(step[1], its[1], equal_nan=True)

    return len(one.steps) == len(other.steps) and all(
        map(agree, one.steps, other.steps)
    )
