"""What sparse data are refused, and why."""

from __future__ import annotations

from copy import copy as shallow_copy
from typing import Any

import numpy as np
from scipy.sparse import csc_array, csc_matrix, csr_array, csr_matrix, issparse
from scipy.sparse.linalg import LinearOperator

from skbn._sklearn import check_n_features, output_is_a_frame
from skbn.affine import Affine
from skbn.checks import check_data, is_plain, narrowed
from skbn.engines.sparse.linear_operator import CentredOperator, has_shift

CENTRE = (
    "Cannot center sparse matrices: pass `with_mean=False` instead. See docstring for "
    "motivation and alternatives. With `sparse_output='linear_operator'` the zeros "
    "need not be stored."
)
PLAIN_TYPES = frozenset({csr_array, csr_matrix, csc_array, csc_matrix})
UNCENTRE = CENTRE.replace("center", "uncenter")


def check(estimator: Any, X: Any, *, reset: bool, names: bool = True) -> Any:
    """Return X as CSR or CSC of real numbers, checked as StandardScaler does.

    Raises
    ------
    ValueError
        Wrong in shape or type, or to be centred and returned as a matrix.
    TypeError
        A linear operator that is not to be mapped back, or not ours.
    """
    if isinstance(X, LinearOperator):
        if names or not isinstance(X, CentredOperator):
            raise TypeError(
                "A linear operator has no entries to read: fit and transform take "
                "arrays and sparse matrices, and inverse_transform what transform has "
                "returned."
            )
        check_n_features(estimator, X, reset=False)
        return X
    needs_names = reset or (names and hasattr(estimator, "feature_names_in_"))
    if needs_names or not is_plain(X, estimator.n_features_in_, PLAIN_TYPES):
        formats = ("csr", "csc")
        X = check_data(estimator, X, reset=reset, names=names, accept_sparse=formats)
    if estimator.with_mean and estimator.sparse_output == "matrix":
        raise ValueError(CENTRE if names else UNCENTRE)
    return _in_native_order(X)


def check_map(estimator: Any, X: Any, affine: Affine) -> None:
    """Raise a ValueError where X mapped cannot be what was asked for."""
    clip, forward = affine.clip, affine.divides
    if not issparse(X):
        return
    if not has_shift(affine):
        if clip is not None and not clip[0] <= 0 <= clip[1]:
            raise ValueError(
                f"clip={clip} would make numbers of the zeros of a sparse matrix: pass "
                "bounds with 0 between them."
            )
    elif estimator.sparse_output == "matrix":
        raise ValueError(
            "beta would make numbers of the zeros of a sparse matrix: pass "
            "`beta=None`, or `sparse_output='linear_operator'`."
        )
    elif clip is not None:
        raise ValueError(
            "A linear operator cannot be clipped: pass `clip=None`, or "
            "`with_mean=False` and `beta=None`."
        )
    elif forward and output_is_a_frame(estimator):
        raise ValueError(
            "The transformer outputs a linear operator, which no data frame holds: "
            "call set_output(transform='default')."
        )


def _in_native_order(X: Any) -> Any:
    """X, or a copy if its numbers are not of a dtype that SciPy adds up, and we do."""
    data = X.data if X.data.dtype.kind in "iub" else narrowed(X.data)
    dtype = data.dtype.newbyteorder("=")
    if dtype == np.float16:
        dtype = np.dtype(np.float32)
    data = data.astype(dtype, copy=False)
    if data is X.data:
        return X
    twin = shallow_copy(X)
    twin.data = data
    return twin
