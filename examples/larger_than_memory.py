"""
Files larger than memory
========================

HIGGS is a well-known public table of 11 million rows of 28 features. Here Parquet of
its shape is made on the spot, in files with a label and a number of the event beside
the features, some of which are far from zero; then it takes two lines to standardise
it. The statistics are learnt and the rows written file by file, row group by row group,
so the peak of memory does not grow with the number of rows. What comes out is learnt
once more, to see that every mean is 0 and every standard deviation 1.

Usage: ``python examples/larger_than_memory.py [ROWS]``; 110,000 rows, a hundredth, if
nothing is said. 11000000 rows take 2.6 GB on the disk, and as much again normalised.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import skbn

ROWS = int(sys.argv[1]) if sys.argv[1:] and sys.argv[1].isdigit() else 110_000
GROUP, GROUPS_A_FILE = min(100_000, -(-ROWS // 8)), 4
FEATURES = [f"feature_{j}" for j in range(28)]
SCALES, OFFSETS = np.logspace(-3, 3, 28), np.linspace(-1e6, 1e6, 28)


def peak():
    """Mebibytes that this process has held at most."""
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def make(folder):
    """Write the files, a row group at a time."""
    generator, writer = np.random.default_rng(0), None
    for group, start in enumerate(range(0, ROWS, GROUP)):
        n = min(GROUP, ROWS - start)
        X = generator.standard_normal((28, n)) * SCALES[:, None] + OFFSETS[:, None]
        label = np.where(generator.random(n) < 0.53, "signal", "background")
        event = np.arange(start, start + n)
        rows = pa.table([event, label, *X], names=["event", "label", *FEATURES])
        if group % GROUPS_A_FILE == 0:
            if writer is not None:
                writer.close()
            path = folder / f"part-{group // GROUPS_A_FILE:03d}.parquet"
            writer = pq.ParquetWriter(path, rows.schema, use_dictionary=["label"])
        writer.write_table(rows, GROUP)
    writer.close()


with TemporaryDirectory() as base:
    data, out = Path(base, "data"), Path(base, "normalised.parquet")
    data.mkdir()
    make(data)
    size = sum(path.stat().st_size for path in data.iterdir())
    files = len(list(data.iterdir()))
    print(f"{ROWS:,} rows of 28 features in {files} files, {size / 1e6:,.0f} MB")
    print(f"peak of memory, making them  {peak():6.0f} MiB")

    scaler = skbn.fit_stream(
        skbn.BatchNormTransformer(), data, columns=FEATURES, progress="auto"
    )
    skbn.transform_stream(scaler, data, out, progress="auto")

    print(f"peak, learnt and normalised  {peak():6.0f} MiB")
    again = skbn.fit_stream(skbn.BatchNormTransformer(), out, columns=FEATURES)
    print(f"largest mean afterwards      {np.abs(again.mean_).max():.0e}")
    print(f"largest variance minus 1     {np.abs(again.var_ - 1).max():.0e}")
    print("columns", *pq.read_schema(out).names[:3], "...")
