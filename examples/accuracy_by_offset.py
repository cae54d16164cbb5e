"""
Digits lost to an offset
========================

Sensor readings, clocks and prices sit far from zero. Here 20,000 normal values with a
standard deviation of 2 are streamed in batches of 32, at growing offsets, and compared
with exact rational arithmetic on the same floats: the relative error of the running
variance, and the largest error of a standardised value, in standard deviations.

Usage: ``python examples/accuracy_by_offset.py``
"""

import statistics
from fractions import Fraction

import numpy as np
from sklearn.preprocessing import StandardScaler

from skbn import BatchNormTransformer

noise = 2 * np.random.default_rng(0).standard_normal((20_000, 1))

print("offset  scaler                error of variance  error of a value  scale_")
for offset in (0, 1e3, 1e6, 1e9, 1e12):
    stream = noise + offset
    exact = [Fraction(value) for value in stream[:, 0].tolist()]
    mean, variance = statistics.mean(exact), statistics.pvariance(exact)
    truth = np.array([float(x - mean) for x in exact]) / float(variance) ** 0.5
    for scaler in (BatchNormTransformer(), StandardScaler()):
        for batch in np.split(stream, range(32, len(stream), 32)):
            scaler.partial_fit(batch)
        lost = abs(Fraction(scaler.var_[0].item()) / variance - 1)
        away = np.abs(scaler.transform(stream)[:, 0] - truth).max()
        print(
            f"{offset:<7g} {type(scaler).__name__:<20} {float(lost):18.0e}"
            f" {away:17.0e} {scaler.scale_[0]:7.4f}"
        )
