"""
A scaler in front of a network
==============================

Statistics that were learnt on a stream go into a network of torch, and those of a
network come back. Where a ``BatchNorm1d`` has the same numbers, that is what
``to_module`` gives: it goes on learning, in torch or in scikit-learn. Far from zero a
layer would lose digits, and a module with both parts of the mean takes its place.

Usage: ``python examples/torch_module.py``
"""

import numpy as np
import torch

import skbn
from skbn.torch import from_module, to_module

generator = np.random.default_rng(0)
stream = [generator.normal(2.0, 3.0, (32, 4)) for _ in range(20)]

as_torch = {"momentum": 0.1, "zero_debias": False, "ddof": 1, "epsilon": 1e-5}
scaler = skbn.BatchNormTransformer(**as_torch)
for batch in stream[:10]:
    scaler.partial_fit(batch)
layer = to_module(scaler)
print(f"{layer}: {layer.reason}")

layer.train()
for batch in stream[10:]:
    scaler.partial_fit(batch)
    layer(torch.tensor(batch))
again = from_module(layer)
away = np.abs(scaler.mean_ - again.mean_).max(), np.abs(scaler.var_ - again.var_).max()
print(
    f"after ten batches more on either side: means {away[0]:.0e}, {away[1]:.0e} apart"
)

print("\nlargest error of a standardised value")
print("offset  dtype    plain layer  to_module")
for offset, dtype in ((1e6, torch.float32), (1e12, torch.float64)):
    X = torch.tensor(offset + stream[0], dtype=dtype)
    far = skbn.BatchNormTransformer(**as_torch | {"momentum": 1.0}).fit(X.numpy())
    plain = torch.nn.BatchNorm1d(4, dtype=dtype).eval()
    plain.running_mean.copy_(torch.tensor(far.mean_))
    plain.running_var.copy_(torch.tensor(far.var_))
    exact = torch.tensor(far.transform(X.numpy().astype("f8")))
    modules = plain, to_module(far, dtype=dtype)
    errors = [(module(X) - exact).abs().max().item() for module in modules]
    print(f"{offset:<7g} {str(dtype)[6:]}  {errors[0]:11.0e}  {errors[1]:.0e}")
print(modules[1].reason)
