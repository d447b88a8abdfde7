"""Small words to say what was seen, so that a row of a test reads as a sentence. Times are seconds from nought."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from exporter.derive import Derived, derive
from exporter.families import IDENTITY, Row
from exporter.history import History
from exporter.model import (
    Checkpoint,
    Checkpoints,
    CheckpointSettings,
    Cluster,
    ClusterState,
    Column,
    Job,
    JobManager,
    Raw,
    Scope,
    TaskManager,
    Vertex,
)
from exporter.signals.base import Signal

# Written anew here: a signal that misspells one of Flink's names must not agree with its own test.
RECORDS_IN = Raw(Scope.TASK, "numRecordsIn")
RECORDS_OUT = Raw(Scope.TASK, "numRecordsOut")
BUSY_MS = Raw(Scope.TASK, "accumulateBusyTimeMs")
INPUT_WATERMARK = Raw(Scope.TASK, "currentInputWatermark")
OUTPUT_WATERMARK = Raw(Scope.OPERATOR, "currentOutputWatermark")

# One checkpoint a minute.
PERIOD = 60.0
SETTINGS = CheckpointSettings(interval=PERIOD, timeout=600.0, tolerable_failures=0)


def column(values: Iterable[float]) -> Column:
    """One value a subtask."""
    return array("d", values)


def vertex(
    *,
    records: Sequence[float] | None = None,
    sent: Sequence[float] | None = None,
    busy: Sequence[float] | None = None,
    watermarks: Sequence[float] | None = None,
    operators: Mapping[str, Sequence[float]] | None = None,
    source: bool = False,
    outputs: tuple[str, ...] = ("next",),
    at: float = 0.0,
    epoch: float | None = 0.0,
    parallelism: int | None = None,
    running: bool = True,
    complete: bool | None = None,
    waiting: bool = False,
    finished: int = 0,
    id: str = "task",
    name: str | None = None,
) -> Vertex:
    """A task in the middle of its job, or its source, with counters as they stand when it is read.

    records and sent: taken in and sent on. busy: milliseconds. operators: the output watermarks of its chain.
    """
    given = {RECORDS_IN: records, RECORDS_OUT: sent, BUSY_MS: busy, INPUT_WATERMARK: watermarks}
    chain = operators or {}
    columns = [values for values in (*given.values(), *chain.values()) if values is not None]
    return Vertex(
        id=id,
        name=name or f"the {id}",
        parallelism=parallelism or (len(columns[0]) if columns else 1),
        running=running,
        complete=running if complete is None else complete,
        waiting=waiting,
        finished=finished,
        inputs=() if source else ("previous",),
        outputs=outputs,
        epoch=epoch,
        read_at=at,
        readings={raw: column(values) for raw, values in given.items() if values is not None},
        operators={name: {OUTPUT_WATERMARK: column(values)} for name, values in chain.items()},
    )


class Entry(NamedTuple):
    """What becomes of one checkpoint. lasted: until it was completed, until it failed, or until now."""

    status: str
    lasted: float
    failure: str | None = None
    savepoint: bool = False
    written: float | None = None
    state: float | None = None


def completed(lasted: float, *, written: float | None = None, state: float | None = None) -> Entry:
    return Entry("COMPLETED", lasted, written=written, state=state)


def failed(why: str = "Checkpoint expired before completing.", *, after: float = 5.0) -> Entry:
    return Entry("FAILED", after, failure=why)


def in_progress(since: float) -> Entry:
    return Entry("IN_PROGRESS", since)


def savepoint(entry: Entry | float) -> Entry:
    return (entry if isinstance(entry, Entry) else completed(entry))._replace(savepoint=True)


def job(
    *,
    checkpoints: Sequence[Entry | float] | None = None,
    keeps: int = 10,
    unseen: int = 0,
    median: float | None = None,
    settings: CheckpointSettings | None = SETTINGS,
    phases: Mapping[str, Mapping[str, float]] | None = None,
    vertices: Sequence[Vertex] = (),
    state: str = "RUNNING",
    now: float | None = None,
    epoch: float | None = 0.0,
    started_at: float = 0.0,
    id: str = "job",
    name: str | None = None,
) -> Job:
    """A job and its checkpoints so far, oldest first; a plain number is a completed one that took so long.

    The nth has the id n and is triggered n minutes after the job began. Flink shows the last that it `keeps` and counts
    them all, and `unseen` failures besides. `now` is by default one minute after the last was triggered.
    """
    entries = [entry if isinstance(entry, Entry) else completed(entry) for entry in checkpoints or ()]
    if now is None:
        now = started_at + PERIOD * (len(entries) + 1)
    history = tuple(_checkpoint(number, entry, started_at, now) for number, entry in enumerate(entries, start=1))
    return Job(
        id=id,
        name=name or f"the {id}",
        state=state,
        started_at=started_at,
        now=now,
        epoch=epoch,
        vertices=tuple(vertices),
        checkpoints=None
        if checkpoints is None
        else Checkpoints(
            history=history[-keeps:],
            completed=sum(entry.status == "COMPLETED" for entry in entries),
            failed=sum(entry.status == "FAILED" for entry in entries) + unseen,
            median_duration=median,
        ),
        checkpoint_settings=settings,
        checkpoint_phases=phases,
    )


def _checkpoint(number: int, entry: Entry, started_at: float, now: float) -> Checkpoint:
    triggered_at = now - entry.lasted if entry.status == "IN_PROGRESS" else started_at + PERIOD * number
    return Checkpoint(
        id=number,
        status=entry.status,
        savepoint=entry.savepoint,
        triggered_at=triggered_at,
        duration=entry.lasted if entry.status == "COMPLETED" else None,
        failed_at=triggered_at + entry.lasted if entry.status == "FAILED" else None,
        failure=entry.failure,
        written_bytes=entry.written,
        state_bytes=entry.state,
    )


def taskmanager(*, used: float | None = None, most: float | None = None, id: str = "tm-1") -> TaskManager:
    """A TaskManager and its heap."""
    return TaskManager(id=id, host="host-1", slots=2, slots_free=1, readings=_heap(Scope.TASKMANAGER, used, most))


def jobmanager(*, used: float | None = None, most: float | None = None) -> JobManager:
    """A JobManager and its heap."""
    return JobManager(readings=_heap(Scope.JOBMANAGER, used, most))


def _heap(scope: Scope, used: float | None, most: float | None) -> dict[Raw, float]:
    heap = {"Used": used, "Max": most}
    return {Raw(scope, f"Status.JVM.Memory.Heap.{name}"): value for name, value in heap.items() if value is not None}


def cluster(*entities: Job | Vertex | TaskManager | JobManager, at: float = 0.0) -> Cluster:
    """A cluster that is up and holds these; a vertex is given a job of its own."""
    vertices = [entity for entity in entities if isinstance(entity, Vertex)]
    jobs = [entity for entity in entities if isinstance(entity, Job)]
    if vertices:
        jobs.append(job(vertices=vertices, now=at, epoch=vertices[0].epoch))
    return Cluster(
        name="prod",
        state=ClusterState.UP,
        taken_at=at,
        jobmanager=next((entity for entity in entities if isinstance(entity, JobManager)), None),
        taskmanagers=tuple(entity for entity in entities if isinstance(entity, TaskManager)),
        jobs=tuple(jobs),
    )


def down(state: ClusterState = ClusterState.UNREACHABLE, *, at: float = 0.0) -> Cluster:
    """The same cluster when it does not answer."""
    return Cluster(name="prod", state=state, taken_at=at)


# What was seen, and when.
Look = tuple[Cluster | Job | Vertex | TaskManager | JobManager, float]


def derived(signal: Signal, looks: Iterable[Look]) -> Derived:
    """What a signal says of the last look, having seen them all with one history, as in the program."""
    history = History()
    said = None
    for entity, now in looks:
        said = derive(entity if isinstance(entity, Cluster) else cluster(entity, at=now), (signal,), history, now)
        for failure in said.failures.values():
            raise failure
    assert said is not None, "nothing was looked at"
    return said


def run(signal: Signal, looks: Iterable[Look]) -> dict[str, float]:
    """The same by name and the labels beside the identity: `{"task_skew_ratio{records}": 4.0}`.

    Where a look holds several tasks, their names come first: `task_watermark_lag_seconds{orders}`.
    """
    return named(derived(signal, looks).rows)


def named(rows: Sequence[Row]) -> dict[str, float]:
    """Rows by their names and labels; two rows of one name and the same labels are a mistake."""
    tasks = {row.labels[3] for row in rows if row.family.entity == "task"}
    values = {_name(row, several=len(tasks) > 1): row.value for row in rows}
    assert len(values) == len(rows), "two rows with the same labels"
    return values


def _name(row: Row, *, several: bool) -> str:
    name = row.family.name.removeprefix("flink_health_")
    labels = row.labels[len(IDENTITY[row.family.entity]) :]
    if several and row.family.entity == "task":
        labels = (row.labels[3], *labels)
    return f"{name}{{{','.join(labels)}}}" if labels else name
