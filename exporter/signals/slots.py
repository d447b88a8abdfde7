"""Slots: would the cluster survive the loss of TaskManagers, and has it lost any?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from exporter.families import Family, Kind, Sample
from exporter.history import Past, Point, Track
from exporter.model import Cluster, Job, Part, TaskManager
from exporter.signals._stats import increase
from exporter.signals._taskmanagers import replaced
from exporter.signals.base import Note, Signal

LOSSES = Family(
    name="flink_health_cluster_taskmanager_losses_total",
    help="TaskManagers that left while tasks ran on them.",
    formula="TaskManagers of the last look that are gone and had slots in use then, unless all jobs of then finished "
    "or were canceled; after the JobManager was away, those that have not come back at the second look",
    kind=Kind.COUNTER,
)
LOSSES_RECENT = Family(
    name="flink_health_cluster_taskmanager_losses_recent",
    help="TaskManagers that left while tasks ran on them, in the last 10 minutes.",
    formula="increase of the losses over 600 s, as far as was seen",
)
TOLERANCE = Family(
    name="flink_health_cluster_taskmanager_loss_tolerance",
    help="How many of the fullest TaskManagers may vanish with all running tasks still finding slots.",
    formula="most k for which what the k fullest use fits into the free slots of the others; absent without any, and "
    "where the JobManager starts another by itself (`execution.target` is one of Kubernetes or YARN)",
)


class _Roster(NamedTuple):
    """What was there at a look.

    used: slots in use, by TaskManager. jobs: when the JobManager took each one up that had not ended. settled: whether
    a TaskManager that is not there is gone; one that a new JobManager has not heard of yet may still come back.
    """

    used: Mapping[str, int]
    jobs: Mapping[str, float]
    settled: bool


_RECENT = 600.0
# States of jobs that left their TaskManagers; one that failed may have done so because it lost them.
_IN_PEACE = frozenset({"FINISHED", "CANCELED"})

_ROSTER = Track("slots_roster", most=1)
_LOSSES = Track("slots_losses", most=1024)


def _used(taskmanager: TaskManager) -> int:
    return taskmanager.slots - taskmanager.slots_free


def remember(cluster: Cluster, past: Past, now: float) -> Iterator[Note]:
    last, losses = past.last(_ROSTER), past.last(_LOSSES)
    if cluster.taskmanagers is None:
        if last is not None:
            yield Note(_ROSTER, Point(now, last.value._replace(settled=False), tick=now))
        return
    used = {tm.id: _used(tm) for tm in cluster.taskmanagers}
    jobs = {job.id: job for job in cluster.jobs or () if job.state not in _IN_PEACE}
    missing, settled = _missing(last.value, used, jobs) if last else ({}, True)
    lost = len(missing) if settled else 0
    total = (losses.value if losses else 0) + lost
    yield Note(_LOSSES, Point(now, total, tick=total))
    alive = {job.id: job.started_at for job in jobs.values() if not job.terminal}
    yield Note(_ROSTER, Point(now, _Roster(used if settled else missing | used, alive, True), tick=now))


def _missing(last: _Roster, used: Mapping[str, int], jobs: Mapping[str, Job]) -> tuple[dict[str, int], bool]:
    """TaskManagers that are not there and had work at the last look; and whether they will not come back."""
    still = jobs.keys() & last.jobs.keys()
    if not still:
        return {}, True
    same_jobmanager = all(jobs[job].started_at == last.jobs[job] for job in still)
    return {tm: slots for tm, slots in last.used.items() if slots and tm not in used}, last.settled and same_jobmanager


def derive(cluster: Cluster, past: Past, now: float) -> Iterator[Sample]:
    losses = past[_LOSSES]
    if losses:
        yield LOSSES.sample(losses[-1].value)
        yield LOSSES_RECENT.sample(increase(losses, now - _RECENT))
    if cluster.taskmanagers and not replaced(cluster.configuration):
        yield TOLERANCE.sample(_tolerance(cluster.taskmanagers))


def _tolerance(taskmanagers: tuple[TaskManager, ...]) -> int:
    # Of equally full ones the one that takes most free slots along comes first.
    fullest_first = sorted(taskmanagers, key=lambda tm: (_used(tm), tm.slots_free), reverse=True)
    homeless, free = 0, sum(tm.slots_free for tm in taskmanagers)
    for tolerated, tm in enumerate(fullest_first):
        homeless, free = homeless + _used(tm), free - tm.slots_free
        if homeless > free or tolerated + 1 == len(taskmanagers):
            return tolerated
    return 0


SIGNAL = Signal(
    name="slots",
    each=(Cluster,),
    families=(LOSSES, LOSSES_RECENT, TOLERANCE),
    needs=(Part.CONFIGURATION,),
    remember=remember,
    derive=derive,
)
