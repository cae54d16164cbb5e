"""Fitted transformers for what takes their map elsewhere."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from strategies import tables

from skbn import BatchNormTransformer

AVERAGES = st.sampled_from(
    [
        {},
        {"ddof": 1},
        {"halflife": 5.0},
        {"momentum": 0.1},
        {"momentum": 0.3, "zero_debias": False, "ddof": 1},
    ]
)
CLIPS = st.sampled_from([None, 1.5, (-0.5, 2.0), (0.25, 0.75)])


class Fitted(NamedTuple):
    """A transformer and the data that it was fitted on."""

    transformer: BatchNormTransformer
    X: np.ndarray

    @property
    def image(self) -> Any:
        return self.transformer.transform(self.X)


def per_feature(n_features, elements):
    """None, a number, or one a feature."""
    several = st.lists(elements, min_size=n_features, max_size=n_features)
    return st.none() | elements | several


@st.composite
def fitted(draw, dtypes=("f8", "f4", "i8"), **fixed):
    """Transformers of all options: some features are constant, some were never seen."""
    dtype = draw(st.sampled_from(dtypes))
    X = draw(tables(min_rows=2, missing=dtype[0] == "f"))
    if draw(st.booleans()):
        X[:, 0] = X[0, 0]
    n_features = X.shape[1]
    options = draw(AVERAGES) | {
        "with_mean": draw(st.booleans()),
        "with_std": draw(st.booleans()),
        "epsilon": draw(st.sampled_from([0.0, 1e-5])),
        "gamma": draw(per_feature(n_features, st.sampled_from([1.0, -0.3, 0.0, 7.1]))),
        "beta": draw(per_feature(n_features, st.floats(-3, 3, width=32))),
        "clip": draw(CLIPS),
    }
    transformer = BatchNormTransformer(engine="numpy", **(options | fixed))
    X = X.astype(dtype)
    cut = draw(st.integers(1, len(X)))
    for batch in (X[:cut], X[cut:]):
        if len(batch):
            transformer.partial_fit(batch)
    return Fitted(transformer, X)
