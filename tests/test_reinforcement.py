"""Running statistics in place of Stable-Baselines3's own."""

import pickle
import runpy
import sys
from copy import deepcopy

import numpy as np
import pytest
from exact import assert_exact
from hypothesis import given
from strategies import examples, streams

from skbn import __file__ as package

pytest.importorskip("stable_baselines3", reason="needs torch")

import gymnasium
from gymnasium.wrappers import NormalizeObservation
from stable_baselines3.common.running_mean_std import RunningMeanStd as Theirs
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from skbn.reinforcement import RunningMeanStd

RNG = np.random.default_rng(0)


class Sensors(gymnasium.Env):
    """Readings around 1000, for ever, of shape (2, 3)."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2, 3), np.float64)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)

    def _reading(self):
        return 1000 + self.random.standard_normal((2, 3))

    def reset(self, *, seed=None, options=None):
        return self._reading(), {}

    def step(self, action):
        return self._reading(), 1.0, False, False, {}


def environment(**settings):
    env = DummyVecEnv([lambda seed=seed: Sensors(seed) for seed in range(4)])
    return VecNormalize(env, **settings)


@given(streams(weighted=False))
@examples(30)
def test_statistics_are_exact(stream):
    statistics = RunningMeanStd(shape=stream.X.shape[1:])
    for X, _ in stream.batches():
        X.flags.writeable = False
        statistics.update(X)

    assert statistics.count == len(stream.X)
    assert_exact(statistics.transformer, stream.X)
    np.testing.assert_array_equal(statistics.mean, statistics.transformer.mean_)
    np.testing.assert_array_equal(statistics.var, statistics.transformer.var_)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_the_interface_is_theirs(shape):
    ours, theirs = RunningMeanStd(shape=shape), Theirs(epsilon=1e-12, shape=shape)

    assert isinstance(ours, Theirs)
    for arr in RNG.normal(size=(5, 8, *shape)):
        for each in (ours, theirs):
            each.update(arr)
        for name in ("mean", "var", "count"):
            value, expected = getattr(ours, name), getattr(theirs, name)
            assert np.shape(value) == np.shape(expected)
            np.testing.assert_allclose(value, expected, rtol=1e-9)
    for each in (ours, theirs):
        each.update_from_moments(each.mean + 1, each.var * 2, 10)
        each.combine(each.copy())
    other = Theirs(shape=shape)
    for each in (ours, theirs):
        each.combine(other)
    np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-9)
    np.testing.assert_allclose(ours.var, theirs.var, rtol=1e-9)
    assert ours.count == pytest.approx(theirs.count)


def test_before_anything_was_seen():
    statistics = RunningMeanStd(shape=(2,), halflife=3)
    np.testing.assert_array_equal(statistics.mean, [0, 0])
    np.testing.assert_array_equal(statistics.var, [1, 1])
    assert statistics.count == 0
    np.testing.assert_allclose(
        statistics.normalize([[3.0, -20.0]]), [[3, -10]], rtol=1e-8
    )


@pytest.mark.parametrize("averaging", [{}, {"halflife": 10.0}, {"momentum": 0.2}])
def test_moments_enter_as_a_batch_does(averaging):
    ours, other = (RunningMeanStd(shape=(3,), **averaging) for _ in range(2))
    for arr in RNG.normal(size=(4, 1, 3)):
        ours.update(arr)
        other.update_from_moments(arr[0], np.zeros(3), 1)

    np.testing.assert_allclose(ours.mean, other.mean, rtol=1e-14)
    np.testing.assert_allclose(ours.var, other.var, rtol=1e-14, atol=1e-300)


def test_ours_combine_to_the_last_digit():
    X = 1e12 + RNG.normal(size=(40, 2))
    ours, later = RunningMeanStd(shape=(2,)), RunningMeanStd(shape=(2,))
    ours.update(X[:10])
    later.update(X[10:])
    ours.combine(later)

    assert_exact(ours.transformer, X)


def test_frozen_statistics_stay():
    statistics = RunningMeanStd()
    statistics.update([1.0, 3.0])
    statistics.frozen = True
    statistics.update([100.0])
    statistics.update_from_moments(5.0, 1.0, 3)
    statistics.combine(deepcopy(statistics))
    statistics.combine(Theirs())

    assert (statistics.mean, statistics.var, statistics.count) == (2.0, 1.0, 2.0)


def test_normalise_clips_and_inverts():
    statistics = RunningMeanStd(shape=(2, 3), clip=1.5)
    X = RNG.normal(100, 3, size=(50, 2, 3))
    statistics.update(X)
    Z = statistics.normalize(X)
    inside = np.abs(Z) < 1.5

    assert np.abs(Z).max() == 1.5
    np.testing.assert_allclose(statistics.unnormalize(Z)[inside], X[inside], rtol=1e-12)
    np.testing.assert_array_equal(statistics.normalize(X[0]), Z[0])
    assert statistics.normalize(X.astype(np.float32)).dtype == np.float32


def test_what_is_no_such_observation_changes_nothing():
    statistics = RunningMeanStd(shape=(2,))
    statistics.update([[1.0, 2.0]])
    for arr, message in (([[1.0]], r"shape \(1,\)"), ([[1.0, np.inf]], "infinity")):
        with pytest.raises(ValueError, match=message):
            statistics.update(arr)
    statistics.update(np.empty((0, 2)))

    assert statistics.count == 1


GOOD_MOMENTS = {"batch_mean": [0.0, 1.0], "batch_var": [1.0, 2.0], "batch_count": 2}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(("batch_mean", [1.0, x]) for x in (np.nan, np.inf, -np.inf, "x", None)),
        *(("batch_var", [x, 1.0]) for x in (np.nan, np.inf, -1e-300, "x")),
        *(("batch_count", x) for x in (np.nan, np.inf, -2, -np.inf, 1e300)),
        *((name, [1.0]) for name in ("batch_mean", "batch_var")),
        ("batch_var", [[1.0, 1.0], [1.0, 1.0]]),
    ],
)
@pytest.mark.parametrize("averaging", [{}, {"halflife": 10.0}, {"momentum": 0.2}])
def test_a_wrong_moment_is_named_and_changes_nothing(averaging, name, wrong):
    statistics = RunningMeanStd(shape=(2,), **averaging)
    statistics.update([[1.0, 2.0], [3.0, 5.0]])
    before = pickle.dumps(statistics)
    with pytest.raises(ValueError, match=f"^{name}\\b"):
        statistics.update_from_moments(**GOOD_MOMENTS | {name: wrong})
    assert pickle.dumps(statistics) == before


def test_no_observations_have_no_moments():
    statistics = RunningMeanStd(shape=(2,))
    statistics.update_from_moments([np.nan, np.nan], [np.nan, np.nan], 0)
    assert statistics.count == 0


def test_vec_normalize_takes_it(tmp_path):
    plain, env = environment(), environment()
    env.obs_rms = RunningMeanStd(shape=env.observation_space.shape, halflife=200)
    env.ret_rms = RunningMeanStd()
    for each in (plain, env):
        each.reset()
        for _ in range(50):
            observations, rewards, _, _ = each.step(np.zeros(4, int))
            assert np.abs(observations).max() <= 10
            assert rewards.shape == (4,)
    seen = env.get_original_obs()
    expected = env.obs_rms.normalize(seen)

    assert env.obs_rms.count == 204
    np.testing.assert_allclose(env.normalize_obs(seen), expected, rtol=1e-4, atol=1e-5)
    assert env.obs_rms.var.mean() == pytest.approx(1.0, abs=0.2)
    # An observation of zeros, 1e-4 times: after 204 of them that is half a unit.
    assert plain.obs_rms.var.mean() == pytest.approx(1.0 + 1e6 * 1e-4 / 204, abs=0.2)
    env.training = False
    env.step(np.zeros(4, int))
    assert env.obs_rms.count == 204
    env.save(tmp_path / "env.pickle")
    again = VecNormalize.load(tmp_path / "env.pickle", environment().venv)
    np.testing.assert_array_equal(again.obs_rms.mean, env.obs_rms.mean)


def test_gymnasium_takes_it():
    env = NormalizeObservation(Sensors())
    env.obs_rms = RunningMeanStd(shape=env.observation_space.shape)
    env.reset()
    for _ in range(30):
        observation, *_ = env.step(0)

    assert env.obs_rms.count == 31
    assert np.abs(observation).max() < 10


def test_it_is_pickled():
    statistics = RunningMeanStd(shape=(2,), clip=(-1.0, 2.0))
    statistics.update([[1.0, 2.0], [3.0, 4.0]])
    again = pickle.loads(pickle.dumps(statistics))

    np.testing.assert_array_equal(again.var, statistics.var)


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "stable_baselines3.common", None)
    with pytest.raises(ImportError, match=r"pip install 'skbn\[reinforcement\]'"):
        runpy.run_path(package.replace("__init__", "reinforcement"))
