"""The display shows what the estimators hold, and changes none of them."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import StandardScaler

from skbn import BatchNormTransformer
from skbn.plotting import RunningStatisticsDisplay

from_stream = RunningStatisticsDisplay.from_stream


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture
def stream():
    data = np.random.default_rng(0).normal(np.linspace(0, 5, 90)[:, None], 1, (90, 2))
    return np.split(data, [10, 15, 50])


def test_means_and_bands_are_those_of_the_stream(stream, ax):
    display = from_stream(BatchNormTransformer(), stream, feature=1, ax=ax)
    ((name, track),) = display.tracks.items()
    so_far = [np.concatenate(stream[: n + 1])[:, 1] for n in range(len(stream))]

    assert_array_equal(display.rows, [10, 15, 50, 90])
    assert_allclose(track.mean, [rows.mean() for rows in so_far])
    assert_allclose(track.deviation, [rows.std() for rows in so_far])
    assert_array_equal(display.lines_[name].get_ydata(), track.mean)
    edges = display.bands_[name].get_paths()[0].vertices[:, 1]
    assert edges.max() == (track.mean + track.deviation).max()
    assert edges.min() == (track.mean - track.deviation).min()


def test_batches_are_shown_behind(stream, ax):
    display = from_stream(BatchNormTransformer(), stream, ax=ax)

    assert_allclose(display.batches.mean, [batch[:, 0].mean() for batch in stream])
    assert_array_equal(display.batches_.lines[0].get_ydata(), display.batches.mean)
    assert display.plot(ax, show_batches=False).batches_ is None


def test_several_averages_from_a_generator(stream, ax):
    averages = {
        "all": BatchNormTransformer(),
        "momentum": BatchNormTransformer(momentum=0.1),
        "half-life": BatchNormTransformer(halflife=20),
        "StandardScaler": StandardScaler(),
    }
    display = from_stream(averages, iter(stream), ax=ax)

    assert list(display.lines_) == list(averages)
    assert_allclose(display.tracks["all"], display.tracks["StandardScaler"])
    assert display.tracks["half-life"].mean[-1] > display.tracks["all"].mean[-1]
    labels = {text.get_text() for text in ax.get_legend().get_texts()}
    assert labels == {*averages, "each batch, ±1σ"}


def test_estimators_are_left_as_they_were(stream, ax):
    fitted = BatchNormTransformer().fit(stream[0])
    fresh = BatchNormTransformer(halflife=3)
    display = from_stream([fitted, fresh], stream, ax=ax)

    assert fitted.n_samples_seen_ == 10
    assert not hasattr(fresh, "mean_")
    assert list(display.tracks) == [
        "BatchNormTransformer()",
        "BatchNormTransformer(halflife=3)",
    ]


def test_features_of_data_frames_have_names(stream, ax):
    frames = [pd.DataFrame(batch, columns=["a", "b"]) for batch in stream]
    by_name = from_stream(BatchNormTransformer(), frames, feature="b", ax=ax)
    by_position = from_stream(BatchNormTransformer(), frames, feature=1, ax=ax)

    assert by_name.feature_name == by_position.feature_name == "b"
    assert ax.get_ylabel() == "b"
    assert_array_equal(by_name.rows, by_position.rows)
    for name, track in by_name.tracks.items():
        assert_array_equal(track, by_position.tracks[name])


def test_a_feature_that_is_missing_at_first_leaves_a_gap(ax):
    stream = [np.full((2, 1), np.nan), np.array([[1.0], [3.0]])]
    display = from_stream(BatchNormTransformer(), stream, ax=ax)

    assert_array_equal(display.batches.mean, [np.nan, 2.0])
    ax.figure.canvas.draw()


def test_styles_can_be_changed(stream, ax):
    display = from_stream(
        BatchNormTransformer(),
        stream,
        ax=ax,
        line_kw={"color": "red", "linestyle": "-."},
        band_kw={"alpha": 0.5},
    )
    (line,), (band,) = display.lines_.values(), display.bands_.values()

    assert (line.get_color(), line.get_linestyle()) == ("red", "-.")
    assert band.get_alpha() == 0.5
    assert_array_equal(band.get_facecolor()[0, :3], [1, 0, 0])


def test_without_axes_there_is_a_new_figure(stream):
    with mpl.rc_context(), plt.ioff():
        plt.switch_backend("agg")
        display = from_stream(BatchNormTransformer(), stream)
    plt.close(display.figure_)

    assert display.ax_ in display.figure_.axes


@pytest.mark.parametrize("feature", [2, -1, "a"])
def test_an_unknown_feature_is_refused(stream, feature, ax):
    with pytest.raises(ValueError, match=f"no feature {feature!r}: .* have 2 features"):
        from_stream(BatchNormTransformer(), stream, feature=feature, ax=ax)


@pytest.mark.parametrize(
    ("estimators", "n_batches", "message"),
    [
        ([], 4, "no estimator"),
        ({"all": BatchNormTransformer()}, 0, "no batch"),
        ([BatchNormTransformer(), BatchNormTransformer()], 4, "two estimators"),
    ],
)
def test_nothing_to_plot_is_an_error(stream, ax, estimators, n_batches, message):
    with pytest.raises(ValueError, match=f"(?i){message}"):
        from_stream(estimators, stream[:n_batches], ax=ax)


def test_without_matplotlib_the_error_says_how_to_install_it(stream, monkeypatch):
    for module in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    unread = iter(stream)
    with pytest.raises(ImportError, match=r'python -m pip install "skbn\[plot\]"'):
        from_stream(BatchNormTransformer(), unread)

    assert len(list(unread)) == len(stream)
