"""What jobs are there, and what does REST say of each? Static parts are asked once, a failure costs itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from exporter.flink import strategies
from exporter.flink.errors import FlinkError, NotFound
from exporter.flink.replies import JobLine, VertexLine
from exporter.flink.rest import Rest
from exporter.model import (
    TERMINAL,
    Checkpoints,
    CheckpointSettings,
    Failures,
    Job,
    Part,
    RestartStrategy,
    TaskManager,
    Vertex,
)

T = TypeVar("T")

# States of a job whose own configuration is not there yet: of each Flink says that the cluster's default holds.
_NOT_THERE_YET = ("INITIALIZING", "CREATED")

# The state of a job that has no JobMaster yet: asked for its checkpoints, Flink answers with status 500.
_NO_JOBMASTER = "INITIALIZING"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of the cluster is needed to understand its jobs."""

    taskmanagers: Sequence[TaskManager]
    configuration: Mapping[str, str] | None
    version: str | None


class Jobs:
    """Reads the structure of jobs, and those parts that are needed. errors: what failed since it was last emptied."""

    def __init__(self, rest: Rest, parts: Collection[Part], clock: Callable[[], float]) -> None:
        self._rest = rest
        self._parts = frozenset(parts)
        self._clock = clock
        # What does not change while a job lives, or until it restarts, by what it belongs to.
        self._static: dict[tuple[Hashable, ...], Any] = {}
        self.errors: list[FlinkError] = []

    async def read(
        self, lines: Sequence[JobLine], around: Surroundings, on_demand: Collection[tuple[str, Part]]
    ) -> list[Job]:
        """All jobs, without readings."""
        jobs = await asyncio.gather(*(self._job(line, around, on_demand) for line in lines))
        alive = {(job.id, began) for job in jobs for began in (job.started_at, job.epoch)}
        self._static = {key: value for key, value in self._static.items() if key[:2] in alive}
        return jobs

    async def _job(self, line: JobLine, around: Surroundings, on_demand: Collection[tuple[str, Part]]) -> Job:
        job = Job(id=line.id, name=line.name, state=line.state, started_at=line.started_at, now=self._clock())
        if line.state in TERMINAL:
            return await self._ended(job)
        detail = await self.or_nothing(self._rest.job(line.id))
        if detail is None:
            return job
        if detail.state in TERMINAL:
            return await self._ended(replace(job, state=detail.state))
        # What restarts a job where nobody chose depends on whether it has checkpoints.
        needs_settings = self._parts & {Part.CHECKPOINT_SETTINGS, Part.RESTART_STRATEGY}
        settings = await self.or_nothing(self._settings(line)) if needs_settings else None
        checkpoints, failures, strategy, vertices = await asyncio.gather(
            self._part(Part.CHECKPOINTS, self._checkpoints(line, detail.state)),
            self._part(Part.FAILURES, self._rest.failures(line.id)),
            self._part(Part.RESTART_STRATEGY, self._strategy(line, detail.state, settings, around)),
            asyncio.gather(*(self._vertex(line.id, vertex, detail.epoch, around) for vertex in detail.vertices)),
        )
        job = replace(
            job,
            state=detail.state,
            now=detail.now,
            epoch=detail.epoch,
            vertices=tuple(vertices),
            failures=failures,
            restart_strategy=strategy,
            checkpoints=checkpoints,
            checkpoint_settings=settings,
        )
        if (line.id, Part.CHECKPOINT_PHASES) in on_demand:
            job = replace(job, checkpoint_phases=await self.or_nothing(self._phases(job)))
        return job

    async def _ended(self, job: Job) -> Job:
        """A job that has ended; one that has failed with what brought it down, which is asked once."""
        if job.state != "FAILED":
            return job
        key = (job.id, job.started_at, Part.FAILURES)
        ask = self._once(key, lambda: self._failures_until_the_end(job.id))
        return replace(job, failures=await self._part(Part.FAILURES, ask))

    async def _failures_until_the_end(self, job: str) -> Failures:
        # Flink answers from a copy of the job that it renews every few seconds: one from before the end lacks the last.
        if (await self._rest.job(job)).state != "FAILED":
            raise NotFound(f"job {job} has failed, and Flink does not tell of its last failure yet")
        return await self._rest.failures(job)

    async def _vertex(self, job: str, line: VertexLine, epoch: float | None, around: Surroundings) -> Vertex:
        hosts = await self._part(Part.HOSTS, self._hosts(job, line.id, epoch)) if line.running else None
        return Vertex(
            id=line.id,
            name=line.name,
            parallelism=line.parallelism,
            running=line.running,
            complete=line.complete,
            waiting=line.waiting,
            finished=line.finished,
            inputs=line.inputs,
            outputs=line.outputs,
            epoch=epoch,
            hosts=tuple(tm for tm in around.taskmanagers if tm.id in (hosts or ())),
        )

    async def _part(self, part: Part, ask: Coroutine[Any, Any, T]) -> T | None:
        if part not in self._parts:
            ask.close()
            return None
        return await self.or_nothing(ask)

    async def or_nothing(self, ask: Coroutine[Any, Any, T]) -> T | None:
        """The answer, or None: one failure costs itself. A thing that is gone or was never there is no failure."""
        try:
            return await ask
        except NotFound:
            return None
        except FlinkError as error:
            self.errors.append(error)
            return None

    async def _checkpoints(self, line: JobLine, state: str) -> Checkpoints | None:
        return None if state == _NO_JOBMASTER else await self._rest.checkpoints(line.id)

    # Static parts

    async def _once(self, key: tuple[Hashable, ...], ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if key not in self._static:
            self._static[key] = await ask()
        found: T = self._static[key]
        return found

    async def _settings(self, line: JobLine) -> CheckpointSettings:
        key = (line.id, line.started_at, Part.CHECKPOINT_SETTINGS)
        return await self._once(key, lambda: self._rest.checkpoint_settings(line.id))

    async def _hosts(self, job: str, vertex: str, epoch: float | None) -> frozenset[str]:
        return await self._once((job, epoch, Part.HOSTS, vertex), lambda: self._rest.hosts(job, vertex))

    async def _strategy(
        self, line: JobLine, state: str, settings: CheckpointSettings | None, around: Surroundings
    ) -> RestartStrategy | None:
        key = (line.id, line.started_at, Part.RESTART_STRATEGY)
        if key not in self._static and state in _NOT_THERE_YET:
            return None
        prose = await self._once(key, lambda: self._rest.restart_prose(line.id))
        if around.configuration is None:
            return None
        checkpointing = None if settings is None else settings.interval is not None
        return strategies.strategy(prose, around.configuration, version=around.version, checkpointing=checkpointing)

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


def running_vertices(jobs: Iterable[Job]) -> list[tuple[Job, Vertex]]:
    """The vertices that run, each with its job."""
    return [(job, vertex) for job in jobs for vertex in job.vertices if vertex.running]
