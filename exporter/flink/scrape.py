"""One look at one cluster: structure by REST, values by the reporters or by REST, all of it one frozen Cluster."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from exporter.flink.endpoints import Endpoints, Gathered, reporter_ports
from exporter.flink.errors import FlinkError, NotFound
from exporter.flink.fill import Filler
from exporter.flink.readings import Address, Cells, column, operators_by_vertex, plain, scalars
from exporter.flink.replies import JobLine, VertexLine
from exporter.flink.rest import Rest
from exporter.model import (
    TERMINAL,
    CheckpointSettings,
    Cluster,
    ClusterState,
    Job,
    JobManager,
    Part,
    Raw,
    Scope,
    TaskManager,
    Vertex,
)

# How long the JobManager gets to refresh its metric store after it was asked to.
_REFRESH = 1.0

# How long its configuration is believed.
_CONFIGURATION_LASTS = 300.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scrape:
    """A snapshot and what could not be read for it. reporters: TaskManagers by `read, found, lost`."""

    cluster: Cluster
    errors: tuple[FlinkError, ...] = ()
    bad_lines: int = 0
    taskmanagers_by_reporter: int = 0


class Scraper:
    """Looks at one cluster, reading exactly what `needs` names.

    endpoints: None where the reporters are not to be used. ports: overrides what the JobManager's configuration says.
    """

    def __init__(
        self,
        name: str,
        rest: Rest,
        endpoints: Endpoints | None,
        needs: Collection[Raw | Part],
        *,
        ports: Sequence[int] | None = None,
        clock: Callable[[], float] = time.time,
        refresh: float = _REFRESH,
    ) -> None:
        self._name = name
        self._rest = rest
        self._endpoints = endpoints
        self._raws = tuple(need for need in needs if isinstance(need, Raw))
        self._parts = frozenset(need for need in needs if isinstance(need, Part))
        self._ports = ports
        self._clock = clock
        self._refresh = refresh
        self._filler = Filler(rest, self._raws)
        self._found_ports: tuple[float, Sequence[int]] | None = None
        self._settings: dict[tuple[str, float], CheckpointSettings] = {}
        self._errors: list[FlinkError] = []

    async def scrape(self, on_demand: Collection[tuple[str, Part]] = ()) -> Scrape:
        """Never raises FlinkError: a cluster that does not answer is a Cluster with a state and nothing else.

        on_demand: parts that are read this once, by job.
        """
        self._errors = []
        began = self._clock()
        try:
            overview, lines, taskmanagers, _ = await _together(
                self._rest.overview(), self._rest.jobs(), self._rest.taskmanagers(), self._rest.prime()
            )
        except FlinkError as error:
            self._found_ports = None
            return Scrape(Cluster(name=self._name, state=error.state, taken_at=began), (error,))
        primed = self._clock()
        alive = {(line.id, line.started_at) for line in lines}
        self._settings = {key: settings for key, settings in self._settings.items() if key in alive}
        jobs, gathered = await _together(
            _all(self._job(line, on_demand) for line in lines), self._from_reporters(taskmanagers)
        )
        reporters_read_at = self._clock()
        cells = gathered.cells
        await asyncio.sleep(max(0.0, primed + self._refresh - self._clock()))
        self._errors += await self._filler.fill(
            cells, [job for job in jobs if not job.terminal], taskmanagers, gathered.read
        )
        refreshed_at = await self._store_refreshed_at(jobs)
        now = self._clock()
        store_read_at = now if refreshed_at is None else min(now, refreshed_at)
        cluster = Cluster(
            name=self._name,
            state=ClusterState.UP,
            taken_at=now,
            version=overview.version,
            commit=overview.commit,
            slots=overview.slots,
            slots_free=overview.slots_free,
            metrics_age=None if refreshed_at is None else max(0.0, now - refreshed_at),
            jobmanager=JobManager(readings=scalars(cells, self._of(Scope.JOBMANAGER), ())),
            taskmanagers=tuple(
                replace(tm, readings=scalars(cells, self._of(Scope.TASKMANAGER), (plain(tm.id),)))
                for tm in taskmanagers
            ),
            jobs=self._with_readings(jobs, cells, reporters_read_at if gathered.read else store_read_at),
        )
        return Scrape(cluster, (*self._errors, *gathered.errors), gathered.bad_lines, len(gathered.read))

    # Structure

    async def _job(self, line: JobLine, on_demand: Collection[tuple[str, Part]]) -> Job:
        job = Job(id=line.id, name=line.name, state=line.state, started_at=line.started_at, now=self._clock())
        if line.state in TERMINAL:
            return job
        detail = await self._or_nothing(self._rest.job(line.id))
        if detail is None or detail.state in TERMINAL:
            return job if detail is None else replace(job, state=detail.state)
        checkpoints, settings = await _together(
            self._part(Part.CHECKPOINTS, self._rest.checkpoints(line.id)),
            self._part(Part.CHECKPOINT_SETTINGS, self._checkpoint_settings(line)),
        )
        job = replace(
            job,
            state=detail.state,
            now=detail.now,
            epoch=detail.epoch,
            vertices=tuple(_vertex(vertex, detail.epoch) for vertex in detail.vertices),
            checkpoints=checkpoints,
            checkpoint_settings=settings,
        )
        if (line.id, Part.CHECKPOINT_PHASES) in on_demand:
            job = replace(job, checkpoint_phases=await self._or_nothing(self._phases(job)))
        return job

    async def _part(self, part: Part, ask: Coroutine[Any, Any, T]) -> T | None:
        if part not in self._parts:
            ask.close()
            return None
        return await self._or_nothing(ask)

    async def _checkpoint_settings(self, line: JobLine) -> CheckpointSettings:
        """Asked once for as long as the job lives: they are part of it."""
        key = (line.id, line.started_at)
        if key not in self._settings:
            self._settings[key] = await self._rest.checkpoint_settings(line.id)
        return self._settings[key]

    async def _phases(self, job: Job) -> dict[str, dict[str, float]] | None:
        """How long each phase of the last completed checkpoint took in the vertex that took longest."""
        completed = [
            checkpoint
            for checkpoint in (job.checkpoints.history if job.checkpoints else ())
            if checkpoint.status == "COMPLETED" and not checkpoint.savepoint
        ]
        if not completed:
            return None
        vertex = await self._rest.slowest_vertex(job.id, completed[-1].id)
        return {vertex: await self._rest.phases(job.id, completed[-1].id, vertex)} if vertex else None

    async def _or_nothing(self, ask: Coroutine[Any, Any, T]) -> T | None:
        """The answer, or None: one failure costs itself. A thing that is gone or was never there is no failure."""
        try:
            return await ask
        except NotFound:
            return None
        except FlinkError as error:
            self._errors.append(error)
            return None

    # Values

    async def _from_reporters(self, taskmanagers: Sequence[TaskManager]) -> Gathered:
        if self._endpoints is None:
            return Gathered()
        return await self._endpoints.read(taskmanagers, await self._reporter_ports(), self._clock())

    async def _reporter_ports(self) -> Sequence[int]:
        if self._ports is not None:
            return self._ports
        now = self._clock()
        if self._found_ports is None or now - self._found_ports[0] > _CONFIGURATION_LASTS:
            configuration = await self._or_nothing(self._rest.configuration())
            if configuration is None:
                return self._found_ports[1] if self._found_ports else ()
            self._found_ports = (now, reporter_ports(configuration) or ())
        return self._found_ports[1]

    async def _store_refreshed_at(self, jobs: Sequence[Job]) -> float | None:
        """When the JobManager's metric store was refreshed, by the exporter's clock; None where nothing can tell."""
        running = [(vertex.parallelism, job, vertex) for job in jobs for vertex in job.vertices if vertex.running]
        if not running:
            return None
        _, job, vertex = min(running, key=lambda candidate: candidate[0])
        asked = self._clock()
        detail, refreshed = await _together(
            self._or_nothing(self._rest.job(job.id)),
            self._or_nothing(self._rest.store_refreshed_at(job.id, vertex.id)),
        )
        if detail is None or refreshed is None:
            return None
        by_our_clock: float = refreshed + asked - detail.now
        return by_our_clock

    def _of(self, scope: Scope) -> list[Raw]:
        return [raw for raw in self._raws if raw.scope is scope]

    def _with_readings(self, jobs: Iterable[Job], cells: Cells, read_at: float) -> tuple[Job, ...]:
        operators = operators_by_vertex(cells)
        return tuple(
            replace(
                job,
                readings=scalars(cells, self._of(Scope.JOB), (job.id,)),
                vertices=tuple(
                    replace(
                        vertex,
                        read_at=read_at,
                        readings=self._columns(cells, Scope.TASK, (job.id, vertex.id), vertex.parallelism),
                        operators={
                            operator: self._columns(
                                cells, Scope.OPERATOR, (job.id, vertex.id, operator), vertex.parallelism
                            )
                            for operator in sorted(operators.get((job.id, vertex.id), ()))
                        },
                    )
                    for vertex in job.vertices
                ),
            )
            for job in jobs
        )

    def _columns(self, cells: Cells, scope: Scope, owner: tuple[str, ...], length: int) -> dict[Raw, Any]:
        found = {raw: cells.get(Address(raw, owner)) for raw in self._of(scope)}
        return {raw: column(values, length) for raw, values in found.items() if values}


def _vertex(line: VertexLine, epoch: float | None) -> Vertex:
    return Vertex(
        id=line.id,
        name=line.name,
        parallelism=line.parallelism,
        running=line.running,
        inputs=line.inputs,
        outputs=line.outputs,
        epoch=epoch,
    )


async def _all(asks: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    return list(await asyncio.gather(*asks))


async def _together(*asks: Coroutine[Any, Any, Any]) -> Any:
    """Several answers at once. The first failure is raised after all have ended, so that none is left running."""
    results = await asyncio.gather(*asks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
