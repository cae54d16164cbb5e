"""What engines share: their error, and a container's engine with its defaults."""

from __future__ import annotations

from typing import Any

from skbn.affine import Affine
from skbn.moments import Moments


class InfinityInBlockError(ValueError):
    """An engine met an infinity; the caller, who knows the names, says where."""


class Reader:
    """An engine for containers, bound to the parameter ``engine``.

    Parameters
    ----------
    engine : module or object
        With ``accepts``, ``moments`` and ``normalize``.
    name : str
        The parameter: what computes, where the engine leaves a choice.
    """

    def __init__(self, engine: Any, name: str) -> None:
        self.engine, self.name = engine, name

    def moments(self, X: Any, weights: Any = None, *, n_threads: Any = None) -> Moments:
        """Moments of the rows of X."""
        return self.engine.moments(X, weights, n_threads=n_threads, engine=self.name)

    def normalize(
        self, X: Any, affine: Affine, *, copy: bool = True, n_threads: Any = None
    ) -> Any:
        """Return the image of X."""
        return self.engine.normalize(
            X, affine, copy=copy, n_threads=n_threads, engine=self.name
        )

    def rows(self, X: Any, start: int, stop: int) -> Any:
        """Return the rows from start to stop."""
        if hasattr(self.engine, "rows"):
            return self.engine.rows(X, start, stop)
        return X[start:stop]

    def find_infinity(self, X: Any) -> tuple[int, int] | None:
        """Row and column of the first infinity, where the engine tells."""
        find = getattr(self.engine, "find_infinity", None)
        return None if find is None else find(X)
