"""Save and load a transformer: JSON that people can read, the same bits.

``state.schema.json`` says what a document looks like, and is what documents are checked
by; here is how it is made of a transformer, and the other way round.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn import _documents
from skbn._files import atomic_write
from skbn._records import read, read_float, written, written_array, written_float
from skbn._sklearn import configured_output, to_numpy
from skbn.checks import check_clip, check_per_feature
from skbn.transformer import BatchNormTransformer

FORMAT, VERSION = "skbn.BatchNormTransformer", 1
TEXTS = frozenset({"engine", "sparse_output"})
# To Python, and to scikit-learn, True is one.
NUMBERS = frozenset(
    {"momentum", "halflife", "ddof", "epsilon", "batch_size", "n_threads"}
)

Document = dict[str, Any]


def save(transformer: BatchNormTransformer, path: str | os.PathLike[str]) -> None:
    """Write all that a transformer is and has seen to a file.

    The file is JSON, in gzip where its name ends in ``.gz``. What :func:`load` makes of
    it goes on with the same bits.

    Parameters
    ----------
    transformer : BatchNormTransformer
        Fitted or not. Its class must be this one: a subclass may have more to save.
    path : path-like
        What is there is replaced, all at once.

    Raises
    ------
    TypeError
        Not a BatchNormTransformer.
    ValueError
        A parameter is not valid, or of a type that JSON cannot say.
    OSError
        The file cannot be written; what was there before is still there.

    See Also
    --------
    skbn.state.to_document : The same without a file.

    Notes
    -----
    Callbacks and metadata requests are not saved. Arrays of other libraries among the
    parameters become NumPy's, and so do ``mean_`` and its like of what was fitted on
    them.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import skbn
    >>> scaler = skbn.BatchNormTransformer(halflife=10).fit([[1.0], [3.0]])
    >>> with TemporaryDirectory() as folder:
    ...     skbn.save(scaler, Path(folder, "scaler.json"))
    ...     again = skbn.load(Path(folder, "scaler.json"))
    >>> again
    BatchNormTransformer(halflife=10)
    >>> bool(again.partial_fit([[9.0]]).mean_ == scaler.partial_fit([[9.0]]).mean_)
    True
    """
    content = to_bytes(transformer)
    if _documents.is_gzip(path):
        # No time and no name: the same state is the same file.
        content = gzip.compress(content, compresslevel=6, mtime=0)
    with atomic_write(path) as file:
        file.write(content)


def load(
    path: str | os.PathLike[str], *, max_bytes: int = _documents.MAX_BYTES
) -> BatchNormTransformer:
    """Return the transformer that :func:`save` wrote to a file.

    Nothing in the file is executed, whoever wrote it.

    Parameters
    ----------
    path : path-like
        Unpacked by gzip if its name ends in ``.gz``.
    max_bytes : int, default=2**28
        The most that the file may hold, unpacked. A feature takes some 100 bytes;
        reading takes some five times the memory of the file.

    Returns
    -------
    BatchNormTransformer

    Raises
    ------
    ValueError
        The file is not whole, was changed, is of a newer format or too large: the
        error names the file and what is wrong.
    OSError
        The file cannot be read.

    See Also
    --------
    skbn.state.from_document : The same without a file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import skbn
    >>> with TemporaryDirectory() as folder:
    ...     skbn.save(skbn.BatchNormTransformer(ddof=1), Path(folder, "scaler.json.gz"))
    ...     skbn.load(Path(folder, "scaler.json.gz"))
    BatchNormTransformer(ddof=1)
    """
    try:
        return from_bytes(_documents.read_bytes(path, max_bytes=max_bytes))
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error


def to_bytes(transformer: BatchNormTransformer) -> bytes:
    """Return what :func:`save` writes to a file that is not compressed."""
    document = to_document(transformer)
    return _as_text(document | {"sha256": _digest(document)})


def from_bytes(content: bytes) -> BatchNormTransformer:
    """Return the transformer of the content of such a file; errors are ValueErrors."""
    return from_document(_documents.parse(content))


@cache
def _schema() -> dict[str, Any]:
    return json.loads(files("skbn").joinpath("state.schema.json").read_text("utf-8"))


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of what is saved, for other tools.

    Examples
    --------
    >>> from skbn.state import schema
    >>> schema()["title"]
    'State of a skbn.BatchNormTransformer'
    """
    return json.loads(json.dumps(_schema()))


def to_document(transformer: BatchNormTransformer) -> Document:
    """Return all that a transformer is and has seen, in the types of JSON.

    Parameters
    ----------
    transformer : BatchNormTransformer

    Returns
    -------
    dict
        As :func:`schema` says. It shares nothing with the transformer.

    Raises
    ------
    TypeError
        Not a BatchNormTransformer, or a subclass.
    ValueError
        A parameter is not valid, or of a type that JSON cannot say.

    Examples
    --------
    >>> from skbn import BatchNormTransformer
    >>> from skbn.state import to_document
    >>> document = to_document(BatchNormTransformer().fit([[1.0, 2.0], [3.0, 2.0]]))
    >>> document["fitted"]["mean"]
    {'high': [2.0, 2.0], 'low': [0.0, 0.0]}
    """
    if type(transformer) is not BatchNormTransformer:
        raise TypeError(
            "Only a BatchNormTransformer itself can be saved; a subclass may have more "
            f"to save: this is a {type(transformer).__name__}."
        )
    from skbn import __version__

    state = transformer.__dict__.copy()  # of one moment, whatever other threads do
    names = _schema()["$defs"]["parameters"]["properties"]
    document = {
        "format": FORMAT,
        "version": VERSION,
        "written_by": f"skbn {__version__}",
        "parameters": {name: _written(state[name], name) for name in names},
        "output": configured_output(transformer),
        "fitted": _written_state(state) if "_running" in state else None,
    }
    _documents.check(document, _schema())  # what is written can be read
    _check_parameters(transformer, state.get("n_features_in_"))
    return document


def from_document(document: Document) -> BatchNormTransformer:
    """Return the transformer of which a document was made.

    Parameters
    ----------
    document : dict
        From :func:`to_document`; checked, since it may come from anywhere.

    Returns
    -------
    BatchNormTransformer

    Raises
    ------
    ValueError
        The document is not what :func:`to_document` makes: the error says where.

    Examples
    --------
    >>> from skbn import BatchNormTransformer
    >>> from skbn.state import from_document, to_document
    >>> from_document(to_document(BatchNormTransformer(momentum=0.1)))
    BatchNormTransformer(momentum=0.1)
    """
    _refuse_other_formats(document)
    _documents.check(document, _schema())
    digest = document.get("sha256")
    rest = {name: value for name, value in document.items() if name != "sha256"}
    if digest is not None and digest != _digest(rest):
        raise ValueError(
            "sha256: not that of the rest, which was changed or damaged; who changed "
            "it by hand leaves sha256 out"
        )
    return _loaded(document)


def _refuse_other_formats(document: Any) -> None:
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        raise ValueError(f"not a state of skbn: the key 'format' is not {FORMAT!r}")
    version = document.get("version")
    if type(version) is int and version > VERSION:
        raise ValueError(
            f"written in version {version} of the format, this skbn reads {VERSION}: "
            "install a newer one"
        )


def _loaded(document: Document) -> BatchNormTransformer:
    given = document["parameters"]
    transformer = BatchNormTransformer(
        **{name: _read(value, name) for name, value in given.items()}
    )
    if document["output"] is not None:
        transformer.set_output(transform=document["output"])
    fitted = document["fitted"]
    if fitted is not None:
        names = fitted["feature_names"]
        transformer._running = read(fitted, fitted["n_features"])
        transformer.n_features_in_ = fitted["n_features"]
        if names is not None:
            _refuse_length("feature_names", names, fitted["n_features"])
            transformer.feature_names_in_ = np.array(names, dtype=object)
    _check_parameters(transformer, fitted and fitted["n_features"])
    return transformer


def _check_parameters(
    transformer: BatchNormTransformer, n_features: int | None
) -> None:
    """Raise if parameters are not what ``fit`` and ``transform`` take."""
    transformer._checked_averaging()
    check_clip(transformer.clip)
    if n_features is not None:
        check_per_feature(transformer.gamma, "gamma", n_features)
        check_per_feature(transformer.beta, "beta", n_features)


# What a stream has shown


def _written_state(state: dict[str, Any]) -> Document:
    running, names = state["_running"], state.get("feature_names_in_")
    return {
        "n_features": int(state["n_features_in_"]),
        "feature_names": None if names is None else list(map(str, names)),
        "arrays": _library_of(state.get("_space")),
        **written(running),
    }


def _library_of(space: Any) -> str | None:
    if space is None:
        return None
    library, dtype = type(space).__module__, str(space.dtype)
    return f"{library.partition('.')[0]} {dtype.rpartition('.')[2]} {space.device}"


def _refuse_length(name: str, values: list[Any], n_features: int) -> None:
    if len(values) != n_features:
        raise ValueError(f"fitted.{name}: {len(values)}, for {n_features} features")


# Parameters


def _written(value: Any, name: str) -> Any:
    """A parameter in the types of JSON."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) and name in NUMBERS:
        return int(value)
    if isinstance(value, float):
        return written_float(float(value))
    for kind in (bool, int, str):
        if isinstance(value, kind):
            return kind(value)
    if type(value) is list:
        return [_written(part, name) for part in value]
    if type(value) is tuple:
        return {"kind": "tuple", "values": [_written(part, name) for part in value]}
    return None if value is None else _written_values(value, name)


def _written_values(value: Any, name: str) -> Document:
    """What holds several numbers, as an array of NumPy."""
    try:
        values = np.asarray(to_numpy(value))
    except (TypeError, ValueError) as error:
        raise ValueError(f"parameters.{name}: {error}") from error
    is_float = values.dtype.name in ("float16", "float32", "float64")
    numbers = written_array(values) if is_float else values.tolist()
    return {"kind": values.dtype.name, "values": numbers}


def _read(written: Any, name: str) -> Any:
    """The parameter that was written so."""
    if isinstance(written, str):
        return written if name in TEXTS else read_float(written)
    if isinstance(written, list):
        return [_read(part, name) for part in written]
    if not isinstance(written, dict):
        return written
    values = _read(written["values"], name)
    if written["kind"] == "tuple":
        return tuple(values if isinstance(values, list) else [values])
    return _read_array(values, written, name)


def _read_array(values: Any, written: Document, name: str) -> NDArray[Any]:
    kind = written["kind"]
    try:
        with np.errstate(all="ignore"):
            array = np.array(values, dtype=object).astype(kind)
        if _written_values(array, name) == written:
            return array
    except OverflowError:
        pass
    raise ValueError(f"parameters.{name}: not all are of type {kind}")


# Text


def _as_text(document: Document) -> bytes:
    """The document with a line for each of its parts.

    The last byte is the last bracket: no beginning of it is a document.
    """
    try:
        return _lines(document, ascii_only=False).encode()
    except UnicodeEncodeError:  # a name with half of a surrogate pair
        return _lines(document, ascii_only=True).encode()


def _lines(part: Any, indent: str = "", *, ascii_only: bool) -> str:
    if not isinstance(part, dict) or not part:
        return json.dumps(part, ensure_ascii=ascii_only)
    inner = f"{indent}  "
    rows = (
        f"{inner}{json.dumps(name)}: {_lines(value, inner, ascii_only=ascii_only)}"
        for name, value in part.items()
    )
    return "{\n" + ",\n".join(rows) + f"\n{indent}}}"


def _digest(document: Document) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
