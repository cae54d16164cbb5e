"""How well a linear classifier reads a stream behind each scaler.

Every batch is first predicted with what was learnt, by scaler and classifier, from
the batches before it, and then learnt from: ``skbn.pipeline.predict_then_learn``. No
part is held out, and the first batch is not scored.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import SGDClassifier
from sklearn.utils import gen_batches

from skbn.demo.scenarios import Array, Scenario, Stream
from skbn.pipeline import predict_then_learn

SHUFFLES = 3


@dataclass(frozen=True)
class Result:
    """How one scaler did, over all shuffles of a scenario.

    Attributes
    ----------
    scaler : str
    rows_seen : int
        Rows in each shuffle.
    accuracy, accuracy_std, accuracy_last_quarter : float
        Share of right predictions: mean and standard deviation over the shuffles,
        and the mean for the last quarter of the rows.
    milliseconds_per_batch : float
        Median time of ``partial_fit`` and ``transform`` of a batch.
    mean_error, variance_error : float or None
        Largest relative distance from exact rational arithmetic over the features
        that vary; None where the stream drifts, or without statistics.
    unscaled : int or None
        Features that vary and were taken for constant; None likewise.
    lag : float or None
        Distance of the running mean from the level of a feature at the end, in its
        standard deviations there: median over the features that vary.
    """

    scaler: str
    rows_seen: int
    accuracy: float
    accuracy_std: float
    accuracy_last_quarter: float
    milliseconds_per_batch: float
    mean_error: float | None = None
    variance_error: float | None = None
    unscaled: int | None = None
    lag: float | None = None


class Run(NamedTuple):
    """One scaler after one stream."""

    scaler: Any
    hits: NDArray[np.bool_]  # of the rows that were predicted
    seconds: list[float]  # of each batch


def run(
    scenario: Scenario,
    *,
    batch_size: int = 32,
    seed: int = 0,
    shuffles: int = SHUFFLES,
    advance: Callable[[], object] = lambda: None,
) -> list[Result]:
    """Stream a scenario through each of its scalers, several shuffles of it.

    Parameters
    ----------
    scenario : Scenario
    batch_size : int, default=32
        Rows in a batch; at most half of the stream.
    seed : int, default=0
        Of the shuffles and of the classifier.
    shuffles : int, default=3
        Number of streams.
    advance : callable, default: does nothing
        Called after every one of the ``n_runs(scenario, shuffles)`` runs.

    Returns
    -------
    list of Result, one a scaler

    Raises
    ------
    ValueError
        The batch size is out of range.
    """
    runs: dict[str, list[Run]] = {name: [] for name in scenario.scalers()}
    for shuffle in range(shuffles):
        stream = scenario.make(np.random.default_rng([seed, shuffle]))
        if not 1 <= batch_size <= len(stream.X) // 2:
            raise ValueError(
                f"batch_size={batch_size} must be from 1 to {len(stream.X) // 2}, "
                f"half of the {len(stream.X)} rows."
            )
        for name, scaler in scenario.scalers().items():
            runs[name].append(prequential(stream, scaler, batch_size, seed))
            advance()
    # The exact statistics of all rows do not depend on their order.
    judge = _lag(stream) if scenario.drifts else _errors(stream)
    return [_result(name, runs[name], judge, len(stream.X)) for name in runs]


def n_runs(scenario: Scenario, shuffles: int = SHUFFLES) -> int:
    """Return how often ``run`` calls ``advance``."""
    return shuffles * len(scenario.scalers())


class Reader:
    """A linear classifier behind a scaler, and the time that the scaler takes."""

    def __init__(self, scaler: Any, seed: int) -> None:
        self.scaler = scaler
        self.classifier = SGDClassifier(random_state=seed)
        self.seconds: list[float] = []

    def predict(self, X: Array) -> NDArray[np.int_]:
        """Return the digits that are read."""
        return self.classifier.predict(self.scaler.transform(X))

    def partial_fit(self, X: Array, y: NDArray[np.int_], classes: Any) -> None:
        """Let the scaler learn, and the classifier from what it makes of the batch."""
        start = perf_counter()
        normalised = self.scaler.partial_fit(X).transform(X)
        self.seconds.append(perf_counter() - start)
        self.classifier.partial_fit(normalised, y, classes=classes)


def prequential(stream: Stream, scaler: Any, batch_size: int, seed: int) -> Run:
    """Predict each batch with what came before it, then learn from it."""
    reader = Reader(scaler, seed)
    slices = gen_batches(len(stream.X), batch_size)
    batches = ((stream.X[rows], stream.y[rows]) for rows in slices)
    hits = [
        batch.predicted == batch.y
        for batch in predict_then_learn(reader, batches, classes=np.unique(stream.y))
    ]
    return Run(scaler, np.concatenate(hits), reader.seconds)


def exact_moments(column: Sequence[float]) -> tuple[Fraction, Fraction]:
    """Mean and population variance of some floats, without rounding.

    Examples
    --------
    >>> exact_moments([1.0, 1e16])[0]
    Fraction(10000000000000001, 2)
    """
    fractions = [Fraction(value) for value in column]
    return statistics.mean(fractions), statistics.pvariance(fractions)


def _errors(stream: Stream) -> Callable[[Any], dict[str, Any]]:
    """Return a function from a scaler to its distance from the exact statistics."""
    exact = [exact_moments(column) for column in stream.X.T.tolist()]
    varying = [j for j, (_, variance) in enumerate(exact) if variance]

    def relative(estimates: Array, moment: int) -> float:
        truths = [exact[j][moment] for j in varying]
        pairs = zip(estimates[varying].tolist(), truths, strict=True)
        return float(max(abs(Fraction(value) / truth - 1) for value, truth in pairs))

    def errors(scaler: Any) -> dict[str, Any]:
        return {
            "mean_error": relative(scaler.mean_, 0),
            "variance_error": relative(scaler.var_, 1),
            "unscaled": int((scaler.scale_[varying] == 1.0).sum()),
        }

    return errors


def _lag(stream: Stream) -> Callable[[Any], dict[str, Any]]:
    """Return a function from a scaler to its distance from where the stream is."""
    varying = stream.spread > 0

    def lag(scaler: Any) -> dict[str, Any]:
        away = np.abs(scaler.mean_ - stream.level)[varying] / stream.spread[varying]
        return {"lag": float(np.median(away))}

    return lag


def _result(
    name: str, runs: list[Run], judge: Callable[[Any], dict[str, Any]], n_rows: int
) -> Result:
    accuracies = [run.hits.mean() for run in runs]
    late = [run.hits[-(n_rows // 4) :].mean() for run in runs]
    judged = [judge(run.scaler) for run in runs if hasattr(run.scaler, "mean_")]
    return Result(
        scaler=name,
        rows_seen=n_rows,
        accuracy=float(np.mean(accuracies)),
        accuracy_std=float(np.std(accuracies)),
        accuracy_last_quarter=float(np.mean(late)),
        milliseconds_per_batch=1e3 * float(np.median([run.seconds for run in runs])),
        **{key: max(each[key] for each in judged) for key in (judged or [{}])[0]},
    )
