"""Engines: one folder for each way to read and normalise a kind of data.

``base`` describes what an engine is. Adding one is adding its folder: engines, tests
and benchmarks are found by listing this one. The type of the data picks the engine,
once (``reader``); for NumPy arrays, which several read, the parameter ``engine`` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn._sklearn import check_n_features
from skbn.affine import Affine
from skbn.checks import infinity_error
from skbn.engines import dense
from skbn.engines.base import InfinityInBlockError, load, names
from skbn.engines.dense import scaling
from skbn.moments import Combine, Moments
from skbn.running import Running

__all__ = [
    "Reader",
    "ReaderOfParts",
    "choose",
    "containers",
    "is_lazy",
    "load",
    "names",
    "reader",
    "scaling",
    "with_weights",
]

Array = NDArray[np.float64]

GROUP = "skbn.engines"
ALWAYS = frozenset({"auto", "numpy", "numba"})


@cache
def containers() -> dict[str, Any]:
    """Return the engines for containers: this folder's, then those of others.

    Others register a module, or an object with its functions, as an entry point of
    the group ``skbn.engines``.
    """
    # Not above: with the modules that it needs it takes 7 ms to import.
    from importlib.metadata import entry_points

    # NumPy's engine and Numba's, which takes a second to load, read arrays.
    ours = {name: load(name) for name in names() if name not in ALWAYS}
    theirs = {point.name: point.load() for point in entry_points(group=GROUP)}
    return {name: e for name, e in (ours | theirs).items() if e.CONTAINER}


def reader(X: Any, engine: str = "auto", n_threads: int | None = None) -> Reader:
    """Return the engine that reads X, with the parameters of a transformer.

    Raises
    ------
    ValueError
        There is no such engine, or it does not read X.
    """
    container = _container_of(X)
    if container is None:
        return _reader_of_arrays(engine, n_threads)
    if engine not in ALWAYS:
        _check_name(engine, is_array=False)
    return Reader(container, engine, n_threads)


def _container_of(X: Any) -> Any:
    if type(X) is np.ndarray or type(X) is list:
        return None
    return next((e for e in containers().values() if e.accepts(X)), None)


def is_lazy(X: Any) -> bool:
    """Whether X mapped is of its own kind, and not computed yet."""
    return getattr(_container_of(X), "LAZY", False)


def with_weights(X: Any, sample_weight: Any) -> Any:
    """Return X with the column of that name as weights, where its engine has such."""
    if not isinstance(sample_weight, str):
        return X
    set_apart = getattr(_container_of(X), "with_weights", None)
    return X if set_apart is None else set_apart(X, sample_weight)


def choose(name: str, X: Any, *, weighted: bool = False, mapping: bool = False) -> Any:
    """Return the engine for an array that an engine of another container has found.

    ``name`` is the parameter ``engine``. The work is moments, those of weighted rows,
    or a map.

    Raises
    ------
    ValueError
        There is no such engine, or it does not read arrays.
    """
    if name not in ALWAYS:
        _check_name(name, is_array=True)
    work = "map" if mapping else "weighted" if weighted else "moments"
    return dense.choose(name, X.dtype, X.size, work)


def _check_name(engine: str, *, is_array: bool) -> None:
    known = tuple(dict.fromkeys((*names(), *containers())))
    if engine not in known:
        raise ValueError(f"engine={engine!r} is unknown; engines are {known}.")
    if is_array:
        raise ValueError(f"engine={engine!r} does not read NumPy arrays.")


class Reader:
    """The engine for some data, with the parameters of one call.

    Parameters
    ----------
    engine : module or object
        As described above.
    name : str
        The parameter ``engine``: what computes, where the engine leaves a choice.
    n_threads : int or None
    """

    def __init__(self, engine: Any, name: str, n_threads: int | None) -> None:
        self.engine, self.name = engine, name
        self.options: dict[str, Any] = {"engine": name, "n_threads": n_threads}
        self._check = getattr(engine, "check", _check_number_of_features)
        self._check_map = getattr(engine, "check_map", None)
        self._pooled = getattr(engine, "pooled", None)
        self.reads_collections = hasattr(engine, "learn")

    @property
    def combine(self) -> Combine:
        """What merges moments; see ``dense.combine``."""
        return dense.combine(self.name)

    def check(self, estimator: Any, X: Any, *, reset: bool, names: bool = True) -> Any:
        """Return X, checked; ``reset`` sets the attributes that are else compared."""
        return self._check(estimator, X, reset=reset, names=names)

    def moments(self, X: Any, weights: Array | None = None) -> Moments:
        """Moments of the rows of X."""
        return self.engine.moments(X, weights, **self.options)

    def pooled(self, earlier: Moments, X: Any) -> Moments:
        """Moments of earlier rows and then X."""
        if self._pooled is None:
            return self.combine(earlier, self.moments(X), between=True)
        return self._pooled(earlier, X, **self.options)

    def learn(self, X: Any, sample_weight: Any, start: Running, **options: Any) -> Any:
        """Return the record of a collection."""
        return self.engine.learn(X, sample_weight, start, **options, **self.options)

    def check_map(self, estimator: Any, X: Any, affine: Affine) -> None:
        """Raise an error where X cannot be mapped so."""
        if self._check_map is not None:
            self._check_map(estimator, X, affine)

    def normalize(self, estimator: Any, X: Any, affine: Affine, *, copy: bool) -> Any:
        """Return X mapped, or an error where there is no such thing."""
        self.check_map(estimator, X, affine)
        return self.engine.normalize(X, affine, copy=copy, **self.options)

    def rows(self, X: Any, start: int, stop: int) -> Any:
        """Return the rows from start to stop."""
        if hasattr(self.engine, "rows"):
            return self.engine.rows(X, start, stop)
        return X[start:stop]

    def find_infinity(self, X: Any) -> tuple[int, int] | None:
        """Row and column of the first infinity, where the engine tells."""
        find = getattr(self.engine, "find_infinity", None)
        return None if find is None else find(X)


class ReaderOfParts:
    """What reads rows that come in parts, each by the engine for it.

    Attributes
    ----------
    reader : Reader
    present : object
        The part that is there, as its engine wants it.
    count : int
        Rows so far, the present ones included.
    names : sequence of str or None
        Of the features, for messages.
    """

    reader: Reader
    present: Any = None
    count: int = 0
    names: Any = None

    @property
    def combine(self) -> Combine:
        """What merges moments."""
        return self.reader.combine

    def moments(self, X: Any, weights: Array | None = None) -> Moments:
        """Moments of some of the present rows."""
        with self._naming_infinity():
            return self.reader.moments(X, weights)

    def pooled(self, earlier: Moments, X: Any) -> Moments:
        """Moments of earlier rows and then some of the present ones."""
        with self._naming_infinity():
            return self.reader.pooled(earlier, X)

    def rows(self, X: Any, start: int, stop: int) -> Any:
        """Return some of them."""
        return self.reader.rows(X, start, stop)

    @contextmanager
    def _naming_infinity(self) -> Iterator[None]:
        try:
            yield
        except InfinityInBlockError:
            location = self.reader.find_infinity(self.present)
            if location is not None:
                row, column = location
                location = row + self.count - self.present.shape[0], column
            raise infinity_error(self.present, location, self.names) from None


def _check_number_of_features(
    estimator: Any,
    X: Any,
    *,
    reset: bool,
    names: bool,  # noqa: ARG001
) -> Any:
    check_n_features(estimator, X, reset=reset)
    return X


@lru_cache(maxsize=64)
def _reader_of_arrays(engine: str, n_threads: int | None) -> Reader:
    if engine not in ALWAYS:
        _check_name(engine, is_array=True)
    return Reader(dense, engine, n_threads)
