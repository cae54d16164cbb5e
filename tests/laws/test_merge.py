"""Partial fits merged in order are the stream."""

import copy
import pickle
from functools import reduce

import numpy as np
import pandas as pd
import pytest
from averages import (
    AVERAGES,
    HALFLIVES,
    assert_alike,
    assert_digits,
    exact_statistics,
    streamed,
)
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler
from strategies import Stream, examples, streams

from skbn import BatchNormTransformer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)) + np.array([0.0, 1e3, 1e12])
NAMES = ["a", "b", "c"]
averages = pytest.mark.parametrize("parameters", AVERAGES.values(), ids=AVERAGES)
any_average = st.one_of(
    st.sampled_from(list(AVERAGES.values())),
    st.builds(lambda h: {"halflife": h}, st.sampled_from(HALFLIVES)),
    st.builds(
        lambda m, start: {"momentum": m, "zero_debias": start},
        st.floats(1e-6, 1.0),
        st.booleans(),
    ),
)


def parts_of(stream, draw, parameters):
    """Partial fits of some batches each, of none now and then."""
    parts = [BatchNormTransformer(**parameters)]
    for rows, weights in stream.batches():
        if draw(st.booleans()):
            parts.append(BatchNormTransformer(**parameters))
        parts[-1].partial_fit(rows, sample_weight=weights)
    return parts


def tree(parts, draw):
    """The parts merged in order, neighbours first, in any shape of tree."""
    parts = list(parts)
    while len(parts) > 1:
        i = draw(st.integers(0, len(parts) - 2))
        stop = draw(st.integers(i + 2, min(len(parts), i + 4)))
        parts[i:stop] = [parts[i].merge(*parts[i + 1 : stop])]
    return parts[0]


def assert_same_bits(one, other):
    for name in ("mean_", "var_", "scale_", "n_samples_seen_", "n_batches_seen_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.transform(X), other.transform(X))


@examples(150)
@given(streams(missing=True, powers=60), any_average, st.data())
def test_any_tree_is_the_stream(stream, parameters, data):
    one = streamed(stream.batches(), **parameters)
    merged = tree(parts_of(stream, data.draw, parameters), data.draw)
    assert_alike(merged, one, stream.X, 14)
    assert merged.n_batches_seen_ == one.n_batches_seen_ == len(stream.cuts) + 1
    np.testing.assert_allclose(merged.n_samples_seen_, one.n_samples_seen_, rtol=1e-15)


@examples(100)
@given(
    streams(missing=True, powers=60),
    st.sampled_from([{}, {"momentum": 0.1}, {"halflife": 1.0}, {"halflife": 0.5}]),
    st.data(),
)
def test_any_tree_is_exact(stream, parameters, data):
    merged = tree(parts_of(stream, data.draw, parameters), data.draw)
    assert_digits(merged, exact_statistics(stream, **parameters), 14.5)


@examples(100)
@given(streams(missing=True, min_rows=3, powers=60), any_average, st.data())
def test_associative(stream, parameters, data):
    n = len(stream.X)
    places = sorted(data.draw(st.sets(st.integers(1, n - 1), min_size=2, max_size=2)))

    def three():
        return [
            BatchNormTransformer(**parameters).partial_fit(rows, sample_weight=weights)
            for rows, weights in stream._replace(cuts=places).batches()
        ]

    a, b, c = three()
    from_left = a.merge(b).merge(c)
    a, b, c = three()
    from_right = a.merge(b.merge(c))
    a, b, c = three()
    at_once = a.merge(b, c)
    assert_alike(from_left, from_right, stream.X, 14)
    assert_same = np.testing.assert_array_equal
    assert_same(from_left.mean_, at_once.mean_)
    assert_same(from_left.var_, at_once.var_)


@examples(100)
@given(streams(missing=True, powers=60), st.integers(0, 2), st.randoms())
def test_cumulative_is_commutative(stream, ddof, random):
    one = streamed(stream.batches(), ddof=ddof)
    parts = [streamed([batch], ddof=ddof) for batch in stream.batches()]
    random.shuffle(parts)
    assert_alike(parts[0].merge(*parts[1:]), one, stream.X, 14)


@pytest.mark.parametrize("parameters", [{"momentum": 0.1}, {"halflife": 20.0}], ids=str)
def test_the_order_matters_where_the_average_forgets(parameters):
    first, last = (BatchNormTransformer(**parameters).fit(X + d) for d in (0, 5))
    there = copy.copy(first).merge(last)
    back = copy.copy(last).merge(first)
    assert (there.mean_ - back.mean_ > 0.1).all()


@averages
def test_a_thousand_partial_fits(parameters):
    rows = RNG.normal(size=(3000, 2)) + [1.0, 1e12] + np.linspace(0, 3, 3000)[:, None]
    stream = Stream(rows, None, sorted(RNG.choice(2999, 999, replace=False) + 1))
    one = streamed(stream.batches(), **parameters)
    first, *others = [streamed([batch], **parameters) for batch in stream.batches()]
    merged = first.merge(*others)
    assert merged.n_batches_seen_ == one.n_batches_seen_ == 1000
    assert merged.n_samples_seen_ == one.n_samples_seen_ == 3000
    assert_alike(merged, one, rows, 14)


@averages
@pytest.mark.parametrize("n_before", [0, 1, 2])
@pytest.mark.parametrize("n_after", [0, 1, 2])
def test_unfitted_ones_are_the_identity(parameters, n_before, n_after):
    fitted = BatchNormTransformer(**parameters).fit(X).partial_fit(X[:7])
    expected = copy.deepcopy(fitted)
    new = [BatchNormTransformer(**parameters) for _ in range(n_before + n_after)]
    first, *rest = [*new[:n_before], fitted, *new[n_before:]]
    assert first.merge(*rest) is first
    assert_same_bits(first, expected)
    assert_same_bits(first.partial_fit(X + 1), expected.partial_fit(X + 1))


def test_nothing_but_unfitted_ones():
    transformer = BatchNormTransformer()
    before = pickle.dumps(transformer)
    assert transformer.merge() is transformer
    assert transformer.merge(BatchNormTransformer()) is transformer
    assert pickle.dumps(transformer) == before
    assert not hasattr(transformer, "n_features_in_")


@averages
@pytest.mark.parametrize("empty", ["missing", "weightless"])
def test_empty_ones_change_no_statistic(parameters, empty):
    def nothing():
        transformer = BatchNormTransformer(**parameters)
        if empty == "missing":
            return transformer.partial_fit(np.full((4, 3), np.nan))
        return transformer.partial_fit(X[:4], sample_weight=np.zeros(4))

    fitted = BatchNormTransformer(**parameters).fit(X)
    for merged in (nothing().merge(fitted), copy.copy(fitted).merge(nothing())):
        np.testing.assert_array_equal(merged.mean_, fitted.mean_)
        np.testing.assert_array_equal(merged.var_, fitted.var_)
        assert merged.n_batches_seen_ == 2
        np.testing.assert_array_equal(merged.n_samples_seen_, 60)


@averages
def test_the_others_are_left_as_they_were(parameters):
    first = BatchNormTransformer(**parameters).fit(X[:20])
    others = [BatchNormTransformer(**parameters).fit(X[n:]) for n in (20, 40)]
    before = [pickle.dumps(other) for other in others]
    first.merge(*others).partial_fit(X)
    assert [pickle.dumps(other) for other in others] == before


@averages
def test_an_unfitted_one_goes_its_own_way(parameters):
    other = BatchNormTransformer(**parameters).fit(X)
    before = pickle.dumps(other)
    absorbed = BatchNormTransformer(**parameters).merge(other).partial_fit(X + 1)
    assert absorbed.n_batches_seen_ == 2
    assert pickle.dumps(other) == before
    alone = BatchNormTransformer(**parameters).fit(X).partial_fit(X + 1)
    assert_same_bits(absorbed, alone)


def test_an_unfitted_one_adopts_the_features():
    frame = pd.DataFrame(X, columns=NAMES)
    fitted = BatchNormTransformer(momentum=0.1).fit(frame)
    transformer = BatchNormTransformer(momentum=0.1).merge(fitted)
    assert transformer.n_features_in_ == 3
    assert transformer.feature_names_in_.tolist() == NAMES
    assert transformer.get_feature_names_out().tolist() == NAMES
    with pytest.raises(ValueError, match="names"):
        transformer.partial_fit(frame.rename(columns={"b": "other"}))
    nameless = BatchNormTransformer().merge(BatchNormTransformer().fit(X))
    assert nameless.n_features_in_ == 3
    assert not hasattr(nameless, "feature_names_in_")


def copies(transformer):
    return {
        "copy": copy.copy(transformer),
        "deepcopy": copy.deepcopy(transformer),
        "pickle": pickle.loads(pickle.dumps(transformer)),
    }


@averages
@pytest.mark.parametrize("way", ["copy", "deepcopy", "pickle"])
def test_copies_merge_alike(parameters, way):
    def three():
        parts = (X[:20], X[20:40], X[40:])
        return [BatchNormTransformer(**parameters).partial_fit(rows) for rows in parts]

    first, *others = three()
    expected = first.merge(*others)
    first, *others = [copies(part)[way] for part in three()]
    assert_same_bits(copies(first.merge(*others))[way], expected)


@averages
def test_with_itself(parameters):
    transformer = BatchNormTransformer(**parameters).fit(X)
    other = BatchNormTransformer(**parameters).fit(X)
    expected = copy.copy(other).merge(other, other)
    assert_same_bits(transformer.merge(transformer, transformer), expected)
    assert transformer.n_batches_seen_ == 3


DIFFERENT = [
    ("momentum", {"momentum": 0.1}, {"momentum": 0.2}),
    ("momentum", {"momentum": 0.1}, {}),
    ("halflife", {"halflife": 3}, {"halflife": 4}),
    ("halflife", {}, {"halflife": 4}),
    ("zero_debias", {"momentum": 0.1}, {"momentum": 0.1, "zero_debias": False}),
    ("ddof", {}, {"ddof": 1}),
    ("epsilon", {"epsilon": 1e-5}, {"epsilon": 1e-3}),
    ("with_mean", {}, {"with_mean": False}),
    ("with_std", {"with_std": False}, {}),
    ("gamma", {"gamma": [1.0, 2.0, 3.0]}, {"gamma": [1.0, 2.0, 4.0]}),
    ("gamma", {"gamma": 1.0}, {}),
    ("beta", {"beta": 0.5}, {"beta": np.array([0.5, 0.5, 1.0])}),
    ("clip", {"clip": (-1.0, 2.0)}, {"clip": 1.0}),
]


def refuses(first, *others, error=ValueError, match):
    before = pickle.dumps([first, *others])
    with pytest.raises(error, match=match):
        first.merge(*others)
    assert pickle.dumps([first, *others]) == before


@pytest.mark.parametrize(("name", "ours", "theirs"), DIFFERENT)
def test_different_parameters(name, ours, theirs):
    first = BatchNormTransformer(**ours).fit(X)
    same = BatchNormTransformer(**ours).fit(X + 1)
    other = BatchNormTransformer(**theirs).fit(X)
    refuses(first, same, other, match=rf"\b{name}\b.*number 1")
    refuses(other, first, match=rf"\b{name}\b.*number 0")
    refuses(BatchNormTransformer(**ours), other, match=name)
    refuses(first, BatchNormTransformer(**theirs), match=name)


def test_parameters_that_do_not_change_the_numbers_may_differ():
    first = BatchNormTransformer(gamma=[1, 2, 3]).fit(X[:20])
    other = BatchNormTransformer(
        gamma=np.array([1.0, 2.0, 3.0]), copy=False, batch_size=3, n_threads=1
    ).fit(X[20:])
    merged = first.merge(other)
    assert_alike(merged, BatchNormTransformer().fit(X), X, 14)
    assert merged.copy is True


@averages
def test_different_features(parameters):
    def fitted(data):
        return BatchNormTransformer(**parameters).fit(data)

    frame = pd.DataFrame(X, columns=NAMES)
    renamed = frame.rename(columns={"b": "other"})
    three, two = fitted(X), fitted(X[:, :2])
    new = BatchNormTransformer(**parameters)
    refuses(three, two, match="3 and 2 features")
    refuses(three, fitted(X + 1), two, match="3 and 2 features")
    refuses(new, two, three, match="2 and 3 features")
    refuses(fitted(frame), fitted(renamed), match="feature 1 is 'b'.*'other'")
    refuses(fitted(frame), fitted(frame[["a", "c", "b"]]), match="feature 1")
    refuses(fitted(frame), three, match="names and one without")
    refuses(three, fitted(frame), match="names and one without")
    assert not hasattr(new, "n_features_in_")


def test_what_is_not_a_transformer():
    fitted = BatchNormTransformer().fit(X)
    for stranger in (StandardScaler().fit(X), None, X):
        kind = type(stranger).__name__
        refuses(fitted, stranger, error=TypeError, match=f"number 0 is a {kind}")
    refuses(fitted, fitted, StandardScaler(), error=TypeError, match="number 1")


@pytest.mark.parametrize("changed", ["self", "other", "the only one"])
@pytest.mark.parametrize(
    ("used", "asked"),
    [
        ({"momentum": 0.1}, {"momentum": None}),
        ({"momentum": 0.1}, {"momentum": 0.2}),
        ({"halflife": 3}, {"halflife": None}),
        ({}, {"halflife": 3}),
        ({"momentum": 0.1}, {"momentum": 0.1, "ddof": 1}),
    ],
    ids=str,
)
def test_an_averaging_changed_since_the_fit_is_refused(used, asked, changed):
    """Parameters agree, what the two have seen was averaged in different ways."""
    stale = BatchNormTransformer(**used).fit(X).set_params(**asked)
    fresh = BatchNormTransformer(**asked).fit(X)
    pairs = {
        "self": (stale, fresh),
        "other": (fresh, stale),
        "the only one": (BatchNormTransformer(**asked), stale),
    }
    refuses(*pairs[changed], match="averag")


@examples(60)
@given(streams(weighted=False, offsets=[0.0, 1.0, -1e3]), st.integers(0, 1))
def test_river(stream, ddof):
    stats = pytest.importorskip("river.stats")
    merged, one_by_one, ours = [], [], []
    for rows, _ in stream.batches():
        parts = [stats.Var(ddof=ddof) for _ in rows.T]
        for part, column in zip(parts, rows.T.tolist(), strict=True):
            for x in column:
                part.update(x)
        merged.append(parts)
        ours.append(BatchNormTransformer(ddof=ddof).partial_fit(rows))
    for column in stream.X.T.tolist():
        one_by_one.append(stats.Var(ddof=ddof))
        for x in column:
            one_by_one[-1].update(x)
    theirs = [reduce(lambda a, b: a + b, parts) for parts in zip(*merged, strict=True)]
    ours = ours[0].merge(*ours[1:])
    if len(stream.X) <= ddof:
        assert np.isnan(ours.var_).all()
        return
    reach = np.abs(stream.X).max(axis=0)
    for river in (theirs, one_by_one):
        means = np.array([var.mean.get() for var in river])
        variances = np.array([var.get() for var in river])
        assert (np.abs(ours.mean_ - means) <= 1e-14 * reach).all()
        away = np.abs(ours.var_ - variances)
        assert (away <= 1e-10 * variances + (1e-14 * reach) ** 2).all()
