"""Metrics whose names Flink makes up as it goes: of `Status.JVM.GarbageCollector.*.Time` there is one a collector.

What there is, is learned once from a TaskManager and the JobManager; it is read metric by metric, and added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from exporter.flink.readings import Cells, plain, summed
from exporter.flink.rest import Rest
from exporter.model import Raw, Scope, TaskManager

# Where Flink adds up itself (from about 1.19), its sum has a name of its own, by which a signal asks for it.
_SUM = ".All."


class Wildcards:
    """Of the wanted metrics of a cluster, those with a `*` in their name, and what stands for them."""

    def __init__(self, rest: Rest, raws: Sequence[Raw]) -> None:
        self._rest = rest
        self.plain_raws = tuple(raw for raw in raws if "*" not in raw.name)
        self._wild = tuple(raw for raw in raws if "*" in raw.name)
        self._parts: dict[Raw, tuple[Raw, ...]] = {}

    async def expanded(self, taskmanagers: Sequence[TaskManager]) -> tuple[Raw, ...]:
        """The metrics to ask for. Raises FlinkError."""
        for raw in self._wild:
            if raw not in self._parts:
                names = await self._names(raw.scope, taskmanagers)
                if names:  # the first call of all is answered with nothing
                    self._parts[raw] = _parts(raw, names)
        return (*self.plain_raws, *(part for parts in self._parts.values() for part in parts))

    async def _names(self, scope: Scope, taskmanagers: Sequence[TaskManager]) -> tuple[str, ...]:
        if scope is Scope.JOBMANAGER:
            return await self._rest.jobmanager_metric_names()
        return await self._rest.taskmanager_metric_names(taskmanagers[0].id) if taskmanagers else ()

    def join(self, cells: Cells, taskmanagers: Iterable[TaskManager]) -> None:
        """Puts the sums into the cells."""
        owners: dict[Scope, list[tuple[str, ...]]] = {
            Scope.JOBMANAGER: [()],
            Scope.TASKMANAGER: [(plain(tm.id),) for tm in taskmanagers],
        }
        for raw, parts in self._parts.items():
            summed(cells, raw, parts, owners[raw.scope])


def _parts(raw: Raw, names: Iterable[str]) -> tuple[Raw, ...]:
    """What stands for a metric with a `*`; nothing where Flink has its sum."""
    matching = [name for name in names if fnmatchcase(name, raw.name)]
    if any(_SUM in name for name in matching):
        return ()
    return tuple(Raw(raw.scope, name) for name in matching)
