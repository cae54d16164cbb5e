"""From statistics and parameters to the map that normalises, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# The low part is None where it is zero for every feature.
Offset = tuple[Array, Array | None]

# StandardScaler calls a feature constant where var <= n eps var + (n eps mean)**2,
# the error bound of its own sums. Ours have no such error, so that centred output
# is right far beyond it: there n stops counting here. 128 keeps small data alike
# and lets spreads down to 3e-14 of the mean count as such, however long the stream.
LONGEST_BOUND = 128


@dataclass(frozen=True, eq=False)
class Affine:
    """``(x - before) / scale + after``, then clipped; or times the scale.

    Attributes
    ----------
    before, after : tuple of ndarray of shape (n_features,), or None
        High and low part of what is subtracted first and added last.
    scale : ndarray of shape (n_features,) or None
    divides : bool
        Whether to divide by the scale, or to multiply with it.
    clip : tuple of float or None
    memo : dict
        What others derived from this map, and want again.
    """

    before: Offset | None = None
    scale: Array | None = None
    divides: bool = True
    after: Offset | None = None
    clip: tuple[float, float] | None = None
    memo: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    _tiled: dict[int, Affine] = field(default_factory=dict, init=False, repr=False)

    def inverse(self) -> Affine:
        """Return the map back; what was clipped stays so."""
        if "inverse" not in self.memo:
            self.memo["inverse"] = replace(
                self,
                before=self.after,
                after=self.before,
                divides=not self.divides,
                clip=None,
            )
        return self.memo["inverse"]

    def tiled(self, times: int) -> Affine:
        """Return the map for rows laid side by side; the last one is kept."""
        if times not in self._tiled:
            self._tiled.clear()
            self._tiled[times] = self._each(lambda values: np.tile(values, times))
        return self._tiled[times]

    def columns(self, part: slice) -> Affine:
        """Return the map of some features."""
        return self._each(lambda values: values[part])

    def _each(self, function: Callable[[Array], Array]) -> Affine:

        def apply(values: Any) -> Any:
            if isinstance(values, tuple):
                return tuple(apply(part) for part in values)
            return None if values is None else function(values)

        return replace(
            self,
            before=apply(self.before),
            scale=apply(self.scale),
            after=apply(self.after),
        )


def scale_of(
    mean: Array, variance: Array, n_samples: Any, epsilon: float, *, centred: bool
) -> Array:
    """``sqrt(variance + epsilon)``; 1 for constant features and undefined variances.

    Ioffe & Szegedy 2015, algorithm 1. A feature that is constant, within rounding,
    is told by ``constant_features`` and only where ``epsilon`` is zero.
    """
    if epsilon > 0:
        return np.sqrt(variance + epsilon)
    scale = np.sqrt(variance)
    constant = constant_features(mean, variance, n_samples, centred=centred)
    scale[constant | (np.isnan(variance) & ~np.isnan(mean))] = 1.0
    return scale


def constant_features(
    mean: Array, variance: Array, n_samples: Any, *, centred: bool
) -> NDArray[np.bool_]:
    """Whether a feature's spread is rounding noise of its mean.

    Parameters
    ----------
    mean, variance : ndarray of shape (n_features,)
    n_samples : number or ndarray of shape (n_features,)
        Rows, or weight, that the variance is of.
    centred : bool
        Whether the mean is subtracted before scaling.
    """
    eps = np.finfo(np.float64).eps
    reach = np.minimum(n_samples, LONGEST_BOUND) if centred else n_samples
    with np.errstate(over="ignore", invalid="ignore"):
        bound = n_samples * eps * variance + (reach * mean * eps) ** 2
        return variance <= bound


def affine(
    mean: tuple[Array, Array] | None,
    scale: Array | None,
    gamma: Array | None = None,
    beta: Array | None = None,
    clip: tuple[float, float] | None = None,
) -> Affine:
    """Return the map ``gamma (x - mean) / scale + beta``, clipped.

    All arrays have shape (n_features,); None leaves a step out.
    """
    before: Offset | None = None
    if mean is not None:
        before = mean[0], _shown(mean[1], scale)
    if gamma is not None:
        with np.errstate(divide="ignore"):
            scale = (1.0 if scale is None else scale) / gamma
    after = None if beta is None else (beta, None)
    return Affine(before=before, scale=scale, after=after, clip=clip)


def _shown(low: Array, scale: Array | None) -> Array | None:
    """The low part of the mean where it reaches the digits of what is scaled.

    Feature by feature: the image of one does not depend on the others.
    """
    least = 0.0 if scale is None else 2.0**-55 * scale
    shows = np.abs(low) > least
    return np.where(shows, low, 0.0) if shows.any() else None
