"""
A linear model on raw data
==========================

Scaling is linear, and so is a linear model: ``skbn.fold`` makes one of the two. It
predicts raw rows in one step, and sparse ones without filling their zeros. Here word
counts are classified with an L1 penalty, and one row and a batch are timed in turns
with the pipeline, dense and sparse; then the loss of digits, which grows with the
offset, until there is an error instead.

Usage: ``python examples/fold_linear.py``
"""

from time import perf_counter

import numpy as np
from scipy.sparse import csr_array
from sklearn.linear_model import LinearRegression, SGDClassifier
from sklearn.pipeline import make_pipeline

from skbn import BatchNormTransformer, fold, to_standard_scaler

generator = np.random.default_rng(0)
counts = generator.poisson(generator.gamma(0.1, size=300), (2000, 300)).astype(float)
y = counts[:, :20].sum(axis=1) > 2 * counts[:, 20:40].sum(axis=1)
pipeline = make_pipeline(
    BatchNormTransformer(epsilon=1e-3),
    SGDClassifier(loss="log_loss", penalty="l1", alpha=0.01, random_state=0),
).fit(counts, y)
folded = fold(pipeline)
away = folded.decision_function(csr_array(counts)) - pipeline.decision_function(counts)
zeros = [np.mean(model.coef_ == 0) for model in (pipeline[1], folded)]
print(f"coefficients that are 0: {zeros[0]:.0%}, folded {zeros[1]:.0%}")
print(f"largest difference, folded model on sparse rows: {np.abs(away).max():.0e}")


def timed(model, X, number):
    start = perf_counter()
    for _ in range(number):
        model.predict(X)
    return 1e6 * (perf_counter() - start) / number


print("\nrows  pipeline  folded, dense  sparse  ratio of the first two")
for n_rows, number in ((1, 20), (2000, 1)):
    X = counts[:n_rows]
    work = (pipeline, X), (folded, X), (folded, csr_array(X))
    times = np.array([[timed(*each, number) for each in work] for _ in range(9)])
    whole, dense, sparse = np.median(times, axis=0)
    low, ratio, high = np.quantile(times[:, 0] / times[:, 1], [0.25, 0.5, 0.75])
    print(
        f"{n_rows:<4} {whole:6.0f} µs {dense:11.0f} µs {sparse:4.0f} µs"
        f"  {ratio:.1f} [{low:.1f}, {high:.1f}]"
    )

print("\noffset  largest error, in standard deviations")
z = generator.standard_normal((1000, 1))
for offset in (1e3, 1e6, 1e9, 1e12):
    X = offset + z
    scaler = BatchNormTransformer().fit(X)
    exact = scaler.transform(X)
    model = LinearRegression().fit(exact, exact[:, 0])
    loose = fold(scaler, model, tolerance=1.0)
    print(f"{offset:<7g} {np.abs(loose.predict(X) - model.predict(exact)).max():.0e}")
try:
    fold(scaler, model)
except ValueError as error:
    print(error)

scaler = BatchNormTransformer(epsilon=1e-3, gamma=2.0).fit(counts)
standard = to_standard_scaler(scaler)
away = np.abs(standard.transform(counts) - scaler.transform(counts)).max()
print(f"\n{standard} in its place, for tools that know only that: {away:.0e} apart")
