"""Signals over one cluster: calls each with each of its entities, isolates them, and says whose samples are whose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from exporter.families import FamilyError, Row, shown
from exporter.history import History, Past
from exporter.model import Cluster, ClusterState, Part
from exporter.signals.base import Signal

_JOBMANAGER = ("jobmanager",)


class Entity(NamedTuple):
    """A thing that signals are asked about. identity: the values of its families' identity labels."""

    value: Any
    key: Hashable
    identity: tuple[str, ...]
    job: str | None = None


@dataclass(frozen=True, slots=True)
class Derived:
    """What all signals say of one snapshot. failures: by the names of the signals that raised, which say nothing.

    on_demand: parts to be read in the next scrape, by job.
    """

    rows: tuple[Row, ...]
    failures: dict[str, Exception] = field(default_factory=dict)
    on_demand: frozenset[tuple[str, Part]] = frozenset()


def entities(cluster: Cluster) -> Iterator[Entity]:
    """Everything in a snapshot that a signal may be about."""
    here = (cluster.name,)
    yield Entity(cluster, ("cluster",), here)
    if cluster.jobmanager is not None:
        yield Entity(cluster.jobmanager, _JOBMANAGER, here)
    for tm in cluster.taskmanagers or ():
        yield Entity(tm, ("taskmanager", tm.id), (*here, tm.id, tm.host))
    for job in cluster.jobs or ():
        of_job = (*here, job.id, shown(job.name))
        yield Entity(job, ("job", job.id), of_job, job.id)
        for vertex in job.vertices:
            of_vertex = (*of_job, vertex.id, shown(vertex.name))
            yield Entity(vertex, ("vertex", job.id, vertex.id), of_vertex, job.id)
            for source in vertex.sources:
                key = ("source", job.id, vertex.id, source.name)
                yield Entity(source, key, (*of_vertex, shown(source.name)), job.id)


def derive(cluster: Cluster, signals: Sequence[Signal], history: History, now: float) -> Derived:
    """The rows of all signals. A signal that raises loses its own rows and nothing else."""
    present = list(entities(cluster))
    if cluster.state is ClusterState.UP:
        history.keep_only({entity.key for entity in present} | _of_unread_jobs(cluster, history))
    else:
        # What it ran may still run when it answers again; its JobManager may be another process by then.
        history.forget(_JOBMANAGER)
    identities = {id(entity.value): entity.identity for entity in present}
    rows: list[Row] = []
    failures: dict[str, Exception] = {}
    on_demand: set[tuple[str, Part]] = set()
    for signal in signals:
        try:
            mine, wanted = _ask(signal, present, identities, history, now)
        except Exception as error:  # whatever a signal does wrong is its own loss, and is told
            failures[signal.name] = error
        else:
            rows += mine
            on_demand |= wanted
    return Derived(tuple(rows), failures, frozenset(on_demand))


def _of_unread_jobs(cluster: Cluster, history: History) -> set[Hashable]:
    """What is remembered of jobs that run and could not be read this once."""
    unread = {job.id for job in cluster.jobs or () if not job.terminal and not job.vertices}
    return {key for key in history if isinstance(key, tuple) and len(key) > 1 and key[1] in unread}


def _ask(
    signal: Signal, present: Sequence[Entity], identities: Mapping[int, tuple[str, ...]], history: History, now: float
) -> tuple[list[Row], set[tuple[str, Part]]]:
    rows: list[Row] = []
    wanted: set[tuple[str, Part]] = set()
    declared = {family.name for family in signal.families}  # a string is told apart faster than a family
    for entity in present:
        if not isinstance(entity.value, signal.each):
            continue
        past = history.past(entity.key)
        for track, point in list(signal.remember(entity.value, past, now)):
            history.note(entity.key, track, point)
        rows += _rows(signal, entity, declared, identities, past, now)
        if entity.job is not None:
            wanted |= {(entity.job, part) for part, asks in signal.on_demand.items() if asks(entity.value, past, now)}
    return rows + _rolled_up(signal, rows), wanted


def _rows(
    signal: Signal,
    entity: Entity,
    declared: set[str],
    identities: Mapping[int, tuple[str, ...]],
    past: Past,
    now: float,
) -> Iterator[Row]:
    for family, value, labels, of in signal.derive(entity.value, past, now):
        if family.name not in declared:
            raise FamilyError(f"{signal.name} does not declare {family.name}")
        yield Row(family, (entity.identity if of is None else identities[id(of)]) + labels, value)


def _rolled_up(signal: Signal, rows: Sequence[Row]) -> list[Row]:
    """The job's rows of a signal that are taken from its tasks' rows."""
    rolled = []
    for family, of, by in signal.rollups:
        values: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for row in rows:
            if row.family is of:
                values[row.labels[:3]].append(row.value)  # cluster, job_id, job_name
        rolled += [Row(family, job, by(found)) for job, found in values.items()]
    return rolled
