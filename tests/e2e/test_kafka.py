"""Is what the exporter says of a Kafka source true?

A real broker, and a job that reads from it as slowly as the records tell it to: with the native reporter and by REST
alone. The tests tell one story, in the order in which they stand.
"""

from __future__ import annotations

import os
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import pytest

from exporter.demo import distribution
from exporter.demo.cluster import FlinkCluster
from exporter.demo.submit import SqlGateway
from exporter.model import Raw, Scope
from exporter.signals import source_lag
from tests.e2e.jars import jars, with_jars
from tests.e2e.kafka import Kafka, Tap
from tests.e2e.running import Exporter, Published, eventually, exporter, raw

pytestmark = pytest.mark.flink

MODES = ("reporter", "rest")
INTERVAL = 3.0
CONNECTOR = "org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2"  # the newest there is, made for Flink 2.2
RECORDING = Path(__file__).parents[1] / "flink/recordings/kafka-metrics-2.3.txt"

LAG = "flink_health_source_lag_records"
STATUS = "flink_health_source_lag_status"
UNCOMMITTED = "flink_health_source_uncommitted_records"
FAILURES = "flink_health_job_failures_total"

# How long a record takes to read is its own affair: a second field of milliseconds, which the job waits.
SWIFT, SLOW = "1,1", "1,20"
# A topic with a dot in its name, which Flink's own names are made of.
ORDERS, ALERTS = "orders.v1", "alerts"
PARTITIONS = 2

READ = """
CREATE TABLE {name} (
    id BIGINT,
    wait BIGINT,
    ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp',
    WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH (
    'connector' = 'kafka', 'properties.bootstrap.servers' = '{address}', 'format' = 'csv',
    'topic' = '{topic}', 'properties.group.id' = '{name}', 'scan.startup.mode' = 'earliest-offset', {options}
);
CREATE TABLE done (id BIGINT) WITH ('connector' = 'blackhole');
CREATE TEMPORARY FUNCTION look_up AS 'demo.LookUp';
INSERT INTO done SELECT look_up(id, wait) FROM {name}
"""
# Flink knows of a lag what the client knew when it last fetched: a client that fetches a megabyte ahead (the default)
# tells of what there was 50,000 of these records ago.
FETCH_LITTLE = "'properties.max.partition.fetch.bytes' = '1'"
# A job whose source looks for new partitions all the time, and soon gives up.
LOOK_OFTEN = """
    'scan.topic-partition-discovery.interval' = '2s',
    'properties.request.timeout.ms' = '2000', 'properties.default.api.timeout.ms' = '3000'
"""
CHECKPOINTS = {"execution.checkpointing.interval": "3s"}
KEEP_TRYING = {
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": "1000",
    "restart-strategy.fixed-delay.delay": "2s",
}


class Truth(NamedTuple):
    """At a moment, by the broker's end offsets and the raw offsets of Flink's own reporter."""

    at: float
    left: float  # records that the job has not read
    uncommitted: float  # records that it has read and not committed


class Scene(NamedTuple):
    """A real broker, a tap of records, a real cluster, its jobs, and an exporter that reads it twice."""

    kafka: Kafka
    tap: Tap
    flink: FlinkCluster
    jobs: dict[str, str]
    exporter: Exporter

    def in_both(self, look: Callable[[Published, str], object], what: str, seconds: float = 5 * INTERVAL) -> None:
        """Waits until something is true of the page in both modes."""
        for mode in MODES:
            eventually(partial(self._look, look, mode), f"{what} ({mode})", seconds)

    def _look(self, look: Callable[[Published, str], object], mode: str) -> object:
        return look(self.exporter.page(), mode)

    def status(self, mode: str, job: str = "orders") -> list[str]:
        """The statuses of the job's sources."""
        samples = self.exporter.page().samples
        wanted = {"cluster": mode, "job_id": self.jobs[job]}.items()
        return [each.labels["status"] for each in samples if each.name == STATUS and wanted <= each.labels.items()]

    def becomes(self, status: str, job: str = "orders", seconds: float = 120) -> None:
        self.in_both(lambda _, mode: self.status(mode, job) == [status], f"{job} to be {status}", seconds)

    def vertex(self, job: str) -> str:
        """The path of the only vertex of a job."""
        (vertex,) = self.flink_says(f"/jobs/{self.jobs[job]}")["vertices"]
        return f"/jobs/{self.jobs[job]}/vertices/{vertex['id']}"

    def flink_says(self, path: str) -> Any:
        return raw(self.flink.rest_url + path)

    def reporter_says(self, *names: str) -> Published:
        """The raw metrics of the TaskManager."""
        (url,) = (url for name, url in self.flink.reporter_urls.items() if name.startswith("taskmanager"))
        asked = "&".join(f"name[]={name}" for name in names)
        with urllib.request.urlopen(f"{url}?{asked}") as response:
            return Published(response.read().decode())

    def truth(self) -> Truth:
        prefix = "flink_taskmanager_job_task_operator_KafkaSourceReader_topic_partition_"
        before, ends = time.time(), self.kafka.end_offsets(ORDERS)
        page = self.reporter_says(prefix + "currentOffset", prefix + "committedOffset")
        left = uncommitted = 0.0
        for partition, end in enumerate(ends):
            of = {"job_id": self.jobs["orders"], "partition": str(partition)}
            next_offset = page.one(prefix + "currentOffset", **of) + 1  # it is that of the last record read
            left += end - next_offset
            uncommitted += next_offset - page.one(prefix + "committedOffset", **of)
        return Truth((before + time.time()) / 2, left, uncommitted)

    def truths(self, seconds: float) -> list[Truth]:
        """What was true, some times a second for so long."""
        found, deadline = [self.truth()], time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(0.2)
            found.append(self.truth())
        return found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("kafka")
    flink_with_kafka = with_jars(distribution.find(), folder / "flink", jars(CONNECTOR, alone=True))
    # The store behind REST refreshed more often than by default, so that the tests wait less for fresh values.
    config = {"metrics.fetcher.update-interval": "1000"}
    with (
        Kafka(flink_with_kafka.java) as kafka,
        FlinkCluster(flink_with_kafka, taskmanagers=1, slots=4, config=config) as flink,
    ):
        kafka.create_topic(ORDERS, PARTITIONS)
        kafka.create_topic(ALERTS, 1)
        with Tap(kafka, ORDERS, PARTITIONS, SWIFT) as tap, Tap(kafka, ALERTS, 1, SWIFT) as alerts:
            tap.pace, alerts.pace = 50, 10

            def read(gateway: SqlGateway, name: str, topic: str, options: str, settings: dict[str, str]) -> str:
                sql = READ.format(name=name, topic=topic, address=kafka.address, options=options)
                return gateway.submit(name, sql.split(";\n"), CHECKPOINTS | settings)

            with SqlGateway(flink) as gateway:
                ids = {
                    "orders": read(gateway, "orders", ORDERS, FETCH_LITTLE, {}),
                    "alerts": read(gateway, "alerts", ALERTS, LOOK_OFTEN, {"parallelism.default": "1"} | KEEP_TRYING),
                }
            settings = f"""
                interval: {INTERVAL:g}s
                clusters:
                  - {{name: reporter, url: "{flink.rest_url}"}}
                  - {{name: rest, url: "{flink.rest_url}", reporter: {{mode: off}}}}
            """
            with exporter(folder, settings) as running:
                here = Scene(kafka, tap, flink, ids, running)
                eventually(lambda: here.truth().uncommitted >= 0, "the job to read, and to commit")
                alerts.pace = 0
                yield here


def test_a_source_that_keeps_up_is_ok(scene: Scene) -> None:
    scene.becomes("ok")
    page = scene.exporter.page()
    for mode in MODES:
        of = {"cluster": mode, "job_id": scene.jobs["orders"]}
        assert page.one(LAG, **of) < 50
        assert page.one("flink_health_source_lag_seconds", **of) < 1
        assert page.all("flink_health_source_catch_up_seconds", **of) == []


def test_flinks_names_are_those_recorded(scene: Scene) -> None:
    """Run with UPDATE_RECORDINGS=1 to write down what they are now."""

    def numbered(name: str) -> str:
        return re.sub(r"(partition\.|split\.\w+-)\d+", r"\1N", name)

    def names() -> tuple[list[str], list[str]]:
        ids = [entry["id"] for entry in scene.flink_says(scene.vertex("orders") + "/metrics")]
        rest = {numbered(name[2:]) for name in ids if name.startswith("0.Source__")}
        lines = scene.reporter_says().samples
        mine = {"job_id": scene.jobs["orders"], "subtask_index": "0"}.items()
        told = {
            f"{sample.name}{{{','.join(sample.labels)}}}"
            for sample in lines
            if mine <= sample.labels.items() and sample.labels.get("operator_name", "").startswith("Source:")
        }
        return sorted(rest), sorted(told)

    def page() -> str:
        rest, told = names()
        return "\n".join(["# REST, of a vertex, less the subtask:", *rest, "# The reporter:", *told, ""])

    if os.environ.get("UPDATE_RECORDINGS"):
        RECORDING.write_text(page())
    eventually(lambda: page() == RECORDING.read_text(), f"the names that are in {RECORDING}", 20)


def test_flink_has_what_the_signal_asks_for_but_what_only_other_sources_have() -> None:
    recorded = RECORDING.read_text().splitlines()
    asked = {need for need in source_lag.SIGNAL.needs if isinstance(need, Raw)}
    ends = {
        need: f".partition.N.{need.name}" if need.scope is Scope.PARTITION else f"_orders.{need.name}" for need in asked
    }
    absent = {need.name for need, end in ends.items() if not any(name.endswith(end) for name in recorded)}
    assert absent == {"KafkaConsumer.records-lag-max", "currentFetchEventTimeLag"}


def test_its_records_are_young_it_is_never_idle_for_long_and_there_is_no_error(scene: Scene) -> None:
    page = scene.exporter.page()
    for mode in MODES:
        of = {"cluster": mode, "job_id": scene.jobs["orders"]}
        assert 0 <= page.one("flink_health_source_emit_lag_seconds", **of) < 1
        assert 0 <= page.one("flink_health_source_idle_seconds", **of) < 2
    # The coordinator of a new group is not there at once: the first commits of all may fail.
    scene.in_both(
        lambda page, mode: (
            page.one("flink_health_source_errors_per_second", cluster=mode, job_id=scene.jobs["orders"]) == 0
        ),
        "no error for a minute",
        70,
    )


def test_what_is_uncommitted_is_read_less_committed_and_falls_with_a_checkpoint(scene: Scene) -> None:
    def published(mode: str) -> float:
        return scene.exporter.page().one(UNCOMMITTED, cluster=mode, job_id=scene.jobs["orders"])

    true = [truth.uncommitted for truth in scene.truths(3 * INTERVAL)]
    # 2 partitions of 50 records a second each, and a checkpoint every 3 s: from nothing to about 300.
    assert max(true) > 100
    for mode in MODES:
        seen = []
        for _ in range(10):
            seen.append(published(mode))
            time.sleep(INTERVAL / 3)
        assert max(seen) <= max(true) + 200
        assert mean(seen) > 0
    assert any(before > after for before, after in pairwise(true))


def test_a_source_that_reads_less_than_is_written_is_growing(scene: Scene) -> None:
    scene.tap.line, scene.tap.pace = SLOW, 140  # of which a subtask reads 50 a second
    scene.becomes("growing")


def test_the_lag_is_the_end_offset_less_the_current_offset(scene: Scene) -> None:
    truths = scene.truths(4 * INTERVAL)
    page = scene.exporter.page()
    for mode in MODES:
        read_at = page.one("flink_health_cluster_snapshot_timestamp_seconds", cluster=mode)
        if mode == "rest":
            read_at -= page.one("flink_health_cluster_rest_metrics_age_seconds", cluster=mode)
        lag = page.one(LAG, cluster=mode, job_id=scene.jobs["orders"])
        # The values were on their way for two seconds at most.
        true = [truth.left for truth in truths if read_at - 2.5 <= truth.at <= read_at + 0.5]
        print(f"{mode}: {lag:.0f}, in truth {min(true):.0f} to {max(true):.0f}")
        # What the client has handed over and the job has not taken yet is not in Flink's number: 4 small fetches.
        assert min(true) * 0.95 - 100 <= lag <= max(true) * 1.05
        assert page.one("flink_health_source_emit_lag_seconds", cluster=mode, job_id=scene.jobs["orders"]) > 5


def test_a_source_that_reads_more_than_is_written_is_catching_up(scene: Scene) -> None:
    scene.tap.pace = 0
    scene.becomes("catching_up")
    page = scene.exporter.page()
    for mode in MODES:
        of = {"cluster": mode, "job_id": scene.jobs["orders"]}
        assert page.one("flink_health_source_lag_growth_records_per_second", **of) < 0
        assert page.one("flink_health_source_catch_up_seconds", **of) > 0


def test_a_source_without_anything_to_read_is_ok_and_has_committed_all(scene: Scene) -> None:
    scene.tap.line = SWIFT
    scene.becomes("ok", seconds=240)
    scene.in_both(lambda page, mode: page.all(LAG, cluster=mode) == [0, 0], "no lag in either job")
    scene.in_both(lambda page, mode: page.all(UNCOMMITTED, cluster=mode) == [0, 0], "all offsets to be committed")
    idle = "flink_health_source_idle_seconds"
    scene.in_both(lambda page, mode: page.one(idle, cluster=mode, job_id=scene.jobs["alerts"]) > 60, "an idle source")
    assert [scene.status(mode, "alerts") for mode in MODES] == [["ok"], ["ok"]]


def test_a_source_without_a_broker_is_stalled_and_not_ok(scene: Scene) -> None:
    scene.kafka.kill()
    scene.becomes("stalled", seconds=60)
    deadline = time.monotonic() + 5 * INTERVAL
    while time.monotonic() < deadline:
        assert [scene.status(mode) for mode in MODES] == [["stalled"], ["stalled"]]
        time.sleep(0.5)
    scene.in_both(
        lambda page, mode: page.one("flink_health_source_errors_per_second", cluster=mode, job_id=scene.jobs["orders"]),
        "offsets that cannot be committed",
    )


def test_a_job_that_fails_for_want_of_a_broker_fails_for_that(scene: Scene) -> None:
    def failures(page: Published, mode: str) -> dict[str, float]:
        wanted = {"cluster": mode, "job_id": scene.jobs["alerts"]}.items()
        found = [each for each in page.samples if each.name == FAILURES and wanted <= each.labels.items()]
        return {each.labels["scenario"]: each.value for each in found if each.value}

    scene.in_both(lambda page, mode: failures(page, mode).keys() == {"kafka_unavailable"}, "the failure", 60)


def test_a_source_whose_broker_is_back_is_ok_again(scene: Scene) -> None:
    scene.kafka.start()
    scene.tap.pace = 50
    read = scene.truth().left
    scene.becomes("ok", seconds=60)
    eventually(lambda: scene.truth().left < max(read, 100), "the source to read on")
    path = f"/jobs/{scene.jobs['alerts']}"
    eventually(lambda: scene.flink_says(path)["vertices"][0]["status"] == "RUNNING", "the failed job to run")


def test_there_is_no_source_but_those_of_the_jobs_and_the_log_has_no_traceback(scene: Scene) -> None:
    page = scene.exporter.page()
    sources = {sample.labels["operator_name"] for sample in page.samples if sample.name == LAG}
    assert len(sources) == 2
    log = Path(scene.exporter.log).read_text()
    assert "Traceback" not in log
    assert "level=error" not in log
