"""Do the alerts reach somebody, with what they need to know, when something is wrong, and only then?

A real Prometheus and a real Alertmanager, with the settings of config/, around the exporter on a real Flink. What takes
longer than a test may, such as the end of what is remembered for 10 minutes, `python -m tests.alerting` waits for.
"""

from __future__ import annotations

import re

import pytest

from tests.alerting.dashboards import unexplained
from tests.alerting.faults import ALL, HEALTHY, KILLED, OF_JOBS, Fault
from tests.alerting.scenario import Played, allowed, play, told_by
from tests.alerting.stack import CLUSTER, CONFIG

pytestmark = pytest.mark.flink

_RECEIVERS = {"critical": "on-call", "warning": "working-day"}
# What a template leaves behind that was not expanded, or had nothing to expand to.
_LEFT_OVER = re.compile(r"\{\{|\}\}|\{value|<no value>|%!|NaN|\(\)|  ")

each_fault = pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.what)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play(tmp_path_factory.mktemp("alerting"), thorough=False)


def test_nothing_is_told_before_something_is_wrong(played: Played) -> None:
    first = min(played.began.values())
    assert [told for told, at in played.log.alerts.items() if at < first] == []


@each_fault
def test_a_fault_is_on_the_page_and_fires_its_alerts(played: Played, fault: Fault) -> None:
    assert fault.wanted(thorough=False) - played.log.symptoms.keys() == set()
    assert fault.wanted(thorough=False) - played.log.alerts.keys() == set()


@each_fault
def test_it_is_told_to_those_whom_it_concerns(played: Played, fault: Fault) -> None:
    received = [each for each in played.ours if each.status == "firing" and told_by(each.labels).of == fault.job]
    assert received
    for each in received:
        assert each.receiver == _RECEIVERS[each.labels["severity"]]
        assert each.labels["cluster"] == CLUSTER
        assert each.labels.keys() >= ({"job_id", "job_name"} if fault.job else set())
    # What nobody was told of was silenced by something else that they were.
    untold = fault.wanted(thorough=False) - {told_by(each.labels) for each in received}
    assert untold <= played.log.silenced


def test_a_notification_says_what_is_wrong_what_to_do_and_where_to_read_on(played: Played) -> None:
    for each in played.ours:
        told, said = told_by(each.labels), each.annotations
        assert said.keys() == {"summary", "description", "runbook_url"}
        assert [text for text in said.values() if not text or _LEFT_OVER.search(text)] == []
        assert said["summary"].startswith(f"{told.of} ({CLUSTER}): " if told.of else f"{CLUSTER}: ")
        page = said["runbook_url"].rpartition("/")[2]
        assert (CONFIG.parent / "docs/runbook" / page).is_file()


@pytest.mark.parametrize("fault", OF_JOBS, ids=lambda fault: fault.what)
def test_whoever_was_told_of_a_fault_is_told_of_its_end(played: Played, fault: Fault) -> None:
    assert [told for told in played.log.active if told.of == fault.job] == []
    received = [each for each in played.ours if told_by(each.labels).of == fault.job]
    # Alertmanager does not tell the end of what another alert silences.
    firing = {told_by(each.labels) for each in received if each.status == "firing"} - played.log.silenced
    last = {told_by(each.labels): each for each in received}
    assert {told: last[told].status for told in firing} == dict.fromkeys(firing, "resolved")
    main = [last[told].received for told in fault.wanted(thorough=False) & firing]
    assert min(main) > played.ended[fault.what]


def test_nothing_else_is_told(played: Played) -> None:
    assert {each for each in played.log.alerts if not allowed(each)} == set()
    assert {told_by(each.labels) for each in played.ours} <= played.log.alerts.keys()
    assert [each for each in played.ours if told_by(each.labels).of == HEALTHY.name] == []
    # Jobs that a lost TaskManager takes down once, and that come back by themselves, wake nobody.
    after = [each for each in played.ours if each.received > played.began[KILLED.what]]
    assert {each.labels["severity"] for each in after if each.status == "firing"} == {"warning"}


def test_every_query_of_the_dashboards_has_data_or_its_panel_says_why_not(played: Played) -> None:
    assert len(played.answers) > 100
    assert unexplained(played.answers) == []
    # The reasons are those of sources that tell nothing, of few things else.
    assert sum(played.answers.values()) > 0.75 * len(played.answers)


def test_prometheus_reaches_the_exporter_and_all_reporters(played: Played) -> None:
    assert played.down == set()


def test_the_exporter_had_no_trouble_of_its_own(played: Played) -> None:
    assert "Traceback" not in played.exporter_log
    assert "level=error" not in played.exporter_log
