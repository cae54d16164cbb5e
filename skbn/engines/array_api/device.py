"""Statistics and maps by the array API specification alone, on any device."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn import pairs
from skbn._sklearn import get_namespace_and_device, to_numpy
from skbn.affine import Affine
from skbn.engines.base import InfinityInBlockError
from skbn.moments import Moments
from skbn.pairs import Pair

Array = NDArray[np.float64]


def widest(xp: Any, device: Any) -> Any:
    """float64, or float32 where the device has no more."""
    floats = xp.__array_namespace_info__().dtypes(device=device, kind="real floating")
    return floats["float64" if "float64" in floats else "float32"]


def block_moments(X: Any, weights: Array | None) -> Moments:
    """Moments of a block in two passes, in units of the largest value of a feature."""
    xp, _, device = get_namespace_and_device(X)
    wide = Wide(xp, device)
    missing = xp.isnan(X) if xp.isdtype(X.dtype, "real floating") else None
    X = xp.astype(X, wide.dtype)
    if missing is not None:
        X = xp.where(missing, wide.zero, X)
        missing = missing if bool(xp.any(missing)) else None
    max_abs = wide.to_host(xp.max(xp.abs(X), axis=0))
    if np.isinf(max_abs).any():
        raise InfinityInBlockError
    unit = np.frexp(max_abs)[1]
    X = wide.times_power(X, -unit)
    count, weight, of_value = _weights_of(X.shape, missing, weights, wide)
    divisor = np.maximum(count, np.finfo(float).tiny)

    def mean(values: Any) -> Array:
        return wide.sum(values if of_value is None else values * of_value) / divisor

    center = wide.rounded(mean(X))
    deviation = X - wide.asarray(center)
    if missing is not None:
        deviation = xp.where(missing, wide.zero, deviation)
    rest = mean(deviation)
    variance = np.maximum(mean(deviation * deviation) - rest * rest, 0.0)
    high, low = pairs.two_sum(center, rest)
    seen = count > 0
    with np.errstate(over="ignore"):
        values = np.array((np.ldexp(high, unit), np.ldexp(variance, 2 * unit)))
    lows = np.array((np.ldexp(low, unit), np.zeros_like(low)))
    return Moments(weight, (np.where(seen, values, 0.0), np.where(seen, lows, 0.0)))


def _weights_of(
    shape: tuple[int, int], missing: Any, weights: Array | None, wide: Wide
) -> tuple[Array, Pair, Any]:
    """Weight of each feature in a unit that sums well, as it is, and of each value."""
    power, of_value = 0, None
    if weights is not None:
        power = int(np.frexp(weights.max())[1])
        weights = np.ldexp(weights, -power)
        of_value = wide.asarray(weights[:, None])
    if missing is None:
        total = float(shape[0] if weights is None else math.fsum(weights))
        return np.full(shape[1], total), (math.ldexp(total, power), 0.0), of_value
    of_value = wide.one if of_value is None else of_value
    of_value = wide.xp.where(missing, wide.zero, of_value)
    count = wide.sum(of_value)
    return count, (np.ldexp(count, power), np.zeros(shape[1])), of_value


def apply(X: Any, affine: Affine, dtype: Any) -> Any:
    """Return X mapped, computed in the widest floats of its device."""
    xp, _, device = get_namespace_and_device(X)
    wide = Wide(xp, device)
    if xp.isdtype(X.dtype, "real floating") and bool(xp.any(xp.isinf(X))):
        raise InfinityInBlockError
    out = xp.astype(X, wide.dtype)
    for name, values in wide.splitting(affine).steps:
        out = getattr(xp, name)(out, wide.asarray(values))
    if affine.clip is not None:
        low, high = map(wide.asarray, affine.clip)
        # As in NumPy, NaN stays.
        out = xp.where(out < low, low, xp.where(out > high, high, out))
    return xp.astype(out, dtype)


class Wide:
    """The widest floats of a device, their sums, and the way to the host."""

    # Powers of two that keep any float of the kind within its range.
    SAFE = 120

    def __init__(self, xp: Any, device: Any) -> None:
        self.xp, self.device = xp, device
        self.dtype = widest(xp, device)
        self.host = np.dtype(str(self.dtype).rpartition(".")[2])
        self.zero, self.one = self.asarray(0.0), self.asarray(1.0)

    def asarray(self, values: Any) -> Any:
        """Numbers of the host, on the device."""
        # A copy: PyTorch warns of arrays that may not be written to.
        with np.errstate(over="ignore"):
            values = np.array(values, self.host)
        return self.xp.asarray(values, device=self.device)

    def rounded(self, values: Array) -> Array:
        """Numbers as ``asarray`` rounds them."""
        return values.astype(self.host).astype(float)

    def to_host(self, array: Any) -> Array:
        """A few numbers of the device, on the host."""
        return to_numpy(array).astype(float)

    def times_power(self, X: Any, power: NDArray[Any]) -> Any:
        """X times ``2**power``, in two steps where one would leave the range."""
        if np.abs(power).max() > self.SAFE:
            X = X * self.asarray(np.ldexp(1.0, power // 2))
            power = power - power // 2
        return X * self.asarray(np.ldexp(1.0, power))

    def splitting(self, affine: Affine) -> Affine:
        """Return the map with high and low parts split anew where floats are short."""
        return replace(
            affine, center=self._split(affine.center), shift=self._split(affine.shift)
        )

    def _split(self, offset: Any) -> Any:
        if offset is None:
            return None
        high, low = offset[0], 0.0 if offset[1] is None else offset[1]
        rest = (high - self.rounded(high)) + low
        return high, rest if np.any(rest) else None

    def sum(self, values: Any) -> Array:
        """Sums over the rows by halves, compensated where floats are short."""
        odd, low = [], None
        while (count := values.shape[0]) > 8:
            half = count // 2
            if count % 2:
                odd += [values[2 * half :, :]]
                odd += [] if low is None else [low[2 * half :, :]]
            a, b = values[:half, :], values[half : 2 * half, :]
            if self.host == np.float64:
                values = a + b
                continue
            values, error = pairs.two_sum(a, b)
            if low is not None:
                error = (low[:half, :] + low[half : 2 * half, :]) + error
            low = error
        odd += [values] if low is None else [values, low]
        return self.to_host(self.xp.concat(odd, axis=0)).sum(axis=0)
