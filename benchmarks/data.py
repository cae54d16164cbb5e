"""The data that contenders are given: two sets of values by turns, in the same arrays.

Whatever a contender has stored of an array is wrong the next time that it sees it, and
the second set takes no memory.
"""

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse

if TYPE_CHECKING:
    from benchmarks.workloads import Workload


@dataclass(eq=False)
class Data:
    """The data of a workload, in arrays that nobody else may write to.

    The first set of values is what ``X`` held; the second is that times -2, or integers
    with their bits inverted. No digit is lost on the way there and back.
    """

    workload: "Workload"
    X: Any
    weights: Any = None
    # What has been computed of each set, which others may share.
    known: dict[Any, Any] = field(default_factory=dict)
    shown: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.seed = np.random.SeedSequence().entropy
        self.owners = [*components(self.X)]
        if self.weights is not None:
            self.owners.append(self.weights)
        for each in self.owners:
            each.flags.writeable = False
        if not scipy.sparse.issparse(self.X):
            # A view cannot be made writeable by who holds it; an owner can.
            self.X = self.X.view()
        self.marks = {0: self._mark()}
        self._frame: Any = None

    @property
    def given(self) -> Any:
        """X in the container that contenders are given."""
        if self.workload.container != "polars":
            return self.X
        if self._frame is None:
            import polars as pl

            self._frame = pl.from_numpy(self.X)
        return self._frame

    @cached_property
    def batches(self) -> list[Any]:
        """X in the batches of a stream."""
        times = self.workload.batches
        return np.array_split(self.X, times) if times else []

    @cached_property
    def work(self) -> Any:
        """Room for a matrix like X, for whoever has its turn."""
        return np.empty_like(self.X)

    def show(self, turn: int) -> None:
        """Put the second set of values into the arrays in odd turns, else the first."""
        if turn % 2 == self.shown:
            return
        self.shown, self._frame = turn % 2, None
        with self._writeable():
            flip(self.owners[0], back=not self.shown)
        if self.shown not in self.marks:
            self.marks[self.shown] = self._mark()

    def once(self, name: Any, compute: Callable[[], Any]) -> Any:
        """What is computed of the set that is shown, the first time only."""
        key = self.shown, name
        if key not in self.known:
            self.known[key] = compute()
        return self.known[key]

    @property
    def changed(self) -> bool:
        """Whether somebody has written to the arrays in spite of all."""
        return self._mark() != self.marks[self.shown]

    def restore(self) -> None:
        """Undo that, for data that their workload has made."""
        fresh = self.workload.make()
        fresh.show(self.shown)
        with self._writeable():
            for each, as_made in zip(self.owners, fresh.owners, strict=True):
                np.copyto(each, as_made)

    def _mark(self) -> list[int]:
        return [zlib.crc32(each.ravel(order="K")) for each in self.owners]

    @contextmanager
    def _writeable(self) -> Iterator[None]:
        for each in self.owners:
            each.flags.writeable = True
        yield
        for each in self.owners:
            each.flags.writeable = False


def components(X: Any) -> list[Any]:
    """The arrays that hold a matrix, its values first."""
    return [X.data, X.indices, X.indptr] if scipy.sparse.issparse(X) else [X]


def flip(values: Any, *, back: bool) -> None:
    """Change from one set of values to the other, where they are."""
    if values.dtype.kind == "f":
        np.multiply(values, -0.5 if back else -2.0, out=values)
    else:
        np.invert(values, out=values)
