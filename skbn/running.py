"""Running statistics: an immutable record of all that a stream has shown."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn import pairs
from skbn.averaging import Averaging
from skbn.moments import Moments, as_array
from skbn.pairs import Pair

Array = NDArray[np.float64]


class Running:
    """Statistics after some batches; adding one makes a new record.

    Attributes
    ----------
    averaging : Averaging
    moments : Moments
    seen : pair of float or of ndarray of shape (n_features,)
        Number of valid values, or sum of their weights.
    n_batches : int
    weighted : bool
        Whether any batch had sample weights.
    memo : dict
        What others derived from this record, and want again.
    """

    def __init__(
        self,
        averaging: Averaging,
        moments: Moments,
        seen: Pair = pairs.ZERO,
        n_batches: int = 0,
        weighted: bool = False,
    ) -> None:
        self.averaging = averaging
        self.moments = moments
        self.seen = seen
        self.n_batches = n_batches
        self.weighted = weighted
        self.memo: dict[Any, Any] = {}

    @classmethod
    def start(cls, averaging: Averaging, n_features: int) -> Running:
        """Return the statistics of an empty stream."""
        return cls(averaging, Moments.empty(n_features))

    def after(self, batch: Moments, *, weighted: bool) -> Running:
        """Return the statistics once a batch has been seen."""
        return Running(
            self.averaging,
            self.averaging.merge(self.moments, batch),
            pairs.add(self.seen, batch.weight),
            self.n_batches + 1,
            self.weighted or weighted,
        )

    @cached_property
    def n_samples(self) -> int | float | NDArray[Any]:
        """Values or weight seen: one number if the same for all features."""
        seen = self.seen[0]
        if not isinstance(seen, float):
            if (seen != seen[0]).any():
                return seen.copy() if self.weighted else seen.astype(np.int64)
            seen = float(seen[0])
        return seen if self.weighted else int(seen)

    @cached_property
    def mean(self) -> tuple[Array, Array]:
        """Mean of each feature as a pair; NaN where nothing was seen."""
        high, low = self.moments.mean
        nothing = self._weight == 0.0
        return np.where(nothing, np.nan, high), np.where(nothing, 0.0, low)

    def variance(self, ddof: int) -> Array:
        """Variance of each feature; NaN where the weight is not above ddof."""
        weight, variance = self._weight, self.moments.variance[0]
        with np.errstate(all="ignore"):
            if ddof:
                variance = variance * (weight / (weight - ddof))
            return np.where(weight > ddof, variance, np.nan)

    @cached_property
    def _weight(self) -> Array:
        return as_array(self.moments.weight[0], self.moments.values[0].shape[1])
