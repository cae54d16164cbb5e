"""Steps of the sums: several rows of LANES values at a time, sums in registers."""

from __future__ import annotations

from functools import partial
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from skbn.engines.numba.lanes import KINDS, LANES, ROWS, Vector


def _emit_sums(
    v: Vector, rows: int, kind: str, missing: bool, weighing: str, args: Any
) -> None:
    """Add ``rows`` x lanes values to sums of theirs.

    The sums are arrays at a constant distance: centre, one, sum, what the sum lost,
    squares around the centre, what they lost, count, what it lost. With weights the
    sum is of the distances from the centre.
    """
    x, pitch, sums, gap, w, w_pitch, count = args
    b = v.builder
    places = [sums]
    for _ in range(7 if missing else 5):
        places.append(b.add(places[-1], gap))
    centre, one, *state = [v.load(place) for place in places]
    zero, ahead, squares = v.constant(0.0), ir.Constant(pitch.type, rows), None
    for row in range(rows):
        value = v.load(x, kind) if count is None else v.load_first(x, kind, count)
        if rows > 1:
            v.prefetch(b.add(x, b.mul(pitch, ahead)))
        weight = _weight(v, w, weighing, count) or one
        away = b.fsub(value, centre)
        if missing:
            present = b.fcmp_ordered("ord", value, value)
            value = b.select(present, value, zero)
            weight = b.select(present, weight, zero)
            away = b.select(present, away, zero)
        term, factor = value, away
        if weighing != "none":
            term = factor = b.fmul(away, weight)
            state[1] = b.fadd(state[1], v.fma(away, weight, b.fneg(term)))
        state[0], state[1] = v.grow(state[0], state[1], term, one)
        if missing:
            state[4], state[5] = v.grow(state[4], state[5], weight, one)
        squares = v.fma(factor, away, squares) if squares else b.fmul(factor, away)
        if row + 1 < rows:
            x, w = b.add(x, pitch), b.add(w, w_pitch)
    state[2], state[3] = v.grow(state[2], state[3], squares, one)
    for value, place in zip(state, places[2:], strict=True):
        v.store(value, place)


def _weight(v: Vector, address: Any, weighing: str, count: Any) -> Any:
    if weighing == "rows":  # one for all values of a row
        return v.splat(Vector(v.builder, 1).load(address))
    if weighing == "values":
        load = v.load if count is None else partial(v.load_first, count=count)
        return load(address, kind="f8")
    return None


def _weighing(weights: Any) -> str:
    """What the type of ``weights`` says: one row of weights, for rows; see add_rows."""
    if isinstance(weights, types.NoneType):
        return "none"
    return "rows" if weights.ndim == 2 else "values"


def _sums_step(rows: int, *, part: bool = False) -> Any:
    @intrinsic
    def step(
        typingctx, x, pitch, sums, gap, w, w_pitch, count, marker, missing, weights
    ):
        kind = KINDS[marker.dtype]
        is_missing = not isinstance(missing, types.NoneType)
        weighing = _weighing(weights)

        def codegen(context, builder, signature, args):
            places = *args[:6], (args[6] if part else None)
            v = Vector(builder, LANES)
            _emit_sums(v, rows, kind, is_missing, weighing, places)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7, marker, missing, weights), codegen

    return step


sum_block = _sums_step(ROWS)
sum_row = _sums_step(1)
# The same for fewer values than LANES, at the end of a row.
sum_block_end = _sums_step(ROWS, part=True)
sum_row_end = _sums_step(1, part=True)


@intrinsic
def sample_step(typingctx, x, guess, gap, count, share, marker):
    """Add ``count`` values to mean, square, largest and number of samples."""
    kind = KINDS[marker.dtype]

    def codegen(context, builder, signature, args):
        v, b = Vector(builder, LANES), builder
        places = [args[1]]
        for _ in range(3):
            places.append(b.add(places[-1], args[2]))
        mean, square, reach, number = [v.load(place) for place in places]
        value = v.load_first(args[0], kind, args[3])
        part, zero = v.splat(args[4]), v.constant(0.0)
        finite = b.fcmp_ordered("oeq", b.fsub(value, value), zero)
        value = b.select(finite, value, zero)
        size = b.select(b.fcmp_ordered("olt", value, zero), b.fneg(value), value)
        scaled = b.fmul(value, part)
        mean, square = b.fadd(mean, scaled), v.fma(scaled, value, square)
        reach = b.select(b.fcmp_ordered("ogt", size, reach), size, reach)
        number = b.fadd(number, b.select(finite, v.constant(1.0), zero))
        for state, place in zip((mean, square, reach, number), places, strict=True):
            v.store(state, place)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4, types.float64, marker), codegen
