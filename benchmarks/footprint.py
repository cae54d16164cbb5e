"""Memory that a fit takes beyond the data: the growth of a process's peak.

``python -m benchmarks.footprint CONTENDER`` prints it in bytes.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks import answers, contenders
from benchmarks.workloads import WORKLOADS, profile

CLEAR_REFS = Path("/proc/self/clear_refs")
STATUS = Path("/proc/self/status")


class UnknownError(RuntimeError):
    """The memory of a contender could not be measured."""


def of(contender: str) -> int:
    """Memory of a contender's fit, measured in a process of its own.

    Raises
    ------
    UnknownError
        The process failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.footprint", contender],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UnknownError((done.stderr.strip() or "no output").splitlines()[-1])
    return int(done.stdout)


def measure(contender: str) -> int:
    """Growth of this process's peak during a fit of dense data."""
    workload = WORKLOADS["dense"].at(profile())
    competitor = contenders.by_name(contender)
    adapter = competitor.create()
    growth = 0
    # The first fit loads libraries and compiles kernels.
    for rows in (max(2, workload.rows // 16), workload.rows):
        X = np.random.default_rng(0).random((rows, workload.features))
        native = adapter.prepare(X)
        before = reset_peak()
        adapter.fit(native)
        growth = peak() - before
    right = answers.statistics(X)
    if competitor.averages == "batches":
        right = answers.averages([right], len(X))
    answers.check_statistics(competitor, adapter.statistics(), right, X.dtype)
    return growth


def reset_peak() -> int:
    """Begin a new peak, where the system can; return the one to grow from."""
    if CLEAR_REFS.exists():
        CLEAR_REFS.write_text("5")
    return peak()


def peak() -> int:
    """Bytes that this process held at most."""
    if STATUS.exists():
        lines = STATUS.read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


if __name__ == "__main__":
    print(measure(sys.argv[1]))
