"""The dashboards' looks and numbers: told apart, readable, written for people."""

import itertools

import hypothesis
import pytest
from hypothesis import strategies as st
from strategies import examples

from benchmarks import texts
from benchmarks.dashboard import canvas
from benchmarks.dashboard.style import LOOKS, OTHERS, THEMES, looks


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    ]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(first, second):
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_contenders_stand_out_from_the_page(theme):
    every = [*LOOKS.values(), *OTHERS]
    assert all(contrast(look.colour(theme), theme.page) >= 3 for look in every)
    assert contrast(theme.text, theme.page) >= 7
    assert contrast(theme.faint, theme.page) >= 4.5


def test_contenders_are_told_apart_without_colours():
    every = [*LOOKS.values(), *OTHERS]
    for attribute in ("marker", "line", "light", "dark"):
        assert len({getattr(look, attribute) for look in every}) == len(every)


def test_contenders_that_somebody_adds_get_looks_of_their_own():
    found = looks(["mine", "River", "yours", "mine", "skbn-numba"])

    assert list(found) == ["skbn-numba", "River", "mine", "yours"]
    assert found["mine"] is OTHERS[0]
    assert found["yours"] is OTHERS[1]


# Numbers


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        (texts.seconds, 0.0217, "21.7 ms"),
        (texts.seconds, 0.9999, "1.00 s"),
        (texts.seconds, 27e-6, "27.0 µs"),
        (texts.seconds, 5e-10, "0.500 ns"),
        (texts.seconds, 0.0, "0.00 ns"),
        (texts.seconds, None, "—"),
        (texts.times, 22.4, "22 ×"),
        (texts.times, 9.96, "10 ×"),
        (texts.times, 3.0, "3.0 ×"),
        (texts.times, 1234.0, "1234 ×"),
        (texts.times, 0.031, "0.031 ×"),
        (texts.times, None, "—"),
        (texts.percent, 0.774, "77%"),
        (texts.percent, 0.001, "< 1%"),
        (texts.percent, None, "—"),
        (texts.size, 303_104, "0.3 MiB"),
        (texts.size, 12, "0.0 MiB"),
        (texts.size, 2**30, "1024.0 MiB"),
        (texts.size, None, "—"),
        (texts.offset, 0.0, "0"),
        (texts.offset, 1e12, "1e12"),
        (texts.offset, 1.7e-9, "1.7e-9"),
        (texts.extent, [3.0], "3.0"),
        (texts.extent, [3.0, 1.0, 22.0], "1.0 to 22"),
        (texts.speed, 12.34e9, "12.3 GB/s"),
        (texts.one_line, "two\n  lines", "two lines"),
        (texts.one_line, "x" * 161, "x" * 159 + "…"),
    ],
)
def test_numbers_are_written_for_people(function, value, expected):
    assert function(value) == expected


# Ticks


@examples(200)
@hypothesis.given(st.floats(-4, 4), st.floats(0.03, 5), st.integers(4, 9))
def test_every_axis_has_ticks_with_numbers(low, decades, most):
    """Three at least, told apart as they are written, and not too many."""
    low, high = 10**low, 10 ** (low + decades)
    found = canvas.ticks(low, high, most)
    assert 3 <= len(found) <= max(most, 8)
    assert all(low <= tick <= high for tick in found)
    assert all(a < b for a, b in itertools.pairwise(found))
    written = [f"{tick:g}" for tick in found]
    assert len(set(written)) == len(written)
    assert all(len(text) <= 8 for text in written)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.05, 200, [0.1, 1, 10, 100]),
        (0.8, 12, [1, 3, 10]),
        (0.9, 1.3, [0.9, 1.0, 1.1, 1.2, 1.3]),
        (1.6, 8, [2, 5]),
    ],
)
def test_ticks_are_round(low, high, expected):
    found = canvas.ticks(low, high, 5)
    assert found == pytest.approx(expected) or len(expected) < 3 <= len(found)
