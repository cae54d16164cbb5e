"""Running statistics: an immutable record of all that a stream has shown."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn import pairs
from skbn.averaging import Averaging
from skbn.moments import Moments
from skbn.pairs import Number, Pair

Array = NDArray[np.float64]


class Running:
    """Statistics after some batches; adding one makes a new record.

    Attributes
    ----------
    averaging : Averaging
    moments : Moments
        State of the averaging.
    span : float or ndarray broadcastable to (2, n_features)
        How far this data pushes what came before it away; see ``skbn.averaging``.
    seen : pair of float or of ndarray of shape (n_features,)
        Number of valid values, or sum of their weights.
    n_batches : int
    weighted : bool
        Whether any batch had sample weights.
    memo : dict
        What others derived from this record, and want again. What they say of the
        parameters, under "params", holds for the next record too.
    """

    def __init__(
        self,
        averaging: Averaging,
        moments: Moments,
        span: Number = 0.0,
        seen: Pair = pairs.ZERO,
        n_batches: int = 0,
        weighted: bool = False,
    ) -> None:
        self.averaging = averaging
        self.moments = moments
        self.span = span
        self.seen = seen
        self.n_batches = n_batches
        self.weighted = weighted
        self.memo: dict[Any, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """The record without what can be derived from it."""
        kept = self.__dict__ | {"memo": {}}
        kept.pop("n_samples", None)
        return kept

    @classmethod
    def start(cls, averaging: Averaging, n_features: int) -> Running:
        """Return the statistics of an empty stream."""
        return cls(averaging, Moments.empty(n_features))

    def after(
        self, batch: Moments, n_rows: int, *, seen: Pair, weighted: bool
    ) -> Running:
        """Return the statistics once a batch has been seen."""
        moments, span = self.averaging.enter(batch, n_rows)
        return self._joined(moments, span, seen, 1, weighted)

    def as_one_batch(self) -> Running:
        """Return the same statistics, counted as one batch."""
        return Running(
            self.averaging, self.moments, self.span, self.seen, 1, self.weighted
        )

    def merge(self, later: Running) -> Running:
        """Return the statistics of this stream and then the later one."""
        return self._joined(
            later.moments, later.span, later.seen, later.n_batches, later.weighted
        )

    def _joined(
        self, moments: Moments, span: Number, seen: Pair, n_batches: int, weighted: bool
    ) -> Running:
        joined = Running(
            self.averaging,
            self.averaging.merge(self.moments, moments, span),
            self.span + span,
            pairs.add(self.seen, seen),
            self.n_batches + n_batches,
            self.weighted or weighted,
        )
        if "params" in self.memo:
            joined.memo["params"] = self.memo["params"]
        return joined

    @cached_property
    def n_samples(self) -> int | float | NDArray[Any]:
        """Values or weight seen: one number if the same for all features."""
        seen = self.seen[0]
        if not isinstance(seen, float):
            if (seen != seen[0]).any():
                return seen.copy() if self.weighted else seen.astype(np.int64)
            seen = float(seen[0])
        return seen if self.weighted else int(seen)

    def statistics(self, ddof: int) -> tuple[tuple[Array, Array], Array]:
        """Mean as a pair and variance, arrays of shape (n_features,)."""
        key = "statistics", ddof
        if key not in self.memo:
            mean, variance = self.averaging.finish(self.moments, self.span, ddof)
            for values in (*mean, variance):
                # Shown as attributes: a record does not change.
                values.flags.writeable = False
            self.memo[key] = mean, variance
        return self.memo[key]
