"""Fleet: which job is ill?"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard, FieldColorModeId, Threshold

from exporter.model import TERMINAL
from exporter.signals import cluster, lifecycle, restarts, slots
from exporter.symptoms import verdict
from grafana import frame
from grafana.bounds import GREEN, ORANGE, RED
from grafana.panels import About, Column, Each, Panel, number, rows, states, symptom_rows
from grafana.queries import Scope, runbook

SCOPE = Scope(frame.matchers(frame.CLUSTERS))
UP_OR_DOWN = {"1": ("up", GREEN), "0": ("down", RED)}
_HEALTH = {"3": ("critical", RED), "2": ("warning", ORANGE), "1": ("unknown", "purple"), "0": ("well", GREEN)}

_JOB = ("cluster", "job_id", "job_name")
_ID = "on (cluster, job_id)"
_SYMPTOM = verdict.SYMPTOM["job"]
_CRITICAL = SCOPE.worst(_SYMPTOM, *_JOB, severity='="critical"')
_WARNING = SCOPE.worst(_SYMPTOM, *_JOB, severity='="warning"')
_SCORE = SCOPE.worst(verdict.SCORE, *_JOB, how="min")
_ALIVE = SCOPE.worst(lifecycle.STATE, *_JOB, "state", state=f'!~"{"|".join(sorted(TERMINAL))}"')
_FAILED = SCOPE.worst(lifecycle.STATE, *_JOB, "state", state='="FAILED"')
# Nothing found is zero as long as some cluster answers, and unknown otherwise.
_OR_ZERO = f"or 0 * count({SCOPE.gauge(cluster.UP)} == 1)"
_NO_CLUSTER = "no cluster answers, or the exporter is not scraped"


def build() -> Dashboard:
    """The dashboard."""
    return frame.build(
        frame.FLEET,
        "Which job is ill? Every job of every cluster by its score, with what takes most from it.",
        [frame.CLUSTERS],
        {
            "": [*_counts(), _jobs(), _scores()],
            "Symptoms": _symptoms(),
            "Clusters": [_clusters(), *_slots()],
        },
    )


def _counts() -> list[Panel]:
    def count(title: str, note: str, expr: str, colour: str) -> Panel:
        about = About(title=title, families=(verdict.SCORE, _SYMPTOM), note=note, empty=_NO_CLUSTER)
        return number(about, f"count({expr}) {_OR_ZERO}", colours=[Threshold(None, GREEN), Threshold(1, colour)])

    return [
        count("Critical jobs", "Jobs with a critical symptom.", _CRITICAL, RED),
        count(
            "Jobs with a warning",
            "Jobs whose score is below 1, without a critical symptom: their own, or of a TaskManager they run on.",
            f"({_SCORE} < 1) unless {_ID} ({_CRITICAL})",
            ORANGE,
        ),
        count("Jobs that are well", "Jobs without a symptom.", f"{_SCORE} == 1", GREEN),
        count(
            "Unknown jobs",
            "Jobs that have not ended, and of which nothing could be read: no data is not health.",
            f"{_ALIVE} unless {_ID} ({_SCORE})",
            ORANGE,
        ),
        number(
            About(
                title="Clusters that do not answer",
                families=(cluster.UP,),
                note="Clusters whose REST API did not answer in the last cycle; of their jobs nothing is known.",
                empty="the exporter is not scraped",
            ),
            f"count({SCOPE.worst(cluster.UP, 'cluster', how='min')} == 0) or 0 * count({SCOPE.gauge(cluster.UP)})",
            colours=[Threshold(None, GREEN), Threshold(1, RED)],
        ),
        number(
            About(
                title="TaskManagers lost",
                families=(slots.LOSSES_RECENT,),
                symptoms=("taskmanager_lost",),
                empty=_NO_CLUSTER,
            ),
            f"sum({SCOPE.worst(slots.LOSSES_RECENT, 'cluster')})",
        ),
    ]


def _jobs() -> Panel:
    about = About(
        title="Jobs",
        families=(verdict.SCORE, verdict.DEDUCTION, _SYMPTOM),
        note="Every job that has not ended well, the worst first. A job's name leads to its dashboard, a symptom to "
        "its runbook.",
        empty="no cluster has a job, or none answers",
    )
    worst_symptom = f"topk by ({', '.join(_JOB)}) (1, {SCOPE.worst(verdict.DEDUCTION, *_JOB, 'symptom')})"
    return rows(
        about,
        [
            # A score below 1 without a symptom of its own is that of a TaskManager.
            f"3 * {_CRITICAL} or 2 * {_WARNING} or 2 * ({_SCORE} < bool 1) or max by ({', '.join(_JOB)}) ({_ALIVE})",
            _SCORE,
            runbook(worst_symptom),
            f"count by ({', '.join(_JOB)}) ({SCOPE.worst(_SYMPTOM, *_JOB, 'symptom')})",
            # A job that has failed is there as long as it matters: while no other of its name has taken its place.
            f"{_ALIVE} or ({_FAILED} and {_ID} ({_CRITICAL}))",
            SCOPE.worst(restarts.RECENT, *_JOB),
            SCOPE.worst(lifecycle.UPTIME, *_JOB),
        ],
        [
            Column(of="A", title="Health", words=_HEALTH, width=90),
            Column(
                of="job_name",
                title="Job",
                links={"Why?": frame.job_link(), "What the exporter says": frame.own_job_link()},
            ),
            Column(of="cluster", title="Cluster", width=140),
            Column(of="B", title="Score", unit="percentunit", scale=FieldColorModeId.CONTINUOUS_RD_YL_GR, width=80),
            Column(of="symptom", title="Worst symptom", links=frame.runbook_link(), width=200),
            Column(of="C", title="It takes", unit="percentunit", width=80),
            Column(of="D", title="Symptoms", width=90),
            Column(of="state", title="State", width=110),
            Column(
                of="F",
                title="Restarts, 10 min",
                family=restarts.RECENT,
                symptoms=("restarts_frequent", "restart_loop"),
                width=120,
            ),
            Column(of="G", title="Runs for", unit="s", width=100),
            Column(of="job_id", title="Job ID", width=140),
            Column(of="E", hidden=True),
            Column(of="runbook", hidden=True),
        ],
        sort=(("Health", True), ("Score", False)),
        height=10,
    )


def _scores() -> Panel:
    about = About(
        title="Score of the jobs that were ill",
        families=(verdict.SCORE,),
        note="When a job fell ill, and whether it has recovered. Jobs that were well all the time are left out.",
        empty="every job was well over the whole time",
        unit="percentunit",
    )
    by_name = ("cluster", "job_name")
    # `@ end()`: the same jobs over the whole time, not from where each fell ill.
    ill = f"min_over_time({SCOPE.gauge(verdict.SCORE)}[$__range] @ end()) < 1"
    expr = f"{SCOPE.worst(verdict.SCORE, *by_name, how='min')} and on ({', '.join(by_name)}) ({ill})"
    return states(about, expr, "{{job_name}} ({{cluster}})", scale=FieldColorModeId.CONTINUOUS_RD_YL_GR, height=8)


def _symptoms() -> list[Panel]:
    jobs = SCOPE.worst(_SYMPTOM, "cluster", "job_name", "symptom", "severity")
    clusters = SCOPE.worst(verdict.SYMPTOM["cluster"], "cluster", "symptom", "severity")
    hosts = SCOPE.worst(verdict.SYMPTOM["taskmanager"], "cluster", "tm_id", "host", "symptom", "severity")
    return [
        symptom_rows(
            About(title="Of jobs", families=(_SYMPTOM,), empty="no job has a symptom"),
            jobs,
            [
                Column(of="job_name", title="Job", links={"Why?": frame.job_link()}),
                Column(of="cluster", title="Cluster", width=140),
            ],
            width=12,
        ),
        symptom_rows(
            About(
                title="Of clusters and TaskManagers",
                families=(verdict.SYMPTOM["cluster"], verdict.SYMPTOM["taskmanager"]),
                empty="no cluster and no TaskManager has a symptom",
            ),
            f"({clusters} or {hosts})",
            [
                Column(of="cluster", title="Cluster", width=140),
                Column(of="host", title="Host", width=160),
                Column(of="tm_id", title="TaskManager", links={"TaskManager": frame.taskmanager_link()}),
            ],
            width=12,
        ),
    ]


def _clusters() -> Panel:
    about = About(
        title="Clusters",
        families=(cluster.UP, slots.TOLERANCE),
        note="What each cluster is and holds. What is not known of one that does not answer stays empty.",
        empty="the exporter is not scraped",
    )
    return rows(
        about,
        [
            SCOPE.worst(cluster.UP, "cluster", how="min"),
            SCOPE.worst(cluster.STATE, "cluster", "state"),
            SCOPE.worst(cluster.INFO, "cluster", "flink_version"),
            SCOPE.worst(cluster.TASKMANAGERS, "cluster"),
            SCOPE.worst(cluster.SLOTS, "cluster"),
            SCOPE.worst(cluster.SLOTS_FREE, "cluster"),
            SCOPE.worst(slots.TOLERANCE, "cluster"),
            f"time() - {SCOPE.worst(cluster.SNAPSHOT, 'cluster')}",
        ],
        [
            Column(of="cluster", title="Cluster"),
            Column(of="A", title="Up", words=UP_OR_DOWN),
            Column(of="state", title="Answer"),
            Column(of="flink_version", title="Flink"),
            Column(of="D", title="TaskManagers"),
            Column(of="E", title="Slots"),
            Column(of="F", title="Free slots"),
            Column(of="G", title="TaskManagers it can lose", family=slots.TOLERANCE, symptoms=("no_loss_tolerance",)),
            Column(of="H", title="Age of what is shown", unit="s"),
            Column(of="B", hidden=True),
            Column(of="C", hidden=True),
        ],
        sort=(("Up", False),),
        height=6,
    )


def _slots() -> list[Panel]:
    return [
        Each(SCOPE, ("cluster", "state"), "{{cluster}}: {{state}}").lines(
            "Jobs by state", cluster.JOBS, empty="no cluster has a job, or none answers", width=12
        ),
        Each(SCOPE, ("cluster",), "{{cluster}}").lines(
            "Free slots",
            cluster.SLOTS_FREE,
            "slots_exhausted",
            note="Task slots that no task uses. None is a symptom only while tasks wait for one.",
            empty=_NO_CLUSTER,
            width=12,
        ),
    ]
