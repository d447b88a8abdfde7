"""Does a family that breaks the grammar not even import, and does only a family make its sample?"""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from exporter.families import FORBIDDEN, IDENTITY, Family, FamilyError, Kind, Sample, shown


def family(name: str = "flink_health_job_checkpoint_age_seconds", **different: Any) -> Family:
    """One that is right, but for what is different."""
    return Family(**{"name": name, "help": "How old it is.", "formula": "now less then", **different})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param("flink_health_cluster_up", Kind.GAUGE, id="one word"),
        pytest.param("flink_health_job_checkpoint_age_seconds", Kind.GAUGE, id="with its unit"),
        pytest.param("flink_health_task_latency_p99_seconds", Kind.GAUGE, id="a digit in a word"),
        pytest.param("flink_health_source_lag_records", Kind.GAUGE, id="a source"),
        pytest.param("flink_health_taskmanager_heap_used_ratio", Kind.GAUGE, id="a TaskManager"),
        pytest.param("flink_health_jobmanager_heap_used_ratio", Kind.GAUGE, id="a JobManager"),
        pytest.param("flink_health_job_checkpoint_failures_total", Kind.COUNTER, id="a counter"),
        pytest.param("flink_health_cluster_info", Kind.INFO, id="an info"),
        pytest.param("flink_health_task_items_seconds", Kind.GAUGE, id="ms inside a word is no unit"),
    ],
)
def test_a_good_name(name: str, kind: Kind) -> None:
    assert family(name, kind=kind).name == name


GRAMMAR = "expected flink_health_<entity>_<what>, entity one of cluster, jobmanager, taskmanager, job, task, source"
UNITS = "expected base units: seconds, bytes, ratio"
COUNTERS = "counters, and only counters, end in _total"
INFOS = "info families, and only they, end in _info"
SENTENCE = "expected a help sentence and a formula"


@pytest.mark.parametrize(
    ("name", "different", "problem"),
    [
        pytest.param("flink_job_age_seconds", {}, GRAMMAR, id="another prefix"),
        pytest.param("flink_health_vertex_age_seconds", {}, GRAMMAR, id="no such entity"),
        pytest.param("flink_health_job", {}, GRAMMAR, id="nothing is said of the entity"),
        pytest.param("flink_health_job_", {}, GRAMMAR, id="nor here"),
        pytest.param("flink_health_job_Age_seconds", {}, GRAMMAR, id="a capital"),
        pytest.param("flink_health_job_age__seconds", {}, GRAMMAR, id="two underscores"),
        pytest.param("flink_health_job_age_seconds_", {}, GRAMMAR, id="an underscore at the end"),
        pytest.param("flink_health_job_9_lives", {}, GRAMMAR, id="a digit first"),
        pytest.param("flink_health_job_age:seconds", {}, GRAMMAR, id="a colon is a recording rule's"),
        pytest.param("flink_health_job_age_seconds\n", {}, GRAMMAR, id="a line break at the end"),
        pytest.param("flink_health_job_age_ms", {}, UNITS, id="milliseconds"),
        pytest.param("flink_health_job_age_ms_max", {}, UNITS, id="milliseconds in the middle"),
        pytest.param("flink_health_job_age_milliseconds", {}, UNITS, id="milliseconds in full"),
        pytest.param("flink_health_job_age_minutes", {}, UNITS, id="minutes"),
        pytest.param("flink_health_job_age_hours", {}, UNITS, id="hours"),
        pytest.param("flink_health_job_busy_percent", {}, UNITS, id="percent"),
        pytest.param("flink_health_job_state_megabytes", {}, UNITS, id="megabytes"),
        pytest.param("flink_health_job_state_kb", {}, UNITS, id="kilobytes"),
        pytest.param("flink_health_job_failures_total", {}, COUNTERS, id="a gauge called total"),
        pytest.param("flink_health_job_failures", {"kind": Kind.COUNTER}, COUNTERS, id="a counter not called total"),
        pytest.param("flink_health_cluster_info", {}, INFOS, id="a gauge called info"),
        pytest.param("flink_health_cluster_version", {"kind": Kind.INFO}, INFOS, id="an info not called info"),
        pytest.param("flink_health_job_x", {"help": "How old"}, SENTENCE, id="help that is no sentence"),
        pytest.param("flink_health_job_x", {"help": ""}, SENTENCE, id="no help"),
        pytest.param("flink_health_job_x", {"formula": ""}, SENTENCE, id="no formula"),
        pytest.param("flink_health_job_x", {"labels": ("Phase",)}, "'Phase' may not be a label", id="a capital label"),
        pytest.param("flink_health_job_x", {"labels": ("",)}, "'' may not be a label", id="an empty label"),
        pytest.param("flink_health_job_x", {"labels": ("__x",)}, "'__x' may not be a label", id="Prometheus's own"),
        pytest.param("flink_health_job_x", {"labels": ("a", "a")}, "a label stands twice", id="a label twice"),
        pytest.param("flink_health_job_x", {"labels": ("job_id",)}, "a label stands twice", id="a label of the entity"),
    ],
)
def test_a_family_that_breaks_the_grammar(name: str, different: dict[str, Any], problem: str) -> None:
    with pytest.raises(FamilyError) as raised:
        family(name, **different)
    assert str(raised.value) == f"{name}: {problem}"


@pytest.mark.parametrize("label", ["subtask", "subtask_index", "attempt", "execution_id", "exception", "url", "path"])
def test_what_has_no_bound_is_never_a_label(label: str) -> None:
    assert label in FORBIDDEN
    with pytest.raises(FamilyError) as raised:
        family(labels=("phase", label))
    assert str(raised.value) == f"flink_health_job_checkpoint_age_seconds: {label!r} may not be a label"


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        # The contract's, word for word: joins with Flink's own metrics stand on them.
        ("flink_health_cluster_up", ("cluster",)),
        ("flink_health_jobmanager_heap_used_ratio", ("cluster",)),
        ("flink_health_taskmanager_heap_used_ratio", ("cluster", "tm_id", "host")),
        ("flink_health_job_x", ("cluster", "job_id", "job_name")),
        ("flink_health_task_x", ("cluster", "job_id", "job_name", "task_id", "task_name")),
        ("flink_health_source_x", ("cluster", "job_id", "job_name", "task_id", "task_name", "operator_name")),
    ],
)
def test_identity_comes_first(name: str, labels: tuple[str, ...]) -> None:
    assert family(name).all_labels == labels
    assert family(name, labels=("b", "a")).all_labels == (*labels, "b", "a")
    assert family(name).entity in IDENTITY


def test_a_sample() -> None:
    skew = family("flink_health_task_skew_ratio", labels=("signal", "form"))
    assert skew.sample(4, signal="records", form="max") == Sample(skew, 4.0, ("records", "max"))
    # In the order of the family, whatever the order of the call.
    assert skew.sample(4, form="max", signal="records") == Sample(skew, 4.0, ("records", "max"))


@pytest.mark.parametrize("value", [0, -1, 0.5, 1e300, -5.0])
def test_every_finite_value_is_one(value: float) -> None:
    assert family().sample(value).value == value


def test_a_truth_is_a_number() -> None:
    assert repr(family().sample(True).value) == "1.0"


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_what_is_unknown_is_no_sample(value: float) -> None:
    with pytest.raises(FamilyError) as raised:
        family().sample(value)
    name = "flink_health_job_checkpoint_age_seconds"
    assert str(raised.value) == f"{name}: {value} is not a value: what is unknown is absent"


@pytest.mark.parametrize(
    ("given", "got"),
    [
        pytest.param({}, "()", id="none"),
        pytest.param({"signal": "records"}, "('signal',)", id="too few"),
        pytest.param({"signal": "records", "x": "y"}, "('signal', 'x')", id="another"),
        pytest.param({"signal": "a", "form": "b", "job_id": "c"}, "('signal', 'form', 'job_id')", id="too many"),
    ],
)
def test_the_labels_are_those_that_were_declared(given: dict[str, str], got: str) -> None:
    skew = family("flink_health_task_skew_ratio", labels=("signal", "form"))
    with pytest.raises(FamilyError) as raised:
        skew.sample(1, **given)
    expected = "expected the labels ('signal', 'form')"
    assert str(raised.value) == f"flink_health_task_skew_ratio: {expected}, got {got}"


def test_a_name_is_cut() -> None:
    assert shown("x" * 81) == "x" * 80
    assert shown("x" * 80) == "x" * 80
