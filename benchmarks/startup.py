"""Time of an import and of a first call, each in a new interpreter."""

from pathlib import Path

from benchmarks import contenders
from benchmarks.operations import Fit
from benchmarks.workloads import Workload

ROOT = Path(__file__).parents[1]
SMALL = Workload(256, 20)

# At the end of the path, so that the skbn that asv installed comes first.
FIND_BENCHMARKS = f"""
import sys
sys.path.append({str(ROOT)!r})
"""
FIRST_FIT = """
adapter = contenders.by_name({contender!r}).create()
adapter.fit(adapter.prepare(X))
assert numpy.allclose(adapter.statistics()[0], X.mean(axis=0))
"""
DATA = """
import numpy
from benchmarks import contenders
X = numpy.random.default_rng(0).standard_normal((256, 20))
"""


class _InNewInterpreter:
    param_names = ("contender",)
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
    params = (contenders.names("fit"),)

    def timeraw_import(self, contender):
        return f"import {contenders.by_name(contender).module}"


class FirstCall(_InNewInterpreter):
    """With its import, after NumPy's, as a program's first fit."""

    params = (contenders.names("fit"),)

    def timeraw_first_fit(self, contender):
        return FIRST_FIT.format(contender=contender), FIND_BENCHMARKS + DATA
