"""TaskManagers: is the machinery that jobs run on well?"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from exporter.families import Family
from exporter.model import JobManager, TaskManager
from exporter.signals import cluster, gc, heap, resources, slots
from exporter.symptoms import verdict
from grafana import frame
from grafana.panels import About, Column, Panel, lines, number, rows, symptom_rows
from grafana.queries import Scope

SCOPE = Scope(frame.matchers(frame.CLUSTERS, frame.TASKMANAGER))
_HOST = "{{host}} {{tm_id}}"
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
    def total(title: str, family: Family, *symptoms: str, how: str = "sum", **about: str) -> Panel:
        expr = f"{how}({SCOPE.worst(family, 'cluster')})"
        shown = About(title=title, families=(family,), symptoms=symptoms, empty=about.get("empty", _DOWN))
        return number(shown, expr)

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
            About(
                title="Lost over the whole time",
                families=(slots.LOSSES,),
                empty=_DOWN,
            ),
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


def _share(title: str, family: Family, *symptoms: str, empty: str = _NONE, width: int = 8) -> Panel:
    about = About(title=title, families=(family,), symptoms=symptoms, unit="percentunit", empty=empty)
    return lines(about, {_HOST: SCOPE.worst(family, "tm_id", "host")}, width=width, most=1)


def _heap() -> list[Panel]:
    return [
        _share("Heap in use", heap.RATIO[TaskManager]),
        _share("Heap that collection cannot free", heap.FLOOR[TaskManager], "heap_high"),
        _share("Garbage collection", gc.RATIO[TaskManager], "gc_pressure"),
    ]


def _resources() -> list[Panel]:
    return [
        _share("Metaspace", resources.METASPACE, "metaspace_high", empty=f"{_NONE}, or the JVM has no maximum"),
        _share("Managed memory", resources.MANAGED, empty=f"{_NONE}, or there is no managed memory"),
        _share("Network memory", resources.NETWORK),
        _share("File descriptors", resources.FILES, empty=f"{_NONE}, or the system has no maximum"),
        _share("Processors", resources.CPU, empty=f"{_NONE}, or the JVM does not know"),
        lines(
            About(title="Age of the last heartbeat", families=(resources.HEARTBEAT_AGE,), unit="s", empty=_NONE),
            {_HOST: SCOPE.worst(resources.HEARTBEAT_AGE, "tm_id", "host")},
        ),
    ]


def _jobmanager() -> list[Panel]:
    def share(title: str, family: Family) -> Panel:
        about = About(title=title, families=(family,), unit="percentunit", empty="no JobManager could be read")
        return lines(about, {"{{cluster}}": SCOPE.worst(family, "cluster")}, most=1)

    return [
        share("JobManager: heap in use", heap.RATIO[JobManager]),
        share("JobManager: heap that collection cannot free", heap.FLOOR[JobManager]),
        share("JobManager: garbage collection", gc.RATIO[JobManager]),
    ]
