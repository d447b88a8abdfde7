"""Do colours change where the symptoms' declarations say, and nowhere else?"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from grafana_foundation_sdk.models.dashboard import Threshold

from exporter.symptoms.base import Above, Severity, Symptom
from exporter.symptoms.declarations import SYMPTOMS
from grafana import bounds
from grafana.bounds import COLOURS, GREEN, chosen, steps
from grafana.build import BOARDS
from grafana.queries import QueryError
from tests.grafana.boards import Json, board, panels

BY_NAME = {symptom.name: symptom for symptom in SYMPTOMS}
ANY = [symptom for symptom in SYMPTOMS if not symptom.measure.where]


def coloured(value: float, shown: list[Threshold]) -> str:
    """The colour that Grafana gives a value: of the last step that it has reached."""
    return [step.color for step in shown if step.value is None or value >= step.value][-1]


def due(value: float, symptom: Symptom) -> str:
    """The colour that a value should have: of the worst level that it passes, as far as a value alone can tell."""
    passed = {severity: bound for severity, bound in symptom.levels.items() if bound.passed(value)}
    if len({bound.threshold for bound in passed.values()}) < len(passed):
        passed.pop(Severity.CRITICAL)
    return COLOURS[max(passed, key=list(Severity).index)] if passed else GREEN


@pytest.mark.parametrize("symptom", ANY, ids=lambda symptom: symptom.name)
def test_colours_are_those_of_the_levels(symptom: Symptom) -> None:
    shown = steps([symptom])
    for bound in symptom.levels.values():
        whole = not symptom.measure.family.name.endswith(("_ratio", "_seconds", "_per_second"))
        step = 1.0 if whole else 1e-9
        values = [bound.threshold - step, bound.threshold + step]
        # A measured value is never quite the threshold; a count is.
        for value in [*values, bound.threshold] if whole else values:
            assert coloured(value, shown) == due(value, symptom), value


def test_two_symptoms_of_one_value_colour_it_together() -> None:
    shown = steps([BY_NAME["restarts_frequent"], BY_NAME["restart_loop"]])
    assert [coloured(value, shown) for value in (0, 2, 3, 4, 5)] == [GREEN, GREEN, "orange", "orange", "red"]


def test_a_symptom_judges_what_is_shown() -> None:
    with pytest.raises(QueryError, match="skew does not judge flink_health_job_restarts_recent"):
        chosen(["skew"], (BY_NAME["restart_loop"].measure.family,))
    with pytest.raises(QueryError, match="there is no symptom 'sloth'"):
        chosen(["sloth"], ())


@pytest.mark.parametrize("name", BOARDS)
def test_a_panel_has_the_thresholds_of_the_symptoms_that_it_names(name: str) -> None:
    for panel in panels(name):
        symptoms = [BY_NAME[link["title"].removeprefix("Runbook: ")] for link in panel["links"]]
        for symptom in symptoms:
            assert symptom.measure.family.name in panel["description"], panel["title"]
            assert bounds.said(symptom) in panel["description"]
        shown = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        if symptoms:
            assert shown == [step.to_json() for step in steps(symptoms)]


def test_no_threshold_stands_in_a_dashboard_alone() -> None:
    declared = {bound.threshold for symptom in SYMPTOMS for bound in symptom.levels.values()}
    declared |= {threshold + 0.5 for threshold in declared}
    # Where things are counted that should not be there at all.
    declared |= {1}
    for name in BOARDS:
        assert {step["value"] for step in _steps(board(name)) if step["value"] is not None} <= declared


def test_what_is_said_of_a_symptom() -> None:
    assert bounds.said(BY_NAME["checkpoint_slow"]).endswith(
        "/docs/runbook/checkpoint-slow.md): warning above 2 for 5m, critical above 5 for 10m."
    )
    assert isinstance(BY_NAME["checkpoint_slow"].warning, Above)


def _steps(part: object) -> Iterator[Json]:
    """Every threshold in a dashboard, of panels and of columns."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "steps":
                yield from value
            else:
                yield from _steps(value)
    elif isinstance(part, list):
        for value in part:
            yield from _steps(value)


def test_columns_have_thresholds_too() -> None:
    assert '"id": "thresholds"' in json.dumps(board("fleet.json"))
