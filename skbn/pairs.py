"""Arithmetic on unevaluated sums of two float64: about 32 significant digits.

A *pair* is a tuple ``(high, low)`` whose exact sum is the number meant, with
``high`` that sum rounded to float64. Its members are Python floats or NumPy
arrays; every function here works on both, since it uses operators only.

The building blocks are the error-free transformations of Knuth (two_sum) and of
Dekker and Veltkamp (two_product); see Ogita, Rump & Oishi, "Accurate sum and dot
product", SIAM J. Sci. Comput. 26(6), 2005.
"""

from math import frexp
from typing import Any, TypeAlias

Number: TypeAlias = Any  # float or ndarray: mypy cannot tell operators on them apart
Pair: TypeAlias = tuple[Number, Number]

ZERO: Pair = (0.0, 0.0)
ONE: Pair = (1.0, 0.0)

# Veltkamp's constant: splits 53 bits into two halves whose products are exact.
SPLITTER = 2.0**27 + 1.0


def two_sum(a: Number, b: Number) -> Pair:
    """``a + b`` and its rounding error, for any magnitudes."""
    total = a + b
    b_seen = total - a
    return total, (a - (total - b_seen)) + (b - b_seen)


def quick_two_sum(a: Number, b: Number) -> Pair:
    """``a + b`` and its rounding error where ``abs(a) >= abs(b)``."""
    total = a + b
    return total, b - (total - a)


def split(a: Number) -> Pair:
    """``a`` as the sum of two numbers of at most 26 bits each."""
    scaled = SPLITTER * a
    high = scaled - (scaled - a)
    return high, a - high


def two_product(a: Number, b: Number) -> Pair:
    """``a * b`` and its rounding error."""
    product = a * b
    a_high, a_low = split(a)
    b_high, b_low = split(b)
    error = a_high * b_high - product
    error = ((error + a_high * b_low) + a_low * b_high) + a_low * b_low
    return product, error


def add(a: Pair, b: Pair) -> Pair:
    """Sum of two pairs."""
    total, error = two_sum(a[0], b[0])
    return quick_two_sum(total, error + (a[1] + b[1]))


def subtract(a: Pair, b: Pair) -> Pair:
    """Difference of two pairs."""
    return add(a, (-b[0], -b[1]))


def multiply(a: Pair, b: Pair) -> Pair:
    """Product of two pairs."""
    product, error = two_product(a[0], b[0])
    return quick_two_sum(product, error + (a[0] * b[1] + a[1] * b[0]))


def divide(a: Pair, b: Pair) -> Pair:
    """Quotient of two pairs; ``b`` must not be zero."""
    quotient = a[0] / b[0]
    product, error = two_product(quotient, b[0])
    remainder = ((a[0] - product) - error) + (a[1] - quotient * b[1])
    return quick_two_sum(quotient, remainder / b[0])


def divide_by_count(a: Pair, count: float) -> Pair:
    """Quotient by an integer below 2**26, in two thirds of the operations."""
    quotient = a[0] / count
    if frexp(count)[0] == 0.5:  # a power of two
        return quotient, a[1] / count
    high, low = split(quotient)
    remainder = ((a[0] - high * count) - low * count) + a[1]
    return quick_two_sum(quotient, remainder / count)


def pair_sum(rows: Pair) -> Pair:
    """Sum over the first axis of a pair of arrays, by halves."""
    high, low = rows
    while (count := len(high)) > 1:
        half = count // 2
        odd = (high[-1:], low[-1:])
        high, low = add(
            (high[:half], low[:half]), (high[half : 2 * half], low[half : 2 * half])
        )
        if count % 2:
            high[:1], low[:1] = add((high[:1], low[:1]), odd)
    return high[0], low[0]
