"""What every export says of a fitted transformer: its map, and the names in errors."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from skbn.affine import Affine
from skbn.moments import Moments
from skbn.running import Running
from skbn.transformer import BatchNormTransformer

Array = NDArray[np.float64]


class Statistics(NamedTuple):
    """What a transformer has learnt, arrays of shape (n_features,)."""

    mean: Array
    mean_low: Array  # digits that the mean has beyond float64
    variance: Array
    scale: Array  # 1 where constant
    constant: NDArray[np.bool_]
    n_samples: int | float | NDArray[Any]  # one number, or one a feature


def map_of(transformer: Any) -> Affine:
    """Return the map of ``transform``, which every export spells in its language.

    Raises
    ------
    TypeError
        Not a BatchNormTransformer.
    NotFittedError
    """
    if not isinstance(transformer, BatchNormTransformer):
        raise TypeError(
            f"Expected a BatchNormTransformer, got a {type(transformer).__name__}."
        )
    check_is_fitted(transformer)
    return transformer._current_map()


def name_of(transformer: BatchNormTransformer, feature: int) -> str:
    """Return what an error calls a feature: its name where it has one."""
    names = getattr(transformer, "feature_names_in_", None)
    return str(feature) if names is None else repr(names[feature])


def statistics_of(transformer: BatchNormTransformer) -> Statistics:
    """Return what a fitted transformer has learnt, whatever its map makes of it."""
    view = transformer._view()
    (mean, mean_low), variance = view.statistics
    constant, scale = view.scaling
    return Statistics(mean, mean_low, variance, scale, constant, view.running.n_samples)


def restored(
    transformer: BatchNormTransformer, mean: Array, variance: Array, n_batches: int
) -> BatchNormTransformer:
    """Return a transformer with a ``momentum``, fitted: this is all that it has seen.

    Parameters
    ----------
    transformer : BatchNormTransformer
        Not fitted; it is changed.
    mean, variance : ndarray of shape (n_features,), float64

    Raises
    ------
    ValueError
        A statistic is not finite, or a variance negative.
    """
    known = np.isfinite(mean) & np.isfinite(variance) & (variance >= 0)
    if not known.all():
        feature = int(np.argmin(known))
        raise ValueError(
            f"Feature {feature} has the mean {mean[feature]} and the variance "
            f"{variance[feature]}: there are no such statistics."
        )
    momentum, steps = float(transformer.momentum or 1), 1.0
    if momentum < 1:
        # After so many batches nothing is left of mean 0 and variance 1.
        steps = float(math.ceil(-1100 * math.log(2) / math.log1p(-momentum)))
    values = np.stack((mean, variance))
    moments = Moments((1.0, 0.0), (values, np.zeros_like(values)))
    asked = transformer._checked_averaging()
    transformer.n_features_in_ = len(mean)
    transformer._running = Running(asked, moments, steps, n_batches=n_batches)
    return transformer
