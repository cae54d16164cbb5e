"""JSON from anywhere: read strictly, and checked against a JSON Schema.

Python's parser takes keys that come twice, NaN, and numbers without end, and a list of
empty lists takes twenty times the memory of its text. What is read here has none of
these. The check knows the keywords that our schemas use, so that the schema that is
published is also what is enforced; the tests compare it with the package jsonschema.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import re
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

MAX_BYTES = 2**28
# Of digits, depth, and of lists and objects in all.
MAX_DIGITS, MAX_DEPTH, MAX_CONTAINERS = 20, 16, 10_000
CHUNK = 2**20

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_TYPES: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "array": (list,),
    "object": (dict,),
}


def read_bytes(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> bytes:
    """Return the content of a file, unpacked if its name ends in ``.gz``.

    Raises
    ------
    ValueError
        It is longer than ``max_bytes``, or gzip cannot unpack it.
    """
    try:
        with Path(path).open("rb") as file:
            packed = gzip.GzipFile(fileobj=file) if is_gzip(path) else file
            return read_stream(packed, max_bytes)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"gzip cannot unpack it: {error}") from error


def read_stream(file: Any, max_bytes: int = MAX_BYTES) -> bytes:
    """Return what a binary file has left; a ValueError if that is too long."""
    content = bytearray()
    while chunk := file.read(min(CHUNK, max_bytes + 1 - len(content))):
        content += chunk
        if len(content) > max_bytes:
            raise ValueError(f"longer than max_bytes={max_bytes}")
    return bytes(content)


def is_gzip(path: str | os.PathLike[str]) -> bool:
    """Whether a file of that name is compressed."""
    return os.fspath(path).endswith(".gz")


def parse(content: bytes) -> Any:
    """Return what some JSON says, UTF-8 without a byte order mark.

    Raises
    ------
    ValueError
        It is not JSON, has a key twice, a number that Python cannot hold, or too many
        lists and objects.
    """
    _refuse_depth(content)
    try:
        return json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"not JSON: {error.msg} ({where})") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error.reason} at byte {error.start}") from error


def check(document: Any, schema: dict[str, Any]) -> None:
    """Raise a ValueError that names the first part that a JSON Schema does not allow.

    Of the schema: ``$ref`` within it, ``type`` (one), ``anyOf`` of different types,
    ``enum``, ``pattern``, ``minimum``, ``exclusiveMinimum``, ``maximum``, ``items``,
    ``properties``, ``required`` and ``additionalProperties: false``. Stricter than it
    is read elsewhere: 3.0 is not an integer, integers have 64 bits at most, NaN and
    infinity are not numbers.
    """
    Checker(schema).check(document, schema, "")


# The parser


def _refuse_depth(content: bytes) -> None:
    """Raise before anything is built: brackets outside of strings are counted."""
    depth = containers = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", content)):
        opens = bracket.group() in b"[{"
        depth += 1 if opens else -1
        containers += opens
        if depth > MAX_DEPTH or containers > MAX_CONTAINERS:
            raise ValueError(
                f"nested deeper than {MAX_DEPTH} levels, or more than "
                f"{MAX_CONTAINERS} lists and objects"
            )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise ValueError(f"the key {_short(twice)} comes twice")
    return made


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(text)} digits: {_short(text)}")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {_short(text)} is too large")
    return number


def _constant(text: str) -> Any:
    raise ValueError(f'{text} is not JSON; it is written as the string "{text}"')


# The schema

_PROBLEMS: dict[str, Any] = {
    "enum": lambda value, allowed: value not in allowed and f"is none of {allowed}",
    "pattern": lambda value, form: (
        re.search(form, value) is None and f"does not have the form {form}"
    ),
    "minimum": lambda value, least: value < least and f"is below {least}",
    "exclusiveMinimum": lambda value, least: value <= least and f"is not above {least}",
    "maximum": lambda value, most: value > most and f"is above {most}",
}


class Checker:
    """A check against parts of one schema.

    Parameters
    ----------
    root : dict
        The schema, with ``$defs`` for what it refers to.
    """

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root

    def check(self, value: Any, schema: dict[str, Any], where: str) -> None:
        """Raise a ValueError that says where the value is and what is wrong with it."""
        branches = self.branches(schema)
        schema = next((b for b in branches if _is_of_type(value, b["type"])), {})
        if not schema:
            expected = " or ".join(dict.fromkeys(b["type"] for b in branches))
            raise _error(where, f"{_short(value)} is not {expected}")
        if type(value) is int and value.bit_length() > 64:
            raise _error(where, f"{_short(value)} is too large")
        for keyword, problem_of in _PROBLEMS.items():
            problem = keyword in schema and problem_of(value, schema[keyword])
            if problem:
                raise _error(where, f"{_short(value)} {problem}")
        if schema["type"] == "array":
            self.check_items(value, schema["items"], where)
        if schema["type"] == "object":
            self.check_properties(value, schema, where)

    def branches(self, schema: dict[str, Any]) -> list[dict[str, Any]]:
        """The schemas, one a type, of which one must hold."""
        while "$ref" in schema:
            schema = self.root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        if "anyOf" in schema:
            return [b for each in schema["anyOf"] for b in self.branches(each)]
        return [schema]

    def check_items(self, values: list[Any], schema: Any, where: str) -> None:
        """Check a list, all at once where it holds floats or strings only."""
        branches = {branch["type"]: branch for branch in self.branches(schema)}
        kinds = set(map(type, values))
        if kinds == {str} and branches.get("string") == {"type": "string"}:
            return
        if kinds == {float} and "number" in branches:
            least = branches["number"].get("minimum", -math.inf)
            if all(map(math.isfinite, values)) and min(values) >= least:
                return
        for position, value in enumerate(values):
            self.check(value, schema, f"{where}[{position}]")

    def check_properties(self, value: dict[Any, Any], schema: Any, where: str) -> None:
        """Check the keys of an object, and what they hold."""
        known = schema["properties"]
        for name in value:
            if name not in known:
                raise _error(where, f"the key {_short(name)} is unknown")
        for name in schema["required"]:
            if name not in value:
                raise _error(where, f"the key {name!r} is missing")
        for name, part in value.items():
            self.check(part, known[name], f"{where}.{name}" if where else name)


def _is_of_type(value: Any, name: str) -> bool:
    if type(value) is float and not math.isfinite(value):
        return False
    return type(value) in _TYPES[name]


def _error(where: str, problem: str) -> ValueError:
    return ValueError(f"{where}: {problem}" if where else problem)


def _short(value: Any) -> str:
    """The value in a few characters, for an error."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    if isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
        return "an endless integer"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:36]}...{text[-1]}"
