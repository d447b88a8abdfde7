"""Is what the exporter says of a Kafka source true?

A real broker, and a job that reads from it as slowly as the records tell it to: with the native reporter and by REST
alone. The tests tell one story, in the order in which they stand.
"""

from __future__ import annotations

import os
import re
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from exporter.demo import distribution
from exporter.demo.cluster import FlinkCluster
from exporter.demo.submit import SqlGateway
from exporter.model import Raw, Scope
from exporter.signals import source_lag
from tests.e2e.background import Background
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
IDLE = "flink_health_source_idle_seconds"
ERRORS = "flink_health_source_errors_per_second"
FAILURES = "flink_health_job_failures_total"

# Each job reads a topic of its name, but for a dot, which Flink's own names are made of.
ORDERS = "orders.v1"
TOPICS = {"orders": ORDERS, "refunds": "refunds", "alerts": "alerts", "payments": "payments", "vouchers": "vouchers"}
PARTITIONS = 2
# How long a record takes to read is its own affair: a second field of milliseconds, which the job waits. A subtask
# reads 50 slow ones a second, and 164 of those between.
SWIFT, BETWEEN, SLOW = "1,1", "1,6", "1,20"

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
# tells of what there was thousands of these records ago.
FETCH_LITTLE = "'properties.max.partition.fetch.bytes' = '1'"
# A job that looks for new partitions fails when it finds no broker: every 5 min, by default.
LOOK_ONCE = "'scan.topic-partition-discovery.interval' = '0'"
# A job whose source looks for new partitions all the time, and soon gives up.
LOOK_OFTEN = """
    'scan.topic-partition-discovery.interval' = '2s',
    'properties.request.timeout.ms' = '4000', 'properties.default.api.timeout.ms' = '5000'
"""
# Not of the same length as the exporter's interval: it would see the same moment of each.
CHECKPOINTS = {"execution.checkpointing.interval": "5s"}
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


class Diary(Background):
    """What the source of a job is, one word after the other, in each mode: written during a `with` block."""

    def __init__(self, exporter: Exporter, job: str) -> None:
        super().__init__()
        self.words: dict[str, list[str]] = {mode: [] for mode in MODES}
        self._exporter, self._job = exporter, job

    def work(self) -> None:
        began = time.monotonic()
        while self.goes_on(INTERVAL / 3):  # more often than there is news: no word is missed
            page = self._exporter.page()
            for mode, words in self.words.items():
                word = status_of(page, self._job, mode)
                if word is not None and words[-1:] != [word]:
                    print(f"{time.monotonic() - began:.0f} s, {mode}: {word}")
                    words.append(word)


def status_of(page: Published, job: str, mode: str) -> str | None:
    """What the source of a job is said to be."""
    wanted = {"cluster": mode, "job_id": job}.items()
    told = [each.labels["status"] for each in page.samples if each.name == STATUS and wanted <= each.labels.items()]
    assert len(told) <= 1
    return told[0] if told else None


class Scene(NamedTuple):
    """A real broker, a real cluster, and an exporter that reads it twice. Taps and jobs by name.

    diary: of the job that goes all the way.
    """

    kafka: Kafka
    taps: dict[str, Tap]
    flink: FlinkCluster
    jobs: dict[str, str]
    exporter: Exporter
    diary: Diary

    def in_both(self, look: Callable[[Published, str], object], what: str, seconds: float = 5 * INTERVAL) -> None:
        """Waits until something is true of the page in both modes."""
        for mode in MODES:
            eventually(partial(self._look, look, mode), f"{what} ({mode})", seconds)

    def _look(self, look: Callable[[Published, str], object], mode: str) -> object:
        return look(self.exporter.page(), mode)

    def of(self, job: str, mode: str) -> dict[str, str]:
        """The labels of what is said of a job."""
        return {"cluster": mode, "job_id": self.jobs[job]}

    def statuses(self, job: str) -> list[str | None]:
        """What the source of a job is, in each mode."""
        page = self.exporter.page()
        return [status_of(page, self.jobs[job], mode) for mode in MODES]

    def becomes(self, status: str, job: str, seconds: float) -> None:
        eventually(lambda: self.statuses(job) == [status] * len(MODES), f"{job} to be {status}", seconds)

    def flink_says(self, path: str) -> Any:
        return raw(self.flink.rest_url + path)

    def reporter_says(self, *names: str) -> Published:
        """The raw metrics of the TaskManager."""
        (url,) = (url for name, url in self.flink.reporter_urls.items() if name.startswith("taskmanager"))
        asked = "&".join(f"name[]={name}" for name in names)
        with urllib.request.urlopen(f"{url}?{asked}") as response:
            return Published(response.read().decode())

    def truth(self, job: str) -> Truth:
        prefix = "flink_taskmanager_job_task_operator_KafkaSourceReader_topic_partition_"
        before, ends = time.time(), self.kafka.end_offsets(TOPICS[job])
        page = self.reporter_says(prefix + "currentOffset", prefix + "committedOffset")
        left = uncommitted = 0.0
        for partition, end in enumerate(ends):
            of = {"job_id": self.jobs[job], "partition": str(partition)}
            next_offset = page.one(prefix + "currentOffset", **of) + 1  # it is that of the last record read
            left += end - next_offset
            committed = page.one(prefix + "committedOffset", **of)
            assert committed >= 0, "nothing is committed yet"
            uncommitted += next_offset - committed
        return Truth((before + time.time()) / 2, left, uncommitted)

    def is_through(self, job: str) -> bool:
        """Whether a job has read all there is, and committed it."""
        return self.truth(job)[1:] == (0, 0)

    def truths(self, job: str, seconds: float) -> list[Truth]:
        """What was true, some times a second for so long."""
        found, deadline = [self.truth(job)], time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(0.2)
            found.append(self.truth(job))
        return found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("kafka")
    flink_with_kafka = with_jars(distribution.find(), folder / "flink", jars(CONNECTOR, alone=True))
    # The store behind REST refreshed more often than by default, so that the tests wait less for fresh values.
    config = {"metrics.fetcher.update-interval": "1000"}
    with (
        Kafka(flink_with_kafka.java) as kafka,
        FlinkCluster(flink_with_kafka, taskmanagers=1, slots=10, config=config) as flink,
        SqlGateway(flink) as gateway,
        ExitStack() as flowing,
    ):

        def tap(name: str, line: str) -> Tap:
            kafka.create_topic(TOPICS[name], PARTITIONS)
            return flowing.enter_context(Tap(kafka, TOPICS[name], PARTITIONS, line))

        def read(name: str, options: str, settings: Mapping[str, str]) -> str:
            sql = READ.format(name=name, topic=TOPICS[name], address=kafka.address, options=options)
            return gateway.submit(name, sql.split(";\n"), {**CHECKPOINTS, **settings})

        lines = {"orders": SWIFT, "refunds": SLOW, "alerts": SWIFT, "payments": SWIFT, "vouchers": SWIFT}
        taps = {name: tap(name, line) for name, line in lines.items()}
        taps["orders"].pace, taps["alerts"].pace, taps["payments"].pace = 50, 10, 100
        taps["refunds"].pace = 105  # of which a subtask reads 50 a second
        ids = {
            "orders": read("orders", f"{FETCH_LITTLE}, {LOOK_ONCE}", {}),
            "refunds": read("refunds", f"{FETCH_LITTLE}, {LOOK_ONCE}", {}),
            "alerts": read("alerts", LOOK_OFTEN, KEEP_TRYING),
            "payments": read("payments", LOOK_ONCE, {}),
            "vouchers": read("vouchers", LOOK_ONCE, {}),  # of which there are none
        }
        gateway.stop()
        settings = f"""
            interval: {INTERVAL:g}s
            clusters:
              - {{name: reporter, url: "{flink.rest_url}"}}
              - {{name: rest, url: "{flink.rest_url}", reporter: {{mode: off}}}}
        """
        with exporter(folder, settings) as running, Diary(running, ids["payments"]) as diary:
            here = Scene(kafka, taps, flink, ids, running, diary)
            for job in ids.keys() - {"vouchers"}:
                eventually(partial(here.truth, job), f"{job} to read, and to commit")
            taps["alerts"].pace = 0
            yield here


def test_a_source_that_keeps_up_is_ok(scene: Scene) -> None:
    # What becomes of the payments is told below. It is their age by which they are judged: their client fetches ahead.
    #   0 s: 100 a second are written into each partition, and read. At 60 s that has been seen for long enough: `ok`.
    #  25 s: slow ones are written, of which 50 a second are read. What is read becomes older by 0.5 s a second.
    #  79 s: by now the source has worked for 0.9 of the last minute: `growing`. From then on those between are written.
    # 133 s: the 5400 slow ones of 54 s are read, which took 108 s: the age is 54 s, and so is the lag.
    #        164 a second are read from here on, and what is read becomes younger by 0.64 s a second.
    # 175 s: more than half of two minutes' looks show that at last: `catching_up`, for 35 s.
    # 210 s: the age is less than 5 s: `ok`.
    time.sleep(25)
    scene.taps["payments"].line = SLOW
    scene.becomes("ok", "orders", 150)
    page = scene.exporter.page()
    for mode in MODES:
        of = scene.of("orders", mode)
        assert page.one(LAG, **of) < 50
        assert page.one("flink_health_source_lag_seconds", **of) < 1
        assert page.all("flink_health_source_catch_up_seconds", **of) == []
        assert 0 <= page.one("flink_health_source_emit_lag_seconds", **of) < 1
        assert 0 <= page.one(IDLE, **of) < 2
    # It no longer does from here on; some tests below tell what becomes of it.
    scene.taps["orders"].line, scene.taps["orders"].pace = SLOW, 140


def test_a_source_that_reads_less_than_is_written_is_growing(scene: Scene) -> None:
    scene.becomes("growing", "refunds", 90)


def test_the_lag_is_the_end_offset_less_the_current_offset(scene: Scene) -> None:
    truths = scene.truths("refunds", 4 * INTERVAL)
    page = scene.exporter.page()
    for mode in MODES:
        read_at = page.one("flink_health_cluster_snapshot_timestamp_seconds", cluster=mode)
        if mode == "rest":
            read_at -= page.one("flink_health_cluster_rest_metrics_age_seconds", cluster=mode)
        lag = page.one(LAG, **scene.of("refunds", mode))
        # The values were on their way for two seconds at most.
        true = [truth.left for truth in truths if read_at - 2.5 <= truth.at <= read_at + 0.5]
        print(f"{mode}: {lag:.0f}, in truth {min(true):.0f} to {max(true):.0f}")
        # What the client has handed over and the job has not taken yet is not in Flink's number: some small fetches.
        assert min(true) * 0.95 - 100 <= lag <= max(true) * 1.05
        assert page.one("flink_health_source_emit_lag_seconds", **scene.of("refunds", mode)) > 5
    # Nothing is written from here on, and so it catches up, as a test below tells.
    scene.taps["refunds"].pace = 0


def test_a_source_whose_client_fetched_far_ahead_is_growing(scene: Scene) -> None:
    scene.becomes("growing", "payments", 90)
    scene.taps["payments"].line = BETWEEN
    truths = scene.truths("payments", 4 * INTERVAL)
    page = scene.exporter.page()
    for mode in MODES:
        lag = page.one(LAG, **scene.of("payments", mode))
        age = page.one("flink_health_source_emit_lag_seconds", **scene.of("payments", mode))
        least, most = min(truth.left for truth in truths), max(truth.left for truth in truths)
        print(f"{mode}: {lag:.0f}, {age:.0f} s, in truth {least:.0f} to {most:.0f}")
        # What the client does not know is not in the lag. 100 a second and partition were written for so long.
        assert 0 < lag < most
        assert least * 0.8 < PARTITIONS * 100 * age < most * 1.2
        assert page.all("flink_health_source_catch_up_seconds", **scene.of("payments", mode)) == []


def test_flinks_names_are_those_recorded(scene: Scene) -> None:
    """Run with UPDATE_RECORDINGS=1 to write down what they are now."""

    def numbered(name: str) -> str:
        return re.sub(r"(partition\.|split\.\w+-)\d+", r"\1N", name)

    def names() -> str:
        job = scene.jobs["orders"]
        (vertex,) = scene.flink_says(f"/jobs/{job}")["vertices"]
        ids = [entry["id"] for entry in scene.flink_says(f"/jobs/{job}/vertices/{vertex['id']}/metrics")]
        mine = {"job_id": job, "subtask_index": "0"}.items()
        told = {
            f"{sample.name}{{{','.join(sample.labels)}}}"
            for sample in scene.reporter_says().samples
            if mine <= sample.labels.items() and sample.labels.get("operator_name", "").startswith("Source:")
        }
        rest = {numbered(name[2:]) for name in ids if name.startswith("0.Source__")}
        about = f"# Flink {distribution.PINNED}, {CONNECTOR}"
        lines = [about, "# REST, of a vertex, less the subtask:", *sorted(rest), "# The reporter:", *sorted(told)]
        return "".join(line + "\n" for line in lines)

    if os.environ.get("UPDATE_RECORDINGS"):
        RECORDING.write_text(names())
    eventually(lambda: names() == RECORDING.read_text(), f"the names that are in {RECORDING}", 20)


def test_flink_has_what_the_signal_asks_for_but_what_only_other_sources_have() -> None:
    recorded = RECORDING.read_text().splitlines()
    asked = {need for need in source_lag.SIGNAL.needs if isinstance(need, Raw) and need.scope is not Scope.TASK}
    ends = {
        need: f".partition.N.{need.name}" if need.scope is Scope.PARTITION else f"_orders.{need.name}" for need in asked
    }
    absent = {need.name for need, end in ends.items() if not any(name.endswith(end) for name in recorded)}
    assert absent == {"KafkaConsumer.records-lag-max", "currentFetchEventTimeLag"}


def test_what_is_uncommitted_is_read_less_committed_and_falls_with_a_checkpoint(scene: Scene) -> None:
    true, seen = list[float](), {mode: list[float]() for mode in MODES}
    deadline = time.monotonic() + 6 * INTERVAL
    while time.monotonic() < deadline:
        true.append(scene.truth("orders").uncommitted)
        page = scene.exporter.page()
        for mode in MODES:
            seen[mode].append(page.one(UNCOMMITTED, **scene.of("orders", mode)))
        time.sleep(0.2)
    # 2 subtasks read 50 records a second each, and commit every 5 s: from nothing to 500, and some time for the commit.
    assert max(true) > 200
    for values in (true, *seen.values()):
        assert any(before > after for before, after in pairwise(values))
        assert 0 <= min(values) <= max(values) <= max(true) + 200


def test_there_are_no_errors_while_there_is_a_broker(scene: Scene) -> None:
    # The coordinator of a new group is not there at once: the first commits of all may fail.
    scene.in_both(
        lambda page, mode: page.one(ERRORS, **scene.of("orders", mode)) == 0, "no failed commit for a minute", 70
    )


def test_a_source_that_reads_more_than_is_written_is_catching_up(scene: Scene) -> None:
    scene.becomes("catching_up", "refunds", 150)
    page = scene.exporter.page()
    for mode in MODES:
        assert page.one("flink_health_source_lag_growth_records_per_second", **scene.of("refunds", mode)) < 0
        assert page.one("flink_health_source_catch_up_seconds", **scene.of("refunds", mode)) > 0


def all_through(family: str, scene: Scene, page: Published, mode: str) -> bool:
    return {page.one(family, **scene.of(job, mode)) for job in ("refunds", "alerts")} == {0}


def test_a_source_with_nothing_left_to_read_is_ok_and_has_committed_all(scene: Scene) -> None:
    scene.becomes("ok", "refunds", 180)
    for job in ("refunds", "alerts"):
        eventually(partial(scene.is_through, job), f"{job} to have read and committed all")
    for family in (LAG, UNCOMMITTED):
        scene.in_both(partial(all_through, family, scene), f"a {family} of 0")
    scene.in_both(lambda page, mode: page.one(IDLE, **scene.of("alerts", mode)) > 60, "a source that is long idle")
    assert set(scene.statuses("alerts")) == {"ok"}
    assert set(scene.statuses("vouchers")) == {None}  # of a topic that never had a record no lag is told


def test_a_source_that_no_longer_keeps_up_is_growing(scene: Scene) -> None:
    scene.becomes("growing", "orders", 180)


def test_a_source_goes_all_the_way_and_back_and_does_not_waver(scene: Scene) -> None:
    way, words = ["ok", "growing", "catching_up", "ok"], scene.diary.words
    eventually(lambda: min(map(len, words.values())) >= len(way), "the last word", 240)
    time.sleep(3 * INTERVAL)
    assert words == dict.fromkeys(MODES, way)
    scene.taps["payments"].pace = 0


# From here on there is no broker.


def test_a_job_that_fails_for_want_of_a_broker_fails_for_that(scene: Scene) -> None:
    def failures(page: Published, mode: str) -> dict[str, float]:
        wanted = scene.of("alerts", mode).items()
        found = [each for each in page.samples if each.name == FAILURES and wanted <= each.labels.items()]
        return {each.labels["scenario"]: each.value for each in found if each.value}

    scene.taps["orders"].pace = 0
    scene.in_both(lambda page, mode: not failures(page, mode), "no failure yet")
    scene.kafka.kill()
    scene.in_both(lambda page, mode: failures(page, mode).keys() == {"kafka_unavailable"}, "the failure", 60)


@pytest.mark.parametrize("job", ["orders", "refunds", "vouchers"])
def test_a_source_without_a_broker_is_stalled_and_stays_so(scene: Scene, job: str) -> None:
    scene.becomes("stalled", job, 120)
    for _ in range(3):
        time.sleep(INTERVAL)
        assert scene.statuses(job) == ["stalled", "stalled"]
    if job != "vouchers":  # which has no offsets
        what = "offsets that cannot be committed"
        scene.in_both(lambda page, mode: page.one(ERRORS, **scene.of(job, mode)) > 0, what)


def test_sources_whose_broker_is_back_read_on(scene: Scene) -> None:
    scene.kafka.start()
    left = scene.truth("orders").left
    scene.becomes("ok", "refunds", 60)
    eventually(lambda: "stalled" not in scene.statuses("orders"), "orders to be read again")
    eventually(lambda: "stalled" not in scene.statuses("vouchers"), "vouchers to be waited for again")
    assert scene.truth("orders").left < left
    path = f"/jobs/{scene.jobs['alerts']}"
    eventually(lambda: scene.flink_says(path)["vertices"][0]["status"] == "RUNNING", "the failed job to run")


def test_there_is_no_source_but_those_of_the_jobs_and_the_log_has_no_traceback(scene: Scene) -> None:
    page = scene.exporter.page()
    assert {sample.labels["operator_name"] for sample in page.samples if sample.name == IDLE} == {
        f"Source:_KafkaSource_default_catalog_default_database_{job}" for job in scene.jobs
    }
    log = Path(scene.exporter.log).read_text()
    assert "Traceback" not in log
    assert "level=error" not in log
