"""Every contender is treated alike, turn after turn."""

import time

import numpy as np
from sklearn.preprocessing import StandardScaler

from benchmarks import bandwidth, quick
from benchmarks.contenders import BASELINE


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
        quick, "result", lambda *given: taken.append(given[-1]) or result(*given)
    )
    row = quick.chosen(["fit float64 400x100"])[0]
    (found,) = quick.run([row], [BASELINE])

    assert not first
    assert found.rounds >= 7
    for name in (BASELINE, quick.LIMIT):
        assert len(taken[0][name]) == found.rounds
        assert max(taken[0][name]) < slow
