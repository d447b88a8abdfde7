"""Findings → causes before effects: what led to what, along the declared relations and the job's graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from exporter.families import Row
from exporter.model import Job
from exporter.symptoms.base import Severity
from exporter.symptoms.judge import Finding
from exporter.symptoms.wording import clause


@dataclass(frozen=True)
class Graph:
    """A job's tasks: what flows where, and what runs where."""

    job: Job

    @cached_property
    def _after(self) -> dict[str, set[str]]:
        """The tasks that a task's records reach, itself among them."""
        outputs = {vertex.id: vertex.outputs for vertex in self.job.vertices}
        reached: dict[str, set[str]] = {}
        for start in outputs:
            found, new = {start}, [start]
            while new:
                new = [task for last in new for task in outputs.get(last, ()) if task not in found]
                found.update(new)
            reached[start] = found
        return reached

    def reaches(self, one: str, other: str) -> bool:
        """Whether a task's records come to another."""
        return other in self._after.get(one, ())

    def on_one_path(self, one: str, other: str) -> bool:
        """Whether records pass both tasks."""
        return self.reaches(one, other) or self.reaches(other, one)

    def hosts(self, tasks: Iterable[str]) -> set[str]:
        """The TaskManagers that some tasks run on; of no task, those of the whole job."""
        wanted = set(tasks)
        return {tm.id for vertex in self.job.vertices if not wanted or vertex.id in wanted for tm in vertex.hosts}


def task_of(row: Row) -> str | None:
    """The id of the task that a sample is about; None where it is about none."""
    names = row.family.all_labels
    return row.labels[names.index("task_id")] if "task_id" in names else None


def tasks_of(finding: Finding) -> set[str]:
    """The ids of the tasks that a finding is about; empty where it is about none of them."""
    return {task for row in finding.evidence if (task := task_of(row)) is not None}


def first(finding: Finding, graph: Graph) -> Row:
    """The sample that stands for a finding: of what tasks pass on, that of the first task; else the worst."""
    if finding.symptom.downstream:
        ill = tasks_of(finding)
        for row in finding.evidence:
            task = task_of(row)
            if task is not None and not any(graph.reaches(other, task) for other in ill - {task}):
                return row
    return finding.evidence[0]


def explains(cause: Finding, effect: Finding, graph: Graph) -> bool:
    """Whether one finding is the cause of another: declared as one, and where it can have done that."""
    if cause.symptom.name not in effect.symptom.explained_by:
        return False
    if cause.symptom.entity == effect.symptom.entity and cause.entity != effect.entity:
        return False  # the heap of one TaskManager is no trouble of another's
    there, here = tasks_of(cause), tasks_of(effect)
    if cause.symptom.entity == "taskmanager" and effect.symptom.entity == "job":
        return cause.entity[1] in graph.hosts(here)
    if not there or not here:
        return True
    if cause.symptom.local:
        return not there.isdisjoint(here)
    return any(graph.on_one_path(one, other) for one in there for other in here)


@dataclass(frozen=True, slots=True)
class Explained:
    """A finding with the findings that caused it, directly."""

    finding: Finding
    because: tuple[Finding, ...] = ()


def explain(findings: Sequence[Finding], graph: Graph) -> tuple[Explained, ...]:
    """The findings with their causes, every cause before its effects; of equals the graver and the older first.

    Some relations go round: restarts fill the metaspace, and a full metaspace restarts the job. Of those in such a
    circle the oldest began it, and none of the others is its cause.
    """
    by_name: dict[str, list[Finding]] = defaultdict(list)
    for found in findings:
        by_name[found.symptom.name].append(found)
    causes = {
        id(effect): [
            cause for name in effect.symptom.explained_by for cause in by_name[name] if explains(cause, effect, graph)
        ]
        for effect in findings
    }
    placed: dict[int, Explained] = {}
    waiting = sorted(findings, key=_gravity)
    while waiting:
        ready = next((each for each in waiting if all(id(cause) in placed for cause in causes[id(each)])), None)
        following = ready or min(_circle(waiting[0], causes, placed), key=lambda each: each.since)
        because = sorted((cause for cause in causes[id(following)] if id(cause) in placed), key=_gravity)
        placed[id(following)] = Explained(following, tuple(because))
        waiting = [each for each in waiting if each is not following]
    return tuple(placed.values())


def _circle(start: Finding, causes: Mapping[int, Sequence[Finding]], placed: Container[int]) -> Sequence[Finding]:
    """Findings each of which has the next as its cause, and the last the first; from a finding back along its causes,
    of all of which one at least is not placed."""
    way = [start]
    while True:
        cause = next(cause for cause in causes[id(way[-1])] if id(cause) not in placed)
        for place, each in enumerate(way):
            if each is cause:
                return way[place:]
        way.append(cause)


def _gravity(finding: Finding) -> tuple[bool, float, float, str]:
    return finding.severity is not Severity.CRITICAL, -finding.symptom.deduction, finding.since, finding.symptom.name


def stories(explained: Sequence[Explained], contexts: Mapping[int, Mapping[str, object]]) -> list[str]:
    """A sentence for each finding that is nobody's cause: what is wrong, because of what, because of what.

    contexts: by the identity of each finding, what its clause may speak of.
    """
    by_finding = {id(each.finding): each for each in explained}
    causes = {id(cause) for each in explained for cause in each.because}
    told = []
    for each in explained:
        if id(each.finding) in causes:
            continue
        chain = _longest(each, by_finding)
        text = " because ".join(clause(finding, contexts[id(finding)]) for finding in chain)
        told.append(f"{text[:1].upper()}{text[1:]}.")
    return told


def _longest(start: Explained, by_finding: Mapping[int, Explained]) -> list[Finding]:
    """From an effect to its furthest cause."""
    chains = [_longest(by_finding[id(cause)], by_finding) for cause in start.because]
    return [start.finding, *max(chains, key=len, default=[])]
