"""Does what is served follow the section `symptoms`: those that are judged, and where their runbook is?"""

from __future__ import annotations

import pytest

from exporter.app import Board, symptoms_of
from exporter.config import Settings
from exporter.derive import Derived
from exporter.families import Row
from exporter.flink.scrape import Scrape
from exporter.publish.exposition import Section
from exporter.signals import SIGNALS
from exporter.signals.cluster import UP
from exporter.symptoms.declarations import SYMPTOMS
from exporter.symptoms.judgement import Judge
from exporter.telemetry import Telemetry
from exporter.watch import Report
from tests.signals.build import down

URL = "http://prod:8081"


def settings(**said: object) -> Settings:
    return Settings.model_validate({"symptoms": said})


def test_the_symptoms_are_those_of_the_settings() -> None:
    assert symptoms_of(Settings()) == SYMPTOMS
    assert symptoms_of(settings(disabled=[symptom.name for symptom in SYMPTOMS[1:]])) == SYMPTOMS[:1]


@pytest.mark.parametrize(
    ("runbook", "shown"),
    [
        pytest.param(
            Settings().symptoms.runbook_url,
            "https://github.com/flink-health-exporter/flink-health-exporter/blob/main/docs/runbook/cluster-unreachable.md",
            id="our own",
        ),
        pytest.param(
            "https://wiki.example.com/{name}", "https://wiki.example.com/cluster-unreachable", id="somebody's own"
        ),
    ],
)
def test_a_finding_links_the_runbook_of_the_settings(runbook: str, shown: str) -> None:
    cluster = down()
    judge = Judge(symptoms_of(settings(overrides={"cluster_unreachable": {"warning": {"lasting": "0s"}}})))
    judgement = judge.judge(cluster, [Row(UP, (cluster.name,), 0.0)], 1000.0)
    board = Board(Telemetry(), SIGNALS)
    board.expect({cluster.name: URL}, runbook)
    board.put(cluster.name, Report(Scrape(cluster, ()), Derived(rows=()), 0.1, judgement), Section())
    (told,) = board.health()
    assert [(found.symptom, found.runbook) for found in told.findings] == [("cluster_unreachable", shown)]
