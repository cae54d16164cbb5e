"""What every export says of a fitted transformer: its map, and the names in errors."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from skbn.affine import Affine
from skbn.transformer import BatchNormTransformer


def map_of(transformer: Any) -> Affine:
    """Return the map of ``transform``: the one source of all exports.

    Raises
    ------
    TypeError
        Not a BatchNormTransformer.
    NotFittedError
    """
    if not isinstance(transformer, BatchNormTransformer):
        raise TypeError(
            f"Expected a BatchNormTransformer, got a {type(transformer).__name__}."
        )
    check_is_fitted(transformer)
    return transformer._current_map()


def name_of(transformer: BatchNormTransformer, feature: int) -> str:
    """Return what an error calls a feature: its name where it has one."""
    names = getattr(transformer, "feature_names_in_", None)
    return str(feature) if names is None else repr(names[feature])
