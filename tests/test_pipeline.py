"""A streaming pipeline does what its steps would, one by one, or nothing at all."""

import sys
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    StandardScaler,
)
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted
from strategies import examples, streams

from skbn import BatchNormTransformer
from skbn.pipeline import (
    CannotLearnError,
    StreamingColumnTransformer,
    StreamingPipeline,
    make_streaming_pipeline,
    predict_then_learn,
)

RNG = np.random.default_rng(0)
LABELS = [0, 1, 2]


@pytest.fixture
def batches():
    X, y = RNG.normal(5, 2, (60, 4)), RNG.integers(0, 3, 60)
    return [(X[i : i + 20], y[i : i + 20]) for i in (0, 20, 40)]


class Spy(TransformerMixin, BaseEstimator):
    """Writes down what it is asked for."""

    def __init__(self, events=None):
        self.events = events

    def fit(self, X, y=None):
        raise AssertionError("a batch is not for fit")

    def partial_fit(self, X, y=None):
        self.events.append("learn")
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        self.events.append("transform")
        return X


Spy.__sklearn_clone__ = lambda self: self


class Refuses(Spy):
    """A step that refuses, once it has changed itself."""

    def partial_fit(self, X, y=None):
        self.n_features_in_ = -1
        raise ValueError("not today")


class InPlace(Spy):
    """What others do: it changes its own array."""

    def partial_fit(self, X, y=None):
        if not hasattr(self, "sum_"):
            self.sum_ = np.zeros(X.shape[1])
        self.sum_ += 1 + X.sum(axis=0)
        return self

    def transform(self, X):
        return X


def state(estimator):
    """All that is in an estimator, to compare."""
    return {
        name: (value.dtype.str, value.tobytes())
        if isinstance(value, np.ndarray)
        else value
        for name, value in vars(estimator).items()
    }


# What it learns


@given(streams(weighted=False, min_rows=2), st.booleans(), st.booleans())
@examples(25)
def test_it_equals_its_steps_one_by_one(stream, learn_first, forget):
    settings = {"halflife": 5.0} if forget else {}
    pipeline = make_streaming_pipeline(
        BatchNormTransformer(engine="numpy", **settings),
        StandardScaler(),
        SGDRegressor(random_state=0),
        learn_first=learn_first,
    )
    one, two, three = (step for _, step in clone(pipeline).steps)

    for X, _ in stream.batches():
        X.flags.writeable = False
        y = X[:, 0] % 1
        pipeline.partial_fit(X, y)
        Z = X
        for step in (one, two):
            if learn_first or not hasattr(step, "n_features_in_"):
                Z = step.partial_fit(Z).transform(Z)
            else:
                Z, before = step.transform(Z), Z
                step.partial_fit(before)
        three.partial_fit(Z, y)

    for (_, ours), theirs in zip(pipeline.steps, (one, two, three), strict=True):
        assert ours.get_params() == theirs.get_params()
    np.testing.assert_array_equal(pipeline[0].var_, one.var_)
    np.testing.assert_array_equal(pipeline[1].var_, two.var_)
    np.testing.assert_array_equal(pipeline[2].coef_, three.coef_)
    assert pipeline[2].t_ == three.t_


def test_a_step_learns_then_transforms_and_the_last_only_learns(batches):
    events = []
    pipeline = make_streaming_pipeline(Spy(events), Spy(events))
    for X, _ in batches[:2]:
        pipeline.partial_fit(X)

    assert events == ["learn", "transform", "learn"] * 2


def test_the_other_order_learns_the_first_batch_first(batches):
    events = []
    pipeline = make_streaming_pipeline(Spy(events), "passthrough", learn_first=False)
    for X, _ in batches[:2]:
        pipeline.partial_fit(X)

    assert events == ["learn", "transform", "transform", "learn"]


def test_the_other_order_learns_from_data_that_a_step_overwrites(batches):
    ours = BatchNormTransformer(copy=False)
    pipeline = make_streaming_pipeline(ours, None, learn_first=False)
    plain = BatchNormTransformer()
    for X, _ in batches:
        plain.partial_fit(X)
        pipeline.partial_fit(X.copy())

    np.testing.assert_array_equal(ours.mean_, plain.mean_)


@pytest.mark.parametrize(
    "step",
    [
        FunctionTransformer(np.log1p),
        Normalizer(),
        HashingVectorizer(n_features=8),
        PCA(2),
        FrozenEstimator(IncrementalPCA(2)),
        FrozenEstimator(BatchNormTransformer()),
        make_pipeline(StandardScaler(), PCA(2)),
        None,
        "passthrough",
    ],
    ids=str,
)
def test_what_cannot_learn_only_transforms(step, batches):
    X, y = batches[0]
    if isinstance(step, HashingVectorizer):
        X = ["one text", "another"] * 10
    elif isinstance(step, FrozenEstimator):
        step = FrozenEstimator(step.estimator.fit(X))
    elif isinstance(step, (PCA, Pipeline)):
        step = clone(step).fit(X)
    X = np.abs(X) if isinstance(step, FunctionTransformer) else X
    before = isinstance(step, BaseEstimator) and state(step)
    last = BatchNormTransformer(with_mean=False)
    make_streaming_pipeline(step, last).partial_fit(X[:10], y[:10]).partial_fit(X, y)

    transformed = X if step in (None, "passthrough") else step.transform(X)
    assert last.n_samples_seen_ == 30
    assert last.n_features_in_ == transformed.shape[1]
    if isinstance(step, (PCA, FrozenEstimator)):
        assert state(step) == before


def test_what_is_frozen_does_not_learn(batches):
    frozen = BatchNormTransformer().fit(batches[0][0])
    mean = frozen.mean_
    classifier = SGDClassifier(random_state=0).fit(*batches[0])
    coefficients = classifier.coef_.copy()
    pipeline = make_streaming_pipeline(
        FrozenEstimator(frozen), BatchNormTransformer(), FrozenEstimator(classifier)
    )
    for X, y in batches:
        pipeline.partial_fit(X, y)

    np.testing.assert_array_equal(frozen.mean_, mean)
    np.testing.assert_array_equal(classifier.coef_, coefficients)
    assert pipeline[1].n_samples_seen_ == 60
    assert pipeline.predict(batches[0][0]).shape == (20,)


def test_fit_then_stream_goes_on(batches):
    (X, y), (more, labels), _ = batches
    pipeline = make_streaming_pipeline(BatchNormTransformer(), PCA(2), GaussianNB())
    with pytest.raises(CannotLearnError, match="'pca'"):
        pipeline.partial_fit(X, y, classes=LABELS)
    pipeline.fit(X, y).partial_fit(more, labels)

    assert pipeline[0].n_samples_seen_ == 40
    assert pipeline[2].class_count_.sum() == 40


# What it is


def test_it_is_a_pipeline(batches):
    pipeline = make_streaming_pipeline(
        BatchNormTransformer(), GaussianNB(), learn_first=False, memory=None
    )
    X, y = batches[0]
    twin = clone(pipeline)

    assert isinstance(pipeline, Pipeline)
    assert twin.get_params()["learn_first"] is False
    assert twin[:1].learn_first is False
    assert [name for name, _ in pipeline.steps] == [
        "batchnormtransformer",
        "gaussiannb",
    ]
    with pytest.raises(NotFittedError):
        check_is_fitted(pipeline)
    pipeline.partial_fit(X, y, classes=LABELS)
    check_is_fitted(pipeline)
    assert pipeline.n_features_in_ == 4
    assert list(pipeline.classes_) == LABELS
    assert pipeline.score(X, y) == (pipeline.predict(X) == y).mean()
    assert pipeline.predict_proba(X).shape == (20, 3)
    assert "StreamingPipeline" in pipeline._repr_html_()
    assert deepcopy(pipeline).predict(X).tolist() == pipeline.predict(X).tolist()


@pytest.mark.parametrize(
    "first", [BatchNormTransformer(), Normalizer(), FunctionTransformer(), None]
)
def test_names_of_features_are_those_of_the_first_step(first, batches):
    X = pd.DataFrame(batches[0][0], columns=list("abcd"))
    pipeline = StreamingPipeline([("first", first), ("last", BatchNormTransformer())])
    pipeline.set_output(transform="pandas").partial_fit(X)

    assert list(pipeline.feature_names_in_) == list("abcd")
    assert pipeline.n_features_in_ == 4
    assert list(pipeline.transform(X).columns) == list("abcd")
    if not isinstance(first, FunctionTransformer):
        assert list(pipeline.get_feature_names_out()) == list("abcd")


@pytest.mark.parametrize("last", [None, "passthrough", Normalizer(), PCA(2)])
def test_a_last_step_that_does_not_learn(last, batches):
    X, _ = batches[0]
    last = last.fit(X) if isinstance(last, PCA) else last
    pipeline = make_streaming_pipeline(BatchNormTransformer(), last).partial_fit(X)

    check_is_fitted(pipeline)
    assert pipeline[0].n_samples_seen_ == 20
    assert pipeline.transform(X).shape[0] == 20


def test_memory_is_for_fit_alone(tmp_path, batches):
    (X, y), (more, labels), _ = batches
    pipeline = make_streaming_pipeline(
        BatchNormTransformer(), GaussianNB(), memory=str(tmp_path)
    )
    pipeline.fit(X, y)
    files = sorted(tmp_path.rglob("*"))
    pipeline.partial_fit(more, labels)

    assert files
    assert sorted(tmp_path.rglob("*")) == files
    assert pipeline[0].n_samples_seen_ == 40
    again = clone(pipeline).fit(X, y)  # from the cache, where nothing was changed
    assert again[0].n_samples_seen_ == 20


def test_nested_pipelines(batches):
    inner = make_streaming_pipeline(BatchNormTransformer(), Normalizer())
    last = make_streaming_pipeline(MinMaxScaler(), SGDClassifier(random_state=0))
    nested = make_streaming_pipeline(inner, last)
    flat = make_streaming_pipeline(
        *(clone(step) for pipeline in (inner, last) for _, step in pipeline.steps)
    )
    for X, y in batches:
        nested.partial_fit(X, y, classes=LABELS)
        flat.partial_fit(X, y, classes=LABELS)

    np.testing.assert_array_equal(nested[1][1].coef_, flat[3].coef_)
    np.testing.assert_array_equal(nested[0][0].mean_, flat[0].mean_)


PIPELINES = [
    [("s", StandardScaler()), ("f", LogisticRegression())],
    [("s", BatchNormTransformer()), ("f", GaussianNB())],
    [("s", BatchNormTransformer()), ("f", SGDRegressor(random_state=0))],
    [("s", Normalizer()), ("f", BatchNormTransformer())],
]
PARTS = [("s", StandardScaler(), [0])], BatchNormTransformer()
PAIRS = [
    *((Pipeline(steps), StreamingPipeline(steps)) for steps in PIPELINES),
    tuple(
        kind(PARTS[0], remainder=PARTS[1])
        for kind in (ColumnTransformer, StreamingColumnTransformer)
    ),
]


def passes(estimator, check):
    try:
        check(estimator)
    except Exception:  # noqa: BLE001 - whatever a check raises
        return False
    return True


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("theirs", "ours"), PAIRS, ids=str)
def test_scikit_learn_checks_pass_as_those_of_its_own_do(theirs, ours):
    passed = 0
    for (original, check), (streaming, same) in zip(
        parametrize_with_checks([theirs]).mark.args[1],
        parametrize_with_checks([ours]).mark.args[1],
        strict=True,
    ):
        assert str(same).split(" at ")[0] == str(check).split(" at ")[0]
        if passes(original, check):
            same(streaming)
            passed += 1

    assert passed > 30


# Errors


@pytest.mark.parametrize(
    ("step", "name", "why"),
    [
        (PCA(2), "pca", "no partial_fit and is not fitted. Fit it beforehand"),
        (FrozenEstimator(PCA(2)), "frozenestimator", "what is frozen in it is not"),
        (make_pipeline(PCA(2)), "pipeline", "StreamingPipeline has partial_fit"),
        (
            ColumnTransformer([("scale", StandardScaler(), [0])]),
            "columntransformer",
            "StreamingColumnTransformer has partial_fit",
        ),
        (
            StreamingColumnTransformer([("encode", OneHotEncoder(), [0])]),
            "streamingcolumntransformer__encode",
            "no partial_fit",
        ),
        (make_streaming_pipeline(PCA(2)), "streamingpipeline__pca", "no partial_fit"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_step_that_can_do_neither_is_named_before_anything_learns(
    step, name, why, batches
):
    ours = BatchNormTransformer()
    pipeline = make_streaming_pipeline(ours, step, GaussianNB())
    X, y = batches[0]

    assert not hasattr(pipeline, "partial_fit")
    for kind in (TypeError, AttributeError, NotFittedError):
        with pytest.raises(kind, match=f"Step '{name}' .*{why}"):
            pipeline.partial_fit(X, y, classes=LABELS)
    assert not hasattr(ours, "n_features_in_")


def test_a_last_step_that_can_do_neither_is_named(batches):
    X, y = batches[0]
    classifier = LogisticRegression()
    for last in (classifier, clone(classifier).fit(X, y)):
        pipeline = make_streaming_pipeline(BatchNormTransformer(), last)
        with pytest.raises(CannotLearnError, match=r"'logisticregression'.*Frozen"):
            pipeline.partial_fit(X, y)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "empty"),
        ([("a", BatchNormTransformer()), ("a", None)], "not unique"),
        ([("a__b", BatchNormTransformer()), ("c", None)], "__"),
        ([("steps", BatchNormTransformer()), ("c", None)], "conflict"),
        (3, "steps"),
        ([("a", SGDClassifier()), ("b", SGDClassifier())], "transform"),
        ([("a", BatchNormTransformer), ("b", SGDClassifier())], "instance|class"),
    ],
)
def test_steps_are_checked_as_those_of_a_pipeline(steps, message, batches):
    with pytest.raises((ValueError, TypeError), match=message):
        StreamingPipeline(steps).partial_fit(*batches[0], classes=LABELS)
    with pytest.raises((ValueError, TypeError, AttributeError)):
        Pipeline(steps).fit(*batches[0])


def test_parameters_are_checked(batches):
    with pytest.raises(ValueError, match="'learn_first'"):
        StreamingPipeline([("a", BatchNormTransformer())], learn_first=2).partial_fit(
            *batches[0]
        )


def earlier_steps():
    return {
        "ours": BatchNormTransformer(halflife=10),
        "nested": make_streaming_pipeline(
            Normalizer(), BatchNormTransformer(), InPlace([])
        ),
        "columns": StreamingColumnTransformer(
            [("ours", BatchNormTransformer(), [0]), ("theirs", InPlace([]), [1, 2, 3])]
        ),
        "theirs": StandardScaler(),
        "in_place": InPlace([]),
        "stateless": Normalizer(),
    }


def states(pipeline):
    for _, step in pipeline.steps:
        yield step, state(step)
        if isinstance(step, StreamingPipeline):
            yield from states(step)
        for _, part, _ in getattr(step, "transformers_", ()):
            yield part, state(part)


@pytest.mark.parametrize("learnt", [0, 1, 2])
def test_an_error_of_a_later_step_leaves_all_as_it_was(learnt, batches):
    pipeline = StreamingPipeline([*earlier_steps().items(), ("last", None)])
    for X, y in batches[:learnt]:
        pipeline.partial_fit(X, y)
    pipeline.set_params(last=Refuses([]))
    before = list(states(pipeline))
    given = batches[2][0].copy()
    given.flags.writeable = False
    with pytest.raises(ValueError, match="not today"):
        pipeline.partial_fit(given)

    after = list(states(pipeline))
    assert [id(step) for step, _ in after] == [id(step) for step, _ in before]
    assert [its for _, its in after] == [its for _, its in before]
    np.testing.assert_array_equal(given, batches[2][0])
    assert not hasattr(pipeline[-1], "n_features_in_")


def test_what_cannot_be_copied_is_put_back_as_far_as_it_goes(batches):
    step = StandardScaler()
    step.lock = open(__file__)  # noqa: PTH123, SIM115
    pipeline = make_streaming_pipeline(step, Refuses([]))
    with step.lock, pytest.raises(ValueError, match="not today"):
        pipeline.partial_fit(*batches[0])

    assert not hasattr(step, "mean_")


def test_a_batch_of_other_features_leaves_all_as_it_was(batches):
    X, y = batches[0]
    pipeline = make_streaming_pipeline(BatchNormTransformer(), GaussianNB())
    pipeline.partial_fit(X, y, classes=LABELS)
    before = [state(step) for _, step in pipeline.steps]
    with pytest.raises(ValueError, match="3 features"):
        pipeline.partial_fit(X[:, :3], y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        pipeline.partial_fit(X, y[:-1])

    assert [state(step) for _, step in pipeline.steps] == before


# Classes


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    ("y", "classes", "message"),
    [
        (LABELS, None, "classes must be passed on the first call .* step"),
        ([0, 1, 7], LABELS, r"\[7\]; they are \[0, 1, 2\]"),
        (["a", "b", "z"], ["a", "b"], r"\['z'\]"),
        (None, LABELS, "requires y to be passed, but the target y is None"),
    ],
)
def test_classes_are_checked_before_anything_learns(y, classes, message, nested):
    events, last = [], GaussianNB()
    last = make_streaming_pipeline(Spy(events), last) if nested else last
    pipeline = make_streaming_pipeline(Spy(events), last)
    with pytest.raises(ValueError, match=message):
        pipeline.partial_fit(np.ones((3, 2)), y, classes=classes)

    assert not events


def test_classes_stay_the_same(batches):
    events = []
    pipeline = make_streaming_pipeline(Spy(events), GaussianNB())
    for X, y in batches:
        pipeline.partial_fit(X, y, classes=np.array(LABELS))
    count = len(events)
    with pytest.raises(ValueError, match="not the same as on last call"):
        pipeline.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="labels that are not among the classes"):
        pipeline.partial_fit(X, y + 1)

    assert len(events) == count == 6


@pytest.mark.parametrize("last", [SGDRegressor(), BatchNormTransformer()], ids=str)
def test_classes_are_for_classifiers(last, batches):
    events = []
    with pytest.raises(ValueError, match="does not take it"):
        make_streaming_pipeline(Spy(events), last).partial_fit(*batches[0], classes=[0])

    assert not events


def test_classes_of_several_outputs(batches):
    X, y = batches[0]
    targets = np.c_[y, 2 - y]
    last = MultiOutputClassifier(GaussianNB())
    pipeline = make_streaming_pipeline(BatchNormTransformer(), last)
    with pytest.raises(ValueError, match="among the classes"):
        pipeline.partial_fit(X, targets, classes=[LABELS, [1, 2]])
    pipeline.partial_fit(X, targets, classes=[np.array(LABELS), LABELS])

    assert pipeline.predict(X).shape == (20, 2)


def test_columns_of_a_multilabel_y_are_not_labels(batches):
    from sklearn.neural_network import MLPClassifier

    X, y = batches[0]
    last = MLPClassifier([2], random_state=0)
    pipeline = make_streaming_pipeline(BatchNormTransformer(), last)
    pipeline.partial_fit(X, np.eye(3, dtype=int)[y], classes=LABELS)

    assert pipeline.predict(X).shape == (20, 3)


# Metadata


def test_parameters_go_to_the_step_that_they_name(batches):
    X, y = batches[0]
    weights = np.r_[np.ones(10), np.zeros(10)]
    pipeline = StreamingPipeline(
        [("a", BatchNormTransformer()), ("b", StandardScaler()), ("c", GaussianNB())]
    )
    outer = StreamingPipeline([("inner", pipeline)])
    outer.partial_fit(
        X,
        y,
        classes=LABELS,
        inner__a__sample_weight=weights,
        inner__c__sample_weight=weights,
    )

    assert pipeline["a"].n_samples_seen_ == 10
    assert pipeline["b"].n_samples_seen_ == 20
    assert pipeline["c"].class_count_.sum() == 10


@pytest.mark.parametrize("key", ["sample_weight", "d__sample_weight", "a__"])
def test_parameters_of_no_step_are_refused(key, batches):
    pipeline = StreamingPipeline([("a", BatchNormTransformer()), ("b", None)])
    with pytest.raises(ValueError, match=f"does not take '{key}'.* one of a, b"):
        pipeline.partial_fit(batches[0][0], **{key: np.ones(20)})

    assert not hasattr(pipeline["a"], "n_features_in_")


@pytest.mark.parametrize("nested", [False, True])
def test_metadata_go_to_the_steps_that_ask_for_them(nested, batches):
    X, y = batches[0]
    weights = np.r_[np.ones(10), np.zeros(10)]
    with sklearn.config_context(enable_metadata_routing=True):
        asks = BatchNormTransformer().set_partial_fit_request(sample_weight=True)
        does_not = StandardScaler().set_partial_fit_request(sample_weight=False)
        last = GaussianNB().set_partial_fit_request(sample_weight="other")
        columns = StreamingColumnTransformer([("asks", asks, slice(0, 4))])
        first = make_streaming_pipeline(columns) if nested else asks
        pipeline = make_streaming_pipeline(None, first, does_not, "passthrough", last)
        pipeline.partial_fit(
            X, y, classes=LABELS, sample_weight=weights, other=weights * 2
        )
        with pytest.raises(TypeError, match="stray"):
            pipeline.partial_fit(X, y, stray=1)
    asks = first[0].transformers_[0][1] if nested else asks

    assert asks.n_samples_seen_ == 10
    assert does_not.n_samples_seen_ == 20
    assert last.class_count_.sum() == 20


def test_metadata_that_no_step_has_decided_on_are_refused(batches):
    events = []
    pipeline = make_streaming_pipeline(Spy(events), GaussianNB())
    with (
        sklearn.config_context(enable_metadata_routing=True),
        pytest.raises(ValueError, match="sample_weight"),
    ):
        pipeline.partial_fit(*batches[0], classes=LABELS, sample_weight=np.ones(20))

    assert not events


def test_inputs_among_the_metadata_are_transformed(batches):
    class Validated(Spy):
        def partial_fit(self, X, y=None, X_val=None):
            self.seen_ = X_val
            return super().partial_fit(X, y)

    X, y = batches[0]
    with sklearn.config_context(enable_metadata_routing=True):
        last = Validated([]).set_partial_fit_request(X_val=True)
        pipeline = make_streaming_pipeline(
            BatchNormTransformer(), last, transform_input=["X_val"]
        ).partial_fit(X, y, X_val=X[:3])
    with pytest.raises(ValueError, match="needs metadata routing"):
        pipeline.partial_fit(X, y)

    np.testing.assert_array_equal(last.seen_, pipeline[0].transform(X[:3]))


# Columns


def frame(n_rows=30):
    values = RNG.normal(5, 2, (n_rows, 3))
    X = pd.DataFrame(values, columns=["a", "b", "c"])
    return X.assign(colour=RNG.choice(["red", "blue"], n_rows))


def columns_transformer(**settings):
    encoder = OneHotEncoder(sparse_output=False).fit(frame()[["colour"]])
    return StreamingColumnTransformer(
        [
            ("ours", BatchNormTransformer(), ["a"]),
            ("encode", encoder, ["colour"]),
            ("theirs", StandardScaler(), make_column_selector("b")),
            ("none", PCA(1).fit([[0.0], [1.0]]), []),
            ("text", HashingVectorizer(n_features=4), "colour"),
        ],
        **settings,
    )


@pytest.mark.parametrize("remainder", ["drop", "passthrough", MinMaxScaler()], ids=str)
@pytest.mark.parametrize("container", ["default", "pandas"])
def test_columns_equal_their_transformers_one_by_one(remainder, container):
    parts = [frame(), frame(), frame()]
    columns = columns_transformer(remainder=remainder, sparse_threshold=0)
    if container == "pandas":
        columns.set_params(text="drop").set_output(transform="pandas")
    for part in parts:
        columns.partial_fit(part)
    whole = pd.concat(parts)
    plain = ColumnTransformer(
        [
            (n, FrozenEstimator(t) if n == "encode" else t, c)
            for n, t, c in columns.transformers
        ],
        remainder=remainder,
        sparse_threshold=0,
    )
    if container == "pandas":
        plain.set_output(transform="pandas")
    expected = plain.fit_transform(whole)
    result = columns.transform(whole)

    np.testing.assert_allclose(result, expected, rtol=1e-13, atol=1e-13)
    assert type(result) is type(expected)
    assert columns.output_indices_ == plain.output_indices_
    assert [name for name, *_ in columns.transformers_] == [
        name for name, *_ in plain.transformers_
    ]
    if container == "pandas":
        assert list(result.columns) == list(plain.get_feature_names_out())
    assert columns.remainder is remainder
    assert "StreamingColumnTransformer" in columns._repr_html_()
    assert clone(columns).get_params()["remainder"].__class__ is remainder.__class__


@given(streams(weighted=False, min_rows=2), st.booleans())
@examples(20)
def test_columns_equal_their_transformers_over_any_split(stream, forget):
    ours = BatchNormTransformer(halflife=5.0 if forget else None, engine="numpy")
    columns = StreamingColumnTransformer(
        [("ours", ours, slice(0, None)), ("theirs", StandardScaler(), [0])]
    )
    one, two = clone(ours), StandardScaler()
    for X, _ in stream.batches():
        X.flags.writeable = False
        columns.partial_fit(X)
        one.partial_fit(X)
        two.partial_fit(X[:, :1])

    np.testing.assert_array_equal(
        columns.transform(stream.X),
        np.c_[one.transform(stream.X), two.transform(stream.X[:, :1])],
    )


def test_columns_in_a_pipeline():
    X = frame(60)
    y = (X["a"] > 5).astype(int)
    model = make_streaming_pipeline(
        columns_transformer(), SGDClassifier(random_state=0)
    )
    for rows in np.array_split(np.arange(60), 4):
        model.partial_fit(X.iloc[rows], y.iloc[rows], classes=[0, 1])

    assert model.score(X, y) > 0.8
    assert model.n_features_in_ == 4
    assert model[0].transformers_[0][1].n_samples_seen_ == 60
    assert not hasattr(model[0].transformers[0][1], "n_features_in_")


def test_columns_go_on_from_what_was_fitted():
    X = frame()[["a", "b"]].to_numpy()
    fitted = BatchNormTransformer().fit(X)
    columns = StreamingColumnTransformer([("a", fitted, [0, 1])]).partial_fit(X)
    refitted = StreamingColumnTransformer([("a", fitted, [0, 1])]).fit(X).partial_fit(X)

    assert columns.transformers_[0][1].n_samples_seen_ == 60
    assert refitted.transformers_[0][1].n_samples_seen_ == 60
    assert fitted.n_samples_seen_ == 30


def test_columns_stay_the_same():
    X = frame()
    columns = columns_transformer().partial_fit(X)
    parts = [columns.named_transformers_[name] for name in ("ours", "theirs")]
    before = [state(part) for part in parts]
    with pytest.raises(ValueError, match="feature names"):
        columns.partial_fit(X.rename(columns={"a": "z"}))
    with pytest.raises(ValueError, match=r"4 features|feature names"):
        columns.partial_fit(X.drop(columns="c"))
    with pytest.raises(ValueError, match=r"could not convert|not numeric|string"):
        columns.partial_fit(X.assign(b="x"))

    assert [state(part) for part in parts] == before


def test_an_error_in_the_first_batch_leaves_columns_unfitted():
    columns = columns_transformer()
    before = state(columns)
    with pytest.raises(ValueError, match=r"could not convert|not numeric|string"):
        columns.partial_fit(frame().assign(b="x"))

    assert state(columns) == before
    assert not hasattr(columns, "transformers_")


def test_stateless_columns_only_transform():
    step = FunctionTransformer(np.negative, feature_names_out="one-to-one")
    columns = StreamingColumnTransformer(
        [("minus", step, ["a"]), ("ours", BatchNormTransformer(), ["b"])]
    )
    X = frame()[["a", "b"]]
    columns.partial_fit(X).partial_fit(X)

    np.testing.assert_array_equal(columns.transform(X)[:, 0], -X["a"])
    assert list(columns.get_feature_names_out()) == ["minus__a", "ours__b"]
    assert not hasattr(step, "n_features_in_")


@pytest.mark.parametrize(
    ("transformers", "message"),
    [
        (3, "transformers"),
        ([("a", StandardScaler(), [0]), ("a", StandardScaler(), [1])], "not unique"),
        ([("a", SGDClassifier(), [0])], "transform"),
        ([("a", StandardScaler(), [7])], "features"),
    ],
)
def test_transformers_are_checked_as_those_of_a_column_transformer(
    transformers, message
):
    for kind in (ColumnTransformer, StreamingColumnTransformer):
        columns = kind(transformers)
        fit = getattr(columns, "partial_fit", columns.fit)
        with pytest.raises((ValueError, TypeError), match=message):
            fit(np.ones((3, 2)))
        assert not hasattr(columns, "transformers_")


def test_columns_of_lists_and_sparse_results():
    columns = StreamingColumnTransformer(
        [("ours", BatchNormTransformer(), [0]), ("rest", "passthrough", [1])]
    )
    columns.partial_fit([[1.0, 2.0], [3.0, 4.0]]).partial_fit([[5.0, 6.0]])

    assert columns.transform([[3.0, 1.0]]).tolist() == [[0.0, 1.0]]


# Prequential


def test_a_batch_is_predicted_before_it_is_learnt_from(batches):
    model = make_streaming_pipeline(BatchNormTransformer(), GaussianNB())
    twin, rows = clone(model), []
    results = list(
        predict_then_learn(model, iter(batches), classes=LABELS, progress=rows.append)
    )
    twin.partial_fit(*batches[0], classes=LABELS)

    assert rows == [20, 20, 20]
    assert [result.n_rows for result in results] == [40, 60]
    for result, (X, y) in zip(results, batches[1:], strict=True):
        np.testing.assert_array_equal(result.predicted, twin.predict(X))
        np.testing.assert_array_equal(result.y, y)
        twin.partial_fit(X, y)
    assert model[0].n_samples_seen_ == 60


def test_what_is_fitted_predicts_the_first_batch_too(batches):
    model = make_streaming_pipeline(BatchNormTransformer(), SGDRegressor()).fit(
        *batches[0]
    )
    weighted = [
        (X, y, {"sgdregressor__sample_weight": 0.0 * y + 1e-9}) for X, y in batches
    ]
    coefficients = model[1].coef_.copy()
    results = predict_then_learn(model, weighted)

    assert len(list(results)) == 3
    np.testing.assert_allclose(model[1].coef_, coefficients, rtol=1e-2)


def test_other_methods_predict(batches):
    model = make_streaming_pipeline(BatchNormTransformer(), GaussianNB())
    results = predict_then_learn(model, batches, classes=LABELS, method="predict_proba")

    assert next(results).predicted.shape == (20, 3)


def test_progress_is_shown(batches, capsys):
    pytest.importorskip("rich")
    list(predict_then_learn(GaussianNB(), batches, classes=LABELS, progress=True))

    assert "60 rows" in capsys.readouterr().err


def test_progress_names_the_extra_that_it_needs(batches, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(ImportError, match=r"skbn\[cli\]"):
        list(predict_then_learn(GaussianNB(), batches, classes=LABELS, progress=True))
