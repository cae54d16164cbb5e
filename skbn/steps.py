"""What a part of a stream's pipeline does with a batch: learns, or only transforms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from inspect import signature
from types import MethodType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.validation import check_is_fitted

from skbn._sklearn import (
    check_feature_names,
    check_n_features,
    routing_enabled,
    to_numpy,
)
from skbn.transformer import BatchNormTransformer


class CannotLearnError(NotFittedError, TypeError):
    """A step can neither learn from a batch nor transform it.

    It is an ``AttributeError``, too, so that ``hasattr(pipeline, "partial_fit")`` tells
    whether a pipeline can learn from batches.
    """


class Part(NamedTuple):
    """A step of a pipeline, or a transformer of some columns.

    Attributes
    ----------
    name : str
    estimator : estimator, None or str
        None and "passthrough" leave the data alone; "drop" does nothing, either.
    learns : bool
        Whether it has something to learn from a batch.
    """

    name: str
    estimator: Any
    learns: bool


class Streaming(ABC):
    """What learns from batches through its parts."""

    @abstractmethod
    def _named(self) -> list[tuple[str, Any]]:
        """Return names and estimators of the parts, none if they are no such list."""

    def _parts(self, prefix: str = "") -> list[Part]:
        """Return the parts, or raise if one can neither learn nor transform."""
        return [
            Part(name, each, learns(each, prefix + name))
            for name, each in self._named()
        ]

    def get_metadata_routing(self) -> Any:
        """Return the routing of metadata, that of ``partial_fit`` included.

        Returns
        -------
        routing : sklearn.utils.metadata_routing.MetadataRouter
        """
        router = super().get_metadata_routing()  # type: ignore[misc]
        for _, pair in router:
            pair.mapping.add(caller="partial_fit", callee="partial_fit")
        return router


class WherePartsCanLearn:
    """A method that is there only if every part can learn or transform.

    Where :func:`sklearn.utils.metaestimators.available_if` says no more than that there
    is no such method, the error names the part.
    """

    def __init__(self, method: Callable[..., Any]) -> None:
        self.method = method

    def __get__(self, streaming: Any, owner: Any = None) -> Any:
        if streaming is None:
            return self.method
        streaming._parts()
        return MethodType(self.method, streaming)


# What a part does


def is_nothing(estimator: Any) -> bool:
    """Whether a part leaves the data alone, or leaves them out."""
    return estimator is None or isinstance(estimator, str)


def is_fitted(estimator: Any) -> bool:
    """Whether an estimator is fitted, or needs no fit."""
    try:
        check_is_fitted(estimator)
    except (TypeError, AttributeError):  # NotFittedError is one
        return False
    return True


def has_tags(estimator: Any) -> bool:
    """Whether an estimator says what it is; one of another library may not."""
    return hasattr(estimator, "__sklearn_tags__")


def is_stateless(estimator: Any) -> bool:
    """Whether there is nothing for an estimator to learn, as its tags have it."""
    return has_tags(estimator) and not get_tags(estimator).requires_fit


def learns(estimator: Any, name: str) -> bool:
    """Whether a part learns from a batch; if not, it only transforms.

    Parameters
    ----------
    estimator : estimator, None or str
    name : str
        For the error.

    Raises
    ------
    CannotLearnError
        It can do neither.
    """
    if is_nothing(estimator):
        return False
    if isinstance(estimator, type):
        raise CannotLearnError(f"Step {name!r} is a class and should be an instance.")
    frozen = isinstance(estimator, FrozenEstimator)
    if isinstance(estimator, Streaming):
        estimator._parts(f"{name}__")
    if not frozen and hasattr(estimator, "partial_fit"):
        return True
    # A frozen classifier may be the last step.
    transforms = frozen or hasattr(estimator, "transform")
    if transforms and (is_stateless(estimator) or is_fitted(estimator)):
        return False
    raise CannotLearnError(
        f"Step {name!r} ({type(estimator).__name__}) can neither learn from a batch "
        f"nor only transform it: {_lack(estimator)}"
    )


def _lack(estimator: Any) -> str:
    if isinstance(estimator, FrozenEstimator):
        return "what is frozen in it is not fitted."
    if not hasattr(estimator, "transform"):
        return "it has neither partial_fit nor transform. FrozenEstimator freezes it."
    lack = "it has no partial_fit and is not fitted."
    if isinstance(estimator, ColumnTransformer):
        return f"{lack} StreamingColumnTransformer has partial_fit."
    if isinstance(estimator, Pipeline):
        return f"{lack} StreamingPipeline has partial_fit."
    return f"{lack} Fit it beforehand."


def tell_features(estimator: Any, X: Any) -> None:
    """Let a stateless estimator know its features, as its ``fit`` would."""
    if is_stateless(estimator) and not hasattr(estimator, "n_features_in_"):
        check_n_features(estimator, X, reset=True)
        check_feature_names(estimator, X, reset=True)


# Errors


@contextmanager
def undone_on_error(
    learners: Iterable[Any], others: Iterable[Any] = ()
) -> Iterator[None]:
    """Give estimators their attributes back if what is done within raises.

    Parameters
    ----------
    learners : iterable of estimators
        They are as they were, whatever they are: what is not ours may change its
        arrays in place, so that it is copied beforehand.
    others : iterable of estimators
        Their attributes are put back; what has changed within these is not.
    """
    states = [state for each in learners for state in _copies(each)]
    states += [state for each in others for state in _as_they_are(each)]
    try:
        yield
    except BaseException:
        for estimator, state in states:
            estimator.__dict__ = state
        raise


State: TypeAlias = tuple[Any, dict[str, Any]]


def _copies(estimator: Any) -> Iterator[State]:
    """What learns, and its attributes, copied where they may change in place."""
    if isinstance(estimator, Streaming):
        yield from _as_they_are(estimator)
        for part in estimator._parts():
            yield from (_copies if part.learns else _as_they_are)(part.estimator)
    elif isinstance(estimator, BatchNormTransformer):
        yield from _as_they_are(estimator)  # all of them are immutable
    elif hasattr(estimator, "__dict__"):
        yield estimator, _copied(vars(estimator))


def _as_they_are(estimator: Any) -> Iterator[State]:
    if hasattr(estimator, "__dict__"):
        yield estimator, vars(estimator).copy()


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    with suppress(Exception):  # an attribute may object to a copy, each in its way
        return deepcopy(state)
    return state.copy()


# Metadata


def routed(
    streaming: Any, names: Iterable[str], params: Mapping[str, Any]
) -> Mapping[str, Mapping[str, dict[str, Any]]]:
    """Return for each part and each of its methods the metadata that go there.

    With scikit-learn's ``enable_metadata_routing`` they go to the parts that request
    them; without, ``name__param`` goes to ``partial_fit`` of the part of that name.

    Raises
    ------
    ValueError
        A name that is no part's, or metadata that no part requests.
    """
    if routing_enabled():
        routed: Mapping[str, Any] = process_routing(streaming, "partial_fit", **params)
        return routed
    each: dict[str, dict[str, dict[str, Any]]] = {
        name: {"partial_fit": {}, "transform": {}} for name in names
    }
    for key, value in params.items():
        name, _, param = key.partition("__")
        if not param or name not in each:
            raise ValueError(
                f"{type(streaming).__name__}.partial_fit does not take {key!r}: "
                "without metadata routing, write name__param for a parameter of a step "
                f"that is one of {', '.join(each)}."
            )
        each[name]["partial_fit"][param] = value
    return each


# Classes


def classes_for(name: str, final: Any, y: Any, classes: Any) -> dict[str, Any]:
    """Return ``classes`` as a keyword for the last step, checked against it and y.

    A last step that does not learn has no use for them, whatever they are.

    Parameters
    ----------
    name : str
        Name of the last step, for errors.
    final : estimator, None or str
        What learns in it in the end, if it does.
    y : array-like or None
    classes : array-like or None

    Raises
    ------
    ValueError
        Classes are missing, others than before, or not for this estimator; or y has a
        label that is none of them.
    """
    if not learns(final, name):
        return {}
    whose = f"step {name!r} ({type(final).__name__})"
    if y is None and has_tags(final) and get_tags(final).target_tags.required:
        raise ValueError(f"{whose} requires y to be passed, but the target y is None.")
    known = getattr(final, "classes_", None)
    if classes is not None or known is None:
        takes = "classes" in signature(final.partial_fit).parameters
        if classes is None and takes and has_tags(final) and is_classifier(final):
            raise ValueError(
                f"classes must be passed on the first call to partial_fit, for {whose}."
            )
        if classes is not None and not takes:
            raise ValueError(f"classes was passed, and {whose} does not take it.")
    if known is not None and classes is not None:
        _refuse_other_classes(known, classes, whose)
    _refuse_other_labels(y, known if classes is None else classes, whose)
    return {} if classes is None else {"classes": classes}


def _refuse_other_classes(known: Any, classes: Any, whose: str) -> None:
    if _label_sets(known) != _label_sets(classes):
        raise ValueError(
            f"`classes={classes!r}` is not the same as on last call to partial_fit of "
            f"{whose}, was: {known!r}."
        )


def _refuse_other_labels(y: Any, classes: Any, whose: str) -> None:
    if y is None or classes is None:
        return
    known, targets = _label_sets(classes), np.asarray(to_numpy(y))
    outputs = np.atleast_2d(targets.T)
    # Columns of a multilabel y are not labels.
    if not targets.ndim or len(outputs) != len(known):
        return
    for labels, output in zip(known, outputs, strict=True):
        others = set(output.tolist()) - labels
        if others:
            raise ValueError(
                f"y has labels that are not among the classes of {whose}: "
                f"{sorted(others, key=str)}; they are {sorted(labels, key=str)}."
            )


def _label_sets(classes: Any) -> list[set[Any]]:
    """The labels of each output: several for a list of arrays."""
    if isinstance(classes, (list, tuple)) and any(map(np.ndim, classes)):
        return [set(np.asarray(each).tolist()) for each in classes]
    return [set(np.asarray(to_numpy(classes)).tolist())]
