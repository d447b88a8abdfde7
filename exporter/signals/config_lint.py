"""Config lint: what in the configuration of a job or its cluster will hurt one day?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from exporter.families import Family, Sample
from exporter.history import Past
from exporter.model import Cluster, Job, Part, Raw, Scope, TaskManager
from exporter.signals._taskmanagers import replaced
from exporter.signals.base import Signal

HEAP_MAX = Raw(Scope.TASKMANAGER, "Status.JVM.Memory.Heap.Max")

# Fewer restarts than these are used up by one bad night.
_FEW_ATTEMPTS = 3
# State on the heap beyond this share of it leaves too little for the work.
_LARGE_STATE = 0.3
_ON_THE_HEAP = ("hashmap", "memory", "fsstatebackend")
# Flink's ways to say that something is not done at all: `0`, `0 ms`, `PT0S`, and -1 where it is a plain number.
_NEVER = re.compile(r"(pt)?0+\s*[a-zµ]*|-\d+", re.IGNORECASE)

ISSUE = Family(
    name="flink_health_job_config_issue",
    help="What in the configuration of the job, or of its cluster, will hurt one day.",
    formula="1 for each that holds: no_restart_strategy; few_restart_attempts (fixed-delay, 3 or fewer); "
    "checkpointing_disabled; checkpoints_not_retained (on cancellation); heap_state_large (state on the heap, over 0.3 "
    "of its TaskManagers' heap); no_loss_tolerance (a lost TaskManager's tasks find no slots, and the JobManager "
    "starts no other by itself); latency_tracking_costly (per subtask); reporter_missing (no Prometheus reporter); "
    "metric_fetcher_disabled (no metrics over REST)",
    labels=("check",),
)


def derive(cluster: Cluster, past: Past, now: float) -> Iterator[Sample]:
    everywhere = list(_of_cluster(cluster))
    for job in cluster.jobs or ():
        if not job.terminal:
            for check in (*_of_job(job), *everywhere):
                yield ISSUE.sample(1, of=job, check=check)


def _of_job(job: Job) -> Iterator[str]:
    strategy, settings = job.restart_strategy, job.checkpoint_settings
    if strategy is not None and strategy.kind == "none":
        yield "no_restart_strategy"
    attempts = strategy.attempts if strategy is not None and strategy.kind == "fixed-delay" else None
    if attempts is not None and attempts <= _FEW_ATTEMPTS:
        yield "few_restart_attempts"
    if settings is None:
        return
    if settings.interval is None:
        yield "checkpointing_disabled"
    elif settings.retained is False:
        yield "checkpoints_not_retained"
    if settings.backend is not None and settings.backend.lower().startswith(_ON_THE_HEAP) and _state_is_large(job):
        yield "heap_state_large"


def _state_is_large(job: Job) -> bool:
    """Whether the last checkpoint's state is too large for the TaskManagers that hold it, all of which were read."""
    hosts = {host.id: host for vertex in job.vertices for host in vertex.hosts}
    heaps = [host.readings.get(HEAP_MAX) for host in hosts.values()]
    known = [heap for heap in heaps if heap is not None]
    history = job.checkpoints.history if job.checkpoints else ()
    states = [entry.state_bytes for entry in history if entry.state_bytes is not None and not entry.savepoint]
    return bool(states and known) and len(known) == len(heaps) and states[-1] > _LARGE_STATE * sum(known)


def _of_cluster(cluster: Cluster) -> Iterator[str]:
    if cluster.taskmanagers and not replaced(cluster.configuration) and not _survives_a_loss(cluster.taskmanagers):
        yield "no_loss_tolerance"
    if cluster.has_reporter is False:
        yield "reporter_missing"
    configuration = cluster.configuration or {}
    tracking = not _NEVER.fullmatch(configuration.get("metrics.latency.interval", "0").strip())
    if tracking and configuration.get("metrics.latency.granularity", "").strip().lower() == "subtask":
        yield "latency_tracking_costly"
    if _NEVER.fullmatch(configuration.get("metrics.fetcher.update-interval", "").strip()):
        yield "metric_fetcher_disabled"


def _survives_a_loss(taskmanagers: tuple[TaskManager, ...]) -> bool:
    """Whether the tasks of the fullest TaskManager would find slots on the others."""
    fullest = max(taskmanagers, key=lambda tm: (tm.slots - tm.slots_free, tm.slots_free))
    free = sum(tm.slots_free for tm in taskmanagers if tm is not fullest)
    return fullest.slots - fullest.slots_free <= free


SIGNAL = Signal(
    name="config_lint",
    each=(Cluster,),
    families=(ISSUE,),
    needs=(
        HEAP_MAX,
        Part.RESTART_STRATEGY,
        Part.CHECKPOINT_SETTINGS,
        Part.CHECKPOINTS,
        Part.CONFIGURATION,
        Part.HOSTS,
    ),
    derive=derive,
)
