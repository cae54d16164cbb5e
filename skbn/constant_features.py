"""Which features count as constant, and what each feature is divided by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# StandardScaler calls a feature constant where var <= n eps var + (n eps mean)**2,
# the error bound of its own sums. Ours have no such error, so that centred output
# is right far beyond it: there n stops counting here. 128 keeps small data alike
# and lets spreads down to 3e-14 of the mean count as such, however long the stream.
MOST_ROUNDED = 128
EPS = 2.0**-52


def scale_of(
    mean: Array, variance: Array, constant: NDArray[np.bool_], epsilon: float
) -> Array:
    """``sqrt(variance + epsilon)``; 1 for constant features and undefined variances.

    Ioffe & Szegedy 2015, algorithm 1. With an ``epsilon``, no feature needs the 1.
    """
    if epsilon:
        return np.sqrt(variance + epsilon)
    scale = np.sqrt(variance)
    scale[constant | (np.isnan(variance) > np.isnan(mean))] = 1.0
    return scale


def constant_features(
    mean: Array, variance: Array, n_samples: Any, *, with_mean: bool
) -> NDArray[np.bool_]:
    """Whether a feature's spread is rounding noise of its mean.

    Parameters
    ----------
    mean, variance : ndarray of shape (n_features,)
    n_samples : number or ndarray of shape (n_features,)
        Rows, or weight, that the variance is of.
    with_mean : bool
        Whether the mean is subtracted before scaling.
    """
    least = np.minimum if isinstance(n_samples, np.ndarray) else min
    n_rounded = least(n_samples, MOST_ROUNDED) if with_mean else n_samples
    with np.errstate(over="ignore", invalid="ignore"):
        rounding = (n_rounded * EPS) * mean
        return variance <= (n_samples * EPS) * variance + rounding * rounding
