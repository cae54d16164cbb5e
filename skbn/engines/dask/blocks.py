"""What is done with one block, by the worker that holds it.

Records travel in arrays of objects of shape (1, 1), since Dask reduces arrays; so do
the partitions of a table on the way to their record.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import partial, reduce
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn import engines
from skbn.affine import Affine
from skbn.averaging import Averaging
from skbn.checks import check_weights, infinity_error
from skbn.engines import dense
from skbn.engines.base import InfinityInBlockError
from skbn.running import Running, batches

Boxed = NDArray[Any]
Place = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Task:
    """What the blocks of a collection have in common; it goes to a worker once.

    Attributes
    ----------
    estimator : estimator
        Not fitted, with the parameters that checks ask for.
    columns : list of slice
        Features of the blocks of a row of blocks.
    names : sequence or None
        Of the features.
    engine : str
        "numpy" or "numba", for all blocks alike.
    n_threads : int
        For one block.
    """

    estimator: Any
    columns: list[slice]
    names: Any
    engine: str
    n_threads: int

    def __dask_tokenize__(self) -> Any:
        """Return what tells tasks apart, to Dask."""
        return type(self).__name__, sha256(pickle.dumps(self)).hexdigest()

    def read(self, block: Any, place: Place) -> tuple[engines.Reader, Any]:
        """Return the engine that reads a block, and the block as it wants it."""
        features = self.columns[place[1]]
        estimator = copy(self.estimator)
        estimator.n_features_in_ = features.stop - features.start
        reader = engines.reader(block, self.engine, self.n_threads)
        return reader, reader.check(estimator, block, reset=False, names=False)

    @contextmanager
    def naming(self, place: Place, first: int = 0) -> Iterator[None]:
        """Say in errors which block it was, and where its features are counted from."""
        where = f"In block {place if len(self.columns) > 1 else place[0]}"
        try:
            yield
        except InfinityInBlockError as error:
            raise ValueError(f"{where}: {error}") from None
        except (TypeError, ValueError) as error:
            if first:
                where += f", whose feature 0 is feature {first} of X"
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{where}: {error}") from error

    @contextmanager
    def naming_infinity(self, reader: Any, X: Any, place: Place) -> Iterator[None]:
        """Say in errors where the infinity is."""
        features = self.columns[place[1]]
        every = range(features.stop) if self.names is None else self.names
        try:
            yield
        except InfinityInBlockError:
            found = infinity_error(X, reader.find_infinity(X), every[features])
            raise InfinityInBlockError(str(found)) from None


@dataclass(frozen=True, eq=False)
class Learning(Task):
    """How the record of a block is made.

    Attributes
    ----------
    averaging : Averaging
    batch_size : int or None
        Rows a batch; None for all of a block.
    """

    averaging: Averaging
    batch_size: int | None

    def record(self, block: Any, weights: Any, place: Place) -> Running:
        """Return what a block shows; nothing where it has no rows."""
        features, n_rows = self.columns[place[1]], block.shape[0]
        running = Running.start(self.averaging, features.stop - features.start)
        if weights is not None:
            with self.naming(place):
                weights = _weights_of(weights, n_rows)
        if n_rows == 0:
            return running
        with self.naming(place, features.start):
            reader, X = self.read(block, place)
            with self.naming_infinity(reader, X, place):
                size = self.batch_size or n_rows
                for part, its in batches(X, weights, size, reader):
                    running = running.learn(part, its, reader)
        return running


@dataclass(frozen=True, eq=False)
class Mapping(Task):
    """How a block is mapped.

    Attributes
    ----------
    affine : Affine
    dtype : dtype
    """

    affine: Affine
    dtype: np.dtype[Any]

    def image(self, block: Any, place: Place) -> Any:
        """Return a block mapped, a new one."""
        if block.shape[0] == 0:
            return block.astype(self.dtype)
        features, affine = self.columns[place[1]], self.affine
        if len(self.columns) > 1:
            affine = affine.columns(features)
        with self.naming(place, features.start):
            reader, X = self.read(block, place)
            with self.naming_infinity(reader, X, place):
                image = reader.normalize(self.estimator, X, affine, copy=True)
        return image.astype(self.dtype, copy=False)


def _weights_of(weights: NDArray[Any], n_rows: int) -> NDArray[np.float64]:
    """Return the weights of a block's rows, from one column or one number."""
    given = weights.reshape(-1) if weights.ndim else weights.item()
    if n_rows == 0 and weights.size == 0:
        return np.empty(0)
    return check_weights(given, n_rows)


# What Dask calls. A task comes in an array of no axes, since all arguments are arrays.


def boxed(content: Any, shape: tuple[int, ...] = (1, 1)) -> Boxed:
    """Return an array of one object."""
    box = np.empty(shape, dtype=object)
    box[(0,) * len(shape)] = content
    return box


def learn_block(
    block: Any, task: Boxed, weights: Any = None, *, block_id: Place = (0, 0)
) -> Boxed:
    """Return the record of a block of an array."""
    return boxed(task.item().record(block, weights, block_id))


def learn_partition(
    partition: Boxed, task: Boxed, weights: Any = None, *, block_id: Place = (0, 0)
) -> Boxed:
    """Return the record of a partition of a table."""
    return boxed(task.item().record(partition.item(), weights, block_id))


def merge(records: Any, axis: Any = None, keepdims: Any = None) -> Boxed:  # noqa: ARG001
    """Return the records of neighbours in their order, merged."""
    running = partial(Running.merge, combine=dense.combine("auto"))
    return boxed(reduce(running, (box.item() for box in _flat(records))))


def _flat(boxes: Any) -> Iterator[Boxed]:
    if isinstance(boxes, np.ndarray):
        yield boxes
    else:
        for part in boxes:
            yield from _flat(part)


def map_block(block: Any, task: Boxed, *, block_id: Place = (0, 0)) -> Any:
    """Return a block of an array mapped."""
    return task.item().image(block, block_id)


def map_partition(
    partition: Any, *, task: Mapping, partition_info: dict[str, Any] | None = None
) -> Any:
    """Return a partition of a table mapped: a table with its index and names."""
    number = 0 if partition_info is None else partition_info["number"]
    if partition.shape[0] == 0:
        return partition.astype(task.dtype)
    image = task.image(partition, (number, 0))
    return type(partition)(image, index=partition.index, columns=partition.columns)
