"""Parquet larger than memory: how much memory and time learning and normalising take.

``python -m benchmarks.larger_than_memory`` makes 4 GB of Parquet with row groups of
40 MB, reads it, learns from it and normalises it, each in a process of its own, and
fails where one of the last two has held more than 600 MiB, libraries included.
``--rounds`` repeats reading and learning in turns, for the ratio of their times, and of
the time that their processors work, which other processes disturb less. Before the
clock starts each has done its work on one row group, so that libraries are imported;
kernels are loaded while it runs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

COLUMNS = 20
GROUP_ROWS = 40_000_000 // 8 // COLUMNS
GROUPS_A_FILE = 10
LIMIT = 600


def make(folder: Path, gigabytes: float) -> int:
    """Write files with row groups of 40 MB; return the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    names = [f"feature_{j}" for j in range(COLUMNS)]
    block = random.standard_normal((COLUMNS, GROUP_ROWS))
    n_groups = max(1, round(gigabytes * 1e9 / block.nbytes))
    schema = pa.schema([*((name, pa.float64()) for name in names), ("id", pa.int32())])
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, n_groups, GROUPS_A_FILE):
        path = folder / f"part-{first:04d}.parquet"
        with pq.ParquetWriter(path, schema, use_dictionary=False) as writer:
            for group in range(first, min(first + GROUPS_A_FILE, n_groups)):
                ids = np.arange(
                    group * GROUP_ROWS, (group + 1) * GROUP_ROWS, dtype="i4"
                )
                columns = [*np.roll(block, group, axis=0), ids]
                writer.write_table(pa.table(columns, schema), GROUP_ROWS)
    return n_groups * GROUP_ROWS


def read(folder: Path) -> None:
    """Read all features, file by file, as fast as pyarrow does."""
    from pyarrow.parquet import ParquetFile

    names = [f"feature_{j}" for j in range(COLUMNS)]
    for path in sorted(folder.glob("*.parquet")):
        with ParquetFile(path, pre_buffer=False) as file:
            for _ in file.iter_batches(columns=names):
                pass


def fit(folder: Path) -> None:
    """Learn from all features."""
    import skbn

    names = [f"feature_{j}" for j in range(COLUMNS)]
    scaler = skbn.fit_stream(skbn.BatchNormTransformer(), folder, columns=names)
    assert np.abs(scaler.mean_).max() < 0.1
    assert np.abs(scaler.var_ - 1).max() < 0.1
    skbn.save(scaler, folder.parent / "scaler.json")


def transform(folder: Path) -> None:
    """Normalise what was learnt from into one file."""
    import skbn

    out = folder.parent / "out.parquet"
    skbn.transform_stream(skbn.load(folder.parent / "scaler.json"), folder, out)


def taken_by(task: str, folder: Path) -> dict[str, float]:
    """Run a task; return what it took."""
    import resource

    work = {"read": read, "fit": fit, "transform": transform}[task]
    work(folder.parent / "one row group")
    started, worked = time.perf_counter(), time.process_time()
    work(folder)
    seconds = time.perf_counter() - started
    worked = time.process_time() - worked
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mebibytes = used / (2**20 if sys.platform == "darwin" else 2**10)
    return {"seconds": seconds, "work": worked, "mebibytes": mebibytes}


def run(task: str, folder: Path) -> dict[str, float]:
    """Run a task in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.larger_than_memory", task, str(folder)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def main(arguments: list[str] | None = None) -> int:
    """Run all of it, or one task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", nargs="?", choices=["read", "fit", "transform"])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--limit", type=float, default=LIMIT, help="MiB")
    given = parser.parse_args(arguments)
    if given.task:
        print(json.dumps(taken_by(given.task, given.folder)))
        return 0
    with tempfile.TemporaryDirectory(dir=given.folder) as base:
        folder = Path(base, "data")
        make(Path(base, "one row group"), 0.0)
        rows = make(folder, given.gigabytes)
        print(f"{rows:,} rows of {COLUMNS} features, {given.gigabytes} GB")
        return measure(folder, given.rounds, given.limit)


def measure(folder: Path, rounds: int, limit: float) -> int:
    """Print what each task takes; 1 where one takes too much memory."""
    turns = [(run("read", folder), run("fit", folder)) for _ in range(rounds)]
    normalising = run("transform", folder)
    for reading, learning in turns:
        report("read", reading)
        report("fit", learning)
    report("transform", normalising)
    for of in ("seconds", "work"):
        ratios = [learning[of] / reading[of] for reading, learning in turns]
        middle, least, most = median(ratios), min(ratios), max(ratios)
        print(f"fit / read  {middle:.2f} of {of} ({least:.2f} to {most:.2f})")
    watched = [normalising, *(learning for _, learning in turns)]
    worst = max(taken["mebibytes"] for taken in watched)
    print(f"peak        {worst:.0f} MiB, of {limit:.0f}")
    return int(worst > limit)


def report(task: str, taken: dict[str, float]) -> None:
    seconds, work, peak = taken["seconds"], taken["work"], taken["mebibytes"]
    print(f"{task:10} {seconds:7.2f} s, {work:7.2f} s of work, {peak:5.0f} MiB")


if __name__ == "__main__":
    sys.exit(main())
