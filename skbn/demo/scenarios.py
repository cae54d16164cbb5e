"""Streams of scikit-learn's digits, and the scalers that meet them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

from skbn.transformer import BatchNormTransformer

Array = NDArray[np.float64]


class Unnormalised:
    """A scaler that does nothing, to compare with."""

    def partial_fit(self, X: Array) -> Self:
        """Learn nothing."""
        return self

    def transform(self, X: Array) -> Array:
        """Return X itself."""
        return X


class Stream(NamedTuple):
    """Rows and labels in the order they arrive, and where the features end up."""

    X: Array
    y: NDArray[np.int_]
    level: Array  # of each feature at the end
    spread: Array


@dataclass(frozen=True)
class Scenario:
    """A stream and the scalers that meet it.

    Attributes
    ----------
    name, title : str
    make : callable
        From a random generator to a ``Stream``.
    scalers : callable
        To a dict of new scalers by their names.
    drifts : bool
        Whether the stream moves, so that the statistics of all rows are no goal.
    """

    name: str
    title: str
    make: Callable[[np.random.Generator], Stream]
    scalers: Callable[[], dict[str, Any]]
    drifts: bool = False


def _digits(generator: np.random.Generator, offset: float = 0.0) -> Stream:
    X, y = load_digits(return_X_y=True)
    order = generator.permutation(len(X))
    return Stream(X[order] + offset, y[order], X.mean(axis=0) + offset, X.std(axis=0))


def _drifting(generator: np.random.Generator) -> Stream:
    """Digits from a noisy sensor whose level rises by 16 and whose gain halves."""
    still = _digits(generator)
    time = np.linspace(0.0, 1.0, len(still.X))[:, None]
    noise = generator.standard_normal(still.X.shape)
    X = still.X * (1.0 - 0.5 * time) + 16.0 * time + noise
    return Stream(X, still.y, 0.5 * still.level + 16.0, np.hypot(0.5 * still.spread, 1))


def _scalers() -> dict[str, Any]:
    return {
        "skbn": BatchNormTransformer(),
        "StandardScaler": StandardScaler(),
        "not normalised": Unnormalised(),
    }


def _forgetting_scalers() -> dict[str, Any]:
    return {
        "halflife=200": BatchNormTransformer(halflife=200),
        "momentum=0.1": BatchNormTransformer(momentum=0.1),
        "cumulative": BatchNormTransformer(),
        "StandardScaler": StandardScaler(),
        "not normalised": Unnormalised(),
    }


SCENARIOS = (
    Scenario("digits", "Digits, values from 0 to 16", _digits, _scalers),
    *(
        Scenario("offset", f"Digits plus {o:g}", partial(_digits, offset=o), _scalers)
        for o in (1.7e12, 1e14)
    ),
    Scenario(
        "drift",
        "Digits from a noisy sensor: its level rises by 16, its gain halves",
        _drifting,
        _forgetting_scalers,
        drifts=True,
    ),
)


def scenarios(name: str = "all") -> Iterator[Scenario]:
    """Return the scenarios of that name, or all of them."""
    return (scenario for scenario in SCENARIOS if name in ("all", scenario.name))
