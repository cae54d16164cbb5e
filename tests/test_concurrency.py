"""One transformer and several threads: no batch is lost, no result is of two states."""

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier, Event

import numpy as np
import pytest
from exact import assert_exact

from skbn import BatchNormTransformer, transformer


@pytest.fixture(autouse=True)
def _threads_take_turns_often():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def together(*functions):
    """Call the functions at the same time, and raise what they raise."""
    start = Barrier(len(functions))

    def call(function):
        start.wait()
        return function()

    with ThreadPoolExecutor(len(functions)) as pool:
        return list(pool.map(call, functions))


@pytest.mark.parametrize("average", [{}, {"momentum": 0.1}, {"halflife": 100.0}])
@pytest.mark.parametrize("fitted", [True, False])
def test_no_batch_of_several_writers_is_lost(average, fitted):
    scaler = BatchNormTransformer(**average)
    X = np.random.default_rng(0).normal(size=(4, 300, 2))
    if fitted:
        scaler.fit(X[0, :10])

    def writer(rows):
        return lambda: [scaler.partial_fit(row[None]) for row in rows]

    together(*map(writer, X))
    assert scaler.n_samples_seen_ == 1200 + 10 * fitted
    assert scaler.n_batches_seen_ == 1200 + fitted
    if not average and not fitted:
        assert_exact(scaler, X.reshape(-1, 2))


def test_attributes_may_be_added_while_they_are_looked_through(monkeypatch):
    scaler = BatchNormTransformer()

    class Names(tuple):
        def __contains__(self, name):
            scaler.added_by_another_thread = True
            return super().__contains__(name)

    monkeypatch.setattr(transformer, "FITTED", Names(transformer.FITTED))
    assert scaler.partial_fit([[1.0]]).n_samples_seen_ == 1


def test_a_batch_that_another_overtakes_is_learnt_after_it(monkeypatch):
    """Without luck: the second batch comes while the first is being learnt."""
    scaler = BatchNormTransformer(halflife=1.0).partial_fit([[0.0]])
    learn, calls = transformer.Running.learn, []

    def overtaken(running, X, *rest):
        calls.append(X)
        if len(calls) == 1:
            scaler.partial_fit([[1.0]])
        return learn(running, X, *rest)

    monkeypatch.setattr(transformer.Running, "learn", overtaken)
    scaler.partial_fit([[2.0]])
    expected = BatchNormTransformer(halflife=1.0)
    for value in (0.0, 1.0, 2.0):
        expected.partial_fit([[value]])
    assert scaler.mean_ == expected.mean_
    assert scaler.n_batches_seen_ == 3


def test_merges_and_batches_at_the_same_time():
    scaler = BatchNormTransformer().fit([[0.0]])
    others = [BatchNormTransformer().fit([[float(i)]]) for i in range(200)]
    together(
        lambda: [scaler.merge(other) for other in others],
        lambda: [scaler.partial_fit([[5.0]]) for _ in range(200)],
    )
    assert scaler.n_samples_seen_ == 401


def test_a_result_is_of_one_state():
    """Levels far apart: mean and scale of two states would give huge values."""
    low, high = np.array([[0.0], [2.0]]), np.array([[1e6], [1e6 + 4.0]])
    scaler = BatchNormTransformer(momentum=1.0).fit(low)
    done = Event()
    row = np.array([[1.0]])
    # (1 - 1) / 1 by the low level, (1 - (1e6 + 2)) / 2 by the high one.
    possible = {0.0, (1.0 - (1e6 + 2.0)) / 2.0}

    def write():
        for _ in range(1500):
            scaler.partial_fit(high).partial_fit(low)
        done.set()

    def read():
        seen = set()
        while not done.is_set():
            seen.add(scaler.transform(row).item())
        return seen

    _, seen = together(write, read)
    assert seen <= possible


def test_a_batch_between_the_mean_and_the_scale(monkeypatch):
    """Without luck: the record changes while the map is being made of it."""
    scaler = BatchNormTransformer(momentum=1.0).fit(np.array([[0.0], [2.0]]))
    statistics, calls = transformer.Running.statistics, []

    def overtaken(running, ddof):
        found = statistics(running, ddof)
        calls.append(ddof)
        if len(calls) == 1:
            scaler.partial_fit(np.array([[1e6], [1e6 + 4.0]]))
        return found

    monkeypatch.setattr(transformer.Running, "statistics", overtaken)
    assert scaler.set_params(epsilon=1e-300).transform(np.array([[3.0]])) == 2.0


def test_a_new_parameter_is_never_answered_with_the_old_map():
    scaler = BatchNormTransformer().fit(np.array([[0.0], [2.0]]))
    row = np.array([[3.0]])
    levels = {0.0: 2.0, 5.0: 7.0}  # beta, and what becomes of the row

    def change(first):
        def run():
            for _ in range(800):
                scaler.set_params(beta=first)
                scaler.transform(row)

        return run

    together(*map(change, levels))
    for beta, expected in levels.items():
        assert scaler.set_params(beta=beta).transform(row) == expected


def test_parameters_that_change_while_they_are_read(monkeypatch):
    """Without luck: another thread sets beta between two looks at the parameters."""
    scaler = BatchNormTransformer(beta=0.0).fit(np.array([[0.0], [2.0]]))
    row = np.array([[3.0]])
    scaler.set_params(beta=1.0)
    look = transformer.parameters_of

    def overtaken(of):
        found = look(of)
        monkeypatch.setattr(transformer, "parameters_of", look)
        scaler.set_params(beta=5.0)
        return found

    monkeypatch.setattr(transformer, "parameters_of", overtaken)
    assert scaler.transform(row) == 3.0
    assert scaler.transform(row) == 7.0
    assert scaler.set_params(beta=1.0).transform(row) == 3.0


def test_an_interrupt_while_the_map_is_made_leaves_no_old_one(monkeypatch):
    scaler = BatchNormTransformer().fit(np.array([[0.0], [2.0]]))
    row = np.array([[3.0]])
    assert scaler.transform(row) == 2.0
    with monkeypatch.context() as patch:

        def interrupt(*_):
            raise KeyboardInterrupt

        patch.setattr(transformer, "affine", interrupt)
        with pytest.raises(KeyboardInterrupt):
            scaler.set_params(gamma=10.0).transform(row)
    assert scaler.transform(row) == 20.0


def test_attributes_read_together_belong_together():
    scaler = BatchNormTransformer().fit([[1.0]])
    done = Event()

    def write():
        for value in range(2, 1500):
            scaler.partial_fit([[float(value)]])
        done.set()

    def read():
        seen = []
        while not done.is_set():
            seen.append(scaler.mean_.item())
        return seen

    _, means = together(write, read)
    assert all(earlier <= later for earlier, later in pairwise(means))
