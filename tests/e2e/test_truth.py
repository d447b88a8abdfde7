"""Is what the exporter says of a real Flink true?

Each number is computed here once more, straight from Flink's raw REST replies of the same moment: with the native
reporter and by REST alone. The tests that end things come last, in the order in which they stand.
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

import pytest

from exporter.demo import distribution, jobs
from exporter.demo.cluster import FlinkCluster
from exporter.demo.submit import SqlGateway
from tests.e2e.running import Exporter, Published, eventually, exporter, raw
from tests.promtool import check_metrics

pytestmark = pytest.mark.flink

MODES = ("reporter", "rest")
INTERVAL = 3.0

RATIO = "flink_health_task_skew_ratio"
HEAP = "flink_health_taskmanager_heap_used_ratio"
UP = "flink_health_cluster_up"


class Scene(NamedTuple):
    """A real cluster, its jobs by name, and an exporter that reads it twice: as `reporter` and as `rest`."""

    flink: FlinkCluster
    jobs: dict[str, str]
    exporter: Exporter

    def in_both(self, look: Callable[[Published, str], object], what: str, seconds: float = 3 * INTERVAL) -> None:
        """Waits until something is true of the page in both modes."""
        for mode in MODES:
            eventually(partial(self._look, look, mode), what, seconds)

    def _look(self, look: Callable[[Published, str], object], mode: str) -> object:
        return look(self.exporter.page(), mode)

    def flink_says(self, path: str) -> Any:
        return raw(self.flink.rest_url + path)

    def vertex(self, job: str, part_of_name: str) -> str:
        vertices = self.flink_says(f"/jobs/{self.jobs[job]}")["vertices"]
        (found,) = [vertex["id"] for vertex in vertices if part_of_name in vertex["name"]]
        return str(found)

    def metrics(self, of: str, *names: str) -> dict[str, float]:
        """Flink's metrics of now: asked for until its store was refreshed after this call began."""
        began = time.time()
        job = next(iter(self.jobs.values()))
        vertex = self.flink_says(f"/jobs/{job}")["vertices"][0]["id"]
        backpressure = f"/jobs/{job}/vertices/{vertex}/backpressure"
        eventually(lambda: self.flink_says(backpressure)["end-timestamp"] / 1000 >= began, "fresh metrics", 20)
        time.sleep(0.5)  # its TaskManagers answer a moment after that
        return {entry["id"]: float(entry["value"]) for entry in self.flink_says(f"{of}/metrics?get={','.join(names)}")}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("truth")
    # The store behind REST refreshed more often than by default, so that the tests wait less for fresh values.
    # Latency markers are off by default.
    config = {"metrics.fetcher.update-interval": "1000", "metrics.latency.interval": "1000"}
    with FlinkCluster(distribution.find(), taskmanagers=2, checkpoint_history=50, config=config) as flink:
        with SqlGateway(flink) as gateway:
            ids = {
                job.name: gateway.submit(job.name, job.statements(time.time()), job.options())
                for job in (jobs.PAYMENTS, jobs.ORDERS)
            }
        settings = f"""
            interval: {INTERVAL:g}s
            clusters:
              - {{name: reporter, url: "{flink.rest_url}"}}
              - {{name: rest, url: "{flink.rest_url}", reporter: {{mode: off}}}}
        """
        with exporter(folder, settings) as running:
            here = Scene(flink, ids, running)
            skewed = here.vertex("orders-skewed", "GroupAggregate")
            here.in_both(lambda page, mode: page.all(RATIO, cluster=mode, task_id=skewed), "a rate", 90)
            time.sleep(60)  # the window of the rates fills, and checkpoints make a baseline
            yield here


def test_the_skew_ratio_is_that_of_the_raw_counters(scene: Scene) -> None:
    vertex = scene.vertex("orders-skewed", "GroupAggregate")
    of = f"/jobs/{scene.jobs['orders-skewed']}/vertices/{vertex}"
    names = ("0.numRecordsIn", "1.numRecordsIn")
    before = scene.metrics(of, *names)
    time.sleep(30)
    after = scene.metrics(of, *names)
    rates = [after[name] - before[name] for name in names]
    page = scene.exporter.page()
    for mode in MODES:
        ratio = page.one(RATIO, cluster=mode, signal="records", task_id=vertex)
        assert ratio == pytest.approx(max(rates) / mean(rates), rel=0.05)
        assert 1.8 <= ratio <= 2.0  # nine in ten records have one key, and the tenth is even: 0.95 / 0.5 = 1.9


def test_the_deviation_is_the_skew_of_flinks_own_aggregate(scene: Scene) -> None:
    vertex = scene.vertex("orders-skewed", "GroupAggregate")
    of = f"/jobs/{scene.jobs['orders-skewed']}/vertices/{vertex}"
    scene.metrics(of, "0.numRecordsIn")  # so that what follows is fresh
    (aggregate,) = scene.flink_says(f"{of}/subtasks/metrics?get=numRecordsInPerSecond&agg=skew")
    page = scene.exporter.page()
    for mode in MODES:
        deviation = page.one("flink_health_task_skew_deviation_ratio", cluster=mode, signal="records", task_id=vertex)
        assert deviation == pytest.approx(aggregate["skew"] / 100, abs=0.05)


def test_the_hottest_subtask_is_the_one_with_most_records(scene: Scene) -> None:
    vertex = scene.vertex("orders-skewed", "GroupAggregate")
    of = f"/jobs/{scene.jobs['orders-skewed']}/vertices/{vertex}"
    counts = scene.metrics(of, "0.numRecordsIn", "1.numRecordsIn")
    page = scene.exporter.page()
    for mode in MODES:
        index = page.one("flink_health_task_skew_hottest_subtask", cluster=mode, signal="records", task_id=vertex)
        assert f"{index:.0f}.numRecordsIn" == max(counts, key=counts.__getitem__)


def test_the_watermark_lag_is_the_clock_less_the_lowest_watermark(scene: Scene) -> None:
    job, vertex = scene.jobs["payments-healthy"], scene.vertex("payments-healthy", "WindowAggregate")
    watermarks = scene.metrics(f"/jobs/{job}/vertices/{vertex}", "0.currentInputWatermark", "1.currentInputWatermark")
    expected = time.time() - min(watermarks.values()) / 1000
    page = scene.exporter.page()
    for mode in MODES:
        lag = page.one("flink_health_task_watermark_lag_seconds", cluster=mode, task_id=vertex, job_id=job)
        assert lag == pytest.approx(expected, abs=2)


def test_the_heap_ratio_is_used_over_max(scene: Scene) -> None:
    used, most = "Status.JVM.Memory.Heap.Used", "Status.JVM.Memory.Heap.Max"
    for tm in scene.flink_says("/taskmanagers")["taskmanagers"]:
        heap = scene.metrics(f"/taskmanagers/{tm['id']}", used, most)
        published: dict[str, list[float]] = {mode: [] for mode in MODES}
        # Young objects come and go between two looks: the nearest of a few pages is the one of that moment.
        for _ in range(4):
            page = scene.exporter.page()
            for mode in MODES:
                published[mode].append(page.one(HEAP, cluster=mode, tm_id=tm["id"]))
            time.sleep(INTERVAL / 2)
        for mode in MODES:
            assert min(abs(ratio - heap[used] / heap[most]) for ratio in published[mode]) < 0.10


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["payments-healthy", "orders-skewed"])
def test_the_last_checkpoint_and_its_baseline_are_those_of_the_history(scene: Scene, mode: str, name: str) -> None:
    job = scene.jobs[name]

    def completed() -> list[dict[str, Any]]:
        history = scene.flink_says(f"/jobs/{job}/checkpoints")["history"]
        return [entry for entry in history if entry["status"] == "COMPLETED" and not entry["is_savepoint"]]

    def agree() -> bool:
        newest_first = completed()
        durations = [entry["end_to_end_duration"] / 1000 for entry in newest_first]
        page = scene.exporter.page()
        last = page.one("flink_health_job_checkpoint_duration_seconds", cluster=mode, job_id=job)
        baseline = page.one("flink_health_job_checkpoint_duration_baseline_seconds", cluster=mode, job_id=job)
        assert len(durations) > 5
        return last == durations[0] and baseline == pytest.approx(median(durations[1:21]), abs=1e-9)

    # The exporter's last look may be older than the newest checkpoint: that is so for one interval at most.
    eventually(agree, "the last checkpoint and the median of those before it", 4 * INTERVAL)


def test_the_reporter_and_rest_alone_publish_the_same_series(scene: Scene) -> None:
    def series(mode: str) -> set[tuple[str, frozenset[tuple[str, str]]]]:
        return {
            (sample.name, frozenset(sample.labels.items() - {("cluster", mode)}))
            for sample in scene.exporter.page().samples
            # Work of about the least that counts may be seen by one of the two only.
            if sample.labels.get("cluster") == mode
            and sample.name.startswith("flink_health_")
            and sample.labels.get("signal") != "busy"
        }

    eventually(lambda: series("reporter") == series("rest"), "both to publish the same", 4 * INTERVAL)
    page = scene.exporter.page()
    assert page.one("flink_exporter_targets", cluster="reporter", source="reporter", state="read") == 2
    assert page.one("flink_exporter_targets", cluster="rest", source="reporter", state="read") == 0


def test_the_latency_is_the_worst_of_flinks_own_histograms(scene: Scene) -> None:
    vertex = scene.vertex("orders-skewed", "GroupAggregate")
    of = f"/jobs/{scene.jobs['orders-skewed']}/vertices/{vertex}"
    names = [entry["id"] for entry in scene.flink_says(f"{of}/metrics")]
    histograms = [name for name in names if name.endswith(".latency_p99")]
    worst = max(scene.metrics(of, *histograms).values()) / 1000
    page = scene.exporter.page()
    for mode in MODES:
        latency = page.one("flink_health_task_latency_p99_seconds", cluster=mode, task_id=vertex)
        assert latency == pytest.approx(worst, abs=0.5)  # the histograms hold two minutes of markers


def test_a_job_without_watermarks_has_no_watermark_series_and_there_is_no_huge_number(scene: Scene) -> None:
    page = scene.exporter.page()
    orders, payments = (page.names_of(job_id=scene.jobs[name]) for name in ("orders-skewed", "payments-healthy"))
    assert [name for name in orders if "watermark" in name] == []
    assert "flink_health_job_watermark_lag_seconds" in payments
    health = [sample for sample in page.samples if sample.name.startswith("flink_health_")]
    assert max(abs(sample.value) for sample in health) < 1e11  # the greatest: sizes in bytes, and times since the epoch


def test_promtool_finds_nothing_to_say(scene: Scene) -> None:
    for accept in ("text/plain", ""):
        request = urllib.request.Request(scene.exporter.url + "/metrics", headers={"Accept": accept})
        with urllib.request.urlopen(request) as response:
            check_metrics(response.read())


def test_nothing_is_asked_of_flink_but_what_it_has(scene: Scene) -> None:
    page = scene.exporter.page()
    outcomes = {
        sample.labels["outcome"]
        for sample in page.samples
        if sample.name == "flink_exporter_fetches_total" and sample.labels["source"] == "rest"
    }
    # A busy machine may once be late, which is no matter of what was asked.
    assert outcomes - {"timeout"} == {"ok"}, scene.exporter.log.read_text()
    assert set(page.all("flink_exporter_signal_success")) == {1.0}


# From here on things end.


def test_a_cancelled_job_keeps_nothing_but_its_state(scene: Scene) -> None:
    job = scene.jobs["orders-skewed"]
    cancel = urllib.request.Request(f"{scene.flink.rest_url}/jobs/{job}", method="PATCH")
    urllib.request.urlopen(cancel)
    eventually(lambda: scene.flink_says(f"/jobs/{job}")["state"] == "CANCELED", "the job to be cancelled", 30)
    gone_at = time.monotonic()
    only_state = {"flink_health_job_state"}
    scene.in_both(lambda page, mode: page.names_of(cluster=mode, job_id=job) == only_state, "its series to go")
    for mode in MODES:
        page = scene.exporter.page()
        assert page.one("flink_health_job_state", cluster=mode, job_id=job, state="CANCELED") == 1
        assert page.names_of(cluster=mode, job_id=scene.jobs["payments-healthy"]) > {"flink_health_job_state"}
    # One interval until the next cycle begins, and about a second and a half that it takes.
    assert time.monotonic() - gone_at < 2 * INTERVAL + 2


def test_the_series_of_a_killed_taskmanager_go_and_the_page_stays(scene: Scene) -> None:
    before = {tm["id"] for tm in scene.flink_says("/taskmanagers")["taskmanagers"]}
    scene.flink.kill_taskmanager(0)
    eventually(lambda: len(scene.flink_says("/taskmanagers")["taskmanagers"]) == 1, "Flink to notice", 90)
    (left,) = [tm["id"] for tm in scene.flink_says("/taskmanagers")["taskmanagers"]]
    (killed,) = before - {left}
    scene.in_both(lambda page, mode: not page.names_of(cluster=mode, tm_id=killed), "its series to go")
    for mode in MODES:
        page = scene.exporter.page()
        assert page.one("flink_health_cluster_taskmanagers", cluster=mode) == 1
        assert page.one(UP, cluster=mode) == 1
        assert page.all(HEAP, cluster=mode, tm_id=left)


def test_a_killed_jobmanager_is_down_and_is_read_again_when_it_returns(scene: Scene) -> None:
    scene.flink.kill_jobmanager()
    scene.in_both(lambda page, mode: page.all(UP, cluster=mode) == [0], "down")
    page = scene.exporter.page()
    for mode in MODES:
        assert page.one("flink_health_cluster_state", cluster=mode, state="unreachable") == 1
        assert page.names_of(cluster=mode, job_id=scene.jobs["payments-healthy"]) == set()
    assert scene.exporter.get("/-/ready")[0] == 200
    scene.flink.start_jobmanager()
    scene.in_both(lambda page, mode: page.all(UP, cluster=mode) == [1], "up again", 60)
    scene.in_both(lambda page, mode: page.all(HEAP, cluster=mode), "its TaskManager to be read again", 60)


def test_the_log_has_no_traceback(scene: Scene) -> None:
    log = Path(scene.exporter.log).read_text()
    assert "Traceback" not in log
    assert "level=error" not in log
