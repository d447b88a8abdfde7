"""A case of an alert: series as Prometheus would have scraped them, and which alerts there are after a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.promtool import promtool
from tests.rules.files import alerts, groups, named


@dataclass(frozen=True)
class Fires:
    """An alert that is expected. says: the part of its summary that matters; labels: all but those of the rule."""

    severity: str
    labels: Mapping[str, str]
    summary: str


@dataclass(frozen=True)
class Case:
    """says: what is the matter, in a sentence. series: by selector, values in promtool's notation. at: when it is
    looked. every: between two values, and between two looks at the rules."""

    says: str
    alert: str
    series: Mapping[str, str]
    at: str
    fires: Sequence[Fires] = ()
    every: str = "1m"

    @property
    def silent(self) -> bool:
        return not self.fires


def run(file: str, case: Case, folder: Path) -> None:
    """Has promtool decide."""
    expected = []
    for fired in case.fires:
        (rule,) = (each for each in alerts(file) if (each.name, each.severity) == (case.alert, fired.severity))
        annotations = {**rule.annotations, "summary": fired.summary}
        expected.append({"exp_labels": {**rule.labels, **fired.labels}, "exp_annotations": annotations})
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": behind(file, case.alert)}))
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": case.every,
        "tests": [
            {
                "interval": case.every,
                "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
                "alert_rule_test": [{"alertname": case.alert, "eval_time": case.at, "exp_alerts": expected}],
            }
        ],
    }
    (folder / "test.yml").write_text(yaml.safe_dump(test, allow_unicode=True))
    promtool("test", "rules", folder / "test.yml")


def behind(file: str, alert: str) -> list[dict[str, Any]]:
    """The groups that an alert needs. A week of looks at all of them takes too long for every case."""
    wanted, needed = {alert}, [False] * len(groups(file))
    while True:
        for number, group in enumerate(groups(file)):
            made = {rule.get("alert") or rule["record"] for rule in group["rules"]}
            if not needed[number] and made & wanted:
                needed[number] = True
                wanted = wanted.union(*(named(rule["expr"]).metrics for rule in group["rules"]))
                break
        else:
            return [group for group, is_needed in zip(groups(file), needed, strict=True) if is_needed]


def each(cases: Sequence[Case]) -> pytest.MarkDecorator:
    """The cases as parameters, by their sentences."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.alert}: {case.says}") for case in cases])


def untested(file: str, cases: Sequence[Case]) -> list[str]:
    """Which alerts lack a case that fires or one that must not."""
    lacking = []
    for alert in alerts(file):
        about = [case for case in cases if case.alert == alert.name]
        fired = [alert.severity in {fires.severity for fires in case.fires} for case in about]
        if True not in fired:
            lacking.append(f"{alert.name}, {alert.severity}: no case fires")
        if False not in fired:
            lacking.append(f"{alert.name}, {alert.severity}: no case is silent")
    return lacking + [
        f"{case.alert}: no such alert" for case in cases if case.alert not in {a.name for a in alerts(file)}
    ]
