"""Arrays that are laid out oddly hold the same numbers."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csc_array, csr_array
from strategies import examples

from skbn import BatchNormTransformer

RNG = np.random.default_rng(0)
X = np.round(RNG.normal(size=(50, 4)) * 100)
X.flags.writeable = False


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def memory_map(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def misaligned(X):
    raw = np.zeros(X.nbytes + 1, dtype=np.uint8)
    view = raw[1:].view(X.dtype).reshape(X.shape)
    view[...] = X
    return view


def gappy(X):
    wide = np.zeros((2 * X.shape[0], 3 * X.shape[1]))
    wide[::2, 1::3] = X
    return wide[::2, 1::3]


LAYOUTS = {
    "read-only": read_only,
    "Fortran": np.asfortranarray,
    "Fortran read-only": lambda X: read_only(X.T).T,
    "negative strides": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "gaps": gappy,
    "misaligned": misaligned,
    "big-endian": lambda X: X.astype(">f8"),
    "little-endian": lambda X: X.astype("<f8"),
    "big-endian float32": lambda X: X.astype(">f4"),
    "float16": lambda X: X.astype(np.float16),
    "float32": lambda X: X.astype(np.float32),
    "long double": lambda X: X.astype(np.longdouble),
    "int16": lambda X: X.astype(np.int16),
    "big-endian int64": lambda X: X.astype(">i8"),
    "objects": lambda X: X.astype(object),
    "Python integers": lambda X: np.array(X.astype(int).tolist(), dtype=object),
    "lists": lambda X: X.tolist(),
    "tuples": lambda X: tuple(map(tuple, X.tolist())),
    "subclass": lambda X: X.view(np.recarray),
    "mask without a hole": np.ma.array,
    "frame": pd.DataFrame,
    "frame of integers": lambda X: pd.DataFrame(X.astype(int)),
    "nullable frame": lambda X: pd.DataFrame(X).astype("Float64"),
}


@pytest.fixture(params=[*LAYOUTS, "memory map"])
def odd(request, tmp_path):
    if request.param == "memory map":
        return memory_map(X, tmp_path)
    return LAYOUTS[request.param](X.copy())


@pytest.mark.parametrize("copy", [True, False])
def test_same_statistics_and_same_image(odd, copy):
    plain = BatchNormTransformer().fit(X)
    transformer = BatchNormTransformer(copy=copy).fit(odd)
    np.testing.assert_array_equal(transformer.mean_, plain.mean_)
    np.testing.assert_array_equal(transformer.var_, plain.var_)
    image = transformer.transform(odd)
    assert image.dtype.isnative
    rtol = max(np.finfo(image.dtype).eps, 1e-15)
    np.testing.assert_allclose(image, plain.transform(X), rtol=rtol)


def test_partial_fit(odd):
    transformer = BatchNormTransformer().partial_fit(X).partial_fit(odd)
    twice = BatchNormTransformer().fit(np.r_[X, X])
    np.testing.assert_allclose(transformer.mean_, twice.mean_, rtol=1e-15)
    np.testing.assert_allclose(transformer.var_, twice.var_, rtol=1e-15)
    assert transformer.n_samples_seen_ == 100


def test_inverse_transform(odd):
    plain = BatchNormTransformer().fit(X)
    back = plain.inverse_transform(odd)
    rtol = max(np.finfo(back.dtype).eps, 1e-15)
    np.testing.assert_allclose(back, plain.inverse_transform(X), rtol=rtol, atol=1e-13)


@pytest.mark.parametrize("shape", [(7, 4), (1, 4), (3000, 4)])
def test_zero_strides(shape):
    broadcast = np.broadcast_to(np.array([0.1, -1e9, 3.0, 0.0]), shape)
    transformer = BatchNormTransformer(copy=False).fit(broadcast)
    np.testing.assert_array_equal(transformer.mean_, broadcast[0])
    np.testing.assert_array_equal(transformer.var_, 0.0)
    np.testing.assert_array_equal(transformer.transform(broadcast), np.zeros(shape))


def test_one_column_for_all():
    broadcast = np.broadcast_to(X[:, :1], X.shape)
    transformer = BatchNormTransformer(copy=False).fit(broadcast)
    expected = BatchNormTransformer().fit(broadcast.copy())
    np.testing.assert_array_equal(transformer.var_, expected.var_)
    np.testing.assert_array_equal(
        transformer.transform(broadcast), expected.transform(broadcast.copy())
    )


@pytest.mark.parametrize("strides", [(8, 0), (8, 8)], ids=["one column", "windows"])
def test_in_place_refuses_to_write_where_memory_overlaps_itself(strides):
    line = np.arange(60.0) ** 2
    before = line.copy()
    overlapping = np.lib.stride_tricks.as_strided(line, (50, 4), strides)
    expected = BatchNormTransformer().fit_transform(overlapping.copy())
    image = BatchNormTransformer(copy=False).fit_transform(overlapping)
    np.testing.assert_array_equal(image, expected)
    np.testing.assert_array_equal(line, before)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.int64, np.uint64])
def test_whole_numbers(dtype):
    data = RNG.integers(0, 2, (30, 3)).astype(dtype)
    image = BatchNormTransformer().fit_transform(data)
    assert image.dtype == np.float64
    np.testing.assert_array_equal(
        image, BatchNormTransformer().fit_transform(data.astype(float))
    )


def test_integers_beyond_float64_are_rounded_as_numpy_does():
    data = np.array([[2**63 - 1], [2**53 + 1], [-(2**63)]])
    transformer = BatchNormTransformer().fit(data)
    expected = BatchNormTransformer().fit(data.astype(float))
    np.testing.assert_array_equal(transformer.mean_, expected.mean_)


def test_an_overwritten_memory_map_is_written_through(tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r+")
    transformer = BatchNormTransformer().fit(X)
    transformer.transform(mapped, copy=False)
    np.testing.assert_array_equal(mapped, transformer.transform(X))


WIDE_KINDS = {
    "array": np.asarray,
    "objects": lambda X: X.astype(object),
    "rows of scalars": lambda X: list(map(list, X)),
    "frame": lambda X: pd.DataFrame(X, columns=["0", "1"]),
    "rows of entries": csr_array,
    "columns of entries": csc_array,
}
EXPONENTS = st.integers(1024, 16000)


@pytest.mark.skipif(np.finfo("g").max == np.finfo("d").max, reason="no wider float")
@pytest.mark.parametrize(
    "method", ["fit", "partial_fit", "transform", "inverse_transform"]
)
@given(kind=st.sampled_from([*WIDE_KINDS]), row=st.integers(0, 2), power=EXPONENTS)
@examples(15)
def test_a_long_double_beyond_float64_is_an_infinity(method, kind, row, power):
    wide = np.ones((3, 2), dtype=np.longdouble)
    wide[row, 1] = -np.ldexp(np.longdouble(1.5), power)
    data = WIDE_KINDS[kind](wide)
    transformer = BatchNormTransformer(with_mean=False).fit(
        WIDE_KINDS[kind](np.eye(3, 2) + 2.0)
    )
    before = transformer.mean_
    with pytest.raises(ValueError, match=f"infinity.*feature '?1'?, row {row}"):
        getattr(transformer, method)(data)
    np.testing.assert_array_equal(transformer.mean_, before)


@pytest.mark.skipif(np.finfo("g").max == np.finfo("d").max, reason="no wider float")
def test_parameters_and_weights_beyond_float64_are_infinities():
    wide = np.array([1.0, 1.0], dtype="g") * np.array([1, 2.0**1000], dtype="g") ** 2
    with pytest.raises(ValueError, match="gamma is inf for feature 1"):
        BatchNormTransformer(gamma=wide).fit(np.eye(2))
    with pytest.raises(ValueError, match="sample_weight contains infinity"):
        BatchNormTransformer().fit(np.eye(2), sample_weight=wide)
