"""What the counters that subtasks keep say over a window: which share of their time, and how often something happened.

Busy time is not counted by Flink: it is what idle and backpressured time leave of the clock, and a wait is counted when
it ends, or after 5 s. So busy time runs ahead and falls back again, and over a window an idle subtask may seem to have
worked for less than nothing. That is no restart, and it worked for nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Mapping, Sequence
from math import nan

from exporter.history import Point
from exporter.model import Column
from exporter.signals._stats import present, rates

# By how many milliseconds Flink's count of a wait may be behind: its view of timers is updated every 5 s.
_BEHIND = 6_000.0


def shares(points: Sequence[Point]) -> Column | None:
    """Which share of its time, 0 to 1, each subtask spent, from columns of milliseconds.

    None without two points of time. NaN where a subtask was not read at both ends or its counter began anew.
    """
    if len(points) < 2 or points[-1].at <= points[0].at:
        return None
    milliseconds = 1000 * (points[-1].at - points[0].at)
    first, last = points[0].value, points[-1].value
    # Flink's clock and ours may differ by a little, and a wait may be counted after the window that it began in.
    return array(
        "d",
        [
            min(1.0, max(0.0, (b - a) / milliseconds)) if b - a >= -_BEHIND else nan
            for a, b in zip(first, last, strict=False)
        ],
    )


def frequency(points: Sequence[Point]) -> float | None:
    """How often a second, from several columns of counters by whatever tells them apart.

    Only what was read at both ends counts, or the first sight of an old counter would be an event. None without that.
    """
    if len(points) < 2:
        return None
    first: Mapping[Hashable, Column] = points[0].value
    last: Mapping[Hashable, Column] = points[-1].value
    found = [
        rate
        for key in first.keys() & last.keys()
        for rate in present(rates((points[0]._replace(value=first[key]), points[-1]._replace(value=last[key]))) or ())
    ]
    return sum(found) if found else None
