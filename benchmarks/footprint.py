"""Memory that a fit takes beyond the data: the growth of a process's peak.

``python -m benchmarks.footprint CONTENDER LABEL`` prints it.
"""

import ctypes
import sys
from importlib.util import find_spec
from pathlib import Path

from benchmarks import contenders, subprocesses
from benchmarks.contenders import UnableError
from benchmarks.operations import Fit
from benchmarks.workloads import find

CLEAR_REFS = Path("/proc/self/clear_refs")
STATUS = Path("/proc/self/status")


def of(contender: str, workload: str) -> int:
    """Bytes that a fit takes, measured in a process of its own.

    Raises
    ------
    WrongAnswerError, FailedError
        The statistics were not those of the data, or there were none.
    UnableError
        The system tells no peak.
    """
    if not STATUS.exists() and find_spec("resource") is None:
        raise UnableError("Windows tells no peak of memory")
    return subprocesses.ask("benchmarks.footprint", contender, workload)


def measure(contender: str, workload: str) -> int:
    """Growth of this process's peak during a fit, which is then checked."""
    growth = 0
    # The first fit loads libraries and compiles kernels, those for data of this size.
    # Where the peak cannot begin anew, the first must not reach as high.
    for fraction in (1 if CLEAR_REFS.exists() else 16, 1):
        fit = Fit(contenders.by_name(contender), find(workload).part(fraction).make())
        fit.renew()
        before = reset_peak()
        fit.run()
        growth = peak() - before
    fit.check()
    return growth


def reset_peak() -> int:
    """Begin a new peak, where the system can; return the one to grow from."""
    if CLEAR_REFS.exists():
        # What an earlier fit has freed is not there for the next one.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
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
    subprocesses.answer(measure, *sys.argv[1:])
