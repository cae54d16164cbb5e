"""Others can teach the transformer their containers, by an entry point."""

import importlib
import sys
import textwrap

import numpy as np
import pytest
from exact import assert_exact

from skbn import BatchNormTransformer, engines

RNG = np.random.default_rng(0)
X = RNG.normal([1.0, -1e6, 3.0], size=(40, 3))

# A container of rows that is no array, in a package of its own.
CONTAINER = """
    import numpy as np


    class Bag:
        def __init__(self, rows):
            self.held = [np.array(row, dtype=float) for row in rows]

        @property
        def shape(self):
            return len(self.held), len(self.held[0])

        def __getitem__(self, rows):
            return Bag(self.held[rows])

        def __array__(self, dtype=None, copy=None):
            raise AssertionError("a bag is never made an array of")
"""
SMALLEST = """
    import numpy as np

    from skbn import engines
    from bags import Bag

    CONTAINER = True


    def accepts(X):
        return isinstance(X, Bag)


    def moments(X, weights=None, *, n_threads=None, engine="auto"):
        rows = np.stack(X.held)
        dense = engines.choose(engine, rows, weighted=weights is not None)
        return dense.moments(rows, weights, n_threads=n_threads)


    def normalize(X, affine, *, copy=True, n_threads=None, engine="auto"):
        rows = np.stack(X.held)
        dense = engines.choose(engine, rows, mapping=True)
        return Bag(dense.normalize(rows, affine, n_threads=n_threads))
"""
WHOLE = """

    def check(estimator, X, *, reset, names=True):
        if reset:
            estimator.n_features_in_ = X.shape[1]
        elif X.shape[1] != estimator.n_features_in_:
            raise ValueError(f"a bag of {X.shape[1]} features")
        return X


    def rows(X, start, stop):
        return Bag(X.held[start:stop])


    def find_infinity(X):
        for i, row in enumerate(X.held):
            for j, value in enumerate(row):
                if abs(value) == float("inf"):
                    return i, j
"""
METADATA = "Metadata-Version: 2.1\nName: skbn-bags\nVersion: 1.0\n"
ENTRY_POINTS = "[skbn.engines]\nbag = bags_engine\n"


@pytest.fixture(params=["smallest", "whole"])
def bag(request, tmp_path, monkeypatch):
    """The class of a container whose engine is installed."""
    source = SMALLEST if request.param == "smallest" else SMALLEST + WHOLE
    (tmp_path / "bags.py").write_text(textwrap.dedent(CONTAINER))
    (tmp_path / "bags_engine.py").write_text(textwrap.dedent(source))
    information = tmp_path / "skbn_bags-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(METADATA)
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    engines.containers.cache_clear()
    yield importlib.import_module("bags").Bag
    for name in ("bags", "bags_engine"):
        sys.modules.pop(name, None)
    engines.containers.cache_clear()


def image_of(bag):
    return np.stack(bag.held)


def test_it_is_found(bag):
    assert "bag" in engines.containers()
    assert "bag" not in engines.names()
    assert engines.reader(bag(X)).engine.__name__ == "bags_engine"


@pytest.mark.parametrize("weighted", [False, True])
def test_fit_and_back(bag, weighted):
    weights = RNG.random(len(X)) if weighted else None
    scaler = BatchNormTransformer().fit(bag(X), sample_weight=weights)
    assert_exact(scaler, X, weights)
    image = scaler.transform(bag(X))
    expected = BatchNormTransformer().fit(X, sample_weight=weights).transform(X)
    np.testing.assert_array_equal(image_of(image), expected)
    back = scaler.inverse_transform(image)
    np.testing.assert_allclose(image_of(back), X, rtol=1e-12)
    # Statistics are of no kind of data.
    np.testing.assert_array_equal(scaler.transform(X), expected)


@pytest.mark.parametrize(
    "average", [{"momentum": 0.3}, {"halflife": 5.0}, {"batch_size": 7}, {}], ids=str
)
def test_streams(bag, average):
    ours = BatchNormTransformer(**average).partial_fit(bag(X)).partial_fit(bag(X[:5]))
    theirs = BatchNormTransformer(**average).partial_fit(X).partial_fit(X[:5])
    np.testing.assert_array_equal(ours.mean_, theirs.mean_)
    np.testing.assert_array_equal(ours.var_, theirs.var_)
    ours, theirs = ours.fit(bag(X)), theirs.fit(X)
    np.testing.assert_array_equal(ours.mean_, theirs.mean_)


def test_infinity(bag):
    rows = X.copy()
    rows[4, 2] = np.inf
    scaler = BatchNormTransformer().fit(bag(X))
    before = scaler.mean_.tobytes(), scaler.var_.tobytes(), scaler.n_samples_seen_
    told = hasattr(engines.reader(bag(X)).engine, "find_infinity")
    place = r" \(feature 2, row 4\)" if told else ""
    for method in ("fit", "partial_fit", "transform"):
        with pytest.raises(ValueError, match=rf"contains infinity .*{place}\.$"):
            getattr(scaler, method)(bag(rows))
    after = scaler.mean_.tobytes(), scaler.var_.tobytes(), scaler.n_samples_seen_
    assert after == before


def test_other_features(bag):
    scaler = BatchNormTransformer().fit(bag(X))
    for method in ("partial_fit", "transform"):
        with pytest.raises(ValueError, match="2 features"):
            getattr(scaler, method)(bag(X[:, :2]))
    assert scaler.fit(bag(X[:, :2])).n_features_in_ == 2


def test_by_name(bag):
    for name in ("auto", "numpy", "bag"):
        scaler = BatchNormTransformer(engine=name)
        if name == "bag":  # this one passes the name on, to an engine for arrays
            with pytest.raises(ValueError, match="does not read NumPy arrays"):
                scaler.fit(bag(X))
        else:
            assert scaler.fit(bag(X)).n_samples_seen_ == 40
    with pytest.raises(ValueError, match="does not read NumPy arrays"):
        BatchNormTransformer(engine="bag").fit(X)


def test_it_is_gone():
    with pytest.raises(ValueError, match="'bag' is unknown"):
        BatchNormTransformer(engine="bag").fit(X)
