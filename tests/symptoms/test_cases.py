"""Is said what must be said, when it must be said, and nothing else? The proof: each case, look after look."""

from __future__ import annotations

import pytest

from exporter.symptoms.declarations import SYMPTOMS
from tests.symptoms.build import followed, longest, of, said
from tests.symptoms.cases import CASES, Case


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_what_is_said_look_after_look(case: Case) -> None:
    until = longest(case.scene, case.says, case.symptom)
    for now, found, _ in followed(case.scene, [case.symptom], until):
        must = {whose: severity for whose, text in case.says.items() if (severity := said(text, now))}
        assert {of(finding): finding.severity for finding in found} == must, f"after {now:g} s"


def test_no_two_cases_are_called_the_same() -> None:
    assert len({case.id for case in CASES}) == len(CASES)


@pytest.mark.parametrize("symptom", SYMPTOMS, ids=lambda symptom: symptom.name)
def test_of_each_symptom_there_is_a_case_of_each_severity_and_one_of_none(symptom: object) -> None:
    mine = [case for case in CASES if case.symptom is symptom]
    said_of_it = {word for case in mine for text in case.says.values() for word in text.replace(",", "").split()}
    assert {str(severity) for severity in mine[0].symptom.levels} <= said_of_it
    assert any(not any(case.says.values()) for case in mine)
