"""What a part does with a batch, and how what it did is undone."""

import inspect
from copy import deepcopy

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

from skbn import BatchNormTransformer
from skbn.pipeline import StreamingColumnTransformer, StreamingPipeline
from skbn.steps import (
    CannotLearnError,
    classes_for,
    is_stateless,
    learns,
    tell_features,
    undone_on_error,
)

X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 1, 0, 1, 0, 1])


class Bare:
    """A classifier of a library that knows nothing of scikit-learn."""

    def partial_fit(self, X, y, classes=None):
        self.seen = len(X)


def name_of(value):
    """A name that is the same in all processes that collect the tests."""
    return str(value).partition(" at 0x")[0]


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (BatchNormTransformer(), True),
        (SGDClassifier(), True),
        (Bare(), True),
        (StreamingPipeline([("a", StandardScaler())]), True),
        (None, False),
        ("passthrough", False),
        ("drop", False),
        (Normalizer(), False),
        (FunctionTransformer(), False),
        (PCA(1).fit(X), False),
        (FrozenEstimator(PCA(1).fit(X)), False),
        (FrozenEstimator(StandardScaler().fit(X)), False),
        (FrozenEstimator(LogisticRegression().fit(X, Y)), False),
    ],
    ids=name_of,
)
def test_what_learns(estimator, expected):
    assert learns(estimator, "a") is expected


@pytest.mark.parametrize(
    "estimator",
    [
        PCA(1),
        PCA,
        object(),
        LogisticRegression(),
        LogisticRegression().fit(X, Y),
        FrozenEstimator(PCA(1)),
        FrozenEstimator(StandardScaler()),
        StreamingPipeline([("inner", PCA(1))]),
    ],
    ids=name_of,
)
def test_what_can_do_neither(estimator):
    with pytest.raises(CannotLearnError, match="Step 'the name"):
        learns(estimator, "the name")


@pytest.mark.parametrize("kind", [StreamingPipeline, StreamingColumnTransformer])
def test_the_method_is_a_method(kind):
    assert next(iter(inspect.signature(kind.partial_fit).parameters)) == "self"
    assert "Let every" in kind.partial_fit.__doc__


def test_a_stateless_step_knows_its_features_as_after_fit():
    step = Normalizer()
    tell_features(step, X)

    assert vars(step) == vars(Normalizer().fit(X))


def test_what_learns_is_not_told():
    step = StandardScaler()
    tell_features(step, X)

    assert not is_stateless(step)
    assert not hasattr(step, "n_features_in_")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_is_undone(error):
    ours, theirs = BatchNormTransformer().fit(X), StandardScaler().fit(X)
    last = SGDClassifier(random_state=0)

    def learn_and_fail():
        ours.partial_fit(X)
        theirs.n_samples_seen_ += 1
        theirs.mean_ += 1.0
        last.partial_fit(X, Y, classes=Y)
        raise error

    with pytest.raises(error), undone_on_error([ours, theirs], [last, None]):
        learn_and_fail()

    assert ours.n_samples_seen_ == theirs.n_samples_seen_ == 6
    np.testing.assert_array_equal(theirs.mean_, ours.mean_)
    assert not hasattr(last, "coef_")


def test_what_does_not_learn_is_not_copied():
    class Large(StandardScaler):
        def __deepcopy__(self, memo):
            raise AssertionError("copied")

    class Fitted(BaseEstimator):
        def fit(self, X, y=None):
            self.fitted_ = Large()
            return self

        def transform(self, X):
            return X

    large = Fitted().fit(X)
    StreamingPipeline([("a", large), ("b", StandardScaler())]).partial_fit(X)
    with pytest.raises(AssertionError, match="copied"):
        deepcopy(large)


def test_what_has_no_error_stays():
    ours = BatchNormTransformer()
    with undone_on_error([ours]):
        ours.partial_fit(X)

    assert ours.n_samples_seen_ == 6


def test_classes_of_a_stranger_are_its_own_matter():
    assert classes_for("a", Bare(), Y, None) == {}
    assert classes_for("a", Bare(), None, [0, 1]) == {"classes": [0, 1]}
    with pytest.raises(ValueError, match="not among the classes"):
        classes_for("a", Bare(), Y, [0, 2])


@pytest.mark.parametrize(
    "final",
    [None, "passthrough", Normalizer(), FrozenEstimator(SGDClassifier().fit(X, Y))],
    ids=name_of,
)
@pytest.mark.parametrize("nested", [False, True])
def test_classes_are_of_no_use_to_what_does_not_learn(final, nested):
    assert classes_for("a", final, None, [0, 5]) == {}
    last = StreamingPipeline([("c", final)]) if nested else final
    pipeline = StreamingPipeline([("a", BatchNormTransformer()), ("b", last)])
    pipeline.partial_fit(X, Y, classes=[0, 1]).partial_fit(X, Y)

    assert pipeline["a"].n_samples_seen_ == 12


def test_labels_of_any_kind():
    class Known(BaseEstimator):
        def partial_fit(self, X, y, classes=None):
            """Nothing."""

    for labels in (["b", "a"], np.array([1.5, 2.5]), (True, False), range(3)):
        targets = [labels[0]] * 3
        assert classes_for("a", Known(), targets, labels) == {"classes": labels}
        assert classes_for("a", Known(), np.array(targets)[:, None], labels)
