"""One look at one cluster: structure by REST, values by the reporters or by REST, all of it one frozen Cluster."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from exporter.flink.endpoints import Endpoints, Gathered, reporter_ports
from exporter.flink.errors import FlinkError
from exporter.flink.fill import Filler
from exporter.flink.jobs import Jobs, Surroundings, running_vertices
from exporter.flink.readings import Address, Cells, column, operators_by_vertex, partitions_by_operator, plain, scalars
from exporter.flink.reporter import IN_TASKMANAGERS
from exporter.flink.rest import Rest
from exporter.flink.wildcards import Wildcards
from exporter.model import (
    Cluster,
    ClusterState,
    Column,
    Job,
    JobManager,
    Part,
    Raw,
    Scope,
    Source,
    TaskManager,
    Vertex,
)

# How long the JobManager gets to refresh its metric store after it was asked to.
_REFRESH = 1.0

# How long its configuration is believed.
_CONFIGURATION_LASTS = 300.0

# How the names of source operators begin to Flink, and made plain.
_SOURCE, _PLAIN_SOURCE = "Source:", "Source_"


@dataclass(frozen=True, slots=True)
class Scrape:
    """A snapshot, what failed on the way to it, and how many TaskManagers were read through their reporters."""

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
        self._jobs = Jobs(rest, self._parts, clock)
        self._wildcards = Wildcards(rest, self._raws)
        self._filler = Filler(rest)
        self._configuration: tuple[float, Mapping[str, str]] | None = None

    async def scrape(self, on_demand: Collection[tuple[str, Part]] = ()) -> Scrape:
        """Never raises FlinkError: a cluster that does not answer is a Cluster with a state and nothing else.

        on_demand: parts that are read this once, by job.
        """
        self._jobs.errors = []
        began = self._clock()
        try:
            overview, lines, taskmanagers, _ = await _together(
                self._rest.overview(),
                self._rest.jobs(),
                self._rest.taskmanagers(),
                self._jobs.or_nothing(self._rest.prime()),
            )
        except FlinkError as error:
            self._configuration = None
            return Scrape(Cluster(name=self._name, state=error.state, taken_at=began), (error,))
        primed = self._clock()
        configuration = await self._read_configuration()
        around = Surroundings(taskmanagers, configuration, overview.version)
        raws = await self._jobs.or_nothing(self._wildcards.expanded(taskmanagers)) or self._wildcards.plain_raws
        jobs, gathered = await _together(
            self._jobs.read(lines, around, on_demand), self._from_reporters(taskmanagers, configuration, raws)
        )
        reporters_read_at = self._clock()
        cells = gathered.cells
        await asyncio.sleep(max(0.0, primed + self._refresh - self._clock()))
        alive = [job for job in jobs if not job.terminal]
        errors = await self._filler.fill(cells, alive, taskmanagers, gathered.read, raws)
        self._wildcards.join(cells, taskmanagers)
        refreshed_at, counted_at = await self._store_refreshed_at(alive)
        now = self._clock()
        read_at = now if refreshed_at is None else min(now, refreshed_at)
        tms = {
            tm.id: replace(tm, readings=self._scalars(cells, Scope.TASKMANAGER, plain(tm.id))) for tm in taskmanagers
        }
        cluster = Cluster(
            name=self._name,
            state=ClusterState.UP,
            taken_at=now,
            version=overview.version,
            commit=overview.commit,
            slots=overview.slots,
            slots_free=overview.slots_free,
            metrics_age=None if refreshed_at is None else max(0.0, now - refreshed_at),
            configuration=configuration,
            has_reporter=None if configuration is None else reporter_ports(configuration) is not None,
            jobmanager=JobManager(readings=self._scalars(cells, Scope.JOBMANAGER)),
            taskmanagers=tuple(tms.values()),
            jobs=self._with_readings(jobs, cells, tms, reporters_read_at if gathered.read else read_at, counted_at),
        )
        failed = (*self._jobs.errors, *errors, *gathered.errors)
        return Scrape(cluster, failed, gathered.bad_lines, len(gathered.read))

    async def _read_configuration(self) -> Mapping[str, str] | None:
        """Asked seldom; the last answer stands while there is no newer one."""
        for_reporters = self._endpoints is not None and self._ports is None
        if not for_reporters and not self._parts & {Part.CONFIGURATION, Part.RESTART_STRATEGY}:
            return None
        now = self._clock()
        if self._configuration is None or now - self._configuration[0] > _CONFIGURATION_LASTS:
            answer = await self._jobs.or_nothing(self._rest.configuration())
            if answer is not None:
                self._configuration = (now, answer)
        return self._configuration[1] if self._configuration else None

    async def _from_reporters(
        self, taskmanagers: Sequence[TaskManager], configuration: Mapping[str, str] | None, raws: Sequence[Raw]
    ) -> Gathered:
        if self._endpoints is None or not any(raw.scope in IN_TASKMANAGERS for raw in raws):
            return Gathered()
        ports = self._ports if self._ports is not None else reporter_ports(configuration or {})
        return await self._endpoints.read(taskmanagers, ports or (), raws, self._clock())

    async def _store_refreshed_at(self, jobs: Sequence[Job]) -> tuple[float, float] | tuple[None, None]:
        """When the JobManager's metric store was refreshed, by the exporter's clock and by its own, if that is told."""
        running = running_vertices(jobs)
        if not running:
            return None, None
        job, vertex = min(running, key=lambda candidate: candidate[1].parallelism)
        asked = self._clock()
        detail, refreshed = await _together(
            self._jobs.or_nothing(self._rest.job(job.id)),
            self._jobs.or_nothing(self._rest.store_refreshed_at(job.id, vertex.id)),
        )
        if detail is None or refreshed is None:
            return None, None
        return refreshed + asked - detail.now, refreshed

    # Assembly

    def _of(self, scope: Scope) -> list[Raw]:
        return [raw for raw in self._raws if raw.scope is scope]

    def _scalars(self, cells: Cells, scope: Scope, *owner: str) -> dict[Raw, float]:
        return scalars(cells, self._of(scope), owner)

    def _with_readings(
        self,
        jobs: Iterable[Job],
        cells: Cells,
        tms: Mapping[str, TaskManager],
        read_at: float,
        counted_at: float | None,
    ) -> tuple[Job, ...]:
        operators, offsets = operators_by_vertex(cells), partitions_by_operator(cells)

        def read(job: Job, vertex: Vertex) -> Vertex:
            owner, length = (job.id, vertex.id), vertex.parallelism
            columns = {
                name: self._columns(cells, Scope.OPERATOR, (*owner, name), length)
                for name in sorted(operators.get(owner, ()))
            }
            task = {
                raw: values
                for scope in (Scope.TASK, Scope.LATENCY)
                for raw, values in self._columns(cells, scope, owner, length).items()
            }
            return replace(
                vertex,
                read_at=read_at,
                readings=task,
                operators=columns,
                hosts=tuple(tms[host.id] for host in vertex.hosts),
                sources=tuple(
                    Source(
                        name=_SOURCE + name.removeprefix(_PLAIN_SOURCE),
                        epoch=vertex.epoch,
                        read_at=read_at,
                        readings=readings,
                        task=task,
                        partitions=offsets.get((*owner, name), {}),
                    )
                    for name, readings in columns.items()
                    if vertex.running and not vertex.inputs and name.startswith(_PLAIN_SOURCE)
                ),
            )

        return tuple(
            replace(
                job,
                readings=self._scalars(cells, Scope.JOB, job.id),
                counted_at=counted_at,
                vertices=tuple(read(job, vertex) for vertex in job.vertices),
            )
            for job in jobs
        )

    def _columns(self, cells: Cells, scope: Scope, owner: tuple[str, ...], length: int) -> dict[Raw, Column]:
        found = {raw: cells.get(Address(raw, owner)) for raw in self._of(scope)}
        return {raw: column(values, length) for raw, values in found.items() if values}


async def _together(*asks: Coroutine[Any, Any, Any]) -> Any:
    """Several answers at once. The first failure is raised after all have ended, so that none is left running."""
    results = await asyncio.gather(*asks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
