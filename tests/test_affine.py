"""From statistics to a map, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skbn.affine import affine
from skbn.engines import numpy as numpy_engine

finite = st.floats(-1e6, 1e6)


def apply(map_, X):
    out = np.empty_like(X)
    numpy_engine.write(X, map_, out, n_threads=1)
    return out


def numbers(n, elements=finite):
    return st.lists(elements, min_size=n, max_size=n).map(np.array)


@st.composite
def maps(draw, n=3):
    optional = st.none() | numbers(n)
    mean = draw(st.none() | numbers(n))
    scale = draw(st.none() | numbers(n, st.floats(1e-3, 1e3)))
    gamma = draw(st.none() | numbers(n, st.floats(0.01, 10.0)))
    return (None if mean is None else (mean, np.zeros(n))), scale, gamma, draw(optional)


@given(maps(), numbers(6).map(lambda X: X.reshape(2, 3)))
def test_formula(parts, X):
    mean, scale, gamma, beta = parts
    expected = X - (0.0 if mean is None else mean[0])
    expected = expected * (1.0 if gamma is None else gamma)
    expected = expected / (1.0 if scale is None else scale)
    expected = expected + (0.0 if beta is None else beta)
    image = apply(affine(*parts), X)
    size = np.abs(expected).max() + (0.0 if beta is None else np.abs(beta).max())
    np.testing.assert_allclose(image, expected, rtol=1e-14, atol=1e-14 * size)


@given(maps(), numbers(6).map(lambda X: X.reshape(2, 3)))
def test_inverse(parts, X):
    map_ = affine(*parts)
    mean, scale, gamma, beta = parts
    largest = 1.0 + np.abs(X).max() + (0.0 if mean is None else np.abs(mean[0]).max())
    stretch = (1.0 if scale is None else scale) / (1.0 if gamma is None else gamma)
    if beta is not None:
        largest += np.abs(beta * stretch).max()
    back = apply(map_.inverse, apply(map_, X))
    np.testing.assert_allclose(back, X, rtol=1e-14, atol=1e-14 * largest)


@given(maps(), st.integers(1, 5))
def test_rows_side_by_side(parts, times):
    X = np.arange(3.0 * times * 2).reshape(2 * times, 3)
    map_ = affine(*parts, clip=(-2.0, 3.0))
    wide = apply(map_.tiled(times), X.reshape(2, -1))
    np.testing.assert_array_equal(wide.reshape(X.shape), apply(map_, X))


def test_both_parts_of_the_mean_are_subtracted():
    mean = np.array([1e15]), np.array([0.0625])
    image = apply(affine(mean, np.ones(1)), np.array([[1e15 + 1.0]]))
    np.testing.assert_array_equal(image, [[0.9375]])


def test_clip_comes_last_and_is_not_undone():
    map_ = affine(None, np.array([2.0]), clip=(-1.0, 1.5), beta=np.array([1.0]))
    X = np.array([[-8.0], [0.0], [2.0], [np.nan]])
    image = apply(map_, X)
    np.testing.assert_array_equal(image, [[-1.0], [1.0], [1.5], [np.nan]])
    back = apply(map_.inverse, image)
    np.testing.assert_array_equal(back, [[-4.0], [0.0], [1.0], [np.nan]])


def apply_to_float32(map_, X):
    out = np.empty(X.shape, np.float32)
    numpy_engine.write(X, map_, out, n_threads=1)
    return out


@given(maps(), numbers(6).map(lambda X: X.reshape(2, 3)))
def test_of_float32_is_the_map_of_float64_rounded_once(parts, X):
    X, map_ = X.astype(np.float32), affine(*parts)
    exact = apply(map_, X.astype(np.float64))
    shift = 0.0 if parts[3] is None else np.abs(parts[3])
    wrong = np.abs(apply_to_float32(map_, X) - exact)
    rounding = np.maximum(np.abs(exact) * 2.0**-24 * 1.000001, 2.0**-149)
    assert (wrong <= rounding + shift * 2.0**-51).all()


@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e-300, 1e300, 1e308, np.inf])
def test_reciprocals_out_of_range(scale):
    X = np.array([[0.0, 3.0, -3.0, np.nan]], np.float32)
    with np.errstate(all="ignore"):
        expected = (X.astype(np.float64) / scale).astype(np.float32)
    image = apply_to_float32(affine(None, np.full(4, scale)), X)
    np.testing.assert_array_equal(image, expected)


def test_float32_needs_the_low_part_of_a_mean_far_from_zero():
    X, mean = (
        np.array([[2.0**24]], np.float32),
        (np.array([2.0**24]), np.array([1e-10])),
    )
    image = apply_to_float32(affine(mean, np.ones(1)), X)
    np.testing.assert_array_equal(image, [[np.float32(-1e-10)]])
