"""Does the board show the clusters that are configured, as they were last reported, and nothing of any other?"""

from __future__ import annotations

from exporter.app import Board
from exporter.derive import Derived
from exporter.flink.errors import Unreachable
from exporter.flink.scrape import Scrape
from exporter.model import Cluster
from exporter.publish.exposition import Format, Section, Variant
from exporter.publish.http import ClusterLine
from exporter.signals import SIGNALS
from exporter.telemetry import Telemetry
from exporter.watch import Report
from tests.signals.build import cluster, down, job, taskmanager

PLAIN = Variant(Format.TEXT, gzip=False)
WHOLE = cluster(job(id="a"), job(id="b"), job(id="c", state="FAILED"), taskmanager(), at=1000.0)
URLS = {"prod": "http://prod:8081", "test": "http://test:8081"}


def board() -> Board:
    shown = Board(Telemetry(), SIGNALS)
    shown.expect(URLS)
    return shown


def report(cluster: Cluster = WHOLE, *errors: str) -> Report:
    return Report(Scrape(cluster, tuple(map(Unreachable, errors))), Derived(rows=()), 0.1)


def lines(board: Board) -> dict[str, ClusterLine]:
    return {line.name: line for line in board.overview()}


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
    assert [(line.name, line.url, line.state) for line in board().overview()] == [
        ("prod", "http://prod:8081", "waiting"),
        ("test", "http://test:8081", "waiting"),
    ]


def test_a_line_says_what_was_found() -> None:
    shown = board()
    shown.put("prod", report(), Section(series=7))
    shown.put("test", report(down(), "connection refused"), Section(series=3))
    up, gone = lines(shown)["prod"], lines(shown)["test"]
    assert (up.state, up.jobs, up.taskmanagers, up.series) == ("up", {"RUNNING": 2, "FAILED": 1}, 1, 7)
    assert up.error is None
    assert (gone.state, gone.jobs, gone.taskmanagers, gone.series) == ("unreachable", {}, None, 3)
    assert gone.error == "connection refused"


def test_who_is_not_expected_is_not_shown() -> None:
    shown = board()
    shown.put("gone", report(), Section())
    assert list(lines(shown)) == ["prod", "test"]


def test_who_comes_back_is_waited_for_anew() -> None:
    shown = board()
    for name in URLS:
        shown.put(name, report(), Section())
    shown.expect({"prod": URLS["prod"]})
    assert is_ready(shown)
    shown.expect(URLS)
    assert not is_ready(shown)
    assert {name: line.state for name, line in lines(shown).items()} == {"prod": "up", "test": "waiting"}


def test_the_page_is_renewed_with_what_the_exporter_says_of_itself() -> None:
    telemetry = Telemetry()
    shown = Board(telemetry, SIGNALS)
    telemetry.reloaded(True, 1000.0)
    shown.renew()
    assert b"flink_exporter_config_last_reload_successful 1.0\n" in shown.page.body(PLAIN)
    telemetry.reloaded(False, 1001.0)
    shown.renew()
    assert b"flink_exporter_config_last_reload_successful 0.0\n" in shown.page.body(PLAIN)
