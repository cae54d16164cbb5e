"""Time of ``transform`` and of its inverse."""

from benchmarks.base import OperationBenchmark, parameters
from benchmarks.operations import (
    FitTransformInPipeline,
    Inverse,
    Transform,
    TransformBatches,
    TransformInPlace,
)


class TransformMatrix(OperationBenchmark):
    operation = Transform
    params = parameters(
        Transform,
        *("dense", "fortran", "float32", "uint8", "missing", "csr", "csc", "polars"),
    )

    def time_transform(self, workload, contender):
        self.run()


class TransformMatrixInPlace(OperationBenchmark):
    operation = TransformInPlace
    params = parameters(TransformInPlace, "dense", "fortran", "float32", "missing")

    def time_transform_in_place(self, workload, contender):
        self.run()


class TransformStream(OperationBenchmark):
    operation = TransformBatches
    params = parameters(TransformBatches, "one row", "small", "minibatch", "long")

    def time_transform(self, workload, contender):
        self.run()


class InverseMatrix(OperationBenchmark):
    operation = Inverse
    params = parameters(Inverse, "dense", "fortran", "float32")

    def time_inverse_transform(self, workload, contender):
        self.run()


class FitTransformPipeline(OperationBenchmark):
    operation = FitTransformInPipeline
    params = parameters(FitTransformInPipeline, "dense", "float32", "missing", "polars")

    def time_fit_transform(self, workload, contender):
        self.run()
