"""Time of ``partial_fit`` by size of the batches.

A sample is a whole stream, learnt by a new scaler: one call would be shorter than a
clock tells, and a second call would find another state.
"""

from benchmarks.base import OperationBenchmark, parameters
from benchmarks.operations import PartialFit


class PartialFitStream(OperationBenchmark):
    operation = PartialFit
    params = parameters(PartialFit, "one row", "small", "minibatch", "long")

    def time_partial_fit(self, workload, contender):
        self.run()
