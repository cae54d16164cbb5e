"""Named workloads: the data that every benchmark shares.

The environment variable ``SKBN_BENCH_PROFILE`` chooses their size.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
import scipy.sparse

from benchmarks.data import Data

VARIABLE = "SKBN_BENCH_PROFILE"
OFFSET, SPREAD = 1.0, 3.0


@dataclass(frozen=True)
class Profile:
    """How large workloads are, and how long the quick run measures each."""

    name: str
    scale: float  # of the rows
    batches: int  # in a stream
    seconds: float  # for a row of the quick run, unless quartiles are close before
    limit_bytes: int  # read to find the machine's bandwidth
    processes: int = 7  # for each contender's first calls


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("fast", 0.001, 10, 0.0, 2**20, processes=1),
        Profile("regular", 1.0, 100, 10.0, 2**28),
        Profile("large", 5.0, 1000, 60.0, 2**30),
    )
}


def profile() -> Profile:
    """The profile that the environment asks for.

    Raises
    ------
    ValueError
        There is none of that name.
    """
    name = os.environ.get(VARIABLE, "regular")
    if name not in PROFILES:
        raise ValueError(f"{VARIABLE}={name!r}: profiles are {', '.join(PROFILES)}.")
    return PROFILES[name]


@dataclass(frozen=True)
class Workload:
    """A matrix, or a stream of them, described."""

    rows: int
    features: int
    dtype: str = "float64"
    order: str = "C"
    missing: float = 0.0  # share of NaN
    weighted: bool = False
    container: str = "array"  # or "csr", "csc", "polars"
    density: float = 1.0  # share of values that a sparse matrix stores
    batches: int = 0  # a stream of matrices if not 0

    @property
    def label(self) -> str:
        """What tells it from other workloads, in a few words."""
        size = f"{self.rows}x{self.features}"
        kind = {"array": self.dtype, "polars": "polars"}.get(
            self.container, self.container.upper()
        )
        marks = [
            f"{self.batches} batches of {size}" if self.batches else f"{kind} {size}",
            *(["F"] if self.order == "F" else []),
            *([f"{self.missing:.0%} NaN"] if self.missing else []),
            *(["weighted"] if self.weighted else []),
            *([f"{self.density:.0%}"] if self.sparse else []),
        ]
        return " ".join(marks)

    @property
    def sparse(self) -> bool:
        return self.container in {"csr", "csc"}

    @property
    def available(self) -> bool:
        """Whether what makes the container is installed."""
        return self.container != "polars" or find_spec("polars") is not None

    @property
    def needs(self) -> frozenset[str]:
        """What a contender must be able to read."""
        needs = {
            "float32": self.dtype == "float32",
            "integers": self.dtype == "uint8",
            "nan": self.missing > 0,
            "weights": self.weighted,
            "sparse": self.sparse,
            "frames": self.container == "polars",
            "one_row": self.rows == 1,
        }
        return frozenset(need for need, is_needed in needs.items() if is_needed)

    def part(self, fraction: int) -> "Workload":
        """The same with fewer rows."""
        return replace(self, rows=max(2, self.rows // fraction))

    def at(self, size: Profile) -> "Workload":
        """The same workload in the size of a profile."""
        if self.batches:
            return replace(self, batches=min(self.batches, size.batches))
        return replace(self, rows=max(40, round(self.rows * size.scale)))

    def make(self) -> Data:
        """The data, the same at every call.

        Raises
        ------
        NotImplementedError
            The container's library is not installed; asv then skips the benchmark.
        """
        if not self.available:
            raise NotImplementedError(f"{self.container} is not installed")
        if self.batches:
            return Data(self, self._values(self.batches))
        weights = _rng().random(self.rows) + 0.5 if self.weighted else None
        X = self._sparse() if self.sparse else self._dense()
        return Data(self, X, weights)

    def _values(self, times: int = 1) -> Any:
        shape = self.rows * times, self.features
        if self.dtype == "uint8":
            return _rng().integers(0, 256, shape, dtype=np.uint8)
        return _normal_values(shape)

    def _dense(self) -> Any:
        X = np.asarray(self._values(), dtype=self.dtype, order=self.order)
        if self.missing:
            size = X.size
            X.flat[_rng().integers(0, size, round(size * self.missing))] = np.nan
        return X

    def _sparse(self) -> Any:
        stored = max(round(self.rows * self.features * self.density), self.features)
        rng = _rng()
        rows = rng.integers(0, self.rows, stored)
        columns = rng.integers(0, self.features, stored)
        columns[: self.features] = np.arange(self.features)  # no variance is zero
        values = _normal_values(stored).astype(self.dtype)
        shape = self.rows, self.features
        X = scipy.sparse.coo_array((values, (rows, columns)), shape=shape)
        return X.asformat(self.container)


def _rng() -> np.random.Generator:
    return np.random.default_rng(20240229)


def _normal_values(shape: Any) -> Any:
    values = _rng().standard_normal(shape)
    values *= SPREAD
    values += OFFSET
    return values


# What the marks in a label say.
MARKS = {
    r" F\b": "F: each column lies together in memory (Fortran order), not each row",
    r"\bNaN\b": "5% NaN: that share of the values is missing",
    r"\bweighted\b": "weighted: each row has a weight of its own",
    r"\bCS[RC]\b": "CSR, CSC: sparse by rows, by columns; 1%: the share that is stored",
    r"\bpolars\b": "polars: a frame of that library",
    r"^stream\b": "stream: each batch is learnt, and then normalised",
    r"\bcold\b": "cold, cached: in new processes, with no kernels on the disk or all",
}


def explained(names: Iterable[str]) -> list[str]:
    """The marks that some of the labels have, in words."""
    together = "\n".join(names)
    return [words for mark, words in MARKS.items() if re.search(mark, together, re.M)]


TALL, NARROW, WIDE = (400_000, 100), (4_000_000, 10), (40_000, 1_000)
WORKLOADS = {
    "dense": Workload(*TALL),
    "narrow": Workload(*NARROW),
    "wide": Workload(*WIDE),
    "fortran": Workload(*TALL, order="F"),
    "float32": Workload(*TALL, dtype="float32"),
    "uint8": Workload(*TALL, dtype="uint8"),
    "missing": Workload(*TALL, missing=0.05),
    "weighted": Workload(*TALL, weighted=True),
    "sparse": Workload(*TALL, container="csr", density=0.05),
    "csr": Workload(400_000, 1_000, container="csr", density=0.01),
    "csc": Workload(400_000, 1_000, container="csc", density=0.01),
    "polars": Workload(1_000_000, 50, container="polars"),
    "one row": Workload(1, 20, batches=1000),
    "small": Workload(32, 20, batches=1000),
    "minibatch": Workload(256, 64, batches=1000),
    "large batch": Workload(1024, 512, batches=20),
    "long": Workload(4096, 64, batches=10),
}
# Every dtype, shape and order of dense floats.
FLOATS = [
    Workload(*shape, dtype=dtype, order=order)
    for dtype, shape, order in product(
        ("float64", "float32"), (TALL, NARROW, WIDE), ("C", "F")
    )
]


def named(*names: str) -> dict[str, Workload]:
    """Workloads of the profile by their labels."""
    return labelled(WORKLOADS[name] for name in names)


def find(label: str) -> Workload:
    """The workload of that label in this profile.

    Raises
    ------
    KeyError
        There is none.
    """
    return named(*WORKLOADS)[label]


def labelled(workloads: Iterable[Workload]) -> dict[str, Workload]:
    """Workloads in the size of the profile by their labels."""
    sized = [workload.at(profile()) for workload in workloads]
    return {workload.label: workload for workload in sized}
