"""What the harness says of times and of answers, with clocks and errors made up."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse

from benchmarks import answers, bandwidth, measure
from benchmarks.adapters import Adapter
from benchmarks.answers import WrongAnswerError
from benchmarks.contenders import ABILITIES, Contender
from benchmarks.measure import Summary
from benchmarks.workloads import PROFILES, WORKLOADS, Workload, profile


class Clock:
    """Time passes when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Task:
    """Takes so long, and longer the first time."""

    out = False

    def __init__(self, clock, duration, *, calls=1, first=0.0, between=0.0):
        self.clock, self.duration, self.calls = clock, duration, calls
        self.first, self.between, self.events = first, between, []

    def renew(self):
        self.pass_by("renew", self.between)

    def run(self):
        first = "run" not in self.happened()
        self.pass_by("run", self.first if first else self.duration)

    def check(self):
        self.pass_by("check", self.between)

    def pass_by(self, what, seconds):
        self.events.append((what, self.clock.now))
        self.clock.now += seconds

    def happened(self):
        return [what for what, _ in self.events]

    def starts(self):
        return [now for what, now in self.events if what == "run"]


def test_summary():
    assert measure.summary([3.0]) == Summary(3.0, 3.0, 3.0)
    assert measure.summary([4.0, 1.0, 3.0, 2.0, 5.0]) == Summary(3.0, 2.0, 4.0)


def test_a_ratio_is_taken_round_by_round():
    """The machine slows down threefold; the ratio stays."""
    assert measure.ratio([2.0, 6.0, 2.0], [1.0, 3.0, 1.0]) == Summary(2.0, 2.0, 2.0)


def test_turns():
    clock = Clock()
    a, b, c = (Task(clock, seconds) for seconds in (1.0, 2.0, 4.0))
    timed = {"a": a, "b": b, "c": c}
    times = measure.interleave(timed, seconds=0.0, rounds=(3, 3), clock=clock)

    assert times == {"a": [1.0] * 3, "b": [2.0] * 3, "c": [4.0] * 3}
    # Each is first in one round.
    starts = [task.starts()[1:] for task in (a, b, c)]
    assert starts == [[0, 13, 18], [1, 7, 19], [3, 9, 14]]


def test_each_is_warmed_and_there_are_seven_rounds():
    """The first run of each is slow, and in none of the times."""
    clock = Clock()
    timed = {name: Task(clock, 1.0, first=1000.0) for name in "ab"}
    times = measure.interleave(timed, seconds=0.0, clock=clock)

    assert times == {"a": [1.0] * 7, "b": [1.0] * 7}
    assert [len(task.starts()) for task in timed.values()] == [8, 8]


def test_every_run_is_made_ready_and_checked():
    clock = Clock()
    task = Task(clock, 1.0)
    measure.interleave({"": task}, seconds=0.0, rounds=(2, 2), clock=clock)
    assert task.happened() == ["renew", "run", "check"] * 3


def test_time_is_that_of_one_call_without_what_is_around_it():
    clock = Clock()
    timed = {"": Task(clock, 10.0, calls=5, between=100.0)}
    times = measure.interleave(timed, seconds=0.0, rounds=(3, 3), clock=clock)
    assert times == {"": [2.0] * 3}


class Restless(Task):
    """Each time takes so many times as long as the first, by turns."""

    factors = (0.5, 1.0, 1.5)

    def run(self):
        factor = self.factors[len(self.starts()) % len(self.factors)]
        self.pass_by("run", factor * self.duration)


@pytest.mark.parametrize(("seconds", "rounds"), [(0, 3), (5, 5), (5.6, 6), (1e6, 8)])
def test_rounds_end_with_the_time(seconds, rounds):
    clock = Clock()
    timed = {"": Restless(clock, 1.0)}
    times = measure.interleave(timed, seconds=seconds, rounds=(3, 8), clock=clock)
    assert len(times[""]) == rounds


def test_rounds_end_when_quartiles_are_close():
    """Those of the ratios: both tasks are restless, and alike."""
    clock = Clock()
    timed = {name: Restless(clock, 1.0) for name in "ab"}
    times = measure.interleave(timed, seconds=1e6, against="a", clock=clock)
    assert len(times["a"]) == 7
    times = measure.interleave(timed, seconds=90, clock=clock)
    assert len(times["a"]) > 40


def test_rounds_go_on_until_quartiles_are_close():
    """The first ten rounds differ, and those after them are the same."""

    class Settling(Restless):
        factors = (*[1.0, 3.0] * 5, *[1.0] * 10_000)

    clock = Clock()
    timed = {"a": Task(clock, 1.0), "b": Settling(clock, 1.0)}
    times = measure.interleave(timed, seconds=1e6, against="a", clock=clock)
    spread = measure.ratio(times["a"], times["b"])
    assert spread.settled
    assert 14 < len(times["a"]) < 25
    assert not measure.ratio(times["a"][:-1], times["b"][:-1]).settled


@pytest.mark.parametrize(
    ("q1", "q3", "settled"),
    [(0.9, 1.1, True), (0.89, 1.0, False), (1.0, 1.11, False), (1.0, 1.0, True)],
)
def test_quartiles_within_a_tenth_are_close(q1, q3, settled):
    assert Summary(1.0, q1, q3).settled is settled


def test_who_is_out_has_no_further_turn():
    class Leaving(Task):
        @property
        def out(self):
            return len(self.starts()) > 4

    clock = Clock()
    timed = {"a": Task(clock, 1.0), "b": Leaving(clock, 1.0)}
    times = measure.interleave(timed, seconds=0.0, clock=clock)
    assert times == {"a": [1.0] * 7}
    assert len(timed["b"].starts()) == 5


def test_garbage_is_collected_again_after_an_error():
    import gc

    class Broken(Task):
        def run(self):
            assert not gc.isenabled()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        measure.interleave({"": Broken(Clock(), 1.0)}, seconds=0.0)
    assert gc.isenabled()


@pytest.mark.parametrize(
    "kernel", bandwidth.kernels().values(), ids=bandwidth.kernels()
)
def test_the_limit_reads_every_byte(kernel):
    """Each kernel's result depends on each word."""
    X = np.zeros(100_000)
    for changed in (0, 4_321, -1):
        Y = X.copy()
        Y[changed] = 1.0
        assert kernel(bandwidth.words(Y)) != kernel(bandwidth.words(X))
    seen = []
    limit = bandwidth.ReadLimit(X, lambda block: seen.append(block.nbytes))
    limit.run()
    assert sum(seen) == X.nbytes


@pytest.mark.parametrize("order", ["C", "F"])
def test_words_share_memory(order):
    X = np.ones((100, 30), dtype=np.float32, order=order)
    assert np.shares_memory(bandwidth.words(X), X)
    assert bandwidth.words(X).nbytes == X.nbytes


def test_limits_that_write():
    X = np.arange(10_000.0)
    copy, update = bandwidth.CopyLimit(X), bandwidth.UpdateLimit(X)
    for limit in (copy, update):
        limit.renew()
        limit.run()

    assert (copy.copy.view(np.float64) == X).all()
    assert (~update.values).view(np.float64).tolist() == X.tolist()
    assert (np.arange(10_000.0) == X).all()


def test_limits_of_the_machine(monkeypatch):
    monkeypatch.setenv("SKBN_BENCH_PROFILE", "fast")
    bandwidth.best_kernel.cache_clear()
    limits = bandwidth.limits()
    assert set(limits) == {"read", "copy"}
    assert min(limits.values()) > 0


@pytest.mark.parametrize("n_rows", [7, 5000])
@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_reference_against_fractions(n_rows, offset):
    """In blocks, with a long double, weights and NaN or without."""
    rng = np.random.default_rng(0)
    X = offset + rng.standard_normal((n_rows, 2))
    X[rng.random(X.shape) < 0.1] = np.nan
    weights = rng.random(n_rows)
    for given in (None, weights):
        found = answers.statistics(X, given)
        for j, (mean, variance) in enumerate(exact(X, given)):
            assert float(found[0][j] - np.longdouble(float(mean))) == pytest.approx(
                float(mean - Fraction(float(mean))), abs=1e-15 * (1 + offset)
            )
            assert float(found[1][j]) == pytest.approx(float(variance), rel=2e-15)


def exact(X, weights):
    weights = np.ones(len(X)) if weights is None else weights
    for column in X.T:
        pairs = [
            (Fraction(x), Fraction(w))
            for x, w in zip(column.tolist(), weights.tolist(), strict=True)
            if x == x
        ]
        total = sum(w for _, w in pairs)
        mean = sum(w * x for x, w in pairs) / total
        yield mean, sum(w * (x - mean) ** 2 for x, w in pairs) / total


def test_averages_over_batches():
    X = np.arange(12.0).reshape(6, 2) ** 2
    each = [answers.statistics(batch) for batch in (X[:3], X[3:])]
    means, variances = answers.averages(each, 3)

    assert np.allclose(means.astype(float), X.mean(axis=0))
    within = [X[:3].var(axis=0, ddof=1), X[3:].var(axis=0, ddof=1)]
    assert np.allclose(variances.astype(float), np.mean(within, axis=0))


def test_digits():
    assert [answers.digits(error) for error in (0.0, 1e-16, 1e-3, 5.0)] == [
        16,
        16,
        3,
        0,
    ]
    assert answers.digits(float("inf")) == 0


TWELVE_DIGITS = Contender("c", "m", lambda: Adapter(None), error=1e-12, offset_power=1)


@pytest.mark.parametrize(
    ("mean", "variance", "what"),
    [
        (1.0, 4.0 * (1 + 1e-11), "variance"),
        (1.0 + 1e-11, 4.0, "mean"),
        (np.nan, 4.0, "mean"),
        (1.0, np.nan, "variance"),
    ],
)
def test_statistics_are_held_to_the_tolerance(mean, variance, what):
    right = np.array([1.0]), np.array([4.0])
    answers.check_statistics(TWELVE_DIGITS, right, right, "float64")
    found = np.array([mean]), np.array([variance])
    with pytest.raises(WrongAnswerError, match=what):
        answers.check_statistics(TWELVE_DIGITS, found, right, "float64")


def test_tolerance_grows_with_the_distance_from_zero():
    assert TWELVE_DIGITS.tolerance("float64", 0.5) == 1e-12
    assert TWELVE_DIGITS.tolerance("float64", 1e6) == 1e-6


@pytest.mark.parametrize(
    "spoil",
    [
        lambda Z: np.where(np.arange(len(Z))[:, None] == 17, Z + 1e-9, Z),
        lambda Z: np.where(np.isnan(Z), 0.0, Z),
        lambda Z: np.where(Z > 2, np.nan, Z),
        lambda Z: Z[:-1],
        lambda Z: Z.T,
    ],
)
def test_images_are_held_to_the_statistics(spoil):
    X = np.random.default_rng(0).standard_normal((300, 2)) * 3 + 1
    X[5, 1] = np.nan
    found = np.nanmean(X, axis=0), np.nanvar(X, axis=0)
    Z = (X - found[0]) / np.sqrt(found[1])
    answers.check_map(TWELVE_DIGITS, "transform", X, Z, found)
    with pytest.raises(WrongAnswerError, match="transform"):
        answers.check_map(TWELVE_DIGITS, "transform", X, spoil(Z), found)


def test_long_doubles_decide_where_float64_leaves_a_doubt():
    """The right mean is between two numbers in float64."""
    X = 1e9 + np.random.default_rng(0).standard_normal((300, 2))
    mean, variance = answers.statistics(X)
    Z = ((X - mean) / np.sqrt(variance)).astype(np.float64)
    answers.check_map(TWELVE_DIGITS, "transform", X, Z, (mean, variance))
    with pytest.raises(WrongAnswerError, match="transform"):
        answers.check_map(TWELVE_DIGITS, "transform", X, Z + 1e-11, (mean, variance))


def test_images_are_held_to_the_tolerance_exactly():
    X = np.random.default_rng(0).standard_normal((300, 2)) * 3 + 1
    found = X.mean(axis=0), X.var(axis=0)
    Z = (X - found[0]) / np.sqrt(found[1])
    just = 1e-12 * (1 + np.abs(Z))
    answers.check_map(TWELVE_DIGITS, "transform", X, Z + 0.999 * just, found)
    with pytest.raises(WrongAnswerError, match="transform"):
        answers.check_map(TWELVE_DIGITS, "transform", X, Z + 1.001 * just, found)


def test_what_is_not_stored_is_zero():
    X = scipy.sparse.random(300, 5, 0.2, "csr", random_state=0)
    for found, right in zip(
        answers.statistics(X), answers.statistics(X.toarray()), strict=True
    ):
        np.testing.assert_allclose(found.astype(float), right.astype(float), rtol=1e-15)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda Z: Z * (1 + 1e-10),
        lambda Z: Z[:, ::-1],
        lambda Z: Z + scipy.sparse.eye(*Z.shape),
    ],
)
@pytest.mark.parametrize("form", ["csr", "csc"])
def test_sparse_images_are_held_to_the_statistics(form, spoil):
    X = scipy.sparse.random(300, 5, 0.2, "csr", random_state=0)
    found = X.toarray().mean(axis=0), X.toarray().var(axis=0)
    Z = scipy.sparse.csr_array(X.multiply(1 / np.sqrt(found[1])[None, :])).asformat(
        form
    )
    answers.check_map(TWELVE_DIGITS, "transform", X, Z, found)
    with pytest.raises(WrongAnswerError, match="transform"):
        answers.check_map(TWELVE_DIGITS, "transform", X, spoil(Z), found)


def test_profiles(monkeypatch):
    monkeypatch.delenv("SKBN_BENCH_PROFILE", raising=False)
    assert profile().name == "regular"
    monkeypatch.setenv("SKBN_BENCH_PROFILE", "huge")
    with pytest.raises(ValueError, match="fast, regular, large"):
        profile()


@pytest.mark.parametrize("name", WORKLOADS)
def test_workloads_are_what_they_say(name):
    workload = WORKLOADS[name].at(PROFILES["fast"])
    data, again = workload.make(), workload.make()
    assert workload.needs <= ABILITIES
    if "sparse" in workload.needs:
        assert data.X.shape == (workload.rows, workload.features)
        assert (data.X != again.X).nnz == 0
        return
    assert data.X.shape == (workload.rows * max(1, workload.batches), workload.features)
    assert data.X.dtype == workload.dtype
    assert data.X.flags[f"{workload.order}_CONTIGUOUS"]
    assert np.isnan(data.X).any() == (workload.missing > 0)
    assert (data.weights is not None) == workload.weighted
    assert len(data.batches) == workload.batches
    np.testing.assert_array_equal(data.X, again.X)


def test_labels_tell_workloads_apart():
    labels = [workload.label for workload in WORKLOADS.values()]
    assert len(set(labels)) == len(labels)
    assert Workload(400_000, 100, order="F").label == "float64 400000x100 F"
