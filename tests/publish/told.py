"""Clusters and jobs that were never there, ill and well, so that pages can be looked at without a Flink."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import md5

from prometheus_client.registry import Collector

from exporter.publish.exposition import Page, Registry, page
from exporter.symptoms.base import Severity
from exporter.symptoms.declarations import SYMPTOMS
from exporter.symptoms.health import ClusterHealth, Evidence, JobHealth, JobLine, TaskHealth, ToldFinding, waiting
from exporter.symptoms.trends import TrendLine

NOW = 1_790_000_000.0
URL = "http://jobmanager:8081"
RUNBOOK = "https://runbook.example.com/{}.md"
EVIL = "<script>alert(1)</script>"
QUOTES = """a "quoted" & <b>bold</b> 'task' onload=alert(1) -> Calc[2]"""

_SYMPTOMS = {symptom.name: symptom for symptom in SYMPTOMS}


def evidence(
    metric: str, value: float, normal: float | None = None, threshold: float | None = None, **labels: str
) -> Evidence:
    return Evidence(metric=f"flink_health_{metric}", labels=labels, value=value, normal=normal, threshold=threshold)


def finding(
    symptom: str,
    summary: str,
    *evidence: Evidence,
    minutes: float = 12,
    severity: Severity = Severity.WARNING,
    tasks: tuple[str, ...] = (),
    because: tuple[str, ...] = (),
    ending: bool = False,
    **labels: str,
) -> ToldFinding:
    """A finding with the action and the deduction that its symptom declares."""
    declared = _SYMPTOMS[symptom]
    return ToldFinding(
        symptom=symptom,
        severity=severity,
        about=declared.entity,
        labels={"cluster": "prod", **labels},
        since=NOW - 60 * minutes,
        ending=ending,
        summary=summary,
        tasks=tasks,
        because=because,
        evidence=evidence,
        action=declared.action,
        runbook=RUNBOOK.format(declared.runbook),
        deduction=0.0 if declared.entity == "cluster" else declared.deducts(severity),
    )


def task(
    id: str,
    name: str,
    inputs: Sequence[str] = (),
    shares: tuple[float, float, float] | None = (0.4, 0.0, 0.6),
    **other: object,
) -> TaskHealth:
    """A task. shares: of its time, busy, backpressured and idle."""
    busy, backpressured, idle = shares or (None, None, None)
    known = TaskHealth(
        id=id,
        name=name,
        parallelism=4,
        running=True,
        inputs=tuple(inputs),
        busy=busy,
        busiest=busy and min(1.0, busy * 1.3),
        idle=idle,
        backpressured=backpressured,
        records_in_per_second=None if shares is None else 1234.5,
        records_out_per_second=None if shares is None else 987.6,
        skew=None if shares is None else 1.05,
        watermark_lag_seconds=None if shares is None else 4.2,
        bottleneck=None,
    )
    return replace(known, **other)  # type: ignore[arg-type] # a field each


def trend(title: str, unit: str, values: Iterable[float | None]) -> TrendLine:
    """A value each half a minute up to now; None where there was none."""
    values = list(values)
    points = [(NOW - 30 * (len(values) - place), value) for place, value in enumerate(values, start=1)]
    return TrendLine(title=title, unit=unit, points=tuple((at, value) for at, value in points if value is not None))


def line(
    name: str,
    *findings: ToldFinding,
    id: str = "",
    state: str = "RUNNING",
    score: float | None = 1.0,
    cluster: str = "prod",
) -> JobLine:
    """A job with some findings; its score is what they leave."""
    taken = sum(each.deduction for each in findings)
    severities = {each.severity for each in findings}
    worst = next((each for each in (Severity.CRITICAL, Severity.WARNING) if each in severities), None)
    return JobLine(
        cluster=cluster,
        id=id or md5(name.encode()).hexdigest(),
        name=name,
        state=state,
        score=None if score is None else round(max(0.0, score - taken), 9),
        severity=worst,
        symptoms=tuple(dict.fromkeys(each.symptom for each in findings)),
    )


def job(
    of: JobLine, findings: Sequence[ToldFinding] = (), tasks: Sequence[TaskHealth] = (), **other: object
) -> JobHealth:
    """A job in full."""
    whole = JobHealth(
        job=of,
        taken_at=NOW - 7,
        web_ui=f"{URL}/#/job/running/{of.id}/overview",
        coverage=0.98,
        deductions={each.symptom: each.deduction for each in findings if each.deduction},
        stories=(),
        downfall=None,
        findings=tuple(findings),
        tasks=tuple(tasks),
        trends=(),
    )
    return replace(whole, **other)  # type: ignore[arg-type] # a field each


# ---- A job that waits for what is outside, and whose checkpoints suffer

_ENRICH = "AsyncWaitOperator[32] -> Calc[33] -> ConstraintEnforcer[34]"
_ILL = (
    finding(
        "bottleneck",
        "One task is at its limit and holds the job back",
        evidence("task_bottleneck", 1, None, 0, task_id="t3", task_name=_ENRICH, reason="external_wait"),
        evidence("task_busy_max_ratio", 0.997, task_id="t3", task_name=_ENRICH),
        evidence("task_busy_mean_ratio", 0.981, task_id="t3", task_name=_ENRICH),
        severity=Severity.CRITICAL,
        minutes=47,
        tasks=("t3",),
    ),
    finding(
        "checkpoint_slow",
        "Checkpoints take 6.2 times as long as is normal for this job",
        evidence("job_checkpoint_duration_ratio", 6.2, None, 5),
        evidence("job_checkpoint_duration_seconds", 74.4, 12),
        evidence("job_checkpoint_state_size_bytes", 734_003_200),
        evidence("job_failure_last_timestamp_seconds", NOW - 4000, scenario="checkpoint"),
        severity=Severity.CRITICAL,
        minutes=31,
        because=("bottleneck",),
    ),
    finding(
        "source_lag_growing",
        "A source falls further behind what there is to read",
        evidence(
            "source_lag_status", 1, None, 0, task_name="Source: orders[1]", operator_name="orders", status="growing"
        ),
        evidence("source_lag_records", 1_834_221, task_name="Source: orders[1]", operator_name="orders"),
        evidence("source_lag_growth_records_per_second", 812.4, task_name="Source: orders[1]", operator_name="orders"),
        minutes=29,
        tasks=("t1",),
        because=("bottleneck",),
    ),
    finding(
        "gc_pressure",
        "Garbage collection takes 57% of the time",
        evidence("taskmanager_gc_time_ratio", 0.57, None, 0.5, tm_id="10.42.7.18:6122-a81f3c", host="10.42.7.18"),
        minutes=3,
        ending=True,
        tm_id="10.42.7.18:6122-a81f3c",
        host="10.42.7.18",
    ),
)
ILL_LINE = line("orders-enriched-with-customers", *_ILL, id="91c7d2a04b1f4d6e8f00aa55bb66cc77")
ILL = job(
    ILL_LINE,
    _ILL,
    (
        task("t1", "Source: orders[1] -> Calc[2]", (), (0.05, 0.93, 0.02)),
        task("t2", "Source: customers[5]", (), (0.02, 0.0, 0.98)),
        task("t3", _ENRICH, ("t1", "t2"), (0.98, 0.0, 0.02), parallelism=16, bottleneck="external_wait", skew=1.9),
        task("t4", "GlobalWindowAggregate[41] -> Calc[42]", ("t3",), (0.12, 0.0, 0.88)),
        task("t5", "orders_by_hour[43]: Writer -> orders_by_hour[43]: Committer", ("t4",), (0.03, 0.0, 0.97)),
        task("t6", "alerts[44]: Writer", ("t3",), None, running=False),
    ),
    stories=(
        "The source lag grows because AsyncWaitOperator[32] is the bottleneck: it waits for something outside.",
        "Checkpoints take 6.2 times as long as normal because AsyncWaitOperator[32] is the bottleneck.",
        "Garbage collection takes 57% of the time of 10.42.7.18.",
    ),
    trends=(
        trend("score", "ratio", [1.0] * 12 + [0.85] * 10 + [0.45] * 14 + [ILL_LINE.score] * 10),
        trend("busiest subtask", "ratio", [0.6 + 0.3 * math.tanh((at - 15) / 6) for at in range(46)]),
        trend("records in", "per second", [5200 - 30 * at + 240 * math.sin(at) for at in range(46)]),
        trend("source lag", "records", [max(0, at - 14) ** 3 * 57 for at in range(46)]),
        trend("watermark lag", "seconds", [None if 20 <= at < 28 else 4 + at * 2.5 for at in range(46)]),
        trend("checkpoint duration", "seconds", [12 if at < 16 else 12 + (at - 16) * 2.1 for at in range(46)]),
        trend("restarts", "count", [2] * 46),
    ),
)

# ---- Others of its cluster

_LOOP = (
    finding(
        "restart_loop",
        "The job restarts over and over: 14 times in the last 10 minutes",
        evidence("job_restarts_recent", 14, None, 8),
        severity=Severity.CRITICAL,
        minutes=200,
    ),
    finding(
        "serialization_errors",
        "The job failed 14 times in the last 10 minutes on data that it cannot read or convert",
        evidence("job_failures_recent", 14, None, 2, scenario="serialization"),
        severity=Severity.CRITICAL,
        minutes=200,
    ),
)
LOOP_LINE = line("invoices-restarting", *_LOOP, state="RESTARTING")
WELL_LINE = line("payments-healthy", id="14630000000000000000000000000001")
WELL = job(
    WELL_LINE,
    (),
    (task("s", "Source: payments[1] -> payments_out[2]: Writer"),),
    coverage=1.0,
    trends=(trend("score", "ratio", [1.0]), trend("restarts", "count", [0.0, 0.0])),
)
NEW_LINE = line("just-started", state="INITIALIZING", score=None)
SKEW = finding(
    "skew",
    "Work is spread unevenly",
    evidence("task_skew_ratio", 3.1, None, 2, task_name="GroupAggregate[11]", signal="records"),
)
SKEW_LINE = line("clicks-per-country-with-a-name-that-somebody-made-much-longer-than-anybody-would-like-to-read", SKEW)
ENDED_LINES = (line("backfill-2024", state="FINISHED", score=None), line("old-deploy", state="FAILED", score=None))
EVIL_LINE = line(EVIL, SKEW, id='"><svg onload=alert(1)>/../x')
EVIL_JOB = job(
    EVIL_LINE,
    (
        replace(
            finding(
                "skew", EVIL, evidence("task_skew_ratio", 3.1, None, 2, task_name=QUOTES, signal=EVIL), tasks=("t",)
            ),
            runbook="javascript:alert(1)",
            action=EVIL,
        ),
    ),
    (
        task("t", QUOTES, ("nobody", "t"), bottleneck=EVIL),
        task("u", EVIL, ("t",)),
        task("v", "日本語のとても長いタスクの名前はここで切られるべきである", ("u", "t")),
        task("w", "half a pair \ud83d of surrogates", ("v",)),
    ),
    web_ui="javascript:alert(1)",
    stories=(f"{EVIL} is the bottleneck.",),
    trends=(trend(EVIL, EVIL, [1, 2, 3]),),
)

# ---- A wide graph and a deep one

WIDE_LINE = line("thirty-tasks")
WIDE = job(
    WIDE_LINE,
    (),
    [
        *(task(f"s{n}", f"Source: topic-{n}[{n}]", (), (0.1 * n, 0.0, 1 - 0.1 * n)) for n in range(6)),
        *(task(f"m{n}", f"Calc[{n}] -> Filter[{n}]", (f"s{n % 6}", f"s{(n + 1) % 6}")) for n in range(8)),
        task("join", "MultiJoin[40]", [f"m{n}" for n in range(8)], (0.7, 0.2, 0.1)),
        *(task(f"a{n}", f"GroupAggregate[{n + 50}]", ("join",)) for n in range(5)),
        *(task(f"k{n}", f"sink-{n}[{n + 60}]: Writer", (f"a{n % 5}", "s0")) for n in range(10)),
    ],
)
DEEP_LINE = line("a-chain-of-twelve")
DEEP = job(DEEP_LINE, (), [task(f"{n}", f"Step[{n}]", (f"{n - 1}",) if n else ()) for n in range(12)])

LOST = finding(
    "taskmanager_lost",
    "1 TaskManagers were lost in the last 10 minutes",
    evidence("cluster_taskmanager_losses_recent", 1, None, 0),
    minutes=4,
)
JOBS = {each.job.id: each for each in (ILL, WELL, EVIL_JOB, WIDE, DEEP)}
PROD = ClusterHealth(
    name="prod",
    url=URL,
    state="up",
    version="2.3.0",
    taken_at=NOW - 7,
    taskmanagers=4,
    slots=16,
    slots_free=3,
    severity=Severity.CRITICAL,
    error=None,
    findings=(LOST,),
    jobs=(
        NEW_LINE,
        ENDED_LINES[1],
        *sorted((ILL_LINE, LOOP_LINE, SKEW_LINE, EVIL_LINE), key=lambda each: each.score or 0),
        WELL_LINE,
        WIDE_LINE,
        DEEP_LINE,
        ENDED_LINES[0],
    ),
)
GONE = replace(
    waiting("eu-west.stage", "https://stage.example.com/flink"),
    state="unreachable",
    taken_at=NOW - 125,
    severity=Severity.CRITICAL,
    error="https://stage.example.com/flink/overview: connection refused; is Flink's REST endpoint there?",
    findings=(
        finding(
            "cluster_unreachable",
            "Flink's REST API does not answer as it should: nothing is known of this cluster's jobs",
            evidence("cluster_up", 0, None, 1),
            severity=Severity.CRITICAL,
            minutes=18,
        ),
    ),
)
NEW = waiting("new", "http://new:8081")

CLUSTERS = (PROD, GONE, NEW)


def many(count: int) -> ClusterHealth:
    """A cluster of very many jobs, of which a tenth is ill."""
    lines = [
        line(f"job-{number:04}", *([SKEW] if number < count / 10 else []), id=f"{number:032x}")
        for number in range(count)
    ]
    return replace(PROD, name="big", jobs=tuple(lines), findings=())


class Told:
    """A board that shows what a test wrote on it."""

    def __init__(self, *clusters: ClusterHealth, own: Collector | None = None) -> None:
        self.page: Page = page((), own or Registry())
        self.ready = True
        self.clusters: Sequence[ClusterHealth] = clusters
        self.jobs = {(each.job.cluster, each.job.id): each for each in JOBS.values()}

    def health(self) -> Sequence[ClusterHealth]:
        return self.clusters

    def job(self, cluster: str, job_id: str) -> JobHealth | None:
        return self.jobs.get((cluster, job_id))
