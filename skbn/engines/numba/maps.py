"""Normalising by Numba: one read and one write, whatever the steps.

A value becomes ``((x - high) - low) / scale + after_low + after``, clipped. The
quotient is a product with the reciprocal, corrected by its remainder (Markstein
1990): as right as a division, and four times as fast. With a reciprocal of the scale
itself and no remainder the same steps multiply, for the way back.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from skbn.engines.numba.lanes import KINDS, LANES, Vector
from skbn.engines.numba.sums import address, jit

# Rows of the array of parameters, one value a lane.
HIGH, LOW, FACTOR, SCALE, REMAINDER, AFTER_LOW, AFTER = range(7)
N_PARAMETERS = 7


def _emit_map(v: Vector, kinds: Any, short: bool, args: Any) -> Any:
    """Map a value a lane; ``found`` is not zero after an infinity."""
    x, out, place, gap, low, high, found = args
    source, target = kinds
    b = v.builder
    rows = [place]
    for _ in range(N_PARAMETERS - 1):
        rows.append(b.add(rows[-1], gap))
    value = v.load(x, source)
    if source[0] == "f":
        found = b.or_(found, v.mask(v.is_infinite(value)))
    image = b.fsub(value, v.load(rows[HIGH]))
    if not short:
        image = b.fsub(image, v.load(rows[LOW]))
    factor = v.load(rows[FACTOR])
    quotient = b.fmul(image, factor)
    if target == "f8":  # the last bit, which float32 has no room for
        rest = v.fma(b.fneg(quotient), v.load(rows[SCALE]), image)
        factor = factor if short else v.load(rows[REMAINDER])
        better = v.fma(rest, factor, quotient)
        # Of infinite quotients and scales the remainder is NaN.
        quotient = b.select(b.fcmp_ordered("ord", rest, rest), better, quotient)
    image = quotient
    if not short:
        image = b.fadd(b.fadd(image, v.load(rows[AFTER_LOW])), v.load(rows[AFTER]))
    low, high = v.splat(low), v.splat(high)
    image = b.select(b.fcmp_ordered("olt", image, low), low, image)
    image = b.select(b.fcmp_ordered("ogt", image, high), high, image)
    v.store(image, out, target)
    return found


def _map_step(lanes: int, *, short: bool = False) -> Any:
    @intrinsic
    def step(typingctx, x, out, place, gap, low, high, found, marker, out_marker):
        kinds = KINDS[marker.dtype], KINDS[out_marker.dtype]
        numbers = (*[types.int64] * 4, types.float64, types.float64, types.int64)

        def codegen(context, builder, signature, args):
            return _emit_map(Vector(builder, lanes), kinds, short, args[:7])

        return types.int64(*numbers, marker, out_marker), codegen

    return step


map_several = _map_step(LANES)
map_several_shortly = _map_step(LANES, short=True)
map_one = _map_step(1)


def _seek_step(lanes: int) -> Any:
    @intrinsic
    def step(typingctx, x, found, marker):
        kind = KINDS[marker.dtype]

        def codegen(context, builder, signature, args):
            v = Vector(builder, lanes)
            infinite = v.mask(v.is_infinite(v.load(args[0], kind)))
            return builder.or_(args[1], infinite)

        return types.int64(types.int64, types.int64, marker), codegen

    return step


seek_row = _seek_step(LANES)
seek_value = _seek_step(1)


@jit
def map_rows(
    x, pitch, size, out, out_pitch, out_size, rows, width, parameters, wide,
    short, low, high, marker, out_marker,
):  # fmt: skip
    """Map a rectangle of rows; whether there was an infinity.

    ``wide`` is 8, the bytes from one lane's parameters to the next one's, or 0 where
    the whole row has those of the first LANES. ``short`` says that there is nothing
    to subtract or add but HIGH, and that the scale divides.
    """
    place, gap = address(parameters), parameters.strides[0]
    main = width - width % LANES
    found = 0
    for i in range(rows):
        here, there = x + i * pitch, out + i * out_pitch
        for j in range(0, main, LANES):
            if short:
                found = map_several_shortly(
                    here + j * size, there + j * out_size, place + j * wide, gap,
                    low, high, found, marker, out_marker,
                )  # fmt: skip
            else:
                found = map_several(
                    here + j * size, there + j * out_size, place + j * wide, gap,
                    low, high, found, marker, out_marker,
                )  # fmt: skip
        for j in range(main, width):
            found = map_one(
                here + j * size, there + j * out_size, place + j * wide, gap,
                low, high, found, marker, out_marker,
            )  # fmt: skip
    return found != 0


@jit
def map_tiled(
    x, pitch, size, out, out_pitch, out_size, rows, width, parameters, short, low, high,
    marker, out_marker,
):  # fmt: skip
    """Map rows, as many side by side as the parameters are for."""
    fold = parameters.shape[1] // width
    main = rows // fold
    found = map_rows(
        x, pitch * fold, size, out, out_pitch * fold, out_size, main, width * fold,
        parameters, 8, short, low, high, marker, out_marker,
    )  # fmt: skip
    rest = main * fold
    return found | map_rows(
        x + rest * pitch, pitch, size, out + rest * out_pitch, out_pitch, out_size,
        rows - rest, width, parameters, 8, short, low, high, marker, out_marker,
    )  # fmt: skip


@jit
def map_array(X, out, parameters, short, low, high, marker, out_marker):
    """Map an array to another, both in C order."""
    return map_tiled(
        address(X), X.strides[0], X.itemsize, address(out), out.strides[0],
        out.itemsize, X.shape[0], X.shape[1], parameters, short, low, high,
        marker, out_marker,
    )  # fmt: skip


@jit
def map_columns(
    x, pitch, size, out, out_pitch, out_size, columns, rows, parameters, short, low, high,
    marker, out_marker,
):  # fmt: skip
    """Map columns, each contiguous; whether there was an infinity.

    ``parameters`` has shape (columns, N_PARAMETERS, LANES).
    """
    found = False
    for j in range(columns):
        found |= map_rows(
            x + j * pitch, 0, size, out + j * out_pitch, 0, out_size, 1, rows,
            parameters[j], 0, short, low, high, marker, out_marker,
        )  # fmt: skip
    return found


@jit
def any_infinity(x, pitch, size, rows, width, marker):
    """Whether an array with contiguous rows holds an infinity."""
    found, main = 0, width - width % LANES
    for i in range(rows):
        row = x + i * pitch
        for j in range(0, main, LANES):
            found = seek_row(row + j * size, found, marker)
        for j in range(main, width):
            found = seek_value(row + j * size, found, marker)
    return found != 0
