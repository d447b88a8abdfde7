"""Do the symptoms become what the settings say, and stay as they are declared where these say nothing?"""

from __future__ import annotations

import pytest

from exporter.config_symptoms import Symptoms
from exporter.signals import checkpoint, restarts
from exporter.symptoms.base import Above, Below, Bound, Condition, Measure, Severity, Symptom, SymptomError
from exporter.symptoms.declarations import SYMPTOMS
from exporter.symptoms.tuning import tuned

SLOW = Symptom(
    name="slow",
    entity="job",
    measure=Measure(checkpoint.DURATION_RATIO),
    warning=Above(2, lasting=300),
    critical=Above(5, lasting=600),
    calm=120,
    summary="slow",
    clause="slow",
    action="Hurry.",
    deduction=0.15,
)
LOW = Symptom(
    name="low",
    entity="job",
    measure=Measure(checkpoint.DURATION_RATIO),
    critical=Below(1, lasting=60),
    calm=0,
    summary="low",
    clause="low",
    action="Fill up.",
    deduction=0.3,
)


def wanted(**said: object) -> dict[str, Symptom]:
    return {symptom.name: symptom for symptom in tuned((SLOW, LOW), Symptoms.model_validate(said))}


def changed(name: str, **said: object) -> Symptom:
    return wanted(overrides={name: said})[name]


def test_the_defaults_change_nothing() -> None:
    assert tuned(SYMPTOMS, Symptoms()) == SYMPTOMS


def test_a_disabled_symptom_is_gone_and_the_others_keep_their_order() -> None:
    disabled = SYMPTOMS[1].name
    assert tuned(SYMPTOMS, Symptoms(disabled=(disabled,))) == (SYMPTOMS[0], *SYMPTOMS[2:])


@pytest.mark.parametrize(
    ("said", "warning", "critical"),
    [
        pytest.param({"warning": {"threshold": 3}}, Above(3, 300), Above(5, 600), id="another threshold"),
        pytest.param({"warning": {"lasting": "10m"}}, Above(2, 600), Above(5, 600), id="another duration: 600 s"),
        pytest.param(
            {"critical": {"threshold": 9, "lasting": "0s"}}, Above(2, 300), Above(9, 0), id="both of the other level"
        ),
        pytest.param({"critical": "off"}, Above(2, 300), None, id="no critical level"),
        pytest.param({"warning": "off"}, None, Above(5, 600), id="no warning"),
        pytest.param({}, Above(2, 300), Above(5, 600), id="nothing"),
    ],
)
def test_a_level(said: dict[str, object], warning: Bound | None, critical: Bound | None) -> None:
    symptom = changed("slow", **said)
    assert (symptom.warning, symptom.critical) == (warning, critical)


def test_a_level_that_a_symptom_gets_is_passed_on_the_side_of_the_other() -> None:
    symptom = changed("low", warning={"threshold": 3, "lasting": "5m"})
    assert symptom.levels == {Severity.WARNING: Below(3, 300), Severity.CRITICAL: Below(1, 60)}


def test_its_only_level_can_be_changed_for_the_other() -> None:
    symptom = changed("low", critical="off", warning={"threshold": 3, "lasting": "5m"})
    assert symptom.levels == {Severity.WARNING: Below(3, 300)}


def test_calm_and_deduction() -> None:
    symptom = changed("slow", calm="0s", deduction=0.4)
    assert (symptom.calm, symptom.deduction) == (0, 0.4)
    assert symptom.levels == SLOW.levels
    assert wanted(overrides={"slow": {"calm": "0s"}})["low"] == LOW


def test_patience_multiplies_all_that_must_last() -> None:
    # Half of 300 s, 600 s and 120 s; what is overridden is hurried too: half of 60 s.
    assert wanted(patience=0.5)["slow"].levels == {Severity.WARNING: Above(2, 150), Severity.CRITICAL: Above(5, 300)}
    assert wanted(patience=0.5)["slow"].calm == 60
    hurried = wanted(patience=0.5, overrides={"slow": {"critical": {"lasting": "1m"}}})["slow"]
    assert hurried.critical == Above(5, 30)


def frequent(**said: object) -> tuple[Condition, ...]:
    """The conditions under which restarts are not called frequent."""
    (found,) = [each for each in tuned(SYMPTOMS, Symptoms.model_validate(said)) if each.name == "restarts_frequent"]
    return tuple(condition for condition in found.unless if condition.measure.family is restarts.RECENT)


def test_where_a_loop_begins_elsewhere_frequent_restarts_end_there() -> None:
    (condition,) = frequent(overrides={"restart_loop": {"warning": {"threshold": 7}}})
    assert condition.bound == Above(7)


def test_a_loop_without_a_warning_begins_where_it_is_critical() -> None:
    (condition,) = frequent(overrides={"restart_loop": {"warning": "off", "critical": {"threshold": 9}}})
    assert condition.bound == Above(9)


def test_where_nobody_wants_to_know_of_loops_they_are_frequent_restarts() -> None:
    assert frequent(disabled=["restart_loop"]) == ()


@pytest.mark.parametrize(
    ("name", "said", "problem"),
    [
        pytest.param(
            "low",
            {"warning": {"threshold": 3}},
            "low: a level that it does not have needs a threshold and a duration",
            id="half of a level",
        ),
        pytest.param(
            "low", {"critical": "off"}, "low: expected a level: warning, critical or both", id="no level is left"
        ),
    ],
)
def test_what_cannot_be(name: str, said: dict[str, object], problem: str) -> None:
    """The configuration says so first, with the line of the file."""
    with pytest.raises(SymptomError) as caught:
        changed(name, **said)
    assert str(caught.value) == problem
