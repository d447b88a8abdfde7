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
    """Where Flink registers a metric."""

    JOBMANAGER = "jobmanager"
    TASKMANAGER = "taskmanager"
    JOB = "job"
    TASK = "task"
    OPERATOR = "operator"


class Raw(NamedTuple):
    """One of Flink's own metrics: its scope and its name as REST spells it, dots included."""

    scope: Scope
    name: str


class Part(Enum):
    """A reply of REST beyond the overview that a signal may need, and the attribute of `Job` that it fills."""

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
    """`interval` is None where periodic checkpoints are off."""

    interval: float | None
    timeout: float
    tolerable_failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vertex:
    """A job vertex (published as a task).

    inputs: ids of the vertices that it reads from; empty for a source.
    outputs: ids of the vertices that read from it.
    epoch: when its job last became RUNNING; counters began anew then.
    read_at: when its columns were read. operators: columns by operator name.
    """

    id: str
    name: str
    parallelism: int
    running: bool
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    epoch: float | None = None
    read_at: float = 0.0
    readings: Mapping[Raw, Column] = field(default_factory=dict)
    operators: Mapping[str, Mapping[Raw, Column]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job. One that has ended has no vertices, no checkpoints and no readings.

    now: the JobManager's clock when the job was read, which all its durations are measured by.
    epoch: when it last became RUNNING; None while it is not running.
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

    metrics_age: how old the JobManager's own metric store was when it was read.
    """

    name: str
    state: ClusterState
    taken_at: float
    version: str | None = None
    commit: str | None = None
    slots: int | None = None
    slots_free: int | None = None
    metrics_age: float | None = None
    jobmanager: JobManager | None = None
    taskmanagers: tuple[TaskManager, ...] | None = None
    jobs: tuple[Job, ...] | None = None
