"""From the sums of lanes to the moments of features, LANES features at a time."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from skbn.engines.numba.lanes import LANES, Vector

# Rows of the array of a feature's sums, each a pair.
N_FEATURE_ROWS = 6


class _Pairs(Vector):
    """Arithmetic on pairs of vectors; see ``skbn.pairs``."""

    def renewed(self, high: Any, low: Any) -> tuple[Any, Any]:
        """The same pair, its high part rounded; ``low`` is the smaller."""
        sub = self.builder.fsub
        total = self.builder.fadd(high, low)
        return total, sub(low, sub(total, high))

    def add(self, a: Any, b: Any) -> tuple[Any, Any]:
        total, error = self.two_sum(a[0], b[0])
        add = self.builder.fadd
        return self.renewed(total, add(error, add(a[1], b[1])))

    def negative(self, a: Any) -> tuple[Any, Any]:
        return self.builder.fneg(a[0]), self.builder.fneg(a[1])

    def square(self, a: Any) -> tuple[Any, Any]:
        b = self.builder
        product, error = self.two_product(a[0], a[0])
        twice = b.fadd(a[0], a[0])
        return self.renewed(product, self.fma(twice, a[1], error))

    def divide(self, a: Any, c: Any) -> tuple[Any, Any]:
        b = self.builder
        quotient = b.fdiv(a[0], c[0])
        minus = b.fneg(quotient)
        rest = b.fadd(self.fma(minus, c[0], a[0]), self.fma(minus, c[1], a[1]))
        return self.renewed(quotient, b.fdiv(rest, c[0]))


def _rows(v: Vector, place: Any, gap: Any, n: int) -> list[Any]:
    """Addresses of n rows at a constant distance."""
    places = [place]
    for _ in range(n - 1):
        places.append(v.builder.add(places[-1], gap))
    return places


@intrinsic
def fold_step(typingctx, sums, gap, cut, features, feature_gap, count_cut):
    """Add the sums of some lanes to those of their features.

    The lanes lie as ``skbn.engines.numba.steps`` has them. The features' rows are
    pairs: sum, squares around the centre, weight.
    """

    def codegen(context, builder, signature, args):
        v, b = _Pairs(builder, LANES), builder
        _, _, *rows = _rows(v, args[0], args[1], N_FEATURE_ROWS + 2)
        lanes = [v.load(row) for row in rows]
        cuts = [v.load(args[2]), None, v.splat(args[5])]
        places = _rows(v, args[3], args[4], N_FEATURE_ROWS)
        for i in range(0, N_FEATURE_ROWS, 2):
            high = b.fsub(lanes[i], cuts[i // 2]) if cuts[i // 2] else lanes[i]
            part = v.two_sum(high, lanes[i + 1])
            before = v.load(places[i]), v.load(places[i + 1])
            for value, place in zip(v.add(before, part), places[i:], strict=False):
                v.store(value, place)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5, types.float64), codegen


@intrinsic
def add_step(typingctx, features, gap, others):
    """Add the sums of features to those of others, LANES of each."""

    def codegen(context, builder, signature, args):
        v = _Pairs(builder, LANES)
        places, theirs = (
            _rows(v, place, args[1], N_FEATURE_ROWS) for place in (args[0], args[2])
        )
        for i in range(0, N_FEATURE_ROWS, 2):
            a, b = (
                [v.load(row) for row in rows[i : i + 2]] for rows in (places, theirs)
            )
            for value, place in zip(v.add(a, b), places[i:], strict=False):
                v.store(value, place)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), codegen


@intrinsic
def finish_step(typingctx, features, gap, centre, out, out_gap, weights):
    """Write weight, mean and variance of LANES features, high parts and then low."""
    is_weighted = not isinstance(weights, types.NoneType)

    def codegen(context, builder, signature, args):
        v, b = _Pairs(builder, LANES), builder
        rows = [v.load(row) for row in _rows(v, args[0], args[1], N_FEATURE_ROWS)]
        total, squares, weight = rows[:2], rows[2:4], rows[4:]
        zero = v.constant(0.0)
        centre = v.load(args[2]), zero
        mean = offset = v.divide(total, weight)
        if is_weighted:
            mean = v.add(mean, centre)
        else:
            offset = v.add(mean, v.negative(centre))
        squares = v.divide(squares, weight)
        variance = v.add(squares, v.negative(v.square(offset)))
        some = b.fcmp_ordered("ogt", weight[0], zero)
        spread = b.and_(some, b.fcmp_ordered("ogt", variance[0], zero))
        places = _rows(v, args[3], args[4], N_FEATURE_ROWS)
        for number, (pair, known) in enumerate(
            ((weight, some), (mean, some), (variance, spread))
        ):
            for part in range(2):
                value = b.select(known, pair[part], zero)
                v.store(value, places[3 * part + number])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5, weights), codegen
