"""From batches to running statistics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skbn import engines
from skbn.attributes import RunningAttributes
from skbn.averaging import Averaging, averaging
from skbn.engines.base import InfinityInBlockError
from skbn.moments import Moments
from skbn.pairs import Pair
from skbn.running import Running
from skbn.validation import check_weights

Weights = NDArray[np.float64] | None


class RunningLearner(RunningAttributes):
    """How a transformer learns: from scratch or on, and not at all on an error."""

    momentum: float | None
    halflife: float | None
    zero_debias: bool
    _validate_params: Callable[[], None]
    _affine: Callable[[], Any]
    _map_params: Callable[[], tuple[Any, ...]]

    def _fit_from_scratch(
        self,
        X: Any,
        sample_weight: Any,
        batch_size: int | None,
        *,
        partly: bool = False,
    ) -> Self:
        before = self.__dict__.copy()
        try:
            self._validate_params()
            self.__dict__.pop("_running", None)
            X = self._checked(X, reset=True)
            weights = None
            if sample_weight is not None:
                weights = check_weights(sample_weight, X.shape[0], some=not partly)
            self._averaging_used = self._averaging_asked()
            running = Running.start(self._averaging(), X.shape[1])
            self._running = self._after(running, X, weights, batch_size or X.shape[0])
            self._running.memo["params"] = self._map_params()  # checked above
            self._affine()
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        return self

    def _averaging(self) -> Averaging:
        return averaging(
            self.momentum, self.halflife, zero_debias=self.zero_debias, ddof=self.ddof
        )

    def _averaging_asked(self) -> tuple[Any, ...]:
        """Parameters that the running statistics depend on."""
        ddof = self.ddof if self.momentum is not None else None
        return self.momentum, self.halflife, self.zero_debias, ddof

    def _refuse_other_averaging(self, running: Running) -> None:
        self._validate_params()
        if (asked := self._averaging()) != running.averaging:
            raise ValueError(
                f"The averaging was changed from {running.averaging} to {asked} after "
                "fitting: call fit to start anew, or set the parameter back."
            )

    def _after(
        self,
        running: Running,
        X: Any,
        weights: NDArray[Any] | None,
        batch_size: int,
    ) -> Running:
        """Return the running statistics once the rows of X have been seen."""
        engine = engines.choose(self.engine, X, weighted=weights is not None)
        try:
            for part, its in batches(X, weights, batch_size, engine):
                running = learn(running, part, its, engine, self.n_threads)
        except InfinityInBlockError:
            raise self._infinity_error(X, engine) from None
        return running


def batches(
    X: Any, weights: Weights, size: int, engine: Any
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


def learn(
    running: Running,
    X: Any,
    sample_weight: Weights,
    engine: Any,
    n_threads: int | None,
) -> Running:
    """Return the running statistics once the batch X has been seen.

    Raises
    ------
    InfinityInBlockError
        X holds an infinity.
    """
    longest = running.averaging.longest_batch
    n_rows = X.shape[0]
    if longest is not None and n_rows > longest:
        batch_alone = Running.start(running.averaging, X.shape[1])
        for part, its in batches(X, sample_weight, longest, engine):
            batch_alone = learn(batch_alone, part, its, engine, n_threads)
        return running.merge(batch_alone.as_one_batch())
    weights = running.averaging.row_weights(n_rows)
    if weights is None:
        weights = sample_weight
    elif sample_weight is not None:
        weights = weights * sample_weight
    batch: Moments = engine.moments(X, weights, n_threads=n_threads)
    if weights is sample_weight:
        seen = batch.weight
    elif isinstance(batch.weight[0], float) and X.shape[1] > 1:
        # One number for several features: nothing is missing.
        seen = _weight_of_all(n_rows, sample_weight)
    else:
        # Age is not part of the weight seen, and features differ: some are missing.
        seen = engine.moments(X, sample_weight, n_threads=n_threads).weight
    return running.after(batch, n_rows, seen=seen, weighted=sample_weight is not None)


def _weight_of_all(n_rows: int, sample_weight: Weights) -> Pair:
    if sample_weight is None:
        return float(n_rows), 0.0
    return math.fsum(sample_weight), 0.0
