"""Every private name of scikit-learn that is used, and what stands on them.

They may change with any release: the tests run on the oldest and the newest that are
supported, and a change is mended here.
"""

from __future__ import annotations

from collections import UserList
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context, get_config
from sklearn.utils import (
    _array_api,
    _metadata_requests,
    _param_validation,
    _safe_indexing,
    _set_output,
    validation,
)

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupportMixin
    from sklearn.callback._callback_support import callback_management_context
except ImportError:  # scikit-learn before 1.9 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing: there are no callbacks to support."""


Interval = _param_validation.Interval
StrOptions = _param_validation.StrOptions
check_n_features = validation._check_n_features
get_namespace = _array_api.get_namespace
get_namespace_and_device = _array_api.get_namespace_and_device
routing_enabled = _metadata_requests._routing_enabled
validate_parameter_constraints = _param_validation.validate_parameter_constraints


# set_output


class QuickTransformMixin:
    """Calls ``transform`` past scikit-learn's wrapper, where that gives the same.

    The wrapper of ``set_output`` looks up the configuration in several steps: 3 µs, a
    third of what one row takes to transform (AMD EPYC, 2026-10).
    """

    # Whether X transformed is of its own kind whatever ``set_output`` asks for.
    _returns_lazily: Callable[[Any], bool]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if hasattr(cls.__dict__.get("transform"), "__wrapped__"):
            cls.transform = _quick(cls.__dict__["transform"])  # type: ignore[attr-defined]

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Fit to X, then transform it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data.
        y : None
            Ignored.
        **fit_params : dict
            What ``fit`` takes besides.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            As ``transform`` returns it.
        """
        if self._returns_lazily(X):
            return self.fit(X, y, **fit_params).transform(X)  # type: ignore[attr-defined]
        return super().fit_transform(X, y, **fit_params)  # type: ignore[misc]


def _quick(method: Any) -> Callable[..., Any]:
    direct = method.__wrapped__

    @wraps(method)
    def quick(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        plain = type(X) is np.ndarray and "_sklearn_output_config" not in self.__dict__
        if plain and get_config()["transform_output"] == "default":
            return direct(self, X, *args, **kwargs)
        if not plain and self._returns_lazily(X):
            return direct(self, X, *args, **kwargs)
        return method(self, X, *args, **kwargs)

    return quick


def configured_output(estimator: Any) -> str | None:
    """Return what ``set_output`` was told for ``transform``, None where it was not."""
    return vars(estimator).get("_sklearn_output_config", {}).get("transform")


def output_is_a_frame(estimator: Any) -> bool:
    """Whether ``transform`` was asked to return a data frame."""
    return _set_output._get_output_config("transform", estimator)["dense"] != "default"


# Names of features


def check_feature_names(estimator: Any, X: Any, *, reset: bool) -> None:
    """Set ``feature_names_in_``, or compare it with the names of a table.

    Like scikit-learn's own function, which from 1.9 on refuses a pandas DataFrame with
    two columns of one name.
    """
    if has_unique_names(X):
        validation._check_feature_names(estimator, X, reset=reset)
        return
    names = np.asarray(X.columns, dtype=object)
    once = X.loc[:, ~X.columns.duplicated()]
    are_names = validation._get_feature_names(once) is not None
    fitted = getattr(estimator, "feature_names_in_", None)
    if reset and are_names:
        estimator.feature_names_in_ = names
    elif reset or fitted is None or not are_names:
        validation._check_feature_names(estimator, once, reset=reset)
    elif not np.array_equal(fitted, names):
        raise ValueError(
            "The feature names should match those that were passed during fit: "
            f"{', '.join(fitted)}; they are {', '.join(names)}."
        )


def has_unique_names(X: Any) -> bool:
    """Whether no two columns of a pandas DataFrame have one name; others have none."""
    return getattr(getattr(X, "columns", None), "is_unique", True)


# Arrays of other libraries


def is_array_of_other_library(X: object) -> bool:
    """Whether X is an array of the array API, and ``array_api_dispatch`` is on."""
    if isinstance(X, np.ndarray) or not get_config()["array_api_dispatch"]:
        return False
    if not hasattr(type(X), "__dlpack__"):
        return False
    try:
        return get_namespace(X)[1] and hasattr(X, "device")
    except TypeError:
        return False


def to_numpy(given: Any) -> Any:
    """Return an array of another library, where those are read, as NumPy's."""
    if type(given) is np.ndarray or not hasattr(type(given), "__dlpack__"):
        return given
    if not get_config()["array_api_dispatch"]:
        return given
    return _array_api._convert_to_numpy(given, get_namespace(given)[0])


def array_like(values: NDArray[Any], like: Any) -> Any:
    """Return numbers of the host as an array of the library and device of ``like``.

    Floats get the dtype of ``like``. With None they stay NumPy's.
    """
    if like is None or isinstance(like, np.ndarray):
        return values
    with config_context(array_api_dispatch=True):
        xp, _, device = get_namespace_and_device(like)
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            values = values.astype(str(like.dtype).rpartition(".")[2])
    return xp.asarray(values.copy(), device=device)


def refuse_other_namespace(estimator: Any, X: Any, like: Any) -> None:
    """Raise if X is not of the library and device of ``like``, as scikit-learn does.

    What was fitted on NumPy's arrays takes all.
    """
    if isinstance(like, np.ndarray) or not get_config()["array_api_dispatch"]:
        return
    xp, _, device = theirs = get_namespace_and_device(like)
    if is_array_of_other_library(X) and get_namespace_and_device(X) == theirs:
        return
    name = type(estimator).__name__
    raise ValueError(
        f"Inputs of {name}.transform(), {name}.inverse_transform() and "
        f"{name}.partial_fit() must use the same namespace and the same device as what "
        f"fit() saw, which were {xp.__name__} and {device}: move the estimator with "
        "sklearn.utils._array_api.move_estimator_to(estimator, xp, device)."
    )


# Callbacks


class FitTask:
    """One ``fit`` or ``partial_fit`` of an estimator that has no callbacks."""

    def __enter__(self) -> FitTask:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def begin(self, X: Any, sample_weight: Any, n_batches: int | None) -> None:
        """Say that the data are valid, and in how many batches they are learnt.

        With None nobody knows in how many.
        """

    def begin_batch(self, X: Any) -> None:
        """Say that one of several batches is about to be learnt."""

    def end_batch(self, X: Any, fitted: dict[str, Any]) -> bool:
        """Say that it was, with the attributes so far; whether to stop here."""
        return False

    def end(self, X: Any, fitted: dict[str, Any]) -> None:
        """Say that all was learnt, with the fitted attributes."""


class CallbackTask(FitTask):
    """The same where there are callbacks: the batches are subtasks of the fit."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        self.context: Any = None
        self.batch: Any = None
        self.teardown = callback_management_context(estimator)

    def __enter__(self) -> FitTask:
        self.teardown.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.teardown.__exit__(*error)

    def begin(self, X: Any, sample_weight: Any, n_batches: int | None) -> None:
        """Set the callbacks up, and tell them of the task."""
        if self.context is not None:  # another thread came first: the same task again
            return
        subtasks = 0 if n_batches == 1 else n_batches
        self.context = self.estimator._init_callback_context(max_subtasks=subtasks)
        self.context.call_on_fit_task_begin(
            estimator=self.estimator, X=X, metadata={"sample_weight": sample_weight}
        )

    def begin_batch(self, X: Any) -> None:
        """Tell of a subtask."""
        self.batch = self.context.subcontext(task_name="batch")
        self.batch.call_on_fit_task_begin(estimator=self.estimator, X=X)

    def end_batch(self, X: Any, fitted: dict[str, Any]) -> bool:
        """Tell that it has ended; whether a callback wants to stop."""
        return self._end(self.batch, X, fitted)

    def end(self, X: Any, fitted: dict[str, Any]) -> None:
        """Tell that the task has ended."""
        self._end(self.context, X, fitted)

    def _end(self, context: Any, X: Any, fitted: dict[str, Any]) -> bool:
        return context.call_on_fit_task_end(
            estimator=self.estimator, X=X, reconstruction_attributes=fitted
        )


NO_TASK = FitTask()


def fit_task(estimator: Any) -> FitTask:
    """Return what to tell the callbacks of an estimator with, in a ``with``."""
    if "_skl_callbacks" in estimator.__dict__:
        return CallbackTask(estimator)
    return NO_TASK


# Pipelines and column transformers


def constraints_of(estimator_type: Any) -> dict[str, list[Any]]:
    """Return what parameters of a class of scikit-learn may be."""
    return estimator_type._parameter_constraints


def validate_composition(composition: Any) -> None:
    """Check parameters, names and estimators of a composition, as its ``fit`` does."""
    validate_parameter_constraints(
        composition._parameter_constraints,
        composition.get_params(deep=False),
        type(composition).__name__,
    )
    if hasattr(composition, "_validate_steps"):
        composition._validate_steps()
    else:
        composition._validate_transformers()


def metadata_of_step(pipeline: Any, position: int, routed: Any, given: Any) -> Any:
    """Return what goes to a step, those of ``transform_input`` transformed before."""
    return pipeline._get_metadata_for_step(
        step_idx=position, step_params=routed, all_params=given
    )


def as_table(X: Any) -> Any:
    """Return X with columns to select: lists as an array."""
    from sklearn.compose._column_transformer import _check_X

    return _check_X(X)


def select_columns(X: Any, columns: Any) -> Any:
    """Return some columns, in any of the ways that a column transformer takes."""
    if isinstance(columns, UserList):  # scikit-learn 1.6: would warn of its own end
        columns = columns.data
    return _safe_indexing(X, columns, axis=1)


def adopt_column_transformer(fitted: Any, transformer: Any, parts: Any) -> None:
    """Give a column transformer all that another one has found out, with other parts.

    ``fitted`` has the parameters of ``transformer`` but for ``transformers`` and
    ``remainder``; ``parts`` are the estimators of ``transformers_`` by their names.
    """
    kept = {name: getattr(transformer, name) for name in ("transformers", "remainder")}
    _, _, columns = fitted._remainder
    transformer.__dict__ = (
        vars(fitted)
        | kept
        | {
            "_remainder": ("remainder", transformer.remainder, columns),
            "transformers_": [
                (name, parts.get(name, part), columns)
                for name, part, columns in fitted.transformers_
            ],
        }
    )
