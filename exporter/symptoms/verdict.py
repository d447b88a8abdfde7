"""Findings → what is published of them: the symptoms that hold, each job's score, and what took how much away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from exporter.families import Family, Row, shown
from exporter.model import Cluster
from exporter.signals import coverage
from exporter.symptoms.base import Severity
from exporter.symptoms.judge import Entity, Finding

SYMPTOM = {
    entity: Family(
        name=f"flink_health_{entity}_symptom",
        help=f"Symptoms that the {entity} has now.",
        formula="1 while the symptom holds, at the highest severity that does; see docs/symptoms.md",
        labels=("symptom", "severity"),
    )
    for entity in ("cluster", "job", "taskmanager")
}
SCORE = Family(
    name="flink_health_job_score_ratio",
    help="How well the job is: 1 is without a symptom.",
    formula="1 less the deductions, never below 0; what has not lasted long enough yet takes nothing away; absent "
    "for a job that has ended, and while nothing was read of it and no symptom holds",
)
DEDUCTION = Family(
    name="flink_health_job_score_deduction_ratio",
    help="What each symptom takes from the job's score; the parts add up.",
    formula="what the symptom takes at its severity (docs/symptoms.md): the job's own symptoms, and those of the "
    "TaskManagers it runs on, each once; what would go below 0 is cut off, the greatest first",
    labels=("symptom",),
)
FAMILIES: tuple[Family, ...] = (*SYMPTOM.values(), SCORE, DEDUCTION)

# Tenths and twentieths do not add up in binary; nobody wants to see that.
_DIGITS = 9


def rows(findings: Iterable[Finding]) -> Iterator[Row]:
    """One row a symptom that holds."""
    for found in findings:
        labels = (*found.entity, found.symptom.name, found.severity.value)
        yield Row(SYMPTOM[found.symptom.entity], labels, 1.0)


def by_job(cluster: Cluster, findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """The findings that count for each job, by its id: its own, and those of the TaskManagers it runs on."""
    found: dict[str, list[Finding]] = defaultdict(list)
    on_host: dict[str, list[str]] = defaultdict(list)
    for job in cluster.jobs or ():
        for tm_id in {tm.id for vertex in job.vertices for tm in vertex.hosts}:
            on_host[tm_id].append(job.id)
    for finding in findings:
        if finding.symptom.entity == "job":
            found[finding.entity[1]].append(finding)
        elif finding.symptom.entity == "taskmanager":
            for job_id in on_host[finding.entity[1]]:
                found[job_id].append(finding)
    return found


def deductions(findings: Iterable[Finding]) -> dict[str, float]:
    """What each symptom takes from a score of 1; several TaskManagers with the same one count as the worst of them."""
    taken: dict[str, float] = {}
    for found in findings:
        name = found.symptom.name
        taken[name] = max(taken.get(name, 0.0), found.symptom.deducts(found.severity))
    left = 1.0
    cut = {}
    for name in sorted(taken, key=lambda name: (-taken[name], name)):
        cut[name] = min(taken[name], left)
        left = round(left - cut[name], _DIGITS)
    return {name: amount for name, amount in cut.items() if amount > 0}


def score(taken: Mapping[str, float]) -> float:
    """What the deductions leave of 1."""
    return max(0.0, round(1.0 - sum(taken.values()), _DIGITS))


def scores(cluster: Cluster, findings: Iterable[Finding], rows: Iterable[Row]) -> Iterator[Row]:
    """The score of each job of which something is known, and its deductions."""
    known = {row.labels[1] for row in rows if row.family is coverage.JOB_COVERAGE and row.value > 0}
    counting = by_job(cluster, findings)
    for job in cluster.jobs or ():
        mine = counting[job.id]
        if job.terminal or not (mine or job.id in known):
            continue
        identity: Entity = (cluster.name, job.id, shown(job.name))
        taken = deductions(mine)
        yield Row(SCORE, identity, score(taken))
        for name, amount in taken.items():
            yield Row(DEDUCTION, (*identity, name), amount)


def worst(severities: Iterable[Severity]) -> Severity | None:
    """The highest of some severities."""
    found = set(severities)
    return next((severity for severity in (Severity.CRITICAL, Severity.WARNING) if severity in found), None)
