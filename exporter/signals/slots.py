"""Slots: would the cluster survive the loss of TaskManagers, and has it lost any?"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.families import Family, Kind, Sample
from exporter.history import Past, Point, Track
from exporter.model import Cluster, TaskManager
from exporter.signals.base import Note, Signal

LOSSES = Family(
    name="flink_health_cluster_taskmanager_losses_total",
    help="TaskManagers that left while tasks ran on them.",
    formula="TaskManagers of the last look that are gone and had slots in use then",
    kind=Kind.COUNTER,
)
TOLERANCE = Family(
    name="flink_health_cluster_taskmanager_loss_tolerance",
    help="How many of the fullest TaskManagers may vanish with all running tasks still finding slots.",
    formula="most k for which what the k fullest use fits into the free slots of the others; absent without any",
)

_ROSTER = Track("slots_roster", most=1)
_LOSSES = Track("slots_losses", most=1)


def _used(taskmanager: TaskManager) -> int:
    return taskmanager.slots - taskmanager.slots_free


def remember(cluster: Cluster, past: Past, now: float) -> Iterator[Note]:
    if cluster.taskmanagers is None:
        return
    last, losses = past.last(_ROSTER), past.last(_LOSSES)
    present = {tm.id for tm in cluster.taskmanagers}
    lost = sum(used > 0 and tm not in present for tm, used in (last.value if last else {}).items())
    yield Note(_LOSSES, Point(now, (losses.value if losses else 0) + lost, tick=now))
    yield Note(_ROSTER, Point(now, {tm.id: _used(tm) for tm in cluster.taskmanagers}, tick=now))


def derive(cluster: Cluster, past: Past, now: float) -> Iterator[Sample]:
    losses = past.last(_LOSSES)
    if losses is not None:
        yield LOSSES.sample(losses.value)
    if cluster.taskmanagers:
        yield TOLERANCE.sample(_tolerance(cluster.taskmanagers))


def _tolerance(taskmanagers: tuple[TaskManager, ...]) -> int:
    fullest_first = sorted(taskmanagers, key=_used, reverse=True)
    homeless, free = 0, sum(tm.slots_free for tm in taskmanagers)
    for tolerated, tm in enumerate(fullest_first):
        homeless, free = homeless + _used(tm), free - tm.slots_free
        if homeless > free or tolerated + 1 == len(taskmanagers):
            return tolerated
    return 0


SIGNAL = Signal(
    name="slots",
    each=(Cluster,),
    families=(LOSSES, TOLERANCE),
    needs=(),
    remember=remember,
    derive=derive,
)
