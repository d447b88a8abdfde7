"""Bottleneck: which task holds the job back, and why?

The culprit, not its victims: a task that is not held back itself while those before it are, or that works all the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from exporter.families import Family, Sample
from exporter.history import Past, Point, Track
from exporter.model import Column, Job, Part, Raw, Scope, TaskManager, Vertex
from exporter.signals._stats import present, rates, up_to
from exporter.signals.base import Note, Signal

BUSY = Raw(Scope.TASK, "accumulateBusyTimeMs")
BACKPRESSURED = Raw(Scope.TASK, "accumulateBackPressuredTimeMs")
IDLE = Raw(Scope.TASK, "accumulateIdleTimeMs")
CPU_TIME = Raw(Scope.TASKMANAGER, "Status.JVM.CPU.Time")
GC_TIME = Raw(Scope.TASKMANAGER, "Status.JVM.GarbageCollector.All.Time")
GC_TIMES = Raw(Scope.TASKMANAGER, "Status.JVM.GarbageCollector.*.Time")

# Half of the time is Flink's own "high" backpressure.
_HELD_BACK = 0.5
_SATURATED = 0.9
_UNEVEN = 1.5
_COLLECTS = 0.3
_WAITS = 0.5
# A source's times are measured if they account for about all of its time.
_ACCOUNTED = 0.8

BOTTLENECK = Family(
    name="flink_health_task_bottleneck",
    help="Marks the task that holds the job back, and why; its victims are not marked.",
    formula="1 on a task that is backpressured less than 0.5 of the time while a task before it is so more and no "
    "other after that one is busier, or that is busy 0.9 or more (a source: idle less than 0.1); over 60 s. The first "
    "reason that holds: skew (busiest subtask 1.5 times the mean), gc (its TaskManagers collect 0.3 s/s), source, "
    "sink, external_wait (its TaskManagers use less than half of the processor time that it is busy), saturated",
    labels=("reason",),
)


class _Work(NamedTuple):
    """Milliseconds that the subtasks of a task spent."""

    busy: Column | None
    held: Column | None
    idle: Column | None


class _Shares(NamedTuple):
    """Shares of their time that the subtasks of a task spend; empty where Flink does not tell."""

    busy: list[float]
    held: list[float]
    idle: list[float]


_WORK = Track("bottleneck_work", most=64, span=60.0, least=2)  # by vertex
_HOSTS = Track("bottleneck_hosts", most=64, span=60.0, least=2)  # by TaskManager: processor and GC seconds


def remember(job: Job, past: Past, now: float) -> Iterator[Note]:
    running = [vertex for vertex in job.vertices if vertex.running]
    if job.epoch is None or not running:
        return
    at = running[0].read_at
    work = {vertex.id: _Work(*(vertex.readings.get(raw) for raw in (BUSY, BACKPRESSURED, IDLE))) for vertex in running}
    yield Note(_WORK, Point(at, work, tick=at, epoch=job.epoch))
    hosts = {host.id: _spent(host) for vertex in running for host in vertex.hosts}
    yield Note(_HOSTS, Point(at, hosts, tick=at, epoch=job.epoch))


def _spent(host: TaskManager) -> tuple[float | None, float | None]:
    """Seconds of processor and of garbage collection."""
    cpu = host.readings.get(CPU_TIME)
    gc = host.readings.get(GC_TIME, host.readings.get(GC_TIMES))
    return None if cpu is None else cpu / 1e9, None if gc is None else gc / 1e3


def derive(job: Job, past: Past, now: float) -> Iterator[Sample]:
    shares = _shares(past, job)
    for vertex in job.vertices:
        if vertex.id in shares and _is_culprit(vertex, job, shares):
            yield BOTTLENECK.sample(1, of=vertex, reason=_reason(vertex, shares[vertex.id], past))


def _shares(past: Past, job: Job) -> dict[str, _Shares]:
    running = [vertex for vertex in job.vertices if vertex.running]
    points = up_to(running[0].read_at, past[_WORK]) if job.epoch is not None and running else ()
    if not points:
        return {}

    def share(vertex: str, which: int) -> list[float]:
        columns = [
            point._replace(value=point.value[vertex][which])
            for point in points
            if vertex in point.value and point.value[vertex][which] is not None
        ]
        return [min(1.0, spent / 1000) for spent in present(rates(columns) or ())]

    return {vertex: _Shares(*(share(vertex, which) for which in range(3))) for vertex in points[-1].value}


def _most(shares: list[float]) -> float:
    return max(shares, default=0.0)


def _is_culprit(vertex: Vertex, job: Job, shares: Mapping[str, _Shares]) -> bool:
    mine = shares[vertex.id]
    if _most(mine.held) >= _HELD_BACK:
        return False
    if not vertex.inputs:
        return _source_is_saturated(mine)
    if _most(mine.busy) >= _SATURATED:
        return True
    before = [other for other in job.vertices if other.id in vertex.inputs and other.id in shares]
    return any(_holds_back(vertex, other, shares) for other in before if _most(shares[other.id].held) >= _HELD_BACK)


def _holds_back(vertex: Vertex, before: Vertex, shares: Mapping[str, _Shares]) -> bool:
    """Whether of all tasks after a held-back one it is this that does so: the busiest that is not held back itself."""
    after = [other for other in before.outputs if other in shares and _most(shares[other].held) < _HELD_BACK]
    return bool(after) and max(after, key=lambda other: _most(shares[other].busy)) == vertex.id


def _source_is_saturated(mine: _Shares) -> bool:
    """A source tells too little of its busy time, and a legacy one nothing: only where its time is accounted for."""
    if not (mine.idle and mine.held and mine.busy):
        return False
    accounted = (sum(mine.idle) + sum(mine.held) + sum(mine.busy)) / len(mine.idle)
    return accounted >= _ACCOUNTED and _most(mine.busy) >= _HELD_BACK and min(mine.idle) < 1 - _SATURATED


def _reason(vertex: Vertex, mine: _Shares, past: Past) -> str:
    mean = sum(mine.busy) / len(mine.busy) if mine.busy else 0.0
    cpu, gc = _hosts(vertex, past)
    if len(mine.busy) > 1 and mean > 0 and max(mine.busy) / mean >= _UNEVEN:
        return "skew"
    if gc is not None and gc >= _COLLECTS:
        return "gc"
    if not vertex.inputs:
        return "source"
    if not vertex.outputs:
        return "sink"
    if cpu is not None and cpu < _WAITS * sum(mine.busy):
        return "external_wait"
    return "saturated"


def _hosts(vertex: Vertex, past: Past) -> tuple[float | None, float | None]:
    """Of the TaskManagers of a task: processors that they use together, and the share of time the worst collects."""
    points = past[_HOSTS]
    seconds = points[-1].at - points[0].at if points else 0.0
    if seconds <= 0:
        return None, None
    spent = [
        (points[0].value[host.id], points[-1].value[host.id])
        for host in vertex.hosts
        if host.id in points[0].value and host.id in points[-1].value
    ]
    cpu = [(after[0] - before[0]) / seconds for before, after in spent if None not in (before[0], after[0])]
    gc = [(after[1] - before[1]) / seconds for before, after in spent if None not in (before[1], after[1])]
    return sum(cpu) if cpu else None, max(gc, default=None)


SIGNAL = Signal(
    name="bottleneck",
    each=(Job,),
    families=(BOTTLENECK,),
    needs=(BUSY, BACKPRESSURED, IDLE, CPU_TIME, GC_TIME, GC_TIMES, Part.HOSTS),
    remember=remember,
    derive=derive,
)
