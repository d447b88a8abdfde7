"""What a cluster looked like at one moment: frozen, and the same whether REST or the reporter told it.

Units: times are seconds since the epoch, durations seconds, sizes bytes. What was not read is None, is missing
from `readings`, or is NaN inside a column. A watermark of `-inf` means "none yet", one of `+inf` "the input has
ended"; no other sentinel of Flink's gets this far.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import NamedTuple, TypeAlias

# One value a subtask, indexed by subtask; typecode "d".
Column: TypeAlias = "array[float]"


class Scope(StrEnum):
    """Where Flink registers a metric.

    `partition` is that of a topic, inside a Kafka source's operator; `latency` is inside a task, where each pair of
    operators that latency markers pass between has histograms of its own: of all these a reading is the greatest.
    """

    JOBMANAGER = "jobmanager"
    TASKMANAGER = "taskmanager"
    JOB = "job"
    TASK = "task"
    OPERATOR = "operator"
    PARTITION = "partition"
    LATENCY = "latency"


class Raw(NamedTuple):
    """One of Flink's own metrics: its scope and its name as REST spells it, dots included."""

    scope: Scope
    name: str


class Part(Enum):
    """A reply of REST beyond the overview that a signal may need, and the attribute of the model that it fills."""

    CONFIGURATION = "configuration"
    FAILURES = "failures"
    RESTART_STRATEGY = "restart_strategy"
    HOSTS = "hosts"
    CHECKPOINTS = "checkpoints"
    CHECKPOINT_SETTINGS = "checkpoint_settings"
    CHECKPOINT_PHASES = "checkpoint_phases"


class ClusterState(StrEnum):
    """Whether the cluster answered, and if not, how it failed to."""

    UP = "up"
    LEADER_ELECTION = "leader_election"
    UNAUTHORIZED = "unauthorized"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    INVALID = "invalid"


# States that a job never leaves.
TERMINAL = frozenset({"FINISHED", "CANCELED", "FAILED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One entry of a job's checkpoint history. `status` is Flink's: COMPLETED, FAILED or IN_PROGRESS."""

    id: int
    status: str
    savepoint: bool
    triggered_at: float
    duration: float | None = None
    failed_at: float | None = None
    failure: str | None = None
    written_bytes: float | None = None
    state_bytes: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """What Flink says of a job's checkpoints: its short history, oldest first, and its counts since it began."""

    history: tuple[Checkpoint, ...]
    completed: int
    failed: int
    median_duration: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSettings:
    """`interval` is None where periodic checkpoints are off.

    retained: whether the last checkpoint outlives a cancelled job. backend: the state backend's class, as Flink says.
    """

    interval: float | None
    timeout: float
    tolerable_failures: int
    retained: bool | None = None
    backend: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One root failure in a job's exception history.

    name: the class of the outermost exception. trace: the stack trace, causes included. task: None where no single
    task failed. labels: what Flink's failure enrichers say of it.
    """

    at: float
    name: str
    trace: str
    task: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """A job's exception history, oldest first. truncated: whether Flink kept no more than that."""

    entries: tuple[Failure, ...]
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartStrategy:
    """How a job is restarted, with the cluster's default resolved.

    kind: `exponential-delay, failure-rate, fixed-delay, none`.
    attempts: of fixed-delay, the restarts there are in all; of failure-rate, the failures allowed an interval; of
    exponential-delay, the failures allowed before the backoff resets. None: without end.
    delay: before a restart; of exponential-delay, before the first. Durations in seconds.
    configured: whether someone chose it.
    """

    kind: str
    attempts: int | None = None
    interval: float | None = None
    delay: float = 0.0
    longest_delay: float | None = None
    multiplier: float | None = None
    reset_after: float | None = None
    configured: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source operator of a vertex that runs.

    task: the readings of its vertex. partitions: readings of the partitions of a Kafka source, by name.
    """

    name: str
    epoch: float | None
    read_at: float
    readings: Mapping[Raw, Column] = field(default_factory=dict)
    task: Mapping[Raw, Column] = field(default_factory=dict)
    partitions: Mapping[str, Mapping[Raw, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vertex:
    """A job vertex (published as a task).

    running: whether it runs, in part at least. complete: whether all of its subtasks run or have finished.
    waiting: whether one of its subtasks waits for a slot. finished: how many of them have finished.
    inputs: ids of the vertices that it reads from; empty for a source.
    outputs: ids of the vertices that read from it.
    epoch: when its job last became RUNNING; counters began anew then.
    read_at: when its columns were read. operators: columns by operator name. sources: those of its operators that read
    from outside. hosts: the TaskManagers that it runs on.
    """

    id: str
    name: str
    parallelism: int
    running: bool
    complete: bool
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    waiting: bool = False
    finished: int = 0
    epoch: float | None = None
    read_at: float = 0.0
    readings: Mapping[Raw, Column] = field(default_factory=dict)
    operators: Mapping[str, Mapping[Raw, Column]] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    hosts: tuple[TaskManager, ...] = ()

    @property
    def works_by_sending(self) -> bool:
        """Whether what it sends is its work: a source's. One that is chained to its sink sends nothing on."""
        return not self.inputs and bool(self.outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job. One that has ended has no vertices, no checkpoints and no readings; only one that has FAILED has failures.

    now: the JobManager's clock when the job was read, which all its durations are measured by.
    epoch: when it last became RUNNING; None while it is not running.
    counted_at: when its readings were taken, by that clock; None where nothing tells.
    checkpoint_phases: seconds by phase (`start_delay, alignment, sync, async`) of the vertex that took longest in
    the checkpoint that is judged, by vertex; read only when a signal asked for it.
    """

    id: str
    name: str
    state: str
    started_at: float
    now: float
    epoch: float | None = None
    vertices: tuple[Vertex, ...] = ()
    readings: Mapping[Raw, float] = field(default_factory=dict)
    counted_at: float | None = None
    failures: Failures | None = None
    restart_strategy: RestartStrategy | None = None
    checkpoints: Checkpoints | None = None
    checkpoint_settings: CheckpointSettings | None = None
    checkpoint_phases: Mapping[str, Mapping[str, float]] | None = None

    @property
    def terminal(self) -> bool:
        """Whether the job has ended for good."""
        return self.state in TERMINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskManager:
    """A TaskManager as the JobManager has it registered."""

    id: str
    host: str
    slots: int
    slots_free: int
    heartbeat_at: float | None = None
    readings: Mapping[Raw, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobManager:
    """The JobManager that answered."""

    readings: Mapping[Raw, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One cluster at `taken_at` (the exporter's clock). A cluster that did not answer has a state and nothing else.

    metrics_age: how old the JobManager's own metric store was when it was read. configuration: the JobManager's.
    has_reporter: whether that names a Prometheus reporter.
    """

    name: str
    state: ClusterState
    taken_at: float
    version: str | None = None
    commit: str | None = None
    slots: int | None = None
    slots_free: int | None = None
    metrics_age: float | None = None
    configuration: Mapping[str, str] | None = None
    has_reporter: bool | None = None
    jobmanager: JobManager | None = None
    taskmanagers: tuple[TaskManager, ...] | None = None
    jobs: tuple[Job, ...] | None = None
