"""Displays of running statistics; matplotlib, the extra ``plot``, is loaded by need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from skbn.transformer import BatchNormTransformer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

# Averages of one pace lie on top of each other: dashes let the lower one show.
LINE_STYLES = ("-", (0, (6, 3)), (0, (2, 2)), "-.")


class Track(NamedTuple):
    """A mean and a standard deviation after each batch, shape (n_batches,) each."""

    mean: Array
    deviation: Array


@dataclass(kw_only=True, eq=False, repr=False)
class RunningStatisticsDisplay:
    """Running mean of a feature and its one-sigma band, batch by batch.

    Make one with :meth:`from_stream`.

    Parameters
    ----------
    rows : ndarray of shape (n_batches,)
        Rows seen after each batch.
    tracks : dict of str to Track
        For each label the running mean and standard deviation after each batch.
    batches : Track
        Mean and standard deviation of each batch alone.
    feature_name : str

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : dict of str to matplotlib Line2D
        Running means.
    bands_ : dict of str to matplotlib FillBetweenPolyCollection
        One standard deviation around them.
    batches_ : matplotlib ErrorbarContainer or None
        The batches themselves.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from skbn import BatchNormTransformer
    >>> from skbn.plotting import RunningStatisticsDisplay
    >>> stream = [np.array([[level], [level + 2.0]]) for level in range(20)]
    >>> averages = {
    ...     "cumulative": BatchNormTransformer(),
    ...     "half-life 10": BatchNormTransformer(halflife=10),
    ... }
    >>> display = RunningStatisticsDisplay.from_stream(
    ...     averages, stream, ax=Figure().subplots()
    ... )
    >>> display.rows[-1].item(), display.tracks["cumulative"].mean[-1].item()
    (40, 10.5)
    >>> list(display.lines_)
    ['cumulative', 'half-life 10']
    """

    rows: NDArray[np.int64]
    tracks: dict[str, Track]
    batches: Track
    feature_name: str

    @classmethod
    def from_stream(
        cls,
        estimators: Any,
        batches: Iterable[Any],
        *,
        feature: int | str = 0,
        ax: Axes | None = None,
        show_batches: bool = True,
        line_kw: Mapping[str, Any] | None = None,
        band_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Stream batches through clones of estimators and plot what they believe.

        Parameters
        ----------
        estimators : estimator, list of estimators, or dict of str to estimator
            With ``partial_fit``, ``mean_`` and ``var_``. They are cloned, so those
            given do not change. Keys of a dict are labels; otherwise an estimator
            is labelled by its parameters.
        batches : iterable of array-like of shape (n_samples, n_features)
            Read once, one batch at a time.
        feature : int or str, default=0
            Feature to plot: its position, or its name in a data frame.
        ax, show_batches, line_kw, band_kw
            As for :meth:`plot`.

        Returns
        -------
        display : RunningStatisticsDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        ValueError
            There is no batch, no estimator, or no such feature.
        """
        _import_pyplot()  # before the stream is used up
        display = cls._watch(_labelled(estimators), batches, feature)
        return display.plot(
            ax, show_batches=show_batches, line_kw=line_kw, band_kw=band_kw
        )

    @classmethod
    def _watch(
        cls, estimators: dict[str, Any], batches: Iterable[Any], feature: int | str
    ) -> Self:
        rows: list[int] = []
        alone: list[tuple[float, float]] = []
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in estimators}
        for batch in batches:
            fitted = BatchNormTransformer().fit(batch)
            column = _position(feature, fitted)
            alone.append(_belief(fitted, column))
            rows.append(np.shape(batch)[0])
            for name, estimator in estimators.items():
                seen[name].append(_belief(estimator.partial_fit(batch), column))
        if not rows:
            raise ValueError("The stream has no batch, so there is nothing to plot.")
        return cls(
            rows=np.cumsum(rows),
            tracks={name: Track(*np.array(seen[name]).T) for name in seen},
            batches=Track(*np.array(alone).T),
            feature_name=str(fitted.get_feature_names_out()[column]),
        )

    def plot(
        self,
        ax: Axes | None = None,
        *,
        show_batches: bool = True,
        line_kw: Mapping[str, Any] | None = None,
        band_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the running means, their bands and, behind them, the batches.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure with None.
        show_batches : bool, default=True
            Whether to draw mean and standard deviation of each batch in grey.
        line_kw, band_kw : mapping, default=None
            Passed on to ``Axes.plot`` for the means and to ``Axes.fill_between``
            for the bands.

        Returns
        -------
        self : RunningStatisticsDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        plt = _import_pyplot()
        self.ax_: Axes = plt.subplots()[1] if ax is None else ax
        self.figure_ = self.ax_.figure
        self.batches_ = self._plot_batches() if show_batches else None
        self.lines_: dict[str, Any] = {}
        self.bands_: dict[str, Any] = {}
        for name in self.tracks:
            self._plot_track(name, dict(line_kw or {}), dict(band_kw or {}))
        self.ax_.set(xlabel="rows seen", ylabel=self.feature_name)
        self.ax_.margins(x=0.01)
        self.ax_.legend(frameon=False)
        return self

    def _plot_batches(self) -> Any:
        return self.ax_.errorbar(
            self.rows,
            self.batches.mean,
            yerr=self.batches.deviation,
            fmt=".",
            color="0.8",
            elinewidth=0.8,
            markersize=3,
            zorder=1,
            label="each batch, ±1σ",
        )

    def _plot_track(
        self, name: str, line_kw: dict[str, Any], band_kw: dict[str, Any]
    ) -> None:
        from matplotlib.colors import to_rgb

        mean, deviation = self.tracks[name]
        dashes = LINE_STYLES[len(self.lines_) % len(LINE_STYLES)]
        line_style: dict[str, Any] = {"label": name, "linestyle": dashes, "zorder": 3}
        (line,) = self.ax_.plot(self.rows, mean, **line_style | line_kw)
        colour = to_rgb(line.get_color())
        band_style: dict[str, Any] = {"facecolor": (*colour, 0.12), "zorder": 2}
        band_style |= {"edgecolor": (*colour, 0.6), "linestyle": dashes}
        self.lines_[name] = line
        self.bands_[name] = self.ax_.fill_between(
            self.rows, mean - deviation, mean + deviation, **band_style | band_kw
        )


def _import_pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ModuleNotFoundError as error:
        raise ImportError(
            'Plots need matplotlib: python -m pip install "skbn[plot]"'
        ) from error
    return plt


def _labelled(estimators: Any) -> dict[str, Any]:
    """Clones of the estimators by their labels."""
    if hasattr(estimators, "partial_fit"):
        estimators = [estimators]
    if not isinstance(estimators, Mapping):
        listed = list(estimators)
        estimators = {str(estimator): estimator for estimator in listed}
        if len(estimators) < len(listed):
            raise ValueError("Two estimators are equal: give a dict with labels.")
    if not estimators:
        raise ValueError("There is no estimator, so there is nothing to plot.")
    return {name: clone(estimator) for name, estimator in estimators.items()}


def _belief(estimator: Any, column: int) -> tuple[float, float]:
    """Mean and standard deviation that an estimator holds for a feature."""
    return float(estimator.mean_[column]), float(estimator.var_[column]) ** 0.5


def _position(feature: int | str, fitted: BatchNormTransformer) -> int:
    names = list(getattr(fitted, "feature_names_in_", ()))
    if feature in names:
        return names.index(feature)
    if not isinstance(feature, str) and 0 <= feature < fitted.n_features_in_:
        return feature
    raise ValueError(
        f"There is no feature {feature!r}: the batches have "
        f"{fitted.n_features_in_} features, names {names}."
    )
