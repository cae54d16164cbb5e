"""Pieces that share a split, and what becomes of those that do not fit it."""

import numpy as np
import pytest
from exact import assert_moments
from sparse_data import containers, stored, thinned

from skbn.engines import sparse as engine
from skbn.engines.sparse import numpy_kernels
from skbn.engines.sparse.entries import Entries

RNG = np.random.default_rng(4)
ROWS = 300
DATA = {
    "alike": RNG.normal(size=(ROWS, 3)),
    "growing": RNG.normal(size=(ROWS, 3)) * np.geomspace(1, 1e6, ROWS)[:, None],
    "shrinking": RNG.normal(size=(ROWS, 3)) * np.geomspace(1e6, 1, ROWS)[:, None],
    "up to a power of two": np.full((ROWS, 3), 1.0 - 2.0**-53),
    "features far apart": RNG.normal(size=(ROWS, 3)) * [1e-30, 1.0, 1e30],
    "cancelling": np.where(np.arange(ROWS)[:, None] % 2, 1 / 3, -1 / 3) * np.ones(3),
}


@containers
@pytest.mark.parametrize("density", [0.1, 1.0])
@pytest.mark.parametrize("name", DATA)
def test_moments_of_many_pieces(name, density, container, monkeypatch):
    monkeypatch.setattr(numpy_kernels, "PIECE", 16)
    monkeypatch.setattr(numpy_kernels, "SMALL_GROUP", 64)
    monkeypatch.setattr(numpy_kernels, "GROUP", 128)
    D = thinned(DATA[name], density)
    assert_moments(engine.moments(stored(D, container), engine="numpy"), D)


@containers
@pytest.mark.parametrize("name", ["alike", "growing", "up to a power of two"])
def test_values_that_outgrow_the_first_piece_are_split_again(
    name, container, monkeypatch
):
    monkeypatch.setattr(numpy_kernels, "PIECE", 16)
    entries = Entries(stored(DATA[name], container))
    adder = numpy_kernels._Adder(entries)
    found = numpy_kernels._plain_sums(adder, 0, entries.count)
    expected = [DATA[name].sum(axis=0), (DATA[name] ** 2).sum(axis=0)]
    np.testing.assert_allclose(found.sum(axis=0), expected, rtol=1e-12)


@containers
@pytest.mark.parametrize("n_rows", [3, 2**17])
def test_groups_hold_not_too_many_entries_of_a_feature(n_rows, container):
    X = container((n_rows, 2**16))
    X.indptr = np.full_like(X.indptr, 2**20)
    X.indptr[0] = 0
    entries = Entries(X)
    group = numpy_kernels._group(entries)
    assert group >= numpy_kernels.SMALL_GROUP
    if entries.by_rows and n_rows > 3:
        assert group * n_rows / entries.count <= numpy_kernels.OF_A_FEATURE
