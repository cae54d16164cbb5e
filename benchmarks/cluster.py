"""What partial fits cost: bytes, merges, partitions, and a million of them.

``python -m benchmarks.cluster`` prints all of it, in a few minutes;
``python -m benchmarks.cluster state`` and the like one part:

* ``state``: bytes of a partial state and the time of a merge
* ``partitions``: time of a row in 1, 10, 100 and 1,000 partitions
* ``spark``: Spark ML's StandardScaler on the same DataFrame, expressions by columns
* ``dask-ml``: dask-ml's StandardScaler on the same collection and cluster of processes
* ``model``: a million partitions of 10,000 features, from what was measured
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pickle
import sys
import time
from collections.abc import Callable
from functools import reduce
from statistics import median
from typing import Any

import numpy as np

RNG = np.random.default_rng(0)
# As in skbn.engines.dask: neighbours that are merged at once.
NEIGHBOURS = 16
MIB = 2**20
KINDS = {
    "cumulative": {},
    "momentum": {"momentum": 0.1},
    "half-life": {"halflife": 100.0},
}


def seconds(call: Callable[[], object], rounds: int = 5) -> float:
    """Median time of a call, once it has been called."""
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times)


# A partial state


def partial(n_features: int, *, missing: bool = False, **parameters) -> Any:
    """What a partition of 64 rows shows."""
    from skbn import BatchNormTransformer

    rows = RNG.normal(size=(64, n_features))
    if missing:
        rows[RNG.random(rows.shape) < 0.1] = np.nan
    return BatchNormTransformer(**parameters).fit(rows)._running


def state_bytes(n_features: int, *, missing: bool = False, **parameters) -> int:
    """Bytes of a partial state as it is sent."""
    return len(pickle.dumps(partial(n_features, missing=missing, **parameters)))


def json_bytes(n_features: int, *, missing: bool = False, **parameters) -> int:
    """Bytes of a partial state as JSON, as Spark sends it."""
    from skbn import _records

    running = partial(n_features, missing=missing, **parameters)
    return len(json.dumps(_records.written(running), separators=(",", ":")))


def merge_seconds(n_features: int, rounds: int = 50) -> float:
    """Time of the merge of two states."""
    left, right = partial(n_features), partial(n_features)
    return seconds(lambda: left.merge(right), rounds)


def show_state(sizes: tuple[int, ...] = (10, 100, 1000, 10_000)) -> None:
    """Print bytes of a state, and times of merges."""
    print("\nA partial state, bytes a feature (as sent, and with values missing)")
    for n in sizes:
        row = [f"{n:>7,} features"]
        for kind, parameters in KINDS.items():
            plain, gaps = (
                state_bytes(n, missing=missing, **parameters) / n
                for missing in (False, True)
            )
            row.append(f"{kind} {plain:.1f}, {gaps:.1f}")
        plain, gaps = (json_bytes(n, missing=missing) / n for missing in (False, True))
        row.append(f"as JSON {plain:.1f}, {gaps:.1f}")
        print("; ".join(row))
    print("\nA merge of two states")
    for n in sizes:
        print(f"{n:>7,} features: {merge_seconds(n) * 1e6:,.0f} µs")


# Partitions


def partition_seconds(n_partitions: int, rows: np.ndarray) -> float:
    """Time of a partition of such rows, fitted and merged: of this process alone."""
    from skbn import BatchNormTransformer

    def fit() -> Any:
        scaler = BatchNormTransformer(engine="numpy", n_threads=1)
        return scaler.partial_fit(rows)._running

    start = time.process_time()
    reduce(lambda left, right: left.merge(right), (fit() for _ in range(n_partitions)))
    return (time.process_time() - start) / n_partitions


def show_partitions(
    rows_each: int = 4096,
    features: tuple[int, ...] = (20, 200),
    numbers: tuple[int, ...] = (1, 10, 100, 1000),
    rounds: int = 3,
) -> None:
    """Print the time of a value, by the number of partitions."""
    print(f"\nTime of a value, {rows_each:,} rows a partition, on one core")
    for n_features in features:
        rows = RNG.normal(size=(rows_each, n_features))
        partition_seconds(10, rows)
        for number in numbers:
            # The same number of partitions in all, and the least of the rounds.
            repeats = max(1, numbers[-1] // number // 10)
            each = min(
                sum(partition_seconds(number, rows) for _ in range(repeats)) / repeats
                for _ in range(rounds)
            )
            print(
                f"{n_features:>5} features, {number:>5,} partitions: "
                f"{each / rows.size * 1e9:.2f} ns a value, {each * 1e3:.2f} ms each"
            )


# dask-ml


def show_dask_ml(
    n_blocks: int = 16, block_rows: int = 250_000, n_features: int = 20, rounds: int = 5
) -> None:
    """Print the times of both on one collection, held by a cluster of processes."""
    import distributed

    try:
        from dask_ml.preprocessing import StandardScaler
    except ImportError:
        print("\ndask-ml is not installed.")
        return
    import dask.array as da

    from skbn import BatchNormTransformer

    shape, chunks = (n_blocks * block_rows, n_features), (block_rows, n_features)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        X = da.random.default_rng(0).normal(size=shape, chunks=chunks).persist()
        distributed.wait(X)
        contenders = {
            "dask-ml": lambda: StandardScaler().fit(X),
            "skbn, NumPy": lambda: BatchNormTransformer(engine="numpy").fit(X),
            "skbn, auto": lambda: BatchNormTransformer().fit(X),
        }
        times: dict[str, list[float]] = {name: [] for name in contenders}
        fitted = {name: fit() for name, fit in contenders.items()}
        for _ in range(rounds):
            for name, fit in contenders.items():
                times[name].append(seconds_once(fit))
        client.cancel(X)
    for name, scaler in fitted.items():
        np.testing.assert_allclose(scaler.var_, fitted["dask-ml"].var_, rtol=1e-9)
        ratios = np.divide(times["dask-ml"], times[name])
        low, middle, high = np.percentile(ratios, [25, 50, 75])
        print(
            f"fit {shape[0]:,} x {n_features} in {n_blocks} blocks, {name}: "
            f"{median(times[name]) * 1e3:.0f} ms, "
            f"{middle:.1f} x [{low:.1f}, {high:.1f}]"
        )


def seconds_once(call: Callable[[], object]) -> float:
    """Time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


# Spark


def spark_session() -> Any:
    """A local Spark of two threads."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master("local[2]")
    for name, value in {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": "4g",
    }.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def show_spark(
    n_rows: int = 1_000_000,
    n_features: int = 20,
    n_partitions: int = 8,
    rounds: int = 5,
) -> None:
    """Print the times of both on one DataFrame, kept in memory, and of planning."""
    from pyspark.ml.feature import StandardScaler, VectorAssembler

    from skbn import BatchNormTransformer

    session = spark_session()
    names = [f"x{j}" for j in range(n_features)]
    numbers = session.range(n_rows, numPartitions=n_partitions).selectExpr(
        *(f"randn({j}) AS {name}" for j, name in enumerate(names))
    )
    assembler = VectorAssembler(inputCols=names, outputCol="features")
    X = assembler.transform(numbers).cache()
    X.count()
    columns, vectors = X.select(names), X.select("features")
    theirs = StandardScaler(inputCol="features", outputCol="scaled", withMean=True)
    ours = BatchNormTransformer(ddof=1)
    fitted = {"Spark ML": theirs.fit(X), "skbn": ours.fit(columns)}
    wide = BatchNormTransformer(ddof=1).fit(vectors)
    np.testing.assert_allclose(wide.scale_, fitted["Spark ML"].std.toArray(), rtol=1e-9)

    def run(image: Any) -> None:
        image.write.format("noop").mode("overwrite").save()

    what = f"{n_rows:,} x {n_features} in {n_partitions} partitions"
    compare(
        f"fit {what}",
        {
            "Spark ML": lambda: theirs.fit(X),
            "skbn, vectors": lambda: BatchNormTransformer().fit(vectors),
            "skbn, columns": lambda: BatchNormTransformer().fit(columns),
        },
        rounds,
    )
    compare(
        f"transform {what}",
        {
            "Spark ML": lambda: run(fitted["Spark ML"].transform(X).select("scaled")),
            "skbn, vectors": lambda: run(wide.transform(vectors)),
            "skbn, columns": lambda: run(ours.transform(columns)),
        },
        rounds,
    )
    show_spark_planning(session)


def show_spark_planning(
    session: Any, widths: tuple[int, ...] = (100, 300, 1000, 2000), n_rows: int = 1000
) -> None:
    """Print how long images of few rows take: expressions, and by the workers."""
    from skbn import BatchNormTransformer
    from skbn.engines import spark as engine

    for width in widths:
        texts = [f"id * {j + 1}D AS x{j}" for j in range(width)]
        X = session.range(n_rows, numPartitions=2).selectExpr(*texts).cache()
        X.count()
        rows = np.arange(1.0, width + 1) * np.arange(3.0)[:, None]
        for clip in (None, 1.0):
            scaler = BatchNormTransformer(clip=clip).fit(rows)
            scaler.feature_names_in_ = np.array(X.columns, dtype=object)

            def image(most: int, scaler: Any = scaler, X: Any = X) -> None:
                engine.MOST_EXPRESSIONS = most
                mapped = scaler.transform(X)
                mapped.write.format("noop").mode("overwrite").save()

            compare(
                f"{width} columns, clip={clip}",
                {"expressions": lambda: image(10**9), "workers": lambda: image(0)},
                3,
            )
        X.unpersist()


def compare(
    what: str, contenders: dict[str, Callable[[], object]], rounds: int
) -> None:
    """Print times of interleaved rounds, and the first one's over each."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for call in contenders.values():
        call()
    for _ in range(rounds):
        for name, call in contenders.items():
            times[name].append(seconds_once(call))
    first = next(iter(times.values()))
    for name, its in times.items():
        low, middle, high = np.percentile(np.divide(first, its), [25, 50, 75])
        print(
            f"{what}, {name}: {median(its) * 1e3:,.0f} ms, "
            f"{middle:.1f} x [{low:.1f}, {high:.1f}]",
            flush=True,
        )


# A million partitions


def model(
    n_partitions: int,
    n_features: int,
    *,
    workers: int,
    merge: float,
    task: float,
    bandwidth: float = 1e9,
) -> dict[str, float]:
    """What merging so many partitions costs.

    Parameters
    ----------
    workers : int
        Of one thread each, in even shares of work.
    merge : float
        Seconds of a merge of two states.
    task : float
        Seconds of the scheduler for a task.
    bandwidth : float
        Bytes a second into each worker.
    """
    size = 32 * n_features + 640
    levels, groups, merges, moved = 0, n_partitions, 0, 0
    while groups > 1:
        moved += groups * size  # at worst no state is where it is merged
        merges += math.ceil(groups / NEIGHBOURS)
        groups = math.ceil(groups / NEIGHBOURS)
        levels += 1
    return {
        "levels": levels,
        "bytes moved": moved,
        "seconds to move them": moved / workers / bandwidth,
        "merges of two": n_partitions - 1,
        "seconds to merge": (n_partitions - 1) * merge / workers
        + levels * NEIGHBOURS * merge,
        "tasks": n_partitions + merges,
        "seconds of the scheduler": (n_partitions + merges) * task,
        "bytes of one state": size,
        "bytes of all states": n_partitions * size,
    }


def task_seconds(n_tasks: int = 2000) -> float:
    """Time of Dask's distributed scheduler for a task that does nothing."""
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):

        def run() -> None:
            client.gather(client.map(abs, range(n_tasks), pure=False))

        return seconds(run, 3) / n_tasks


def show_model(
    n_partitions: int = 10**6, n_features: int = 10_000, workers: int = 1000
) -> None:
    """Print the model with what this machine measures."""
    merge, task = merge_seconds(n_features), task_seconds()
    print(
        f"\n{n_partitions:,} partitions of {n_features:,} features, {workers:,} "
        f"workers; a merge {merge * 1e3:.2f} ms, a task {task * 1e6:.0f} µs"
    )
    for name, value in model(
        n_partitions, n_features, workers=workers, merge=merge, task=task
    ).items():
        print(f"{name}: {value:,.6g}")


PARTS: dict[str, Callable[[], None]] = {
    "state": show_state,
    "partitions": show_partitions,
    "dask-ml": show_dask_ml,
    "spark": show_spark,
    "model": show_model,
}


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", nargs="?", choices=PARTS, help="default: all")
    asked = parser.parse_args().part
    for part in PARTS if asked is None else [asked]:
        PARTS[part]()


if __name__ == "__main__":
    main()
