"""Cluster: does it answer, what is it, and what does it hold?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from exporter.families import Family, Kind, Sample
from exporter.history import Past
from exporter.model import Cluster, ClusterState
from exporter.signals.base import Signal

UP = Family(
    name="flink_health_cluster_up",
    help="Whether Flink's REST API answered in the last cycle.",
    formula="1 or 0; always present for a configured cluster",
)
STATE = Family(
    name="flink_health_cluster_state",
    help="How the cluster answered in the last cycle.",
    formula=f"1 for the present one of {', '.join(ClusterState)}",
    labels=("state",),
)
INFO = Family(
    name="flink_health_cluster_info",
    help="Version of Flink.",
    formula="1",
    labels=("flink_version", "flink_commit"),
    kind=Kind.INFO,
)
TASKMANAGERS = Family(
    name="flink_health_cluster_taskmanagers",
    help="TaskManagers that are registered.",
    formula="as in `/taskmanagers`",
)
SLOTS = Family(
    name="flink_health_cluster_slots",
    help="Task slots of all registered TaskManagers.",
    formula="slots-total of `/overview`",
)
SLOTS_FREE = Family(
    name="flink_health_cluster_slots_free",
    help="Task slots that no task uses.",
    formula="slots-available of `/overview`",
)
JOBS = Family(
    name="flink_health_cluster_jobs",
    help="Jobs in each state that has one.",
    formula="jobs of `/jobs/overview` by state",
    labels=("state",),
)
SNAPSHOT = Family(
    name="flink_health_cluster_snapshot_timestamp_seconds",
    help="When what is published was read from Flink.",
    formula="the exporter's clock at the end of the last reading; absent unless the cluster is up",
)
METRICS_AGE = Family(
    name="flink_health_cluster_rest_metrics_age_seconds",
    help="How old the JobManager's own metric store was when it was read.",
    formula="when it was read, less `end-timestamp` of a running task's `/backpressure`; absent without a running task",
)


def derive(cluster: Cluster, past: Past, now: float) -> Iterator[Sample]:
    yield UP.sample(cluster.state is ClusterState.UP)
    yield STATE.sample(1, state=cluster.state)
    if cluster.state is ClusterState.UP:
        yield SNAPSHOT.sample(cluster.taken_at)
    if cluster.version is not None:
        yield INFO.sample(1, flink_version=cluster.version, flink_commit=cluster.commit or "")
    if cluster.taskmanagers is not None:
        yield TASKMANAGERS.sample(len(cluster.taskmanagers))
    if cluster.slots is not None:
        yield SLOTS.sample(cluster.slots)
    if cluster.slots_free is not None:
        yield SLOTS_FREE.sample(cluster.slots_free)
    for state, jobs in sorted(Counter(job.state for job in cluster.jobs or ()).items()):
        yield JOBS.sample(jobs, state=state)
    if cluster.metrics_age is not None:
        yield METRICS_AGE.sample(cluster.metrics_age)


SIGNAL = Signal(
    name="cluster",
    each=(Cluster,),
    families=(UP, STATE, INFO, TASKMANAGERS, SLOTS, SLOTS_FREE, JOBS, SNAPSHOT, METRICS_AGE),
    needs=(),
    derive=derive,
)
