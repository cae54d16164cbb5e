"""Fitted attributes, read from the running statistics when they are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import _check_n_features

from skbn import engines
from skbn.affine import constant_features, scale_of
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
    # An empty array of the library and device of the data, where not NumPy's: what
    # scikit-learn's conversion of estimators moves.
    _space: Any

    @property
    def mean_(self) -> NDArray[np.float64] | None:
        """Running mean of each feature; None without ``with_mean`` and ``with_std``."""
        running = self._fitted("mean_")
        if not (self.with_mean or self.with_std):
            return None
        return self._shown(running.statistics(self.ddof)[0][0])

    @property
    def var_(self) -> NDArray[np.float64] | None:
        """Running variance of each feature; None without ``with_std``."""
        running = self._fitted("var_")
        if not self.with_std:
            return None
        return self._shown(running.statistics(self.ddof)[1])

    @property
    def scale_(self) -> NDArray[np.float64] | None:
        """What each feature is divided by; None without ``with_std``."""
        self._fitted("scale_")
        return self._shown(self._scale()) if self.with_std else None

    @property
    def constant_features_(self) -> NDArray[np.bool_] | None:
        """Whether the spread of a feature is rounding noise, and not divided by."""
        running = self._fitted("constant_features_")
        if not self.with_std:
            return None
        (mean, _), variance = running.statistics(self.ddof)
        constant = constant_features(
            mean, variance, running.n_samples, centred=self.with_mean
        )
        return self._shown(constant & (self.epsilon == 0))

    @property
    def n_samples_seen_(self) -> int | float | NDArray[Any]:
        """Rows, or sum of weights, seen; an array where features differ."""
        seen = self._fitted("n_samples_seen_").n_samples
        return self._shown(seen) if isinstance(seen, np.ndarray) else seen

    @property
    def n_batches_seen_(self) -> int:
        """Number of batches seen."""
        return self._fitted("n_batches_seen_").n_batches

    def _shown(self, values: NDArray[Any]) -> Any:
        """The values as an array of the library and device that ``fit`` saw."""
        space = self.__dict__.get("_space")
        if space is None:
            return values
        return engines.load("array_api").like(values, space)

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
        if reset:
            self.__dict__.pop("_space", None)
        elif "_space" in self.__dict__:
            engines.load("array_api").refuse_other(self, X, self._space)
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
