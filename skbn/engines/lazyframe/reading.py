"""The rows of a lazy table in tables that are read whole, in the order it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Part = tuple[Any, NDArray[np.float64] | None]


def tables(X: Any, size: int) -> Iterator[Any]:
    """Yield tables of polars or pyarrow, of about ``size`` rows where X lets us choose.

    What can be read neither in batches nor by Arrow's PyCapsule protocol is collected
    as a whole: so are LazyFrames by polars before 1.34.
    """
    if hasattr(X, "collect_batches"):
        yield from X.collect_batches(
            chunk_size=size, maintain_order=True, engine="streaming"
        )
    elif hasattr(X, "__arrow_c_stream__"):
        import pyarrow as pa

        for batch in pa.RecordBatchReader.from_stream(X):
            yield pa.Table.from_batches([batch])
    else:
        import narwhals as nw

        yield nw.from_native(X).collect().to_native()


def batches(
    parts: Iterator[Any], weights: NDArray[np.float64] | None, size: int | None
) -> Iterator[Iterator[Part]]:
    """Yield batches of ``size`` rows, each as the parts of tables that it lies in.

    With None there is one batch. A batch must be used up before the next.
    """
    rest = _Rest(parts, weights)
    while rest.fill():
        yield rest.take(size)


class _Rest:
    """What is left of some tables, and of the weights of their rows."""

    def __init__(
        self, parts: Iterator[Any], weights: NDArray[np.float64] | None
    ) -> None:
        self.parts, self.weights = parts, weights
        self.table: Any = None
        self.start = self.n_rows = 0

    def fill(self) -> bool:
        """Whether there are rows left; the next table is then at hand."""
        while self.table is None or self.start == self.table.shape[0]:
            self.table, self.start = next(self.parts, None), 0
            if self.table is None:
                return False
        return True

    def take(self, size: int | None) -> Iterator[Part]:
        """Yield so many rows, or all."""
        missing: float = np.inf if size is None else size
        while missing and self.fill():
            n = int(min(missing, self.table.shape[0] - self.start))
            its = None
            if self.weights is not None:
                its = self.weights[self.n_rows : self.n_rows + n]
            whole = n == self.table.shape[0]
            yield self.table if whole else self.table[self.start : self.start + n], its
            self.start, self.n_rows, missing = (
                self.start + n,
                self.n_rows + n,
                missing - n,
            )
