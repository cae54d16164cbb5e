"""How a batch enters the running statistics: cumulative, momentum, half-life.

Each averaging is a merge of partial states in order. A state counts the steps by which
its data let the past decay: rows for the half-life, batches for the momentum. Merging
lets the left weight decay by the steps of the right and then adds the weights, which is
associative; the weights themselves stay between 0 and a bound, so a stream may go
on for ever.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from skbn import pairs
from skbn.moments import MEAN, UNIT, VARIANCE, Moments, nonzero, times_power
from skbn.pairs import Number, Pair

Array = NDArray[np.float64]

# What a weight fades to at least, so that a feature without newer values keeps its
# statistics for ever; and the half-lives within which a batch's weights stay above.
MIN_WEIGHT = 2.0**-960
MAX_HALFLIVES = 900


class Averaging(Protocol):
    """What a way of averaging provides; all of them are immutable.

    Attributes
    ----------
    between : bool
        Whether the variance between batches is part of that of the stream.
    is_plain : bool
        Whether the state of a stream is the moments of all of its rows.
    """

    between: ClassVar[bool]
    is_plain: ClassVar[bool]

    @property
    def max_batch_rows(self) -> int | None:
        """Rows that can be weighed at once; None for any number."""

    def row_weights(self, n_rows: int) -> Array | None:
        """Weights of a batch's rows beside their sample weights; None for ones."""

    def from_batch(self, batch: Moments, n_rows: int) -> tuple[Moments, Number]:
        """Return the state of a batch alone, and the steps that the past decays."""

    def decayed(self, moments: Moments, steps: Number) -> Moments:
        """Return a state after so many steps of newer data."""

    def statistics(
        self, moments: Moments, decay_steps: Number, ddof: int
    ) -> tuple[Pair, Array]:
        """Return the mean as a pair and the variance; NaN where there is none."""


@dataclass(frozen=True)
class Cumulative:
    """Every row counts 1, or its sample weight, for ever."""

    max_batch_rows: ClassVar[int | None] = None
    between: ClassVar[bool] = True
    is_plain: ClassVar[bool] = True

    def row_weights(self, n_rows: int) -> Array | None:
        """None: rows weigh the same."""
        return None

    def from_batch(self, batch: Moments, n_rows: int) -> tuple[Moments, Number]:
        """The batch as it is."""
        return batch, 0.0

    def decayed(self, moments: Moments, steps: Number) -> Moments:
        """The same state, for ever."""
        return moments

    def statistics(
        self, moments: Moments, decay_steps: Number, ddof: int
    ) -> tuple[Pair, Array]:
        """Mean, and variance divided by the weight minus ddof."""
        weight, variance = moments.weight[0], moments.variance
        if ddof:
            variance = _unbiased(variance, moments.weight, ddof)
        if isinstance(weight, float) and weight > ddof:  # all features are known
            return moments.mean, variance[0]
        weight = np.asarray(weight)
        known = np.where(weight > ddof, variance[0], np.nan)
        return _known(moments.mean, weight > 0), known


@dataclass(frozen=True)
class HalfLife(Cumulative):
    """A row weighs ``2**(-age / halflife)``, its age counted in rows."""

    halflife: float
    is_plain: ClassVar[bool] = False

    @property
    def max_batch_rows(self) -> int | None:  # type: ignore[override]
        """Rows whose weights are all far from the smallest number."""
        return max(1, int(min(MAX_HALFLIVES * self.halflife, 2.0**62)))

    def row_weights(self, n_rows: int) -> Array | None:
        """Weights of the rows when the last one has just come."""
        if n_rows == 1:
            return None
        return np.exp2(np.arange(1 - n_rows, 1) / self.halflife)

    def from_batch(self, batch: Moments, n_rows: int) -> tuple[Moments, Number]:
        """The batch, weighed already; it ages what came before by its rows."""
        return batch, float(n_rows)

    def decayed(self, moments: Moments, steps: Number) -> Moments:
        """The rows are so many steps older."""
        faded = pairs.multiply(moments.weight, _decay_of_halflife(self.halflife, steps))
        return moments.weighing(_at_least_min(faded, moments.weight[0]))


@dataclass(frozen=True)
class Momentum:
    """Averages over batches: the new one weighs ``momentum``, as in PyTorch.

    The variance is the average of the variances within the batches, batch norm's
    own definition, and has a weight of its own: a batch with no more than ddof
    valid rows has no variance.
    """

    momentum: float
    zero_debias: bool
    ddof: int
    max_batch_rows: ClassVar[int | None] = None
    between: ClassVar[bool] = False
    is_plain: ClassVar[bool] = False

    def row_weights(self, n_rows: int) -> Array | None:
        """None: within a batch, rows weigh the same."""
        return None

    def from_batch(self, batch: Moments, n_rows: int) -> tuple[Moments, Number]:
        """Mean and variance of the batch, each with weight ``momentum``, or none."""
        count = batch.weight[0]
        least = count if isinstance(count, float) else count.min()
        if least > self.ddof:
            used: Number = 1.0
        else:
            used = np.stack(np.broadcast_arrays(count > 0, count > self.ddof)) * 1.0
            used = used.reshape(2, -1)
        values = batch.values
        if self.ddof:
            values = values[0].copy(), values[1].copy()
            unbiased = _unbiased(batch.variance, batch.weight, self.ddof)
            values[0][VARIANCE], values[1][VARIANCE] = unbiased
        return Moments((used * self.momentum, used * 0.0), values), used

    def decayed(self, moments: Moments, steps: Number) -> Moments:
        """The batches are so many steps older."""
        factor = _momentum_decay(self.momentum, steps)
        return moments.weighing(pairs.multiply(moments.weight, factor))

    def statistics(
        self, moments: Moments, decay_steps: Number, ddof: int
    ) -> tuple[Pair, Array]:
        """The averages, or with ``zero_debias=False`` mixed with what they began at."""
        shape = moments.values[0].shape
        high, low = (np.broadcast_to(part, shape) for part in moments.weight)
        if self.zero_debias:
            known = high > 0
            unbiased = np.where(known[VARIANCE], moments.variance[0], np.nan)
            return _known(moments.mean, known[MEAN]), unbiased
        mean = _times(moments.mean, (high[MEAN], low[MEAN]))
        gathered = _times(moments.variance, (high[VARIANCE], low[VARIANCE]))
        # Not 1 less the weight gathered: where little is left, that has no digits.
        start = (
            np.broadcast_to(p, shape)
            for p in _momentum_decay(self.momentum, decay_steps)
        )
        first, rest = (part[VARIANCE] for part in start)
        return mean, pairs.add(gathered, (first, rest))[0]


def averaging(
    momentum: float | None, halflife: float | None, *, zero_debias: bool, ddof: int
) -> Averaging:
    """Return the averaging that the parameters ask for.

    Raises
    ------
    ValueError
        Both a momentum and a half-life.
    """
    if momentum is not None and halflife is not None:
        raise ValueError(
            f"momentum={momentum} and halflife={halflife} exclude each other: drop "
            "halflife to average over batches, or momentum to average over rows."
        )
    if momentum is not None:
        return Momentum(float(momentum), zero_debias, int(ddof))
    if halflife is not None:
        return HalfLife(float(min(halflife, sys.float_info.max)))
    return Cumulative()


def settings_of(how: Averaging) -> dict[str, Any]:
    """Return the arguments of ``averaging`` that give this one."""
    return {
        "momentum": getattr(how, "momentum", None),
        "halflife": getattr(how, "halflife", None),
        "zero_debias": getattr(how, "zero_debias", True),
        "ddof": getattr(how, "ddof", 0),
    }


def _unbiased(variance: Pair, weight: Pair, ddof: int) -> Pair:
    """The variance divided by the weight less ``ddof``, where that is above zero."""
    above = nonzero(pairs.subtract(weight, (float(ddof), 0.0)))
    return _times(variance, pairs.divide(weight, above))


def _times(values: Pair, factor: Pair) -> Pair:
    """The product, also of values so large that their halves are out of range."""
    with np.errstate(all="ignore"):
        product = pairs.multiply(values, factor)
        if np.isfinite(product[0]).all():
            return product
        smaller = pairs.multiply(times_power(values, -UNIT), factor)
        large = times_power(smaller, UNIT)
    endless = np.isinf(values[0]) | np.isinf(large[0])
    high = np.where(endless, values[0] * np.inf, large[0])
    low = np.where(endless, 0.0, large[1])
    unchanged = np.isfinite(product[0])
    return np.where(unchanged, product[0], high), np.where(unchanged, product[1], low)


def _at_least_min(decayed: Pair, weight: Number) -> Pair:
    """The decayed weight, or the faintest one where that is too near to zero."""
    high, low = decayed
    if isinstance(high, float):
        return decayed if high > MIN_WEIGHT or weight == 0 else (MIN_WEIGHT, 0.0)
    gone = (high <= MIN_WEIGHT) & (weight > 0)
    return np.where(gone, MIN_WEIGHT, high), np.where(gone, 0.0, low)


def _known(mean: Pair, seen: Any) -> Pair:
    return np.where(seen, mean[0], np.nan), np.where(seen, mean[1], 0.0)


def _momentum_decay(momentum: float, decay_steps: Number) -> Pair:
    """``(1 - momentum)**decay_steps`` for a number of batches, or an array of them."""
    if isinstance(decay_steps, float):
        return _decay_of_momentum(momentum, decay_steps)
    steps, index = np.unique(decay_steps, return_inverse=True)
    factors = np.array([_decay_of_momentum(momentum, n) for n in steps.tolist()])
    high, low = factors.T[:, index.reshape(decay_steps.shape)]
    return high, low


# The factors are pairs: one of 53 bits is off by 1e-16, the same way every batch,
# which adds up to 1e-10 over the million batches that a long memory remembers.
_context = Context(prec=40)


@lru_cache(maxsize=1024)
def _decay_of_momentum(momentum: float, decay_steps: float) -> Pair:
    """``(1 - momentum)**decay_steps``."""
    if decay_steps == 0:
        return pairs.ONE
    if momentum == 1:
        return pairs.ZERO
    kept = _context.subtract(Decimal(1), Decimal(momentum))
    return _as_pair(_context.power(kept, Decimal(decay_steps)))


@lru_cache(maxsize=1024)
def _decay_of_halflife(halflife: float, decay_steps: float) -> Pair:
    """``2**(-decay_steps / halflife)``."""
    half_lives = _context.divide(Decimal(-decay_steps), Decimal(halflife))
    return _as_pair(_context.power(Decimal(2), half_lives))


def _as_pair(number: Decimal) -> Pair:
    high = float(number)
    return high, float(_context.subtract(number, Decimal(high)))
