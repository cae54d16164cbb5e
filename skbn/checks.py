"""Input checks: a short path for plain arrays, scikit-learn's own for all else.

``validate_data`` alone takes longer than the arithmetic of a small minibatch. An
array that would pass it unchanged is recognised by a few attributes instead;
anything else, anything wrong above all, goes to scikit-learn, so that its errors
are the only ones.
"""

from __future__ import annotations

import numbers
from collections.abc import Container, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skbn._sklearn import (
    check_feature_names,
    check_n_features,
    has_unique_names,
    to_numpy,
)

PLAIN = frozenset({np.dtype(np.float64), np.dtype(np.float32)})
ARRAYS: Container[type] = frozenset({np.ndarray})

# The weights of a billion such rows can still be multiplied as pairs.
LARGEST_WEIGHT = 2.0**960

# What Python and NumPy raise where numbers are made of what are none, or too large.
NOT_NUMBERS = (OverflowError, TypeError, ValueError)


def is_plain(X: Any, n_features: int | None, types: Container[type] = ARRAYS) -> bool:
    """Whether X needs no further check but for infinities.

    True for data of one of the types, not empty, in two dimensions, of native float64
    or float32, with ``n_features`` columns.
    """
    return (
        type(X) in types
        and X.dtype in PLAIN
        and X.ndim == 2
        and X.shape[1] == n_features
        and X.shape[0] > 0
    )


def check_dense(
    estimator: Any, X: Any, *, reset: bool, names: bool = True
) -> NDArray[Any]:
    """Return X as a two-dimensional array of numbers, as scikit-learn does.

    Its errors name the first cell that is not a number, too. Infinities pass: they are
    found where the values are read anyway.

    Parameters
    ----------
    estimator : estimator
        Its ``n_features_in_`` and ``feature_names_in_`` are compared, or set.
    X : array-like of shape (n_samples, n_features)
    reset : bool
        Whether to set them.
    names : bool
        Whether names are compared.
    """
    compares_names = names and hasattr(estimator, "feature_names_in_")
    if not (reset or compares_names) and is_plain(X, estimator.n_features_in_):
        return X
    try:
        with beyond_is_infinite():
            checked = check_data(estimator, _as_known(X), reset=reset, names=names)
            return _as_numbers(checked)
    except NOT_NUMBERS as error:
        location = _where_not_a_number(X)
        if location is None:
            raise
        raise located(error, location) from error


def check_data(
    estimator: Any, X: Any, *, reset: bool, names: bool, **options: Any
) -> Any:
    """Return X as scikit-learn checks it; the options are those of its check_array."""
    options = {"dtype": "numeric", "ensure_all_finite": False} | options
    if names and has_unique_names(X):
        return validate_data(estimator, X, reset=reset, **options)
    if not has_unique_names(X):
        if names:
            check_feature_names(estimator, X, reset=reset)
        X = X.set_axis(range(X.shape[1]), axis=1)
    X = check_array(X, estimator=estimator, **options)
    check_n_features(estimator, X, reset=reset)
    return X


def _as_known(X: Any) -> Any:
    """X, or as float32 where NumPy knows its type from another package: bfloat16."""
    dtype: Any = getattr(X, "dtype", None)
    is_taught = isinstance(dtype, np.dtype) and dtype.isbuiltin == 2
    return X.astype(np.float32) if is_taught and np.can_cast(dtype, "f4") else X


def _as_numbers(X: NDArray[Any]) -> NDArray[Any]:
    """X itself if it holds floats, integers or booleans of 64 bits, else as float64."""
    if X.dtype.kind in "mM":
        raise TypeError(
            f"Dates and durations ({X.dtype}) are not numbers: convert them to a unit "
            "of your choice first."
        )
    return X if X.dtype.kind in "iub" else narrowed(X)


def narrowed(values: NDArray[Any]) -> NDArray[Any]:
    """The values if they are floats of 64 bits at most, else as float64.

    What is beyond its range becomes infinite, and is refused as such.
    """
    if values.dtype.kind == "f" and values.dtype.itemsize <= 8:
        return values
    with beyond_is_infinite():
        return values.astype(np.float64)


def beyond_is_infinite() -> np.errstate:
    """In a ``with``, NumPy does not warn of values that no float64 can hold."""
    return np.errstate(over="ignore")


def check_per_feature(
    given: Any, name: str, n_features: int
) -> NDArray[np.float64] | None:
    """Return a parameter with one value a feature as float64 of that shape.

    Raises
    ------
    ValueError
        Not numbers, not finite, or neither one nor ``n_features`` of them.
    """
    if given is None:
        return None
    try:
        with beyond_is_infinite():
            values = np.asarray(to_numpy(given), dtype=np.float64)
    except NOT_NUMBERS as error:
        raise ValueError(f"{name} must hold numbers: {error}") from error
    if values.shape not in ((), (n_features,)):
        raise ValueError(
            f"{name} must be a number or of shape ({n_features},), one value a "
            f"feature; got shape {values.shape}."
        )
    values = np.full(n_features, values)
    if not np.isfinite(values).all():
        feature = int(np.argmin(np.isfinite(values)))
        raise ValueError(f"{name} is {values[feature]} for feature {feature}.")
    return values


def check_clip(clip: Any) -> tuple[float, float] | None:
    """Return bounds: ``(-clip, clip)`` for a number, a pair as it is.

    Raises
    ------
    ValueError
        Not two numbers in order.
    """
    if clip is None:
        return None
    try:
        low, high = map(float, (-clip, clip) if np.ndim(clip) == 0 else clip)
    except NOT_NUMBERS:
        low = high = 0.0
    if not low < high:
        raise ValueError(
            f"clip={clip!r} must be a positive number or a pair (low, high)."
        )
    return low, high


def check_weights(
    sample_weight: Any, n_samples: int, *, some: bool = False
) -> NDArray[np.float64]:
    """Return sample weights as float64 of shape (n_samples,), some not zero if asked.

    Raises
    ------
    ValueError
        Not numbers, of another shape, not finite, negative, all zero where that is
        not allowed, or so large that their sum may leave the range of float64.
    """
    if _are_weights(sample_weight, n_samples) and not some:
        return sample_weight
    if isinstance(sample_weight, str):
        raise ValueError(
            f"sample_weight={sample_weight!r}: the name of a column is understood for "
            "Spark's DataFrames only; give the weights themselves."
        )
    weights = _as_weights(to_numpy(sample_weight), n_samples)
    if weights.shape != (n_samples,):
        raise ValueError(
            f"sample_weight.shape == {weights.shape}, expected {(n_samples,)}!"
        )
    if weights.min() < 0:
        row = int(np.argmax(weights < 0))
        raise ValueError(
            f"Negative values in sample_weight: {weights[row]} in row {row}."
        )
    if some and not weights.any():
        raise ValueError("All of sample_weight is zero: there is nothing to fit.")
    if weights.max() > LARGEST_WEIGHT:
        row = int(np.argmax(weights))
        raise ValueError(
            f"The sample_weight {weights[row]} in row {row} is too large: the limit is "
            "2**960."
        )
    return weights


def _as_weights(given: Any, n_samples: int) -> NDArray[np.float64]:
    if isinstance(given, numbers.Real):
        given = np.full(n_samples, given)
    options = {"ensure_2d": False, "dtype": np.float64, "input_name": "sample_weight"}
    try:
        with beyond_is_infinite():
            return check_array(given, **options)
    except NOT_NUMBERS as error:
        if "sample_weight" in str(error):
            raise
        raise ValueError(f"sample_weight must hold numbers: {error}") from error


def _are_weights(given: Any, n_samples: int) -> bool:
    """Whether no check would find or change anything: they take 90 µs."""
    return (
        type(given) is np.ndarray
        and given.dtype == np.float64
        and given.shape == (n_samples,)
        and n_samples > 0
        and bool(given.min() >= 0.0 and given.max() <= LARGEST_WEIGHT)
    )


# What changes how numbers are computed, not which.
MANNER = frozenset({"engine", "n_threads", "copy", "batch_size"})


def check_same_parameters(estimator: Any, other: Any, position: int) -> None:
    """Raise a ValueError that names a parameter in which two estimators differ."""
    theirs = other.get_params(deep=False)
    for name, value in estimator.get_params(deep=False).items():
        if name not in MANNER and not np.array_equal(value, theirs[name]):
            raise ValueError(
                f"Cannot merge transformers with different parameters: {name} is "
                f"{value!r} here and {theirs[name]!r} in number {position}."
            )


def check_same_features(estimator: Any, other: Any) -> None:
    """Raise a ValueError that names a difference in number or names of features."""
    n, m = estimator.n_features_in_, other.n_features_in_
    if n != m:
        raise ValueError(f"Cannot merge transformers fitted on {n} and {m} features.")
    ours: Any = getattr(estimator, "feature_names_in_", None)
    theirs: Any = getattr(other, "feature_names_in_", None)
    if (ours is None) != (theirs is None):
        raise ValueError(
            "Cannot merge a transformer fitted with feature names and one without."
        )
    if ours is not None and (differ := ours != theirs).any():
        i = int(np.argmax(differ))
        raise ValueError(
            f"Cannot merge transformers with different feature names: feature {i} is "
            f"{ours[i]!r} in one and {theirs[i]!r} in another."
        )


class InfinityError(ValueError):
    """An infinity in the data.

    Attributes
    ----------
    row : int or None
        Of the data, where it is known.
    without_row : str
        The message for those who know a better name of the row, where it is known.
    """

    def __init__(self, what: str, feature: str | None, row: int | None) -> None:
        where = "" if row is None else f" (feature {feature}, row {row})"
        super().__init__(f"{what}{where}.")
        self.row, self.without_row = row, f"{what} (feature {feature})."

    def __reduce__(self) -> tuple[Any, ...]:
        return ValueError, self.args


def infinity_error(
    X: Any, location: tuple[int, int] | None, names: Any
) -> InfinityError:
    """Return the error that names the first infinity in X, at ``location``."""
    dtype = getattr(X, "dtype", np.dtype(np.float64))
    what = f"Input X contains infinity or a value too large for {dtype!r}"
    if location is None:
        return InfinityError(what, None, None)
    row, column = location
    feature = str(column) if names is None else repr(names[column])
    return InfinityError(what, feature, row)


def _where_not_a_number(X: Any) -> str | None:
    """The first cell of a table, array or list that no float can hold."""
    if hasattr(X, "columns") and hasattr(X, "iloc"):
        columns = {name: np.asarray(X.iloc[:, i]) for i, name in enumerate(X.columns)}
    elif isinstance(X, (np.ndarray, list, tuple)):
        cells = _as_objects(X)
        columns = dict(enumerate(cells.T)) if cells.ndim == 2 else {}
    else:
        return None
    for name, values in columns.items():
        row = first_not_a_number(values) if values.dtype.kind in "OUST" else None
        if row is not None:
            return f"feature {name!r}, row {row}"
    return None


def located(error: Exception, location: str) -> Exception:
    """Return the error with a location: a TypeError, or else a ValueError."""
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"{error} ({location})")


def first_not_a_number(values: Iterable[Any]) -> int | None:
    """Position of the first value that no float can hold; None is missing, like NaN."""
    for position, value in enumerate(values):
        try:
            float(0 if value is None else value if np.ndim(value) == 0 else "several")
        except NOT_NUMBERS:
            return position
    return None


def _as_objects(X: Any) -> NDArray[Any]:
    try:
        return np.asarray(X, dtype=None if isinstance(X, np.ndarray) else object)
    except ValueError:  # rows of different lengths
        return np.empty(0, dtype=object)
