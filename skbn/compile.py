"""Compile kernels ahead, for images and machines of CI: ``python -m skbn.compile``.

What is compiled is kept on disk, where later processes find it: the first ``fit`` of
each then takes a fraction of a second, and not some.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

from skbn.engines.base import load
from skbn.transformer import BatchNormTransformer

WORK = ("fit", "weighted", "transform", "sparse")


def compile_kernels(
    dtypes: Iterable[str] = ("float64",), work: Iterable[str] = WORK
) -> Iterator[tuple[str, str, float]]:
    """Compile what the Numba engine does such work with, or load it from the disk.

    Parameters
    ----------
    dtypes : iterable of str, default=("float64",)
        Of the data: names of NumPy's dtypes.
    work : iterable of {"fit", "weighted", "transform", "sparse"}
        All by default.

    Yields
    ------
    dtype, work, seconds : str, str, float

    Raises
    ------
    ImportError
        Numba is not installed.
    ValueError
        There is no such dtype, or work.

    Examples
    --------
    >>> from skbn.compile import compile_kernels
    >>> [(dtype, work) for dtype, work, seconds in compile_kernels(work=["transform"])]
    [('float64', 'transform')]
    """
    kinds, chosen = [_real(name) for name in dtypes], tuple(work)
    if unknown := [name for name in chosen if name not in WORK]:
        raise ValueError(f"work={unknown[0]!r} is unknown; there is {', '.join(WORK)}.")
    load("numba")
    for kind in kinds:
        for name in chosen:
            start = time.perf_counter()
            _DO[name](np.ones((64, 4), kind))
            yield kind.name, name, time.perf_counter() - start


def cache_folder() -> Path | None:
    """Return where compiled code is kept; None where nothing may be written."""
    from skbn.engines.numba.kernels import moments

    stats = getattr(moments, "stats", None)  # plain Python has none
    return Path(stats.cache_path) if stats and stats.cache_path else None


def _real(name: str) -> np.dtype[Any]:
    try:
        dtype = np.dtype(name)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "fiub":
        raise ValueError(f"dtype={name!r} is none of floats, integers and bool.")
    return dtype


def _transformer(*, with_mean: bool = True) -> BatchNormTransformer:
    return BatchNormTransformer(engine="numba", n_threads=1, with_mean=with_mean)


def _fit(X: NDArray[Any]) -> None:
    from skbn.engines.numba.pooling import pool_into

    _transformer().fit(X).partial_fit(X)
    pool_into(np.zeros((2, 3, 1)), np.zeros((2, 3, 1)))


def _weighted(X: NDArray[Any]) -> None:
    _transformer().fit(X, sample_weight=np.ones(len(X)))


def _transform(X: NDArray[Any]) -> None:
    fitted = BatchNormTransformer(engine="numpy").fit(X).set_params(engine="numba")
    fitted.transform(X)
    fitted.transform(X.copy(), copy=False)


def _sparse(X: NDArray[Any]) -> None:
    for container in (csr_array, csc_array):
        S = container(X)
        _transformer(with_mean=False).fit(S).transform(S)
        _transformer(with_mean=False).fit(S, sample_weight=np.ones(len(X)))


_DO: dict[str, Callable[[NDArray[Any]], None]] = {
    "fit": _fit,
    "weighted": _weighted,
    "transform": _transform,
    "sparse": _sparse,
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m skbn.compile",
        description="Compile the kernels of the Numba engine ahead, for later runs.",
    )
    parser.add_argument(
        "dtypes", nargs="*", default=["float64"], help="of the data; float64 by default"
    )
    parser.add_argument(
        "--work", action="append", choices=WORK, help="all by default; may be repeated"
    )
    given = parser.parse_args(arguments)
    try:
        for dtype, work, seconds in compile_kernels(given.dtypes, given.work or WORK):
            print(f"{dtype:8} {work:10} {seconds:6.1f} s", flush=True)
    except (ImportError, ValueError) as error:
        parser.error(str(error))
    folder = cache_folder()
    print(f"Kept in {folder}." if folder else "Not kept: no folder may be written.")


if __name__ == "__main__":
    main()
