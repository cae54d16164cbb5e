"""
Standardise a stream of River
=============================

``skbn.river.BatchNormScaler`` in the place of River's ``StandardScaler``: what both
lose to an offset, and the time of a call. The error is the largest of a standardised
value, in standard deviations, against exact rational arithmetic, after 2,000 rows of 20
features that were learnt in batches of 100; River's ``learn_many`` squares the values
first. One row at a time, its own scaler, plain Python, takes less time.

Usage: ``python examples/river_stream.py``
"""

import statistics
from fractions import Fraction
from time import perf_counter

import numpy as np
import pandas as pd
from river import preprocessing

from skbn.river import BatchNormScaler

noise = np.random.default_rng(0).standard_normal((2000, 20))
names = [f"x{j}" for j in range(20)]
scalers = {"BatchNormScaler": BatchNormScaler, "River": preprocessing.StandardScaler}

print(f"{'offset':<8}" + "".join(f"{name:>18}" for name in scalers))
for offset in (0, 1e3, 1e6, 1e9):
    stream = pd.DataFrame(noise + offset, columns=names)
    exact = [Fraction(value) for value in stream["x0"].tolist()]
    mean, deviation = statistics.mean(exact), float(statistics.pvariance(exact)) ** 0.5
    truth = np.array([float(x - mean) / deviation for x in exact])
    errors = []
    for scaler_type in scalers.values():
        scaler = scaler_type()
        for start in range(0, 2000, 100):
            scaler.learn_many(stream[start : start + 100])
        try:
            normalised = scaler.transform_many(stream)["x0"]
            errors.append(f"{np.abs(normalised - truth).max():.0e}")
        except TypeError:  # the root of a variance below zero
            errors.append("variance < 0")
    print(f"{offset:<8g}" + "".join(f"{error:>18}" for error in errors))

frame = pd.DataFrame(noise, columns=names)
row = frame.iloc[0].to_dict()
print(f"\n{'µs a call':<16}" + "".join(f"{name:>18}" for name in scalers))
calls = {
    "learn_one": lambda scaler: scaler.learn_one(row),
    "transform_one": lambda scaler: scaler.transform_one(row),
    "both": lambda scaler: (scaler.transform_one(row), scaler.learn_one(row)),
    "learn_many": lambda scaler: scaler.learn_many(frame),
    "transform_many": lambda scaler: scaler.transform_many(frame),
}
for name, call in calls.items():
    fitted = [scaler_type() for scaler_type in scalers.values()]
    for scaler in fitted:
        scaler.learn_many(frame)
    times = [[], []]
    for _ in range(100):  # in turns, so that both meet the same machine
        for scaler, taken in zip(fitted, times, strict=True):
            start = perf_counter()
            call(scaler)
            taken.append(1e6 * (perf_counter() - start))
    print(f"{name:<16}" + "".join(f"{statistics.median(t):18.0f}" for t in times))
