"""
Observations far from zero
==========================

Stable-Baselines3's ``VecNormalize`` starts from 1e-4 observations of zeros. Where
observations are far from zero these few are most of the variance for long. Here four
environments read a sensor at 1000 ± 1, and ``skbn.reinforcement.RunningMeanStd`` takes
the place of ``obs_rms`` in one of two wrappers: the standard deviation that each
believes in, and the time of an update.

Usage: ``python examples/plot_reinforcement.py [FILE]`` saves the figure, or shows it.
"""

import statistics
import sys
from time import perf_counter

import gymnasium
import matplotlib.pyplot as plt
import numpy as np
from stable_baselines3.common.running_mean_std import RunningMeanStd as Original
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from skbn.reinforcement import RunningMeanStd


class Sensors(gymnasium.Env):
    """Eight readings of 1000, each with a noise of one."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (8,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, seed):
        self.generator = np.random.default_rng(seed)

    def reset(self, *, seed=None, options=None):
        return 1000 + self.generator.standard_normal(8), {}

    def step(self, action):
        return 1000 + self.generator.standard_normal(8), 0.0, False, False, {}


def environment():
    """Four sensors, normalised."""
    makers = [lambda seed=seed: Sensors(seed) for seed in range(4)]
    return VecNormalize(DummyVecEnv(makers))


environments = {"Stable-Baselines3": environment(), "skbn": environment()}
shape = environments["skbn"].observation_space.shape
environments["skbn"].obs_rms = RunningMeanStd(shape=shape)

figure, ax = plt.subplots(figsize=(9, 4), layout="constrained")
for name, env in environments.items():
    env.reset()
    deviations = []
    for _ in range(1000):
        env.step(np.zeros(4, dtype=int))
        deviations.append(np.sqrt(env.obs_rms.var.mean()))
    ax.plot(4 * np.arange(2, 1002), deviations, label=name)
    print(f"{name:<18} standard deviation after 4,004 rows: {deviations[-1]:.4f}")
ax.axhline(1.0, color="0.6", linewidth=0.8, zorder=0)
ax.set(xscale="log", xlabel="observations", ylabel="standard deviation")
ax.legend(frameon=False)

rows = np.random.default_rng(0).standard_normal((8, 17))
updated = {
    "Stable-Baselines3": Original(shape=(17,)),
    "skbn": RunningMeanStd(shape=(17,)),
}
times = {name: [] for name in updated}
for _ in range(300):  # in turns, so that both meet the same machine
    for name, each in updated.items():
        start = perf_counter()
        each.update(rows)
        each.mean, each.var  # noqa: B018 - what VecNormalize reads after an update
        times[name].append(1e6 * (perf_counter() - start))
for name, taken in times.items():
    print(f"{name:<18} an update with 8 x 17 values: {statistics.median(taken):.0f} µs")

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=150)
else:
    plt.show()
