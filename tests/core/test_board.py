"""Does the board show the clusters that are configured, as they were last reported, and nothing of any other?"""

from __future__ import annotations

from exporter.app import Board
from exporter.derive import Derived
from exporter.flink.errors import Unreachable
from exporter.flink.scrape import Scrape
from exporter.model import Cluster
from exporter.publish.exposition import Format, Section, Variant
from exporter.signals import SIGNALS
from exporter.symptoms.health import ClusterHealth
from exporter.telemetry import Telemetry
from exporter.watch import Report
from tests.signals.build import cluster, down, job, taskmanager

PLAIN = Variant(Format.TEXT, gzip=False)
WHOLE = cluster(job(id="a"), job(id="b"), job(id="c", state="FAILED"), taskmanager(), at=1000.0)
RUNBOOK = "https://example.org/{name}"
URLS = {"prod": "http://prod:8081", "test": "http://test:8081"}


def board() -> Board:
    shown = Board(Telemetry(), SIGNALS)
    shown.expect(URLS, RUNBOOK)
    return shown


def report(cluster: Cluster = WHOLE, *errors: str) -> Report:
    return Report(Scrape(cluster, tuple(map(Unreachable, errors))), Derived(rows=()), 0.1)


def told(board: Board) -> dict[str, ClusterHealth]:
    return {cluster.name: cluster for cluster in board.health()}


def is_ready(board: Board) -> bool:
    return board.ready


def test_it_is_ready_when_every_cluster_was_reported_however_it_went() -> None:
    shown = board()
    assert not is_ready(shown)
    shown.put("prod", report(), Section())
    assert not is_ready(shown)
    shown.put("test", report(down()), Section())
    assert is_ready(shown)


def test_a_cluster_that_was_not_reported_is_waited_for() -> None:
    assert [(cluster.name, cluster.url, cluster.state) for cluster in board().health()] == [
        ("prod", "http://prod:8081", "waiting"),
        ("test", "http://test:8081", "waiting"),
    ]


def test_it_tells_what_was_found() -> None:
    shown = board()
    shown.put("prod", report(), Section())
    shown.put("test", report(down(), "connection refused"), Section())
    up, gone = shown.health()
    assert (up.state, up.taskmanagers, up.taken_at, up.error) == ("up", 1, 1000.0, None)
    assert sorted((job.id, job.state) for job in up.jobs) == [("a", "RUNNING"), ("b", "RUNNING"), ("c", "FAILED")]
    assert (gone.state, gone.jobs, gone.taskmanagers, gone.error) == ("unreachable", (), None, "connection refused")


def test_what_is_told_of_a_report_is_made_once() -> None:
    shown = board()
    shown.put("prod", report(), Section())
    (first, _), (second, _) = shown.health(), shown.health()
    assert first is second
    shown.put("prod", report(), Section())
    assert shown.health()[0] is not first


def test_a_new_address_is_told_at_once() -> None:
    shown = board()
    shown.put("prod", report(), Section())
    assert told(shown)["prod"].url == URLS["prod"]
    shown.expect({"prod": "http://elsewhere:8081"}, RUNBOOK)
    assert told(shown)["prod"].url == "http://elsewhere:8081"


def test_a_job_in_full() -> None:
    shown = board()
    assert shown.job("prod", "a") is None, "not looked at yet"
    shown.put("prod", report(), Section())
    found = shown.job("prod", "a")
    assert found is not None
    assert (found.job.id, found.web_ui) == ("a", "http://prod:8081/#/job/running/a/overview")
    assert shown.job("prod", "nobody") is None
    assert shown.job("nowhere", "a") is None


def test_who_is_not_expected_is_not_shown() -> None:
    shown = board()
    shown.put("gone", report(), Section())
    assert list(told(shown)) == ["prod", "test"]


def test_who_comes_back_is_waited_for_anew() -> None:
    shown = board()
    for name in URLS:
        shown.put(name, report(), Section())
    shown.expect({"prod": URLS["prod"]}, RUNBOOK)
    assert is_ready(shown)
    shown.expect(URLS, RUNBOOK)
    assert not is_ready(shown)
    assert {name: cluster.state for name, cluster in told(shown).items()} == {"prod": "up", "test": "waiting"}


def test_the_page_is_renewed_with_what_the_exporter_says_of_itself() -> None:
    telemetry = Telemetry()
    shown = Board(telemetry, SIGNALS)
    telemetry.reloaded(True, 1000.0)
    shown.renew()
    assert b"flink_exporter_config_last_reload_successful 1.0\n" in shown.page.body(PLAIN)
    telemetry.reloaded(False, 1001.0)
    shown.renew()
    assert b"flink_exporter_config_last_reload_successful 0.0\n" in shown.page.body(PLAIN)
