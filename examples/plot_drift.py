"""
Which average to choose on a stream that drifts
===============================================

A sensor reads 20 °C with a noise of one degree. After 2000 rows it starts to drift, by
six degrees over 2000 rows, and then jumps back. The cumulative average is of all rows:
2000 rows later it is still a degree away. Momentum and half-life forget, here at about
the same pace, since batches of 32 rows that weigh 0.1 halve in 211 rows: their means
lie on each other. Their bands do not. The half-life's variance includes that between
batches, so that its band widens while the level moves and still reaches most batches;
momentum's is the spread within a batch.

Usage: ``python examples/plot_drift.py [FILE]`` saves the figure, or shows it.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from skbn import BatchNormTransformer
from skbn.plotting import RunningStatisticsDisplay

ROWS = np.arange(6000)
LEVEL = 20 + np.interp(ROWS, [0, 2000, 4000, 4001, 6000], [0, 0, 6, 0, 0])

generator = np.random.default_rng(0)
readings = (LEVEL + generator.standard_normal(ROWS.size))[:, None]
batches = np.split(readings, range(32, ROWS.size, 32))

averages = {
    "cumulative": BatchNormTransformer(),
    "momentum=0.1": BatchNormTransformer(momentum=0.1),
    "halflife=200": BatchNormTransformer(halflife=200),
}

figure, ax = plt.subplots(figsize=(9, 4.5), layout="constrained")
RunningStatisticsDisplay.from_stream(averages, batches, ax=ax)
ax.set(title="Running mean and one-sigma band", ylabel="temperature in °C")

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=150)
else:
    plt.show()
