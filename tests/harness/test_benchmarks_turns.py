"""Every answer that is timed is checked, of data that change under the same arrays."""

import ctypes
import time

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from benchmarks import bandwidth, contenders, operations, quick
from benchmarks.answers import WrongAnswerError
from benchmarks.contenders import BASELINE, CONTENDERS, Contender
from benchmarks.data import Data
from benchmarks.workloads import PROFILES, WORKLOADS, Workload

MATRIX, STREAM = Workload(300, 4), Workload(30, 4, batches=5)
STREAMING = [
    *(operations.PartialFit, operations.TransformBatches),
    *(operations.FitTransformBatches, operations.Stream),
]
OPERATIONS = [
    *(operations.Fit, operations.Transform, operations.TransformInPlace),
    *(operations.Inverse, operations.FitTransformInPipeline, *STREAMING),
]


def contender(make, name="liar"):
    return Contender(name, "sklearn", lambda: contenders.Adapter(make()))


def take_turns(operation, make, rounds=3):
    """As a benchmark does; return the number of runs that passed."""
    data = (STREAM if operation in STREAMING else MATRIX).make()
    ready = operation(contender(make), data)
    for done in range(rounds):
        ready.renew()
        ready.run()
        try:
            ready.check()
        except WrongAnswerError:
            return done
    return rounds


def compare(monkeypatch, make, pattern, others=("skbn-numpy",)):
    """Results of the quick run in which a liar takes part, by contender."""
    listed = [contender(make), *CONTENDERS]
    monkeypatch.setattr(contenders, "CONTENDERS", listed)
    monkeypatch.setenv("SKBN_BENCH_PROFILE", "fast")
    row = quick.chosen([pattern])[0]
    return {r.contender: r for r in quick.run([row], ["liar", *others])}


def remembering():
    """A class whose scalers return what they have stored of an array they know."""
    stored = {}

    def recall(what, X, compute):
        key = what, X.__array_interface__["data"][0]
        if key not in stored:
            stored[key] = compute()
        return stored[key]

    class Remembers(StandardScaler):
        def partial_fit(self, X, y=None, sample_weight=None):
            learn = super().partial_fit
            vars(self).update(recall("learn", X, lambda: dict(vars(learn(X)))))
            return self

        def transform(self, X, copy=None):
            image = recall("map", X, lambda: StandardScaler.transform(self, X))
            if copy is False:
                X[...] = image
                return X
            return image.copy()

        def inverse_transform(self, X, copy=None):
            return recall(
                "back", X, lambda: super(Remembers, self).inverse_transform(X)
            )

    return Remembers


class OnlyTheLastState(StandardScaler):
    """What it says before the last batch is something else."""

    learning = False

    def partial_fit(self, X, y=None, sample_weight=None):
        self.learning = True
        super().partial_fit(X)
        self.learning = False
        return self

    @property
    def mean_(self):
        ready = self.n_samples_seen_ == STREAM.rows * STREAM.batches
        return self.__dict__["mean_"] * (1.0 if self.learning or ready else 1.001)

    @mean_.setter
    def mean_(self, mean):
        self.__dict__["mean_"] = mean


class OnlyTheLastImage(StandardScaler):
    mapped = 0

    def transform(self, X, copy=None):
        self.mapped += 1
        image = super().transform(X, copy)
        return image if self.mapped % STREAM.batches == 0 else np.zeros_like(image)


class OneBufferForAll(StandardScaler):
    """Each image overwrites the one before."""

    def transform(self, X, copy=None):
        self.buffer = getattr(self, "buffer", None)
        if self.buffer is None:
            self.buffer = np.empty_like(X)
        self.buffer[...] = super().transform(X, copy)
        return self.buffer


class NeverResets(StandardScaler):
    """It adds what it is given to what it has seen."""

    def fit(self, X, y=None, sample_weight=None):
        return self.partial_fit(X)


def wrong_in_run(number):
    """A class whose scalers are right but for one of their runs."""
    runs = []

    class WrongOnce(StandardScaler):
        def fit(self, X, y=None, sample_weight=None):
            runs.append(X)
            return super().fit(X[1:] if len(runs) == number else X)

    return WrongOnce


class Centres(StandardScaler):
    """In place, as nobody has asked it to."""

    def fit(self, X, y=None, sample_weight=None):
        super().fit(X)
        X -= self.mean_
        return self


class WritesPastTheFlags(StandardScaler):
    """As compiled code can."""

    def fit(self, X, y=None, sample_weight=None):
        super().fit(X)
        ctypes.memset(X.ctypes.data, 0, X.itemsize)
        return self


@pytest.mark.parametrize("operation", OPERATIONS)
def test_right_answers_pass_every_time(operation):
    assert take_turns(operation, StandardScaler) == 3


@pytest.mark.parametrize("operation", OPERATIONS)
def test_stored_results_are_wrong(operation):
    """The second time that the array is seen."""
    assert take_turns(operation, remembering()) == 1


def test_a_fit_that_never_resets_is_wrong():
    """The second time, when the first set of values is in it."""
    assert take_turns(operations.Fit, NeverResets) == 1


def test_the_quick_run_tells_of_stored_results(monkeypatch):
    results = compare(monkeypatch, remembering(), "fit float64 400x100")
    assert {name for name, each in results.items() if each.outcome} == {"liar"}


@pytest.mark.parametrize(
    ("liar", "operation"),
    [
        (OnlyTheLastState, operations.PartialFit),
        (OnlyTheLastState, operations.FitTransformBatches),
        (OnlyTheLastState, operations.Stream),
        (OnlyTheLastImage, operations.TransformBatches),
        (OnlyTheLastImage, operations.Stream),
        (OneBufferForAll, operations.TransformBatches),
        (OneBufferForAll, operations.FitTransformBatches),
    ],
    ids=lambda each: each.__name__,
)
def test_right_on_the_last_batch_only_is_wrong(liar, operation):
    assert take_turns(operation, liar) == 0


def test_batches_are_drawn_anew_and_alike_for_all():
    workload = Workload(30, 4, batches=50)
    data, another = workload.make(), workload.make()
    pair = [operations.PartialFit(contender(StandardScaler), data) for _ in "ab"]
    drawn = []
    for _ in range(20):
        for each in pair:
            each.renew()
        drawn.append([each.seen for each in pair])

    assert all(a == b for a, b in drawn)
    assert len({a for a, _ in drawn}) > 5
    assert data.seed != another.seed


@pytest.mark.parametrize("number", [1, 2, 5, 8])
def test_every_round_is_checked(number, monkeypatch):
    """The last of these is the last; the first warms up."""
    results = compare(monkeypatch, wrong_in_run(number), "fit float64 400x100")
    assert results["liar"].note.startswith("wrong answer: liar, mean")
    assert not results[BASELINE].outcome
    assert results[BASELINE].rounds == 7


def test_a_run_that_is_not_there_is_not_wrong(monkeypatch):
    """So the numbers of the test before are those of runs."""
    results = compare(monkeypatch, wrong_in_run(9), "fit float64 400x100")
    assert not results["liar"].outcome


@pytest.mark.parametrize("number", [2, 3])
def test_asv_checks_every_sample(number, monkeypatch):
    from benchmarks.fit import FitMatrix

    liar = contender(wrong_in_run(number))
    monkeypatch.setattr(contenders, "CONTENDERS", [*CONTENDERS, liar])
    monkeypatch.setenv("SKBN_BENCH_PROFILE", "fast")
    label = WORKLOADS["dense"].at(PROFILES["fast"]).label
    benchmark = FitMatrix()
    assert benchmark.number == 1
    for _ in range(number - 2):
        benchmark.setup(label, "liar")
        benchmark.time_fit(label, "liar")
        benchmark.teardown(label, "liar")
    benchmark.setup(label, "liar")
    benchmark.time_fit(label, "liar")
    with pytest.raises(WrongAnswerError):
        benchmark.teardown(label, "liar")


@pytest.mark.parametrize(
    ("liar", "words"),
    [
        (Centres, "failed: ValueError: "),
        (WritesPastTheFlags, "wrong answer: liar: wrote to its input"),
    ],
)
@pytest.mark.parametrize("pattern", ["fit float64 400x100", "transform float64 400x*"])
def test_who_writes_to_its_input_is_named_and_nobody_else(
    liar, words, pattern, monkeypatch
):
    results = compare(monkeypatch, liar, pattern)
    assert results["liar"].note.startswith(words)
    assert {name for name, each in results.items() if each.outcome} == {"liar"}
    assert results[BASELINE].ratio.median == 1.0


def test_one_that_fails_does_not_end_the_run(monkeypatch):
    class Raises(StandardScaler):
        def fit(self, X, y=None, sample_weight=None):
            raise ZeroDivisionError("by zero")

    results = compare(monkeypatch, Raises, "fit float64 400x100")
    assert results["liar"].note == "failed: ZeroDivisionError: by zero"
    assert results["liar"].outcome == "failed"
    assert results["skbn-numpy"].seconds > 0


def test_nothing_is_compared_to_a_wrong_baseline(monkeypatch):
    wrong = contender(wrong_in_run(3), BASELINE)
    listed = [each for each in CONTENDERS if each.name != BASELINE]
    monkeypatch.setattr(contenders, "CONTENDERS", [wrong, *listed])
    monkeypatch.setenv("SKBN_BENCH_PROFILE", "fast")
    row = quick.chosen(["fit float64 400x100"])[0]
    baseline, other = quick.run([row], ["skbn-numpy"])

    if baseline.contender != BASELINE:
        baseline, other = other, baseline
    assert baseline.outcome == "wrong"
    assert other.seconds > 0
    assert other.ratio is None


def test_the_baseline_and_the_limit_are_warmed(monkeypatch):
    """What is slow the first time is slow in none of the rounds."""
    slow, first = 0.5, {"baseline": True, "limit": True}

    def waiting(what, function):
        def run(*arguments):
            if first.pop(what, False):
                time.sleep(slow)
            return function(*arguments)

        return run

    fit, read = StandardScaler.fit, bandwidth.ReadLimit.run
    monkeypatch.setattr(StandardScaler, "fit", waiting("baseline", fit))
    monkeypatch.setattr(bandwidth.ReadLimit, "run", waiting("limit", read))
    monkeypatch.setattr(bandwidth, "best_kernel", lambda: np.add.reduce)
    monkeypatch.setenv("SKBN_BENCH_PROFILE", "fast")
    taken = []
    result = quick.result
    monkeypatch.setattr(
        quick, "result", lambda *given: taken.append(given[3]) or result(*given)
    )
    row = quick.chosen(["fit float64 400x100"])[0]
    (found,) = quick.run([row], [BASELINE])

    assert not first
    assert found.rounds >= 7
    for name in (BASELINE, quick.LIMIT):
        assert len(taken[0][name]) == found.rounds
        assert max(taken[0][name]) < slow


@pytest.mark.parametrize("name", WORKLOADS)
def test_two_sets_of_values_take_turns_in_the_same_arrays(name):
    data = WORKLOADS[name].at(PROFILES["fast"]).make()
    X, values = data.X, data.owners[0]
    first = values.copy()
    data.show(1)
    second = values.copy()
    assert not (first == second).any()
    data.show(1)
    assert values.tobytes() == second.tobytes()
    data.show(2)
    assert values.tobytes() == first.tobytes()
    assert data.X is X
    assert not data.changed


@pytest.mark.parametrize("name", ["dense", "fortran", "uint8", "weighted", "csr"])
def test_nobody_may_write_to_the_data(name):
    data = WORKLOADS[name].at(PROFILES["fast"]).make()
    for each in data.owners:
        with pytest.raises(ValueError, match="read-only"):
            each[...] = 0
    if name != "csr":
        with pytest.raises(ValueError, match="WRITEABLE"):
            data.X.flags.writeable = True


@pytest.mark.parametrize("name", ["dense", "fortran", "uint8", "weighted", "csr"])
def test_what_was_written_is_seen_and_undone(name):
    data = WORKLOADS[name].at(PROFILES["fast"]).make()
    for turn in range(2):
        data.show(turn)
        for each in data.owners:
            right = each.copy()
            ctypes.memset(each.ctypes.data, 77, each.itemsize)
            assert data.changed
            data.restore()
            assert not data.changed
            np.testing.assert_array_equal(each, right)


@pytest.mark.parametrize("spoil", [np.negative, np.flipud, np.sort])
def test_all_that_may_be_written_is_seen(spoil):
    """Even what leaves sums, or sizes, as they were."""
    X = np.random.default_rng(0).standard_normal((4096, 2))
    data = Data(Workload(*X.shape), X)
    X.flags.writeable = True
    X[...] = spoil(X.copy())
    assert data.changed
