"""Normalising arrays block by block, with NumPy alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from skbn import threads
from skbn.affine import Affine
from skbn.engines.base import AnyArray, InfinityInBlockError, output
from skbn.engines.numpy.blocks import BLOCK_ROWS, CHUNK, TASKS, WIDTH, block_rows

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
    in_place = np.may_share_memory(X, out)
    if in_place:
        _each_block(partial(_refuse_block, X), X.shape, n_threads)
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
    function = partial(_normalize_block, X, affine, out, check)
    if X.size <= BLOCK_ROWS * WIDTH:
        with np.errstate(all="ignore"):
            function(slice(None), slice(None))
    else:
        _each_block(function, X.shape, n_threads)


def _each_block(
    function: Callable[[slice, slice], None],
    shape: tuple[int, ...],
    n_threads: int | None,
) -> None:
    """Call function(rows, columns) with the slices of every block."""
    n_samples, n_features = shape
    rows = block_rows(n_features)
    per_task = max(CHUNK, -(-n_samples // (TASKS * rows))) * rows

    def task(first: int) -> None:
        last = min(first + per_task, n_samples)
        with np.errstate(all="ignore"):
            for start in range(first, last, rows):
                for left in range(0, n_features, WIDTH):
                    function(
                        slice(start, min(start + rows, last)),
                        slice(left, left + WIDTH),
                    )

    threads.run(task, range(0, n_samples, per_task), n_threads)


def _refuse_block(X: AnyArray, rows: slice, columns: slice) -> None:
    refuse_infinity(X[rows, columns], X[rows, columns])


def _normalize_block(
    X: AnyArray,
    affine: Affine,
    out: AnyArray,
    check: bool,
    rows: slice,
    columns: slice,
) -> None:
    block, target = X[rows, columns], out[rows, columns]
    write_block(block, affine, target, lambda values: values[columns], check=check)


def write_block(
    block: AnyArray,
    affine: Affine,
    target: AnyArray,
    take: Callable[[AnyArray], AnyArray],
    *,
    check: bool = True,
) -> None:
    """Write a block mapped by ``affine`` to ``target``.

    ``take(values)`` are the values, one a feature, that go with the block; ``check``
    says whether to look for an infinity.

    Raises
    ------
    InfinityInBlockError
    """
    work = target if target.dtype == np.float64 else np.empty_like(block, dtype=float)
    values = affine.apply(block, work, take)
    if check:
        refuse_infinity(block, values)
    if affine.clip is not None:
        values = np.clip(values, *affine.clip, out=work)
    if values is not target:
        np.copyto(target, values, casting="unsafe")


def refuse_infinity(block: AnyArray, values: AnyArray) -> None:
    """Raise if the block holds an infinity; what it was mapped to then does, too."""
    total = np.add.reduce(values, axis=None, dtype=float)
    if not np.isfinite(total) and np.isinf(block).any():
        raise InfinityInBlockError
