"""Vectors of the Numba kernels, written as LLVM so that they stay vectors.

LLVM's vectoriser gives up on these loops: several rows and seven arrays of sums need
more checks against overlap than it allows itself. An intrinsic works on LANES values
side by side and reads any real dtype as it is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

LANES = 8
# Rows that are read together; their sums are loaded and stored once.
ROWS = 8

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


# How intrinsics of LLVM call the types.
_MANGLED = {
    "f8": "f64",
    "f4": "f32",
    "f2": "f16",
    "b1": "i8",
    **{f"{sign}{n}": f"i{8 * n}" for sign in "iu" for n in (1, 2, 4, 8)},
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


MARKERS, KINDS = _markers()


class Vector:
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

    def load_first(self, address: Any, kind: str, count: Any) -> Any:
        """Load the first ``count`` values, zero in the other lanes."""
        element, widen = _READERS[kind]
        b, lane = self.builder, ir.IntType(64)
        vector, bits = self._type(element), ir.VectorType(ir.IntType(1), self.lanes)
        places = ir.Constant(ir.VectorType(lane, self.lanes), list(range(self.lanes)))
        mask = b.icmp_signed("<", places, self.splat(count, lane))
        pointer = self._pointer(address, element)
        name = f"llvm.masked.load.v{self.lanes}{_MANGLED[kind]}.p0"
        function = cgutils.get_or_insert_function(
            b.module,
            ir.FunctionType(vector, [pointer.type, ir.IntType(32), bits, vector]),
            name,
        )
        align = ir.Constant(ir.IntType(32), int(kind[1:]))
        value = b.call(function, [pointer, align, mask, ir.Constant(vector, None)])
        if widen is None:
            return value
        return getattr(b, widen)(value, self._type(_F64))

    def prefetch(self, address: Any) -> None:
        """Ask for the cache line at an address, which need not exist."""
        i32, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        function = cgutils.get_or_insert_function(
            self.builder.module,
            ir.FunctionType(ir.VoidType(), [pointer, i32, i32, i32]),
            "llvm.prefetch.p0",
        )
        place = self.builder.inttoptr(address, pointer)
        self.builder.call(function, [place, i32(0), i32(2), i32(1)])

    def store(self, value: Any, address: Any, kind: str = "f8") -> None:
        element, widen = _READERS[kind]
        if widen is not None:
            value = self.builder.fptrunc(value, self._type(element))
        pointer = self._pointer(address, element)
        self.builder.store(value, pointer, align=int(kind[1:]))

    def splat(self, value: Any, element: Any = _F64) -> Any:
        """The value in every lane."""
        if self.lanes == 1:
            return value
        b, vector = self.builder, ir.Constant(self._type(element), ir.Undefined)
        vector = b.insert_element(vector, value, ir.Constant(ir.IntType(32), 0))
        places = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None)
        return b.shuffle_vector(vector, vector, places)

    def is_infinite(self, value: Any) -> Any:
        """Which lanes are infinite, as bits."""
        b = self.builder
        ends = (self.constant(end) for end in (math.inf, -math.inf))
        return b.or_(*(b.fcmp_ordered("oeq", value, end) for end in ends))

    def mask(self, bits: Any) -> Any:
        """Bits of the lanes as an integer."""
        b = self.builder
        if self.lanes > 1:
            bits = b.bitcast(bits, ir.IntType(self.lanes))
        return b.zext(bits, ir.IntType(64))

    def two_sum(self, a: Any, b: Any) -> tuple[Any, Any]:
        """``a + b`` and its rounding error, for any magnitudes."""
        add, sub = self.builder.fadd, self.builder.fsub
        total = add(a, b)
        seen = sub(total, a)
        return total, add(sub(a, sub(total, seen)), sub(b, seen))

    def two_product(self, a: Any, b: Any) -> tuple[Any, Any]:
        """``a * b`` and its rounding error."""
        product = self.builder.fmul(a, b)
        return product, self.fma(a, b, self.builder.fneg(product))

    def grow(self, total: Any, rest: Any, term: Any, one: Any) -> tuple[Any, Any]:
        """Add a term that is smaller than the total; its lost part to the rest.

        Half the additions are written as products with a one that LLVM cannot see
        through: AMD's processors multiply and add beside the units that only add.
        """
        b = self.builder
        larger = b.fadd(total, term)
        lost = self.fma(b.fneg(b.fsub(larger, total)), one, term)
        return larger, self.fma(lost, one, rest)

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


@intrinsic
def read(typingctx, address, marker):
    """Read one value as float64."""
    kind = KINDS[marker.dtype]

    def codegen(context, builder, signature, args):
        return Vector(builder, 1).load(args[0], kind)

    return types.float64(types.int64, marker), codegen
