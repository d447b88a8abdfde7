"""How is one symptom judged: what is remembered, what is told of it, and on what evidence?"""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from exporter.symptoms.base import Above, Below, Condition, Measure, Severity, Symptom, SymptomError
from exporter.symptoms.declarations import SYMPTOMS
from exporter.symptoms.judge import Finding, Key, Memory, Standing, judge
from exporter.symptoms.judgement import Judge
from tests.symptoms.build import BY_NAME, FAMILIES, Scene, cluster, followed, job, row

# Critical may come first: it lasts less long.
HEAP = replace(BY_NAME["heap_high"], warning=Above(0.85, lasting=600), critical=Above(0.95, lasting=300), calm=120)
BUSY = BY_NAME["task_saturated"]  # a warning above 0.9 for 10 min
DROP = BY_NAME["throughput_drop"]  # a warning below 0.5 for 10 min, of all tasks


def last(scene: Scene, symptom: Symptom, minutes: float) -> Finding | None:
    """What is found at the last of the looks of so many minutes."""
    *_, (_, found, _) = followed(scene, [symptom], minutes * 60)
    assert len(found) < 2
    return found[0] if found else None


def told(scene: Scene, symptom: Symptom, minutes: float) -> Finding:
    found = last(scene, symptom, minutes)
    assert found is not None
    return found


# ---- What a finding says


def test_a_finding_says_since_when_its_threshold_was_passed() -> None:
    found = told({"taskmanager_heap_floor_ratio": "0.5, 1m 0.9"}, HEAP, 15)
    assert (found.severity, found.since, found.value) == (Severity.WARNING, 60, 0.9)
    assert (found.bound.threshold, found.entity) == (0.85, ("prod", "tm-1", "host of tm-1"))


def test_a_warning_that_becomes_critical_keeps_its_since_and_says_the_other_threshold() -> None:
    found = told({"taskmanager_heap_floor_ratio": "0.5, 1m 0.9, 15m 0.96"}, HEAP, 20)
    assert (found.severity, found.since, found.bound.threshold) == (Severity.CRITICAL, 60, 0.95)


def test_what_is_critical_before_it_was_a_warning_for_long_enough_began_with_the_warning_all_the_same() -> None:
    scene = {"taskmanager_heap_floor_ratio": "0.5, 1m 0.9, 3m 0.96"}
    assert told(scene, HEAP, 8).since == 60
    assert told(scene, HEAP, 12).since == 60  # the warning has lasted as well by now: nothing has changed


def test_what_is_a_warning_again_keeps_its_since() -> None:
    found = told({"taskmanager_heap_floor_ratio": "0.5, 1m 0.96, 9m 0.9"}, HEAP, 14)
    assert (found.severity, found.since, found.value) == (Severity.WARNING, 60, 0.9)


def test_a_symptom_keeps_its_since_while_it_flickers() -> None:
    found = told({"taskmanager_heap_floor_ratio": "0.9, 11m 0.5, 12m 0.9"}, HEAP, 13)
    assert (found.since, found.ending) == (0, False)


def test_a_symptom_that_is_over_says_so_until_it_ends_with_what_was_seen_last() -> None:
    scene = {"taskmanager_heap_floor_ratio": "0.9, 10m30s 0.88, 11m 0.5"}
    found = told(scene, HEAP, 12.75)
    assert (found.ending, found.value, found.evidence) == (True, 0.88, (row("taskmanager_heap_floor_ratio", 0.88),))
    assert last(scene, HEAP, 13) is None


def test_two_tasks_that_are_ill_are_one_finding_with_the_worst_first() -> None:
    scene = {
        "task_busy_max_ratio{task_id=map}": "0.95",
        "task_busy_max_ratio{task_id=well}": "0.2",
        "task_busy_max_ratio{task_id=sink}": "0.97",
        "task_busy_max_ratio{task_id=edge}": "0.9",
    }
    found = told(scene, BUSY, 10)
    sink, map_ = "task_busy_max_ratio{task_id=sink}", "task_busy_max_ratio{task_id=map}"
    assert (found.value, found.evidence) == (0.97, (row(sink, 0.97), row(map_, 0.95)))


def test_where_little_is_wrong_the_least_is_the_worst_evidence_and_the_most_the_value() -> None:
    """All of the job's tasks have to do less than half, so the one that does most decides."""
    scene = {"task_throughput_ratio{task_id=map}": "0.4", "task_throughput_ratio{task_id=sink}": "0.1"}
    found = told(scene, DROP, 20)
    assert [line.value for line in found.evidence] == [0.1, 0.4]
    assert found.value == 0.4


def test_each_taskmanager_has_a_finding_of_its_own() -> None:
    scene = {"taskmanager_gc_time_ratio": "0.9", "taskmanager_gc_time_ratio{tm_id=tm-2}": "0.4"}
    *_, (_, found, _) = followed(scene, [BY_NAME["gc_pressure"]], 300)
    severities = {finding.entity[1]: finding.severity for finding in found}
    assert severities == {"tm-1": Severity.CRITICAL, "tm-2": Severity.WARNING}


def test_findings_come_in_the_order_of_the_symptoms_then_of_the_rows() -> None:
    scene = {
        "taskmanager_metaspace_used_ratio": "0.95",
        **{f"taskmanager_heap_floor_ratio{{tm_id=tm-{number}}}": "0.9" for number in (3, 1, 2)},
    }
    *_, (_, found, _) = followed(scene, SYMPTOMS, 900)
    names = [(finding.symptom.name, finding.entity[1]) for finding in found]
    heaps = [("heap_high", "tm-3"), ("heap_high", "tm-1"), ("heap_high", "tm-2")]
    assert names == [*heaps, ("metaspace_high", "tm-1")]


# ---- What is remembered

KEY = Key("heap_high", Severity.WARNING, ("prod", "tm-1", "host of tm-1"))
FULL, EMPTY = row("taskmanager_heap_floor_ratio", 0.9), row("taskmanager_heap_floor_ratio", 0.5)


@pytest.mark.parametrize(
    ("before", "seen", "after"),
    [
        pytest.param(None, EMPTY, None, id="nothing of what is well"),
        pytest.param(None, None, None, id="nothing of what is not there"),
        pytest.param(None, FULL, Standing(1000, (FULL,)), id="since when a threshold is passed"),
        pytest.param(
            Standing(415, (FULL,)), FULL, Standing(415, (FULL,)), id="pending for 9 min 45 s: it does not hold yet"
        ),
        pytest.param(Standing(400, (FULL,)), FULL, Standing(400, (FULL,), True), id="pending for 10 min: it holds"),
        pytest.param(Standing(400, (FULL,)), EMPTY, None, id="pending, and well again: forgotten"),
        pytest.param(Standing(400, (FULL,)), None, None, id="pending, and not there: forgotten"),
        pytest.param(
            Standing(0, (FULL,), True), EMPTY, Standing(0, (FULL,), True, 1000), id="held, and well: over since now"
        ),
        pytest.param(
            Standing(0, (FULL,), True), None, Standing(0, (FULL,), True, 1000), id="held, and not there: over since now"
        ),
        pytest.param(
            Standing(0, (FULL,), True, 881),
            EMPTY,
            Standing(0, (FULL,), True, 881),
            id="over for 1 min 59 s: it may come back",
        ),
        pytest.param(Standing(0, (FULL,), True, 880), EMPTY, None, id="over for 2 min: forgotten"),
        pytest.param(
            Standing(900, (FULL,), True), FULL, Standing(900, (FULL,), True), id="held, and the clock was set back"
        ),
        pytest.param(
            Standing(0, (FULL,), True, 900), FULL, Standing(0, (FULL,), True), id="over, and back: as if never over"
        ),
    ],
)
def test_what_is_remembered_of_a_level(before: Standing | None, seen: object, after: Standing | None) -> None:
    memory = {} if before is None else {KEY: before}
    _, kept = judge([] if seen is None else [seen], [HEAP], memory, 1000.0)  # type: ignore[list-item]
    assert dict(kept) == ({} if after is None else {KEY: after})


def test_the_memory_that_goes_in_stays_what_it_was() -> None:
    memory: Memory = {KEY: Standing(400, (FULL,)), KEY._replace(severity=Severity.CRITICAL): Standing(0, (FULL,), True)}
    before = copy.deepcopy(memory)
    once = judge([FULL], SYMPTOMS, memory, 1000.0)
    assert memory == before
    assert judge([FULL], SYMPTOMS, memory, 1000.0) == once


def test_what_is_gone_is_remembered_no_longer_than_what_is_well() -> None:
    scene = {"taskmanager_heap_floor_ratio": "0.9, 11m -"}
    kept = {now: len(memory) for now, _, memory in followed(scene, SYMPTOMS, 900)}
    assert (kept[12.75 * 60], kept[13 * 60]) == (1, 0)


def test_a_symptom_that_is_no_longer_judged_is_forgotten() -> None:
    _, kept = judge([FULL], [BUSY], {KEY: Standing(0, (FULL,), True)}, 1000.0)
    assert kept == {}


def test_uneven_looks_count_by_the_clock() -> None:
    """Of a slow cluster there is a look in 40 s: 15 looks of 40 s are 10 min."""
    memory: Memory = {}
    seen = []
    for number in range(17):
        found, memory = judge([FULL], [HEAP], memory, number * 40.0)
        seen.append(bool(found))
    assert seen == [False] * 15 + [True] * 2


# ---- Conditions

_NEITHER: dict[str, object] = {"summary": "s", "clause": "c", "action": "a", "deduction": 0.1}
BUSY_MAX, RESTARTS = FAMILIES["flink_health_task_busy_max_ratio"], FAMILIES["flink_health_job_restarts_recent"]


def symptom(**different: object) -> Symptom:
    """A symptom of a job that has a busy task, but for what is different."""
    given = {"name": "busy", "entity": "job", "measure": Measure(BUSY_MAX), "warning": Above(0.5), **_NEITHER}
    return Symptom(**{**given, **different})  # type: ignore[arg-type]


RESTARTED = Condition(Measure(RESTARTS), Above(0))


@pytest.mark.parametrize(
    ("conditions", "others", "holds"),
    [
        pytest.param({"only": (RESTARTED,)}, {"job_restarts_recent": 1.0}, True, id="what must be is"),
        pytest.param({"only": (RESTARTED,)}, {"job_restarts_recent": 0.0}, False, id="what must be is not"),
        pytest.param({"only": (RESTARTED,)}, {}, False, id="what must be is not known"),
        pytest.param(
            {"only": (RESTARTED,)}, {"job_restarts_recent{job_id=job-2}": 1.0}, False, id="what must be is, elsewhere"
        ),
        pytest.param({"unless": (RESTARTED,)}, {"job_restarts_recent": 1.0}, False, id="what must not be is"),
        pytest.param({"unless": (RESTARTED,)}, {"job_restarts_recent": 0.0}, True, id="what must not be is not"),
        pytest.param({"unless": (RESTARTED,)}, {}, True, id="what must not be is not known"),
        pytest.param(
            {"only": (Condition(Measure(RESTARTS), Above(0), on=("cluster",)),)},
            {"job_restarts_recent{job_id=job-2}": 1.0},
            True,
            id="what must be is, in the same cluster",
        ),
        pytest.param(
            {"only": (RESTARTED, Condition(Measure(RESTARTS), Below(3)))},
            {"job_restarts_recent": 3.0},
            False,
            id="one of two that must be is not",
        ),
        pytest.param(
            {"unless": (Condition(Measure(RESTARTS), Above(5)), RESTARTED)},
            {"job_restarts_recent": 3.0},
            False,
            id="one of two that must not be is",
        ),
        pytest.param(
            {"only": (Condition(Measure(BUSY_MAX), Below(0.2)),)},
            {"task_busy_max_ratio{task_id=sink}": 0.1},
            True,
            id="one task of several that is as it must be",
        ),
        pytest.param(
            {"only": (Condition(Measure(BUSY_MAX, every=True), Below(0.2)),)},
            {"task_busy_max_ratio{task_id=sink}": 0.1},
            False,
            id="not every task is as it must be",
        ),
    ],
)
def test_conditions(conditions: dict[str, object], others: dict[str, float], holds: bool) -> None:
    rows = [row(name, value) for name, value in {"task_busy_max_ratio": 0.6, **others}.items()]
    found, _ = judge(rows, [symptom(**conditions)], {}, 0.0)
    assert bool(found) == holds


def test_one_of_several_label_values_will_do() -> None:
    status = FAMILIES["flink_health_source_lag_status"]
    either = symptom(measure=Measure(status, {"status": ("growing", "stalled")}), warning=Above(0))
    assert judge([row("source_lag_status{status=stalled}", 1)], [either], {}, 0.0)[0]
    assert not judge([row("source_lag_status{status=ok}", 1)], [either], {}, 0.0)[0]


# ---- Declarations


@pytest.mark.parametrize(
    ("different", "says"),
    [
        pytest.param({"name": "Too busy"}, "Too busy: expected a name such as checkpoint_slow", id="name"),
        pytest.param({"entity": "task"}, "busy: 'task' has no symptoms", id="entity"),
        pytest.param({"warning": None}, "busy: expected a level: warning, critical or both", id="no level"),
        pytest.param({"critical": Below(0.1)}, "busy: a value cannot be too high and too low", id="both ways"),
        pytest.param({"deduction": 0.0}, "busy: expected a deduction above 0, at most 1", id="takes nothing"),
        pytest.param({"deduction": 1.1}, "busy: expected a deduction above 0, at most 1", id="takes too much"),
        pytest.param(
            {"entity": "taskmanager"},
            "busy: flink_health_task_busy_max_ratio has only the labels cluster, job_id, job_name, task_id, task_name",
            id="a family that does not tell whose it is",
        ),
        pytest.param(
            {"only": (Condition(Measure(RESTARTS, {"reason": "gc"}), Above(0)),)},
            "busy: flink_health_job_restarts_recent has only the labels cluster, job_id, job_name",
            id="a label that there is not",
        ),
    ],
)
def test_a_declaration_that_cannot_be(different: dict[str, object], says: str) -> None:
    with pytest.raises(SymptomError) as raised:
        symptom(**different)
    assert str(raised.value) == says


@pytest.mark.parametrize("symptom", SYMPTOMS, ids=lambda symptom: symptom.name)
def test_a_critical_value_is_worse_than_a_warning_or_lasts_longer(symptom: Symptom) -> None:
    """Else what is critical might be no warning, or every warning critical."""
    mild, grave = symptom.warning, symptom.critical
    if mild is None or grave is None:
        return
    apart = (grave.threshold - mild.threshold) * (1 if isinstance(mild, Above) else -1)
    assert apart > 0 or (apart == 0 and grave.lasting > mild.lasting)


def test_alert_and_runbook_are_named_after_it() -> None:
    assert (BY_NAME["taskmanager_lost"].alert, BY_NAME["taskmanager_lost"].runbook) == (
        "FlinkTaskManagerLost",
        "taskmanager-lost",
    )


def test_a_hurried_symptom_lasts_and_calms_in_less_time_and_has_the_same_thresholds() -> None:
    hurried = HEAP.hurried(0.1)
    assert (hurried.warning, hurried.critical, hurried.calm) == (Above(0.85, 60), Above(0.95, 30), 12)


# ---- One cluster, look after look


def test_a_judge_remembers_from_look_to_look() -> None:
    judging = Judge([HEAP])
    told = [judging.judge(cluster(), [FULL], number * 300.0) for number in range(3)]
    assert [[found.symptom.name for found in each.findings] for each in told] == [[], [], ["heap_high"]]
    labels = ("prod", "tm-1", "host of tm-1", "heap_high", "warning")
    assert [(line.labels, line.value) for line in told[-1].rows] == [(labels, 1.0)]


def test_a_judgement_that_fails_is_its_own_loss_and_forgets_nothing() -> None:
    judging = Judge([HEAP])
    judging.judge(cluster(), [FULL], 0.0)
    failed = judging.judge(cluster(), [None], 300.0)  # type: ignore[list-item]
    assert (failed.findings, failed.rows, type(failed.failure)) == ((), (), AttributeError)
    assert [found.since for found in judging.judge(cluster(), [FULL], 600.0).findings] == [0.0]


def test_a_judgement_holds_findings_scores_and_trends() -> None:
    rows = [row("job_coverage_ratio", 1.0), row("job_config_issue{check=checkpointing_disabled}", 1.0)]
    judging = Judge(SYMPTOMS)
    judging.judge(cluster(job("source > sink")), rows, 0.0)
    judged = judging.judge(cluster(job("source > sink")), rows, 300.0)
    told = {line.family.name.removeprefix("flink_health_"): line.value for line in judged.rows}
    assert told == {"job_symptom": 1.0, "job_score_ratio": 0.9, "job_score_deduction_ratio": 0.1}
    assert [(line.title, line.points) for line in judged.trends["job-1"]] == [("score", ((0.0, 1.0), (300.0, 0.9)))]
