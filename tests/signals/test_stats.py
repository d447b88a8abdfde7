"""Is the arithmetic right that the signals share?"""

from __future__ import annotations

from math import inf, nan

import pytest

from exporter.history import Point
from exporter.signals._stats import increase, observed, present, rates, slope
from tests.signals.build import column


def columns(*values: tuple[float, list[float]]) -> list[Point]:
    return [Point(at, column(row), tick=at) for at, row in values]


def series(*values: tuple[float, float]) -> list[Point]:
    return [Point(at, value, tick=at) for at, value in values]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([1, 2, 0], [1, 2, 0], id="all were read, nought is a number"),
        pytest.param([1, nan, 3], [1, 3], id="what was not read is left out"),
        pytest.param([-inf, 5, inf], [5], id="what is infinite is no measure"),
        pytest.param([nan, nan], [], id="nothing was read"),
        pytest.param([], [], id="no subtasks"),
    ],
)
def test_present(values: list[float], expected: list[float]) -> None:
    assert present(column(values)) == expected


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        pytest.param(series((0, 5)), 0, id="one point: nothing grew that was seen"),
        # 7 - 5
        pytest.param(series((0, 5), (150, 7)), 2, id="since the first, which is later"),
        # 9 - 6: at 100 it was still the 6 of 90
        pytest.param(series((0, 5), (90, 6), (150, 9)), 3, id="from what it was then"),
        # 9 - 6
        pytest.param(series((0, 6), (100, 9)), 3, id="growth at that very moment counts"),
        pytest.param(series((0, 5), (90, 9)), 0, id="all of it was before"),
    ],
)
def test_increase_since_100(points: list[Point], expected: float) -> None:
    assert increase(points, 100) == expected


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        # (100 - 0) / 10 and (250 - 200) / 10
        pytest.param(columns((0, [0, 200]), (10, [100, 250])), [10, 5], id="growth over time"),
        # (90 - 0) / 30: the points between say no more than the ends do
        pytest.param(columns((0, [0]), (10, [80]), (30, [90])), [3], id="the ends count"),
        pytest.param(columns((0, [7]), (10, [7])), [0], id="a counter that stands still"),
        pytest.param(columns((0, [0]), (300, [300])), [1], id="five minutes between the looks"),
        pytest.param(columns((0, [nan, 0]), (10, [10, 10])), [nan, 1], id="not read at first"),
        pytest.param(columns((0, [0, 0]), (10, [nan, 10])), [nan, 1], id="not read at last"),
        pytest.param(columns((0, [0]), (10, [nan]), (20, [20])), [1], id="not read between"),
        pytest.param(columns((0, [500, 0]), (10, [20, 10])), [nan, 1], id="a counter that began anew"),
        pytest.param(columns((0, [0, 0]), (10, [10])), [1], id="fewer subtasks than before"),
        pytest.param(columns((0, [0])), None, id="one point is no rate"),
        pytest.param([], None, id="no point is no rate"),
        pytest.param(columns((10, [0]), (10, [10])), None, id="no time went by"),
        pytest.param(columns((10, [0]), (5, [10])), None, id="the clock was set back"),
    ],
)
def test_rates(points: list[Point], expected: list[float] | None) -> None:
    found = rates(points)
    assert (found if found is None else list(found)) == (
        None if expected is None else pytest.approx(expected, nan_ok=True)
    )


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        pytest.param(series((0, 0), (10, 20)), 2.0, id="20 in 10 s"),
        pytest.param(series((0, 30), (10, 10)), -2.0, id="it falls"),
        pytest.param(series((0, 5), (10, 5), (20, 5)), 0.0, id="it stands"),
        # Of 10 pairs the 6 without the outlier have a slope of 1, the others of 25 to 97: the median is 1.
        pytest.param(series((0, 0), (1, 1), (2, 2), (3, 3), (4, 100)), 1.0, id="one outlier does not move it"),
        # (30 - 20) / 10 = 1 and (30 - 0) / 10 = 3: their median is 2.
        pytest.param(series((0, 20), (0, 0), (10, 30)), 2.0, id="two points of one time make no slope"),
        pytest.param(series((0, 1)), None, id="one point"),
        pytest.param(series((5, 1), (5, 2)), None, id="one point of time"),
        pytest.param([], None, id="no point"),
    ],
)
def test_slope(points: list[Point], expected: float | None) -> None:
    assert slope(points) == expected


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        pytest.param(series((10, 1), (25, 1), (70, 1)), 60.0, id="from the first to the last"),
        pytest.param(series((10, 1)), 0.0, id="one look spans nothing"),
        pytest.param([], 0.0, id="nor does none"),
    ],
)
def test_observed(points: list[Point], expected: float) -> None:
    assert observed(points) == expected
