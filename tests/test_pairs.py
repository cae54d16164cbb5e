"""Sums, products and quotients of pairs against rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from skbn import pairs

numbers = st.just(0.0) | st.builds(
    lambda digits, sign, power: digits * sign * 2.0**power,
    st.floats(1.0, 2.0),
    st.sampled_from([-1.0, 1.0]),
    st.integers(-150, 150),
)


@st.composite
def pair(draw):
    return pairs.two_sum(draw(numbers), draw(numbers))


def exact(pair):
    return sum(Fraction(float(part)) for part in pair)


def is_normal(pair):
    """Whether the high part is the sum rounded to float64."""
    return pair[0] + pair[1] == pair[0]


@given(numbers, numbers)
def test_two_sum_has_no_error(a, b):
    result = pairs.two_sum(a, b)
    assert exact(result) == Fraction(a) + Fraction(b)
    assert is_normal(result)


@given(numbers, numbers)
def test_quick_two_sum_has_no_error(a, b):
    a, b = sorted((a, b), key=abs, reverse=True)
    assert pairs.quick_two_sum(a, b) == pairs.two_sum(a, b)


@given(numbers)
def test_split_has_no_error_and_short_parts(a):
    high, low = pairs.split(a)
    assert exact((high, low)) == Fraction(a)
    for part in (high, low):
        numerator = abs(part.as_integer_ratio()[0])
        assert (numerator // (numerator & -numerator or 1)).bit_length() <= 26


@given(numbers, numbers)
def test_two_product_has_no_error(a, b):
    assert exact(pairs.two_product(a, b)) == Fraction(a) * Fraction(b)


@given(pair(), pair())
def test_add_and_subtract(a, b):
    reach = abs(exact(a)) + abs(exact(b))
    for result, expected in (
        (pairs.add(a, b), exact(a) + exact(b)),
        (pairs.subtract(a, b), exact(a) - exact(b)),
    ):
        assert abs(exact(result) - expected) <= reach * Fraction(1, 2**100)
        assert is_normal(result)


@given(pair(), pair())
def test_multiply(a, b):
    expected = exact(a) * exact(b)
    result = pairs.multiply(a, b)
    assert abs(exact(result) - expected) <= abs(expected) * Fraction(1, 2**98)
    assert is_normal(result)


@given(pair(), pair())
def test_divide(a, b):
    assume(b[0] != 0)
    expected = exact(a) / exact(b)
    result = pairs.divide(a, b)
    assert abs(exact(result) - expected) <= abs(expected) * Fraction(1, 2**98)
    assert is_normal(result)


@given(pair(), st.integers(1, 2**26 - 1))
def test_divide_by_count(a, count):
    expected = exact(a) / count
    result = pairs.divide_by_count(a, float(count))
    assert abs(exact(result) - expected) <= abs(expected) * Fraction(1, 2**98)


@given(st.lists(pair(), min_size=1, max_size=20))
def test_pair_sum(terms):
    rows = tuple(np.array(part)[:, None] for part in zip(*terms, strict=True))
    expected = sum(map(exact, terms))
    reach = sum(abs(exact(term)) for term in terms)
    high, low = pairs.pair_sum(rows)
    error = abs(exact((high[0], low[0])) - expected)
    assert error <= reach * len(terms) * Fraction(1, 2**100)


@pytest.mark.parametrize(
    "function", [pairs.add, pairs.subtract, pairs.multiply, pairs.divide]
)
@given(st.lists(pair(), min_size=2, max_size=5).filter(lambda p: all(a for a, _ in p)))
def test_arrays_as_numbers(function, terms):
    a = tuple(np.array(part) for part in zip(*terms, strict=True))
    b = tuple(part[::-1].copy() for part in a)
    high, low = function(a, b)
    one_by_one = [function(x, y) for x, y in zip(terms, terms[::-1], strict=True)]
    np.testing.assert_array_equal(np.array(one_by_one).T, [high, low])
