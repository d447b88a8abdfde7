"""What is the cause of what? Along the declared relations, and only where the job's graph allows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from exporter.model import Job
from exporter.symptoms.base import Severity
from exporter.symptoms.declarations import SYMPTOMS
from exporter.symptoms.explain import Explained, Graph, explain
from exporter.symptoms.health import Judged, job_health
from exporter.symptoms.judge import Finding
from exporter.symptoms.wording import Value
from tests.symptoms.build import cluster, found, job, row

ORDERS = job("source > map > sink")

BOTTLENECK = {"task_bottleneck{task_id=map,reason=skew}": 1.0}
SKEW = {
    "task_skew_ratio{task_id=map,signal=records}": 3.6,
    "task_skew_hottest_subtask{task_id=map,signal=records}": 3.0,
}
LAG = {"source_lag_status{task_id=source,status=growing}": 1.0}
HEAP = {"taskmanager_heap_floor_ratio": 0.9}
GC = {"taskmanager_gc_time_ratio": 0.6}


def because(values: Mapping[str, float], of: Job = ORDERS) -> dict[str, list[str]]:
    """What is found, in the order in which it is told, each with its causes."""
    return _names(explain(found(values), Graph(of)))


def _names(explained: Sequence[Explained]) -> dict[str, list[str]]:
    return {each.finding.symptom.name: [cause.symptom.name for cause in each.because] for each in explained}


def stories(values: Mapping[str, float], of: Job = ORDERS) -> list[str]:
    rows = [row(name, value) for name, value in values.items()]
    judged = Judged(cluster=cluster(of), rows=rows, findings=found(values), trends={}, url="", runbook="{name}")
    told = job_health(judged, of.id)
    assert told is not None
    return list(told.stories)


# ---- Order


def test_causes_come_before_their_effects() -> None:
    assert because(LAG | BOTTLENECK | SKEW) == {
        "skew": [],
        "bottleneck": ["skew"],
        "source_lag_growing": ["bottleneck"],
    }
    assert list(because(LAG | BOTTLENECK | SKEW)) == ["skew", "bottleneck", "source_lag_growing"]


def test_of_what_has_nothing_to_do_with_each_other_the_graver_comes_first_then_the_more_costly() -> None:
    values = {
        "task_skew_ratio{task_id=sink,signal=records}": 2.0,  # a warning, 0.1
        "job_coverage_ratio": 0.5,  # a warning, 0.2
        "job_failures_recent{scenario=serialization}": 3.0,  # critical
    }
    assert list(because(values)) == ["serialization_errors", "data_stale", "skew"]


def test_of_equals_the_older_comes_first() -> None:
    one, other = found({"taskmanager_heap_floor_ratio": 0.9, "taskmanager_heap_floor_ratio{tm_id=tm-2}": 0.9})
    younger, older = replace(one, since=20.0), replace(other, since=10.0)
    assert [each.finding for each in explain([younger, older], Graph(ORDERS))] == [older, younger]


def test_a_graver_effect_still_comes_after_its_cause() -> None:
    values = {  # the source is stalled, which is critical, because Kafka failed once, which is none
        "job_failures_recent{scenario=kafka_unavailable}": 1.0,
        "source_lag_status{task_id=source,status=stalled}": 1.0,
    }
    assert because(values) == {"kafka_unavailable": [], "source_stalled": ["kafka_unavailable"]}


def test_every_finding_is_told_once_whatever_holds() -> None:
    ill = [replace(finding, since=float(number)) for number, finding in enumerate(found(EVERYTHING))]
    assert len({finding.symptom.name for finding in ill}) == len(SYMPTOMS) - 1  # restarts are frequent, or a loop
    for order in (ill, ill[::-1]):
        explained = explain(order, Graph(ORDERS))
        assert {id(each.finding) for each in explained} == {id(finding) for finding in ill}
        told: set[int] = set()
        for each in explained:
            assert {id(cause) for cause in each.because} <= told
            told.add(id(each.finding))


EVERYTHING = {
    **(BOTTLENECK | LAG | HEAP | GC),
    "cluster_up": 0.0,
    "cluster_rest_metrics_age_seconds": 500.0,
    "cluster_taskmanager_losses_recent": 1.0,
    "cluster_slots_free": 0.0,
    "cluster_taskmanager_loss_tolerance": 0.0,
    "job_tasks_waiting": 1.0,
    "cluster_taskmanagers": 2.0,
    "job_state{state=RESTARTING,job_name=late}": 1.0,
    "job_state{state=FAILED,job_name=failed}": 1.0,
    "job_restarts_recent": 9.0,
    "job_restarts_total": 9.0,
    "job_restart_budget_remaining": 0.0,
    **{
        f"job_failures_recent{{scenario={scenario}}}": 1.0
        for scenario in ("out_of_memory", "serialization", "kafka_unavailable")
    },
    "job_config_issue{check=no_restart_strategy}": 1.0,
    "job_config_issue{check=checkpointing_disabled}": 1.0,
    "job_coverage_ratio": 0.5,
    "job_checkpoint_consecutive_failures": 5.0,
    "job_checkpoint_overdue_ratio": 2.0,
    "job_checkpoint_timeout_ratio": 0.9,
    "job_checkpoint_duration_ratio": 9.0,
    "job_checkpoint_state_hourly_growth_ratio": 9.0,
    "job_checkpoint_state_size_bytes": 1e9,
    "task_busy_max_ratio": 0.99,
    "task_skew_ratio{task_id=map,signal=records}": 3.0,
    "task_throughput_ratio": 0.1,
    "task_watermark_stalled_seconds{task_id=source,job_name=still}": 500.0,
    "task_watermark_lag_growth_ratio": 1.0,
    "source_lag_status{task_id=source,status=stalled}": 1.0,
    "taskmanager_metaspace_used_ratio": 0.99,
}


# ---- Where it can have done that


@pytest.mark.parametrize(
    ("paths", "causes"),
    [
        pytest.param(("source > map > sink",), ["bottleneck"], id="after the source"),
        pytest.param(("map > source > sink",), ["bottleneck"], id="before it"),
        pytest.param(("source > a > b > map",), ["bottleneck"], id="far after it"),
        pytest.param(("source > sink", "other > map"), [], id="on another branch"),
        pytest.param(("other > source > sink", "other > map"), [], id="on another branch of the same input"),
        pytest.param(("source > join", "map > join"), [], id="on the other side of a join"),
        pytest.param(("source > sink",), [], id="a task that the job no longer has"),
    ],
)
def test_a_bottleneck_holds_back_what_is_on_its_path(paths: tuple[str, ...], causes: list[str]) -> None:
    assert because(LAG | BOTTLENECK, job(*paths))["source_lag_growing"] == causes


def test_a_source_may_hold_itself_back() -> None:
    """Alone in its job, chained to its sink."""
    values = {**BOTTLENECK, "source_lag_status{task_id=map,status=growing}": 1.0}
    assert because(values, job("map"))["source_lag_growing"] == ["bottleneck"]


def test_a_graph_that_goes_round_is_walked_once() -> None:
    """Iterations are gone from Flink, but a page is not to hang on what it is told."""
    assert because(LAG | BOTTLENECK, job("source > map > source"))["source_lag_growing"] == ["bottleneck"]


@pytest.mark.parametrize(
    ("skewed", "causes"),
    [
        pytest.param("map", ["skew"], id="in the same task"),
        pytest.param("sink", [], id="in a task after it"),
        pytest.param("source", [], id="in a task before it"),
    ],
)
def test_skew_is_the_cause_of_a_bottleneck_in_its_own_task_only(skewed: str, causes: list[str]) -> None:
    assert because({**BOTTLENECK, f"task_skew_ratio{{task_id={skewed},signal=records}}": 3.0})["bottleneck"] == causes


def test_skew_of_several_tasks_is_the_cause_of_a_bottleneck_in_one_of_them() -> None:
    both = {**BOTTLENECK, **SKEW, "task_skew_ratio{task_id=sink,signal=records}": 3.0}
    assert because(both)["bottleneck"] == ["skew"]


def test_one_of_several_tasks_is_enough() -> None:
    values = {**BOTTLENECK, "task_bottleneck{task_id=other,reason=sink}": 1.0, **LAG}
    two = job("source > map", "elsewhere > other")
    assert because(values, two)["source_lag_growing"] == ["bottleneck"]


def test_what_is_about_no_task_may_be_the_cause_of_anything_and_have_any() -> None:
    values = {**SKEW, "job_checkpoint_consecutive_failures": 2.0}
    assert because(values)["checkpoint_failing"] == ["skew"]
    values = {**LAG, "job_restarts_recent": 4.0}
    assert because(values)["source_lag_growing"] == ["restarts_frequent"]


def test_nothing_causes_what_it_is_not_declared_to() -> None:
    assert because(SKEW | HEAP) == {"skew": [], "heap_high": []}


@pytest.mark.parametrize(
    ("on", "causes"),
    [
        pytest.param({}, ["gc_pressure"], id="which runs there"),
        pytest.param({"map": "tm-2"}, [], id="which runs elsewhere, though the job's others run there"),
        pytest.param({"map": "tm-2 tm-1"}, ["gc_pressure"], id="which runs there as well"),
    ],
)
def test_a_taskmanager_is_the_cause_of_what_is_wrong_with_a_task(on: dict[str, str], causes: list[str]) -> None:
    assert because(BOTTLENECK | GC, job("source > map > sink", on=on))["bottleneck"] == causes


@pytest.mark.parametrize(
    ("on", "causes"),
    [
        pytest.param({"sink": "tm-2"}, ["gc_pressure"], id="of whose tasks one runs there"),
        pytest.param(dict.fromkeys(("source", "map", "sink"), "tm-2"), [], id="none of whose tasks runs there"),
    ],
)
def test_a_taskmanager_is_the_cause_of_what_is_wrong_with_a_job(on: dict[str, str], causes: list[str]) -> None:
    values = {**GC, "job_checkpoint_consecutive_failures": 2.0}
    assert because(values, job("source > map > sink", on=on))["checkpoint_failing"] == causes


def test_the_heap_of_one_taskmanager_is_no_trouble_of_another_ones() -> None:
    both = {**HEAP, "taskmanager_gc_time_ratio": 0.6, "taskmanager_gc_time_ratio{tm_id=tm-2}": 0.6}
    explained = explain(found(both), Graph(ORDERS))
    collecting = {
        each.finding.entity[1]: each.because for each in explained if each.finding.symptom.name == "gc_pressure"
    }
    assert [[cause.entity[1] for cause in collecting[tm]] for tm in ("tm-1", "tm-2")] == [["tm-1"], []]


# ---- What goes round

ROUND = {
    "job_restarts_recent": 9.0,
    "job_failures_recent{scenario=out_of_memory}": 1.0,
    "taskmanager_metaspace_used_ratio": 0.95,
}


def _since(times: Mapping[str, float]) -> list[Finding]:
    return [
        replace(finding, since=times[finding.symptom.name]) for finding in found(ROUND) if finding.symptom.name in times
    ]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        pytest.param(
            {"metaspace_high": 0, "out_of_memory": 10, "restart_loop": 20},
            {"metaspace_high": [], "out_of_memory": ["metaspace_high"], "restart_loop": ["out_of_memory"]},
            id="a metaspace that was full first: it ran out of memory, and restarts",
        ),
        pytest.param(
            {"metaspace_high": 20, "out_of_memory": 30, "restart_loop": 10},
            {"restart_loop": [], "metaspace_high": ["restart_loop"], "out_of_memory": ["metaspace_high"]},
            id="restarts that filled the metaspace",
        ),
        pytest.param(
            {"metaspace_high": 30, "out_of_memory": 10, "restart_loop": 20},
            {"out_of_memory": [], "restart_loop": ["out_of_memory"], "metaspace_high": ["restart_loop"]},
            id="out of memory otherwise, and restarts that filled the metaspace",
        ),
    ],
)
def test_of_what_goes_round_the_oldest_began_it(times: dict[str, float], expected: dict[str, list[str]]) -> None:
    for findings in (_since(times), _since(times)[::-1]):
        assert _names(explain(findings, Graph(ORDERS))) == expected


def test_what_follows_from_what_goes_round_comes_after_it_though_it_is_graver_and_older() -> None:
    values = {**ROUND, "job_restart_budget_remaining": 0.0, "job_restarts_total": 9.0}
    older = {"restart_budget_low": 0, "metaspace_high": 10, "out_of_memory": 20, "restart_loop": 30}
    findings = [
        replace(
            finding,
            since=older[finding.symptom.name],
            severity=Severity.CRITICAL if finding.symptom.name == "restart_budget_low" else Severity.WARNING,
        )
        for finding in found(values)
    ]
    assert list(_names(explain(findings, Graph(ORDERS)))) == [
        *("metaspace_high", "out_of_memory", "restart_loop"),
        "restart_budget_low",
    ]


def test_a_story_of_what_goes_round_ends() -> None:
    """All of it was found at one look: then the gravest is thought to have begun it."""
    assert stories(ROUND) == [
        "It runs out of memory because the metaspace of host of tm-1 is nearly full because the job restarts over and "
        "over."
    ]


# ---- Stories


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({}, [], id="nothing is wrong"),
        pytest.param(
            LAG | BOTTLENECK | SKEW,
            [
                "The source lag grows because the map is the bottleneck (skew) because subtask 3 of the map takes 90% "
                "of the records."  # 3.6 times the mean of 4 subtasks: 3.6 / 4
            ],
            id="from the effect to its furthest cause",
        ),
        pytest.param(
            LAG
            | SKEW
            | BOTTLENECK
            | {"task_busy_max_ratio{task_id=map}": 0.97, "job_checkpoint_consecutive_failures": 2.0},
            [
                "The source lag grows because the map is the bottleneck (skew) because the map is busy 97% of its time "
                "because subtask 3 of the map takes 90% of the records.",
                "Checkpoints fail because the map is the bottleneck (skew) because the map is busy 97% of its time "
                "because subtask 3 of the map takes 90% of the records.",
            ],
            id="one for each that is nobody's cause, the gravest first, and the whole way to the cause",
        ),
        pytest.param(
            {
                **LAG,
                **HEAP,
                **GC,
                "task_bottleneck{task_id=map,reason=gc}": 1.0,
                "job_checkpoint_state_hourly_growth_ratio": 0.5,
                "job_checkpoint_state_size_bytes": 1e9,
            },
            [
                "The source lag grows because the map is the bottleneck (gc) because garbage collection takes 60% of "
                "the time of host of tm-1 because the heap of host of tm-1 stays full because the state grows without "
                "end."
            ],
            id="through TaskManagers, back to the job's state",
        ),
        pytest.param(
            {"job_restarts_recent": 9.0, "job_failures_recent{scenario=kafka_unavailable}": 9.0},
            ["The job restarts over and over because Kafka does not answer."],
            id="a job without a task in it",
        ),
        pytest.param(
            {"task_skew_ratio{task_id=map,signal=records}": 2.0},
            ["Records are spread unevenly: one subtask gets 2.0 times the mean."],
            id="its summary where too little is known for its clause",
        ),
        pytest.param(
            {"task_watermark_stalled_seconds{task_id=sink}": 500.0},
            ["The watermark of the sink stands still."],
            id="of one thing alone",
        ),
        pytest.param(
            {
                "task_watermark_stalled_seconds{task_id=sink}": 510.0,
                "task_watermark_stalled_seconds{task_id=source}": 500.0,
                "task_watermark_stalled_seconds{task_id=map}": 505.0,
            },
            ["The watermark of the source stands still."],
            id="what tasks pass on is told of the first of them, though it is worse further on",
        ),
        pytest.param(
            {"job_checkpoint_timeout_ratio": 0.856, "job_checkpoint_overdue_ratio": 0.8},
            ["No checkpoint has completed for long because checkpoints take 86% of their timeout."],
            id="with the value that was found",
        ),
    ],
)
def test_stories(values: dict[str, float], expected: list[str]) -> None:
    assert stories(values) == expected


def test_the_worst_task_stands_for_all_of_them() -> None:
    values = {"task_busy_max_ratio{task_id=sink}": 0.93, "task_busy_max_ratio{task_id=map}": 0.95}
    assert stories(values) == ["The map is busy 95% of its time."]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("Source: orders[1] -> Calc[2] -> sink", "Source: orders[1]", id="the first of a chain"),
        pytest.param("y" * 40, "Y" + "y" * 39, id="one of 40 characters"),
        pytest.param("y" * 41, "Y" + "y" * 38 + "…", id="one of more"),
    ],
)
def test_a_task_has_a_short_name_in_a_story(name: str, expected: str) -> None:
    assert stories({f"task_busy_max_ratio{{task_name={name}}}": 0.93}) == [f"{expected} is busy 93% of its time."]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(-3, "0 s", id="a clock that is behind"),
        pytest.param(119.4, "119 s", id="less than 2 min"),
        pytest.param(120, "2 min", id="2 min"),
        pytest.param(7_199, "120 min", id="less than 2 h"),
        pytest.param(7_200, "2 h", id="2 h"),
        pytest.param(172_799, "48 h", id="less than 2 d"),
        pytest.param(172_800, "2 d", id="2 d"),
    ],
)
def test_a_duration_is_told_in_the_unit_that_fits(seconds: float, expected: str) -> None:
    assert f"{Value(seconds):duration}" == expected


def test_a_value_that_is_no_duration_is_told_as_any_number() -> None:
    assert f"{Value(0.856):.0%} {Value(3.0):.0f}" == "86% 3"
