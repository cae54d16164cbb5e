"""A transformer of River that keeps its statistics with ``BatchNormTransformer``.

It needs River: ``python -m pip install 'skbn[river]'``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn.checks import (
    NOT_NUMBERS,
    InfinityError,
    first_not_a_number,
    infinity_error,
)
from skbn.engines.base import find_infinity
from skbn.steps import undone_on_error
from skbn.transformer import BatchNormTransformer

try:
    from river import base
    from river.utils import dataframe
except ImportError as error:
    raise ImportError(
        "skbn.river needs River: python -m pip install 'skbn[river]'"
    ) from error

Array = NDArray[Any]
# Features that came up together, and what has learnt them.
Group = tuple[tuple[Any, ...], BatchNormTransformer]


class BatchNormScaler(base.MiniBatchTransformer):
    """Standardise the features of a River stream by running means and variances.

    Parameters
    ----------
    momentum : float in (0, 1], default=None
        Weight of each call of ``learn_one`` or ``learn_many``; see
        :class:`skbn.BatchNormTransformer`, as for all parameters.
    halflife : float, default=None
        Rows after which a row weighs half as much.
    zero_debias : bool, default=True
        Whether the momentum's averages are divided by the weight gathered.
    ddof : int, default=0
        The variance is divided by the number of rows minus ``ddof``.
    epsilon : float, default=0.0
        Added to the variance.
    with_mean, with_std : bool, default=True
        Whether to subtract the mean, and to divide by the standard deviation.
    clip : float or (float, float), default=None
        Bounds of the output.
    engine : str, default="auto"
        What computes.

    Notes
    -----
    Features may come and go. A feature that a row does not have is missing there, like
    one that is NaN; one that was never learnt from is transformed to 0, as River's
    ``StandardScaler`` does. Features that come up later are kept apart from the first
    ones, so that a stream whose every row has a new feature is slow.

    One row at a time, River's own scaler, in plain Python, takes an eighth of the time;
    batches take about as long. A row or batch that is refused changes nothing.

    Examples
    --------
    >>> from skbn.river import BatchNormScaler
    >>> scaler = BatchNormScaler()
    >>> for clock in range(5):
    ...     scaler.learn_one({"clock": 1.7e12 + clock, "level": float(clock % 2)})
    >>> scaler.transform_one({"clock": 1.7e12 + 2, "level": 0.4, "new": 1.0})
    {'clock': 0.0, 'level': 0.0, 'new': 0.0}
    """

    def __init__(
        self,
        momentum: float | None = None,
        halflife: float | None = None,
        zero_debias: bool = True,
        ddof: int = 0,
        epsilon: float = 0.0,
        with_mean: bool = True,
        with_std: bool = True,
        clip: float | tuple[float, float] | None = None,
        engine: str = "auto",
    ) -> None:
        self.momentum = momentum
        self.halflife = halflife
        self.zero_debias = zero_debias
        self.ddof = ddof
        self.epsilon = epsilon
        self.with_mean = with_mean
        self.with_std = with_std
        self.clip = clip
        self.engine = engine
        self._groups: list[Group] = []

    def learn_one(self, x: dict[Any, Any]) -> None:
        """Let one row enter the statistics.

        Parameters
        ----------
        x : dict
            Numbers by the names of the features.

        Raises
        ------
        ValueError
            A value is infinite, or no number; nothing is learnt then.
        """
        self._learn(tuple(x), _row(x))

    def transform_one(self, x: dict[Any, Any]) -> dict[Any, Any]:
        """Return one row normalised.

        Parameters
        ----------
        x : dict
            Numbers by the names of the features.

        Returns
        -------
        dict
            The same features, in the same order.
        """
        values = self._transform(tuple(x), _row(x))[0]
        return dict(zip(x, values.tolist(), strict=True))

    def learn_many(self, X: Any) -> None:
        """Let a batch enter the statistics.

        Parameters
        ----------
        X : DataFrame of pandas, polars or another library that narwhals knows
            One feature a column.

        Raises
        ------
        ValueError
            A value is infinite, or no number; nothing is learnt then.
        """
        frame = dataframe.into_frame(X)
        self._learn(tuple(frame.columns), _rows(frame, np.float64))

    def transform_many(self, X: Any) -> Any:
        """Return a batch normalised.

        Parameters
        ----------
        X : DataFrame
            As for ``learn_many``.

        Returns
        -------
        DataFrame
            Of the same library, with the same columns and index; float32 where all
            columns are, else float64.
        """
        frame = dataframe.into_frame(X)
        single = all(str(dtype) == "Float32" for dtype in frame.schema.dtypes())
        rows = _rows(frame, np.float32 if single else np.float64)
        values = self._transform(tuple(frame.columns), rows)
        return dataframe.to_native_frame(values, columns=frame.columns, like=frame)

    def _learn(self, names: tuple[Any, ...], rows: Array) -> None:
        known = {name for group, _ in self._groups for name in group}
        new = tuple(name for name in names if name not in known)
        groups = [*self._groups, (new, self._new())] if new else self._groups
        learners = [transformer for _, transformer in groups]
        with _naming_infinity(names, rows), undone_on_error(learners):
            for group, transformer in groups:
                transformer.partial_fit(_arranged(group, names, rows))
        self._groups = groups

    def _transform(self, names: tuple[Any, ...], rows: Array) -> Array:
        with _naming_infinity(names, rows):
            if [names] == [group for group, _ in self._groups]:
                return self._groups[0][1].transform(rows)
            normalised = np.zeros_like(rows)
            for group, transformer in self._groups:
                here = [j for j, name in enumerate(group) if name in names]
                values = transformer.transform(_arranged(group, names, rows))
                normalised[:, [names.index(group[j]) for j in here]] = values[:, here]
            return normalised

    def _new(self) -> BatchNormTransformer:
        return BatchNormTransformer(**self._get_params())


def _row(x: dict[Any, Any]) -> Array:
    values = list(x.values())
    return _as_numbers(
        lambda: np.array([values], dtype=np.float64),
        ((name, [value]) for name, value in x.items()),
    )


def _rows(frame: Any, dtype: Any) -> Array:
    return _as_numbers(
        lambda: dataframe.to_numpy(frame, dtype),
        ((series.name, series) for series in frame.iter_columns()),
    )


def _as_numbers(
    convert: Callable[[], Array], columns: Iterable[tuple[Any, Iterable[Any]]]
) -> Array:
    """Return what ``convert`` makes of columns, or name what is no number in them."""
    try:
        return convert()
    except NOT_NUMBERS as error:
        for name, values in columns:
            row = first_not_a_number(values)
            if row is not None:
                raise ValueError(f"{error} (feature {name!r}, row {row})") from error
        raise


@contextmanager
def _naming_infinity(names: tuple[Any, ...], rows: Array) -> Iterator[None]:
    """Name a feature as the stream does, not by its place in a group."""
    try:
        yield
    except InfinityError:
        raise infinity_error(rows, find_infinity(rows), names) from None


def _arranged(group: tuple[Any, ...], names: tuple[Any, ...], rows: Array) -> Array:
    """Return the columns of a group, NaN where there are none."""
    if group == names:
        return rows
    place = {name: j for j, name in enumerate(names)}
    arranged = np.full((len(rows), len(group)), np.nan, rows.dtype)
    for j, name in enumerate(group):
        if name in place:
            arranged[:, j] = rows[:, place[name]]
    return arranged
