"""From running statistics to normalised data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skbn import engines
from skbn.affine import Affine, affine
from skbn.attributes import RunningAttributes
from skbn.engines.base import InfinityInBlockError
from skbn.validation import check_clip, check_per_feature


class RunningMap(RunningAttributes):
    """How a transformer maps data: by its statistics and parameters of the moment."""

    gamma: Any
    beta: Any
    clip: Any
    copy: bool
    sparse_output: str
    n_features_in_: int
    _validate_params: Callable[[], None]

    def _map(self, X: Any, affine: Affine, copy: bool | None) -> Any:
        reader = engines.reader(X)
        if reader is not None and hasattr(reader, "check_map"):
            reader.check_map(self, X, affine)
        engine = engines.choose(self.engine, X, mapping=True)
        try:
            return engine.normalize(
                X,
                affine,
                copy=self.copy if copy is None else copy,
                n_threads=self.n_threads,
            )
        except InfinityInBlockError:
            raise self._infinity_error(X, engine) from None

    def _affine(self) -> Affine:
        """Return the map of ``transform``, made anew when a parameter changes."""
        memo = self._running.memo
        params = self._map_params()
        if memo.get("params") != params:
            self._validate_params()
            memo["params"] = params
        elif "affine" in memo and self.gamma is self.beta is self.clip is None:
            return memo["affine"]
        gamma = check_per_feature(self.gamma, "gamma", self.n_features_in_)
        beta = check_per_feature(self.beta, "beta", self.n_features_in_)
        key = (
            *params[:4],
            *(None if given is None else given.tobytes() for given in (gamma, beta)),
            clip := check_clip(self.clip),
        )
        if memo.get("key") != key:
            memo["affine"] = affine(
                self._running.statistics(self.ddof)[0] if self.with_mean else None,
                self._scale() if self.with_std else None,
                gamma,
                beta,
                clip,
            )
            memo["key"] = key
        return memo["affine"]

    def _map_params(self) -> tuple[Any, ...]:
        """Parameters of ``transform``, arrays by identity: to tell a change."""
        return (
            *(self.with_mean, self.with_std, self.epsilon, self.ddof),
            *(id(self.gamma), id(self.beta), id(self.clip), self.copy),
            *(self.engine, self.n_threads, self.sparse_output),
        )
