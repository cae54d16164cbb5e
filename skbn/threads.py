"""A pool of threads for the parts of one call, shared by the whole process.

NumPy's loops and Numba's ``nogil`` kernels release the interpreter lock, so
threads are enough; nothing is pickled and nothing is spawned twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from threading import Lock, current_thread
from typing import TypeVar

import joblib
from joblib.parallel import get_active_backend

Task = TypeVar("Task")
Result = TypeVar("Result")

_pool: ThreadPoolExecutor | None = None
_pool_size = 0
_lock, _exclusive = Lock(), Lock()


def _forget_pool() -> None:
    """Threads do not survive a fork: the child starts its own, and no lock is held."""
    global _pool, _pool_size, _lock, _exclusive
    _pool, _pool_size, _lock, _exclusive = None, 0, Lock(), Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def exclusive() -> Lock:
    """Return a lock for a few assignments that belong together."""
    return _exclusive


def effective_n_threads(n_threads: int | None) -> int:
    """Number of threads to use.

    ``None`` means every core this process may use (affinity and cgroups counted),
    or one inside a worker of joblib or of Dask's clusters, where the cores are taken
    already.
    """
    if n_threads is not None:
        return n_threads
    backend, _ = get_active_backend()
    if getattr(backend, "nesting_level", 0):
        return 1
    if "Dask-Default-Threads" in current_thread().name:
        return 1
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    return _cpu_count(frozenset(cores), os.environ.get("LOKY_MAX_CPU_COUNT"))


@cache
def _cpu_count(*_may_have_changed: Hashable) -> int:
    """What joblib counts: to read the limits of cgroups takes it 50 us and more."""
    return int(joblib.cpu_count())


def run(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    n_threads: int | None = None,
) -> list[Result]:
    """Return ``[function(task) for task in tasks]``, computed by several threads.

    The calling thread works too. Results come in the order of the tasks; the
    first exception, in that order, is raised once every thread has stopped.
    """
    listed = list(tasks)
    if len(listed) <= 1 or (n := effective_n_threads(n_threads)) == 1:
        return [function(task) for task in listed]
    n_helpers = min(n, len(listed)) - 1
    results: list[Future[Result]] = [Future() for _ in listed]
    queue = iter(zip(listed, results, strict=True))
    queue_lock = Lock()

    def work() -> None:
        while True:
            with queue_lock:
                task, result = next(queue, (None, None))
            if result is None:
                return
            try:
                result.set_result(function(task))  # type: ignore[arg-type]
            except BaseException as error:  # noqa: BLE001
                result.set_exception(error)

    helpers = [_executor(n_helpers).submit(work) for _ in range(n_helpers)]
    work()
    for helper in helpers:
        # One that has not started finds nothing left to do.
        if not helper.cancel():
            helper.result()
    return [result.result() for result in results]


def _executor(size: int) -> ThreadPoolExecutor:
    global _pool, _pool_size  # noqa: PLW0603
    with _lock:
        if _pool is None or _pool_size < size:
            _pool = ThreadPoolExecutor(size, thread_name_prefix="skbn")
            _pool_size = size
        return _pool
