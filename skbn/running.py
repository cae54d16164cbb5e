"""Running statistics: an immutable record of all that a stream has shown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from skbn import pairs
from skbn.averaging import Averaging, Cumulative, averaging, settings_of
from skbn.moments import Combine, Moments, laid_out
from skbn.moments import combine as combine_moments
from skbn.moments import side_by_side as moments_side_by_side
from skbn.pairs import Number, Pair

Array = NDArray[np.float64]
Weights = NDArray[np.float64] | None


class Engine(Protocol):
    """What reads a batch."""

    @property
    def combine(self) -> Combine:
        """What merges moments."""

    def moments(self, X: Any, weights: Weights = None) -> Moments:
        """Moments of the rows of X."""

    def pooled(self, earlier: Moments, X: Any) -> Moments:
        """Moments of earlier rows and then X."""

    def rows(self, X: Any, start: int, stop: int) -> Any:
        """Some rows of X."""


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """Statistics after some batches; learning one makes a new record.

    Attributes
    ----------
    averaging : Averaging
    moments : Moments
        State of the averaging.
    decay_steps : float or ndarray broadcastable to (2, n_features)
        By how much this data lets what came before decay; see ``skbn.averaging``.
    seen : pair of float or of ndarray of shape (n_features,)
        Number of valid values, or sum of their weights.
    n_batches : int
    weighted : bool
        Whether any batch had sample weights.
    """

    averaging: Averaging
    moments: Moments
    decay_steps: Number = 0.0
    seen: Pair = pairs.ZERO
    n_batches: int = 0
    weighted: bool = False

    @classmethod
    def start(cls, averaging: Averaging, n_features: int) -> Running:
        """Return the statistics of an empty stream."""
        return cls(averaging, Moments.empty(n_features))

    def learn(self, X: Any, sample_weight: Weights, engine: Engine) -> Running:
        """Return the statistics once the batch X has been seen.

        Parameters
        ----------
        X : data of shape (n_samples, n_features) that the engine reads
        sample_weight : ndarray of shape (n_samples,) or None
        engine : Engine

        Raises
        ------
        InfinityInBlockError
            X holds an infinity.
        """
        n_rows, most = X.shape[0], self.averaging.max_batch_rows
        if most is not None and n_rows > most:
            whole = Running.start(self.averaging, X.shape[1])
            for part, weights in batches(X, sample_weight, most, engine):
                whole = whole.learn(part, weights, engine)
            return self.merge(replace(whole, n_batches=1), engine.combine)
        if sample_weight is None and self.averaging.is_plain:
            moments = engine.pooled(self.moments, X)
            n_batches = self.n_batches + 1
            seen, weighted = moments.weight, self.weighted
            return Running(self.averaging, moments, 0.0, seen, n_batches, weighted)
        moments, decay_steps, seen = self._of_batch(X, n_rows, sample_weight, engine)
        weighted = sample_weight is not None
        return self._then(moments, decay_steps, seen, 1, weighted, engine.combine)

    def learn_parts(
        self, parts: Iterable[tuple[Any, Weights]], engine: Engine
    ) -> Running:
        """Return the statistics once a batch has been seen that lies in parts.

        Parameters
        ----------
        parts : iterable of (X, sample_weight)
            As for ``learn``, in the order of the rows.
        engine : Engine
        """
        averaging = self.averaging
        # Where batches count, a part is none.
        inner = averaging if averaging.between else Cumulative()
        whole = Running.start(inner, self.moments.values[0].shape[1])
        n_rows = 0
        for X, weights in parts:
            whole = whole.learn(X, weights, engine)
            n_rows += X.shape[0]
        if not averaging.between:
            moments, decay_steps = averaging.from_batch(whole.moments, n_rows)
            whole = replace(whole, moments=moments, decay_steps=decay_steps)
        return self.merge(replace(whole, n_batches=1), engine.combine)

    def merge(self, later: Running, combine: Combine = combine_moments) -> Running:
        """Return the statistics of this stream and then the later one."""
        return self._then(
            later.moments,
            later.decay_steps,
            later.seen,
            later.n_batches,
            later.weighted,
            combine,
        )

    def _then(
        self,
        moments: Moments,
        decay_steps: Number,
        seen: Pair,
        n_batches: int,
        weighted: bool,
        combine: Combine,
    ) -> Running:
        averaging = self.averaging
        earlier = averaging.decayed(self.moments, decay_steps)
        return Running(
            averaging,
            combine(earlier, moments, between=averaging.between),
            self.decay_steps + decay_steps,
            pairs.add(self.seen, seen),
            self.n_batches + n_batches,
            self.weighted or weighted,
        )

    def _of_batch(
        self, X: Any, n_rows: int, sample_weight: Weights, engine: Engine
    ) -> tuple[Moments, Number, Pair]:
        """State of a batch alone, the steps that the past decays, and its weight."""
        weights = self.averaging.row_weights(n_rows)
        if weights is None:
            weights = sample_weight
        elif sample_weight is not None:
            weights = weights * sample_weight
        batch = engine.moments(X, weights)
        moments, decay_steps = self.averaging.from_batch(batch, n_rows)
        if weights is sample_weight:
            seen = batch.weight
        elif weights is not None and _is_complete(batch, weights):
            seen = _total(n_rows, sample_weight)
        else:
            # Age is not part of the weight seen.
            seen = engine.moments(X, sample_weight).weight
        return moments, decay_steps, seen

    def to_builtins(self) -> dict[str, Any]:
        """Return the record as arrays and what is built into Python, for pickles."""
        return {
            "averaging": settings_of(self.averaging),
            "weight": self.moments.weight,
            "values": self.moments.values,
            "decay_steps": self.decay_steps,
            "seen": self.seen,
            "n_batches": self.n_batches,
            "weighted": self.weighted,
        }

    @classmethod
    def from_builtins(cls, state: dict[str, Any]) -> Running:
        """Return the record of which a state was made."""
        state = state.copy()
        how = averaging(**state.pop("averaging"))
        moments = Moments(state.pop("weight"), state.pop("values"))
        return cls(how, moments, **state)

    @property
    def n_samples(self) -> int | float | NDArray[Any]:
        """Values or weight seen: one number if the same for all features."""
        seen = self.seen[0]
        if not isinstance(seen, float):
            if (seen != seen[0]).any():
                return seen.copy() if self.weighted else seen.astype(np.int64)
            seen = float(seen[0])
        return seen if self.weighted else int(seen)

    def statistics(self, ddof: int) -> tuple[tuple[Array, Array], Array]:
        """Mean as a pair and variance, read-only arrays of shape (n_features,)."""
        mean, variance = self.averaging.statistics(self.moments, self.decay_steps, ddof)
        for values in (*mean, variance):
            values.flags.writeable = False
        return mean, variance


def side_by_side(parts: list[Running]) -> Running:
    """Return the statistics of the features of all parts, in that order.

    The parts are of the same batches, each of some of their columns. It makes no
    difference whether streams are merged first or laid side by side first.
    """
    if len(parts) == 1:
        return parts[0]
    widths = [part.moments.values[0].shape[1] for part in parts]

    def joined(numbers: list[Number]) -> Number:
        first = numbers[0]
        if all(isinstance(number, float) and number == first for number in numbers):
            return first
        return laid_out(numbers, widths)

    return replace(
        parts[0],
        moments=moments_side_by_side([part.moments for part in parts]),
        decay_steps=joined([part.decay_steps for part in parts]),
        seen=(joined([p.seen[0] for p in parts]), joined([p.seen[1] for p in parts])),
    )


def batches(
    X: Any, weights: Weights, size: int, engine: Engine
) -> Iterator[tuple[Any, Weights]]:
    """Yield X in parts of ``size`` rows, each with its weights."""
    n_rows = X.shape[0]
    if size >= n_rows:
        yield X, weights
        return
    for start in range(0, n_rows, size):
        stop = min(start + size, n_rows)
        part = None if weights is None else weights[start:stop]
        yield engine.rows(X, start, stop), part


def _is_complete(batch: Moments, weights: Array) -> bool:
    """Whether no value was missing, as far as the weights tell."""
    weight, n_features = batch.weight[0], batch.values[0].shape[1]
    least = weights[weights > 0].min(initial=np.inf)
    # Without the least of the weights the sum would be another number: a pair where
    # several features have one weight.
    if isinstance(weight, float) and n_features > 1:
        return bool(least > 2.0**-98 * weights.sum())
    total = math.fsum(weights)
    return bool(least > 2.0**-51 * total and np.all(weight == total))


def _total(n_rows: int, sample_weight: Weights) -> Pair:
    if sample_weight is None:
        return float(n_rows), 0.0
    return math.fsum(sample_weight), 0.0
