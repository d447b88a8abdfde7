"""Does Prometheus say the same of the same series, by the rules that are made from the same declarations?

All cases run at once, each in clusters of its own, in one run of `promtool test rules`. Every level of every symptom is
compared at every look, of whatever case it is.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise

import pytest

from exporter.families import Row
from exporter.model import TERMINAL
from exporter.symptoms import promql
from exporter.symptoms.base import Severity, Symptom
from exporter.symptoms.declarations import SYMPTOMS
from exporter.symptoms.judge import Key, Memory, judge
from tests.promtool import ask
from tests.symptoms.build import BY_NAME, LOOK, Course, at, course, full, looks, series
from tests.symptoms.cases import CASES

# As long as what lasts an hour takes to begin and to end.
UNTIL = 75 * 60.0
LEVELS = [(symptom, severity) for symptom in SYMPTOMS for severity in symptom.levels]
# Every series of every case: its family and labels, and its course.
SERIES = [
    (family, (f"{number:03} {labels[0]}", *labels[1:]), course(text))
    for number, case in enumerate(CASES)
    for (family, labels), text in ((series(name), text) for name, text in full(case.scene).items())
]
Verdicts = Mapping[float, set[Key]]


def test_the_courses_end_before_the_comparison() -> None:
    assert max(since for _, _, steps in SERIES for since, _ in steps) < UNTIL


@pytest.fixture(scope="module")
def judged() -> Verdicts:
    """Which levels hold at each look, as the exporter judges.

    What is gone or has ended is not ill any more at that look, and there is no finding of it. Prometheus cannot know
    that: it keeps the alert of a series that has ended for as long as that of one that is well again. This is the only
    difference, and it is meant. Of what is gone, what is remembered of it is compared, which is what Prometheus keeps.
    """
    verdicts: dict[float, set[Key]] = {}
    memory: Memory = {}
    for now in looks(UNTIL):
        rows = [Row(family, labels, value) for family, labels, steps in SERIES if (value := at(steps, now)) is not None]
        findings, memory = judge(rows, SYMPTOMS, memory, now)
        verdicts[now] = {key for key, standing in memory.items() if standing.holds}
        told = {Key(found.symptom.name, found.severity, found.entity) for found in findings}
        assert told == set(_highest(verdicts[now], rows)), f"after {now:g} s"
    return verdicts


def _highest(holding: set[Key], rows: list[Row]) -> Iterator[Key]:
    """What is told of what holds: of each symptom the highest level, and nothing of what is gone or has ended."""
    there = {row.labels[:length] for row in rows for length in (1, 3)}
    ended = {
        row.labels[:3] for row in rows if row.family.name == "flink_health_job_state" and row.labels[3] in TERMINAL
    }
    for key in holding:
        higher = key._replace(severity=Severity.CRITICAL)
        if (key == higher or higher not in holding) and (key.entity in there - ended or key.symptom == "job_failed"):
            yield key


@pytest.fixture(scope="module")
def disagreements(judged: Verdicts, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[str]]:
    """What Prometheus says otherwise, by the query that shows it."""
    folder = tmp_path_factory.mktemp("rules")
    groups = [{"name": "flink-health", "rules": list(promql.alerts(SYMPTOMS, "https://example.org/{name}"))}]
    (folder / "rules.yml").write_text(json.dumps({"groups": groups}))
    (folder / "test.yml").write_text(json.dumps(_test(judged)))
    run = ask("test", "rules", "test.yml", folder=folder)
    said: dict[str, list[str]] = defaultdict(list)
    for failed in re.finditer(
        r'expr: ("(?:[^"\\]|\\.)*"), time: (\w+),\s*exp:(.*)\n\s*got:(.*)', run.stderr + run.stdout
    ):
        said[json.loads(failed[1])].append(f"after {failed[2]}: judged{failed[3]}, by the rule{failed[4]}")
    assert (run.returncode == 0) == (not said), run.stderr + run.stdout
    return said


def _test(verdicts: Verdicts) -> dict[str, object]:
    """The cases as promtool has them. Looks are evaluations, and Prometheus has read the same values just before."""
    return {
        "rule_files": ["rules.yml"],
        "evaluation_interval": f"{LOOK:g}s",
        "tests": [
            {
                "interval": f"{LOOK:g}s",
                "input_series": [
                    # The exporter's own labels, which the rules are to leave out.
                    {
                        "series": _series(
                            family.name, family.all_labels, labels, job="flink", instance="exporter:9449"
                        ),
                        "values": " ".join(_values(steps)),
                    }
                    for family, labels, steps in SERIES
                ],
                "promql_expr_test": [
                    {
                        "expr": _firing(symptom, severity),
                        "eval_time": f"{now:g}s",
                        "exp_samples": [
                            {"labels": _alert(key), "value": 1}
                            for key in sorted(keys)
                            if (key.symptom, key.severity) == (symptom.name, severity)
                        ],
                    }
                    for now, keys in verdicts.items()
                    for symptom, severity in LEVELS
                ],
            }
        ],
    }


def _values(steps: Course) -> Iterator[str]:
    """A value a look. Where a series ends Prometheus marks it stale, for it is missing from the page; where it has not
    begun there is nothing."""
    there = False
    for now in looks(UNTIL):
        value = at(steps, now)
        yield repr(value) if value is not None else "stale" if there else "_"
        there = value is not None


def _series(name: str, names: tuple[str, ...], values: tuple[str, ...], **more: str) -> str:
    labels = {**dict(zip(names, values, strict=True)), **more}
    return f"{name}{{{','.join(f'{label}={json.dumps(value)}' for label, value in labels.items())}}}"


def _firing(symptom: Symptom, severity: Severity) -> str:
    return f'ALERTS{{alertname="{symptom.alert}",alertstate="firing",severity="{severity}"}}'


def _alert(key: Key) -> str:
    symptom = BY_NAME[key.symptom]
    more = {"alertname": symptom.alert, "alertstate": "firing", "severity": key.severity, "symptom": key.symptom}
    return _series("ALERTS", symptom.labels, key.entity, **more)


@pytest.mark.parametrize(("symptom", "severity"), LEVELS, ids=lambda value: getattr(value, "name", value))
def test_rule_and_verdict_agree(symptom: Symptom, severity: Severity, disagreements: Mapping[str, list[str]]) -> None:
    assert disagreements.get(_firing(symptom, severity), []) == []


@pytest.mark.parametrize(("symptom", "severity"), LEVELS, ids=lambda value: getattr(value, "name", value))
def test_each_level_begins_and_ends_somewhere(symptom: Symptom, severity: Severity, judged: Verdicts) -> None:
    """Of what never holds it would be easy to agree."""
    holds = [
        {key.entity for key in keys if (key.symptom, key.severity) == (symptom.name, severity)}
        for keys in judged.values()
    ]
    assert any(before < after for before, after in pairwise(holds))
