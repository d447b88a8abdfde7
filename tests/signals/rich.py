"""A cluster that has whatever any signal asks for, and tells which of it a signal looks at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from exporter.model import (
    CheckpointSettings,
    Cluster,
    ClusterState,
    Failure,
    Failures,
    Job,
    JobManager,
    Part,
    Raw,
    RestartStrategy,
    Scope,
    Source,
    TaskManager,
    Vertex,
)
from exporter.signals import SIGNALS
from tests.signals.build import Entry, column, completed, failed, job, vertex

Touched = set[Raw | Part]
Entity = TypeVar("Entity", Job, Vertex, Cluster)

# All that is read for any signal; and one of each scope that nobody needs.
RAWS = {need for signal in SIGNALS for need in signal.needs if isinstance(need, Raw)}
RAWS |= {Raw(scope, "nobodyNeedsThis") for scope in Scope}


def rich(now: float, touched: Touched, *, says: bool = True) -> Cluster:
    """The cluster at a time: uneven, busy, slow, and getting slower. Where it says nothing, all columns are NaN."""

    def columns(*scopes: Scope) -> Mapping[Raw, Any]:
        both = {raw: (_column(raw, now) if says else [float("nan")] * 2) for raw in RAWS if raw.scope in scopes}
        return _spied({raw: column(values) for raw, values in both.items()}, touched)

    def scalars(scope: Scope) -> Mapping[Raw, Any]:
        return _spied({raw: 0.5 for raw in RAWS if raw.scope is scope and says}, touched)

    tm = TaskManager(
        id="tm-1", host="host-1", slots=2, slots_free=1, heartbeat_at=now, readings=scalars(Scope.TASKMANAGER)
    )
    source = Source(
        name="orders",
        epoch=0.0,
        read_at=now,
        readings=columns(Scope.OPERATOR),
        task=columns(Scope.TASK),
        partitions={"orders-0": scalars(Scope.PARTITION)},
    )
    works = {
        "readings": columns(Scope.TASK, Scope.LATENCY),
        "operators": {"orders": columns(Scope.OPERATOR)},
        "hosts": (tm,),
        "parallelism": 2,
        "read_at": now,
    }
    tasks = (
        _telling(vertex(id="source", source=True), touched, **works, sources=(source,)),
        _telling(vertex(id="middle"), touched, **works),
        _telling(vertex(id="sink", outputs=()), touched, **works),
    )
    entries: list[Entry | float] = [completed(10, written=1, state=number) for number in range(6)]
    sick = job(checkpoints=[*entries, failed(), completed(90, written=1, state=9)], phases={"sink": {"sync": 1.0}})
    return _telling(
        Cluster(name="prod", state=ClusterState.UP, taken_at=now),
        touched,
        version="2.3.0",
        commit="abc",
        slots=2,
        slots_free=1,
        metrics_age=3.0,
        configuration={},
        has_reporter=False,
        jobmanager=JobManager(readings=scalars(Scope.JOBMANAGER)),
        taskmanagers=(tm,),
        jobs=(
            _telling(
                sick,
                touched,
                now=now,
                vertices=tasks,
                readings=scalars(Scope.JOB),
                failures=Failures(entries=(Failure(at=now - 1, name="java.lang.Error", trace=""),), truncated=False),
                restart_strategy=RestartStrategy(kind="fixed-delay", attempts=3),
                checkpoint_settings=CheckpointSettings(
                    interval=60.0, timeout=600.0, tolerable_failures=0, retained=False, backend="HashMapStateBackend"
                ),
            ),
        ),
    )


def _column(raw: Raw, now: float) -> list[float]:
    """Counters grow, on the first subtask twice as fast; a lag falls; nobody waits for those after them."""
    if raw.name == "pendingRecords":
        return [100_000 - 20 * now, 100_000 - 20 * now]
    if raw.name == "accumulateBackPressuredTimeMs":
        return [now, now]
    return [1000 * now, 500 * now]


def _spied(readings: Mapping[Raw, Any], touched: Touched) -> Mapping[Raw, Any]:
    """The same readings, telling which of them are looked at. To look at all of them is no way to need some."""

    class Spied(Mapping[Raw, Any]):
        def __getitem__(self, raw: Raw) -> Any:
            touched.add(raw)
            return readings[raw]

        def __contains__(self, raw: object) -> bool:
            assert isinstance(raw, Raw)
            touched.add(raw)
            return raw in readings

        def __iter__(self) -> Iterator[Raw]:
            raise AssertionError("a signal looks at every reading there is")

        def __len__(self) -> int:
            raise AssertionError("a signal looks at every reading there is")

    return Spied()


def _telling(entity: Entity, touched: Touched, **different: Any) -> Entity:
    """The same entity but for what is different, telling which of its parts are looked at."""
    parts = {part.value: part for part in Part}
    base: type[Entity] = type(entity)

    class Telling(base):  # type: ignore[valid-type,misc]
        def __getattribute__(self, name: str) -> Any:
            if name in parts:
                touched.add(parts[name])
            return super().__getattribute__(name)

    values = {field.name: getattr(entity, field.name) for field in fields(entity)}
    telling: Entity = Telling(**values | different)
    return telling
