"""Correct digits of data far from zero, in batches where the contender takes them.

Larger is better, which asv does not know: it calls every larger value worse.
"""

import numpy as np

from benchmarks import answers, contenders
from benchmarks.data import Data
from benchmarks.operations import Fit, PartialFit
from benchmarks.workloads import Workload

OFFSETS = [0.0, 1e3, 1e6, 1e9, 1e12]
STREAM = Workload(32, 2, batches=32)


def operation(contender, offset):
    """A stream of normal values with that offset and a deviation of one."""
    shape = STREAM.rows * STREAM.batches, STREAM.features
    X = offset + np.random.default_rng(0).standard_normal(shape)
    able = contenders.by_name(contender)
    if "partial_fit" in able.can:
        return PartialFit(able, Data(STREAM, X))
    return Fit(able, Data(Workload(*shape), X))


def names(*needs):
    """Contenders that learn."""
    learning = {*contenders.names("fit"), *contenders.names("partial_fit")}
    return [name for name in contenders.names(*needs) if name in learning]


class _Learnt:
    param_names = ("offset", "contender")
    unit = "digits"

    def setup(self, offset, contender):
        self.operation = operation(contender, offset)
        self.operation.renew()
        self.operation.run()


class Statistics(_Learnt):
    params = (OFFSETS, names())

    def track_digits(self, offset, contender):
        """Of mean, against the root mean square, and variance: those of the worse."""
        return answers.digits(self.operation.check())


class Values(_Learnt):
    params = (
        OFFSETS,
        # Others divide by another deviation.
        [n for n in names("transform") if contenders.by_name(n).averages == "rows"],
    )

    def track_value_digits(self, offset, contender):
        """Of the worst normalised value, in standard deviations."""
        X, adapter = self.operation.data.X, self.operation.adapter
        if np.min(adapter.statistics()[1]) < 0:
            return 0.0  # Nothing can be divided by its root.
        found = adapter.to_numpy(adapter.transform(adapter.prepare(X)))
        return answers.digits(float(np.max(np.abs(found - answers.image(X)))))
