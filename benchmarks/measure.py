"""Interleaved timing, and what it says: medians and quartiles of ratios.

A machine that is shared speeds up and slows down by the second. Contenders that take
turns meet the same machine, so the ratio of two runs of one round says more than the
ratio of two medians.
"""

import gc
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter
from typing import Protocol

Times = dict[str, list[float]]
# Rounds go on until both quartiles are within this share of the median.
CLOSE = 0.1


class Timed(Protocol):
    """Something to time."""

    calls: int
    # Whether it takes no further part.
    out: bool

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

    @property
    def settled(self) -> bool:
        return (
            (1 - CLOSE) * self.median <= self.q1 <= self.q3 <= (1 + CLOSE) * self.median
        )


def summary(values: list[float]) -> Summary:
    """Median and quartiles, of one value or more."""
    if len(values) == 1:
        return Summary(values[0], values[0], values[0])
    q1, _, q3 = quantiles(values, n=4, method="inclusive")
    return Summary(median(values), q1, q3)


def ratios(of: list[float], to: list[float]) -> list[float]:
    """Round by round."""
    return [a / b for a, b in zip(of, to, strict=True)]


def ratio(of: list[float], to: list[float]) -> Summary:
    """Summary of the ratios, round by round."""
    return summary(ratios(of, to))


def interleave(
    timed: Mapping[str, Timed],
    *,
    seconds: float,
    rounds: tuple[int, float] = (7, math.inf),
    against: str | None = None,
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
        The least and the most. Between them rounds go on until quartiles are close.
    against : str, optional
        Whose times the others are compared to: their ratios settle, not their times.
    clock : callable
        Returns seconds.

    Returns
    -------
    dict
        Of those that are not out; all have taken part in each round.
    """
    least, most = rounds
    names = list(timed)
    times: Times = {name: [] for name in names}
    for each in timed.values():
        _time(each, clock)
    start, done = clock(), 0
    while done < most:
        names = [name for name in names if not timed[name].out]
        times = {name: times[name] for name in names}
        enough = clock() - start >= seconds or _settled(times, against)
        if not names or (done >= least and enough):
            break
        turn = done % len(names)
        for name in names[turn:] + names[:turn]:
            times[name].append(_time(timed[name], clock))
        done += 1
    return {name: each for name, each in times.items() if not timed[name].out}


def _settled(times: Times, against: str | None) -> bool:
    """Whether more rounds would say little more."""
    if not all(times.values()):
        return False
    reference = times.get(against or "")
    others = [each for each in times.values() if each is not reference]
    if reference is None or not others:
        return all(summary(each).settled for each in times.values())
    return all(ratio(reference, each).settled for each in others)


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
