"""Every kind of number is read as it is, to the ends of its range."""

import tracemalloc

import numpy as np
import pytest
from exact import assert_exact, exact_columns, exact_image

from skbn import BatchNormTransformer

RNG = np.random.default_rng(0)
engines = pytest.mark.parametrize("engine", ["numpy", "numba"])
WHOLE = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]


@pytest.fixture(autouse=True)
def _engine(request):
    if "numba" in request.node.name:
        pytest.importorskip("numba")


# Numba compiles for every kind anew, which takes ten seconds each.
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "engine"),
    [*((k, "numpy") for k in WHOLE), ("i8", "numba"), ("u8", "numba")],
)
def test_ends_of_whole_numbers(kind, engine, order):
    dtype = np.dtype(order + kind)
    ends = np.iinfo(dtype)
    rows = RNG.integers(ends.min, ends.max, (500, 2), dtype.newbyteorder("="), True)
    rows[:2] = [[ends.min] * 2, [ends.max] * 2]
    rows = rows.astype(dtype)
    scaler = BatchNormTransformer(engine=engine).fit(rows)
    # Beyond 2**53 as the float64 nearest to it, as in NumPy.
    assert_exact(scaler, rows.astype(float))
    expected = exact_image(rows.astype(float), exact_columns(rows.astype(float)))
    np.testing.assert_allclose(scaler.transform(rows), expected, atol=1e-14)


@engines
def test_booleans(engine):
    rows = RNG.random((300_000, 2)) < [0.5, 0.001]
    scaler = BatchNormTransformer(engine=engine).fit(rows)
    share = np.count_nonzero(rows, axis=0) / len(rows)
    np.testing.assert_allclose(scaler.mean_, share, rtol=1e-15)
    np.testing.assert_allclose(scaler.var_, share * (1 - share), rtol=1e-14)
    assert scaler.transform(rows).dtype == np.float64


@engines
@pytest.mark.parametrize("order", ["C", "F"])
def test_float16_neither_overflows_nor_loses_digits(engine, order):
    """300,000 values near the largest float16: their sum is 2e10."""
    rows = RNG.normal([0.0, 60_000.0, 1e-3], [1.0, 100.0, 1e-4], (300_000, 3))
    rows = np.asarray(rows, dtype=np.float16, order=order)
    scaler = BatchNormTransformer(engine=engine).fit(rows)
    wide = BatchNormTransformer(engine=engine).fit(rows.astype(float))
    np.testing.assert_allclose(scaler.mean_, wide.mean_, rtol=1e-15)
    np.testing.assert_allclose(scaler.var_, wide.var_, rtol=1e-15)
    assert_exact(BatchNormTransformer(engine=engine).fit(rows[:5000]), rows[:5000])
    image = scaler.transform(rows)
    assert image.dtype == np.float16
    expected = wide.transform(rows.astype(float))
    np.testing.assert_array_equal(image, expected.astype(np.float16))


@engines
@pytest.mark.parametrize("dtype", [">f2", ">f4", ">f8", ">i4"])
def test_big_endian(engine, dtype):
    rows = RNG.normal(size=(300, 3)) * 100
    rows = rows.astype(dtype)
    scaler = BatchNormTransformer(engine=engine).fit(rows)
    assert_exact(scaler, rows)
    assert scaler.transform(rows).dtype.isnative


@engines
def test_long_doubles_are_rounded(engine):
    rows = RNG.normal(size=(30, 3)).astype(np.longdouble)
    scaler = BatchNormTransformer(engine=engine).fit(rows)
    assert_exact(scaler, rows)
    assert scaler.transform(rows).dtype == np.float64


NARROW = ["bfloat16", "float8_e5m2", "float8_e4m3fn", "int4"]


@engines
@pytest.mark.parametrize("kind", NARROW)
@pytest.mark.parametrize("library", ["ml_dtypes", "jax"])
def test_types_that_numpy_was_taught(engine, kind, library):
    dtype = getattr(pytest.importorskip("ml_dtypes"), kind)
    rows = RNG.integers(-8, 8, (30, 3)).astype(dtype)
    if library == "jax":
        rows = pytest.importorskip("jax").numpy.asarray(rows)
    known = np.asarray(rows).astype(np.float32)
    scaler = BatchNormTransformer(engine=engine).fit(rows)
    assert_exact(scaler, known)
    assert_exact(scaler.partial_fit(rows), np.r_[known, known])
    image = scaler.transform(rows)
    assert (type(image), image.dtype) == (np.ndarray, np.float32)
    np.testing.assert_array_equal(image, scaler.transform(known))
    spoilt = known.copy()
    spoilt[4, 1] = np.inf
    if kind in ("bfloat16", "float8_e5m2"):  # the others have no infinity
        with pytest.raises(ValueError, match=r"feature 1, row 4"):
            scaler.transform(spoilt.astype(dtype))


def test_objects_that_are_numbers():
    rows = np.array([[1, 2.5, True], [None, np.float32(3.5), False]], dtype=object)
    scaler = BatchNormTransformer().fit(rows)
    np.testing.assert_array_equal(scaler.mean_, [1.0, 3.0, 0.5])
    assert scaler.n_samples_seen_.tolist() == [1, 2, 2]
    assert scaler.transform(rows).dtype == np.float64


@pytest.mark.parametrize("dtype", [complex, "c8", object])
def test_complex_numbers_are_refused(dtype):
    rows = (RNG.normal(size=(4, 2)) + 1j).astype(dtype)
    with pytest.raises((TypeError, ValueError), match=r"[Cc]omplex"):
        BatchNormTransformer().fit(rows)


@engines
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i4"])
def test_memory_maps_stay_on_the_disk(tmp_path, engine, order, dtype):
    """Fit takes the memory of its scratch, however large the file."""
    shape, path = (800_000, 8), tmp_path / "rows"
    written = np.memmap(path, dtype, "w+", shape=shape, order=order)
    written[...] = RNG.integers(-100, 100, shape)
    written.flush()
    expected = BatchNormTransformer(engine=engine).fit(np.array(written))
    del written
    rows = np.memmap(path, dtype, "r", shape=shape, order=order)
    scaler = BatchNormTransformer(engine=engine, n_threads=1)
    weights = np.ones(len(rows))
    scaler.fit(rows[:1000]).partial_fit(rows[:1000], sample_weight=weights[:1000])
    tracemalloc.start()
    try:
        scaler.fit(rows)
        scaler.partial_fit(rows, sample_weight=weights)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The scratch of one thread; the file has 26 to 51 MB.
    assert peak < 9 * 2**20
    np.testing.assert_allclose(scaler.mean_, expected.mean_, rtol=1e-15, atol=1e-17)
    np.testing.assert_allclose(scaler.var_, expected.var_, rtol=1e-15)
    image = scaler.transform(rows[:100], copy=False)
    assert image.flags.writeable
