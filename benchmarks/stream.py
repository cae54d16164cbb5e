"""Time of a stream from end to end: scaler and linear classifier learn every batch."""

from benchmarks.base import OperationBenchmark, parameters
from benchmarks.operations import Stream


class StreamIntoClassifier(OperationBenchmark):
    operation = Stream
    params = parameters(Stream, "one row", "small", "minibatch")

    def time_stream(self, workload, contender):
        self.run()
