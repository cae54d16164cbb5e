"""BatchNormTransformer in ONNX graphs: a converter for skl2onnx.

The graph holds the steps of ``transform`` one by one, in double precision: cast,
subtract both parts of the mean, divide, add, clip, cast back. ONNX's own ``Scaler``
multiplies by a reciprocal in single precision, which far from zero leaves no digit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from skbn.affine import Affine
from skbn.engines.base import output_dtype
from skbn.exports import map_of
from skbn.pipeline import StreamingColumnTransformer, StreamingPipeline
from skbn.transformer import BatchNormTransformer

ALIAS = "SkbnBatchNormTransformer"
# ``Clip`` of doubles came with it.
LEAST_OPSET = 12
OPERATORS = {"subtract": "Sub", "divide": "Div", "multiply": "Mul", "add": "Add"}


def register() -> None:
    """Teach skl2onnx to convert BatchNormTransformer, alone and in a Pipeline.

    Pipelines and column transformers of ``skbn.pipeline`` are converted as
    scikit-learn's own.

    May be called again and again. Subclasses must be registered by their own.

    Raises
    ------
    ImportError
        skl2onnx is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import skbn.onnx
    >>> from skl2onnx import convert_sklearn
    >>> from skl2onnx.common.data_types import FloatTensorType
    >>> scaler = skbn.BatchNormTransformer().fit(np.array([[1.0, 2.0], [3.0, 6.0]]))
    >>> skbn.onnx.register()
    >>> inputs = [("X", FloatTensorType([None, 2]))]
    >>> model = convert_sklearn(scaler, initial_types=inputs)
    >>> [node.op_type for node in model.graph.node]
    ['Cast', 'Sub', 'Div', 'Cast']
    """
    skl2onnx = _skl2onnx()
    skl2onnx.update_registered_converter(
        BatchNormTransformer, ALIAS, _infer_shape, _convert, parser=_parse
    )
    skl2onnx.update_registered_parser(StreamingPipeline, _parse_as(Pipeline))
    skl2onnx.update_registered_parser(
        StreamingColumnTransformer, _parse_as(ColumnTransformer)
    )


def to_onnx(transformer_or_pipeline: Any, X: Any, **options: Any) -> Any:
    """Return a fitted transformer, or a pipeline with some in it, as an ONNX model.

    Parameters
    ----------
    transformer_or_pipeline : BatchNormTransformer, Pipeline or ColumnTransformer
        Whatever skl2onnx converts, its steps fitted.
    X : ndarray or pandas DataFrame of shape (n_samples, n_features)
        Data like those that the model is to read: the number and dtypes of their
        columns become its inputs', an array one input, a table one a column. The
        first row is enough.
    **options
        Passed on to ``skl2onnx.to_onnx``: ``target_opset``, 12 or more,
        and ``options`` for classifiers, for instance.

    Returns
    -------
    onnx.ModelProto
        float32 becomes float32, float64 and integers float64, as in ``transform``, bit
        for bit in onnxruntime; float16 may differ in the last one. NaN is kept. An
        infinity, an error of ``transform``, passes as the arithmetic has it.

    Raises
    ------
    ImportError
        skl2onnx is not installed.
    NotFittedError
    TypeError
        X is neither a two-dimensional array nor a pandas DataFrame.
    ValueError
        X has another number of features, or the opset is too old.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> import skbn.onnx
    >>> X = (1e6 + np.arange(6.0).reshape(3, 2)).astype(np.float32)
    >>> scaler = skbn.BatchNormTransformer().fit(X)
    >>> model = skbn.onnx.to_onnx(scaler, X)
    >>> session = onnxruntime.InferenceSession(model.SerializeToString())
    >>> (image,) = session.run(None, {"X": X})
    >>> bool(np.array_equal(image, scaler.transform(X)))
    True
    """
    if not hasattr(X, "iloc") and not (isinstance(X, np.ndarray) and X.ndim == 2):
        raise TypeError(
            "X must be a two-dimensional NumPy array or a pandas DataFrame, not a "
            f"{type(X).__name__}{getattr(X, 'shape', '')}."
        )
    register()
    return _skl2onnx().to_onnx(transformer_or_pipeline, X[:1], **options)


def _skl2onnx() -> Any:
    try:
        import skl2onnx
    except ModuleNotFoundError as error:
        raise ImportError(
            f"skbn.onnx needs {error.name}, which is not installed: "
            "pip install 'skbn[onnx]'."
        ) from error
    return skl2onnx


# What skl2onnx calls, in this order


def _parse(
    scope: Any,
    model: Any,
    inputs: list[Any],
    **custom: Any,  # noqa: ARG001
) -> list[Any]:
    """Declare the operator: the parser of others knows few types of integers."""
    map_of(model)
    operator = scope.declare_local_operator(ALIAS, model)
    operator.inputs = inputs
    kind = _types()[_dtype_of_output(inputs)]
    operator.outputs.append(scope.declare_local_variable("variable", kind()))
    return operator.outputs


def _parse_as(parent: Any) -> Any:
    """Return a parser that takes a model for one of the class that it is a kind of."""

    def parse(scope: Any, model: Any, inputs: list[Any], **custom: Any) -> list[Any]:
        from skl2onnx._parse import _parse_sklearn

        plain = object.__new__(parent)
        vars(plain).update(vars(model))
        return _parse_sklearn(scope, plain, inputs, **custom)

    return parse


def _infer_shape(operator: Any) -> None:
    widths = [variable.get_second_dimension() for variable in operator.inputs]
    model = operator.raw_operator
    if None not in widths and sum(widths) != model.n_features_in_:
        raise ValueError(
            f"X has {sum(widths)} features, but {type(model).__name__} is expecting "
            f"{model.n_features_in_} features as input."
        )
    n_samples = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type.shape = [n_samples, model.n_features_in_]


def _convert(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.algebra import onnx_ops
    from skl2onnx.proto import onnx_proto

    opset = container.target_opset
    if opset < LEAST_OPSET:
        raise ValueError(f"target_opset={opset}: {LEAST_OPSET} or more is needed.")

    def add(name: str, *inputs: Any, **attributes: Any) -> Any:
        node = getattr(onnx_ops, f"Onnx{name}")
        return node(*inputs, op_version=opset, **attributes)

    double = onnx_proto.TensorProto.DOUBLE
    parts = [add("Cast", variable, to=double) for variable in operator.inputs]
    values = parts[0] if len(parts) == 1 else add("Concat", *parts, axis=1)
    affine = map_of(operator.raw_operator)
    for name, numbers in _steps(affine):
        values = add(OPERATORS[name], values, numbers)
    if affine.clip is not None:
        values = add("Clip", values, *map(np.array, affine.clip))
    (output,) = operator.outputs
    kind = output.type.to_onnx_type().tensor_type.elem_type
    add("Cast", values, to=kind, output_names=[output]).add_to(scope, container)


def _steps(affine: Affine) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """The steps, none of them a division by what is 1 in single precision only.

    onnxruntime takes out a division by one number that is 1, and looks at it in single
    precision.
    """
    for name, numbers in affine.steps:
        away = abs(numbers[0] - 1)
        if name == "divide" and len(numbers) == 1 and 0 < away < 2.0**-22:
            yield "divide", numbers / 2
            yield "multiply", np.array([0.5])
        else:
            yield name, numbers


def _types() -> dict[np.dtype[Any], Any]:
    """Types of skl2onnx by NumPy's."""
    from skl2onnx.common import data_types

    names = {"f2": "Float16", "f4": "Float", "f8": "Double", "?": "Boolean"}
    for size in (1, 2, 4, 8):
        names |= {f"i{size}": f"Int{8 * size}", f"u{size}": f"UInt{8 * size}"}
    return {
        np.dtype(code): getattr(data_types, f"{name}TensorType")
        for code, name in names.items()
    }


def _dtype_of_output(inputs: list[Any]) -> np.dtype[Any]:
    """What ``transform`` returns for columns of these types."""
    known = {kind: dtype for dtype, kind in _types().items()}
    for variable in inputs:
        kind = type(variable.type)
        if kind not in known:
            raise ValueError(
                f"Input {variable.raw_name!r} is of type {kind.__name__}: features "
                "must be numbers."
            )
    return output_dtype(np.result_type(*(known[type(v.type)] for v in inputs)))
