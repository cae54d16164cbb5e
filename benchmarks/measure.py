"""Interleaved timing, and what it says: medians and quartiles of ratios.

A machine that is shared speeds up and slows down by the second. Contenders that take
turns meet the same machine, so the ratio of two runs of one round says more than the
ratio of two medians.
"""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter
from typing import Protocol

Times = dict[str, list[float]]


class Timed(Protocol):
    """Something to time."""

    calls: int

    def renew(self) -> None:
        """Make ready for one run; it is not timed."""

    def run(self) -> None:
        """Do ``calls`` calls."""

    def check(self) -> object:
        """Look at what the run has done; it is not timed."""


@dataclass(frozen=True)
class Summary:
    """Median and quartiles."""

    median: float
    q1: float
    q3: float


def summary(values: list[float]) -> Summary:
    """Median and quartiles, of one value or more."""
    if len(values) == 1:
        return Summary(values[0], values[0], values[0])
    q1, _, q3 = quantiles(values, n=4, method="inclusive")
    return Summary(median(values), q1, q3)


def ratio(of: list[float], to: list[float]) -> Summary:
    """Summary of the ratios, round by round."""
    return summary([a / b for a, b in zip(of, to, strict=True)])


def interleave(
    timed: Mapping[str, Timed],
    *,
    seconds: float,
    rounds: tuple[int, int] = (7, 100),
    clock: Callable[[], float] = perf_counter,
) -> Times:
    """Seconds per call of each, once a round, in an order that turns.

    Every one runs once before, unmeasured: some compile at first, some are slow. What
    a run has done is checked before the next one's turn.

    Parameters
    ----------
    timed : mapping
        What takes turns.
    seconds : float
        No new round begins after so many, checks included, once there are enough.
    rounds : (int, int)
        The least and the most.
    clock : callable
        Returns seconds.
    """
    least, most = rounds
    names = list(timed)
    times: Times = {name: [] for name in names}
    for each in timed.values():
        _time(each, clock)
    start = clock()
    for done in range(most):
        if done >= least and clock() - start >= seconds:
            break
        turn = done % len(names)
        for name in names[turn:] + names[:turn]:
            times[name].append(_time(timed[name], clock))
    return times


def _time(timed: Timed, clock: Callable[[], float]) -> float:
    timed.renew()
    with _no_garbage_collection():
        start = clock()
        timed.run()
        stop = clock()
    timed.check()
    return (stop - start) / timed.calls


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
