"""
Learn before transforming, or after
===================================

A pipeline that reads a stream can transform each batch by statistics that include it,
the default, or by those from before it (``learn_first=False``), which are what
``transform`` would have used to predict the batch. The classifier behind then learns
from what it will meet. Here a linear classifier reads scikit-learn's digits, each batch
of 32 before it is learnt from: the digits as they are, and from a sensor whose level
rises by their full range while its gain halves. The figure shows the accuracy over the
last 400 rows; the table that of the whole stream, and how far the two orders are apart,
with the standard error of that over the shuffles.

On the drifting stream, behind a half-life, the other order is better, since there a
batch is never where the statistics are. On still digits it is worse: a pixel that was
dark so far is not bounded by statistics that have never seen it light, the more so the
faster they forget.

Usage: ``python examples/plot_pipeline_order.py [FILE [SHUFFLES]]`` saves the figure, or
shows it.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import SGDClassifier
from sklearn.utils import gen_batches

from skbn import BatchNormTransformer
from skbn.demo import scenarios
from skbn.pipeline import make_streaming_pipeline, predict_then_learn

ORDERS = {True: "learn, then transform", False: "transform, then learn"}
AVERAGES = {"halflife=200": {"halflife": 200}}
SHUFFLES, WINDOW = 2, 400
if len(sys.argv) > 2:  # the table of docs/pipelines.md
    SHUFFLES = int(sys.argv[2])
    AVERAGES |= {"halflife=100": {"halflife": 100}, "cumulative": {}}


def hits_of(scenario, shuffle, learn_first, average):
    """Whether each row was read right before it was learnt from."""
    X, y, *_ = scenario.make(np.random.default_rng([0, shuffle]))
    model = make_streaming_pipeline(
        BatchNormTransformer(**average),
        SGDClassifier(random_state=0),
        learn_first=learn_first,
    )
    batches = ((X[rows], y[rows]) for rows in gen_batches(len(X), 32))
    results = predict_then_learn(model, batches, classes=range(10))
    return np.concatenate([batch.predicted == batch.y for batch in results])


figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
streams = {"still digits": next(scenarios("digits"))}
streams["drifting digits"] = next(scenarios("drift"))
print(f"{'':<30} {'   '.join(ORDERS.values())}   difference")
for ax, (title, scenario) in zip(axes, streams.items(), strict=True):
    for name, average in AVERAGES.items():
        hits = {
            learn_first: 100
            * np.array(
                [hits_of(scenario, k, learn_first, average) for k in range(SHUFFLES)]
            )
            for learn_first in ORDERS
        }
        first, after = (hits[order].mean(axis=1) for order in (True, False))
        error = (after - first).std(ddof=1) / SHUFFLES**0.5
        print(
            f"{title:<16} {name:<13} {first.mean():20.1f}   {after.mean():20.1f}   "
            f"{(after - first).mean():+.1f} ± {error:.1f}"
        )
        for learn_first, label in ORDERS.items() if name == "halflife=200" else ():
            mean = hits[learn_first].mean(axis=0)
            rolling = np.convolve(mean, np.full(WINDOW, 1 / WINDOW), "valid")
            ax.plot(32 + WINDOW + np.arange(len(rolling)), rolling, label=label)
    ax.set(title=f"{title}, halflife=200", xlabel="rows seen")
axes[0].set_ylabel(f"% right of the last {WINDOW} rows")
axes[0].legend(frameon=False)

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=150)
else:
    plt.show()
