"""Is everything remembered that should be, nothing for longer, and never more than was said?"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from exporter.derive import derive
from exporter.history import History, Point, Track
from exporter.model import Cluster
from exporter.signals import SIGNALS
from tests.signals.build import Entry, cluster, failed, job, taskmanager, vertex

JOB = ("job", "a")


def noted(track: Track, *points: Point) -> list[float]:
    """The values that are left when these have been noted."""
    history = History()
    for point in points:
        history.note(JOB, track, point)
    return [point.value for point in history.past(JOB)[track]]


def at(*times: float, epoch: float = 0.0) -> list[Point]:
    """Points whose values and ticks are their times."""
    return [Point(time, time, tick=time, epoch=epoch) for time in times]


@pytest.mark.parametrize(
    ("track", "points", "left"),
    [
        pytest.param(Track("t", most=3), at(0, 15, 30), [0, 15, 30], id="as many as it holds"),
        pytest.param(Track("t", most=3), at(0, 15, 30, 45), [15, 30, 45], id="the oldest goes"),
        pytest.param(Track("t", most=1), at(0, 15), [15], id="only the last"),
        pytest.param(Track("t", most=9, span=60), at(0, 15, 60), [0, 15, 60], id="as old as it may be"),
        pytest.param(Track("t", most=9, span=60), at(0, 15, 61, 80), [61, 80], id="too old"),
        pytest.param(Track("t", most=9, span=60), at(0, 300), [300], id="long between two: only the last"),
        pytest.param(Track("t", most=9, span=60, least=2), at(0, 300), [0, 300], id="two however old"),
        pytest.param(Track("t", most=9, span=60, least=2), at(0, 300, 600), [300, 600], id="but not three"),
        pytest.param(
            Track("t", most=9, span=60, least=2), at(0, 15, 30, 75), [15, 30, 75], id="more where they are new"
        ),
        pytest.param(Track("t", most=2, span=60), at(0, 1, 2), [1, 2], id="both bounds hold"),
        pytest.param(Track("t", most=9, span=60, least=2), [], [], id="nothing"),
    ],
)
def test_bounds(track: Track, points: Sequence[Point], left: list[float]) -> None:
    assert noted(track, *points) == left


ANY = Track("t", most=9)


@pytest.mark.parametrize(
    ("points", "left"),
    [
        pytest.param([Point(0, 10, tick=1), Point(15, 11, tick=1)], [10], id="the same tick is no news"),
        pytest.param([Point(0, 10, tick=1), Point(15, 10, tick=2)], [10, 10], id="the same value is, at another tick"),
        pytest.param(
            [Point(0, 1, tick=1), Point(1, 2, tick=2), Point(2, 3, tick=1)], [1, 2, 3], id="the last tick counts"
        ),
        pytest.param([*at(0, 15), *at(30, epoch=20)], [30], id="a new epoch forgets the old one"),
        pytest.param(
            [Point(0, 1, tick=7, epoch=1), Point(9, 2, tick=7, epoch=2)], [2], id="the tick of another epoch is news"
        ),
        pytest.param([Point(0, 1, tick=1), Point(9, 2, tick=2, epoch=1)], [2], id="from no epoch to one"),
        pytest.param(
            [Point(0, 1, tick=(1, "a")), Point(0, 2, tick=(1, "b"))], [1, 2], id="a tick is anything that hashes"
        ),
    ],
)
def test_ticks_and_epochs(points: Sequence[Point], left: list[float]) -> None:
    assert noted(ANY, *points) == left


def test_what_was_never_noted_is_empty() -> None:
    past = History().past(JOB)
    assert list(past[ANY]) == []
    assert past.last(ANY) is None


def test_the_past_holds_what_is_noted_after_it_was_asked_for() -> None:
    history = History()
    past = history.past(JOB)
    history.note(JOB, ANY, Point(5, 50, tick=1))
    assert past.last(ANY) == Point(5, 50, tick=1)


def test_entities_and_tracks_are_apart() -> None:
    history = History()
    history.note("a", ANY, Point(0, 1, tick=1))
    history.note("b", ANY, Point(0, 2, tick=1))
    history.note("a", Track("other", most=1), Point(0, 3, tick=1))
    assert [point.value for point in history.past("a")[ANY]] == [1]
    assert [point.value for point in history.past("b")[ANY]] == [2]
    assert len(history) == 3


def test_what_is_not_alive_is_forgotten() -> None:
    history = History()
    for key in "abc":
        history.note(key, ANY, Point(0, 1, tick=1))
    history.keep_only(key for key in ("b", "c", "d"))
    assert len(history) == 2
    assert list(history.past("a")[ANY]) == []
    history.keep_only([])
    assert len(history) == 0


def test_one_is_forgotten() -> None:
    history = History()
    history.note("a", ANY, Point(0, 1, tick=1))
    history.note("b", ANY, Point(0, 1, tick=1))
    history.forget("a")
    history.forget("never known")
    assert len(history) == 1


def test_it_stays_small_while_jobs_come_and_go() -> None:
    """10,000 cycles of all signals; each job lives for two of them, each TaskManager for a hundred."""
    history = History()
    points, pasts = [], []
    for cycle in range(10_000):
        derive(_coming_and_going(cycle), SIGNALS, history, cycle * 15.0)
        points.append(len(history))
        # Private, for an empty past costs memory too and nothing tells of it.
        pasts.append(len(history._pasts))
    # The cluster, one TaskManager, one job with one task.
    assert max(pasts) == 4
    # The heap's five minutes make up for what differs.
    assert max(points[5000:]) == max(points[:5000]) < 100


def _coming_and_going(cycle: int) -> Cluster:
    now, name = cycle * 15.0, f"{cycle // 2}"
    task = vertex(id=f"task-{name}", records=[now], busy=[now], watermarks=[now], at=now)
    begun = job(id=f"job-{name}", checkpoints=[10, failed()], now=now, started_at=now - 300, vertices=[task])
    return cluster(begun, taskmanager(used=now % 7, most=8, id=f"tm-{cycle // 100}"), at=now)


def test_it_stays_small_while_one_job_runs_for_ever() -> None:
    """Cycles that always bring something new: as much is held after many as after twice as many."""

    def held(cycles: int) -> int:
        history = History()
        for cycle in range(cycles):
            now = cycle * 15.0
            task = vertex(records=[now, now], busy=[now, now], watermarks=[now, now], at=now)
            entries: list[Entry | float] = [10, failed(), 10]
            begun = job(checkpoints=entries, now=now, started_at=now // 3000, vertices=[task])
            derive(cluster(begun, taskmanager(used=now % 7, most=8), at=now), SIGNALS, history, now)
        return len(history)

    assert held(800) == held(400)
