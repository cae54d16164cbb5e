"""Normalising in a database: the map as an expression of SQL."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from skbn.affine import Affine
from skbn.exports import map_of
from skbn.transformer import BatchNormTransformer

OPERATORS = {"subtract": "-", "divide": "/", "multiply": "*", "add": "+"}
LARGEST = float(np.finfo(np.float64).max)


def _approximate(value: float) -> str:
    """A literal with an exponent, which is a double; one without may be a decimal."""
    text = repr(value)
    return text if "e" in text else f"{text}e0"


def _of_integers(value: float) -> str:
    """The number by integers and powers of two, of which no digit can be lost.

    SQLite promises 15 digits of a literal, and a mean of 1e12 has more.
    """
    fraction, exponent = math.frexp(value)
    whole, exponent = int(fraction * 2**53), exponent - 53
    while exponent and whole % 2 == 0:
        whole, exponent = whole // 2, exponent + 1 if whole else 0
    text = f"CAST({whole} AS REAL)"
    while exponent:
        step = min(abs(exponent), 62)
        text += f" {'/' if exponent < 0 else '*'} CAST({2**step} AS REAL)"
        exponent += step if exponent < 0 else -step
    return f"({text})"


class Dialect(NamedTuple):
    """How a database says things.

    Attributes
    ----------
    double : str
        Its type of 64 bits.
    literal : callable
        A finite float as an expression without any column.
    quote : str
        What names are put in. SQLite takes a name in double quotes that it does not
        know for a text.
    has_nan : bool
    """

    double: str
    literal: Callable[[float], str]
    quote: str = '"'
    has_nan: bool = True


DIALECTS = {
    "ansi": Dialect("DOUBLE PRECISION", _approximate),
    "duckdb": Dialect("DOUBLE", _approximate),
    "sqlite": Dialect("REAL", _of_integers, quote="`", has_nan=False),
}


def sql(
    transformer: BatchNormTransformer, columns: Iterable[str], dialect: str = "ansi"
) -> str:
    """Return what normalises in a database, as the columns of a SELECT.

    The steps are those of ``transform``, in double precision: a column is cast, so that
    integers are not divided as such; both parts of the mean are subtracted, and so on.
    NULL stays NULL, and NaN stays NaN where the database has it.

    Parameters
    ----------
    transformer : BatchNormTransformer
        Fitted.
    columns : iterable of str, of length n_features_in_
        Names of the columns that hold the features, in the order of the features. They
        are quoted as they are: a dot is part of a name.
    dialect : {"ansi", "duckdb", "sqlite"}, default="ansi"
        That of the standard, which PostgreSQL and others read, or of a database that
        differs from it.

    Returns
    -------
    str
        An expression for each column, under its own name, separated by commas.

    Raises
    ------
    ValueError
        Another number of columns, one that comes twice or has no name, or an unknown
        dialect.
    TypeError
        Not a BatchNormTransformer, or names that are no text.
    NotFittedError

    Notes
    -----
    What is infinite, an error of ``transform``, is mapped as the database has it. The
    result is double where ``transform`` returns float32 for float32.

    Examples
    --------
    >>> import numpy as np
    >>> from skbn import BatchNormTransformer, sql
    >>> scaler = BatchNormTransformer().fit(np.array([[1.0, 20.0], [3.0, 60.0]]))
    >>> print(sql(scaler, ["height", "net weight"]))
    (CAST("height" AS DOUBLE PRECISION) - 2.0e0) / 1.0e0 AS "height",
    (CAST("net weight" AS DOUBLE PRECISION) - 40.0e0) / 20.0e0 AS "net weight"
    """
    affine, n_features = map_of(transformer), transformer.n_features_in_
    if dialect not in DIALECTS:
        raise ValueError(f"dialect={dialect!r} is none of {sorted(DIALECTS)}.")
    its = DIALECTS[dialect]
    return ",\n".join(
        _expression(name, affine.columns(slice(feature, feature + 1)), its)
        for feature, name in enumerate(_checked_names(columns, n_features))
    )


def _checked_names(columns: Iterable[str], n_features: int) -> list[str]:
    names = [columns] if isinstance(columns, str) else list(columns)
    if isinstance(columns, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"columns must be a sequence of names, not {columns!r}.")
    if len(names) != n_features:
        raise ValueError(f"{len(names)} columns for {n_features} features.")
    for position, name in enumerate(names):
        if not name or "\0" in name or name in names[:position]:
            raise ValueError(
                f"Column {position} is {name!r}: names must not be empty, hold a null "
                "character or come twice."
            )
    return names


def _expression(column: str, affine: Affine, its: Dialect) -> str:
    """The map of one feature."""
    name = its.quote + column.replace(its.quote, 2 * its.quote) + its.quote
    text = f"CAST({name} AS {its.double})"
    for position, (step, values) in enumerate(affine.steps):
        text = _then(f"({text})" if position else text, step, values.item(), its)
    if affine.clip is not None:
        text = _clipped(text, affine.clip, its)
    return f"{text} AS {name}"


def _then(text: str, step: str, value: float, its: Dialect) -> str:
    if math.isnan(value):  # nothing was seen of the feature
        return f"CAST(NULL AS {its.double})"
    if math.isinf(value):  # the scale where gamma is 0, or a variance infinite
        return f"{text} * {its.literal(0.0)}"
    return f"{text} {OPERATORS[step]} {its.literal(value)}"


def _clipped(text: str, clip: tuple[float, float], its: Dialect) -> str:
    low, high = clip
    cases = ""
    if math.isfinite(low):
        cases += f"WHEN {text} < {its.literal(low)} THEN {its.literal(low)} "
    if math.isfinite(high):
        cases += f"WHEN {text} > {its.literal(high)} "
        if its.has_nan:  # which some databases take for the largest number
            cases += f"AND {text} <= {its.literal(LARGEST)} "
        cases += f"THEN {its.literal(high)} "
    return f"CASE {cases}ELSE {text} END" if cases else text
