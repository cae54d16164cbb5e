"""scikit-learn's callbacks, where it has them (1.9 and later)."""

import inspect
import pickle

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skbn import BatchNormTransformer, _sklearn, fit_stream

X = np.random.default_rng(0).normal(size=(10, 2))

if not hasattr(_sklearn.CallbackSupportMixin, "set_callbacks"):
    pytest.skip(
        f"scikit-learn {sklearn.__version__} has no callbacks",
        allow_module_level=True,
    )


class Recorder:
    """Writes down what it is told."""

    max_propagation_depth = None

    def __init__(self, stop_after=None, fail_at=None):
        self.told, self.stop_after, self.fail_at = [], stop_after, fail_at

    def _tell(self, hook, context, **more):
        self.told.append((hook, context.task_name, context.task_id, more))
        if hook == self.fail_at:
            raise RuntimeError(hook)

    def setup(self, estimator, context):
        self._tell("setup", context, max_subtasks=context.max_subtasks)

    def teardown(self, estimator, context):
        self._tell("teardown", context)

    def on_fit_task_begin(self, estimator, context, *, X=None, metadata=None):
        self._tell("begin", context, X=X, metadata=metadata)

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self._tell("end", context, fitted=fitted_estimator)
        return self.stop_after is not None and context.task_id >= self.stop_after

    def hooks(self):
        return [(hook, name) for hook, name, _, _ in self.told]

    def fitted(self):
        return [more["fitted"] for hook, _, _, more in self.told if hook == "end"]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_one_task(method):
    recorder = Recorder()
    scaler = BatchNormTransformer().set_callbacks(recorder)
    weights = np.ones(10)
    getattr(scaler, method)(X, sample_weight=weights)
    assert recorder.hooks() == [
        ("setup", "fit"),
        ("begin", "fit"),
        ("end", "fit"),
        ("teardown", "fit"),
    ]
    begun = recorder.told[1][3]
    np.testing.assert_array_equal(begun["X"], X)
    np.testing.assert_array_equal(begun["metadata"]["sample_weight"], weights)
    (fitted,) = recorder.fitted()
    np.testing.assert_array_equal(fitted.transform(X), scaler.transform(X))


def test_a_task_a_batch():
    recorder = Recorder()
    scaler = BatchNormTransformer(batch_size=3).set_callbacks(recorder).fit(X)
    batch = [("begin", "batch"), ("end", "batch")]
    assert recorder.hooks() == [
        ("setup", "fit"),
        ("begin", "fit"),
        *(4 * batch),
        ("end", "fit"),
        ("teardown", "fit"),
    ]
    assert recorder.told[0][3] == {"max_subtasks": 4}
    counts = [fitted.n_samples_seen_ for fitted in recorder.fitted()]
    assert counts == [3, 6, 9, 10, 10]
    assert scaler.n_samples_seen_ == 10


def test_a_callback_may_stop_the_fit():
    recorder = Recorder(stop_after=1)
    scaler = BatchNormTransformer(batch_size=2).set_callbacks(recorder).fit(X)
    assert scaler.n_samples_seen_ == 4


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_input_tears_down_and_changes_nothing(method):
    recorder = Recorder()
    scaler = BatchNormTransformer(batch_size=3).fit(X).set_callbacks(recorder)
    before = pickle.dumps(scaler.set_callbacks())
    scaler.set_callbacks(recorder)
    bad = X.copy()
    bad[8, 1] = np.inf
    with pytest.raises(ValueError, match="feature 1, row 8"):
        getattr(scaler, method)(bad)
    assert recorder.hooks()[0] == ("setup", "fit")
    assert recorder.hooks()[-1] == ("teardown", "fit")
    assert pickle.dumps(scaler.set_callbacks()) == before


@pytest.mark.parametrize("hook", ["setup", "begin", "teardown"])
def test_a_callback_that_fails(hook):
    recorder = Recorder(fail_at=hook)
    scaler = BatchNormTransformer().fit(X)
    mean = scaler.mean_
    with pytest.raises(RuntimeError, match=hook):
        scaler.set_callbacks(recorder).fit(X + 1.0)
    assert recorder.hooks()[-1] == ("teardown", "fit")
    assert not {"_callback_fit_ctx", "_skl_callbacks_to_teardown"} & set(vars(scaler))
    if hook != "teardown":
        np.testing.assert_array_equal(scaler.mean_, mean)


def test_in_a_pipeline_with_a_progress_bar():
    """It is passed on to a step that supports callbacks, and warns of others."""
    from sklearn.callback import ProgressBar

    if "rich" in inspect.getsource(ProgressBar):
        pytest.importorskip("rich")
    pipeline = make_pipeline(BatchNormTransformer(batch_size=2), BatchNormTransformer())
    pipeline.set_callbacks(ProgressBar()).fit(X)
    np.testing.assert_allclose(pipeline.transform(X).std(axis=0), 1.0)
    assert "_skl_callbacks" not in vars(pipeline[0])


def test_clones_keep_the_callbacks():
    recorder = Recorder()
    clone(BatchNormTransformer().set_callbacks(recorder)).fit(X)
    assert len(recorder.told) == 4


def test_streams_keep_no_tasks():
    recorder = Recorder()
    scaler = BatchNormTransformer().set_callbacks(recorder)
    for _ in range(3):
        scaler.partial_fit(X)
    assert scaler.n_batches_seen_ == 3
    assert recorder.hooks().count(("setup", "fit")) == 3
    assert "_callback_fit_ctx" not in vars(scaler)


def test_streams_are_a_task_with_a_task_a_batch():
    recorder = Recorder()
    scaler = BatchNormTransformer().set_callbacks(recorder)
    fit_stream(scaler, X, batch_rows=3)
    batch = [("begin", "batch"), ("end", "batch")]
    assert recorder.hooks() == [
        ("setup", "fit"),
        ("begin", "fit"),
        *(4 * batch),
        ("end", "fit"),
        ("teardown", "fit"),
    ]
    assert recorder.told[0][3] == {"max_subtasks": 4}
    counts = [fitted.n_samples_seen_ for fitted in recorder.fitted()]
    assert counts == [3, 6, 9, 10, 10]


@pytest.mark.parametrize("source", [iter([X]), X])
def test_streams_of_nobody_knows_how_many_batches(source):
    recorder = Recorder()
    fit_stream(BatchNormTransformer().set_callbacks(recorder), source)
    assert recorder.told[0][3] == {"max_subtasks": None}
    assert recorder.hooks().count(("end", "batch")) == 1


def test_a_callback_may_stop_a_stream(tmp_path):
    recorder = Recorder(stop_after=1)
    scaler = BatchNormTransformer().set_callbacks(recorder)
    kept = tmp_path / "c.json"
    assert fit_stream(scaler, X, batch_rows=2, checkpoint=kept).n_samples_seen_ == 4
    whole = fit_stream(BatchNormTransformer(), X, batch_rows=2, checkpoint=kept)
    assert whole.n_samples_seen_ == 10


def test_a_stream_with_an_error_tears_down():
    recorder = Recorder()
    scaler = BatchNormTransformer().set_callbacks(recorder)
    with pytest.raises(ValueError, match="infinity"):
        fit_stream(scaler, [X, np.full((1, 2), np.inf)])
    assert recorder.hooks()[-1] == ("teardown", "fit")
    assert scaler.n_samples_seen_ == 10
