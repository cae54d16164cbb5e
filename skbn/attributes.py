"""Fitted attributes, read from the running statistics when they are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import _check_n_features

from skbn import engines
from skbn.affine import scale_of
from skbn.running import Running
from skbn.validation import check_batch, check_image, infinity_error


class RunningAttributes:
    """What a transformer with running statistics in ``_running`` shows of them."""

    engine: str
    n_threads: int | None
    with_mean: bool
    with_std: bool
    ddof: int
    epsilon: float
    _running: Running

    @property
    def mean_(self) -> NDArray[np.float64] | None:
        """Running mean of each feature; None without ``with_mean`` and ``with_std``."""
        running = self._fitted("mean_")
        if not (self.with_mean or self.with_std):
            return None
        return running.statistics(self.ddof)[0][0]

    @property
    def var_(self) -> NDArray[np.float64] | None:
        """Running variance of each feature; None without ``with_std``."""
        running = self._fitted("var_")
        return running.statistics(self.ddof)[1] if self.with_std else None

    @property
    def scale_(self) -> NDArray[np.float64] | None:
        """What each feature is divided by; None without ``with_std``."""
        self._fitted("scale_")
        return self._scale() if self.with_std else None

    @property
    def n_samples_seen_(self) -> int | float | NDArray[Any]:
        """Rows, or sum of weights, seen; an array where features differ."""
        return self._fitted("n_samples_seen_").n_samples

    @property
    def n_batches_seen_(self) -> int:
        """Number of batches seen."""
        return self._fitted("n_batches_seen_").n_batches

    def _scale(self) -> NDArray[np.float64]:
        (mean, _), variance = self._running.statistics(self.ddof)
        n_samples = self._running.n_samples
        return scale_of(mean, variance, n_samples, self.epsilon, centred=self.with_mean)

    def _fitted(self, attribute: str) -> Running:
        running = self.__dict__.get("_running")
        if running is None:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {attribute!r} "
                "before it is fitted"
            )
        return running

    def _checked(self, X: Any, *, reset: bool, names: bool = True) -> Any:
        """Return X checked, an array or a container that an engine reads.

        ``names`` says whether those of the features are compared.
        """
        if type(X) is not np.ndarray and (reader := engines.reader(X)) is not None:
            if hasattr(reader, "check"):
                return reader.check(self, X, reset=reset, names=names)
            _check_n_features(self, X, reset=reset)
            return X
        if names:
            return check_batch(self, X, reset=reset)
        return check_image(self, X)

    def _infinity_error(self, X: Any, engine: Any) -> ValueError:
        names = getattr(self, "feature_names_in_", None)
        return infinity_error(X, engine.find_infinity(X), names)

    def __sklearn_is_fitted__(self) -> bool:
        return "_running" in self.__dict__
