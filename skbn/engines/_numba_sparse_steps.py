"""Steps of the sums of sparse entries, written as LLVM so that they stay vectors.

The plain sums of a feature, without weights and around zero, are a line of 32 bytes:
the total and the squares, then what the two lost. With weights, or around a centre, it
is a line of 64: total, squares, weight and number, then what the four lost.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from skbn.engines._numba_lanes import KINDS, Vector

# Entries that are looked at, and added, together.
GROUP = 16
# How far ahead entries are fetched, in bytes: without, groups take half as long again.
AHEAD = 2048
PLAIN_LINE, LINE = 32, 64

_F64, _I32, _I64 = ir.DoubleType(), ir.IntType(32), ir.IntType(64)


@intrinsic
def pointer(typingctx, address):
    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), codegen


@intrinsic
def look(typingctx, x, place, limit, marker, index):
    """How many of GROUP indices are not above the one before.

    Negative where entries must be looked at one by one: an index is out of bounds, a
    value missing, or two that would be added together are of one feature.
    """
    kind, size = KINDS[marker.dtype], index.dtype.bitwidth // 8

    def codegen(context, builder, signature, args):
        x, place, limit = args[:3]
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
        alone = v.mask(b.icmp_unsigned(">=", now, limit))
        equal = v.mask(b.icmp_signed("==", now, before))
        alone = b.or_(alone, b.and_(equal, _I64(sum(1 << i for i in _ODD))))
        if kind[0] == "f":
            values = v.load(x, kind)
            missing = v.mask(b.fcmp_unordered("uno", values, values))
            alone = b.or_(alone, missing)
        descents = b.ctpop(v.mask(b.icmp_signed("<=", now, before)))
        return b.select(b.icmp_signed("==", alone, _I64(0)), descents, _I64(-1))

    return types.int64(*[types.int64] * 3, marker, index), codegen


_ODD = range(1, GROUP, 2)


@intrinsic
def add_group(typingctx, x, place, lines, counts, marker, index):
    """Add GROUP values to the plain lines, and to the counts, of their features.

    Two at a time, of different features, in one vector: half the work of one at a
    time.
    """
    kind, size = KINDS[marker.dtype], index.dtype.bitwidth // 8

    def codegen(context, builder, signature, args):
        x, place, lines, counts = args[:4]
        v, b = Vector(builder, 2), builder
        for i in range(0, GROUP, 2):
            pair = []
            for k in (i, i + 1):
                where = b.inttoptr(
                    _at(b, place, k * size), ir.IntType(8 * size).as_pointer()
                )
                j = b.load(where, align=size)
                pair.append(j if size == 8 else b.zext(j, _I64))
            values = v.load(_at(b, x, i * int(kind[1:])), kind)
            _add_two(
                b, values, [b.add(lines, b.mul(j, _I64(PLAIN_LINE))) for j in pair]
            )
            for j in pair:
                its = b.inttoptr(b.add(counts, b.mul(j, _I64(4))), _I32.as_pointer())
                b.store(b.add(b.load(its, align=4), _I32(1)), its, align=4)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4, marker, index), codegen


def _add_two(b: Any, values: Any, lines: Any) -> None:
    """Add two values to two plain lines, side by side."""
    v, ones = Vector(b, 2), Vector(b, 2).constant(1.0)
    terms, lost = _product(
        b,
        _shuffle(b, values, values, 0, 0, 1, 1),
        _shuffle(b, values, ones, 2, 0, 2, 1),
    )
    high, low = (
        _shuffle(b, *(v.load(_at(b, line, offset)) for line in lines), 0, 1, 2, 3)
        for offset in (0, 16)
    )
    high, error = _two_sum(b, high, terms)
    low = b.fadd(low, b.fadd(error, lost))
    for offset, sums in ((0, high), (16, low)):
        for i, line in enumerate(lines):
            v.store(_shuffle(b, sums, sums, 2 * i, 2 * i + 1), _at(b, line, offset))


@intrinsic
def add_plain(typingctx, line, value):
    """Add one value to a plain line."""

    def codegen(context, builder, signature, args):
        line, value = args
        v, b = Vector(builder, 2), builder
        square, lost = _product(b, value, value)
        high, error = _two_sum(b, v.load(line), _vector(b, value, square))
        low = b.fadd(error, _vector(b, _F64(0.0), lost))
        v.store(high, line)
        line = _at(b, line, 16)
        v.store(b.fadd(v.load(line), low), line)
        return context.get_dummy_value()

    return types.void(types.int64, types.float64), codegen


@intrinsic
def add_lanes(typingctx, x, sums, marker):
    """Add GROUP values of one feature to GROUP sums: totals, squares, what they lost."""
    kind = KINDS[marker.dtype]

    def codegen(context, builder, signature, args):
        v, b = Vector(builder, GROUP), builder
        places = [_at(b, args[1], 8 * GROUP * i) for i in range(4)]
        total, squares, total_lost, squares_lost = [v.load(place) for place in places]
        values = v.load(args[0], kind)
        terms, lost = _product(b, values, values)
        total, error = _two_sum(b, total, values)
        total_lost = b.fadd(total_lost, error)
        squares, error = _two_sum(b, squares, terms)
        squares_lost = b.fadd(squares_lost, b.fadd(error, lost))
        state = total, squares, total_lost, squares_lost
        for value, place in zip(state, places, strict=True):
            v.store(value, place)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, marker), codegen


@intrinsic
def add_value(typingctx, line, value, centre, weight):
    """Add one value to a line, its square around a centre.

    Total, squares, weight and number are one vector. LLVM would not see that.
    """
    weighted = not isinstance(weight, types.NoneType)

    def codegen(context, builder, signature, args):
        line, value, centre, weight = args
        v, b, zero, one = Vector(builder, 4), builder, _F64(0.0), _F64(1.0)
        away = b.fsub(value, centre)
        if weighted:
            total, lost = _product(b, weight, value)
            half, half_lost = _product(b, weight, away)
            square, square_lost = _product(b, half, away)
            square_lost = b.fma(half_lost, away, square_lost)
            terms, rests = (total, square, weight, one), (lost, square_lost, zero, zero)
        else:
            square, square_lost = _product(b, away, away)
            terms, rests = (value, square, one, one), (zero, square_lost, zero, zero)
        high, error = _two_sum(b, v.load(line), _vector(b, *terms))
        error = b.fadd(error, _vector(b, *rests))
        v.store(high, line)
        line = _at(b, line, LINE // 2)
        v.store(b.fadd(v.load(line), error), line)
        return context.get_dummy_value()

    return types.void(types.int64, types.float64, types.float64, weight), codegen


def _at(b: Any, address: Any, offset: int) -> Any:
    return b.add(address, _I64(offset))


def _product(b: Any, p: Any, q: Any) -> tuple[Any, Any]:
    product = b.fmul(p, q)
    lanes = getattr(p.type, "count", 1)
    return product, Vector(b, lanes).fma(p, q, b.fneg(product))


def _two_sum(b: Any, p: Any, q: Any) -> tuple[Any, Any]:
    total = b.fadd(p, q)
    seen = b.fsub(total, p)
    return total, b.fadd(b.fsub(p, b.fsub(total, seen)), b.fsub(q, seen))


def _vector(b: Any, *values: Any) -> Any:
    vector = ir.Constant(ir.VectorType(_F64, len(values)), ir.Undefined)
    for i, value in enumerate(values):
        vector = b.insert_element(vector, value, _I32(i))
    return vector


def _shuffle(b: Any, p: Any, q: Any, *places: int) -> Any:
    """Lanes of two vectors, counted through both."""
    kind = ir.VectorType(_I32, len(places))
    return b.shuffle_vector(p, q, ir.Constant(kind, list(places)))
