"""Many sparse entries: groups of them in Numba's kernels, and what is left over."""

from itertools import product

import numpy as np
import pytest
import scipy.sparse as sp
from exact import assert_moments
from sparse_data import stored, thinned

from skbn.affine import affine
from skbn.engines import sparse as sparse_engine
from skbn.engines.base import InfinityInBlockError

pytest.importorskip("numba")

SHAPE = N, P = 3000, 20
containers = pytest.mark.parametrize("container", [sp.csr_array, sp.csc_array])
RNG = np.random.default_rng(5)
# Loops read values and indices apart, and are compiled for each pair of kinds: floats
# come with both kinds of indices, whole numbers with one.
kinds = pytest.mark.parametrize(
    ("dtype", "index"),
    [
        *product(["f8", "f4"], [np.int32, np.int64]),
        *product(["u1", "i8", "?"], [np.int32]),
    ],
)


def normal():
    return RNG.normal(size=SHAPE)


# Each with what the kernel has to notice.
DATA = {
    "of one magnitude": normal,
    "of one value": lambda: np.full(SHAPE, 0.1),
    "features of other magnitudes": lambda: normal() * 10.0 ** RNG.integers(-9, 9, P),
    "rows of larger and larger values": lambda: (
        normal() * np.geomspace(1e-3, 1e9, N)[:, None]
    ),
    "rows of smaller and smaller values": lambda: (
        normal() * np.geomspace(1e9, 1e-3, N)[:, None]
    ),
    "outliers": lambda: np.exp(4.0 * normal()),
    "one outlier": lambda: np.where(np.arange(N * P).reshape(SHAPE) == N, 1e30, 1.0),
    "offsets": lambda: normal() + 10.0 ** RNG.integers(0, 6, P),
    "missing values": lambda: np.where(RNG.random(SHAPE) < 0.1, np.nan, normal()),
    "nothing else": lambda: np.full(SHAPE, np.nan),
    "squares near the largest number": lambda: 1e140 * normal(),
    "sums beyond the largest number": lambda: 1e153 * normal(),
    "values near the smallest number": lambda: 1e-140 * normal(),
    "mean of zero": lambda: np.where(np.arange(N) % 2, 1.0, -1.0)[:, None] * np.ones(P),
    "rare features": lambda: normal() * (RNG.random(SHAPE) < 1 / np.arange(1, P + 1)),
}


@containers
@pytest.mark.parametrize("density", [0.1, 1.0])
@pytest.mark.parametrize("name", DATA)
def test_moments(name, density, container):
    D = thinned(DATA[name](), density)
    X = stored(D, container)
    assert_moments(sparse_engine.moments(X, engine="numba"), D)


@containers
@kinds
@pytest.mark.parametrize("habits", [{"unsorted"}, {"duplicates"}, {"zeros", "padding"}])
def test_habits(habits, index, dtype, container):
    D = thinned(RNG.integers(0, 2 if dtype == "?" else 100, SHAPE).astype(dtype), 0.3)
    X = stored(D, container, index, habits)
    # Duplicates of whole numbers are not halves.
    D = X.toarray() if "duplicates" in habits else D
    assert_moments(sparse_engine.moments(X, engine="numba"), D)


@pytest.mark.parametrize(("n", "per_row"), [(20_000, 0.02), (4000, 0.5), (500, 15)])
def test_rows_of_any_length(n, per_row):
    X = sp.random(n, 20, per_row / 20, "csr", random_state=RNG)
    assert_moments(sparse_engine.moments(X, engine="numba"), X.toarray())


@containers
@pytest.mark.parametrize("bad", [-1, "the first beyond", 2**30])
@pytest.mark.parametrize("place", [0, 1, 17, 500, -1])
def test_an_index_out_of_bounds_is_refused(place, bad, container):
    X = container(thinned(normal(), 0.4))
    limit = P if X.format == "csr" else N
    X.indices[place] = limit if isinstance(bad, str) else bad
    with pytest.raises(ValueError, match=rf"index that is not in \[0, {limit}\)"):
        sparse_engine.moments(X, engine="numba")


@containers
@pytest.mark.parametrize("place", [0, 1, 17, 500, -1])
def test_an_infinity_is_met(place, container):
    X = container(thinned(normal(), 0.4))
    X.data[place] = -np.inf
    with pytest.raises(InfinityInBlockError):
        sparse_engine.moments(X, engine="numba")


@containers
@kinds
@pytest.mark.parametrize("clip", [None, (-2.0, 5.0)])
@pytest.mark.parametrize("divides", [True, False])
def test_images(divides, clip, index, dtype, container):
    D = RNG.integers(0, 2 if dtype == "?" else 100, SHAPE).astype(dtype)
    if dtype[0] == "f":
        D = (D - 50) / 3
        D[::7, 3] = np.nan
    D = thinned(D.astype(dtype), 0.3)
    scale = RNG.random(P) + 0.5
    the_map = affine(None, scale, None, None, clip)
    image = sparse_engine.normalize(
        stored(D, container, index),
        the_map if divides else the_map.inverse,
        engine="numba",
    )
    expected = D / scale if divides else D * scale
    if clip is not None and divides:
        expected = expected.clip(*clip)
    out = np.float32 if dtype == "f4" else np.float64
    np.testing.assert_array_equal(image.toarray(), expected.astype(out))


@containers
@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("place", [0, 1, 17, 500, -1])
def test_an_infinity_has_no_image(place, copy, container):
    X = container(thinned(normal(), 0.4))
    X.data[place] = np.inf
    before = X.data.copy()
    with pytest.raises(InfinityInBlockError):
        sparse_engine.normalize(X, affine(None, np.ones(P)), copy=copy, engine="numba")
    np.testing.assert_array_equal(X.data, before)


@pytest.mark.parametrize("bad", [-1, P, 2**30])
@pytest.mark.parametrize("place", [0, 1, 17, 500, -1])
def test_an_index_out_of_bounds_has_no_scale(place, bad):
    X = sp.csr_array(thinned(normal(), 0.4))
    X.indices[place] = bad
    with pytest.raises(ValueError, match=rf"index that is not in \[0, {P}\)"):
        sparse_engine.normalize(X, affine(None, np.ones(P)), engine="numba")
