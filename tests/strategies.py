"""Streams of rows for property tests: offsets, magnitudes, missing values, weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

OFFSETS = [0.0, 1.0, -1e3, 1e6, -1e9, 1e12]


def examples(number):
    """So many examples of a property, or ten times as many in the profile explore."""
    return settings(max_examples=number * settings.default.max_examples // 100)


class Stream(NamedTuple):
    """Rows, their weights or None, and the places where they are cut."""

    X: np.ndarray
    weights: np.ndarray | None
    cuts: list[int]

    def batches(self):
        """The rows and weights of each batch."""
        for start, stop in zip([0, *self.cuts], [*self.cuts, len(self.X)], strict=True):
            weights = None if self.weights is None else self.weights[start:stop]
            yield self.X[start:stop], weights


@st.composite
def tables(draw, *, min_rows=1, max_rows=40, missing=False, powers=0, offsets=OFFSETS):
    """Arrays of shape (rows, features): spread 1 around offsets, in some unit."""
    shape = draw(st.integers(min_rows, max_rows)), draw(st.integers(1, 4))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    grid = draw(st.sampled_from([2, 1000, None]))
    X = random.normal(size=shape)
    if grid is not None:
        X = random.integers(-grid, grid + 1, shape) / grid
    X += [draw(st.sampled_from(offsets)) for _ in range(shape[1])]
    if powers:
        X *= [10.0 ** draw(st.integers(-powers, powers)) for _ in range(shape[1])]
    if missing:
        X[random.random(shape) < draw(st.sampled_from([0.0, 0.1, 0.5, 0.9]))] = np.nan
    return X


@st.composite
def cuts(draw, n_rows, max_cuts=12):
    """Sorted places at which to cut so many rows, none of them an end."""
    if draw(st.booleans()) and n_rows <= 40:
        return list(range(1, n_rows))
    inner = st.integers(1, max(n_rows - 1, 1))
    return sorted(draw(st.sets(inner, max_size=min(max_cuts, n_rows - 1))))


def weights_for(n_rows):
    """Weights of rows: whole numbers, fractions, or far apart; zeros among them."""
    elements = st.one_of(
        st.integers(0, 5).map(float),
        st.floats(0.001, 100.0),
        st.integers(-4, 4).map(lambda power: 10.0**power),
    )
    return st.lists(elements, min_size=n_rows, max_size=n_rows).map(np.array)


@st.composite
def streams(draw, *, weighted=None, **options):
    """Tables with cuts and, where `weighted` or at times where it is None, weights."""
    X = draw(tables(**options))
    weights = None
    if weighted or (weighted is None and draw(st.booleans())):
        weights = draw(weights_for(len(X)))
    return Stream(X, weights, draw(cuts(len(X))))
