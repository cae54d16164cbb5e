"""
A file that runs no code
========================

A pickle runs what is in it. ``skops.io`` builds only classes that it is told to trust,
and of a BatchNormTransformer that is the class itself: its state is arrays and what
Python has built in. What was loaded goes on with the same bits.

Usage: ``python examples/skops_file.py``
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import skops.io

import skbn

X = 1e9 + np.random.default_rng(0).standard_normal((1000, 3))
scaler = skbn.BatchNormTransformer(halflife=200).fit(X[:600])

with TemporaryDirectory() as folder:
    path = Path(folder, "scaler.skops")
    skops.io.dump(scaler, path)
    unknown = skops.io.get_untrusted_types(file=path)
    print(f"to be trusted: {unknown}")
    loaded = skops.io.load(path, trusted=unknown)

for transformer in (scaler, loaded):
    transformer.partial_fit(X[600:])
print(f"same bits: {np.array_equal(loaded.transform(X), scaler.transform(X))}")
