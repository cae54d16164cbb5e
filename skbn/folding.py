"""What a transformer computes, said by models of scikit-learn on the raw data."""

from __future__ import annotations

import math
from copy import copy, deepcopy
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skbn.affine import Affine, refuse_endless
from skbn.engines.numpy import normalize
from skbn.exports import map_of, name_of, statistics_of
from skbn.pairs import two_product
from skbn.transformer import BatchNormTransformer

Array = NDArray[np.float64]

EPS = float(np.finfo(np.float64).eps)
# Of the term that a feature adds to the output: the coefficient is rounded, and so are
# the product and the sum.
ROUNDINGS = 4
# Predictions that are further apart are not by rounding.
ALIKE = 1e-2


def fold(transformer: Any, linear_model: Any = None, *, tolerance: float = 1e-6) -> Any:
    """Return a linear model that predicts from raw data what it did from normalised.

    Scales go into the coefficients and means into the intercept::

        w . ((x - mean) / scale + beta) + b  =  (w / scale) . x + b'

    Rows are then predicted in one step, sparse ones without being filled in, and the
    zeros of an L1 penalty stay zeros.

    Parameters
    ----------
    transformer : BatchNormTransformer or Pipeline
        Fitted; or a fitted pipeline of it and the model.
    linear_model : estimator, default=None
        Fitted on the transformer's output; none beside a pipeline. It predicts from
        ``coef_`` and ``intercept_`` alone: LinearRegression, Ridge, Lasso, ElasticNet,
        LogisticRegression, SGDClassifier and SGDRegressor, LinearSVC, LinearSVR and
        their like, of one or several classes or outputs. Or it is an MLPClassifier or
        MLPRegressor, whose first layer is folded.
    tolerance : float, default=1e-6
        The loss of digits that is allowed, see Notes.

    Returns
    -------
    estimator
        A copy of the model in double precision, with the names of the raw features. It
        is **not for further training**: on raw data a penalty would weigh coefficients
        by the units of their features, the steps of a gradient would no longer fit
        them, and what a solver remembers (averages, moments of gradients) is of
        normalised data. Train the pipeline on, and fold it again.

    Raises
    ------
    ValueError
        More would be lost than ``tolerance``, the error names the feature; or there is
        no such model: with ``clip``, or missing values that the model deals with or of
        which a feature consists, or where the pipeline has other steps.
    TypeError
        The model does not predict from coefficients that can be set.
    NotFittedError

    Notes
    -----
    In the sum the offset of a feature no longer cancels before it is scaled, so that
    digits are lost where its mean is many times its spread: outputs are off by 3e-10 at
    1e6 standard deviations from zero, and by 7e-4 at 1e12. The loss is known
    beforehand, from the raw coefficients ``v`` of each output::

        4 eps sum_j |v_j mean_j|  /  sqrt(sum_j (v_j std_j)^2)

    the rounding of its terms, in standard deviations of an output of features that are
    not correlated. ``eps`` is 2.2e-16: outputs are computed in double precision, from
    float32 as well.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from skbn import BatchNormTransformer, fold
    >>> X = np.array([[100.0, 1.0], [104.0, 2.0], [108.0, 3.0], [104.0, 6.0]])
    >>> pipeline = make_pipeline(BatchNormTransformer(), Ridge())
    >>> _ = pipeline.fit(X, X @ [1.0, 2.0])
    >>> bool(np.allclose(fold(pipeline).predict(X), pipeline.predict(X), rtol=1e-13))
    True
    """
    transformer, model = _parts(transformer, linear_model)
    transformer = copy(transformer)  # of one moment, whatever other threads do
    affine = map_of(transformer)
    _refuse_what_is_not_linear(transformer, affine, model)
    folded = deepcopy(model)
    if "coefs_" in vars(model):
        first, bias = model.coefs_[0].T, model.intercepts_[0]
        weights, bias = _folded(transformer, affine, first, bias, tolerance)
        folded.coefs_ = [weights.T, *folded.coefs_[1:]]
        folded.intercepts_ = [bias, *folded.intercepts_[1:]]
    else:
        coef, bias = model.coef_, np.asarray(model.intercept_, dtype=float)
        dense = np.asarray(coef.toarray() if issparse(coef) else coef)
        weights, shifts = _folded(transformer, affine, dense, bias, tolerance)
        weights = weights.reshape(dense.shape)
        folded.coef_ = type(coef)(weights) if issparse(coef) else weights
        is_one = bias.ndim == 0 and dense.ndim == 1
        folded.intercept_ = float(shifts[0]) if is_one else shifts
    if tolerance <= ALIKE:
        _refuse_what_predicts_otherwise(transformer, affine, model, folded)
    _take_over_names(transformer, folded)
    return folded


def to_standard_scaler(
    transformer: BatchNormTransformer, *, tolerance: float = 1e-6
) -> StandardScaler:
    """Return the StandardScaler that maps as a transformer does.

    For tools that know only that one: converters to PMML, hummingbird and others read
    ``mean_`` and ``scale_``. What these hold is what makes the map: ``epsilon`` and
    ``gamma`` are part of ``scale_``, ``beta`` of ``mean_``. ``var_`` is the variance.

    Parameters
    ----------
    transformer : BatchNormTransformer
        Fitted.
    tolerance : float, default=1e-6
        By how many standard deviations the mean may be off that one float64 holds; 6e-5
        at an offset of 1e12. StandardScaler itself loses more on float32 data far from
        zero, where it subtracts in float32: 0.03 at 1e6.

    Returns
    -------
    StandardScaler
        Fitted. With ``partial_fit`` it goes on as the transformer would where that
        weighs every row the same (neither ``momentum`` nor ``halflife``), has
        ``ddof=0`` and ``epsilon=0``, and neither ``gamma`` nor ``beta``; else
        ``partial_fit`` computes ``scale_`` anew without them.

    Raises
    ------
    ValueError
        There is none: with ``clip``, a ``gamma`` of 0, or where the mean has more
        digits than float64; the last two name the feature.
    TypeError
        Not a BatchNormTransformer.
    NotFittedError

    Examples
    --------
    >>> import numpy as np
    >>> from skbn import BatchNormTransformer, to_standard_scaler
    >>> scaler = BatchNormTransformer(gamma=2.0, beta=1.0).fit([[1.0], [3.0]])
    >>> to_standard_scaler(scaler).transform([[1.0], [3.0]])
    array([[-1.],
           [ 3.]])
    """
    transformer = copy(transformer)  # of one moment, whatever other threads do
    affine, its = map_of(transformer), statistics_of(transformer)
    if affine.clip is not None:
        raise ValueError(f"StandardScaler does not clip: clip={transformer.clip}.")
    scale = affine.scale
    refuse_endless(affine, "such scale_", partial(name_of, transformer))
    center, low = affine.center or (None, None)
    if low is not None:
        lost = np.nan_to_num(np.abs(low) / its.scale)
        _refuse_loss(transformer, lost, float(lost.max()), tolerance, "float64")
    if affine.shift is not None:
        away = affine.shift[0] * (1.0 if scale is None else scale)
        center = -away if center is None else center - away
    scaler = StandardScaler(
        copy=transformer.copy, with_mean=center is not None, with_std=scale is not None
    )
    learnt = center is not None or scale is not None
    scaler.mean_ = (its.mean if center is None else center).copy() if learnt else None
    scaler.var_ = None if scale is None else its.variance.copy()
    scaler.scale_ = None if scale is None else scale.copy()
    scaler.n_samples_seen_ = its.n_samples
    scaler.n_features_in_ = transformer.n_features_in_
    _take_over_names(transformer, scaler)
    return scaler


def _parts(transformer: Any, linear_model: Any) -> tuple[Any, Any]:
    """The transformer and the model, of a pipeline where there is one."""
    steps = getattr(transformer, "steps", None)
    if steps is None:
        if linear_model is None:
            raise TypeError("fold takes a transformer and a model, or their Pipeline.")
        return transformer, linear_model
    if linear_model is not None:
        raise TypeError("fold takes no model beside a Pipeline, which has one.")
    if len(steps) != 2:
        raise ValueError(
            "fold takes a Pipeline of two steps, a BatchNormTransformer and a linear "
            f"model; this one has {[name for name, _ in steps]}."
        )
    return steps[0][1], steps[1][1]


def _refuse_what_is_not_linear(
    transformer: BatchNormTransformer, affine: Affine, model: Any
) -> None:
    name = type(model).__name__
    if affine.clip is not None:
        raise ValueError(f"clip={transformer.clip} is not linear: it cannot be folded.")
    check_is_fitted(model)
    names = {"coef_", "intercept_"}, {"coefs_", "intercepts_"}
    if not any(pair <= set(vars(model)) for pair in names):
        raise TypeError(f"{name} has no coef_ and intercept_ that can be set.")
    if "return_std" in signature(model.predict).parameters:
        raise TypeError(f"{name} predicts deviations, which coef_ does not tell.")
    if get_tags(model).input_tags.allow_nan:
        raise ValueError(f"{name} takes missing values, which would not be scaled.")
    ours, its = (getattr(e, "feature_names_in_", None) for e in (transformer, model))
    if its is not None and ours is not None and not np.array_equal(ours, its):
        raise ValueError(f"{name} was fitted on other features, or in another order.")


def _folded(
    transformer: BatchNormTransformer,
    affine: Affine,
    coef: NDArray[Any],
    bias: NDArray[Any],
    tolerance: float,
) -> tuple[Array, Array]:
    """Coefficients of shape (n_outputs, n_features) and intercepts, for raw data."""
    weights = np.atleast_2d(coef).astype(np.float64)
    if weights.shape[1] != transformer.n_features_in_:
        raise ValueError(
            f"The model was fitted with {weights.shape[1]} features, the transformer "
            f"with {transformer.n_features_in_}."
        )
    raw = weights if affine.scale is None else weights / affine.scale
    zero = np.zeros(weights.shape[1])
    center, low = affine.center or (zero, None)
    known = np.isfinite(raw).all(axis=0) & np.isfinite(statistics_of(transformer).mean)
    if not known.all():
        name = name_of(transformer, int(np.argmin(known)))
        raise ValueError(f"Feature {name} has no statistics: too few values were seen.")
    _refuse_lost_digits(transformer, raw, center, tolerance)
    beta = zero if affine.shift is None else affine.shift[0]
    terms = [
        np.broadcast_to(bias, len(raw))[:, None],
        *two_product(weights, beta),
        *two_product(raw, -center),
        *two_product(raw, zero if low is None else -low),
    ]
    # What rounding did to the coefficients is made up for at the mean.
    return raw, np.array([math.fsum(row) for row in np.hstack(terms).tolist()])


def _refuse_lost_digits(
    transformer: BatchNormTransformer, raw: Array, center: Array, tolerance: float
) -> None:
    spread = np.linalg.norm(raw * _deviations(transformer), axis=1)
    lost = ROUNDINGS * EPS * np.abs(raw * center)
    lost = lost / np.where(spread > 0, spread, 1.0)[:, None]
    worst = int(np.argmax(lost.sum(axis=1)))
    total = float(lost[worst].sum())
    _refuse_loss(transformer, lost[worst], total, tolerance, "a sum of raw values")


def _refuse_loss(
    transformer: BatchNormTransformer,
    lost: Array,
    total: float,
    tolerance: float,
    where: str,
) -> None:
    if not total <= tolerance:
        name = name_of(transformer, int(np.argmax(lost)))
        raise ValueError(
            f"In {where} the digits of feature {name} would be lost, too far from zero "
            f"for its spread: {total:.0e} standard deviations, tolerance={tolerance}."
        )


def _refuse_what_predicts_otherwise(
    transformer: BatchNormTransformer, affine: Affine, model: Any, folded: Any
) -> None:
    """Raise unless both give the same, in some rows as the transformer knows them."""
    noise = np.random.default_rng(0).standard_normal((8, transformer.n_features_in_))
    rows = statistics_of(transformer).mean + _deviations(transformer) * noise
    normalised = normalize(rows, affine)
    scores = "decision_function", "predict_proba", "predict"
    score = next(name for name in scores if hasattr(model, name))
    for name in (score, "transform"):
        if not hasattr(model, name):
            continue
        before = getattr(_without_names(model), name)(normalised)
        after = getattr(_without_names(folded), name)(rows)
        if not np.allclose(before, after, ALIKE, ALIKE * np.abs(before).max()):
            raise TypeError(
                f"{type(model).__name__}.{name} needs more than coef_ and intercept_."
            )


def _deviations(transformer: BatchNormTransformer) -> Array:
    """Standard deviations, 1 where there is none."""
    return np.nan_to_num(statistics_of(transformer).scale, nan=1.0, posinf=1.0)


def _without_names(model: Any) -> Any:
    """The model, for arrays."""
    model = copy(model)
    vars(model).pop("feature_names_in_", None)
    return model


def _take_over_names(transformer: BatchNormTransformer, estimator: Any) -> None:
    vars(estimator).pop("feature_names_in_", None)
    if hasattr(transformer, "feature_names_in_"):
        estimator.feature_names_in_ = transformer.feature_names_in_.copy()
