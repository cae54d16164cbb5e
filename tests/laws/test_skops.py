"""Files of skops: one type to trust, and what comes back goes on with the same bits."""

import io
import pickle

import numpy as np
import pandas as pd
import pytest
from fitted import fitted
from hypothesis import given
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from strategies import examples

from skbn import BatchNormTransformer
from skbn.state import to_document

skops_io = pytest.importorskip("skops.io")
OURS = "skbn.transformer.BatchNormTransformer"
RNG = np.random.default_rng(0)


def there_and_back(model):
    content = skops_io.dumps(model)
    assert skops_io.get_untrusted_types(data=content) == [OURS]
    return skops_io.loads(content, trusted=[OURS])


@examples(25)
@given(fitted())
def test_goes_on_with_the_same_bits(case):
    loaded = there_and_back(case.transformer)
    assert to_document(loaded) == to_document(case.transformer)
    np.testing.assert_array_equal(loaded.transform(case.X), case.image)
    loaded.partial_fit(case.X)
    case.transformer.partial_fit(case.X)
    assert to_document(loaded) == to_document(case.transformer)


def test_all_that_a_transformer_has():
    table = pd.DataFrame(RNG.normal(size=(20, 3)), columns=["a", "b", "c"])
    table.loc[3, "b"] = np.nan
    scaler = BatchNormTransformer(
        momentum=np.float64(0.1),
        gamma=np.array([1.0, 2.0, 3.0]),
        beta=[0, 1, 2],
        clip=(-1, 2),
    ).set_output(transform="pandas")
    scaler.fit(table, sample_weight=np.arange(20.0))
    loaded = there_and_back(scaler)
    assert vars(loaded).keys() == vars(scaler).keys()
    assert to_document(loaded) == to_document(scaler)
    pd.testing.assert_frame_equal(loaded.transform(table), scaler.transform(table))


def test_unfitted_and_in_a_pipeline():
    assert repr(there_and_back(BatchNormTransformer(ddof=1))) == (
        "BatchNormTransformer(ddof=1)"
    )
    X = RNG.normal(size=(30, 2))
    pipeline = make_pipeline(BatchNormTransformer(), LogisticRegression())
    pipeline.fit(X, X[:, 0] > 0)
    loaded = there_and_back(pipeline)
    np.testing.assert_array_equal(loaded.predict_proba(X), pipeline.predict_proba(X))


def test_a_file_that_is_not_trusted_is_refused():
    content = skops_io.dumps(BatchNormTransformer().fit([[1.0], [2.0]]))
    with pytest.raises(TypeError, match=OURS):
        skops_io.loads(content)


class Recorder(pickle.Unpickler):
    """Keeps the names of what it looks up."""

    def __init__(self, content):
        super().__init__(io.BytesIO(content))
        self.names = set()

    def find_class(self, module, name):
        self.names.add(f"{module}.{name}")
        return super().find_class(module, name)


def test_pickles_name_no_class_that_may_move():
    """Another version of scikit-learn, or of this package, finds what they name."""
    scaler = BatchNormTransformer(momentum=0.1, gamma=[1.0, 2.0]).fit([[1.0, 2.0]])
    recorder = Recorder(pickle.dumps(scaler))
    assert to_document(recorder.load()) == to_document(scaler)
    assert {name for name in recorder.names if not name.startswith("numpy.")} == {OURS}
