"""Time of ``fit``, from scratch, on matrices of every kind."""

from benchmarks.base import OperationBenchmark, parameters
from benchmarks.operations import Fit


class FitMatrix(OperationBenchmark):
    operation = Fit
    params = parameters(
        Fit,
        *("dense", "narrow", "wide", "fortran", "float32", "uint8"),
        *("missing", "weighted", "sparse", "csr", "csc", "polars"),
    )

    def time_fit(self, workload, contender):
        self.run()
