"""Blocks of a few values, so that small data have many of them, in several tasks."""

import pkgutil
import threading
from contextlib import contextmanager
from importlib import import_module

import numpy as np
import pytest
from exact import assert_moments, exact_columns, exact_image
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, tables, weights_for

from skbn.affine import affine
from skbn.engines import numpy as engine
from skbn.engines.base import InfinityInBlockError

FILES = [module.name for module in pkgutil.iter_modules(engine.__path__)]
MODULES = [engine, *(import_module(f"{engine.__name__}.{name}") for name in FILES)]
LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "gaps": lambda X: np.repeat(X, 2, axis=0)[::2],
}
layouts = st.sampled_from(sorted(LAYOUTS)).map(LAYOUTS.get)
# Rows in a block as wide as it may be, and that width; blocks that are merged
# together; tasks; and values from which on narrow rows are laid side by side.
sizes = st.fixed_dictionaries(
    {
        "BLOCK": st.sampled_from([1, 7, 40]),
        "BLOCK_ROWS": st.sampled_from([1, 2, 3, 5, 19]),
        "WIDTH": st.integers(1, 9),
        "CHUNK": st.integers(1, 3),
        "TASKS": st.integers(1, 4),
        "LAID_SIDE_BY_SIDE": st.sampled_from([0, 8, 1000]),
    }
)


@contextmanager
def blocks_of(sizes):
    """The engine with these sizes, wherever in it they are written."""
    with pytest.MonkeyPatch.context() as patch:
        for name, size in sizes.items():
            places = [module for module in MODULES if hasattr(module, name)]
            assert places, f"the engine has no {name}"
            for module in places:
                patch.setattr(module, name, size)
        for module in MODULES:
            for name, value in list(vars(module).items()):
                if hasattr(value, "cache_clear"):  # what the sizes decide is kept
                    patch.setattr(module, name, value.__wrapped__)
                if isinstance(value, threading.local):  # scratch of these sizes
                    patch.setattr(module, name, type(value)())
        yield


@examples(200)
@given(tables(missing=True, powers=150), layouts, sizes, st.data())
def test_moments_are_exact(X, layout, sizes, data):
    weights = data.draw(st.none() | weights_for(len(X)))
    X = layout(X)
    with blocks_of(sizes):
        one, many = (engine.moments(X, weights, n_threads=n) for n in (1, 3))
    assert_moments(one, X, weights)
    np.testing.assert_array_equal(one.values, many.values)
    np.testing.assert_array_equal(one.weight, many.weight)


@examples(100)
@given(tables(missing=True, powers=3), st.sampled_from(["f4", ">f8", "i8"]), sizes)
def test_moments_of_other_dtypes_are_exact(X, dtype, sizes):
    X = (np.nan_to_num(X) if dtype == "i8" else X).astype(dtype)
    with blocks_of(sizes):
        assert_moments(engine.moments(X), X)


@examples(100)
@given(tables(min_rows=2, powers=100), layouts, sizes)
def test_images_are_exact(X, layout, sizes):
    X = X[:, [feature.variance > 0 for feature in exact_columns(X)]]
    if not X.size:
        return
    X = layout(X)
    with blocks_of(sizes):
        moments = engine.moments(X)
        image = engine.normalize(X, affine(moments.mean, np.sqrt(moments.variance[0])))
    assert np.abs(image - exact_image(X, exact_columns(X))).max() <= 1e-14


@st.composite
def maps(draw, n_features):
    """Maps with some of their parts."""
    numbers = st.lists(st.floats(0.01, 100.0), min_size=n_features, max_size=n_features)
    mean, low, scale, beta = (draw(st.none() | numbers.map(np.array)) for _ in range(4))
    if mean is not None:
        mean = mean, np.zeros(n_features) if low is None else low * 1e-15
    map_ = affine(mean, scale, beta=beta, clip=draw(st.sampled_from([None, (-1, 2)])))
    return draw(st.sampled_from([map_, map_.inverse]))


def image_by_the_formula(map_, X):
    """Value by value: no block can change a bit."""
    image = X.astype(float)
    for part in map_.center or ():
        image = image if part is None else image - part
    if map_.scale is not None:
        image = image / map_.scale if map_.divides else image * map_.scale
    for part in reversed(map_.shift or ()):
        image = image if part is None else image + part
    return image if map_.clip is None else image.clip(*map_.clip)


@examples(100)
@given(tables(missing=True), st.sampled_from(["f8", "f4"]), layouts, sizes, st.data())
def test_images_are_those_of_single_values(X, dtype, layout, sizes, data):
    X = layout(X.astype(dtype))
    map_ = data.draw(maps(X.shape[1]))
    expected = image_by_the_formula(map_, X).astype(dtype)
    with blocks_of(sizes):
        for n_threads in (1, 3):
            image = engine.normalize(X, map_, n_threads=n_threads)
            np.testing.assert_array_equal(image, expected)
        engine.write(X, map_, X, n_threads=3)
    np.testing.assert_array_equal(X, expected)


@examples(100)
@given(tables(missing=True), layouts, sizes, st.data())
def test_an_infinity_is_met_wherever_it_is(X, layout, sizes, data):
    place = tuple(data.draw(st.integers(0, n - 1)) for n in X.shape)
    X[place] = data.draw(st.sampled_from([np.inf, -np.inf]))
    X = layout(X)
    before = X.copy()
    weights = data.draw(st.none() | weights_for(len(X)))
    map_ = data.draw(maps(X.shape[1]))
    with blocks_of(sizes):
        with pytest.raises(InfinityInBlockError):
            engine.moments(X, weights, n_threads=3)
        for out in (X, np.empty_like(X)):
            with pytest.raises(InfinityInBlockError):
                engine.write(X, map_, out, n_threads=3)
    np.testing.assert_array_equal(X, before)


def test_accepts():
    assert engine.accepts(np.ones((2, 2)))
    assert not engine.accepts([[1.0, 2.0]])
