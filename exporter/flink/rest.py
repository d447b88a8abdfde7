"""Flink's REST API: which path answers which question? One method an endpoint; errors are FlinkErrors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import quote

from exporter.flink import replies
from exporter.flink.errors import Invalid
from exporter.flink.fetch import Gate
from exporter.model import Checkpoints, CheckpointSettings, Failures, TaskManager

# Flink's HTTP server refuses a request line of 4,096 bytes and more; the rest of the line needs its share.
_REQUEST_LINE = 4000

# One that every JobManager has, and cheap: asking for it sets the refresh of the metric store going.
_PRIMER = "numRegisteredTaskManagers"

T = TypeVar("T")


class Rest:
    """One JobManager's REST API. `base` may have a path of its own (ingress, YARN proxy, Knox) and keeps it."""

    def __init__(self, gate: Gate, base: str) -> None:
        self._gate = gate
        self._base = base.rstrip("/")

    async def _ask(self, path: str, parse: Callable[[Any], T]) -> T:
        reply = await self._gate.json(self._base + path)
        try:
            return parse(reply)
        except replies.Malformed as error:
            raise Invalid(f"{self._base}{path}: {error}") from None

    async def overview(self) -> replies.Overview:
        return await self._ask("/overview", replies.overview)

    async def jobs(self) -> tuple[replies.JobLine, ...]:
        return await self._ask("/jobs/overview", replies.jobs)

    async def taskmanagers(self) -> tuple[TaskManager, ...]:
        return await self._ask("/taskmanagers", replies.taskmanagers)

    async def configuration(self) -> dict[str, str]:
        return await self._ask("/jobmanager/config", replies.configuration)

    async def job(self, job: str) -> replies.JobDetail:
        return await self._ask(f"/jobs/{job}", replies.job_detail)

    async def checkpoints(self, job: str) -> Checkpoints:
        return await self._ask(f"/jobs/{job}/checkpoints", replies.checkpoints)

    async def checkpoint_settings(self, job: str) -> CheckpointSettings:
        return await self._ask(f"/jobs/{job}/checkpoints/config", replies.checkpoint_settings)

    async def failures(self, job: str) -> Failures:
        return await self._ask(f"/jobs/{job}/exceptions", replies.failures)

    async def restart_prose(self, job: str) -> str | None:
        return await self._ask(f"/jobs/{job}/config", replies.restart_prose)

    async def hosts(self, job: str, vertex: str) -> frozenset[str]:
        return await self._ask(f"/jobs/{job}/vertices/{vertex}/taskmanagers", replies.hosts)

    async def slowest_vertex(self, job: str, checkpoint: int) -> str | None:
        return await self._ask(f"/jobs/{job}/checkpoints/details/{checkpoint}", replies.slowest_vertex)

    async def phases(self, job: str, checkpoint: int, vertex: str) -> dict[str, float]:
        return await self._ask(f"/jobs/{job}/checkpoints/details/{checkpoint}/subtasks/{vertex}", replies.phases)

    async def store_refreshed_at(self, job: str, vertex: str) -> float | None:
        return await self._ask(f"/jobs/{job}/vertices/{vertex}/backpressure", replies.store_refreshed_at)

    async def prime(self) -> None:
        """Has the JobManager refresh its metric store, which it does only when asked, and after it answered."""
        await self._ask(f"/jobmanager/metrics?get={_PRIMER}", replies.metrics)

    async def jobmanager_metric_names(self) -> tuple[str, ...]:
        return await self._ask("/jobmanager/metrics", replies.metric_names)

    async def taskmanager_metric_names(self, taskmanager: str) -> tuple[str, ...]:
        return await self._ask(f"/taskmanagers/{quote(taskmanager, safe='')}/metrics", replies.metric_names)

    async def vertex_metric_names(self, job: str, vertex: str) -> tuple[str, ...]:
        """The metrics of a vertex, with subtask: `0.Source__orders.numRecordsOut`. A long reply."""
        return await self._ask(f"/jobs/{job}/vertices/{vertex}/metrics", replies.metric_names)

    async def subtask_metric_names(self, job: str, vertex: str) -> tuple[str, ...]:
        """The metrics of a vertex, without subtask: `Source__orders.numRecordsOut`, `numRecordsIn`."""
        return await self._ask(f"/jobs/{job}/vertices/{vertex}/subtasks/metrics", replies.metric_names)

    async def jobmanager_metrics(self, names: Iterable[str]) -> dict[str, float]:
        return await self._metrics("/jobmanager", names)

    async def taskmanager_metrics(self, taskmanager: str, names: Iterable[str]) -> dict[str, float]:
        return await self._metrics(f"/taskmanagers/{quote(taskmanager, safe='')}", names)

    async def job_metrics(self, job: str, names: Iterable[str]) -> dict[str, float]:
        return await self._metrics(f"/jobs/{job}", names)

    async def subtask_metrics(self, job: str, vertex: str, names: Iterable[str]) -> dict[str, float]:
        """Names are `<subtask>.<metric>`, or `<subtask>.<operator>.<metric>`."""
        return await self._metrics(f"/jobs/{job}/vertices/{vertex}", names)

    async def _metrics(self, of: str, names: Iterable[str]) -> dict[str, float]:
        """As many requests as the names need; ids that Flink does not know are not in its answer."""
        path = f"{of}/metrics?get="
        groups = replies.chunked((quote(name, safe="") for name in names), _REQUEST_LINE - len(self._base + path))
        answers = await asyncio.gather(*(self._ask(path + ",".join(group), replies.metrics) for group in groups))
        return {name: value for answer in answers for name, value in answer.items()}
