"""Bottleneck: which task holds the job back, and why?

The culprit, not its victims. A task that works all the time is one. And whoever waits for those after it is followed
downstream, always to the busiest of those that come next, up to the first that does not wait itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from exporter.families import Family, Sample
from exporter.history import Past, Point, Track
from exporter.model import Column, Job, Part, Raw, Scope, TaskManager, Vertex
from exporter.signals._counters import shares
from exporter.signals._stats import present, up_to
from exporter.signals.base import Note, Signal

BUSY = Raw(Scope.TASK, "accumulateBusyTimeMs")
BACKPRESSURED = Raw(Scope.TASK, "accumulateBackPressuredTimeMs")
CPU_TIME = Raw(Scope.TASKMANAGER, "Status.JVM.CPU.Time")
GC_TIME = Raw(Scope.TASKMANAGER, "Status.JVM.GarbageCollector.All.Time")
GC_TIMES = Raw(Scope.TASKMANAGER, "Status.JVM.GarbageCollector.*.Time")

# More than half of the time is Flink's own "high" backpressure, up to a tenth is "ok".
_HELD_BACK = 0.5
_WAITS_ITSELF = 0.1
_SATURATED = 0.9
_UNEVEN = 1.5
_COLLECTS = 0.3
_COMPUTES = 0.5

BOTTLENECK = Family(
    name="flink_health_task_bottleneck",
    help="Marks the task that holds the job back, and why; its victims are not marked.",
    formula="1 on a task whose busiest subtask is busy 0.9 of the time or more, and none backpressured half of it; and "
    "on the one that is found from each task backpressured half of the time or more by going on to the busiest or "
    "most backpressured task after it, until one is backpressured 0.1 or less, or busier than all after it; over "
    "60 s, of this attempt. The first reason that holds: skew (busiest subtask 1.5 times the mean), gc (a TaskManager "
    "of it collects 0.3 s/s), source, sink, external_wait (its TaskManagers use less than half of the processor time "
    "that it is busy), saturated. A legacy source is never marked: Flink does not know how busy it is",
    labels=("reason",),
)


class _Work(NamedTuple):
    """Milliseconds that the subtasks of a task spent."""

    busy: Column | None
    held: Column | None


class _Shares(NamedTuple):
    """Shares of their time that the subtasks of a task spend; empty where Flink does not tell."""

    busy: list[float]
    held: list[float]


class _Spent(NamedTuple):
    """Seconds of processor and of garbage collection."""

    cpu: float | None
    gc: float | None


_WORK = Track("bottleneck_work", most=64, span=60.0, least=2)  # by vertex
_HOSTS = Track("bottleneck_hosts", most=64, span=60.0, least=2)  # by TaskManager


def remember(job: Job, past: Past, now: float) -> Iterator[Note]:
    running = [vertex for vertex in job.vertices if vertex.running]
    if not running:
        return
    at = running[0].read_at
    work = {vertex.id: _Work(*(vertex.readings.get(raw) for raw in (BUSY, BACKPRESSURED))) for vertex in running}
    yield Note(_WORK, Point(at, work, tick=at, epoch=job.epoch))
    hosts = {host.id: _spent(host) for vertex in running for host in vertex.hosts}
    yield Note(_HOSTS, Point(at, hosts, tick=at, epoch=job.epoch))


def _spent(host: TaskManager) -> _Spent:
    cpu = host.readings.get(CPU_TIME)
    gc = host.readings.get(GC_TIME, host.readings.get(GC_TIMES))
    return _Spent(None if cpu is None else cpu / 1e9, None if gc is None else gc / 1e3)


def derive(job: Job, past: Past, now: float) -> Iterator[Sample]:
    if job.epoch is None:
        return
    known = _shares(past, job)
    culprits = {vertex for vertex, mine in known.items() if _is_saturated(mine)}
    outputs = {vertex.id: vertex.outputs for vertex in job.vertices}
    held_back = [vertex for vertex, mine in known.items() if _most(mine.held) >= _HELD_BACK]
    culprits |= {culprit for vertex in held_back if (culprit := _culprit_behind(vertex, outputs, known))}
    for vertex in job.vertices:
        if vertex.id in culprits:
            yield BOTTLENECK.sample(1, of=vertex, reason=_reason(vertex, known[vertex.id], past))


def _shares(past: Past, job: Job) -> dict[str, _Shares]:
    """By vertex, of those that run and of which anything is known."""
    points = past[_WORK] if any(vertex.running for vertex in job.vertices) else ()

    def share(vertex: str, which: int) -> list[float]:
        columns = [
            point._replace(value=point.value[vertex][which])
            for point in points
            if vertex in point.value and point.value[vertex][which] is not None
        ]
        return present(shares(up_to(points[-1].at, columns)) or ())

    found = {vertex: _Shares(share(vertex, 0), share(vertex, 1)) for vertex in (points[-1].value if points else ())}
    return {vertex: mine for vertex, mine in found.items() if mine.busy or mine.held}


def _most(of: list[float]) -> float:
    return max(of, default=0.0)


def _is_saturated(mine: _Shares) -> bool:
    return _most(mine.busy) >= _SATURATED and _most(mine.held) < _HELD_BACK


def _pressure(mine: _Shares) -> float:
    return max(_most(mine.busy), _most(mine.held))


def _culprit_behind(vertex: str, outputs: Mapping[str, Sequence[str]], known: Mapping[str, _Shares]) -> str | None:
    """Who holds this one back; None where too little is known of those after it."""
    at = vertex
    while after := [other for other in outputs[at] if other in known]:
        worst = max(after, key=lambda other: _pressure(known[other]))
        if at != vertex and _most(known[at].busy) > _pressure(known[worst]):
            return at
        if _most(known[worst].held) <= _WAITS_ITSELF:
            return worst
        at = worst
    return None


def _reason(vertex: Vertex, mine: _Shares, past: Past) -> str:
    mean = sum(mine.busy) / len(mine.busy) if mine.busy else 0.0
    cpu, gc = _hosts(vertex, past)
    if mean > 0 and max(mine.busy) / mean >= _UNEVEN:
        return "skew"
    if gc is not None and gc >= _COLLECTS:
        return "gc"
    if not vertex.inputs:
        return "source"
    if not vertex.outputs:
        return "sink"
    if cpu is not None and cpu < _COMPUTES * sum(mine.busy):
        return "external_wait"
    return "saturated"


def _hosts(vertex: Vertex, past: Past) -> tuple[float | None, float | None]:
    """Of the TaskManagers of a task: processors that they use together, and the share of time the worst collects."""
    points = past[_HOSTS]
    seconds = points[-1].at - points[0].at
    first, last = points[0].value, points[-1].value
    both = [(first[host.id], last[host.id]) for host in vertex.hosts if host.id in first and host.id in last]

    def used(which: int) -> list[float]:
        return [(b[which] - a[which]) / seconds for a, b in both if a[which] is not None and b[which] is not None]

    cpu, gc = used(0), used(1)
    # The task may use any part of a processor that was not read.
    return sum(cpu) if cpu and len(cpu) == len(vertex.hosts) else None, max(gc, default=None)


SIGNAL = Signal(
    name="bottleneck",
    each=(Job,),
    families=(BOTTLENECK,),
    needs=(BUSY, BACKPRESSURED, CPU_TIME, GC_TIME, GC_TIMES, Part.HOSTS),
    remember=remember,
    derive=derive,
)
