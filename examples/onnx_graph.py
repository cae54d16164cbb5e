"""
A pipeline in ONNX
==================

A classifier of sensor readings is written as an ONNX graph and run by onnxruntime,
without scikit-learn. The readings sit far from zero, as clocks and pressures do:
there the ``Scaler`` of ONNX, which skl2onnx makes of StandardScaler, subtracts and
multiplies in single precision. The graph of BatchNormTransformer has standard operators
in double precision, and gives what ``transform`` does.

Usage: ``python examples/onnx_graph.py``
"""

import numpy as np
import onnxruntime
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skbn
import skbn.onnx


def run(model, X):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"X": X})


noise = np.random.default_rng(0).standard_normal((2000, 4))
y = noise[:, 0] > noise[:, 1]

X = (1e6 + noise).astype(np.float32)
pipeline = make_pipeline(skbn.BatchNormTransformer(), LogisticRegression()).fit(X, y)
label, probability = run(skbn.onnx.to_onnx(pipeline, X, options={"zipmap": False}), X)
away = np.abs(probability - pipeline.predict_proba(X)).max()
print(f"labels that differ: {(label != pipeline.predict(X)).sum()}")
print(f"largest difference of a probability: {away:.0e}")

print("\nlargest error of a standardised value\noffset  dtype    StandardScaler  skbn")
for offset, dtype in ((1e3, "f4"), (1e6, "f4"), (1e9, "f8"), (1e12, "f8")):
    X = (offset + noise).astype(dtype)
    exact = skbn.BatchNormTransformer().fit_transform(X.astype("f8"))
    errors = []
    for scaler in (StandardScaler(), skbn.BatchNormTransformer()):
        (image,) = run(skbn.onnx.to_onnx(scaler.fit(X), X), X)
        errors.append(np.abs(image - exact).max())
    print(f"{offset:<7g} {X.dtype}  {errors[0]:14.0e}  {errors[1]:.0e}")
