"""Vector steps of the Numba kernels, written as LLVM so that they stay vectors.

LLVM's vectoriser gives up on these loops: several rows and seven arrays of sums need
more checks against overlap than it allows itself. Each intrinsic here works on LANES
values side by side in ROWS rows, its sums in registers, and reads any real dtype as
it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

LANES = 8
ROWS = 4

_F64 = ir.DoubleType()

# How a value of each dtype is loaded: its LLVM type, and what widens it.
_READERS = {
    "f8": (_F64, None),
    "f4": (ir.FloatType(), "fpext"),
    "f2": (ir.HalfType(), "fpext"),
    "b1": (ir.IntType(8), "uitofp"),
    **{f"i{n}": (ir.IntType(8 * n), "sitofp") for n in (1, 2, 4, 8)},
    **{f"u{n}": (ir.IntType(8 * n), "uitofp") for n in (1, 2, 4, 8)},
}


def _markers() -> tuple[dict[np.dtype[Any], NDArray[Any]], dict[Any, str]]:
    """Empty arrays that tell a kernel a dtype by their type.

    Numba has no half precision on processors: complex64, never read, stands for it.
    """
    arrays, kinds = {}, {}
    for kind in _READERS:
        dtype = np.dtype(kind)
        arrays[dtype] = np.empty(0, np.complex64 if kind == "f2" else dtype)
        kinds[_number_type(arrays[dtype].dtype)] = kind
    return arrays, kinds


def _number_type(dtype: np.dtype[Any]) -> Any:
    return types.boolean if dtype.kind == "b" else getattr(types, dtype.name)


MARKERS, _KINDS = _markers()


class _Vector:
    """Emits operations on vectors of doubles."""

    def __init__(self, builder: Any, lanes: int) -> None:
        self.builder, self.lanes = builder, lanes

    def constant(self, value: float) -> Any:
        listed = value if self.lanes == 1 else [value] * self.lanes
        return ir.Constant(self._type(_F64), listed)

    def load(self, address: Any, kind: str = "f8") -> Any:
        element, widen = _READERS[kind]
        value = self.builder.load(self._pointer(address, element), align=int(kind[1:]))
        if widen is None:
            return value
        return getattr(self.builder, widen)(value, self._type(_F64))

    def store(self, value: Any, address: Any, kind: str = "f8") -> Any:
        element, widen = _READERS[kind]
        if widen is not None:
            value = self.builder.fptrunc(value, self._type(element))
        pointer = self._pointer(address, element)
        return self.builder.store(value, pointer, align=int(kind[1:]))

    def two_sum(self, a: Any, b: Any) -> tuple[Any, Any]:
        add, sub = self.builder.fadd, self.builder.fsub
        total = add(a, b)
        seen = sub(total, a)
        return total, add(sub(a, sub(total, seen)), sub(b, seen))

    def grow(self, total: Any, rest: Any, term: Any) -> tuple[Any, Any]:
        """Add a term that is smaller than the total; its lost part to the rest."""
        add, sub = self.builder.fadd, self.builder.fsub
        larger = add(total, term)
        return larger, add(rest, sub(term, sub(larger, total)))

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """``a * b + c``, rounded once; llvmlite's own takes no vectors."""
        kind = self._type(_F64)
        name = "llvm.fma.f64" if self.lanes == 1 else f"llvm.fma.v{self.lanes}f64"
        function = cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(kind, [kind] * 3), name
        )
        return self.builder.call(function, [a, b, c])

    def _type(self, element: Any) -> Any:
        return element if self.lanes == 1 else ir.VectorType(element, self.lanes)

    def _pointer(self, address: Any, element: Any) -> Any:
        return self.builder.inttoptr(address, self._type(element).as_pointer())


def _emit_sums(
    v: _Vector, rows: int, kind: str, missing: bool, weighted: bool, args: Any
) -> None:
    """Add ``rows`` x lanes values to sums of theirs.

    The sums are arrays at a constant distance: centre, sum, what the sum lost,
    squares around the centre, what they lost, count, what it lost. With weights the
    sum is of the distances from the centre.
    """
    x, pitch, sums, gap, w, w_pitch = args
    b = v.builder
    places = [sums]
    for _ in range(6 if missing else 4):
        places.append(b.add(places[-1], gap))
    centre, *state = [v.load(place) for place in places]
    zero, one, squares = v.constant(0.0), v.constant(1.0), []
    for row in range(rows):
        value = v.load(x, kind)
        weight = v.load(w) if weighted else one
        away = b.fsub(value, centre)
        if missing:
            present = b.fcmp_ordered("ord", value, value)
            value = b.select(present, value, zero)
            weight = b.select(present, weight, zero)
            away = b.select(present, away, zero)
        term, square = value, b.fmul(away, away)
        if weighted:
            term, square = b.fmul(away, weight), b.fmul(square, weight)
            state[1] = b.fadd(state[1], v.fma(away, weight, b.fneg(term)))
        state[0], state[1] = v.grow(state[0], state[1], term)
        if missing:
            state[4], state[5] = v.grow(state[4], state[5], weight)
        squares.append(square)
        if row + 1 < rows:
            x, w = b.add(x, pitch), b.add(w, w_pitch)
    while len(squares) > 1:
        squares = [
            b.fadd(p, q) for p, q in zip(squares[::2], squares[1::2], strict=True)
        ]
    state[2], error = v.two_sum(state[2], squares[0])
    state[3] = b.fadd(state[3], error)
    for value, place in zip(state, places[1:], strict=True):
        v.store(value, place)


def _sums_step(rows: int, lanes: int) -> Any:
    @intrinsic
    def step(typingctx, x, pitch, sums, gap, w, w_pitch, marker, missing, weights):
        kind = _KINDS[marker.dtype]
        is_missing = not isinstance(missing, types.NoneType)
        is_weighted = not isinstance(weights, types.NoneType)

        def codegen(context, builder, signature, args):
            v = _Vector(builder, lanes)
            _emit_sums(v, rows, kind, is_missing, is_weighted, args[:6])
            return context.get_dummy_value()

        return types.void(*[types.int64] * 6, marker, missing, weights), codegen

    return step


sum_block = _sums_step(ROWS, LANES)
sum_column = _sums_step(ROWS, 1)
sum_row = _sums_step(1, LANES)
sum_value = _sums_step(1, 1)


@intrinsic
def read(typingctx, address, marker):
    """Read one value as float64."""
    kind = _KINDS[marker.dtype]

    def codegen(context, builder, signature, args):
        return _Vector(builder, 1).load(args[0], kind)

    return types.float64(types.int64, marker), codegen
