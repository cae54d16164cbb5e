"""The record of a stream in the types of JSON, the same bits.

It is part of the documents of ``skbn.state``, whose schema says what it looks like, and
what workers send that take no pickles.
"""

from __future__ import annotations

import struct
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from skbn.averaging import averaging, settings_of
from skbn.moments import Moments
from skbn.running import Running

QUIET_NAN = "7ff8000000000000"

Document = dict[str, Any]


def written(running: Running) -> Document:
    """Return a record in the types of JSON."""
    moments = running.moments
    return {
        "averaging": settings_of(running.averaging),
        "n_batches": int(running.n_batches),
        "weighted": bool(running.weighted),
        "seen": _written_pair(running.seen),
        "weight": _written_pair(moments.weight),
        "decay_steps": written_array(running.decay_steps),
        "mean": _written_pair(moments.mean),
        "variance": _written_pair(moments.variance),
    }


def read(fitted: Document, n: int) -> Running:
    """Return the record that was written so, of ``n`` features.

    Raises
    ------
    ValueError
        A part is not of their shape, or not what a record may hold.
    """
    how = averaging(**fitted["averaging"])
    # With momentum of mean and variance: one for both, or one each.
    momentum = fitted["averaging"]["momentum"] is not None
    apart: list[tuple[int, ...]] = [(2, 1), (2, n)] if momentum else []
    one_each: list[tuple[int, ...]] = [(), (n,)]
    mean = _read_pair(fitted, "mean", [(n,)])
    variance = _read_pair(fitted, "variance", [(n,)])
    values = np.stack((mean[0], variance[0])), np.stack((mean[1], variance[1]))
    running = Running(
        how,
        Moments(_read_pair(fitted, "weight", [*one_each, *apart]), values),
        _read_numbers(fitted["decay_steps"], "decay_steps", [(), *apart]),
        _read_pair(fitted, "seen", one_each),
        fitted["n_batches"],
        fitted["weighted"],
    )
    if not running.weighted:
        _refuse_what_needs_weights(running)
    return running


def _refuse_what_needs_weights(running: Running) -> None:
    """Raise where it takes weights to see so many, or for a sum to leave the range."""
    seen, mean = running.seen[0], running.moments.mean[0]
    if not np.all((seen == np.trunc(seen)) & (seen < 2.0**63)):
        raise ValueError("fitted.seen: not whole numbers, though weighted is false")
    if not np.isfinite(mean).all():
        raise ValueError("fitted.mean.high: not finite, though weighted is false")


def _written_pair(pair: Any) -> Document:
    return {"high": written_array(pair[0]), "low": written_array(pair[1])}


def _read_pair(fitted: Document, name: str, shapes: list[tuple[int, ...]]) -> Any:
    high = _read_numbers(fitted[name]["high"], f"{name}.high", shapes)
    low = _read_numbers(fitted[name]["low"], f"{name}.low", [np.shape(high)])
    # A rounding of the sum of both is a part of 2**-53.
    if np.any(np.isfinite(high) & ~(np.abs(low) <= 2.0**-40 * np.abs(high))):
        raise ValueError(f"fitted.{name}: low is not what rounding leaves of high")
    return high, low


# Numbers


def written_array(values: Any) -> Any:
    """A number, or lists of them; what no number of JSON is, as a string."""
    values = np.asarray(values, dtype=np.float64)
    if np.isfinite(values).all():
        return values.tolist()
    if values.ndim == 0:
        return written_float(float(values))
    return [written_array(part) for part in values]


def written_float(value: float) -> float | str:
    """A number of JSON, or a string for what is none."""
    if np.isfinite(value):
        return value
    if not np.isnan(value):
        return "Infinity" if value > 0 else "-Infinity"
    bits = struct.pack(">d", value).hex()
    return "NaN" if bits == QUIET_NAN else f"NaN:{bits}"


def read_float(written: float | str) -> float:
    """The number that was written so."""
    if not isinstance(written, str):
        return float(written)
    name, _, bits = written.partition(":")
    value = struct.unpack(">d", bytes.fromhex(bits))[0] if bits else float(name)
    if bits and not np.isnan(value):
        raise ValueError(f"{written} is not NaN")
    return cast(float, value)


def _read_numbers(
    written: Any, name: str, shapes: list[tuple[int, ...]]
) -> float | NDArray[np.float64]:
    """Numbers as float64 of one of the shapes; their lengths are looked at before."""
    shape = _shape_of(written, name)
    if shape not in shapes:
        expected = " or ".join(map(str, shapes))
        raise ValueError(f"fitted.{name}: of shape {shape}, not {expected}")
    if not shape:
        return read_float(written)
    rows = written if len(shape) == 2 else [written]
    if any(isinstance(value, str) for row in rows for value in row):
        rows = [list(map(read_float, row)) for row in rows]
    return np.array(rows, dtype=np.float64).reshape(shape)


def _shape_of(written: Any, name: str) -> tuple[int, ...]:
    if not isinstance(written, list):
        return ()
    lengths = {len(row) if isinstance(row, list) else None for row in written}
    if len(lengths) > 1:
        raise ValueError(f"fitted.{name}: lists of different lengths, or none")
    inner = lengths.pop() if lengths else None
    return (len(written),) if inner is None else (len(written), inner)
