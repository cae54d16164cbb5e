"""Normalising by plain loops: one read and one write, whatever the steps.

A value becomes ``((x - center) - center_low) / scale + shift_low + shift``, clipped.
The quotient is a product with the reciprocal, corrected by its remainder (Markstein
1990), as right as a division: 256 rows of 64 took 10 us and not 17 (Xeon, family 6,
model 207, 2026-11). With a reciprocal of the scale itself and no remainder the same
steps multiply, for the way back.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skbn.constant_features import is_noise, is_undefined
from skbn.engines.numba.hints import fma, prefetch, wide_vectors
from skbn.engines.numba.jit import inner, jit
from skbn.engines.numba.kernels import SPACING, WIDTH, index

# Rows of the array of parameters, so far apart as those of sums.
N_PARAMETERS = 7
CENTER, CENTER_LOW, FACTOR, SCALE, REMAINDER, SHIFT_LOW, SHIFT = map(
    index, range(0, N_PARAMETERS * SPACING, SPACING)
)

# Wide rows that are prefetched.
AHEAD = 4

for _function in (is_noise, is_undefined):
    inner(_function)


@inner
def map_row(
    x: Any, out: Any, start: int, out_start: int, width: int, lanes: Any, values: Any,
    low: float, high: float,
) -> int:  # fmt: skip
    """Map a wide row, of which ``out`` may be the memory; not zero for an infinity."""
    wide_vectors()
    found, ahead = 0, start + AHEAD * width
    for position in range(ahead, ahead + width, 64 // x.itemsize):
        prefetch(x, position)
    # By way of an array that overlaps with none, or LLVM makes no vectors in place.
    for j in range(index(width)):
        value = float(x[index(start) + j])
        found |= int(abs(value) == math.inf)
        values[j] = (value - lanes[CENTER + j]) - lanes[CENTER_LOW + j]
    for j in range(index(width)):
        value, factor = values[j], lanes[FACTOR + j]
        quotient = value * factor
        rest = fma(-quotient, lanes[SCALE + j], value)
        better = fma(rest, lanes[REMAINDER + j], quotient)
        # Of infinite quotients and scales the rest is NaN.
        value = better if better == better else quotient
        value = value + lanes[SHIFT_LOW + j] + lanes[SHIFT + j]
        value = low if value < low else value
        out[index(out_start) + j] = high if value > high else value
    return found


@jit
def map_rows(
    x: Any, out: Any, stride: int, out_stride: int, n_rows: int, n_features: int,
    apart: int, out_apart: int, side_by_side: int, parameters: Any, low: float,
    high: float,
) -> bool:  # fmt: skip
    """Map rows, or columns one after another; whether there was an infinity.

    Parameters
    ----------
    x, out : ndarray of shape (n,) and (m,), maybe the same memory
    stride, out_stride : int
        Distance of the rows.
    n_features, apart, out_apart : int
        Features that are read together, WIDTH at most, and the distance to the next
        ones.
    side_by_side : int
        Rows to lay side by side; 1 where they are not contiguous.
    parameters : ndarray of shape (N_PARAMETERS, n)
    """
    found, lanes, values = 0, np.empty(N_PARAMETERS * SPACING), np.empty(WIDTH)
    for part in range(-(-parameters.shape[1] // n_features)):
        left = part * n_features
        columns = min(n_features, parameters.shape[1] - left)
        for row in range(N_PARAMETERS):
            for f in range(0, side_by_side * columns, columns):
                for j in range(index(columns)):
                    value = parameters[row, index(left) + j]
                    lanes[index(row * SPACING + f) + j] = value
        for i in range(0, n_rows, side_by_side):
            found |= map_row(
                x, out, part * apart + i * stride, part * out_apart + i * out_stride,
                min(side_by_side, n_rows - i) * columns, lanes, values, low, high,
            )  # fmt: skip
    return found != 0


@jit
def complete(parameters: Any, divides: bool, least: float, largest: float) -> bool:
    """Set the factors to the scales in SCALE; whether all of these can be used.

    Parameters
    ----------
    parameters : ndarray of shape (N_PARAMETERS, n)
    divides : bool
        Whether the map divides by the scale, or multiplies with it.
    least, largest : float
        Bounds of the scales; it may be infinite, too.
    """
    factor, scale, remainder = parameters[2], parameters[3], parameters[4]
    usable = True
    for j in range(index(parameters.shape[1])):
        value = scale[j]
        usable &= least <= abs(value) and (abs(value) <= largest or value - value != 0)
        factor[j] = remainder[j] = 1.0 / value
        if not divides:
            factor[j], scale[j], remainder[j] = value, 1.0 / value, 0.0
    return usable


@jit
def scales(
    mean: Any, variance: Any, n_samples: float, n_rounded: float, constant: Any,
    scale: Any,
) -> None:  # fmt: skip
    """Write which features are constant, and what each is divided by."""
    for j in range(index(len(mean))):
        constant[j] = is_noise(mean[j], variance[j], n_samples, n_rounded)
        one = constant[j] or is_undefined(mean[j], variance[j])
        scale[j] = 1.0 if one else math.sqrt(variance[j])


@jit
def any_infinity(x: Any, stride: int, n_rows: int, width: int) -> bool:
    """Whether rows, so far apart, hold an infinity."""
    found = 0
    for i in range(n_rows):
        for j in range(index(i * stride), index(i * stride + width)):
            found |= int(abs(x[j]) == math.inf)
    return found != 0
