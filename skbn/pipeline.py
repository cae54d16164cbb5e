"""Pipelines that learn from a stream: scikit-learn's, with ``partial_fit``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy, deepcopy
from importlib import import_module
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.metadata_routing import UNUSED

from skbn._sklearn import (
    adopt_column_transformer,
    as_table,
    check_feature_names,
    check_n_features,
    constraints_of,
    metadata_of_step,
    routing_enabled,
    select_columns,
    validate_composition,
)
from skbn.steps import (
    CannotLearnError,
    Part,
    Streaming,
    WherePartsCanLearn,
    classes_for,
    is_fitted,
    is_nothing,
    is_stateless,
    learns,
    routed,
    tell_features,
    undone_on_error,
)

__all__ = [
    "CannotLearnError",
    "Prediction",
    "StreamingColumnTransformer",
    "StreamingPipeline",
    "make_streaming_pipeline",
    "predict_then_learn",
]


class StreamingPipeline(Streaming, Pipeline):
    """A :class:`sklearn.pipeline.Pipeline` that learns batch by batch.

    Parameters
    ----------
    steps : list of (str, estimator) tuples
        As in ``Pipeline``. In ``partial_fit`` a step with ``partial_fit`` learns from
        each batch. One that is stateless (its tag ``requires_fit`` is False), frozen
        (:class:`sklearn.frozen.FrozenEstimator`), or without ``partial_fit`` and fitted
        already, transforms and learns nothing.
    learn_first : bool, default=True
        Whether ``partial_fit`` transforms a batch by statistics that include it. With
        False a step transforms the batch by what it had learnt before, and learns from
        it then, so that the next step learns from what ``transform`` would have
        returned for it; the first batch is learnt first either way.
    transform_input : list of str, default=None
        Metadata that the steps before transform, as in ``Pipeline``; needs metadata
        routing.
    memory : str or object with the joblib.Memory interface, default=None
        A cache for ``fit``. ``partial_fit`` neither reads nor writes it.
    verbose : bool, default=False
        Whether ``fit`` prints the time of each step. ``partial_fit`` prints nothing.

    Attributes
    ----------
    named_steps, classes_, n_features_in_, feature_names_in_
        As in ``Pipeline``; steps that are "passthrough" are passed over.

    See Also
    --------
    make_streaming_pipeline : Names the steps.
    StreamingColumnTransformer : Different steps for different columns.
    predict_then_learn : How well it does on a stream.

    Notes
    -----
    ``partial_fit`` is a method of a pipeline all of whose steps can do their part, so
    that ``hasattr`` tells. ``fit`` and all else are those of ``Pipeline``: ``fit``
    forgets, and ``partial_fit`` goes on from what was fitted.

    A batch that is refused, by whichever step, leaves the pipeline as it was.
    :class:`skbn.BatchNormTransformer` is put back as it was to the bit, and so are
    other steps before the last, from a deep copy of the attributes of those that learn,
    unless one cannot be copied. Of the last step, which nothing comes after, attributes
    are put back that it has replaced; what it has changed within an array stays.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import SGDClassifier
    >>> from sklearn.utils import gen_batches
    >>> from skbn import BatchNormTransformer
    >>> from skbn.pipeline import make_streaming_pipeline
    >>> X, y = load_digits(return_X_y=True)
    >>> model = make_streaming_pipeline(
    ...     BatchNormTransformer(), SGDClassifier(random_state=0)
    ... )
    >>> for rows in gen_batches(1500, 32):
    ...     model = model.partial_fit(X[rows], y[rows], classes=range(10))
    >>> model.score(X[1500:], y[1500:]) > 0.8
    True
    """

    # ``classes`` is no metadata: it is for the last step alone.
    __metadata_request__partial_fit = {"classes": UNUSED}  # noqa: RUF012
    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012
        **constraints_of(Pipeline),
        "learn_first": ["boolean"],
    }

    def __init__(
        self,
        steps: list[tuple[str, Any]],
        *,
        learn_first: bool = True,
        transform_input: list[str] | None = None,
        memory: Any = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            steps, transform_input=transform_input, memory=memory, verbose=verbose
        )
        self.learn_first = learn_first

    @WherePartsCanLearn
    def partial_fit(
        self, X: Any, y: Any = None, *, classes: Any = None, **params: Any
    ) -> Self:
        """Let every step learn from one more batch, as far as it can.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or what the first step takes
            The batch.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Its targets.
        classes : array-like of shape (n_classes,), default=None
            All labels that the stream may have, for a classifier as the last step;
            needed with the first batch. A list of them for several outputs.
        **params : dict
            Metadata. ``name__param`` goes to ``partial_fit`` of the step of that name.
            With scikit-learn's ``enable_metadata_routing``, metadata go to the steps
            that request them for ``partial_fit`` and ``transform``.

        Returns
        -------
        self : StreamingPipeline

        Raises
        ------
        CannotLearnError
            A step can neither learn from a batch nor transform it.
        ValueError
            ``classes``, y or metadata do not suit the steps. As with any error of a
            step, nothing is learnt then.
        """
        parts = self._parts()
        self._check(parts)
        metadata = routed(self, [part.name for part in parts], params)
        last = parts[-1]
        given = classes_for(last.name, _learner(last.estimator), y, classes)
        earlier = [part.estimator for part in parts[:-1] if part.learns]
        others = [part.estimator for part in parts if part is last or not part.learns]
        with undone_on_error(earlier, others):
            for position, part in enumerate(parts):
                if is_nothing(part.estimator):
                    continue
                its = metadata_of_step(self, position, metadata[part.name], params)
                if part is not last:
                    X = self._pass_on(part, X, y, its)
                elif last.learns:
                    last.estimator.partial_fit(X, y, **given, **its["partial_fit"])
                else:
                    tell_features(last.estimator, X)
        return self

    def get_metadata_routing(self) -> Any:
        """Return the routing of metadata, that of ``partial_fit`` included.

        Returns
        -------
        routing : sklearn.utils.metadata_routing.MetadataRouter
        """
        router = super().get_metadata_routing()
        for name, pair in router:
            if name != self.steps[-1][0]:
                pair.mapping.add(caller="partial_fit", callee="transform")
        return router

    def _check(self, parts: list[Part]) -> None:
        """Check what ``fit`` checks, as long as there is something to fit."""
        if not parts and self.steps == []:
            raise ValueError("The pipeline is empty. Please add steps.")
        learners = [part.estimator for part in parts if part.learns]
        if not (learners and all(map(is_fitted, learners))):
            validate_composition(self)
        if self.transform_input is not None and not routing_enabled():
            raise ValueError(
                "transform_input needs metadata routing: "
                "sklearn.set_config(enable_metadata_routing=True)."
            )

    def _pass_on(self, part: Part, X: Any, y: Any, metadata: Any) -> Any:
        """Return the batch transformed, learnt from before or after."""
        step = part.estimator
        tell_features(step, X)
        if part.learns and (self.learn_first or not is_fitted(step)):
            step.partial_fit(X, y, **metadata["partial_fit"])
            return step.transform(X, **metadata["transform"])
        # With copy=False a step would learn from what it has transformed.
        given = X if getattr(step, "copy", True) or not part.learns else deepcopy(X)
        transformed = step.transform(given, **metadata["transform"])
        if part.learns:
            step.partial_fit(X, y, **metadata["partial_fit"])
        return transformed

    def _named(self) -> list[tuple[str, Any]]:
        try:
            return [(name, step) for name, step in self.steps]
        except (TypeError, ValueError):
            return []

    def __getitem__(self, ind: Any) -> Any:
        part = super().__getitem__(ind)
        if isinstance(ind, slice):
            part.learn_first = self.learn_first
        return part

    @property
    def n_features_in_(self) -> int:
        """Number of features of the first step that is not "passthrough"."""
        return self._first_step().n_features_in_

    @property
    def feature_names_in_(self) -> Any:
        """Names of the features of the first step that is not "passthrough"."""
        return self._first_step().feature_names_in_

    def _first_step(self) -> Any:
        steps = (step for _, step in self._named() if not is_nothing(step))
        return next(steps, None)


def _learner(last: Any) -> Any:
    """What learns in the last step in the end: pipelines may be nested."""
    while isinstance(last, StreamingPipeline):
        last = last.steps[-1][1]
    return last


def make_streaming_pipeline(
    *steps: Any,
    learn_first: bool = True,
    transform_input: list[str] | None = None,
    memory: Any = None,
    verbose: bool = False,
) -> StreamingPipeline:
    """Return a :class:`StreamingPipeline` of steps named by their types.

    Parameters
    ----------
    *steps : estimators
        Named as :func:`sklearn.pipeline.make_pipeline` does.
    learn_first, transform_input, memory, verbose
        As for :class:`StreamingPipeline`.

    Returns
    -------
    pipeline : StreamingPipeline

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skbn import BatchNormTransformer
    >>> from skbn.pipeline import make_streaming_pipeline
    >>> list(make_streaming_pipeline(BatchNormTransformer(), GaussianNB()).named_steps)
    ['batchnormtransformer', 'gaussiannb']
    """
    return StreamingPipeline(
        make_pipeline(*steps).steps,
        learn_first=learn_first,
        transform_input=transform_input,
        memory=memory,
        verbose=verbose,
    )


class StreamingColumnTransformer(Streaming, ColumnTransformer):
    """A :class:`sklearn.compose.ColumnTransformer` that learns batch by batch.

    Parameters, attributes and all other methods are those of ``ColumnTransformer``.
    The first batch settles the columns of each transformer, and whether the result is
    sparse. Later ones have the same columns.

    Notes
    -----
    As in ``ColumnTransformer``, what learns are copies, in ``transformers_``; those of
    ``transformers`` that were fitted already go on from there. What has no
    ``partial_fit`` must be stateless or fitted, and only transforms, as in
    :class:`StreamingPipeline`; so do errors leave all as it was.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from skbn import BatchNormTransformer
    >>> from skbn.pipeline import StreamingColumnTransformer
    >>> columns = StreamingColumnTransformer(
    ...     [
    ...         ("scale", BatchNormTransformer(), [0]),
    ...         ("log", FunctionTransformer(np.log), [1]),
    ...     ]
    ... )
    >>> for batch in ([[1.0, 1.0], [3.0, 1.0]], [[5.0, 1.0]]):
    ...     columns = columns.partial_fit(np.array(batch))
    >>> columns.transform(np.array([[3.0, 1.0]]))
    array([[0., 0.]])
    """

    @WherePartsCanLearn
    def partial_fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Let every transformer learn from its columns of one more batch.

        Parameters
        ----------
        X : {array-like, dataframe, sparse matrix} of shape (n_samples, n_features)
            The batch.
        y : array-like of shape (n_samples,), default=None
            Its targets.
        **params : dict
            Metadata, as for :meth:`StreamingPipeline.partial_fit`.

        Returns
        -------
        self : StreamingColumnTransformer

        Raises
        ------
        CannotLearnError
            A transformer can neither learn from a batch nor only transform it.
        ValueError
            X has other columns than the first batch, or metadata do not suit. As with
            any error of a transformer, nothing is learnt then.
        """
        X = as_table(X)
        names = [name for name, _ in self._named()]
        metadata = routed(self, names, params)
        if is_fitted(self):
            self._learn_more(X, y, metadata)
        else:
            self._learn_first_batch(X, y, metadata)
        return self

    def _learn_more(self, X: Any, y: Any, metadata: Any) -> None:
        check_feature_names(self, X, reset=False)
        check_n_features(self, X, reset=False)
        parts = self._parts()
        with undone_on_error(part.estimator for part in parts if part.learns):
            for part, (_, _, columns) in zip(parts, self.transformers_, strict=True):
                its = select_columns(X, columns) if part.learns else None
                if part.learns and not _is_empty(its):
                    part.estimator.partial_fit(
                        its, y, **metadata[part.name]["partial_fit"]
                    )

    def _learn_first_batch(self, X: Any, y: Any, metadata: Any) -> None:
        """Learn, and find out what ``fit`` does, from frozen parts that have learnt."""
        validate_composition(self)
        columns = self._columns_of(X)
        parts = {}
        for name, part, _ in self._parts():
            its = select_columns(X, columns[name]) if name in columns else None
            if not is_nothing(part) and its is not None and not _is_empty(its):
                parts[name] = _after(part, name, its, y, metadata[name]["partial_fit"])
        frozen = {name: Learnt(part) for name, part in parts.items()}
        fitted = self._with(
            [
                (name, frozen.get(name, part), columns[name])
                for name, part, _ in self.transformers
            ],
            frozen.get("remainder", self.remainder),
        )
        ColumnTransformer.fit(fitted, X, y)
        adopt_column_transformer(fitted, self, parts)

    def _columns_of(self, X: Any) -> dict[str, Any]:
        """Return the columns of each transformer, whatever way they were given."""
        dropped = [(name, "drop", columns) for name, _, columns in self.transformers]
        settled = ColumnTransformer.fit(self._with(dropped, "drop"), X)
        return {name: columns for name, _, columns in settled.transformers_}

    def _with(self, transformers: list[Any], remainder: Any) -> Self:
        other = copy(self)
        other.transformers, other.remainder = transformers, remainder
        return other

    def _named(self) -> list[tuple[str, Any]]:
        if hasattr(self, "transformers_"):
            return [(name, part) for name, part, _ in self.transformers_]
        try:
            named = [(name, part) for name, part, _ in self.transformers]
        except (TypeError, ValueError):
            return []
        return [*named, ("remainder", self.remainder)]


class Learnt(FrozenEstimator):
    """What has learnt its first batch: ``fit`` leaves it alone, whatever it says."""

    def fit(self, X: Any, y: Any = None, *args: Any, **kwargs: Any) -> Self:
        """Nothing: a stateless one may say that it is not fitted."""
        return self


def _after(part: Any, name: str, X: Any, y: Any, metadata: dict[str, Any]) -> Any:
    """Return a transformer after its first batch; the one given is left alone."""
    if learns(part, name):
        part = deepcopy(part)
        part.partial_fit(X, y, **metadata)
    elif is_stateless(part):
        part = clone(part)
        tell_features(part, X)
    return part


def _is_empty(X: Any) -> bool:
    return len(X.shape) == 2 and X.shape[1] == 0


class Prediction(NamedTuple):
    """What was predicted of a batch before it was learnt from.

    Attributes
    ----------
    y : array-like of shape (n_samples,)
        The targets that came with the batch.
    predicted : ndarray
        What was predicted without them.
    n_rows : int
        Rows of the stream up to and with this batch.
    """

    y: Any
    predicted: Any
    n_rows: int


def predict_then_learn(
    estimator: Any,
    batches: Iterable[Any],
    *,
    classes: Any = None,
    method: str = "predict",
    progress: bool | Callable[[int], object] = False,
) -> Iterator[Prediction]:
    """Predict each batch of a stream, then learn from it: prequential evaluation.

    No part of the stream is held out, and every prediction is of rows that were never
    learnt from (Gama, Sebastião & Rodrigues, "On evaluating stream learning
    algorithms", Machine Learning 90, 2013).

    Parameters
    ----------
    estimator : estimator with ``partial_fit`` and ``method``
        It is not cloned: afterwards it has learnt the whole stream. If it is not fitted
        the first batch is learnt from and not predicted.
    batches : iterable of (X, y) or (X, y, params)
        Read once, a batch at a time. ``params`` is a dict of keywords for
        ``partial_fit``, weights for instance.
    classes : array-like of shape (n_classes,), default=None
        All labels, for a classifier.
    method : str, default="predict"
        What predicts: "predict_proba" or "decision_function", for instance.
    progress : bool or callable, default=False
        With True, rows and time are shown on standard error, by the extra ``cli``. A
        callable is called after each batch with the number of its rows:
        ``tqdm.tqdm().update``, for one.

    Yields
    ------
    Prediction
        For each batch, once it has been learnt from.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skbn import BatchNormTransformer
    >>> from skbn.pipeline import make_streaming_pipeline, predict_then_learn
    >>> X, y = load_digits(return_X_y=True)
    >>> stream = zip(np.array_split(X, 50), np.array_split(y, 50))
    >>> model = make_streaming_pipeline(BatchNormTransformer(epsilon=1), GaussianNB())
    >>> hits = [
    ...     batch.predicted == batch.y
    ...     for batch in predict_then_learn(model, stream, classes=range(10))
    ... ]
    >>> bool(np.concatenate(hits).mean() > 0.8)
    True
    """
    fitted, n_rows = is_fitted(estimator), 0
    with _shown(progress) as advance:
        for X, y, *rest in batches:
            predicted = getattr(estimator, method)(X) if fitted else None
            params = dict(*rest)
            if classes is not None:
                params["classes"] = classes
            estimator.partial_fit(X, y, **params)
            its_rows = np.shape(X)[0]
            n_rows += its_rows
            advance(its_rows)
            if fitted:
                yield Prediction(y, predicted, n_rows)
            fitted = True


@contextmanager
def _shown(
    progress: bool | Callable[[int], object],
) -> Iterator[Callable[[int], object]]:
    """Yield what is to be called with the number of rows that were done."""
    if callable(progress):
        yield progress
        return
    if not progress:
        yield lambda _rows: None
        return
    try:
        import_module("rich.console")
    except ModuleNotFoundError as error:
        raise ImportError(
            "progress=True needs rich: python -m pip install 'skbn[cli]'"
        ) from error
    from skbn.streams.progress import bar

    with bar("predicted, then learnt", None, 0) as advance:
        yield advance
