"""What the demo claims is what it measures, and it never looks ahead."""

from fractions import Fraction

import numpy as np
import pytest

from skbn import demo
from skbn.demo.evaluation import exact_moments, prequential
from skbn.demo.scenarios import Scenario, Stream, Unnormalised

DIGITS, NEAR, FAR, DRIFT = demo.SCENARIOS


def run(scenario, **settings):
    return {each.scaler: each for each in demo.run(scenario, shuffles=1, **settings)}


@pytest.fixture(scope="module")
def digits():
    return run(DIGITS)


def test_exact_moments_do_not_round():
    column = [0.1, 1e16, 5e-324]
    values = [Fraction(value) for value in column]
    mean = sum(values) / 3
    variance = sum((value - mean) ** 2 for value in values) / 3

    assert exact_moments(column) == (mean, variance)


def test_statistics_of_digits_are_exact(digits):
    ours = digits["skbn"]

    assert ours.rows_seen == 1797
    assert max(ours.mean_error, ours.variance_error) < 3e-16
    assert ours.unscaled == 0


def test_normalisation_helps_on_digits(digits):
    assert digits["skbn"].accuracy == digits["StandardScaler"].accuracy
    assert digits["skbn"].accuracy > digits["not normalised"].accuracy + 0.01
    assert all(each.milliseconds_per_batch > 0 for each in digits.values())


def test_without_statistics_there_is_no_error(digits):
    nothing = digits["not normalised"]

    assert nothing.mean_error is nothing.variance_error is nothing.unscaled is None


def test_an_offset_costs_digits_of_standard_scaler_alone():
    results = run(NEAR)

    assert results["skbn"].variance_error < 3e-16
    assert results["StandardScaler"].variance_error > 1e-5
    assert results["skbn"].unscaled < results["StandardScaler"].unscaled


def test_a_large_offset_costs_it_accuracy_too():
    results = run(FAR)

    assert results["skbn"].variance_error < 3e-16
    assert results["StandardScaler"].variance_error > 1e-3
    assert results["skbn"].accuracy > results["StandardScaler"].accuracy + 0.1


def test_half_life_wins_where_the_stream_drifts():
    results = run(DRIFT)
    best = results.pop("halflife=200")

    for other in results.values():
        assert best.accuracy > other.accuracy + 0.03
        assert best.accuracy_last_quarter > other.accuracy_last_quarter + 0.03
    assert best.lag < results["cumulative"].lag / 2
    assert results["cumulative"].lag == pytest.approx(results["StandardScaler"].lag)


def test_the_seed_decides():
    def accuracies(seed):
        results = run(DIGITS, seed=seed, batch_size=256)
        return [each.accuracy for each in results.values()]

    assert accuracies(1) == accuracies(1) != accuracies(2)


def test_progress_is_told_after_every_run():
    calls = []
    demo.run(DIGITS, batch_size=512, shuffles=2, advance=lambda: calls.append(None))

    assert len(calls) == demo.n_runs(DIGITS, 2) == 6


@pytest.mark.parametrize("batch_size", [0, 899])
def test_a_batch_size_that_leaves_nothing_to_predict_is_refused(batch_size):
    with pytest.raises(ValueError, match=f"batch_size={batch_size} must be from 1"):
        demo.run(DIGITS, batch_size=batch_size)


def test_scenarios_are_found_by_name():
    assert list(demo.scenarios("offset")) == [NEAR, FAR]
    assert tuple(demo.scenarios()) == demo.SCENARIOS
    assert list(demo.scenarios("nothing")) == []


def test_a_batch_is_predicted_before_it_is_learnt_from():
    events = []

    class Spy(Unnormalised):
        def partial_fit(self, X):
            events.append(("learn", X[0, 0]))
            return self

        def transform(self, X):
            events.append(("map", X[0, 0]))
            return X

    X = np.arange(6.0)[:, None]
    stream = Stream(X, np.array([0, 1, 0, 1, 0, 1]), X[0], X[0])
    result = prequential(stream, Spy(), 2, 0)

    assert events == [
        *(("learn", 0), ("map", 0)),
        *(("map", 2), ("learn", 2), ("map", 2)),
        *(("map", 4), ("learn", 4), ("map", 4)),
    ]
    assert len(result.hits) == 4
    assert len(result.seconds) == 3


@pytest.mark.parametrize("scenario", demo.SCENARIOS, ids=lambda each: each.title)
def test_streams_end_where_they_say(scenario: Scenario):
    stream = scenario.make(np.random.default_rng(0))
    late = stream.X[-300:]
    away = np.abs(late.mean(axis=0) - stream.level)

    assert (away <= 0.5 * stream.spread + 2.0).all()
    assert stream.X.shape == (1797, 64)
