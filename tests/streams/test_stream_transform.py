import os
import re
import resource
import shutil
import signal
import subprocess
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler
from stream_data import (
    FEATURES,
    IN_MEMORY,
    ROWS,
    WRITERS,
    array,
    as_loader,
    folder,
    learnt,
    table,
    write_csv,
    write_parquet,
)

from skbn import BatchNormTransformer, transform_stream

TABLE = table()
SCALER = learnt(TABLE, ROWS)
Z = SCALER.transform(TABLE.select(FEATURES))
READ = {
    ".parquet": pq.read_table,
    ".feather": pa.feather.read_table,
    ".arrow": pa.feather.read_table,
    ".csv": pa.csv.read_csv,
}


def assert_normalised(path, names=tuple(TABLE.column_names)):
    found = READ[path.suffix](path)
    assert found.column_names == list(names)
    for j, name in enumerate(FEATURES):
        assert found.schema.field(name).type == pa.float64()
        np.testing.assert_array_equal(found[name].to_numpy(), Z[:, j])
    assert found["b"].null_count == TABLE["b"].null_count
    assert found["w"].to_pylist() == TABLE["w"].to_pylist()
    if "name" in names:
        assert found["name"].cast(pa.string()) == TABLE["name"]


def row_groups(path):
    metadata = pq.read_metadata(path)
    return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


def record_batches(path):
    with pa.ipc.open_file(path) as reader:
        n = reader.num_record_batches
        return [reader.get_batch(i).num_rows for i in range(n)]


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("suffix", READ)
def test_files_to_a_file(kind, suffix, tmp_path):
    base, out = folder(TABLE, tmp_path / "data", kind), tmp_path / f"out{suffix}"
    transform_stream(SCALER, base, out)
    assert_normalised(out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", out.name]


@pytest.mark.parametrize("kind", IN_MEMORY)
def test_sources_in_memory(kind, tmp_path):
    out = tmp_path / "out.parquet"
    transform_stream(SCALER, IN_MEMORY[kind](TABLE), out)
    names = {"pandas": ["a", "w", "b", "c"], "dicts": [*FEATURES, "w"]}
    if kind == "dicts":
        found = pq.read_table(out)
        np.testing.assert_array_equal(found["b"].to_numpy(), Z[:, 1])
        assert found.column_names == names[kind]
    else:
        assert_normalised(out, names.get(kind, TABLE.column_names))


def test_row_groups_are_kept(tmp_path):
    base = folder(TABLE, tmp_path / "data")
    transform_stream(SCALER, base, tmp_path / "out.parquet")
    groups = [150, 150, 100, 150, 150, 150, 150]
    assert row_groups(tmp_path / "out.parquet") == groups
    transform_stream(SCALER, base, tmp_path / "out.arrow")
    assert record_batches(tmp_path / "out.arrow") == groups
    transform_stream(SCALER, tmp_path / "out.arrow", tmp_path / "2.pq", inverse=True)
    assert row_groups(tmp_path / "2.pq") == groups


def test_a_folder_to_a_folder(tmp_path):
    base, out = folder(TABLE, tmp_path / "data"), tmp_path / "out"
    (base / "deeper").mkdir()
    write_parquet(TABLE, base / "deeper" / "x.parquet")
    transform_stream(SCALER, base, f"{out}{os.sep}")
    files = sorted(str(p.relative_to(out)) for p in out.rglob("*.parquet"))
    assert files == ["deeper/x.parquet", *(f"part-{i}.parquet" for i in range(3))]
    assert_normalised(out / "deeper" / "x.parquet")
    out.joinpath("part-1.parquet").unlink()
    transform_stream(SCALER, str(base / "part-1*"), out)
    assert pq.read_metadata(out / "part-1.parquet").num_rows == 300
    with pytest.raises(ValueError, match="from files alone"):
        transform_stream(SCALER, TABLE, out)
    with pytest.raises(ValueError, match="have one name"):
        transform_stream(SCALER, [base / "part-1.parquet"] * 2, out)


def test_there_and_back(tmp_path):
    write_parquet(TABLE, tmp_path / "x.parquet")
    transform_stream(SCALER, tmp_path / "x.parquet", tmp_path / "z.parquet")
    transform_stream(
        SCALER, tmp_path / "z.parquet", tmp_path / "x.parquet", inverse=True
    )
    np.testing.assert_allclose(
        array(pq.read_table(tmp_path / "x.parquet")), array(TABLE)
    )


def test_types(tmp_path):
    """float32 stays, all else becomes float64; beside float32 nothing is lost."""
    mixed = pa.table(
        {
            "a": pa.array([1.5, 2.5], pa.float32()),
            "b": pa.array([2**24 + 1, 2**24], pa.int32()),
            "c": pa.array(np.array([1.0, 2.0], np.float16)),
        }
    )
    numbers = pa.table({name: [1.0, 2.0] for name in FEATURES})
    scaler = BatchNormTransformer(with_mean=False, with_std=False).fit(numbers)
    transform_stream(scaler, mixed, tmp_path / "z.parquet", columns=["a", "b", "c"])
    found = pq.read_table(tmp_path / "z.parquet")
    assert found.schema.types == [pa.float32(), pa.float64(), pa.float32()]
    assert found["b"].to_pylist() == [2**24 + 1, 2**24]
    narrow = BatchNormTransformer().fit(mixed.select(["a"]))
    transform_stream(narrow, mixed.select(["a"]), tmp_path / "z.npy")
    assert np.load(tmp_path / "z.npy").dtype == np.float32


def test_text_of_a_csv_stays_as_it_is_written(tmp_path):
    (tmp_path / "x.csv").write_text("id,a,when\n007,1,2020-01-01T00:00Z\n,3,\n")
    scaler = BatchNormTransformer().fit(pa.table({"a": [1.0, 3.0]}))
    transform_stream(scaler, tmp_path / "x.csv", tmp_path / "z.csv")
    assert (tmp_path / "z.csv").read_text().replace('"', "") == (
        "id,a,when\n007,-1,2020-01-01T00:00Z\n,1,\n"
    )


def test_columns_of_any_type_pass_through(tmp_path):
    odd = pa.table(
        {
            "x.y": [1.0, 2.0, 6.0],
            "nested": [{"a": 1, "b": ["q"]}, None, {"a": 2, "b": []}],
            "words": pa.array(["u", "v", "u"]).dictionary_encode(),
            "when": pa.array([1, None, 3], pa.timestamp("us", "UTC")),
            "exact": pa.array([1, 2, 3], pa.decimal128(5, 2)),
        }
    )
    write_parquet(odd, tmp_path / "0.parquet", 2)
    scaler = BatchNormTransformer().fit(odd.select(["x.y"]))
    for suffix in (".parquet", ".arrow"):
        transform_stream(scaler, tmp_path / "0.parquet", tmp_path / f"z{suffix}")
        found = READ[suffix](tmp_path / f"z{suffix}")
        assert found.column_names == odd.column_names
        for name in odd.column_names[1:]:
            assert found[name].to_pylist() == odd[name].to_pylist()
    with pytest.raises(ValueError, match="Unsupported Type:struct"):
        transform_stream(scaler, odd, tmp_path / "z.csv")


def test_dictionaries_that_differ(tmp_path):
    """Arrow IPC has one a column: what comes from one such file keeps it."""
    for i, words in enumerate((["a", "b"], ["c", "a"])):
        part = pa.table({"x": [1.0, 2.0], "k": pa.array(words).dictionary_encode()})
        (tmp_path / "data").mkdir(exist_ok=True)
        write_parquet(part, tmp_path / "data" / f"{i}.parquet")
    scaler = BatchNormTransformer().fit(part.select(["x"]))
    transform_stream(scaler, tmp_path / "data", tmp_path / "z.arrow")
    found = READ[".arrow"](tmp_path / "z.arrow")
    assert found["k"].to_pylist() == ["a", "b", "c", "a"]
    pa.feather.write_feather(part, tmp_path / "one.arrow")
    transform_stream(scaler, tmp_path / "one.arrow", tmp_path / "z.arrow")
    found = READ[".arrow"](tmp_path / "z.arrow")
    assert found["k"].to_pylist() == ["c", "a"]
    assert found.schema.field("k").type == part.schema.field("k").type


def test_a_file_in_its_own_place(tmp_path):
    path = tmp_path / "x.parquet"
    write_parquet(TABLE, path)
    transform_stream(SCALER, path, path)
    assert_normalised(path)


# Arrays


def test_arrays(tmp_path):
    X = array(TABLE)
    np.save(tmp_path / "x.npy", X)
    scaler = BatchNormTransformer(engine="numpy").fit(X)
    for source in (X, tmp_path / "x.npy", iter(np.array_split(X, 7))):
        transform_stream(scaler, source, tmp_path / "z.npy")
        np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), Z)
    transform_stream(scaler, X, tmp_path / "z.parquet")
    assert pq.read_table(tmp_path / "z.parquet").column_names == ["x0", "x1", "x2"]
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        transform_stream(SCALER, tmp_path / "x.npy", tmp_path / "z.csv")
    assert READ[".csv"](tmp_path / "z.csv").column_names == FEATURES
    transform_stream(SCALER, TABLE.drop_columns(["name"]), tmp_path / "z.npy")
    found = np.load(tmp_path / "z.npy")
    np.testing.assert_array_equal(found[:, [0, 2, 3]], Z)
    np.testing.assert_array_equal(found[:, 1], TABLE["w"])


def test_a_loader_of_torch(tmp_path):
    scaler = BatchNormTransformer(engine="numpy").fit(array(TABLE))
    transform_stream(scaler, as_loader(TABLE), tmp_path / "z.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), Z)


def test_some_columns_of_an_array(tmp_path):
    X = array(TABLE)
    scaler = BatchNormTransformer(engine="numpy").fit(X[:, [2, 0]])
    transform_stream(scaler, X, tmp_path / "z.npy", columns=[2, 0])
    np.testing.assert_array_equal(
        np.load(tmp_path / "z.npy"), np.column_stack([Z[:, 0], X[:, 1], Z[:, 2]])
    )


def test_sparse(tmp_path):
    X = sparse.random(50, 4, 0.3, random_state=0)
    scaler = BatchNormTransformer(with_mean=False).fit(X.tocsr())
    transform_stream(scaler, X, tmp_path / "z.npy")
    found = np.load(tmp_path / "z.npy")
    np.testing.assert_array_equal(found, scaler.transform(X.tocsr()).toarray())
    transform_stream(scaler, [X], tmp_path / "z.npy", columns=[0, 1, 2, 3])
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), found)
    operator = BatchNormTransformer(sparse_output="linear_operator").fit(X.tocsr())
    with pytest.raises(TypeError, match="is not written to files"):
        transform_stream(operator, X, tmp_path / "z.npy")


def test_other_transformers_and_outputs(tmp_path):
    X = array(TABLE)[:, [0, 2]]
    scaler = StandardScaler().fit(X)
    transform_stream(scaler, X, tmp_path / "z.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), scaler.transform(X))
    framed = learnt(TABLE, ROWS).set_output(transform="polars")
    transform_stream(framed, TABLE, tmp_path / "z.parquet")
    assert_normalised(tmp_path / "z.parquet")


# Errors: what was there before is still there, and nothing else.


@contextmanager
def nothing_changes(path, error, match, notes=1):
    path.write_bytes(b"before")
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(error, match=match) as caught:
        yield
    assert path.read_bytes() == b"before"
    assert sorted(path.parent.rglob("*")) == before
    if notes:
        assert f"{path} was not written" in caught.value.__notes__[0]
    assert "\n" not in str(caught.value)


def test_not_fitted(tmp_path):
    with nothing_changes(tmp_path / "z.csv", NotFittedError, "not fitted", 0):
        transform_stream(BatchNormTransformer(), TABLE, tmp_path / "z.csv")


def test_an_unknown_suffix(tmp_path):
    with nothing_changes(tmp_path / "z.xls", ValueError, r"z\.xls: it is not known", 0):
        transform_stream(SCALER, TABLE, tmp_path / "z.xls")


def test_a_missing_column(tmp_path):
    with nothing_changes(tmp_path / "z.csv", ValueError, "no column 'b'", 0):
        transform_stream(SCALER, TABLE.drop_columns(["b"]), tmp_path / "z.csv")


def test_text_to_npy(tmp_path):
    with nothing_changes(tmp_path / "z.npy", ValueError, "column 'name' holds string"):
        transform_stream(SCALER, TABLE, tmp_path / "z.npy")


def test_no_rows(tmp_path):
    with nothing_changes(tmp_path / "z.csv", ValueError, "has no rows"):
        transform_stream(SCALER, TABLE.slice(0, 0), tmp_path / "z.csv")


def test_an_infinity(tmp_path):
    values = TABLE["a"].to_numpy().copy()
    values[777] = np.inf
    out = tmp_path / "z.parquet"
    base = folder(TABLE.set_column(1, "a", pa.array(values)), tmp_path / "data")
    with nothing_changes(out, ValueError, r"part-2\.parquet, row 77: .*'a'"):
        transform_stream(SCALER, base, out)


def test_a_schema_that_changes_in_the_middle(tmp_path):
    base, out = folder(TABLE, tmp_path / "data"), tmp_path / "z.parquet"
    other = TABLE.set_column(2, "w", TABLE["w"].cast(pa.int32()))
    write_parquet(other, base / "part-1.parquet")
    with nothing_changes(out, ValueError, r"part-1.*'w' is int32, and double in", 0):
        transform_stream(SCALER, base, out)
    write_parquet(TABLE.append_column("more", TABLE["w"]), base / "part-1.parquet")
    with nothing_changes(out, ValueError, "'more' is in .*part-1", 0):
        transform_stream(SCALER, base, out)
    frames = [pa.concat_tables([TABLE] * 66), other.slice(0, 0), *[other] * 66]
    with nothing_changes(
        out, ValueError, "rows 131072 to 131999: column 'w' is int32, and "
    ):
        transform_stream(SCALER, iter(frames), out)


@pytest.mark.parametrize("suffix", [*READ, ".npy"])
def test_a_reader_that_raises_half_way(suffix, tmp_path):
    def half():
        yield from TABLE.drop_columns(["name"]).to_batches(100)[:5]
        raise RuntimeError("broken")

    with nothing_changes(tmp_path / f"z{suffix}", RuntimeError, "broken"):
        transform_stream(SCALER, half(), tmp_path / f"z{suffix}")


@pytest.mark.parametrize("kind", ["parquet", "feather", "stream", "csv"])
def test_a_truncated_file(kind, tmp_path):
    base, out = folder(TABLE, tmp_path / "data", kind), tmp_path / "z.parquet"
    last = max(base.glob("part-*"))
    text = b"\nx" if kind == "csv" else b""
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2] + text)
    with pytest.raises(ValueError, match=rf"{re.escape(str(last))}.*"):
        transform_stream(SCALER, base, out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]


@contextmanager
def full_disk(tmp_path):
    """A folder on a disk that is nearly full, or where files may not grow."""
    small = tmp_path / "small"
    small.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() == 0 and mount:
        made = subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=False
        )
        if made.returncode == 0:
            try:
                yield small
            finally:
                subprocess.run(["umount", str(small)], check=True)
            return
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, limits[1]))
    try:
        yield small
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("suffix", [*READ, ".npy"])
def test_a_full_disk(suffix, tmp_path):
    random = np.random.default_rng(0)
    large = pa.table({name: random.random(20_000) for name in FEATURES})
    with full_disk(tmp_path) as small:
        out = small / f"z{suffix}"
        with nothing_changes(out, OSError, "No space left|File too large"):
            transform_stream(SCALER, large, out)


def test_ctrl_c(tmp_path):
    def interrupted():
        yield TABLE
        raise KeyboardInterrupt

    with nothing_changes(tmp_path / "z.csv", KeyboardInterrupt, "Stopped after"):
        transform_stream(SCALER, interrupted(), tmp_path / "z.csv")


def test_a_destination_in_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        transform_stream(SCALER, TABLE, tmp_path / "no" / "z.csv")


def test_writers_take_one_form(tmp_path):
    scaler = BatchNormTransformer().fit(np.eye(3))
    arrays = [np.zeros((2**17, 3)), np.zeros((2, 3), np.float32)]
    with nothing_changes(tmp_path / "z.npy", ValueError, "float32, come after rows"):
        transform_stream(scaler, iter(arrays), tmp_path / "z.npy")


def test_files_of_csv_that_differ(tmp_path):
    (tmp_path / "data").mkdir()
    write_csv(TABLE, tmp_path / "data" / "0.csv")
    (tmp_path / "data" / "1.csv").write_text("name,a,w,b,c\nx,1,text,3,4\n")
    with nothing_changes(
        tmp_path / "z.parquet", ValueError, "do not go together: .* w has"
    ):
        transform_stream(SCALER, tmp_path / "data", tmp_path / "z.parquet")
