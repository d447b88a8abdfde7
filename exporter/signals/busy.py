"""Busy: what share of its time does a task work, wait for others to take its records, or have nothing to do?"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.families import Family, Sample
from exporter.history import Past, Point, Track
from exporter.model import Raw, Scope, Vertex
from exporter.signals._counters import shares
from exporter.signals._stats import present, up_to
from exporter.signals.base import Note, Signal

BUSY = Raw(Scope.TASK, "accumulateBusyTimeMs")
BACKPRESSURED = Raw(Scope.TASK, "accumulateBackPressuredTimeMs")
IDLE = Raw(Scope.TASK, "accumulateIdleTimeMs")

_OVER = "over the subtasks of the milliseconds counted a millisecond over 60 s, of this attempt"
_TOLD = "absent for a legacy source, whose busy time Flink does not know"

BUSY_MAX = Family(
    name="flink_health_task_busy_max_ratio",
    help="Share of its time that the busiest subtask works.",
    formula=f"max {_OVER} (`accumulateBusyTimeMs`); {_TOLD}",
)
BUSY_MEAN = Family(
    name="flink_health_task_busy_mean_ratio",
    help="Share of their time that the subtasks work.",
    formula=f"mean {_OVER} (`accumulateBusyTimeMs`); {_TOLD}",
)
BACKPRESSURED_MAX = Family(
    name="flink_health_task_backpressured_max_ratio",
    help="Share of its time that the most held-back subtask waits for those after it.",
    formula=f"max {_OVER} (`accumulateBackPressuredTimeMs`)",
)
BACKPRESSURED_MEAN = Family(
    name="flink_health_task_backpressured_mean_ratio",
    help="Share of their time that the subtasks wait for those after them.",
    formula=f"mean {_OVER} (`accumulateBackPressuredTimeMs`)",
)
IDLE_MEAN = Family(
    name="flink_health_task_idle_mean_ratio",
    help="Share of their time that the subtasks have nothing to do.",
    formula=f"mean {_OVER} (`accumulateIdleTimeMs`); {_TOLD}, and whose idle time it says to be 0",
)
HEADROOM = Family(
    name="flink_health_task_headroom_ratio",
    help="Share of its time that the busiest subtask could still work.",
    formula=f"1 - busy max; {_TOLD}",
)

_TRACKS = {raw: Track(f"time_{raw.name}", most=64, span=60.0, least=2) for raw in (BUSY, BACKPRESSURED, IDLE)}


def remember(vertex: Vertex, past: Past, now: float) -> Iterator[Note]:
    for raw, track in _TRACKS.items():
        column = vertex.readings.get(raw)
        if column is not None:
            yield Note(track, Point(vertex.read_at, column, tick=vertex.read_at, epoch=vertex.epoch))


def derive(vertex: Vertex, past: Past, now: float) -> Iterator[Sample]:
    if not vertex.running or vertex.epoch is None:
        return
    columns = (shares(up_to(vertex.read_at, past[_TRACKS[raw]])) or () for raw in (BUSY, BACKPRESSURED, IDLE))
    works, waits, rests = columns
    if busy := present(works):
        yield BUSY_MAX.sample(max(busy))
        yield BUSY_MEAN.sample(sum(busy) / len(busy))
        yield HEADROOM.sample(1 - max(busy))
    if held := present(waits):
        yield BACKPRESSURED_MAX.sample(max(held))
        yield BACKPRESSURED_MEAN.sample(sum(held) / len(held))
    # A subtask that does not know when it is busy does not know when it is idle either, and says 0.
    if idle := present([rest for rest, work in zip(rests, works, strict=False) if work == work]):
        yield IDLE_MEAN.sample(sum(idle) / len(idle))


SIGNAL = Signal(
    name="busy",
    each=(Vertex,),
    families=(BUSY_MAX, BUSY_MEAN, BACKPRESSURED_MAX, BACKPRESSURED_MEAN, IDLE_MEAN, HEADROOM),
    needs=(BUSY, BACKPRESSURED, IDLE),
    remember=remember,
    derive=derive,
)
