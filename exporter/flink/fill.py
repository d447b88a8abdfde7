"""What did the reporters leave unread, and what does REST say of it?

REST reads from the JobManager's own metric store. What a reporter told of a subtask is not asked again; a metric that
no reporter has at all is asked of REST, and if REST has it neither, ever more seldom until a restart. Never for good:
a task's metrics come into the store one by one, and a look may find some of them only.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from exporter.flink.errors import FlinkError, NotFound
from exporter.flink.readings import Address, Cells, operators_by_vertex, plain, reading
from exporter.flink.rest import Rest
from exporter.model import Job, Raw, Scope, TaskManager, Vertex

_PARTITION = re.compile(
    r"\d+\.(?P<operator>.+)\.KafkaSourceReader\.topic\.(?P<topic>.+)\.partition\.(?P<partition>\d+)\.(?P<metric>\w+)"
)
# `latency.source_id.<id>.operator_id.<id>.operator_subtask_index.<index>.latency_p99`: its subtask, and what varies.
_SUBTASK = re.compile(r"operator_subtask_index\.(\d+)\.")
_VARIABLE = re.compile(r"(?<=_id)\.\w+|(?<=_index)\.\w+")

# How long it is believed what metrics there are: at first, and at most; each new answer twice as long as the last.
_BELIEVED = 5.0
_NAMES_BELIEVED_AT_MOST = 60.0
_ABSENCE_BELIEVED_AT_MOST = 600.0


class _Names(NamedTuple):
    """A list of metric names, when it was asked for, for how long it is believed, and the epoch that it is true for."""

    epoch: float | None
    asked_at: float
    lasts: float
    names: tuple[str, ...]


class _Absence(NamedTuple):
    """That a metric is nowhere: when it was asked for, for how long that is believed, and the epoch it is true for."""

    epoch: float | None
    asked_at: float
    lasts: float


class Filler:
    """Fills the gaps in one cluster's cells, cycle after cycle, remembering what does not exist."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._raws: dict[Scope, list[Raw]] = {}
        # By job and vertex: what is nowhere, and what there is.
        self._absent: dict[tuple[str, str, Raw], _Absence] = {}
        self._names: dict[tuple[str, str, str], _Names] = {}

    async def fill(
        self,
        cells: Cells,
        jobs: Sequence[Job],
        taskmanagers: Sequence[TaskManager],
        read: frozenset[str],
        raws: Iterable[Raw],
    ) -> list[FlinkError]:
        """Adds to `cells` what they lack of `raws`. read: plain ids of the TaskManagers whose reporters answered."""
        self._raws = {scope: [] for scope in Scope}
        for raw in raws:
            self._raws[raw.scope].append(raw)
        self._forget_all_but(jobs)
        operators = operators_by_vertex(cells)
        asks: list[Coroutine[Any, Any, None]] = [self._jobmanager(cells)]
        asks += [self._taskmanager(cells, tm.id) for tm in taskmanagers if plain(tm.id) not in read]
        for job in jobs:
            asks.append(self._job(cells, job.id))
            asks += [
                self._vertex(cells, job.id, vertex, operators.get((job.id, vertex.id), frozenset()))
                for vertex in job.vertices
                if vertex.running
            ]
        results = await asyncio.gather(*asks, return_exceptions=True)
        errors = []
        for result in results:
            if isinstance(result, FlinkError):
                errors.append(result)
            elif isinstance(result, BaseException):
                raise result
        # A job, a vertex or a TaskManager may leave between two requests: that is no failure.
        return [error for error in errors if not isinstance(error, NotFound)]

    def _forget_all_but(self, jobs: Sequence[Job]) -> None:
        epochs = {(job.id, vertex.id): vertex.epoch for job in jobs for vertex in job.vertices}
        self._absent = {key: known for key, known in self._absent.items() if epochs.get(key[:2], -1.0) == known.epoch}
        self._names = {key: known for key, known in self._names.items() if epochs.get(key[:2], -1.0) == known.epoch}

    async def _jobmanager(self, cells: Cells) -> None:
        raws = self._raws[Scope.JOBMANAGER]
        if raws:
            _put(cells, raws, (), await self._rest.jobmanager_metrics(raw.name for raw in raws))

    async def _taskmanager(self, cells: Cells, tm: str) -> None:
        raws = self._raws[Scope.TASKMANAGER]
        if raws:
            _put(cells, raws, (plain(tm),), await self._rest.taskmanager_metrics(tm, (raw.name for raw in raws)))

    async def _job(self, cells: Cells, job: str) -> None:
        raws = self._raws[Scope.JOB]
        if raws:
            _put(cells, raws, (job,), await self._rest.job_metrics(job, (raw.name for raw in raws)))

    async def _vertex(self, cells: Cells, job: str, vertex: Vertex, operators: frozenset[str]) -> None:
        """Asks for single subtasks: one NaN would lose an aggregate, and the hottest subtask is not in it."""
        scopes = (Scope.TASK, Scope.OPERATOR, Scope.PARTITION, Scope.LATENCY)
        known = [raw for scope in scopes for raw in self._raws[scope]]
        now = time.monotonic()
        raws = [raw for raw in known if not self._is_absent((job, vertex.id, raw), now)]
        told = {raw: _told(cells, raw, job, vertex.id, operators) for raw in raws}
        covered = set().union(*told.values())
        wanted: dict[str, tuple[Address, int]] = {}
        for raw in raws:
            # Of an operator's metrics, of which most operators lack most, the reporter is believed to tell all.
            read = covered if told[raw] or raw.scope is not Scope.TASK else frozenset()
            missing = [index for index in range(vertex.parallelism) if index not in read]
            if missing:
                wanted |= await self._names_of(raw, job, vertex, missing)
        values = await self._rest.subtask_metrics(job, vertex.id, wanted) if wanted else {}
        answered = set()
        for name, (address, index) in wanted.items():
            value = reading(address.raw, values[name]) if name in values else None
            if value is not None:
                found = cells.setdefault(address, {})
                shared = address.raw.scope is Scope.LATENCY
                found[index] = max(value, found.get(index, value)) if shared else value
                answered.add(address.raw)
        # An empty answer says nothing: the store may just have been emptied. One that lacks a metric only, does.
        if values or covered:
            for raw in raws:
                if raw.scope is Scope.TASK and not told[raw] and raw not in answered:
                    self._take_for_absent((job, vertex.id, raw), vertex.epoch, now)

    def _is_absent(self, key: tuple[str, str, Raw], now: float) -> bool:
        known = self._absent.get(key)
        return known is not None and now - known.asked_at <= known.lasts

    def _take_for_absent(self, key: tuple[str, str, Raw], epoch: float | None, now: float) -> None:
        known = self._absent.get(key)
        lasts = min(_ABSENCE_BELIEVED_AT_MOST, 2 * known.lasts) if known else _BELIEVED
        self._absent[key] = _Absence(epoch, now, lasts)

    async def _names_of(
        self, raw: Raw, job: str, vertex: Vertex, subtasks: Sequence[int]
    ) -> dict[str, tuple[Address, int]]:
        """What REST calls a metric of these subtasks, and where each reading goes."""
        here = (job, vertex.id)
        if raw.scope is Scope.TASK:
            return {f"{index}.{raw.name}": (Address(raw, here), index) for index in subtasks}
        if raw.scope is Scope.PARTITION:
            return await self._partitions(raw, job, vertex)
        names = await self._known((*here, ""), vertex, lambda: self._rest.subtask_metric_names(job, vertex.id))
        if raw.scope is Scope.LATENCY:
            return {
                f"{index}.{name}": (Address(raw, here), index)
                for name in names
                if _VARIABLE.sub("", name) == f"latency.{raw.name}"
                for index in map(int, _SUBTASK.findall(name))
                if index in subtasks
            }
        # REST gives the names of operators without dots: what has one belongs to a group of an operator's metrics.
        found = [name.removesuffix("." + raw.name) for name in names if name.endswith("." + raw.name)]
        operators = [name for name in found if "." not in name]
        return {
            f"{index}.{operator}.{raw.name}": (Address(raw, (*here, plain(operator))), index)
            for operator in operators
            for index in subtasks
        }

    async def _partitions(self, raw: Raw, job: str, vertex: Vertex) -> dict[str, tuple[Address, int]]:
        """Which subtask has which partition is told by the long list of names only: asked where there are any."""
        here = (job, vertex.id)
        names = await self._known((*here, ""), vertex, lambda: self._rest.subtask_metric_names(job, vertex.id))
        if not any(_PARTITION.fullmatch("0." + name) for name in names):
            return {}
        names = await self._known((*here, "all"), vertex, lambda: self._rest.vertex_metric_names(job, vertex.id))
        found = [_PARTITION.fullmatch(name) for name in names]
        return {
            match[0]: (
                Address(raw, (*here, plain(match["operator"]), f"{plain(match['topic'])}-{match['partition']}")),
                0,
            )
            for match in found
            if match and match["metric"] == raw.name
        }

    async def _known(
        self, key: tuple[str, str, str], vertex: Vertex, ask: Callable[[], Coroutine[Any, Any, tuple[str, ...]]]
    ) -> tuple[str, ...]:
        """Names that there are, asked now and then: a source has some of them from its first record on only."""
        known = self._names.get(key)
        now = time.monotonic()
        if known is None or now - known.asked_at > known.lasts:
            lasts = min(_NAMES_BELIEVED_AT_MOST, 2 * known.lasts) if known else _BELIEVED
            self._names[key] = known = _Names(vertex.epoch, now, lasts, await ask())
        return known.names


def _told(cells: Cells, raw: Raw, job: str, vertex: str, operators: Iterable[str]) -> set[int]:
    """Which subtasks have been read, of any operator."""
    owners: list[tuple[str, ...]] = [(job, vertex)]
    if raw.scope is not Scope.TASK:
        owners = [(job, vertex, operator) for operator in operators]
    return {index for owner in owners for index in cells.get(Address(raw, owner), ())}


def _put(cells: Cells, raws: Iterable[Raw], owner: tuple[str, ...], values: Mapping[str, float]) -> None:
    for raw in raws:
        value = reading(raw, values[raw.name]) if raw.name in values else None
        if value is not None:
            cells[Address(raw, owner)] = {0: value}
