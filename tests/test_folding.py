"""Models on raw data predict what they did on normalised, or there is an error."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from fitted import fitted
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.cross_decomposition import PLSRegression
from sklearn.datasets import make_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import (
    BayesianRidge,
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    MultiTaskLasso,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC, LinearSVR
from strategies import examples

from skbn import BatchNormTransformer, fold, to_standard_scaler
from skbn.exports import statistics_of

EPS = np.finfo(float).eps
RNG = np.random.default_rng(0)


def data(n_outputs=1, n_classes=0):
    X = [5.0, -200.0, 0.0, 3.0] + RNG.normal(size=(150, 4)) * [1.0, 20.0, 3.0, 0.1]
    Y = X @ RNG.normal(size=(4, n_outputs)) + RNG.normal(size=(150, n_outputs))
    if n_classes:
        return X, np.digitize(
            Y[:, 0], np.quantile(Y[:, 0], np.arange(1, n_classes) / n_classes)
        )
    return X, Y if n_outputs > 1 else Y[:, 0]


def scores(model, X):
    names = "decision_function", "predict_proba", "predict"
    return getattr(model, next(name for name in names if hasattr(model, name)))(X)


REGRESSORS = [
    LinearRegression(),
    LinearRegression(fit_intercept=False),
    Ridge(),
    Lasso(alpha=0.1),
    ElasticNet(alpha=0.1),
    SGDRegressor(average=True, random_state=0),
    LinearSVR(random_state=0),
    LinearSVR(fit_intercept=False, random_state=0),
    MLPRegressor(hidden_layer_sizes=(8, 4), max_iter=30, random_state=0),
]
SEVERAL = [
    LinearRegression(),
    LinearRegression(fit_intercept=False),
    Ridge(),
    MultiTaskLasso(alpha=0.1),
    MLPRegressor(hidden_layer_sizes=(), max_iter=30, random_state=0),
]
CLASSIFIERS = [
    LogisticRegression(),
    LogisticRegression(fit_intercept=False),
    RidgeClassifier(),
    SGDClassifier(random_state=0),
    SGDClassifier(loss="log_loss", average=True, random_state=0),
    LinearSVC(random_state=0),
    LinearSVC(fit_intercept=False, random_state=0),
    MLPClassifier(hidden_layer_sizes=(8,), max_iter=30, random_state=0),
]


def cases():
    for models, counts in ((REGRESSORS, (1, 0)), (SEVERAL, (3, 0))):
        yield from ((model, *counts) for model in models)
    yield from ((model, 1, n) for model in CLASSIFIERS for n in (2, 3))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("model", "n_outputs", "n_classes"), list(cases()), ids=str)
def test_predicts_alike(model, n_outputs, n_classes):
    X, y = data(n_outputs, n_classes)
    scaler = BatchNormTransformer(gamma=[1.0, 2.0, -0.5, 3.0], beta=0.3, epsilon=1e-3)
    pipeline = make_pipeline(scaler, model).fit(X, y)
    folded = fold(pipeline)
    assert type(folded) is type(model)
    if np.ndim(getattr(model, "intercept_", 0.0)):  # 0.0 where none was fitted
        assert folded.coef_.shape == model.coef_.shape
        assert folded.intercept_.shape == model.intercept_.shape
    expected = scores(pipeline, X)
    assert scores(folded, X).shape == expected.shape
    size = np.abs(expected).max()
    np.testing.assert_allclose(scores(folded, X), expected, atol=1e-12 * size)
    np.testing.assert_allclose(
        scores(fold(scaler, model), csr_array(X)), expected, atol=1e-12 * size
    )


@examples(60)
@given(fitted(dtypes=("f8", "f4"), clip=None), st.integers(1, 3), st.integers(0, 2**32))
def test_loss_is_known_beforehand(case, n_outputs, seed):
    scaler, n_features = case.transformer, case.X.shape[1]
    random = np.random.default_rng(seed)
    model = LinearRegression()
    model.coef_ = random.normal(size=(n_outputs, n_features))
    model.intercept_ = random.normal(size=n_outputs)
    model.n_features_in_ = n_features
    its = statistics_of(scaler)
    if np.isnan(its.mean).any() or (scaler.with_std and np.isnan(its.scale).any()):
        with pytest.raises(ValueError, match="too few values were seen"):
            fold(scaler, model, tolerance=np.inf)
        return
    folded = fold(scaler, model, tolerance=np.inf)
    image = ExactMap(scaler)
    X = np.where(np.isnan(case.X), its.mean, case.X)[:8]
    centers = image.center
    for row, outputs in zip(X, folded.predict(X), strict=True):
        z = image(row)
        for weights, raw, bias, output in zip(
            model.coef_, folded.coef_, model.intercept_, outputs, strict=True
        ):
            exact = sum(
                map(Fraction.__mul__, map(Fraction, weights), z), Fraction(bias)
            )
            expected = 4 * EPS * np.abs(raw * centers).sum()
            near = (
                np.abs(raw * (row - centers)).sum() + np.abs(weights * image.beta).sum()
            )
            rest = 8 * EPS * (near + abs(bias))
            assert abs(float(Fraction(output) - exact)) <= expected + rest


class ExactMap:
    """``transform`` of a row, in rational arithmetic."""

    def __init__(self, scaler):
        affine, n = scaler._current_map(), scaler.n_features_in_
        self.center, low = affine.center or (np.zeros(n), None)
        self.low = np.zeros(n) if low is None else low
        self.scale = np.ones(n) if affine.scale is None else affine.scale
        self.beta = np.zeros(n) if affine.shift is None else affine.shift[0]

    def __call__(self, row):
        parts = zip(row, self.center, self.low, self.scale, self.beta, strict=True)
        return [
            (Fraction(x) - Fraction(h) - Fraction(low)) / Fraction(s) + Fraction(b)
            if np.isfinite(s)  # else gamma is 0
            else Fraction(b)
            for x, h, low, s, b in parts
        ]


@pytest.mark.parametrize(
    ("offset", "least", "most"), [(1e6, 1e-11, 1e-9), (1e12, 1e-5, 1e-3)]
)
def test_loss_grows_with_the_offset(offset, least, most):
    X = offset + RNG.normal(size=(500, 1))
    model = LinearRegression()
    scaler = BatchNormTransformer().fit(X)
    Z = scaler.transform(X)
    model.fit(Z, Z)
    away = np.abs(fold(scaler, model, tolerance=most).predict(X) - Z).max()
    assert least < away < most
    with pytest.raises(ValueError, match="the digits of feature 0 would be lost"):
        fold(scaler, model, tolerance=away / 10)


@pytest.mark.parametrize("unit", [1e-150, 1e150])
def test_units_of_any_size(unit):
    X, y = data()
    pipeline = make_pipeline(BatchNormTransformer(), Ridge()).fit(X * unit, y)
    folded = fold(pipeline)
    np.testing.assert_allclose(
        folded.predict(X * unit), pipeline.predict(X * unit), rtol=1e-11
    )


def test_feature_that_is_too_far_from_zero_is_named():
    table = pd.DataFrame(RNG.normal(size=(50, 3)), columns=["a", "clock", "c"])
    table["clock"] += 1e12
    y = table["a"] + RNG.normal(size=50)
    pipeline = make_pipeline(BatchNormTransformer(), Ridge()).fit(table, y)
    with pytest.raises(ValueError, match="'clock' would be lost"):
        fold(pipeline)
    # Not where the model does without it.
    pipeline[1].coef_[1] = 0.0
    np.testing.assert_allclose(
        fold(pipeline).predict(table), pipeline.predict(table), rtol=1e-12
    )


def test_zeros_stay_and_sparse_rows_stay_sparse(monkeypatch):
    X, y = make_classification(300, 30, n_informative=4, random_state=0)
    X[np.abs(X) < 1.0] = 0.0
    model = LogisticRegression(C=0.05, solver="liblinear")
    model.set_params(**l1_penalty())
    pipeline = make_pipeline(BatchNormTransformer(), model).fit(X, y)
    zeros = model.coef_ == 0
    assert zeros.sum() > 10
    folded = fold(pipeline)
    assert np.array_equal(folded.coef_ == 0, zeros)

    rows = csr_array(X)
    for name in ("toarray", "todense"):
        monkeypatch.setattr(type(rows), name, None)
    np.testing.assert_allclose(
        folded.decision_function(rows), pipeline.decision_function(X), rtol=1e-11
    )


def l1_penalty():
    """The parameters that mean L1 in this scikit-learn."""
    if LogisticRegression().get_params()["penalty"] == "deprecated":
        return {"l1_ratio": 1}
    return {"penalty": "l1"}


def test_sparse_coefficients_stay_so():
    X, y = data(n_classes=3)
    pipeline = make_pipeline(BatchNormTransformer(), SGDClassifier(random_state=0))
    expected = pipeline.fit(X, y).decision_function(X)
    folded = fold(pipeline[0], pipeline[1].sparsify())
    assert type(folded.coef_) is type(pipeline[1].coef_)
    np.testing.assert_allclose(folded.decision_function(X), expected, rtol=1e-11)


def test_a_copy_with_the_names_of_the_raw_features():
    X, y = data()
    table = pd.DataFrame(X, columns=list("abcd"))
    pipeline = make_pipeline(BatchNormTransformer(), Ridge()).fit(table, y)
    before = pipeline[1].coef_.copy()
    folded = fold(pipeline)
    folded.coef_[:] = 0
    np.testing.assert_array_equal(pipeline[1].coef_, before)
    np.testing.assert_array_equal(folded.feature_names_in_, list("abcd"))
    fold(pipeline).predict(table)  # without a warning


def test_links_and_single_precision():
    X, y = data()
    X = X.astype("f4")
    for model in (PoissonRegressor(), LinearRegression()):
        pipeline = make_pipeline(BatchNormTransformer(), model).fit(X, np.abs(y))
        got, expected = fold(pipeline).predict(X), pipeline.predict(X)
        np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "error", "match"),
    [
        (SVC(kernel="linear"), TypeError, "no coef_ and intercept_ that can be set"),
        (RandomForestRegressor(2), TypeError, "no coef_ and intercept_"),
        (HistGradientBoostingRegressor(max_iter=2), TypeError, "no coef_"),
        (BayesianRidge(), TypeError, "predicts deviations"),
        (PLSRegression(), TypeError, "PLSRegression"),
        (LinearDiscriminantAnalysis(), TypeError, "transform needs more than"),
    ],
)
def test_models_that_cannot_be_folded(model, error, match):
    X, y = data(n_classes=3)
    with pytest.raises(error, match=match):
        fold(make_pipeline(BatchNormTransformer(), model).fit(X, y))


class TakesMissing(Ridge):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def test_what_cannot_be_folded_is_said():
    X, y = data()
    scaler = BatchNormTransformer().fit(X)
    model = Ridge().fit(scaler.transform(X), y)
    with pytest.raises(ValueError, match=r"clip=2.0 is not linear"):
        fold(BatchNormTransformer(clip=2.0).fit(X), model)
    with pytest.raises(ValueError, match="takes missing values"):
        fold(scaler, TakesMissing().fit(X, y))
    with pytest.raises(ValueError, match="with 4 features, the transformer with 3"):
        fold(BatchNormTransformer().fit(X[:, :3]), model)
    table = pd.DataFrame(X, columns=list("abcd"))
    other = Ridge().fit(table[list("bacd")], y)
    with pytest.raises(ValueError, match="in another order"):
        fold(BatchNormTransformer().fit(table), other)
    with pytest.raises(NotFittedError):
        fold(scaler, Ridge())
    with pytest.raises(NotFittedError):
        fold(BatchNormTransformer(), model)
    with pytest.raises(TypeError, match="got a StandardScaler"):
        fold(StandardScaler().fit(X), model)
    with pytest.raises(TypeError, match="a transformer and a model"):
        fold(scaler)
    with pytest.raises(TypeError, match="no model beside a Pipeline"):
        fold(make_pipeline(scaler, model), model)
    three = make_pipeline(BatchNormTransformer(), BatchNormTransformer(), Ridge())
    with pytest.raises(ValueError, match="two steps"):
        fold(three.fit(X, y))


# to_standard_scaler


@examples(80)
@given(fitted(clip=None))
def test_standard_scaler_maps_alike(case):
    scaler = case.transformer
    affine = scaler._current_map()
    if affine.scale is not None and np.isinf(affine.scale).any():
        with pytest.raises(ValueError, match="gamma is 0 for feature"):
            to_standard_scaler(scaler)
        return
    standard = to_standard_scaler(scaler, tolerance=np.inf)
    X = case.X.astype("f8")
    with np.errstate(invalid="ignore"):
        image, expected = standard.transform(X), scaler.transform(X)
    scale = np.ones(X.shape[1]) if affine.scale is None else np.abs(affine.scale)
    size = np.nanmax(np.abs(X), axis=0, initial=0) / scale + np.abs(
        0.0 if affine.shift is None else affine.shift[0]
    )
    assert np.all((np.abs(image - expected) <= 4 * EPS * size) | np.isnan(expected))
    assert np.array_equal(np.isnan(image), np.isnan(expected))


@pytest.mark.parametrize(
    "options", [{}, {"with_mean": False}, {"with_std": False}], ids=str
)
def test_standard_scaler_goes_on(options):
    X = data()[0]
    X[3, 1] = np.nan
    table = pd.DataFrame(X, columns=list("abcd"))
    scaler = BatchNormTransformer(**options).fit(table[:100])
    standard = to_standard_scaler(scaler)
    fresh = StandardScaler(**options).fit(table[:100])
    assert vars(standard).keys() == vars(fresh).keys()
    np.testing.assert_array_equal(standard.n_samples_seen_, fresh.n_samples_seen_)
    for model in (scaler, standard):
        model.partial_fit(table[100:])
    for name in ("mean_", "var_", "scale_", "n_samples_seen_"):
        ours, theirs = getattr(scaler, name), getattr(standard, name)
        assert (ours is None) == (theirs is None), name
        if ours is not None:
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    np.testing.assert_array_equal(standard.feature_names_in_, list("abcd"))


def test_there_is_no_such_standard_scaler():
    X = 1e12 + RNG.normal(size=(100, 2))
    with pytest.raises(ValueError, match="does not clip: clip=3"):
        to_standard_scaler(BatchNormTransformer(clip=3).fit(X))
    with pytest.raises(ValueError, match="In float64 the digits of feature"):
        to_standard_scaler(BatchNormTransformer().fit(X))
    assert (
        to_standard_scaler(BatchNormTransformer().fit(X), tolerance=1e-3).mean_
        is not None
    )
    with pytest.raises(NotFittedError):
        to_standard_scaler(BatchNormTransformer())
    with pytest.raises(TypeError, match="got a StandardScaler"):
        to_standard_scaler(StandardScaler().fit(X))


def test_a_feature_of_an_infinite_variance_folds_to_zero():
    X = RNG.normal(size=(20, 2)) * [1e160, 1.0]
    transformer = BatchNormTransformer().fit(X)
    folded = fold(transformer, Ridge().fit(transformer.transform(X), X[:, 1]))
    assert folded.coef_[0] == 0.0
    with pytest.raises(ValueError, match="feature 0, or its variance is infinite"):
        to_standard_scaler(transformer)
