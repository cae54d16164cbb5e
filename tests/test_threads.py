"""The pool of threads: order, errors, nesting, forks."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import joblib
import pytest

import skbn
from skbn import threads

COUNTS = [1, 2, 5, None]


@pytest.mark.parametrize("n_threads", COUNTS)
@pytest.mark.parametrize("n_tasks", [0, 1, 2, 100])
def test_results_in_order(n_tasks, n_threads):
    tasks = range(n_tasks)
    assert threads.run(lambda x: x * x, tasks, n_threads) == [x * x for x in tasks]


@pytest.mark.parametrize("n_threads", COUNTS)
def test_the_first_error_in_order_is_raised(n_threads):
    def function(x):
        if x >= 3:
            raise ValueError(f"task {x}")
        return x

    with pytest.raises(ValueError, match="task 3"):
        threads.run(function, range(50), n_threads)
    assert threads.run(str, range(3), n_threads) == ["0", "1", "2"]


def test_several_threads_work_at_a_time():
    # With fewer than three threads the barrier breaks, and run raises.
    barrier = threading.Barrier(3, timeout=30)
    seen = threads.run(
        lambda _: (barrier.wait(), threading.get_ident())[1], range(3), 3
    )
    assert len(set(seen)) == 3
    assert threading.get_ident() in seen


def test_one_thread_is_the_callers():
    (seen,) = set(threads.run(lambda _: threading.get_ident(), range(5), 1))
    assert seen == threading.get_ident()


def test_tasks_may_run_tasks():
    def outer(x):
        return sum(threads.run(lambda y: x * y, range(10), 3))

    assert threads.run(outer, range(10), 3) == [45 * x for x in range(10)]


def test_callers_may_be_many():
    results = {}

    def call(name):
        results[name] = threads.run(lambda x: (name, x), range(20), 3)

    callers = [threading.Thread(target=call, args=(i,)) for i in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=60)
    assert results == {i: [(i, x) for x in range(20)] for i in range(8)}


def test_number_asked_for():
    assert threads.effective_n_threads(7) == 7
    assert threads.effective_n_threads(None) == joblib.cpu_count()


def test_a_limit_set_later_counts(monkeypatch):
    threads.effective_n_threads(None)
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert threads.effective_n_threads(None) == 1


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="no affinity on this system"
)
def test_cores_taken_away_later_count():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert threads.effective_n_threads(None) == 1
    finally:
        os.sched_setaffinity(0, before)
    assert threads.effective_n_threads(None) == joblib.cpu_count()


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_one_in_a_joblib_worker(backend):
    ask = joblib.delayed(threads.effective_n_threads)
    counts = joblib.Parallel(n_jobs=2, backend=backend)([ask(None), ask(3)])
    assert counts == [1, 3]


FORK = """
import os
from skbn import threads
threads.run(str, range(10), 3)
child = os.fork()
if child == 0:
    os._exit(threads.run(str, range(10), 3) != list("0123456789"))
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_child_has_its_own_pool():
    root = str(Path(skbn.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": root}
    subprocess.run(
        [sys.executable, "-c", FORK], check=True, timeout=60, env=environment
    )
