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
MOST_ROUNDED, MOST = 128.0, 2.0**26
EPS = 2.0**-52


def scaling(
    mean: Array, variance: Array, n_samples: Any, *, with_mean: bool, epsilon: float
) -> tuple[NDArray[np.bool_], Array]:
    """Whether each feature is constant, and what it is divided by.

    The latter is ``sqrt(variance + epsilon)`` (Ioffe & Szegedy 2015, algorithm 1), and
    1 for constant features and undefined variances. With an ``epsilon``, no feature
    needs the 1 or counts as constant.

    Parameters
    ----------
    mean, variance : ndarray of shape (n_features,)
    n_samples : number or ndarray of shape (n_features,)
        Rows, or weight, that the variance is of.
    with_mean : bool
        Whether the mean is subtracted before scaling.
    epsilon : float
    """
    if epsilon:
        return np.zeros(len(mean), dtype=bool), np.sqrt(variance + epsilon)
    n, n_rounded = rounding_counts(n_samples, with_mean=with_mean)
    with np.errstate(over="ignore", invalid="ignore"):
        constant = is_noise(mean, variance, n, n_rounded)
    scale = np.sqrt(variance)
    scale[constant | is_undefined(mean, variance)] = 1.0
    return constant, scale


def rounding_counts(n_samples: Any, *, with_mean: bool) -> tuple[Any, Any]:
    """How many values round a variance, and a mean, as far as that counts.

    Weights may be in any unit: less than one value, or more than MOST, is no number of
    values.
    """
    if isinstance(n_samples, np.ndarray):
        each = np.clip(n_samples, 1.0, MOST)
        return each, np.minimum(each, MOST_ROUNDED) if with_mean else each
    n = min(max(float(n_samples), 1.0), MOST)
    return n, min(n, MOST_ROUNDED) if with_mean else n


# Of one feature, or of arrays of them.


def is_noise(mean: Any, variance: Any, n_samples: Any, n_rounded: Any) -> Any:
    """Whether the spread of a feature is rounding noise of its mean."""
    rounding = (n_rounded * EPS) * mean
    bound = (n_samples * EPS) * variance + rounding * rounding
    # Of an overflow nobody knows what is noise.
    return (variance <= bound) & (variance < np.inf)


def is_undefined(mean: Any, variance: Any) -> Any:
    """Whether there is a mean, and too few values for a variance."""
    return (variance != variance) & (mean == mean)
