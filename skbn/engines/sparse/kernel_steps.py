"""Steps of the sums of sparse entries, written as LLVM so that they stay vectors.

The plain sums of a feature, without weights and around zero, are a line of 32 bytes:
the total and the squares, then what the two lost. With weights, or around a centre, it
is a line of 64: total, squares, weight and number, then what the four lost.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from skbn.engines.numba.lanes import KINDS, LANES, Vector

# Entries that are looked at, and added, together.
GROUP = 16
# How far ahead entries are fetched, in bytes: without, groups take half as long again.
AHEAD = 4096
PLAIN_LINE, LINE = 32, 64

_F64, _I32, _I64 = ir.DoubleType(), ir.IntType(32), ir.IntType(64)


@intrinsic
def pointer(typingctx, address):
    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), codegen


@intrinsic
def look(typingctx, x, place, limit, bound, marker, index):
    """How many of GROUP indices are not above the one before.

    Negative where entries must be looked at one by one: an index is out of bounds, or
    a value as large as the bound.
    """
    kind, size = KINDS[marker.dtype], index.dtype.bitwidth // 8

    def codegen(context, builder, signature, args):
        x, place, limit, bound = args[:4]
        v, b, element = Vector(builder, GROUP), builder, ir.IntType(8 * size)
        for address, step in ((x, int(kind[1:])), (place, size)):
            for line in range(0, GROUP * step, 64):
                v.prefetch(_at(b, address, AHEAD + line))
        indices = ir.VectorType(element, GROUP).as_pointer()
        now, before = (
            b.load(b.inttoptr(_at(b, place, offset), indices), align=size)
            for offset in (0, -size)
        )
        limit = v.splat(b.trunc(limit, element) if size < 8 else limit, element)
        values = v.load(x, kind)
        tests = (
            b.icmp_unsigned(">=", now, limit),
            b.fcmp_ordered(">=", values, v.splat(bound)),
            b.fcmp_ordered("<=", values, v.splat(b.fneg(bound))),
        )
        alone = v.mask(reduce(b.or_, tests))
        descents = b.ctpop(v.mask(b.icmp_signed("<=", now, before)))
        return b.select(b.icmp_signed("==", alone, _I64(0)), descents, _I64(-1))

    arguments = *[types.int64] * 3, types.float64, marker, index
    return types.int64(*arguments), codegen


@intrinsic
def add_group(typingctx, x, place, lines, cut, square_cut, marker, index):
    """Add GROUP values, and their squares, to the plain lines of their features.

    What is above the rounding error of a cut is added without an error, the rest next
    to it: Rump, Ogita & Oishi (2008), algorithm 3.2. Returns which values are missing,
    as bits; they are not added.
    """
    kind, size = KINDS[marker.dtype], index.dtype.bitwidth // 8

    def codegen(context, builder, signature, args):
        x, place, lines = args[:3]
        v, b, missing = Vector(builder, LANES), builder, _I64(0)
        cuts = [v.splat(cut) for cut in args[3:5]]
        for first in range(0, GROUP, LANES):
            values = v.load(_at(b, x, first * int(kind[1:])), kind)
            values, its = _present(v, values, kind)
            missing = b.or_(missing, b.shl(its, _I64(first)))
            for i, terms in enumerate(_terms(b, values, *cuts)):
                j = _index(b, _at(b, place, (first + i) * size), size)
                line, its = b.add(lines, b.mul(j, _I64(PLAIN_LINE))), Vector(b, 4)
                its.store(b.fadd(its.load(line), terms), line)
        return missing

    arguments = *[types.int64] * 3, types.float64, types.float64, marker, index
    return types.int64(*arguments), codegen


def _terms(b: Any, values: Any, cut: Any, square_cut: Any) -> list[Any]:
    """What each of LANES values adds to its line."""
    squares, lost = Vector(b, LANES).two_product(values, values)
    high, square_high = (
        b.fsub(b.fadd(terms, its_cut), its_cut)
        for terms, its_cut in ((values, cut), (squares, square_cut))
    )
    rest, square_rest = b.fsub(values, high), b.fadd(b.fsub(squares, square_high), lost)
    lanes = range(0, LANES, 2)
    terms: list[Any] = [None] * LANES
    # Pairs of lanes, then pairs of pairs: what processors can shuffle at once.
    for odd in (0, 1):
        ends = [k for lane in lanes for k in (lane + odd, LANES + lane + odd)]
        above = _shuffle(b, high, square_high, *ends)
        below = _shuffle(b, rest, square_rest, *ends)
        for lane in lanes[::2]:
            pairs = [lane, lane + 1, LANES + lane, LANES + lane + 1]
            two = _shuffle(b, above, below, *pairs, *(k + 2 for k in pairs))
            terms[lane + odd] = _shuffle(b, two, two, 0, 1, 2, 3)
            terms[lane + 2 + odd] = _shuffle(b, two, two, 4, 5, 6, 7)
    return terms


@intrinsic
def add_plain(typingctx, line, value):
    """Add one value to a plain line."""

    def codegen(context, builder, signature, args):
        line, value = args
        v, b = Vector(builder, 2), builder
        square, lost = Vector(b, 1).two_product(value, value)
        high, error = v.two_sum(v.load(line), _vector(b, value, square))
        low = b.fadd(error, _vector(b, _F64(0.0), lost))
        v.store(high, line)
        line = _at(b, line, 16)
        v.store(b.fadd(v.load(line), low), line)
        return context.get_dummy_value()

    return types.void(types.int64, types.float64), codegen


@intrinsic
def add_lanes(typingctx, x, sums, marker):
    """Add GROUP values of one feature to GROUP sums: totals, squares, what they lost.

    Returns how many are missing.
    """
    kind = KINDS[marker.dtype]

    def codegen(context, builder, signature, args):
        v, b = Vector(builder, GROUP), builder
        places = [_at(b, args[1], 8 * GROUP * i) for i in range(4)]
        total, squares, total_lost, squares_lost = [v.load(place) for place in places]
        values, missing = _present(v, v.load(args[0], kind), kind)
        terms, lost = v.two_product(values, values)
        total, error = v.two_sum(total, values)
        total_lost = b.fadd(total_lost, error)
        squares, error = v.two_sum(squares, terms)
        squares_lost = b.fadd(squares_lost, b.fadd(error, lost))
        state = total, squares, total_lost, squares_lost
        for value, place in zip(state, places, strict=True):
            v.store(value, place)
        return b.ctpop(missing)

    return types.int64(types.int64, types.int64, marker), codegen


@intrinsic
def add_value(typingctx, line, value, centre, weight):
    """Add one value to a line, its square around a centre.

    Total, squares, weight and number are one vector. LLVM would not see that.
    """
    weighted = not isinstance(weight, types.NoneType)

    def codegen(context, builder, signature, args):
        line, value, centre, weight = args
        v, b, zero, one = Vector(builder, 4), builder, _F64(0.0), _F64(1.0)
        away, one_lane = b.fsub(value, centre), Vector(b, 1)
        if weighted:
            total, lost = one_lane.two_product(weight, value)
            half, half_lost = one_lane.two_product(weight, away)
            square, square_lost = one_lane.two_product(half, away)
            square_lost = b.fma(half_lost, away, square_lost)
            terms, rests = (total, square, weight, one), (lost, square_lost, zero, zero)
        else:
            square, square_lost = one_lane.two_product(away, away)
            terms, rests = (value, square, one, one), (zero, square_lost, zero, zero)
        high, error = v.two_sum(v.load(line), _vector(b, *terms))
        error = b.fadd(error, _vector(b, *rests))
        v.store(high, line)
        line = _at(b, line, LINE // 2)
        v.store(b.fadd(v.load(line), error), line)
        return context.get_dummy_value()

    return types.void(types.int64, types.float64, types.float64, weight), codegen


@intrinsic
def scale_group(
    typingctx, x, place, scales, low, high, to, marker, index, out, divides
):  # fmt: skip
    """Write the images of LANES values; return which are infinite, as bits.

    Indices must have been looked at. Where ``divides`` is None scales are multiplied.
    """
    kind, size = KINDS[marker.dtype], index.dtype.bitwidth // 8
    divide = not isinstance(divides, types.NoneType)

    def codegen(context, builder, signature, args):
        x, place, scales, low, high, to = args[:6]
        v, b = Vector(builder, LANES), builder
        places = [_index(b, _at(b, place, i * size), size) for i in range(LANES)]
        its = [b.add(scales, b.mul(j, _I64(8))) for j in places]
        its = _vector(b, *(Vector(b, 1).load(address) for address in its))
        values = v.load(x, kind)
        images = (b.fdiv if divide else b.fmul)(values, its)
        for test, end in ("<", v.splat(low)), (">", v.splat(high)):
            images = b.select(b.fcmp_ordered(test, images, end), end, images)
        v.store(images, to, KINDS[out.dtype])
        v.prefetch(_at(b, x, AHEAD))
        v.prefetch(_at(b, place, AHEAD))
        return v.mask(v.is_infinite(values))

    numbers = types.float64, types.float64, types.int64
    arguments = *[types.int64] * 3, *numbers, marker, index, out, divides
    return types.int64(*arguments), codegen


def _index(b: Any, address: Any, size: int) -> Any:
    """Load an index that is not negative."""
    where = b.inttoptr(address, ir.IntType(8 * size).as_pointer())
    j = b.load(where, align=size)
    return j if size == 8 else b.zext(j, _I64)


def _present(v: Vector, values: Any, kind: str) -> tuple[Any, Any]:
    """The values, missing ones zero, and which those are as bits."""
    if kind[0] != "f":
        return values, _I64(0)
    b = v.builder
    missing = b.fcmp_unordered("uno", values, values)
    return b.select(missing, v.constant(0.0), values), v.mask(missing)


def _at(b: Any, address: Any, offset: int) -> Any:
    return b.add(address, _I64(offset))


def _vector(b: Any, *values: Any) -> Any:
    vector = ir.Constant(ir.VectorType(_F64, len(values)), ir.Undefined)
    for i, value in enumerate(values):
        vector = b.insert_element(vector, value, _I32(i))
    return vector


def _shuffle(b: Any, p: Any, q: Any, *places: int) -> Any:
    """Lanes of two vectors, counted through both."""
    kind = ir.VectorType(_I32, len(places))
    return b.shuffle_vector(p, q, ir.Constant(kind, list(places)))
