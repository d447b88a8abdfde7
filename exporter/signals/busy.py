"""Busy: what share of its time does a task work, wait for others to take its records, or have nothing to do?"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.families import Family, Sample
from exporter.history import Past, Point, Track
from exporter.model import Raw, Scope, Vertex
from exporter.signals._stats import present, rates, up_to
from exporter.signals.base import Note, Signal

BUSY = Raw(Scope.TASK, "accumulateBusyTimeMs")
BACKPRESSURED = Raw(Scope.TASK, "accumulateBackPressuredTimeMs")
IDLE = Raw(Scope.TASK, "accumulateIdleTimeMs")

_OVER = "of the subtasks' milliseconds counted over 60 s; a legacy source gives no busy time"

BUSY_MAX = Family(
    name="flink_health_task_busy_max_ratio",
    help="Share of its time that the busiest subtask works.",
    formula=f"max {_OVER}",
)
BUSY_MEAN = Family(
    name="flink_health_task_busy_mean_ratio",
    help="Share of their time that the subtasks work.",
    formula=f"mean {_OVER}",
)
BACKPRESSURED_MAX = Family(
    name="flink_health_task_backpressured_max_ratio",
    help="Share of its time that the most held-back subtask waits for those after it.",
    formula=f"max {_OVER}",
)
BACKPRESSURED_MEAN = Family(
    name="flink_health_task_backpressured_mean_ratio",
    help="Share of their time that the subtasks wait for those after them.",
    formula=f"mean {_OVER}",
)
IDLE_MEAN = Family(
    name="flink_health_task_idle_mean_ratio",
    help="Share of their time that the subtasks have nothing to do.",
    formula=f"mean {_OVER}",
)
HEADROOM = Family(
    name="flink_health_task_headroom_ratio",
    help="Share of its time that the busiest subtask could still work.",
    formula="1 - busy max",
)

_TRACKS = {raw: Track(f"time_{raw.name}", most=64, span=60.0, least=2) for raw in (BUSY, BACKPRESSURED, IDLE)}


def remember(vertex: Vertex, past: Past, now: float) -> Iterator[Note]:
    for raw, track in _TRACKS.items():
        column = vertex.readings.get(raw)
        if vertex.epoch is not None and column is not None:
            yield Note(track, Point(vertex.read_at, column, tick=vertex.read_at, epoch=vertex.epoch))


def _shares(vertex: Vertex, past: Past, raw: Raw) -> list[float]:
    """One a subtask that was read, 0 to 1: Flink's clocks and ours may differ by a little more than that."""
    column = rates(up_to(vertex.read_at, past[_TRACKS[raw]]))
    return [min(1.0, milliseconds / 1000) for milliseconds in present(column or ())]


def derive(vertex: Vertex, past: Past, now: float) -> Iterator[Sample]:
    if not vertex.running:
        return
    if busy := _shares(vertex, past, BUSY):
        yield BUSY_MAX.sample(max(busy))
        yield BUSY_MEAN.sample(sum(busy) / len(busy))
        yield HEADROOM.sample(1 - max(busy))
    if held := _shares(vertex, past, BACKPRESSURED):
        yield BACKPRESSURED_MAX.sample(max(held))
        yield BACKPRESSURED_MEAN.sample(sum(held) / len(held))
    if idle := _shares(vertex, past, IDLE):
        yield IDLE_MEAN.sample(sum(idle) / len(idle))


SIGNAL = Signal(
    name="busy",
    each=(Vertex,),
    families=(BUSY_MAX, BUSY_MEAN, BACKPRESSURED_MAX, BACKPRESSURED_MEAN, IDLE_MEAN, HEADROOM),
    needs=(BUSY, BACKPRESSURED, IDLE),
    remember=remember,
    derive=derive,
)
