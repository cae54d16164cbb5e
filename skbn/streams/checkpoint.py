"""Checkpoints: what was learnt of a stream and how far that is, in one file.

Both are written together, beside the file and then in its place: whoever is killed, at
any moment, finds a state and the position that belongs to it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from skbn import _documents, threads
from skbn._files import atomic_write
from skbn.checks import MANNER
from skbn.state import from_document, to_document
from skbn.streams.base import Source
from skbn.streams.columns import Selection
from skbn.streams.pieces import START, Place
from skbn.transformer import FITTED, BatchNormTransformer

FORMAT, VERSION = "skbn.checkpoint", 1
# Seconds between two checkpoints.
INTERVAL = 60.0

_TEXT, _COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
_OR_NOTHING = {"anyOf": [{"type": "null"}, _TEXT]}
_NAME = {"anyOf": [_TEXT, _COUNT, {"type": "null"}]}


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


# Of all but the transformer, which has its own.
SCHEMA = _object(
    format=_TEXT,
    version=_COUNT,
    source=_object(name=_TEXT, identity={"type": "array", "items": _TEXT}),
    arguments=_object(
        columns={"anyOf": [{"type": "null"}, {"type": "array", "items": _NAME}]},
        weight_column=_NAME,
        batch_rows={"anyOf": [{"type": "null"}, _COUNT]},
    ),
    before=_OR_NOTHING,
    position=_object(
        where=_TEXT,
        part=_COUNT,
        row=_COUNT,
        state=_OR_NOTHING,
        rows=_COUNT,
        batches=_COUNT,
        complete={"type": "boolean"},
    ),
)


@dataclass(frozen=True, slots=True)
class Learnt:
    """How much of a stream was learnt.

    Attributes
    ----------
    rows, batches : int
    place : Place
        Where it goes on.
    complete : bool
        Whether nothing is left.
    record : object
        That of the transformer which has learnt so much, and which is another one once
        it has learnt more.
    """

    rows: int = 0
    batches: int = 0
    place: Place = START
    complete: bool = False
    record: Any = None


class Checkpoint:
    """The file, for one stream and one transformer.

    Parameters
    ----------
    path : path-like
    transformer : BatchNormTransformer
        As it was handed over.
    source : Source
    selection : Selection
    size : int or None
        Rows of a batch.

    Raises
    ------
    TypeError
        The transformer cannot be saved.
    ValueError
        The file is no checkpoint, or one of something else.
    FileNotFoundError
        There is no folder for it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        transformer: Any,
        source: Source,
        selection: Selection,
        size: int | None,
    ) -> None:
        self.path, self.source = path, source
        document = to_document(transformer)
        self.before = _digest(document["fitted"])
        columns = None if selection.columns is None else list(selection.columns)
        self.arguments = {
            "columns": columns,
            "weight_column": selection.weight,
            "batch_rows": size,
        }
        if not Path(path).absolute().parent.is_dir():
            raise FileNotFoundError(f"{os.fspath(path)}: there is no such folder.")
        self.saved = monotonic()
        self.found = self._read(document) if Path(path).exists() else None

    @property
    def is_due(self) -> bool:
        """Whether a minute has gone by."""
        return monotonic() - self.saved >= INTERVAL

    def start(self) -> Learnt:
        """Return where to go on."""
        if self.found is None:
            return Learnt()
        its = self.found["position"]
        state = None if its["state"] is None else _decoded(its["state"])
        place = Place(its["part"], its["row"], state)
        return Learnt(its["rows"], its["batches"], place, its["complete"])

    def take_over(self, transformer: BatchNormTransformer) -> None:
        """Give the transformer the state that was found, if there was one.

        Raises
        ------
        ValueError
            The first rows of the source are not those that were learnt.
        """
        if self.found is None:
            return
        self._refuse("source", self.found["source"]["identity"], self._identity())
        state = vars(from_document(self.found["transformer"]))
        with threads.exclusive():
            for name in FITTED:
                if name in state:
                    setattr(transformer, name, state[name])

    def save(self, transformer: BatchNormTransformer, learnt: Learnt) -> None:
        """Write what was learnt and where it goes on.

        Raises
        ------
        OSError
        """
        place = learnt.place
        document = {
            "format": FORMAT,
            "version": VERSION,
            "source": {"name": self.source.name, "identity": self._identity()},
            "arguments": self.arguments,
            "before": self.before,
            "position": {
                "where": self.source.where(place),
                "part": place.part,
                "row": place.row,
                "state": None if place.state is None else _encoded(place.state),
                "rows": learnt.rows,
                "batches": learnt.batches,
                "complete": learnt.complete,
            },
            "transformer": to_document(transformer),
        }
        with atomic_write(self.path) as file:
            file.write(json.dumps(document, indent=1).encode())
        self.saved = monotonic()

    def _identity(self) -> list[str]:
        return self.source.identity() or []

    # What was found

    def _read(self, document: dict[str, Any]) -> dict[str, Any]:
        try:
            found = _documents.parse(_documents.read_bytes(self.path))
            if not isinstance(found, dict) or found.get("format") != FORMAT:
                raise ValueError("not a checkpoint of skbn")
            if found.get("version") != VERSION:
                raise ValueError(f"of version {found.get('version')}, not {VERSION}")
            state = found.pop("transformer", None)
            _documents.check(found, SCHEMA)
            from_document(state)
            found["transformer"] = state
        except ValueError as error:
            raise ValueError(f"{os.fspath(self.path)}: {error}") from error
        self._compare(found, document)
        self.before = found["before"]
        return found

    def _compare(self, found: dict[str, Any], document: dict[str, Any]) -> None:
        """Raise if it was made of something else."""
        for name, value in self.arguments.items():
            self._refuse(name, found["arguments"][name], value)
        theirs = found["transformer"]["parameters"]
        for name, value in document["parameters"].items():
            if name not in MANNER:
                self._refuse(name, theirs[name], value)
        if self.source.identity() is not None:
            self._refuse("source", found["source"]["identity"], self._identity())
        states = {found["before"], _digest(found["transformer"]["fitted"])}
        if self.before not in states:
            raise ValueError(
                f"{os.fspath(self.path)}: the transformer has learnt something else "
                "than when this checkpoint was begun; start with the same one, or "
                "remove the file."
            )

    def _refuse(self, name: str, theirs: Any, ours: Any) -> None:
        if theirs == ours:
            return
        if name == "source":
            lines = [line for line in theirs if line not in ours] or [
                f"{len(theirs)} parts, not {len(ours)}"
            ]
            difference = f"another source: {lines[0]}"
        else:
            difference = f"{name}={theirs!r}, not {ours!r}"
        raise ValueError(
            f"{os.fspath(self.path)}: a checkpoint of {difference}; give another path, "
            "or remove the file to start anew."
        )


def _digest(fitted: Any) -> str | None:
    if fitted is None:
        return None
    return hashlib.sha256(json.dumps(fitted, sort_keys=True).encode()).hexdigest()


# What a source says of its state: a tree of numbers, texts and arrays


def _encoded(state: Any) -> str:
    """The state as JSON.

    Raises
    ------
    ValueError
        It holds something else.
    """
    return json.dumps(_written(state))


def _written(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [_written(part) for part in value]
    if isinstance(value, tuple):
        return {"tuple": [_written(part) for part in value]}
    if isinstance(value, dict):
        return {"dict": [[_written(k), _written(v)] for k, v in value.items()]}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if hasattr(value, "detach"):
        return {"tensor": _written(value.detach().cpu().numpy())}
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "fiub":
        array = np.ascontiguousarray(value)
        content = base64.b64encode(array.tobytes()).decode()
        return {"array": content, "dtype": array.dtype.str, "shape": list(value.shape)}
    raise ValueError(
        f"The state_dict of the source holds a {type(value).__name__}, which a "
        "checkpoint cannot."
    )


def _decoded(text: str) -> Any:
    return _restored(json.loads(text))


def _restored(written: Any) -> Any:
    if isinstance(written, list):
        return [_restored(part) for part in written]
    if not isinstance(written, dict):
        return written
    if "tuple" in written:
        return tuple(_restored(part) for part in written["tuple"])
    if "dict" in written:
        return {_restored(k): _restored(v) for k, v in written["dict"]}
    if "bytes" in written:
        return base64.b64decode(written["bytes"])
    if "tensor" in written:
        import torch

        return torch.from_numpy(_restored(written["tensor"]))
    content = base64.b64decode(written["array"])
    array = np.frombuffer(content, written["dtype"]).reshape(written["shape"])
    return array.copy()
