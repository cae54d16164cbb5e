"""What was stored by pickle, joblib or save goes on with the same bits."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from averages import AVERAGES, normal, streamed
from sklearn.base import clone

import skbn
from skbn.state import to_document

GAPS = np.where(np.arange(40).reshape(20, 2) % 7 == 0, np.nan, normal(20))
BATCHES = {
    "complete": [(normal(9), None), (normal(4, offset=1e12), None)],
    "weights and gaps": [(GAPS[:9], np.arange(9.0)), (GAPS[9:], None)],
}
BY_NAME = pytest.mark.parametrize("parameters", AVERAGES.values(), ids=AVERAGES)
BY_DATA = pytest.mark.parametrize("batches", BATCHES.values(), ids=BATCHES)


def pickled(transformer, _folder):
    return [
        pickle.loads(pickle.dumps(transformer, protocol=protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ]


def pickled_out_of_band(transformer, _folder):
    """Arrays stand in memory of others that is not to be written to."""
    buffers = []
    content = pickle.dumps(transformer, protocol=5, buffer_callback=buffers.append)
    fixed = [bytes(buffer.raw()) for buffer in buffers]
    assert fixed
    return [pickle.loads(content, buffers=fixed)]


def memory_mapped(transformer, folder):
    joblib.dump(transformer, folder / "a.joblib")
    loaded = [
        joblib.load(folder / "a.joblib", mmap_mode=mode) for mode in (None, "r", "c")
    ]
    mapped = loaded[1]._running.moments.values[0]
    assert isinstance(mapped, np.memmap)
    assert not mapped.flags.writeable
    return loaded


def compressed(transformer, folder):
    joblib.dump(transformer, folder / "a.joblib.gz", compress=3)
    return [joblib.load(folder / "a.joblib.gz")]


def saved(transformer, folder):
    skbn.save(transformer, folder / "a.json")
    return [skbn.load(folder / "a.json")]


def copied(transformer, _folder):
    return [copy.deepcopy(transformer), copy.copy(transformer)]


WAYS = [pickled, pickled_out_of_band, memory_mapped, compressed, saved, copied]


@pytest.mark.parametrize("store", WAYS)
@BY_DATA
@BY_NAME
def test_what_comes_back_goes_on_with_the_same_bits(
    parameters, batches, store, tmp_path
):
    kept = streamed(batches, gamma=np.array([2.0, 0.5]), **parameters)
    before, later = to_document(kept), normal(6, offset=1.0)
    for loaded in store(kept, tmp_path):
        assert to_document(loaded) == before
        np.testing.assert_array_equal(loaded.transform(later), kept.transform(later))
        after = to_document(copy.deepcopy(kept).partial_fit(later).merge(kept))
        assert to_document(loaded.partial_fit(later).merge(kept)) == after
        assert to_document(kept) == before


def test_what_comes_back_is_cloned_and_fitted_anew(tmp_path):
    kept = streamed(BATCHES["complete"], momentum=0.3, beta=[1.0, 2.0])
    expected = to_document(clone(kept).fit(GAPS))
    for store in WAYS:
        for loaded in store(kept, tmp_path):
            again = clone(loaded)
            assert again.get_params() == kept.get_params()
            assert not hasattr(again, "mean_")
            assert to_document(again.fit(GAPS)) == expected
