"""Time of an import and of a first call, each in a new interpreter."""

from benchmarks import contenders, subprocesses
from benchmarks.operations import Fit
from benchmarks.workloads import Workload

SMALL = Workload(256, 64)
# At the end of the path, so that the skbn that asv installed comes first.
FIND_BENCHMARKS = f"""
import sys
sys.path.append({str(subprocesses.ROOT)!r})
import numpy
from benchmarks import first_calls
"""


class _InNewInterpreter:
    param_names = ("contender",)
    params = (contenders.names("fit"),)
    timeout = 120
    number = 1
    repeat = (2, 5, 10.0)
    rounds = 1
    warmup_time = 0

    def setup(self, contender):
        # Skips what is not there; compiles what is cached on disk.
        fit = Fit(contenders.by_name(contender), SMALL.make())
        fit.renew()
        fit.run()


class Import(_InNewInterpreter):
    def timeraw_import(self, contender):
        return f"import {contenders.by_name(contender).module}"


class FirstCall(_InNewInterpreter):
    """With its import, after NumPy's, as in a program that has data."""

    def timeraw_first_call(self, contender):
        call = f"first_calls.call({contender!r}, ['partial_fit'])"
        return call, FIND_BENCHMARKS
