"""What is told of a cluster and its jobs, to people and to programs: the same values as JSON, page and report.

Times are seconds since the epoch, durations seconds, ratios 0 to 1. What is not known is None.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporter.families import IDENTITY, Family, Row, shown
from exporter.model import TERMINAL, Cluster, Job, Vertex
from exporter.signals import bottleneck, busy, coverage, skew, throughput, watermark
from exporter.symptoms import downfall, verdict
from exporter.symptoms.base import Severity
from exporter.symptoms.downfall import Downfall
from exporter.symptoms.explain import Explained, Graph, explain, first, stories
from exporter.symptoms.judge import Finding
from exporter.symptoms.trends import TrendLine
from exporter.symptoms.wording import short, summary

_MOST_EVIDENCE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A published value that a finding stands on, or that helps to understand it.

    labels: without those of the cluster and the job. normal: what is usual for this one. threshold: what the value has
    passed; None for a value that was not compared.
    """

    metric: str
    labels: Mapping[str, str]
    value: float
    normal: float | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldFinding:
    """A symptom that holds, with its cause and what to do.

    about: `cluster`, `job` or `taskmanager`; labels: which one. since: when its threshold was first passed. ending:
    whether it is over, and only not for long enough. tasks: ids of those it is about. because: names of the symptoms
    that caused it. deduction: what it takes from the job's score, 0 for a cluster's. runbook: address of a page.
    """

    symptom: str
    severity: Severity
    about: str
    labels: Mapping[str, str]
    since: float
    ending: bool
    summary: str
    tasks: tuple[str, ...]
    because: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    action: str
    runbook: str
    deduction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskHealth:
    """A task of a job. inputs: ids of the tasks it reads from. bottleneck: why it is the bottleneck, if it is.

    busy, idle, backpressured: means over the subtasks, ratios of time; busiest: the busiest subtask's.
    """

    id: str
    name: str
    parallelism: int
    running: bool
    inputs: tuple[str, ...]
    busy: float | None
    busiest: float | None
    idle: float | None
    backpressured: float | None
    records_in_per_second: float | None
    records_out_per_second: float | None
    skew: float | None
    watermark_lag_seconds: float | None
    bottleneck: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLine:
    """A job in one line. score: None while nothing is known, and for a job that has ended."""

    cluster: str
    id: str
    name: str
    state: str
    score: float | None
    severity: Severity | None
    symptoms: tuple[str, ...]

    @property
    def ended(self) -> bool:
        """Whether it will not run again."""
        return self.state in TERMINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class JobHealth:
    """A job in full.

    web_ui: its page in Flink's own. stories: what is wrong and why, a sentence each. downfall: what brought it down
    last, as long as Flink remembers. findings: causes before effects.
    """

    job: JobLine
    taken_at: float
    web_ui: str
    coverage: float | None
    deductions: Mapping[str, float]
    stories: tuple[str, ...]
    downfall: Downfall | None
    findings: tuple[ToldFinding, ...]
    tasks: tuple[TaskHealth, ...]
    trends: tuple[TrendLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterHealth:
    """A cluster and its jobs, the least healthy first.

    state: as in flink_health_cluster_state, or `waiting` before the first look. error: why it could not be read, or
    not all of it.
    """

    name: str
    url: str
    state: str
    version: str | None
    taken_at: float | None
    taskmanagers: int | None
    slots: int | None
    slots_free: int | None
    severity: Severity | None
    error: str | None
    findings: tuple[ToldFinding, ...]
    jobs: tuple[JobLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one cycle found, as far as it is told of.

    url: of Flink's REST API and web UI. runbook: the address of a page, with `{name}` for its name. trends: by job.
    """

    cluster: Cluster
    rows: Sequence[Row]
    findings: Sequence[Finding]
    trends: Mapping[str, Sequence[TrendLine]]
    url: str
    runbook: str
    error: str | None = None


def waiting(name: str, url: str) -> ClusterHealth:
    """A cluster that was not looked at yet."""
    return ClusterHealth(
        name=name,
        url=url,
        state="waiting",
        version=None,
        taken_at=None,
        taskmanagers=None,
        slots=None,
        slots_free=None,
        severity=None,
        error=None,
        findings=(),
        jobs=(),
    )


def cluster_health(judged: Judged) -> ClusterHealth:
    """A cluster and a line for each of its jobs."""
    cluster = judged.cluster
    mine = [found for found in judged.findings if found.symptom.entity != "job"]
    explained, published = explain(mine, Graph(_NO_JOB)), _by_family(judged.rows)
    counting = verdict.by_job(cluster, judged.findings)
    scores = _values(judged.rows, verdict.SCORE)
    jobs = [_line(cluster, job, counting.get(job.id, []), scores) for job in cluster.jobs or ()]
    return ClusterHealth(
        name=cluster.name,
        url=judged.url,
        state=cluster.state.value,
        version=cluster.version,
        taken_at=cluster.taken_at,
        taskmanagers=None if cluster.taskmanagers is None else len(cluster.taskmanagers),
        slots=cluster.slots,
        slots_free=cluster.slots_free,
        severity=verdict.worst(found.severity for found in judged.findings),
        error=judged.error,
        findings=tuple(_told(each, published, judged.runbook, {}) for each in explained),
        jobs=tuple(sorted(jobs, key=_least_healthy_first)),
    )


def job_health(judged: Judged, job_id: str) -> JobHealth | None:
    """A job in full; None where there is no such job."""
    job = next((job for job in judged.cluster.jobs or () if job.id == job_id), None)
    if job is None:
        return None
    graph, findings = Graph(job), verdict.by_job(judged.cluster, judged.findings).get(job.id, [])
    # What is wrong with the cluster is told where it is the cause of something.
    suspects = [found for found in judged.findings if found.symptom.entity == "cluster"]
    explained = _concerning(findings, explain([*findings, *suspects], graph))
    published = _by_family(judged.rows)
    brought_down = downfall.last(job)
    contexts = {id(each.finding): _context(each.finding, published, job, brought_down) for each in explained}
    mine = [row for row in judged.rows if row.labels[1:2] == (job.id,)]
    taken = verdict.deductions(findings)
    return JobHealth(
        job=_line(judged.cluster, job, findings, _values(mine, verdict.SCORE)),
        taken_at=judged.cluster.taken_at,
        web_ui=f"{judged.url}/#/job/{'completed' if job.terminal else 'running'}/{job.id}/overview",
        coverage=next((row.value for row in mine if row.family is coverage.JOB_COVERAGE), None),
        deductions=taken,
        stories=tuple(stories(explained, contexts)),
        downfall=brought_down,
        findings=tuple(_told(each, published, judged.runbook, taken) for each in explained),
        tasks=_tasks(job, mine),
        trends=tuple(judged.trends.get(job.id, ())),
    )


_NO_JOB = Job(id="", name="", state="", started_at=0.0, now=0.0)

# The rows of a look by the name of their family.
Published = Mapping[str, Sequence[Row]]


def _by_family(rows: Iterable[Row]) -> Published:
    published: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        published[row.family.name].append(row)
    return published


def _concerning(findings: Iterable[Finding], explained: Sequence[Explained]) -> tuple[Explained, ...]:
    """Some of the findings that were explained, and what led to them."""
    concerning = {id(found) for found in findings}
    for each in reversed(explained):  # an effect comes after all its causes
        if id(each.finding) in concerning:
            concerning |= {id(cause) for cause in each.because}
    return tuple(each for each in explained if id(each.finding) in concerning)


def _line(cluster: Cluster, job: Job, findings: Sequence[Finding], scores: Mapping[tuple[str, ...], float]) -> JobLine:
    ranked = sorted(findings, key=lambda found: (found.severity is not Severity.CRITICAL, -found.symptom.deduction))
    return JobLine(
        cluster=cluster.name,
        id=job.id,
        name=job.name,
        state=job.state,
        score=scores.get((cluster.name, job.id, shown(job.name))),
        severity=verdict.worst(found.severity for found in findings),
        symptoms=tuple(dict.fromkeys(found.symptom.name for found in ranked)),
    )


def _least_healthy_first(job: JobLine) -> tuple[bool, float, str]:
    # What has failed comes first, what has ended well, or failed and is replaced, last; a job of which nothing is known
    # is no healthy one.
    ended_well = job.severity is None and job.ended
    return ended_well, (0.0 if job.score is None else job.score), job.name


def _told(explained: Explained, published: Published, runbook: str, taken: Mapping[str, float]) -> ToldFinding:
    found = explained.finding
    symptom = found.symptom
    return ToldFinding(
        symptom=symptom.name,
        severity=found.severity,
        about=symptom.entity,
        labels=dict(zip(symptom.labels, found.entity, strict=True)),
        since=found.since,
        ending=found.ending,
        summary=summary(found),
        tasks=tuple(dict.fromkeys(_label(row, "task_id") for row in found.evidence if _has(row, "task_id"))),
        because=tuple(dict.fromkeys(cause.symptom.name for cause in explained.because)),
        evidence=tuple(_evidence(found, published)),
        action=next((symptom.actions[value] for value in _own(found) if value in symptom.actions), symptom.action),
        runbook=runbook.format(name=symptom.runbook),
        deduction=taken.get(symptom.name, 0.0),
    )


def _own(found: Finding) -> tuple[str, ...]:
    """The values of the labels of the worst sample that its family adds."""
    return found.evidence[0].labels[-len(found.evidence[0].family.labels) :] if found.evidence else ()


def _evidence(found: Finding, published: Published) -> list[Evidence]:
    """The rows that passed the threshold, then what is shown beside them."""
    passed = found.evidence[:_MOST_EVIDENCE]
    told = [_one(row, threshold=found.bound.threshold) for row in passed]
    for family in found.symptom.shows.values():
        others = [other for row in passed for other in _beside(row, family, published)]
        # Of counts by kind only those that count something.
        labelled = any(label in family.labels for label in ("scenario", "state"))
        for other in dict.fromkeys(others):
            if other.value or not labelled:
                usual = _beside(other, found.symptom.normal.get(family), published)
                told.append(_one(other, normal=usual[0].value if usual else None))
    return told


def _one(row: Row, *, normal: float | None = None, threshold: float | None = None) -> Evidence:
    about = dict(zip(row.family.all_labels, row.labels, strict=True))
    own = {name: value for name, value in about.items() if name not in IDENTITY["job"]}
    return Evidence(metric=row.family.name, labels=own, value=row.value, normal=normal, threshold=threshold)


def _beside(row: Row, family: Family | None, published: Published) -> list[Row]:
    """The rows of a family that speak of the same thing as a row: that agree in each label that both have."""
    if family is None:
        return []
    mine = dict(zip(row.family.all_labels, row.labels, strict=True))
    shared = [(place, mine[name]) for place, name in enumerate(family.all_labels) if name in mine]
    rows = published.get(family.name, ())
    return [other for other in rows if all(other.labels[at] == value for at, value in shared)]


def _context(found: Finding, published: Published, job: Job, brought_down: Downfall | None) -> dict[str, object]:
    """What a finding's clause may speak of."""
    if not found.evidence:
        return {}
    worst = first(found, Graph(job))
    context: dict[str, object] = dict(zip(worst.family.all_labels, worst.labels, strict=True))
    if brought_down and brought_down.words:
        context["downfall"] = brought_down.words
    if "reason" in context:
        context["reason"] = str(context["reason"]).replace("_", " ")
    for word, family in found.symptom.shows.items():
        beside = _beside(worst, family, published)
        if beside:
            context[word] = beside[0].value
    if "task_name" in context:
        context["task"] = short(str(context["task_name"]))
        parallelism = next((vertex.parallelism for vertex in job.vertices if vertex.id == context["task_id"]), None)
        if parallelism:
            # Of a value over the mean of all subtasks: its part of the whole.
            context["share"] = found.value / parallelism
    return context


def _tasks(job: Job, rows: Sequence[Row]) -> tuple[TaskHealth, ...]:
    of_task: dict[str, dict[str, Row]] = {vertex.id: {} for vertex in job.vertices}
    for row in rows:
        if row.family.entity == "task" and (not _has(row, "signal") or _label(row, "signal") == "records"):
            of_task.get(_label(row, "task_id"), {})[row.family.name] = row
    return tuple(_task(vertex, of_task[vertex.id]) for vertex in job.vertices)


def _task(vertex: Vertex, rows: Mapping[str, Row]) -> TaskHealth:
    def value(family: Family) -> float | None:
        row = rows.get(family.name)
        return None if row is None else row.value

    culprit = rows.get(bottleneck.BOTTLENECK.name)
    return TaskHealth(
        id=vertex.id,
        name=vertex.name,
        parallelism=vertex.parallelism,
        running=vertex.running,
        inputs=vertex.inputs,
        busy=value(busy.BUSY_MEAN),
        busiest=value(busy.BUSY_MAX),
        idle=value(busy.IDLE_MEAN),
        backpressured=value(busy.BACKPRESSURED_MEAN),
        records_in_per_second=value(throughput.IN),
        records_out_per_second=value(throughput.OUT),
        skew=value(skew.RATIO),
        watermark_lag_seconds=value(watermark.LAG),
        bottleneck=None if culprit is None else _label(culprit, "reason"),
    )


def _values(rows: Iterable[Row], family: Family) -> dict[tuple[str, ...], float]:
    return {row.labels: row.value for row in rows if row.family is family}


def _has(row: Row, label: str) -> bool:
    return label in row.family.all_labels


def _label(row: Row, name: str) -> str:
    return row.labels[row.family.all_labels.index(name)]
