"""What is timed: one operation of one contender at one workload, and its check.

``renew`` makes ready and is not timed, ``run`` is, and ``check`` holds the answer of
the last run against the right one.
"""

from typing import Any

import numpy as np

from benchmarks import answers, bandwidth
from benchmarks.answers import Statistics
from benchmarks.contenders import Contender
from benchmarks.workloads import Data


class Operation:
    """One operation of one contender at one workload."""

    # What the contender must be able to do, besides reading the data.
    needs: frozenset[str]
    # What memory lets one do at best.
    limit: type[bandwidth.Limit] | None = None
    calls = 1

    def __init__(self, contender: Contender, data: Data) -> None:
        if missing := (self.needs | data.workload.needs) - contender.can:
            raise NotImplementedError(f"{contender.name}: {', '.join(sorted(missing))}")
        self.contender, self.data = contender, data
        self.native = self.new().prepare(data.given)

    def new(self) -> Any:
        """Make a new scaler in its adapter."""
        self.adapter = self.contender.create(sparse=self.data.workload.sparse)
        return self.adapter

    def renew(self) -> None:
        """Nothing to do."""

    def run(self) -> None:
        raise NotImplementedError

    def check(self) -> float:
        """The error of the last answer, if it is allowed.

        Raises
        ------
        WrongAnswerError
            It is not.
        """
        return self.check_statistics()

    def memory_limit(self) -> bandwidth.Limit | None:
        """What memory lets one do at best with the data, to time beside."""
        workload = self.data.workload
        if self.limit is None or workload.container != "array":
            return None
        return self.limit(self.data.X)

    def right(self) -> Statistics:
        """Right statistics of the data, computed once for all contenders."""
        data, kind = self.data, self.contender.averages
        if kind not in data.right:
            data.right[kind] = self._right(kind)
        return data.right[kind]

    def _right(self, kind: str) -> Statistics:
        data = self.data
        if kind == "rows":
            return answers.statistics(data.X, data.weights)
        if data.batches:
            each = [answers.statistics(batch) for batch in data.batches]
            return answers.averages(each, len(data.batches[0]))
        data.right.setdefault("rows", self._right("rows"))
        return answers.averages([data.right["rows"]], len(data.X))

    def check_statistics(self) -> float:
        found, right = self.adapter.statistics(), self.right()
        dtype = self.data.X.dtype
        return answers.check_statistics(self.contender, found, right, dtype)

    def check_map(self, what: str, X: Any, image: Any) -> float:
        found = self.adapter.statistics()
        return answers.check_map(
            self.contender, what, X, self.adapter.to_numpy(image), found
        )


class Fit(Operation):
    needs = frozenset({"fit"})
    limit = bandwidth.ReadLimit

    def run(self) -> None:
        self.adapter.fit(self.native, self.data.weights)


class PartialFit(Operation):
    """A new scaler learns a stream; its first batch is not timed."""

    needs = frozenset({"partial_fit"})

    def __init__(self, contender: Contender, data: Data) -> None:
        super().__init__(contender, data)
        self.batches = [self.adapter.prepare(batch) for batch in data.batches]
        self.calls = len(self.batches) - 1

    def renew(self) -> None:
        self.new().partial_fit(self.batches[0])

    def run(self) -> None:
        learn = self.adapter.partial_fit
        for batch in self.batches[1:]:
            learn(batch)


class Fitted(Operation):
    """An operation of a scaler that has seen the data."""

    def __init__(self, contender: Contender, data: Data) -> None:
        super().__init__(contender, data)
        if data.batches and "partial_fit" in contender.can:
            for batch in data.batches:
                self.adapter.partial_fit(self.adapter.prepare(batch))
        elif "fit" in contender.can:
            self.adapter.fit(self.native, data.weights)
        else:
            self.adapter.partial_fit(self.native)

    def check_map(self, what: str, X: Any, image: Any) -> float:
        return max(self.check_statistics(), super().check_map(what, X, image))


class Transform(Fitted):
    """To a new array."""

    needs = frozenset({"transform"})
    limit = bandwidth.CopyLimit

    def renew(self) -> None:
        self.image = None

    def run(self) -> None:
        self.image = self.adapter.transform(self.native)

    def check(self) -> float:
        return self.check_map("transform", self.data.X, self.image)


class TransformBatches(Fitted):
    """Batch by batch."""

    needs = frozenset({"transform"})

    def __init__(self, contender: Contender, data: Data) -> None:
        super().__init__(contender, data)
        self.batches = [self.adapter.prepare(batch) for batch in data.batches]
        self.calls = len(self.batches)

    def run(self) -> None:
        transform = self.adapter.transform
        for batch in self.batches:
            self.image = transform(batch)

    def check(self) -> float:
        return self.check_map("transform", self.data.batches[-1], self.image)


class TransformInPlace(Fitted):
    needs = frozenset({"transform_in_place"})
    limit = bandwidth.UpdateLimit

    def __init__(self, contender: Contender, data: Data) -> None:
        super().__init__(contender, data)
        self.work = data.X.copy(order="K")

    def renew(self) -> None:
        np.copyto(self.work, self.data.X)

    def run(self) -> None:
        self.image = self.adapter.transform_in_place(self.work)

    def check(self) -> float:
        if not np.shares_memory(self.image, self.work):
            raise answers.WrongAnswerError(f"{self.contender.name}: not in place")
        return self.check_map("transform in place", self.data.X, self.image)


class Inverse(Fitted):
    """From normalised data to the original units, in a new array."""

    needs = frozenset({"inverse"})
    limit = bandwidth.CopyLimit

    def __init__(self, contender: Contender, data: Data) -> None:
        super().__init__(contender, data)
        mean, variance = self.adapter.statistics()
        self.normalised = ((data.X - mean) / np.sqrt(variance)).astype(data.X.dtype)
        self.native = self.adapter.prepare(self.normalised)

    def renew(self) -> None:
        self.original = None

    def run(self) -> None:
        self.original = self.adapter.inverse(self.native)

    def check(self) -> float:
        return self.check_map(
            "inverse", self.adapter.to_numpy(self.original), self.normalised
        )


class FitTransformInPipeline(Operation):
    needs = frozenset({"pipeline"})

    def renew(self) -> None:
        from sklearn.pipeline import Pipeline

        self.pipeline = Pipeline([("scale", self.new().scaler)])

    def run(self) -> None:
        self.image = self.pipeline.fit_transform(self.native)

    def check(self) -> float:
        image_error = self.check_map("fit_transform", self.data.X, self.image)
        return max(image_error, self.check_statistics())


class Stream(PartialFit):
    """Batches are learnt, normalised, and learnt by a linear classifier."""

    needs = frozenset({"partial_fit", "transform"})

    def __init__(self, contender: Contender, data: Data) -> None:
        super().__init__(contender, data)
        self.calls = len(self.batches)

    def renew(self) -> None:
        from sklearn.linear_model import SGDClassifier

        self.new()
        self.classifier = SGDClassifier(random_state=0)

    def run(self) -> None:
        for batch, labels in zip(self.batches, self.data.labels, strict=True):
            self.adapter.partial_fit(batch)
            self.image = self.adapter.to_numpy(self.adapter.transform(batch))
            self.classifier.partial_fit(self.image, labels, classes=[0, 1])

    def check(self) -> float:
        last, labels = self.data.batches[-1], self.data.labels[-1]
        image_error = self.check_map("transform", last, self.image)
        if self.classifier.score(self.image, labels) < 0.8:
            raise answers.WrongAnswerError(f"{self.contender.name}: nothing was learnt")
        return max(image_error, super().check())
