"""Streams of a billion batches: a state merged with itself, again and again."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from skbn import BatchNormTransformer

BATCH = np.array([[1.0, np.nan], [4.0, 2.0], [4.0, 3.0]])
DOUBLINGS = 30


def doubled(**parameters):
    transformer = BatchNormTransformer(**parameters).fit(BATCH)
    for _ in range(DOUBLINGS):
        transformer.merge(transformer)
    return transformer


@pytest.mark.parametrize("momentum", [1e-9, 1e-6, 1e-3, 0.1, 0.5])
@pytest.mark.parametrize("zero_debias", [True, False])
def test_a_billion_batches_of_momentum(momentum, zero_debias):
    """The same batch again and again, then another one: a geometric series."""
    parameters = {"momentum": momentum, "zero_debias": zero_debias}
    transformer = doubled(**parameters)
    assert transformer.n_batches_seen_ == 2**DOUBLINGS
    np.testing.assert_array_equal(
        transformer.n_samples_seen_, [3 * 2**DOUBLINGS, 2 * 2**DOUBLINGS]
    )
    with localcontext() as context:
        context.prec = 60
        kept = 1 - Decimal(momentum)
        left = kept ** (2**DOUBLINGS)
        # Of the start, the old batch, the new one.
        shares = [left * kept, (1 - left) * kept, Decimal(momentum)]
        if zero_debias:
            shares = [Decimal(0), *(s / (1 - left * kept) for s in shares[1:])]
        start, old, new = map(float, shares)
    transformer.partial_fit(np.array([[9.0, 9.0], [9.0, 13.0]]))
    np.testing.assert_allclose(
        transformer.mean_,
        [3.0 * old + 9.0 * new, 2.5 * old + 11.0 * new],
        rtol=1e-14,
    )
    np.testing.assert_allclose(
        transformer.var_,
        [start + 2.0 * old, start + 0.25 * old + 4.0 * new],
        rtol=1e-14,
    )


@pytest.mark.parametrize("halflife", [1e-3, 0.1, 1.0, 10.0, 1e3, 1e6, 1e9])
def test_a_billion_batches_of_half_lives(halflife):
    transformer = doubled(halflife=halflife)
    one = BatchNormTransformer(halflife=halflife).fit(BATCH)
    np.testing.assert_allclose(transformer.mean_, one.mean_, rtol=1e-14)
    np.testing.assert_allclose(transformer.var_, one.var_, rtol=1e-14, atol=1e-280)
    with localcontext() as context:
        context.prec = 60
        kept = Decimal(2) ** (-1 / Decimal(halflife))
        period = (1 - kept ** (3 * 2**DOUBLINGS)) / (1 - kept**3)
        old = [period * (1 + kept + kept**2), period * (1 + kept)]
        shares = np.array([float(1 / (1 + kept * weight)) for weight in old])
    transformer.partial_fit(np.array([[9.0, 9.0]]))
    gap = 9.0 - one.mean_
    np.testing.assert_allclose(transformer.mean_, one.mean_ + shares * gap, rtol=1e-14)
    np.testing.assert_allclose(
        transformer.var_,
        (1 - shares) * (one.var_ + shares * gap**2),
        rtol=1e-13,
        atol=1e-280,
    )


def test_a_billion_batches_cumulated():
    transformer = doubled()
    np.testing.assert_allclose(transformer.mean_, [3.0, 2.5], rtol=1e-15)
    np.testing.assert_allclose(transformer.var_, [2.0, 0.25], rtol=1e-15)
    np.testing.assert_array_equal(transformer.n_samples_seen_, [3 * 2**30, 2 * 2**30])
