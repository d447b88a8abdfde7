"""Do the alerts about the exporter itself fire when they should, and only then?"""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.flink import errors
from tests.rules.cases import Case, Fires, each, run, untested

INSTANCE = {"instance": "exporter:9449"}
TARGET = {"job": "flink-health", **INSTANCE}
CLUSTER = {"cluster": "prod", **INSTANCE}
UP = 'up{job="flink-health",instance="exporter:9449"}'
BUILD = 'flink_exporter_build_info{job="flink-health",instance="exporter:9449",version="1"}'


def of(name: str, **labels: str) -> str:
    """A series of the exporter about the cluster."""
    inner = ",".join(f'{label}="{said}"' for label, said in (CLUSTER | labels).items())
    return f"{name}{{{inner}}}"


SNAPSHOT, CLUSTER_UP = of("flink_health_cluster_snapshot_timestamp_seconds"), of("flink_health_cluster_up")
SIGNAL = of("flink_exporter_signal_success", signal="heap")
RELOAD = 'flink_exporter_config_last_reload_successful{instance="exporter:9449"}'
DROPPED = of("flink_exporter_series_dropped_total")
READ, NOT_READ = (of("flink_exporter_targets", source="reporter", state=state) for state in ("read", "not_read"))


def fetches(outcome: str, source: str = "rest") -> str:
    return of("flink_exporter_fetches_total", source=source, outcome=outcome)


CASES = [
    Case(
        "it stops answering after 5 minutes",
        "FlinkExporterDown",
        {UP: "1x4 0x20", BUILD: "1x4 stale"},
        "10m",
        [Fires("critical", TARGET, "Exporter exporter:9449: it does not answer: nothing is known of its clusters")],
    ),
    Case("one scrape fails", "FlinkExporterDown", {UP: "1x4 0 1x20", BUILD: "1x4 stale 1x20"}, "7m"),
    Case("another target is down", "FlinkExporterDown", {UP: "1x20", 'up{job="node",instance="n"}': "0x20"}, "10m"),
    Case("its pod was replaced", "FlinkExporterDown", {UP: "1x4 stale", BUILD: "1x4 stale"}, "15m"),
    Case(
        "there never was one",
        "FlinkExporterAbsent",
        {'up{job="node",instance="n"}': "1x20"},
        "15m",
        [Fires("critical", {}, "No exporter is scraped: nothing is known of any Flink cluster")],
    ),
    Case("it is there", "FlinkExporterAbsent", {UP: "1x20", BUILD: "1x20"}, "15m"),
    Case(
        "it is a target that fails: one alert is enough", "FlinkExporterAbsent", {UP: "0x20", BUILD: "1 stale"}, "15m"
    ),
    Case(
        "the snapshot is the one of the beginning, and is told of as up",
        "FlinkExporterSnapshotStale",
        {SNAPSHOT: "0x20", CLUSTER_UP: "1x20"},
        "10m",
        # 600 s less 0 s
        [Fires("critical", CLUSTER, "prod: What exporter exporter:9449 says of it is 10m 0s old")],
    ),
    Case("a new snapshot each minute", "FlinkExporterSnapshotStale", {SNAPSHOT: "0+60x20", CLUSTER_UP: "1x20"}, "10m"),
    Case(
        "the cluster is down: told elsewhere",
        "FlinkExporterSnapshotStale",
        {SNAPSHOT: "0x20", CLUSTER_UP: "0x20"},
        "10m",
    ),
    Case(
        "a signal fails, another does not",
        "FlinkExporterSignalFailing",
        {SIGNAL: "0x20", of("flink_exporter_signal_success", signal="gc"): "1x20"},
        "10m",
        [
            Fires(
                "warning",
                {**CLUSTER, "signal": "heap"},
                "prod: Exporter exporter:9449 cannot derive the signal heap",
            )
        ],
    ),
    Case("it failed once", "FlinkExporterSignalFailing", {SIGNAL: "1x8 0 1x20"}, "10m"),
    Case(
        "a reload was refused",
        "FlinkExporterReloadFailed",
        {RELOAD: "1 0x20"},
        "10m",
        [
            Fires(
                "warning",
                INSTANCE,
                "Exporter exporter:9449: its new configuration was refused, the old one is in force",
            )
        ],
    ),
    Case("it was repaired within 5 minutes", "FlinkExporterReloadFailed", {RELOAD: "1 0x3 1x20"}, "10m"),
    Case(
        "series are left out at each cycle",
        "FlinkExporterSeriesDropped",
        {DROPPED: "0+5x20"},
        "10m",
        [Fires("warning", CLUSTER, "prod: Exporter exporter:9449 leaves series off its page")],
    ),
    Case("some were, long ago", "FlinkExporterSeriesDropped", {DROPPED: "7x30"}, "30m"),
    Case(
        "one of three reporters is not read",
        "FlinkExporterReporterNotRead",
        {READ: "2x30", NOT_READ: "1x30"},
        "20m",
        [Fires("warning", CLUSTER, "prod: TaskManagers whose reporter is not read, while others are: 1")],
    ),
    Case(
        "none is: there is none, or no way to it",
        "FlinkExporterReporterNotRead",
        {READ: "0x30", NOT_READ: "3x30"},
        "20m",
    ),
    Case(
        "a new TaskManager is found in a minute",
        "FlinkExporterReporterNotRead",
        {READ: "2x30", NOT_READ: "1 0x30"},
        "20m",
    ),
    Case(
        "one request in five times out",
        "FlinkExporterFetchesFailing",
        {fetches("ok"): "0+8x30", fetches("timeout"): "0+2x30"},
        "20m",
        # 2 / (8 + 2)
        [
            Fires(
                "warning",
                {**CLUSTER, "source": "rest"},
                "prod: 20% of the requests of exporter exporter:9449 fail (rest)",
            )
        ],
    ),
    Case(
        "one in a hundred does",
        "FlinkExporterFetchesFailing",
        {fetches("ok"): "0+99x30", fetches("timeout"): "0+1x30"},
        "20m",
    ),
    Case(
        "a version without some endpoint",
        "FlinkExporterFetchesFailing",
        {fetches("ok"): "0+8x30", fetches("not_found"): "0+2x30"},
        "20m",
    ),
    Case("all fail: told elsewhere", "FlinkExporterFetchesFailing", {fetches("unreachable"): "0+5x30"}, "20m"),
]


@each(CASES)
def test_alert(case: Case, tmp_path: Path) -> None:
    run("exporter", case, tmp_path)


def test_every_alert_fires_once_and_is_silent_once() -> None:
    assert not untested("exporter", CASES)


@pytest.mark.parametrize("outcome", ["timeout", "unreachable", "not_found"])
def test_outcomes_are_those_of_the_errors(outcome: str) -> None:
    assert outcome in {error.outcome for error in errors.FlinkError.__subclasses__()}
