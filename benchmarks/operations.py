"""What is timed: one operation of one contender at one workload, and its check.

``renew`` turns to the other set of values and makes ready, ``run`` is timed, and
``check`` holds the answers of that run against the right ones. Of a stream these are
the last one and another, which is drawn anew each time and of which the contender is
not told.
"""

from typing import Any

import numpy as np

from benchmarks import answers, bandwidth
from benchmarks.answers import Statistics
from benchmarks.contenders import Contender
from benchmarks.data import Data
from benchmarks.errors import WrongAnswerError
from benchmarks.workloads import OFFSET


class Operation:
    """One operation of one contender at one workload."""

    # What the contender must be able to do, besides reading the data.
    needs: frozenset[str]
    # What memory lets one do at best.
    limit: type[bandwidth.Limit] | None = None
    calls = 1
    out = False

    def __init__(self, contender: Contender, data: Data) -> None:
        contender.require(self.needs | data.workload.needs)
        self.contender, self.data = contender, data
        # Before the first set of values.
        self.turn = -1
        # All contenders at the data draw the same numbers.
        self.random = np.random.default_rng(data.seed)
        data.show(0)
        self.new()

    def new(self) -> Any:
        """Make a new scaler in its adapter."""
        self.adapter = self.contender.create(sparse=self.data.workload.sparse)
        return self.adapter

    def renew(self) -> None:
        """Turn to the other set of values, and make ready for one run with it."""
        self.turn += 1
        self.data.show(self.turn)
        self.prepare()

    def prepare(self) -> None:
        """Take the data in the form that the library reads."""
        self.native = self.adapter.prepare(self.data.given)

    def run(self) -> None:
        raise NotImplementedError

    def check(self) -> float:
        """The error of the last answer, if all that are looked at are allowed.

        Raises
        ------
        WrongAnswerError
            One is not, or the contender wrote to its input.
        """
        self.check_input()
        return self.check_answers()

    def check_input(self) -> None:
        if self.data.changed:
            raise WrongAnswerError(f"{self.contender.name}: wrote to its input")

    def check_answers(self) -> float:
        return self.check_statistics(self.right())

    def memory_limit(self) -> bandwidth.Limit | None:
        """What memory lets one do at best with the data, to time beside."""
        workload = self.data.workload
        if self.limit is None or workload.container != "array":
            return None
        return self.limit(self.data.X)

    def right(self, seen: int | None = None) -> Statistics:
        """Right statistics of the data, or of so many batches, found once for all."""
        data = self.data
        if self.contender.averages == "rows":
            return data.once(("rows", seen), lambda: self._of_rows(seen))
        if data.batches:
            each = data.once("batches", self._of_batches)
            return answers.averages(each[:seen], data.workload.rows)
        rows = data.once(("rows", None), self._of_rows)
        return answers.averages([rows], len(data.X))

    def _of_rows(self, seen: int | None = None) -> Statistics:
        data = self.data
        X = data.X if seen is None else data.X[: seen * data.workload.rows]
        return answers.statistics(X, data.weights)

    def _of_batches(self) -> list[Statistics]:
        return [answers.statistics(batch) for batch in self.data.batches]

    def check_statistics(self, right: Statistics, found: Any = None) -> float:
        """Hold statistics, by default the adapter's, to the right ones."""
        found = self.adapter.statistics() if found is None else found
        dtype = self.data.X.dtype
        return answers.check_statistics(self.contender, found, right, dtype)

    def check_map(self, what: str, X: Any, image: Any, found: Any = None) -> float:
        """Hold an image to the statistics, by default the adapter's."""
        found = self.adapter.statistics() if found is None else found
        image = self.adapter.to_numpy(image)
        return answers.check_map(self.contender, what, X, image, found)


class Fit(Operation):
    needs = frozenset({"fit"})
    limit = bandwidth.ReadLimit

    def run(self) -> None:
        self.adapter.fit(self.native, self.data.weights)


class PartialFit(Operation):
    """A new scaler learns a stream; its first batch is not timed."""

    needs = frozenset({"partial_fit"})
    # Batches that are learnt before the clock starts.
    first = 1

    def __init__(self, contender: Contender, data: Data) -> None:
        super().__init__(contender, data)
        self.calls = len(data.batches) - self.first

    def prepare(self) -> None:
        self.new()
        self.batches = [self.adapter.prepare(batch) for batch in self.data.batches]
        # One row, which a batch may be, has no variance.
        self.seen = int(self.random.integers(2, len(self.batches)))
        PartialFit.learn(self, 0, self.first)

    def run(self) -> None:
        self.learn(self.first, self.seen)
        self.then = self.look()
        self.learn(self.seen, None)

    def learn(self, start: int, stop: int | None) -> None:
        learn = self.adapter.partial_fit
        for batch in self.batches[start:stop]:
            learn(batch)

    def look(self) -> Any:
        """The statistics now; what they are read from may change."""
        mean, variance = self.adapter.statistics()
        return np.array(mean), np.array(variance)

    def check_answers(self) -> float:
        self.check_statistics(self.right(self.seen), self.then)
        return super().check_answers()


class Fitted(Operation):
    """An operation of a scaler that has seen the first set of values."""

    def __init__(self, contender: Contender, data: Data) -> None:
        super().__init__(contender, data)
        self.learnt = self.right()
        if data.batches and "partial_fit" in contender.can:
            for batch in data.batches:
                self.adapter.partial_fit(self.adapter.prepare(batch))
            return
        native = self.adapter.prepare(data.given)
        if "fit" in contender.can:
            self.adapter.fit(native, data.weights)
        else:
            self.adapter.partial_fit(native)

    def check_map(self, what: str, X: Any, image: Any, found: Any = None) -> float:
        image_error = super().check_map(what, X, image, found)
        return max(image_error, self.check_statistics(self.learnt))


class Transform(Fitted):
    """To a new array."""

    needs = frozenset({"transform"})
    limit = bandwidth.CopyLimit

    def run(self) -> None:
        self.image = self.adapter.transform(self.native)

    def check_answers(self) -> float:
        # It is as large as the data: the next contender's takes its place.
        image, self.image = self.image, None
        return self.check_map("transform", self.data.X, image)


class TransformBatches(Fitted):
    """Batch by batch."""

    needs = frozenset({"transform"})

    def __init__(self, contender: Contender, data: Data) -> None:
        super().__init__(contender, data)
        self.calls = len(data.batches)

    def prepare(self) -> None:
        self.batches = [self.adapter.prepare(batch) for batch in self.data.batches]
        self.seen = int(self.random.integers(1, len(self.batches)))

    def run(self) -> None:
        self.then = self.map(0, self.seen)
        self.image = self.map(self.seen, None)

    def map(self, start: int, stop: int | None) -> Any:
        """The image of the last one."""
        transform = self.adapter.transform
        for batch in self.batches[start:stop]:
            image = transform(batch)
        return image

    def check_answers(self) -> float:
        batches = self.data.batches
        self.check_map("transform", batches[self.seen - 1], self.then)
        return self.check_map("transform", batches[-1], self.image)


class TransformInPlace(Fitted):
    needs = frozenset({"transform_in_place"})
    limit = bandwidth.UpdateLimit

    def prepare(self) -> None:
        self.work = self.data.work
        np.copyto(self.work, self.data.X)

    def run(self) -> None:
        self.image = self.adapter.transform_in_place(self.work)

    def check_answers(self) -> float:
        if not np.shares_memory(self.image, self.work):
            raise WrongAnswerError(f"{self.contender.name}: not in place")
        return self.check_map("transform in place", self.data.X, self.image)


class Inverse(Fitted):
    """From normalised data to the original units, in a new array."""

    needs = frozenset({"inverse"})
    limit = bandwidth.CopyLimit

    def prepare(self) -> None:
        mean, variance = self.adapter.statistics()
        normalised, self.original = self.data.work, None
        np.subtract(self.data.X, mean, out=normalised, casting="same_kind")
        np.divide(normalised, np.sqrt(variance), out=normalised, casting="same_kind")
        self.normalised = normalised.view()
        self.normalised.flags.writeable = False
        self.native = self.adapter.prepare(self.normalised)

    def run(self) -> None:
        self.original = self.adapter.inverse(self.native)

    def check_answers(self) -> float:
        original, self.original = self.adapter.to_numpy(self.original), None
        return self.check_map("inverse", original, self.normalised)


class FitTransformInPipeline(Operation):
    needs = frozenset({"pipeline"})

    def prepare(self) -> None:
        from sklearn.pipeline import Pipeline

        self.pipeline = Pipeline([("scale", self.new().scaler)])
        super().prepare()

    def run(self) -> None:
        self.image = self.pipeline.fit_transform(self.native)

    def check_answers(self) -> float:
        image, self.image = self.image, None
        image_error = self.check_map("fit_transform", self.data.X, image)
        return max(image_error, super().check_answers())


class FitTransformBatches(PartialFit):
    """Each batch of a stream is learnt, and then normalised."""

    needs = frozenset({"partial_fit", "transform"})

    def learn(self, start: int, stop: int | None) -> None:
        learn, transform = self.adapter.partial_fit, self.adapter.transform
        for batch in self.batches[start:stop]:
            learn(batch)
            self.image = transform(batch)

    def look(self) -> Any:
        self.then_image = self.image
        return super().look()

    def check_answers(self) -> float:
        batches = self.data.batches
        self.check_map("transform", batches[self.seen - 1], self.then_image, self.then)
        image_error = self.check_map("transform", batches[-1], self.image)
        return max(image_error, super().check_answers())


class Stream(FitTransformBatches):
    """Batches are learnt, normalised, and learnt by a linear classifier."""

    first = 0

    def __init__(self, contender: Contender, data: Data) -> None:
        super().__init__(contender, data)
        # A class for each row, which a linear model can learn of either set of values.
        threshold = OFFSET * data.workload.features
        self.labels = [(b.sum(axis=1) > threshold).astype(int) for b in data.batches]

    def prepare(self) -> None:
        from sklearn.linear_model import SGDClassifier

        self.classifier = SGDClassifier(random_state=0)
        super().prepare()

    def learn(self, start: int, stop: int | None) -> None:
        pairs = zip(self.batches[start:stop], self.labels[start:stop], strict=True)
        for batch, labels in pairs:
            self.adapter.partial_fit(batch)
            self.image = self.adapter.to_numpy(self.adapter.transform(batch))
            self.classifier.partial_fit(self.image, labels, classes=[0, 1])

    def check_answers(self) -> float:
        if self.classifier.score(self.image, self.labels[-1]) < 0.8:
            raise WrongAnswerError(f"{self.contender.name}: nothing was learnt")
        return super().check_answers()
