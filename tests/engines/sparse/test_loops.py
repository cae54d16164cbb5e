"""Numba's loops over sparse entries, run as plain Python."""

import numpy as np
import pytest
import scipy.sparse as sp
from exact import assert_moments
from hypothesis import given
from hypothesis import strategies as st
from sparse_data import HABITS, INDICES, stored, thinned
from strategies import examples, tables, weights_for

from skbn.affine import affine
from skbn.engines import sparse
from skbn.engines.base import InfinityInBlockError

loops = pytest.importorskip("skbn.engines.sparse.loops")
numba_kernels = pytest.importorskip("skbn.engines.sparse.numba_kernels")
if np.lib.NumpyVersion(np.__version__) < "2.0.0":
    pytest.skip(
        "in plain Python NumPy 1 makes a float of an unsigned index and an integer",
        allow_module_level=True,
    )

CONTAINERS = [sp.csr_array, sp.csc_array]
NAMES = ["add_rows", "add_columns", "add_weighted", "scale_rows", "scale_columns"]


def plain(function, *arguments, **options):
    """Call a function of the engine with loops that are not compiled."""
    with pytest.MonkeyPatch.context() as patch:
        for name in NAMES:
            loop = getattr(numba_kernels, name)
            patch.setattr(numba_kernels, name, getattr(loop, "py_func", loop))
        with np.errstate(all="ignore"):
            return function(*arguments, engine="numba", n_threads=1, **options)


@examples(100)
@given(
    tables(missing=True, powers=100),
    st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    st.sampled_from(CONTAINERS),
    INDICES,
    HABITS,
    st.data(),
)
def test_moments_are_the_same_bits(D, density, container, index, habits, data):
    D = thinned(D, density, np.random.default_rng(2))
    weights = data.draw(st.none() | weights_for(len(D)))
    X = stored(D, container, index, habits)
    found = plain(sparse.moments, X, weights)
    assert_moments(found, D, weights)
    compiled = sparse.moments(X, weights, engine="numba")
    np.testing.assert_array_equal(found.weight, compiled.weight)
    np.testing.assert_array_equal(found.values, compiled.values)


@examples(50)
@given(
    tables(missing=True),
    st.sampled_from(CONTAINERS),
    st.sampled_from([None, (-1.0, 0.5)]),
    st.booleans(),
)
def test_scaled_values_are_the_same_bits(D, container, clip, divides):
    X = stored(thinned(D, 0.5, np.random.default_rng(3)), container)
    the_map = affine(None, np.linspace(0.5, 3.0, D.shape[1]), clip=clip)
    the_map = the_map if divides else the_map.inverse
    found = plain(sparse.normalize, X, the_map)
    compiled = sparse.normalize(X, the_map, engine="numba")
    np.testing.assert_array_equal(found.data, compiled.data)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_cuts_follow_the_values(container, weighted, monkeypatch):
    """Sums that fill up, columns in pieces, and pieces that a cut does not fit."""
    monkeypatch.setattr(loops, "PIECE", 50)
    monkeypatch.setattr(loops, "CHUNK", 120)
    monkeypatch.setattr(loops, "GROUP", 50)
    monkeypatch.setattr(loops, "MOST", 64)
    random = np.random.default_rng(4)
    D = random.normal([0.0, 5.0, 1e6], size=(1500, 3))
    D[:, 0] *= np.geomspace(1e-9, 1e9, 1500)
    D[::40, 1] *= 1e30
    D[3::7, 2] = np.nan
    D = thinned(D, 0.9, random)
    weights = random.random(1500) if weighted else None
    assert_moments(plain(sparse.moments, container(D), weights), D, weights)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("bad", [-1, 5])
def test_an_index_out_of_bounds(container, bad):
    X = container(np.ones((5, 5)))
    X.indices[3] = bad
    with pytest.raises(ValueError, match=r"index that is not in \[0, 5\)"):
        plain(sparse.moments, X)
    with pytest.raises(ValueError, match=r"index that is not in \[0, 5\)"):
        plain(sparse.moments, X, np.ones(5))
    if X.format == "csr":
        with pytest.raises(ValueError, match=r"index that is not in \[0, 5\)"):
            plain(sparse.normalize, X, affine(None, np.ones(5)))


@pytest.mark.parametrize("container", CONTAINERS)
def test_an_infinity(container):
    X = container(np.ones((5, 5)))
    X.data[7] = -np.inf
    with pytest.raises(InfinityInBlockError):
        plain(sparse.moments, X)
    with pytest.raises(InfinityInBlockError):
        plain(sparse.normalize, X, affine(None, np.ones(5)))
