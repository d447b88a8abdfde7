"""What columns of counters say over a window; the signals' own tests say the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

import pytest

from exporter.history import Point
from exporter.signals._counters import frequency, shares
from tests.signals.build import column


def points(*values: object, seconds: float = 60.0) -> list[Point]:
    return [Point(seconds * number, value, tick=number) for number, value in enumerate(values)]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        # 30,000 and 6,000 of 60,000 ms
        pytest.param([0, 1000], [30_000, 7000], [0.5, 0.1], id="shares"),
        pytest.param([0], [61_000], [1.0], id="1 at most"),
        pytest.param([9000], [3000], [0.0], id="a wait was counted late: 0 at least"),
        pytest.param([9000], [2999], [nan], id="too late for that: it began anew"),
        pytest.param([nan, 0], [0, nan], [nan, nan], id="not read at one end"),
        pytest.param([0, 0], [6000], [0.1], id="fewer subtasks than before"),
    ],
)
def test_shares(first: Sequence[float], last: Sequence[float], expected: Sequence[float]) -> None:
    found = shares(points(column(first), column(last)))
    assert found is not None
    assert list(found) == pytest.approx(expected, nan_ok=True)


def test_shares_need_two_points_of_time() -> None:
    assert shares(()) is None
    assert shares(points(column([0]))) is None
    assert shares(points(column([0]), column([9]), seconds=0.0)) is None


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        # (60 + 120) / 60
        pytest.param([{"a": [0, 0]}, {"a": [60, 120]}], 3, id="all subtasks"),
        pytest.param([{"a": [0]}, {"a": [1]}, {"a": [120]}], 1, id="from the first look to the last"),
        pytest.param([{"a": [0]}, {"b": [60]}], None, id="nothing was read at both ends"),
        pytest.param([{"a": [nan]}, {"a": [60]}], None, id="no subtask was"),
        pytest.param([{"a": [0]}], None, id="one look"),
        pytest.param([], None, id="no look"),
    ],
)
def test_frequency(looks: Sequence[Mapping[str, Sequence[float]]], expected: float | None) -> None:
    told = [{name: column(values) for name, values in look.items()} for look in looks]
    assert frequency(points(*told)) == expected
