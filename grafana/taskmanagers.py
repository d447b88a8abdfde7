"""TaskManagers: is the machinery that jobs run on well?"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from exporter.families import Family
from exporter.model import JobManager, TaskManager
from exporter.signals import cluster, gc, heap, resources, slots
from exporter.symptoms import verdict
from grafana import frame
from grafana.panels import About, Column, Each, Panel, number, rows, symptom_rows
from grafana.queries import Scope

SCOPE = Scope(frame.matchers(frame.CLUSTERS, frame.TASKMANAGER))
_HOSTS = Each(SCOPE, ("tm_id", "host"), "{{host}} {{tm_id}}")
_CLUSTERS = Each(SCOPE, ("cluster",), "{{cluster}}")
_IDENTITY = ("cluster", "tm_id", "host")
_NONE = "no TaskManager is registered, or none could be read"
_DOWN = "no cluster answers"


def build() -> Dashboard:
    """The dashboard."""
    return frame.build(
        frame.TASKMANAGERS,
        "Are the processes well that jobs run on: heap, garbage collection, and what else may run out.",
        [frame.CLUSTERS, frame.TASKMANAGER],
        {
            "": [*_counts(), _table(), _symptoms()],
            "Heap and garbage collection": _heap(),
            "What else may run out": _resources(),
            "JobManager": _jobmanager(),
        },
    )


def _counts() -> list[Panel]:
    def total(title: str, family: Family, *symptoms: str, how: str = "sum", empty: str = _DOWN) -> Panel:
        about = About(title=title, families=(family,), symptoms=symptoms, empty=empty)
        return number(about, f"{how}({SCOPE.worst(family, 'cluster')})")

    return [
        total("Registered", cluster.TASKMANAGERS),
        total("Slots", cluster.SLOTS),
        total("Free slots", cluster.SLOTS_FREE),
        total("Lost in 10 minutes", slots.LOSSES_RECENT, "taskmanager_lost"),
        total(
            "How many may be lost",
            slots.TOLERANCE,
            "no_loss_tolerance",
            how="min",
            empty="no cluster has TaskManagers, or the JobManagers start others by themselves",
        ),
        number(
            About(title="Lost over the whole time", families=(slots.LOSSES,), empty=_DOWN),
            f"sum({SCOPE.increase(slots.LOSSES, 'cluster', over='$__range')})",
        ),
    ]


def _table() -> Panel:
    shares: list[tuple[Family, str, tuple[str, ...]]] = [
        (heap.RATIO[TaskManager], "Heap", ()),
        (heap.FLOOR[TaskManager], "Not freed", ("heap_high",)),
        (gc.RATIO[TaskManager], "Collecting", ("gc_pressure",)),
        (resources.METASPACE, "Metaspace", ("metaspace_high",)),
        (resources.MANAGED, "Managed", ()),
        (resources.NETWORK, "Network", ()),
        (resources.FILES, "Files", ()),
        (resources.CPU, "CPU", ()),
    ]
    letters = "BCDEFGHI"
    return rows(
        About(
            title="TaskManagers",
            families=(resources.HEARTBEAT_AGE,),
            note="What each has used up of what it has, now. What could not be read stays empty.",
            unit="percentunit",
            empty=_NONE,
        ),
        [
            SCOPE.worst(resources.HEARTBEAT_AGE, *_IDENTITY),
            *(SCOPE.worst(family, *_IDENTITY) for family, _, _ in shares),
        ],
        [
            Column(of="host", title="Host"),
            Column(of="tm_id", title="TaskManager"),
            Column(of="cluster", title="Cluster"),
            *(
                Column(of=letter, title=title, unit="percentunit", family=family, symptoms=symptoms, width=100)
                for letter, (family, title, symptoms) in zip(letters, shares, strict=True)
            ),
            Column(of="A", title="Heard of", unit="s", width=100),
        ],
        sort=(("Not freed", True),),
        width=16,
    )


def _symptoms() -> Panel:
    about = About(title="Symptoms", families=(verdict.SYMPTOM["taskmanager"],), empty="no TaskManager has a symptom")
    expr = SCOPE.worst(verdict.SYMPTOM["taskmanager"], *_IDENTITY, "symptom", "severity")
    return symptom_rows(
        about, expr, [Column(of="host", title="Host"), Column(of="tm_id", title="TaskManager")], width=8
    )


def _heap() -> list[Panel]:
    return [
        _HOSTS.shares("Heap in use", heap.RATIO[TaskManager], empty=_NONE),
        _HOSTS.shares("Heap that collection cannot free", heap.FLOOR[TaskManager], "heap_high", empty=_NONE),
        _HOSTS.shares("Garbage collection", gc.RATIO[TaskManager], "gc_pressure", empty=_NONE),
    ]


def _resources() -> list[Panel]:
    return [
        _HOSTS.shares("Metaspace", resources.METASPACE, "metaspace_high", empty=f"{_NONE}, or the JVM has no maximum"),
        _HOSTS.shares("Managed memory", resources.MANAGED, empty=f"{_NONE}, or there is no managed memory"),
        _HOSTS.shares("Network memory", resources.NETWORK, empty=_NONE),
        _HOSTS.shares("File descriptors", resources.FILES, empty=f"{_NONE}, or the system has no maximum"),
        _HOSTS.shares("Processors", resources.CPU, empty=f"{_NONE}, or the JVM does not know"),
        _HOSTS.lines("Age of the last heartbeat", resources.HEARTBEAT_AGE, unit="s", empty=_NONE),
    ]


def _jobmanager() -> list[Panel]:
    unread = "no JobManager could be read"
    return [
        _CLUSTERS.shares("JobManager: heap in use", heap.RATIO[JobManager], empty=unread),
        _CLUSTERS.shares("JobManager: heap that collection cannot free", heap.FLOOR[JobManager], empty=unread),
        _CLUSTERS.shares("JobManager: garbage collection", gc.RATIO[JobManager], empty=unread),
    ]
