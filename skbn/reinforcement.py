"""Running statistics for Stable-Baselines3, kept by ``BatchNormTransformer``.

It needs Stable-Baselines3: ``python -m pip install 'skbn[reinforcement]'``.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skbn.checks import LARGEST_WEIGHT
from skbn.moments import Moments
from skbn.running import Running
from skbn.steps import is_fitted
from skbn.transformer import BatchNormTransformer

try:
    from stable_baselines3.common import running_mean_std
except ImportError as error:
    raise ImportError(
        "skbn.reinforcement needs Stable-Baselines3: "
        "python -m pip install 'skbn[reinforcement]'"
    ) from error

Array = NDArray[np.float64]


class RunningMeanStd(running_mean_std.RunningMeanStd):
    """Mean and variance of observations, in place of Stable-Baselines3's own.

    ``env.obs_rms = RunningMeanStd(shape=env.observation_space.shape)`` is all that a
    ``VecNormalize`` needs, and so it is with the wrappers of Gymnasium.

    Parameters
    ----------
    shape : tuple of int, default=()
        Of one observation; () for returns.
    halflife : float, default=None
        Observations after which one weighs half as much, for policies that change what
        they see. With None every one counts the same for ever.
    momentum : float in (0, 1], default=None
        Weight of each update, instead of a half-life.
    epsilon : float, default=1e-8
        Added to the variance in ``normalize``. (Not the weight of a made-up first
        observation, which Stable-Baselines3 calls so: there is none.)
    clip : float or (float, float), default=10.0
        Bounds of what ``normalize`` returns; None for none.
    frozen : bool, default=False
        While it is True ``update`` changes nothing: for evaluation. ``VecNormalize``
        does not call it then, if its ``training`` is False.

    Attributes
    ----------
    mean, var : ndarray of shape ``shape``, float64
        Of what was seen; 0 and 1 before.
    count : float
        Number of observations.
    transformer : BatchNormTransformer
        What keeps them, one feature for each number of an observation.

    Notes
    -----
    Stable-Baselines3 starts from 1e-4 observations of zeros, with a variance of 1.
    Where observations are far from zero that is much of the variance, for long: with a
    level of 1000 and a standard deviation of 1 it is 2 after 100 observations.

    Examples
    --------
    >>> import numpy as np
    >>> from skbn.reinforcement import RunningMeanStd
    >>> statistics = RunningMeanStd(shape=(2,))
    >>> for observations in ([[1.0, 10.0], [3.0, 50.0]], [[5.0, 30.0]]):
    ...     statistics.update(np.array(observations))
    >>> statistics.mean, statistics.count
    (array([ 3., 30.]), 3.0)
    >>> statistics.normalize(np.array([3.0, 30.0]))
    array([0., 0.])
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...] = (),
        halflife: float | None = None,
        momentum: float | None = None,
        epsilon: float = 1e-8,
        clip: float | tuple[float, float] | None = 10.0,
        frozen: bool = False,
    ) -> None:
        self.shape = tuple(shape)
        self.frozen = frozen
        self.transformer = BatchNormTransformer(
            halflife=halflife, momentum=momentum, epsilon=epsilon, clip=clip
        )

    @property
    def mean(self) -> Array:
        """Mean of each number of an observation."""
        return self._of_observation(getattr(self.transformer, "mean_", None), 0.0)

    @property
    def var(self) -> Array:
        """Variance of each number of an observation."""
        return self._of_observation(getattr(self.transformer, "var_", None), 1.0)

    @property
    def count(self) -> float:
        """Number of observations seen."""
        return float(np.max(getattr(self.transformer, "n_samples_seen_", 0.0)))

    def update(self, arr: ArrayLike) -> None:
        """Let observations enter the statistics, unless they are frozen.

        Parameters
        ----------
        arr : array-like of shape (n_observations, ...)

        Raises
        ------
        ValueError
            An observation has another shape, or an infinite number; nothing changes.
        """
        rows = self._rows(arr)
        if not self.frozen and len(rows):
            self.transformer.partial_fit(rows)

    def update_from_moments(
        self, batch_mean: ArrayLike, batch_var: ArrayLike, batch_count: float
    ) -> None:
        """Let so many observations of which these are the moments enter, as one batch.

        Parameters
        ----------
        batch_mean, batch_var : array-like of shape ``shape``
        batch_count : float

        Raises
        ------
        ValueError
            One is of another shape, not finite, or a variance or the count less than
            zero; nothing changes.
        """
        if self.frozen or not batch_count:
            return
        mean = self._moment(batch_mean, "batch_mean")
        var = self._moment(batch_var, "batch_var", least=0.0)
        if not 0 <= batch_count <= LARGEST_WEIGHT:
            raise ValueError(
                f"batch_count is {batch_count}, and must be from 0 to 2**960."
            )
        values = np.concatenate((mean, var))
        weight = float(batch_count), 0.0
        later = BatchNormTransformer(**self.transformer.get_params()).fit(values[:1])
        averaging = later._running.averaging
        batch = Moments(weight, (values, np.zeros(values.shape)))
        moments, steps = averaging.from_batch(batch, float(batch_count))
        later._running = Running(averaging, moments, steps, weight, 1, weighted=True)
        self.transformer.merge(later)

    def combine(self, other: running_mean_std.RunningMeanStd) -> None:
        """Absorb what another one has seen, as if it had come next.

        Parameters
        ----------
        other : RunningMeanStd
            Of this class, with the same parameters; or of Stable-Baselines3.
        """
        if not isinstance(other, RunningMeanStd):
            super().combine(other)
        elif not self.frozen:
            self.transformer.merge(other.transformer)

    def copy(self) -> Self:
        """Return a copy that goes its own way."""
        return deepcopy(self)

    def normalize(self, observations: ArrayLike) -> NDArray[Any]:
        """Return observations normalised, and clipped.

        Parameters
        ----------
        observations : array-like of shape (..., *shape)

        Returns
        -------
        ndarray of the same shape, float32 for float32, else float64
        """
        return self._mapped(self._fitted().transform, observations)

    def unnormalize(self, observations: ArrayLike) -> NDArray[Any]:
        """Return observations as they were before ``normalize``, but for the clipping.

        Parameters
        ----------
        observations : array-like of shape (..., *shape)

        Returns
        -------
        ndarray of the same shape, float32 for float32, else float64
        """
        return self._mapped(self._fitted().inverse_transform, observations)

    def _mapped(self, function: Any, observations: ArrayLike) -> NDArray[Any]:
        given = np.asarray(observations)
        leading = given.ndim - len(self.shape)
        rows = self._rows(given.reshape(-1, *given.shape[leading:]))
        return np.reshape(function(rows), given.shape)

    def _fitted(self) -> BatchNormTransformer:
        """The transformer, or before anything was seen one of mean 0 and variance 1."""
        if is_fitted(self.transformer):
            return self.transformer
        size = int(np.prod(self.shape, dtype=int))
        its = self.transformer
        standard = BatchNormTransformer(epsilon=its.epsilon, clip=its.clip)
        return standard.fit(np.outer([-1.0, 1.0], np.ones(size)))

    def _rows(self, observations: ArrayLike) -> NDArray[Any]:
        rows = np.asarray(observations)
        if rows.shape[1:] != self.shape:
            raise ValueError(
                f"Observations of shape {rows.shape[1:]} were given where the "
                f"statistics are of shape {self.shape}."
            )
        return rows.reshape(len(rows), int(np.prod(self.shape, dtype=int)))

    def _moment(self, given: ArrayLike, name: str, least: float = -np.inf) -> Array:
        """A mean or variance as a row; ValueErrors name it."""
        try:
            row = self._rows(np.asarray(given, dtype=np.float64)[None])
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}: {error}") from error
        wrong = row[~(np.isfinite(row) & (row >= least))]
        if wrong.size:
            wanted = "finite" if np.isinf(least) else f"finite and at least {least}"
            raise ValueError(f"{name} holds {wrong[0]}, and must be {wanted}.")
        return row

    def _of_observation(self, values: Any, before: float) -> Array:
        if values is None:
            return np.full(self.shape, before)
        return np.where(np.isnan(values), before, values).reshape(self.shape)
