"""
Digits of a scaler that has left Python
=======================================

The largest error of a standardised value, of normal data in float64 with a standard
deviation of 1, as their offset grows: of StandardScaler as skl2onnx converts it, of
``torch.nn.BatchNorm1d``, of a linear model that has the scaler folded into it, and of
what ``skbn.onnx`` and ``skbn.torch`` make of BatchNormTransformer. An error of zero is
drawn at 1e-17. The thin line is the tolerance above which ``skbn.fold`` is an error.

Usage: ``python examples/plot_exported_digits.py [FILE]`` saves the figure, or shows it.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import torch
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler

import skbn
import skbn.onnx
from skbn.torch import to_module


def run_onnx(scaler, X):
    model = skbn.onnx.to_onnx(scaler, X)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"X": X})[0]


def run_layer(scaler, X):
    layer = torch.nn.BatchNorm1d(1, eps=0.0, affine=False).double().eval()
    layer.running_mean.copy_(torch.tensor(scaler.mean_))
    layer.running_var.copy_(torch.tensor(scaler.var_))
    return layer(torch.tensor(X)).numpy()


def run_folded(scaler, X):
    identity = LinearRegression()
    identity.coef_, identity.intercept_ = np.eye(1), np.zeros(1)
    identity.n_features_in_ = 1
    return skbn.fold(scaler, identity, tolerance=np.inf).predict(X)


ways = {
    "StandardScaler, skl2onnx": lambda _, X: run_onnx(StandardScaler().fit(X), X),
    "torch.nn.BatchNorm1d": run_layer,
    "skbn.fold": run_folded,
    "skbn.onnx": run_onnx,
    "skbn.torch": lambda scaler, X: to_module(scaler)(torch.tensor(X)).numpy(),
}
noise = np.random.default_rng(0).standard_normal((2000, 1))
offsets = 10.0 ** np.arange(13)
errors = {name: [] for name in ways}
for offset in offsets:
    X = offset + noise
    scaler = skbn.BatchNormTransformer().fit(X)
    exact = scaler.transform(X)
    for name, run in ways.items():
        away = np.abs(run(scaler, X) - exact).max()
        errors[name].append(max(away, 1e-17))  # for the logarithm of nothing

figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
for (name, values), style in zip(
    errors.items(), ("-", "-", "-", "--", ":"), strict=True
):
    axes.loglog(offsets, values, style, label=name)
axes.axhline(1e-6, color="grey", linestyle="--", linewidth=0.8)
axes.set(xlabel="offset, in standard deviations", ylabel="largest error")
axes.legend()
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1])
else:
    plt.show()
