"""Running statistics as a record, and parameters changed between two batches."""

import pickle
from functools import reduce

import numpy as np
import pytest
from averages import AVERAGES, HALFLIVES
from hypothesis import given
from hypothesis import strategies as st
from strategies import cuts, examples, streams

from skbn import BatchNormTransformer, engines, pairs
from skbn.averaging import averaging
from skbn.moments import Moments
from skbn.running import Running, side_by_side

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, -1.0]
DEFAULTS = {"momentum": None, "halflife": None, "zero_debias": True, "ddof": 0}
averages = pytest.mark.parametrize("parameters", AVERAGES.values(), ids=AVERAGES)


def start(n_features=3, **parameters):
    given = DEFAULTS | parameters
    used = averaging(
        given["momentum"],
        given["halflife"],
        zero_debias=given["zero_debias"],
        ddof=given["ddof"],
    )
    return Running.start(used, n_features)


def after(running, rows, sample_weight=None):
    return running.learn(rows, sample_weight, engines.reader(rows, "numpy"))


def numbers(running, ddof=0):
    (high, low), variance = running.statistics(ddof)
    return np.stack([high, low, variance])


@averages
def test_a_record_never_changes(parameters):
    ddof = parameters.get("ddof", 0)
    first = after(start(**parameters), X[:10])
    before = pickle.dumps(first)
    after(first, X[10:])
    first.merge(first)
    assert pickle.dumps(first) == before
    known = numbers(first, ddof)
    second = after(first, X[10:])
    assert not np.array_equal(numbers(second, ddof), known)
    np.testing.assert_array_equal(numbers(first, ddof), known)
    assert (first.n_batches, second.n_batches) == (1, 2)


@averages
def test_the_start_is_the_identity(parameters):
    ddof = parameters.get("ddof", 0)
    empty, some = start(**parameters), after(start(**parameters), X)
    for merged in (empty.merge(some), some.merge(empty)):
        np.testing.assert_array_equal(numbers(merged, ddof), numbers(some, ddof))
        np.testing.assert_array_equal(merged.decay_steps, some.decay_steps)
        assert merged.n_samples == 40
        assert merged.n_batches == 1
        assert merged.weighted is False


def partial_records(stream, columns, parameters):
    """A record of each batch and each run of columns."""
    ends = [*columns, stream.X.shape[1]]
    for rows, weights in stream.batches():
        yield [
            after(start(stop - left, **parameters), rows[:, left:stop], weights)
            for left, stop in zip([0, *columns], ends, strict=True)
        ]


@examples(60)
@given(
    streams(missing=True, powers=60),
    st.sampled_from(list(AVERAGES.values())),
    st.data(),
)
def test_side_by_side_commutes_with_merging(stream, parameters, data):
    columns = data.draw(cuts(stream.X.shape[1]))
    grid = list(partial_records(stream, columns, parameters))
    rows_first = side_by_side(
        [reduce(Running.merge, c) for c in zip(*grid, strict=True)]
    )
    columns_first = reduce(Running.merge, map(side_by_side, grid))
    ddof = parameters.get("ddof", 0)
    np.testing.assert_array_equal(
        numbers(rows_first, ddof), numbers(columns_first, ddof)
    )
    np.testing.assert_array_equal(rows_first.n_samples, columns_first.n_samples)
    assert rows_first.n_batches == columns_first.n_batches == len(grid)
    assert rows_first.weighted == columns_first.weighted
    # And what is learnt later.
    more = start(stream.X.shape[1], **parameters)
    more = after(more, np.nan_to_num(stream.X))
    rows_first, columns_first = rows_first.merge(more), columns_first.merge(more)
    np.testing.assert_array_equal(
        numbers(rows_first, ddof), numbers(columns_first, ddof)
    )


@averages
def test_side_by_side_is_the_whole(parameters):
    gaps = np.where(RNG.random(X.shape) < 0.3, np.nan, X)
    ddof = parameters.get("ddof", 0)
    for rows in (X, gaps, X[:1]):
        parts = [
            after(start(width, **parameters), rows[:, part])
            for width, part in ((1, np.s_[:1]), (2, np.s_[1:]))
        ]
        whole = after(start(**parameters), rows)
        joined = side_by_side(parts)
        np.testing.assert_allclose(
            numbers(joined, ddof), numbers(whole, ddof), rtol=1e-14, atol=1e-16
        )
        np.testing.assert_array_equal(joined.n_samples, whole.n_samples)
        assert joined.n_batches == 1
        assert side_by_side([whole]) is whole


@averages
@pytest.mark.parametrize("weighted", [False, True])
def test_a_batch_in_parts_is_one_batch(parameters, weighted):
    gaps = np.where(RNG.random(X.shape) < 0.3, np.nan, X)
    weights = RNG.random(40) if weighted else None
    ddof = parameters.get("ddof", 0)
    before = after(start(**parameters), X[:7])
    cut = [
        (gaps[i : i + 9], None if weights is None else weights[i : i + 9])
        for i in range(0, 40, 9)
    ]
    parts = before.learn_parts(cut, engines.reader(X, "numpy"))
    whole = after(before, gaps, weights)
    np.testing.assert_allclose(
        numbers(parts, ddof), numbers(whole, ddof), rtol=1e-14, atol=1e-16
    )
    np.testing.assert_allclose(parts.n_samples, whole.n_samples, rtol=1e-15)
    np.testing.assert_array_equal(parts.decay_steps, whole.decay_steps)
    assert parts.n_batches == whole.n_batches == 2
    assert parts.weighted is whole.weighted


def test_number_of_samples():
    gaps = np.where(np.eye(40, 3) > 0, np.nan, X)
    gaps[5, 2] = np.nan
    whole = after(start(), X)
    assert whole.n_samples == 40
    assert isinstance(whole.n_samples, int)
    by_feature = after(whole, gaps).n_samples
    np.testing.assert_array_equal(by_feature, [79, 79, 78])
    assert by_feature.dtype == np.int64
    same = after(start(), np.where(np.eye(40, 3)[:, :1] > 0, np.nan, X))
    assert same.n_samples == 39
    assert isinstance(same.n_samples, int)


@pytest.mark.parametrize("weighted_first", [True, False])
def test_one_weighted_batch_makes_the_number_a_weight(weighted_first):
    weights = [np.full(40, 0.25), None]
    running = start()
    for weight in weights if weighted_first else weights[::-1]:
        running = after(running, X, weight)
    assert running.weighted
    assert running.n_samples == 50.0
    assert isinstance(running.n_samples, float)


def test_number_of_samples_adds_up_as_a_pair():
    weight = np.full(40, 1e-18)
    running = after(start(), X)
    for _ in range(1000):
        running = running.merge(after(start(), X, weight))
    high, low = running.seen
    np.testing.assert_allclose((high - 40.0) + low, 40 * 1e-15, rtol=1e-9)


def doublings(running, n):
    yield running
    for _ in range(n):
        running = running.merge(running)
        yield running


@pytest.mark.parametrize("momentum", [1e-9, 1e-3, 0.1, 0.5, 1.0])
def test_the_weights_of_momentum_stay_below_one(momentum):
    last = 0.0
    for running in doublings(after(start(momentum=momentum), X), 30):
        weight = np.max(running.moments.weight[0])
        assert last <= weight <= 1.0
        last = weight
    assert running.n_batches == 2**30
    expected = -np.expm1(np.log1p(-momentum) * 2.0**30) if momentum < 1 else 1.0
    np.testing.assert_allclose(last, expected, rtol=1e-14)


@pytest.mark.parametrize("halflife", HALFLIVES)
def test_the_weights_of_half_lives_stay_bounded(halflife):
    gathered = 1.0 / -np.expm1(-np.log(2.0) / halflife)
    last = 0.0
    for running in doublings(after(start(halflife=halflife), X), 30):
        weight = np.max(running.moments.weight[0])
        assert last <= weight <= gathered * (1 + 1e-14)
        last = weight
    rows = 40 * 2.0**30
    expected = gathered * -np.expm1(-np.log(2.0) * rows / halflife)
    np.testing.assert_allclose(last, expected, rtol=1e-13)


def test_weights_in_cells_are_bounded_too():
    gaps = X.copy()
    gaps[20:, 0] = np.nan
    for parameters in ({"momentum": 0.3}, {"halflife": 10.0}):
        for running in doublings(after(start(**parameters), gaps), 40):
            weight = np.asarray(running.moments.weight[0])
            assert (weight > 0).all()
            assert (weight <= 15.0).all()
            assert np.isfinite(numbers(running)).all()


def test_statistics_for_any_ddof():
    running = after(start(), X)
    np.testing.assert_allclose(running.statistics(0)[1], X.var(axis=0), rtol=1e-13)
    np.testing.assert_allclose(
        running.statistics(1)[1], X.var(axis=0, ddof=1), rtol=1e-13
    )


def test_nothing_seen():
    running = start()
    assert running.n_samples == 0
    assert running.n_batches == 0
    assert running.moments.weight == Moments.empty(3).weight == pairs.ZERO
    assert np.isnan(running.statistics(0)[1]).all()


MAPS = [
    {"epsilon": 0.5},
    {"gamma": [1.0, 2.0, 3.0]},
    {"beta": -1.0},
    {"clip": (-0.5, 0.7)},
]


@averages
@pytest.mark.parametrize("changed", MAPS, ids=str)
def test_a_map_changed_between_batches(parameters, changed):
    transformer = BatchNormTransformer(**parameters).fit(X[:20])
    transformer.transform(X)
    transformer.set_params(**changed)
    expected = BatchNormTransformer(**parameters, **changed).fit(X[:20])
    np.testing.assert_array_equal(transformer.transform(X), expected.transform(X))
    for one in (transformer, expected):
        one.partial_fit(X[20:])
    np.testing.assert_array_equal(transformer.mean_, expected.mean_)
    np.testing.assert_array_equal(transformer.transform(X), expected.transform(X))
    inverse = transformer.inverse_transform(X), expected.inverse_transform(X)
    np.testing.assert_array_equal(*inverse)


@pytest.mark.parametrize("changed", MAPS, ids=str)
def test_a_map_is_the_formula(changed):
    transformer = BatchNormTransformer(momentum=0.1).fit(X)
    transformer.transform(X)
    image = transformer.set_params(**changed).transform(X)
    expected = (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + changed.get("epsilon", 0))
    expected = expected * changed.get("gamma", 1.0) + changed.get("beta", 0.0)
    expected = np.clip(expected, *changed.get("clip", (-np.inf, np.inf)))
    np.testing.assert_allclose(image, expected, rtol=1e-12, atol=1e-13)


CHANGES = [
    ({}, {"momentum": 0.1}),
    ({}, {"halflife": 10}),
    ({"momentum": 0.1}, {"momentum": 0.2}),
    ({"momentum": 0.1}, {"momentum": None}),
    ({"momentum": 0.1}, {"momentum": None, "halflife": 10}),
    ({"momentum": 0.1}, {"zero_debias": False}),
    ({"momentum": 0.1}, {"ddof": 1}),
    ({"halflife": 10}, {"halflife": 11}),
    ({"halflife": 10}, {"halflife": None}),
    ({"halflife": 10}, {"halflife": None, "momentum": 0.1}),
]


@pytest.mark.parametrize(("parameters", "changed"), CHANGES, ids=str)
def test_an_averaging_changed_between_batches(parameters, changed):
    transformer = BatchNormTransformer(**parameters).fit(X[:20])
    image = transformer.transform(X)
    transformer.set_params(**changed)
    before = pickle.dumps(transformer)
    for _ in range(2):
        with pytest.raises(ValueError, match="averaging was changed"):
            transformer.partial_fit(X[20:])
    assert pickle.dumps(transformer) == before
    np.testing.assert_array_equal(transformer.transform(X), image)
    transformer.set_params(
        **{name: parameters.get(name, DEFAULTS[name]) for name in changed}
    )
    expected = BatchNormTransformer(**parameters).fit(X[:20]).partial_fit(X[20:])
    transformer.partial_fit(X[20:])
    np.testing.assert_array_equal(transformer.mean_, expected.mean_)
    np.testing.assert_array_equal(transformer.var_, expected.var_)
    assert transformer.n_batches_seen_ == 2


@pytest.mark.parametrize(("parameters", "changed"), CHANGES, ids=str)
def test_fit_starts_anew_with_another_averaging(parameters, changed):
    transformer = BatchNormTransformer(**parameters).fit(X[:20])
    transformer.set_params(**changed).fit(X).partial_fit(X[:9])
    expected = BatchNormTransformer(**(parameters | changed)).fit(X).partial_fit(X[:9])
    np.testing.assert_array_equal(transformer.mean_, expected.mean_)
    np.testing.assert_array_equal(transformer.var_, expected.var_)


@pytest.mark.parametrize(
    ("parameters", "changed"),
    [
        ({}, {"zero_debias": False}),
        ({"halflife": 10}, {"zero_debias": False}),
        ({"halflife": 10}, {"halflife": 10.0}),
        ({}, {"ddof": 1}),
        ({"momentum": 1.0}, {"momentum": 1}),
    ],
    ids=str,
)
def test_what_the_averaging_does_not_depend_on_may_change(parameters, changed):
    transformer = BatchNormTransformer(**parameters).fit(X[:20])
    transformer.set_params(**changed).partial_fit(X[20:])
    expected = BatchNormTransformer(**(parameters | changed)).fit(X[:20])
    expected.partial_fit(X[20:])
    np.testing.assert_array_equal(transformer.mean_, expected.mean_)
    np.testing.assert_array_equal(transformer.var_, expected.var_)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_momentum_with_halflife(method):
    both = r"momentum=0.1 and halflife=5 .*drop halflife.*momentum"
    new = BatchNormTransformer(momentum=0.1, halflife=5)
    before = pickle.dumps(new)
    with pytest.raises(ValueError, match=both):
        getattr(new, method)(X)
    assert pickle.dumps(new) == before
    fitted = BatchNormTransformer(momentum=0.1).fit(X).set_params(halflife=5)
    before = pickle.dumps(fitted)
    with pytest.raises(ValueError, match=both):
        getattr(fitted, method)(X)
    assert pickle.dumps(fitted) == before


@pytest.mark.parametrize("changed", [{"momentum": 2.0}, {"halflife": -1.0}], ids=str)
def test_an_averaging_changed_to_nonsense(changed):
    fitted = BatchNormTransformer().fit(X).set_params(**changed)
    before = pickle.dumps(fitted)
    with pytest.raises(ValueError, match=f"'{next(iter(changed))}' parameter"):
        fitted.partial_fit(X)
    assert pickle.dumps(fitted) == before
