"""The arithmetic that signals share."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import combinations
from math import isfinite, nan
from statistics import median

from exporter.history import Point
from exporter.model import Column


def present(column: Sequence[float]) -> list[float]:
    """The values of a column that were read and are numbers: neither NaN nor infinite."""
    return [value for value in column if isfinite(value)]


def up_to(at: float, points: Sequence[Point]) -> Sequence[Point]:
    """The points, if the last of them was seen at this time: what was seen before says nothing of now."""
    return points if points and points[-1].at == at else ()


def rates(points: Sequence[Point]) -> Column | None:
    """Per second and subtask, between the first and the last of counters' columns.

    None without two points of time. NaN where a subtask was not read at both ends or its counter began anew.
    """
    if len(points) < 2 or points[-1].at <= points[0].at:
        return None
    seconds = points[-1].at - points[0].at
    first, last = points[0].value, points[-1].value
    # A comparison with NaN is false, so what was not read becomes NaN as well.
    return array("d", [(b - a) / seconds if b >= a else nan for a, b in zip(first, last, strict=False)])


def slope(points: Sequence[Point]) -> float | None:
    """Units a second: the median of the slopes between all pairs (Theil–Sen), which one outlier does not move.

    None without two points of time.
    """
    found = slopes(points)
    return median(found) if found else None


def slopes(points: Sequence[Point]) -> list[float]:
    """Units a second, between all pairs of points."""
    return [(b.value - a.value) / (b.at - a.at) for a, b in combinations(points, 2) if b.at > a.at]


def increase(points: Sequence[Point], since: float) -> float:
    """By how much a counter has grown since a time, or since the first point if that is later.

    points: one wherever it grew, with its value from then on; at least one.
    """
    before = [point for point in points if point.at < since][-1:] or [points[0]]
    growth: float = points[-1].value - before[0].value
    return growth


def observed(points: Sequence[Point]) -> float:
    """How many seconds a series of points spans."""
    return points[-1].at - points[0].at if points else 0.0
