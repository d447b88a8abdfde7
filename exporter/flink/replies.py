"""What REST replies mean: JSON of any supported version to values of the model. Pure.

Only what is needed is looked at and the rest tolerated, since field names come and go between versions. Each function
raises Malformed where a reply is not the one expected. Milliseconds become seconds here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from exporter.model import Checkpoint, Checkpoints, CheckpointSettings, Failure, Failures, TaskManager

# Flink's Long.MAX_VALUE as the interval says that periodic checkpoints are off.
_NO_INTERVAL_MS = 9.2e18

T = TypeVar("T")


class Malformed(ValueError):
    """A reply that is JSON, but not what this endpoint of Flink gives."""


def _strict(parse: Callable[[Any], T]) -> Callable[[Any], T]:
    """Whatever goes wrong in looking something up in a reply is the reply's fault."""

    @wraps(parse)
    def guarded(reply: Any) -> T:
        try:
            return parse(reply)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
            what = parse.__name__.replace("_", " ")
            raise Malformed(f"expected Flink's {what}, got {_shape(reply)} ({type(error).__name__}: {error})") from None

    return guarded


def _shape(reply: Any) -> str:
    if isinstance(reply, dict):
        keys = ", ".join(str(key) for key in list(reply)[:4])
        return f"an object with {keys}" if keys else "an empty object"
    return f"a {type(reply).__name__}"


def number(value: Any) -> float | None:
    """A number of Flink's, which may come as a string; None where it says `"NaN"`, nothing, or no number at all."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _seconds(milliseconds: Any) -> float | None:
    """Milliseconds in seconds; None for Flink's -1 and for no number."""
    found = number(milliseconds)
    return None if found is None or found < 0 else found / 1000


@dataclass(frozen=True, slots=True)
class Overview:
    """`/overview`."""

    version: str | None
    commit: str | None
    slots: int
    slots_free: int


@dataclass(frozen=True, slots=True)
class JobLine:
    """One job in `/jobs/overview`."""

    id: str
    name: str
    state: str
    started_at: float


@dataclass(frozen=True, slots=True)
class VertexLine:
    """One vertex in `/jobs/:id`, with its place in the plan."""

    id: str
    name: str
    parallelism: int
    running: bool
    complete: bool
    waiting: bool
    finished: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JobDetail:
    """`/jobs/:id`. now: the JobManager's clock. epoch: its last entry into RUNNING, if it runs."""

    now: float
    epoch: float | None
    state: str
    vertices: tuple[VertexLine, ...]


@_strict
def overview(reply: Any) -> Overview:
    """`/overview`"""
    return Overview(
        version=reply.get("flink-version"),
        commit=reply.get("flink-commit"),
        slots=int(reply["slots-total"]),
        slots_free=int(reply["slots-available"]),
    )


@_strict
def jobs(reply: Any) -> tuple[JobLine, ...]:
    """`/jobs/overview`"""
    return tuple(
        JobLine(id=job["jid"], name=job["name"], state=job["state"], started_at=job["start-time"] / 1000)
        for job in reply["jobs"]
    )


@_strict
def taskmanagers(reply: Any) -> tuple[TaskManager, ...]:
    """`/taskmanagers`"""
    return tuple(
        TaskManager(
            id=tm["id"],
            host=_host(tm["path"]),
            slots=int(tm["slotsNumber"]),
            slots_free=int(tm["freeSlots"]),
            # An epoch in spite of its name.
            heartbeat_at=_seconds(tm.get("timeSinceLastHeartbeat")),
        )
        for tm in reply["taskmanagers"]
    )


def _host(path: str) -> str:
    """The host in `pekko.tcp://flink@host:port/user/…`, brackets of an IPv6 address kept off."""
    address = path.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return address.rpartition(":")[0].strip("[]")


@_strict
def job_detail(reply: Any) -> JobDetail:
    """`/jobs/:id`"""
    state = reply["state"]
    inputs = _inputs(reply.get("plan"))
    return JobDetail(
        now=reply["now"] / 1000,
        epoch=_seconds(reply["timestamps"].get("RUNNING")) if state == "RUNNING" else None,
        state=state,
        vertices=tuple(
            VertexLine(
                id=vertex["id"],
                name=vertex["name"],
                parallelism=int(vertex["parallelism"]),
                running=vertex["status"] == "RUNNING",
                complete=_complete(vertex),
                # One that is being deployed has its slot; one that is CREATED is not to begin yet.
                waiting=int(vertex["tasks"].get("SCHEDULED", 0)) > 0,
                finished=int(vertex["tasks"]["FINISHED"]),
                inputs=inputs.get(vertex["id"], ()),
                outputs=tuple(other for other, ids in inputs.items() if vertex["id"] in ids),
            )
            for vertex in reply["vertices"]
        ),
    )


def _complete(vertex: Mapping[str, Any]) -> bool:
    """Whether all subtasks run or have finished. The status does not tell: one that runs makes it RUNNING."""
    subtasks = vertex["tasks"]
    return int(subtasks["RUNNING"]) + int(subtasks["FINISHED"]) == int(vertex["parallelism"])


def _inputs(plan: Any) -> dict[str, tuple[str, ...]]:
    """The ids of each vertex's inputs, by its id."""
    if isinstance(plan, str):  # 1.17 gives the plan's Java rendering: RawJson{json='…'}
        plan = json.loads(plan[plan.index("{", plan.index("json=")) : plan.rindex("'")])
    return {
        node["id"]: tuple(source["id"] for source in node.get("inputs") or ()) for node in (plan or {}).get("nodes", ())
    }


@_strict
def checkpoints(reply: Any) -> Checkpoints:
    """`/jobs/:id/checkpoints`"""
    counts = reply["counts"]
    median = (reply.get("summary") or {}).get("end_to_end_duration", {}).get("p50")
    return Checkpoints(
        # Flink gives the newest first; while a checkpoint is being triggered an entry may be null.
        history=tuple(_checkpoint(entry) for entry in reversed(reply["history"]) if entry is not None),
        completed=int(counts["completed"]),
        failed=int(counts["failed"]),
        median_duration=_seconds(median),
    )


def _checkpoint(entry: Mapping[str, Any]) -> Checkpoint:
    completed = entry["status"] == "COMPLETED"
    return Checkpoint(
        id=int(entry["id"]),
        status=entry["status"],
        savepoint=bool(entry["is_savepoint"]),
        triggered_at=entry["trigger_timestamp"] / 1000,
        duration=_seconds(entry.get("end_to_end_duration")) if completed else None,
        failed_at=_seconds(entry.get("failure_timestamp")),
        failure=entry.get("failure_message"),
        written_bytes=number(entry.get("checkpointed_size", entry.get("state_size"))) if completed else None,
        state_bytes=number(entry.get("state_size")) if completed else None,
    )


@_strict
def checkpoint_settings(reply: Any) -> CheckpointSettings:
    """`/jobs/:id/checkpoints/config`"""
    interval = reply["interval"]
    return CheckpointSettings(
        interval=None if interval >= _NO_INTERVAL_MS else interval / 1000,
        timeout=reply["timeout"] / 1000,
        tolerable_failures=int(reply.get("tolerable_failed_checkpoints", 0)),
        retained=_retained(reply.get("externalization") or {}),
        backend=reply.get("state_backend"),
    )


def _retained(externalization: Mapping[str, Any]) -> bool | None:
    if "enabled" not in externalization:
        return None
    return bool(externalization["enabled"]) and not externalization.get("delete_on_cancellation", False)


# No trace is needed to its last frame, and an exception's message may be a whole record.
_LONGEST_TRACE = 32_768


@_strict
def failures(reply: Any) -> Failures:
    """`/jobs/:id/exceptions`"""
    history = reply.get("exceptionHistory") or {}
    # Flink gives the newest first.
    return Failures(
        entries=tuple(_failure(entry) for entry in reversed(history.get("entries") or ())),
        truncated=bool(history.get("truncated", False)),
    )


def _failure(entry: Mapping[str, Any]) -> Failure:
    return Failure(
        at=entry["timestamp"] / 1000,
        name=entry["exceptionName"],
        trace=(entry.get("stacktrace") or "")[:_LONGEST_TRACE],
        task=entry.get("taskName"),
        labels=dict(entry.get("failureLabels") or {}),
    )


@_strict
def restart_prose(reply: Any) -> str | None:
    """`/jobs/:id/config`: what Flink says of the restart strategy"""
    return (reply.get("execution-config") or {}).get("restart-strategy")


@_strict
def hosts(reply: Any) -> frozenset[str]:
    """`/jobs/:id/vertices/:vertex/taskmanagers`: ids of the TaskManagers"""
    return frozenset(tm["taskmanager-id"] for tm in reply["taskmanagers"] if tm.get("taskmanager-id"))


@_strict
def slowest_vertex(reply: Any) -> str | None:
    """`/jobs/:id/checkpoints/details/:checkpoint`: the vertex whose part took longest"""
    tasks = reply.get("tasks") or {}
    lasted = {vertex: number(task.get("end_to_end_duration")) or 0.0 for vertex, task in tasks.items()}
    return max(lasted, key=lasted.__getitem__) if lasted else None


@_strict
def phases(reply: Any) -> dict[str, float]:
    """`…/subtasks/:vertex`: the longest of each phase over the subtasks, in seconds"""
    summary = reply["summary"]
    found = {
        "start_delay": summary.get("start_delay"),
        "alignment": (summary.get("alignment") or {}).get("duration"),
        "sync": (summary.get("checkpoint_duration") or {}).get("sync"),
        "async": (summary.get("checkpoint_duration") or {}).get("async"),
    }
    seconds = {phase: _seconds((figures or {}).get("max")) for phase, figures in found.items()}
    return {phase: value for phase, value in seconds.items() if value is not None}


@_strict
def metrics(reply: Any) -> dict[str, float]:
    """Any `…/metrics?get=`: values by id, those that are no number left out"""
    values = {entry["id"]: number(entry.get("value")) for entry in reply}
    return {name: value for name, value in values.items() if value is not None}


@_strict
def metric_names(reply: Any) -> tuple[str, ...]:
    """Any `…/metrics` without `get`: the ids there are"""
    return tuple(entry["id"] for entry in reply)


@_strict
def store_refreshed_at(reply: Any) -> float | None:
    """`…/backpressure`: when the JobManager's metric store was refreshed, by its clock; None for an idle vertex"""
    return _seconds(reply.get("end-timestamp"))


@_strict
def configuration(reply: Any) -> dict[str, str]:
    """`/jobmanager/config`"""
    return {entry["key"]: str(entry["value"]) for entry in reply}


def chunked(names: Iterable[str], most: int) -> list[list[str]]:
    """Names in groups whose joined length stays within `most` characters."""
    groups: list[list[str]] = []
    length = 0
    for name in names:
        if not groups or length + len(name) + 1 > most:
            groups.append([])
            length = 0
        groups[-1].append(name)
        length += len(name) + 1
    return groups
