"""One table, written and handed over in every way that streams are read from."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet
import pytest

from skbn import BatchNormTransformer

FEATURES = ["a", "b", "c"]
ROWS = 1000


def table(rows=ROWS, seed=0):
    """Two columns of floats and one of whole numbers, one with nulls; text; weights."""
    random = np.random.default_rng(seed)
    X = random.normal(5.0, 2.0, (rows, 2))
    return pa.table(
        {
            "name": [f"n{i}" for i in range(rows)],
            "a": X[:, 0],
            "w": random.integers(0, 4, rows).astype(float),
            "b": pa.array(X[:, 1], mask=random.random(rows) < 0.1),
            "c": random.integers(-9, 9, rows),
        }
    )


def array(of):
    """The features as an array, NaN for null."""
    return np.column_stack([of[n].to_numpy().astype(float) for n in FEATURES])


def learnt(of, rows, *, weighted=False, **parameters):
    """What a loop over slices of so many rows learns."""
    scaler = BatchNormTransformer(engine="numpy", **parameters)
    for start in range(0, of.num_rows, rows):
        part = of.slice(start, rows)
        weights = part["w"].to_numpy() if weighted else None
        scaler.partial_fit(part.select(FEATURES), sample_weight=weights)
    return scaler


def write_parquet(of, path, rows=150):
    pa.parquet.write_table(of, path, row_group_size=rows)


def write_feather(of, path, rows=130):
    pa.feather.write_feather(of, path, chunksize=rows)


def write_csv(of, path):
    pa.csv.write_csv(of, path)


def write_ipc_stream(of, path, rows=70):
    with pa.ipc.new_stream(path, of.schema) as writer:
        writer.write_table(of, max_chunksize=rows)


WRITERS = {
    "parquet": (write_parquet, ".parquet"),
    "feather": (write_feather, ".feather"),
    "stream": (write_ipc_stream, ".arrow"),
    "csv": (write_csv, ".csv"),
}


def folder(of, base, kind="parquet", cuts=(400, 700)):
    """The table in several files of a folder, and things that are no data."""
    write, suffix = WRITERS[kind]
    base.mkdir()
    for i, (start, stop) in enumerate(
        zip((0, *cuts), (*cuts, of.num_rows), strict=True)
    ):
        write(of.slice(start, stop - start), base / f"part-{i}{suffix}")
    (base / "_SUCCESS").touch()
    (base / ".hidden.parquet").touch()
    return base


def as_loader(of):
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader, TensorDataset

    rows = TensorDataset(torch.from_numpy(array(of)), torch.arange(of.num_rows))
    return DataLoader(rows, batch_size=48)


def as_hugging_face(of):
    return pytest.importorskip("datasets").Dataset(of)


def as_duckdb(of):
    return pytest.importorskip("duckdb").connect().from_arrow(of)


IN_MEMORY = {
    "table": lambda of: of,
    "batch": lambda of: of.combine_chunks().to_batches()[0],
    "reader": lambda of: of.to_reader(77),
    "dataset": pa.dataset.dataset,
    "polars": pl.from_arrow,
    "lazy": lambda of: pl.from_arrow(of).lazy(),
    "pandas": lambda of: of.to_pandas().set_index("name"),
    "duckdb": as_duckdb,
    "hugging face": as_hugging_face,
    "hugging face, iterable": lambda of: as_hugging_face(of).to_iterable_dataset(),
    "generator of batches": lambda of: iter(of.to_batches(33)),
    "frames": lambda of: [
        pl.from_arrow(of.slice(0, 301)),
        of.slice(301, 0),
        pl.from_arrow(of.slice(301)),
    ],
    "dicts": lambda of: [
        {name: of[name].to_numpy()[i : i + 100] for name in [*FEATURES, "w"]}
        for i in range(0, of.num_rows, 100)
    ],
}
