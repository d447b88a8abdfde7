"""Can every symptom be told of, found by its name, and traced to a cause?"""

from __future__ import annotations

import re
from collections import Counter

import pytest

from exporter.signals import SIGNALS
from exporter.symptoms import promql
from exporter.symptoms.base import Symptom
from exporter.symptoms.declarations import SYMPTOMS
from exporter.symptoms.wording import Value

NAMES = [symptom.name for symptom in SYMPTOMS]
PUBLISHED = {family for signal in SIGNALS for family in signal.families}

each = pytest.mark.parametrize("symptom", SYMPTOMS, ids=lambda symptom: symptom.name)


def repeated(names: list[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def test_names_and_alerts_are_unique() -> None:
    assert repeated(NAMES) == []
    assert repeated([symptom.alert for symptom in SYMPTOMS]) == []
    assert repeated([symptom.runbook for symptom in SYMPTOMS]) == []


@each
def test_a_cause_is_a_symptom_and_is_named_once(symptom: Symptom) -> None:
    assert set(symptom.explained_by) <= set(NAMES)
    assert repeated(list(symptom.explained_by)) == []
    assert symptom.name not in symptom.explained_by


# Some relations go round in truth too, and `explain` begins with the oldest. Any other circle is a slip.
CIRCLES = {
    # Each restart leaves classes behind, until there is no room for more, and the job restarts.
    frozenset({"restart_loop", "metaspace_high", "out_of_memory"}),
}


def test_causes_go_round_only_where_they_do_in_truth() -> None:
    causes = {symptom.name: set(symptom.explained_by) for symptom in SYMPTOMS}
    for _ in SYMPTOMS:  # the causes of causes, to the furthest
        causes = {name: found.union(*(causes[cause] for cause in found)) for name, found in causes.items()}
    assert {
        frozenset(c for c in found if name in causes[c]) for name, found in causes.items() if name in found
    } == CIRCLES


@each
def test_a_summary_can_be_told_by_python_and_by_prometheus(symptom: Symptom) -> None:
    assert symptom.summary.format(value=Value(0.5))
    assert not symptom.summary.endswith(".")
    template = promql.annotation(symptom.summary)
    assert re.sub(r"\{\{.*?\}\}", "", template).count("{") == 0


@each
def test_a_clause_can_be_told(symptom: Symptom) -> None:
    """Of labels, of what is shown and of what brought the job down; `share` is worked out of a task's parallelism."""
    labels = symptom.measure.family.all_labels
    words: dict[str, object] = dict.fromkeys(labels, "x") | dict.fromkeys(symptom.shows, Value(0.5))
    if "task_name" in labels:
        words |= {"task": "x", "share": 0.5}
    words["downfall"] = "x"
    assert symptom.clause.format(value=Value(0.5), **words)
    assert not symptom.clause.endswith(".")


@each
def test_what_it_speaks_of_is_published(symptom: Symptom) -> None:
    conditions = [condition.measure.family for condition in (*symptom.only, *symptom.unless)]
    families = {symptom.measure.family, *conditions, *symptom.shows.values(), *symptom.normal.values()}
    assert families <= PUBLISHED


@each
def test_what_is_normal_is_told_of_what_is_shown_and_in_its_unit(symptom: Symptom) -> None:
    for family, normal in symptom.normal.items():
        assert family in symptom.shows.values()
        assert family.name.rpartition("_")[2] == normal.name.rpartition("_")[2]


@each
def test_an_action_is_a_sentence(symptom: Symptom) -> None:
    assert symptom.action.endswith((".", "?"))
    assert "{" not in symptom.action  # Prometheus would take it for a template
