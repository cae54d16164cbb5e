"""Normalising arrays block by block, with NumPy alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from skbn import threads
from skbn.affine import Affine
from skbn.engines.base import AnyArray, InfinityInBlockError, output
from skbn.engines.numpy.blocks import TASKS, WIDTH, Array, quick_loops, scratch

# Values in a block, which nearly stays in a second-level cache. With a quarter as many
# two threads wait for the interpreter lock so long that one is quicker, and with half
# as many 1024 x 512 take 0.87 ms instead of 0.76 (Xeon, family 6, model 207, 2026-11).
BLOCK = 2**17
# Of other numbers a buffer is cast at a time, and stays in a first-level cache.
FLOAT64: Any = {"dtype": np.float64, "casting": "unsafe"}
# Values above which it pays to lay rows side by side to normalise them.
LAID_SIDE_BY_SIDE = 4096


def normalize(
    X: AnyArray, affine: Affine, *, copy: bool = True, n_threads: int | None = None
) -> AnyArray:
    """Return X mapped by ``affine``, of dtype ``output_dtype(X.dtype)``.

    With ``copy=False`` it is X itself, where X has that dtype and may be written.

    Raises
    ------
    InfinityInBlockError
        X holds an infinity, and has not been changed.
    """
    out = output(X, copy)
    write(X, affine, out, n_threads=n_threads)
    return out


def write(
    X: AnyArray, affine: Affine, out: AnyArray, *, n_threads: int | None = None
) -> None:
    """Write X mapped by ``affine`` to ``out``, which may be X itself.

    Computed in float64 whatever the dtypes of X and ``out``.

    Raises
    ------
    InfinityInBlockError
        X holds an infinity. Where ``out`` is X, nothing has been written.
    """
    if out.dtype.itemsize < 8:
        affine = affine.rounded
    in_place = np.may_share_memory(X, out)
    if in_place:
        _each_block(lambda *part: refuse_infinity(X[part]), X, n_threads)
    times = min(WIDTH // X.shape[1], len(X)) if X.size > LAID_SIDE_BY_SIDE else 1
    if times > 1 and X.flags.c_contiguous and out.flags.c_contiguous:
        main = len(X) - len(X) % times
        wide = -1, times * X.shape[1]
        wide_X, wide_out = X[:main].reshape(wide), out[:main].reshape(wide)
        _normalize(wide_X, affine.tiled(times), wide_out, not in_place, n_threads)
        X, out = X[main:], out[main:]
    if len(X):
        _normalize(X, affine, out, not in_place, n_threads)


def _normalize(
    X: AnyArray, affine: Affine, out: AnyArray, check: bool, n_threads: int | None
) -> None:
    def function(rows: slice, columns: slice) -> None:
        block, target = X[rows, columns], out[rows, columns]
        write_block(block, affine, target, lambda v: v[columns], check=check)

    _each_block(function, X, n_threads)


def _each_block(
    function: Callable[[slice, slice], None], X: AnyArray, n_threads: int | None
) -> None:
    """Call function(rows, columns) with the slices of every block."""
    blocks = _blocks(X)
    per_task = -(-len(blocks) // TASKS)

    def task(first: int) -> None:
        with quick_loops():
            for rows, columns in blocks[first : first + per_task]:
                function(rows, columns)

    threads.run(task, range(0, len(blocks), per_task), n_threads)


def _blocks(X: AnyArray) -> list[tuple[slice, slice]]:
    """Rows and columns of blocks that are long where memory is."""
    n_samples, n_features = X.shape
    if X.size <= BLOCK:
        return [(slice(None), slice(None))]
    # Few are cut in two, so that threads seldom wait for the interpreter lock.
    size = max(BLOCK, X.size // 2) if X.size <= 4 * BLOCK else BLOCK
    if X.strides[0] < X.strides[1]:
        width = -(-size // n_samples)
    else:
        width = min(n_features, WIDTH)
    rows = -(-size // width)
    return [
        (slice(top, top + rows), slice(left, left + width))
        for top in range(0, n_samples, rows)
        for left in range(0, n_features, width)
    ]


def write_block(
    block: AnyArray,
    affine: Affine,
    target: AnyArray,
    take: Callable[[Array], Array],
    *,
    check: bool = True,
) -> None:
    """Write a block mapped by ``affine`` to ``target``, which may be the block.

    ``take(values)`` are the values, one a feature, that go with the block; ``check``
    says whether to look for an infinity.

    Raises
    ------
    InfinityInBlockError
    """
    if check:
        refuse_infinity(block)
    steps: list[Any] = [
        (getattr(np, name), (take(values),)) for name, values in affine.steps
    ]
    if affine.clip is not None:
        steps.append((np.clip, affine.clip))
    if not steps:
        np.copyto(target, block, casting="unsafe")
        return
    # By way of scratch: in two thirds of the time of steps that write to new memory.
    work = scratch(block.shape, by_columns=block.strides[0] < block.strides[-1])
    values, (last, its) = block, steps.pop()
    for step, operands in steps:
        values = step(values, *operands, out=work, **FLOAT64)
    # Where it takes longer than to write to any memory, the last step does.
    if last is np.divide or target.dtype != np.float64:
        last(values, *its, out=target, **FLOAT64)
    else:
        np.copyto(target, last(values, *its, out=work, **FLOAT64))


def refuse_infinity(values: AnyArray) -> None:
    """Raise if there is an infinity among the values."""
    if values.dtype.kind != "f":
        return
    # A sum of all is had in half the time that a look at each takes.
    total = np.einsum("ij->" if values.ndim == 2 else "i->", values)
    if not math.isfinite(total) and np.isinf(values).any():
        raise InfinityInBlockError
