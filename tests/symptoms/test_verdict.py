"""What is published of findings: who counts for whom, and do the parts add up?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from exporter.families import Row
from exporter.model import Cluster, ClusterState
from exporter.symptoms import verdict
from exporter.symptoms.base import Severity
from exporter.symptoms.declarations import SYMPTOMS
from exporter.symptoms.judge import Finding
from tests.symptoms.build import BY_NAME, cluster, found, job, row

ORDERS = ("prod", "job-1", "orders")
READ = {"job_coverage_ratio": 1.0}


def finding(name: str, severity: Severity = Severity.WARNING, *entity: str) -> Finding:
    """A finding of which nothing matters but what it is, of whom, and how grave."""
    symptom = BY_NAME[name]
    whose = (
        entity or {"job": ORDERS, "taskmanager": ("prod", "tm-1", "host of tm-1"), "cluster": ("prod",)}[symptom.entity]
    )
    return Finding(symptom, severity, whose, 0.0, next(iter(symptom.levels.values())), 1.0, ())


def scores(values: Mapping[str, float], *, of: Cluster | None = None) -> dict[str, float]:
    """Scores and deductions from what is published, by job and symptom."""
    rows = [row(name, value) for name, value in values.items()]
    told = verdict.scores(cluster(job("source > sink")) if of is None else of, found(values), rows)
    return {" ".join((line.labels[1], *line.labels[3:])): line.value for line in told}


# ---- Arithmetic


@pytest.mark.parametrize(
    ("findings", "taken", "left"),
    [
        pytest.param([], {}, 1.0, id="no symptom, nothing taken"),
        pytest.param([finding("skew")], {"skew": 0.1}, 0.9, id="a warning takes the deduction"),
        pytest.param(
            [finding("task_saturated", Severity.CRITICAL)], {"task_saturated": 0.1}, 0.9, id="critical takes it twice"
        ),
        pytest.param(
            [finding("skew"), finding("bottleneck")],
            {"bottleneck": 0.15, "skew": 0.1},
            0.75,  # 1 - 0.15 - 0.1
            id="symptoms add up",
        ),
        pytest.param(
            [finding("heap_high"), finding("heap_high", Severity.WARNING, "prod", "tm-2", "h")],
            {"heap_high": 0.15},
            0.85,
            id="of several TaskManagers a symptom counts once",
        ),
        pytest.param(
            [finding("heap_high", Severity.CRITICAL), finding("heap_high", Severity.WARNING, "prod", "tm-2", "h")],
            {"heap_high": 0.3},
            0.7,
            id="of several TaskManagers the worst counts, the first",
        ),
        pytest.param(
            [finding("heap_high"), finding("heap_high", Severity.CRITICAL, "prod", "tm-2", "h")],
            {"heap_high": 0.3},
            0.7,
            id="of several TaskManagers the worst counts, the last",
        ),
        pytest.param([finding("job_failed", Severity.CRITICAL)], {"job_failed": 1.0}, 0.0, id="all of it"),
        pytest.param(
            [
                finding("source_stalled", Severity.CRITICAL),  # 0.5
                finding("out_of_memory", Severity.CRITICAL),  # 0.5, and nothing is left
                finding("skew"),
            ],
            {"out_of_memory": 0.5, "source_stalled": 0.5},
            0.0,
            id="what is not left is not taken",
        ),
        pytest.param(
            [
                finding("task_saturated"),  # 0.05 of 0.1 that are left
                finding("restart_loop", Severity.CRITICAL),  # 0.6
                finding("gc_pressure", Severity.CRITICAL),  # 0.3
                finding("skew"),  # 0.1
            ],
            {"restart_loop": 0.6, "gc_pressure": 0.3, "skew": 0.1},
            0.0,
            id="cut at 0, the greatest first, to the last bit: 0.6 + 0.3 + 0.1 is 1",
        ),
        pytest.param(
            [
                finding("restart_loop", Severity.CRITICAL),  # 0.6
                finding("checkpoint_slow", Severity.CRITICAL),  # 0.3
                finding("out_of_memory"),  # 0.25 of 0.1 that are left after 0.6 and 0.3
            ],
            {"restart_loop": 0.6, "checkpoint_slow": 0.3, "out_of_memory": 0.1},
            0.0,
            id="the last one takes what is left",
        ),
    ],
)
def test_what_is_taken_from_a_score(findings: list[Finding], taken: dict[str, float], left: float) -> None:
    assert verdict.deductions(findings) == taken
    assert list(verdict.deductions(findings)) == list(taken)  # the greatest first, then by name
    assert verdict.score(taken) == left


def test_the_parts_add_up_to_what_the_score_lacks_whatever_holds() -> None:
    ill = [finding(symptom.name, severity) for symptom in SYMPTOMS for severity in symptom.levels]
    for first in range(len(ill)):
        for last in range(first, len(ill) + 1):
            taken = verdict.deductions(ill[first:last])
            assert sum(taken.values()) == pytest.approx(1 - verdict.score(taken), abs=1e-9)
            assert all(amount == round(amount, 9) > 0 for amount in taken.values())


@pytest.mark.parametrize("symptom", SYMPTOMS, ids=lambda symptom: symptom.name)
def test_critical_takes_twice_what_a_warning_takes_and_never_more_than_all(symptom: object) -> None:
    mine = BY_NAME[symptom.name]  # type: ignore[attr-defined]
    assert mine.deducts(Severity.WARNING) == mine.deduction
    assert mine.deducts(Severity.CRITICAL) == min(1.0, 2 * mine.deduction)
    assert replace(mine, deduction=0.7).deducts(Severity.CRITICAL) == 1.0


# ---- Whose score


def test_a_job_without_a_symptom_scores_1() -> None:
    assert scores(READ) == {"job-1": 1.0}


def test_a_jobs_symptoms_lower_its_score_and_no_other_ones() -> None:
    two = cluster(job("source > sink"), job("source > sink", id="job-2", name="payments"))
    values = {**READ, "job_coverage_ratio{job_id=job-2,job_name=payments}": 1.0, "task_skew_ratio{signal=records}": 3.0}
    assert scores(values, of=two) == {"job-1": 0.9, "job-1 skew": 0.1, "job-2": 1.0}


def test_a_taskmanagers_symptoms_count_for_the_jobs_that_run_on_it() -> None:
    three = cluster(
        job("source > sink"),  # on tm-1
        job("source > sink", on={"sink": "tm-1 tm-2"}, id="job-2"),  # on both
        job("source", on={"source": "tm-1"}, id="job-3"),
    )
    values = {"taskmanager_heap_floor_ratio{tm_id=tm-2}": 0.9}
    known = {f"job_coverage_ratio{{job_id={job.id}}}": 1.0 for job in three.jobs or ()}
    assert scores(values | known, of=three) == {"job-1": 1.0, "job-2": 0.85, "job-2 heap_high": 0.15, "job-3": 1.0}


def test_a_taskmanager_that_runs_several_tasks_of_a_job_counts_once() -> None:
    ill = found({"taskmanager_heap_floor_ratio": 0.9})
    assert verdict.by_job(cluster(job("source > map > sink")), ill) == {"job-1": list(ill)}


def test_both_its_taskmanagers_with_one_symptom_count_once() -> None:
    both = cluster(job("source > sink", on={"sink": "tm-2"}))
    values = {**READ, "taskmanager_heap_floor_ratio": 0.9, "taskmanager_heap_floor_ratio{tm_id=tm-2}": 0.97}
    assert scores(values, of=both) == {"job-1": 0.7, "job-1 heap_high": 0.3}  # the critical one, twice 0.15


def test_a_clusters_symptoms_are_no_jobs_fault() -> None:
    assert scores({**READ, "cluster_taskmanager_losses_recent": 3.0}) == {"job-1": 1.0}


@pytest.mark.parametrize("state", ["FINISHED", "CANCELED", "FAILED"])
def test_a_job_that_has_ended_has_no_score(state: str) -> None:
    ended = cluster(job(state=state))
    assert scores({f"job_state{{state={state}}}": 1.0}, of=ended) == {}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({}, {}, id="nothing was read of it"),
        pytest.param({"job_coverage_ratio": 0.01}, {"job-1": 0.8, "job-1 data_stale": 0.2}, id="little was read of it"),
        pytest.param(
            {"job_restarts_recent": 4.0},
            {"job-1": 0.8, "job-1 restarts_frequent": 0.2},
            id="nothing was read of its tasks, but it is known to restart",
        ),
        pytest.param({"job_coverage_ratio": 0.91}, {"job-1": 1.0}, id="most was read of it"),
    ],
)
def test_no_score_without_knowledge(values: dict[str, float], expected: dict[str, float]) -> None:
    assert scores(values) == expected


def test_no_data_is_not_health() -> None:
    """A coverage of 0 is data_stale after 2 min; before that there is no score rather than a perfect one."""
    rows = [row("job_coverage_ratio", 0.0)]
    assert list(verdict.scores(cluster(job("source > sink")), (), rows)) == []


def test_a_cluster_that_does_not_answer_has_no_scores() -> None:
    away = Cluster(name="prod", state=ClusterState.UNREACHABLE, taken_at=0.0)
    assert scores({"cluster_up": 0.0}, of=away) == {}


def test_a_long_name_is_cut_as_everywhere() -> None:
    long = replace(job("source > sink"), name="x" * 100)
    rows = [row("job_coverage_ratio", 1.0, job_name="x" * 80)]
    assert [line.labels for line in verdict.scores(cluster(long), (), rows)] == [("prod", "job-1", "x" * 80)]


# ---- What is published


def test_a_row_a_finding_with_all_the_labels_of_its_family() -> None:
    ill = [finding("taskmanager_lost"), finding("skew"), finding("heap_high", Severity.CRITICAL)]
    assert list(verdict.rows(ill)) == [
        Row(verdict.SYMPTOM["cluster"], ("prod", "taskmanager_lost", "warning"), 1.0),
        Row(verdict.SYMPTOM["job"], (*ORDERS, "skew", "warning"), 1.0),
        Row(verdict.SYMPTOM["taskmanager"], ("prod", "tm-1", "host of tm-1", "heap_high", "critical"), 1.0),
    ]


def test_rows_have_as_many_labels_as_their_families() -> None:
    values = {**READ, "task_skew_ratio{signal=records}": 3.0, "taskmanager_heap_floor_ratio": 0.9, "cluster_up": 0.0}
    ill = found(values)
    published = [
        *verdict.rows(ill),
        *verdict.scores(cluster(job("source > sink")), ill, [row(name, value) for name, value in values.items()]),
    ]
    assert {line.family.name for line in published} == {family.name for family in verdict.FAMILIES}
    for line in published:
        # A family checks what is its own; whose it is stands before that.
        own = dict(zip(line.family.all_labels, line.labels, strict=True))
        line.family.sample(line.value, **{name: own[name] for name in line.family.labels})
        assert all(isinstance(value, str) for value in line.labels)


@pytest.mark.parametrize(
    ("severities", "worst"),
    [
        pytest.param([], None, id="of none"),
        pytest.param([Severity.WARNING], Severity.WARNING, id="of one"),
        pytest.param([Severity.WARNING, Severity.CRITICAL, Severity.WARNING], Severity.CRITICAL, id="of several"),
    ],
)
def test_the_worst_of_some_severities(severities: list[Severity], worst: Severity | None) -> None:
    assert verdict.worst(severities) == worst
