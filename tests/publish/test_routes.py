"""What does each route answer, to whom, and what does it never let out?"""

from __future__ import annotations

import base64
import gzip
import hashlib
import logging
import re
import threading
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter.families import Family, Row
from exporter.publish.exposition import Format, Page, Registry, Variant, page, render
from exporter.publish.http import Board, build
from exporter.symptoms.health import ClusterHealth, JobHealth
from tests.publish import told
from tests.publish.told import EVIL, Told

UP = Family("flink_health_cluster_up", "Whether REST answered.", "1 when it did")
ROUTES = (
    "/, /clusters/{cluster}/jobs/{job_id}, /metrics, /api/v1/health, /api/v1/clusters/{cluster}/jobs/{job_id}, "
    "/api/v1/schema.json, /-/healthy, /-/ready, /icon.svg"
)
JOB = f"/clusters/prod/jobs/{told.ILL_LINE.id}"

OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}
GZIP = {"Accept-Encoding": "gzip"}


class Threads(Collector):
    """Remembers which threads have made a page."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def collect(self) -> Iterator[Metric]:
        self.seen.append(threading.get_ident())
        yield GaugeMetricFamily("flink_exporter_threads", "Threads.", value=1)


class BrokenBoard:
    """A board that cannot be read."""

    @property
    def page(self) -> Page:
        raise RuntimeError("secret detail")

    @property
    def ready(self) -> bool:
        raise RuntimeError("secret detail")

    def health(self) -> Sequence[ClusterHealth]:
        raise RuntimeError("secret detail")

    def job(self, cluster: str, job_id: str) -> JobHealth | None:
        raise RuntimeError("secret detail")


Client = TestClient[web.Request, web.Application]


async def served(board: Board) -> AsyncIterator[Client]:
    # The client's own Accept headers would hide what happens without one.
    async with TestClient(
        TestServer(build(board), host="127.0.0.1"),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding"),
    ) as client:
        yield client


@pytest.fixture
def threads() -> Threads:
    return Threads()


@pytest.fixture
def board(threads: Threads) -> Told:
    board = Told(*told.CLUSTERS)
    board.page = page([render([Row(UP, ("one",), 1.0)])], threads)
    return board


@pytest.fixture
async def client(board: Told) -> AsyncIterator[Client]:
    async for client in served(board):
        yield client


@pytest.fixture
async def broken() -> AsyncIterator[Client]:
    async for client in served(BrokenBoard()):
        yield client


class TestMetrics:
    """/metrics hands out bytes."""

    @pytest.mark.parametrize(
        ("headers", "variant"),
        [
            pytest.param({}, Variant(Format.TEXT, False), id="no headers"),
            pytest.param(GZIP, Variant(Format.TEXT, True), id="gzip"),
            pytest.param(OPENMETRICS, Variant(Format.OPENMETRICS, False), id="OpenMetrics"),
            pytest.param(OPENMETRICS | GZIP, Variant(Format.OPENMETRICS, True), id="OpenMetrics, gzip"),
        ],
    )
    async def test_each_variant(self, client: Client, board: Told, headers: dict[str, str], variant: Variant) -> None:
        answer = await client.get("/metrics", headers=headers)
        assert answer.status == 200
        assert answer.headers["Content-Type"] == variant.format.value
        assert answer.headers.get("Content-Encoding") == ("gzip" if variant.gzip else None)
        assert answer.headers["Vary"] == "Accept, Accept-Encoding"
        body = await answer.read()
        assert body == board.page.made(variant)
        assert b'flink_health_cluster_up{cluster="one"} 1.0\n' in (gzip.decompress(body) if variant.gzip else body)

    async def test_a_page_is_made_once_and_never_on_the_event_loop(self, client: Client, threads: Threads) -> None:
        for _ in range(3):
            await client.get("/metrics")
        assert len(threads.seen) == 1
        assert threads.seen[0] != threading.get_ident()

    async def test_what_is_made_already_is_handed_out_without_a_thread(
        self, client: Client, board: Told, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected = board.page.body(Variant(Format.TEXT, False))
        monkeypatch.setattr("exporter.publish.http.asyncio.to_thread", None)
        assert await (await client.get("/metrics")).read() == expected

    async def test_a_new_page_is_served_as_soon_as_it_is_on_the_board(self, client: Client, board: Told) -> None:
        await client.get("/metrics")
        board.page = page([render([Row(UP, ("two",), 0.0)])], Registry())
        assert await (await client.get("/metrics")).text() == (
            "# HELP flink_health_cluster_up Whether REST answered.\n# TYPE flink_health_cluster_up gauge\n"
            'flink_health_cluster_up{cluster="two"} 0.0\n'
        )

    async def test_a_header_sent_twice_is_one_list(self, client: Client) -> None:
        answer = await client.get(
            "/metrics", headers=[("Accept", "text/plain;q=0.1"), ("Accept", "application/openmetrics-text")]
        )
        assert answer.headers["Content-Type"] == Format.OPENMETRICS.value

    async def test_head_tells_the_size_and_sends_nothing(self, client: Client) -> None:
        whole, head = await client.get("/metrics"), await client.head("/metrics")
        assert head.status == 200
        assert await head.read() == b""
        assert head.headers["Content-Length"] == str(len(await whole.read()))


class TestProbes:
    """/-/healthy and /-/ready."""

    async def test_healthy_even_before_it_is_ready(self, client: Client, board: Told) -> None:
        board.ready = False
        answer = await client.get("/-/healthy")
        assert (answer.status, await answer.text()) == (200, "flink-health-exporter is healthy.\n")

    async def test_not_ready_until_the_first_cycle_has_finished(self, client: Client, board: Told) -> None:
        board.ready = False
        answer = await client.get("/-/ready")
        assert (answer.status, await answer.text()) == (
            503,
            "not ready: the first cycle has not finished\n",
        )
        board.ready = True
        answer = await client.get("/-/ready")
        assert (answer.status, await answer.text()) == (200, "flink-health-exporter is ready.\n")


class TestWrongDoors:
    """One line of plain text, never a traceback."""

    @pytest.mark.parametrize("accept", ["*/*", "text/html"])
    @pytest.mark.parametrize("path", ["/metric", "/metrics/", "/-/", f"/{EVIL}", "/%00", "/../etc/passwd"])
    async def test_404_lists_the_routes(self, client: Client, path: str, accept: str) -> None:
        answer = await client.get(path, headers={"Accept": accept})
        assert answer.status == 404
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert await answer.text() == f"not found: there is {ROUTES}\n"

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    @pytest.mark.parametrize("path", ["/", JOB, "/metrics", "/-/healthy", "/-/ready"])
    async def test_other_methods_are_not_allowed(self, client: Client, method: str, path: str) -> None:
        answer = await client.request(method, path)
        assert (answer.status, await answer.text()) == (405, "only GET, HEAD here\n")
        assert answer.headers["Allow"] == "GET, HEAD"

    @pytest.mark.parametrize("path", ["/", JOB, "/metrics", "/-/ready"])
    async def test_what_nobody_expected_is_one_line_here_and_all_of_it_in_the_log(
        self, broken: Client, path: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        answer = await broken.get(path, headers={"Accept": "text/html"})
        assert answer.status == 500
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert await answer.text() == "internal error: the exporter's log has it\n"
        (record,) = caplog.records
        assert record.getMessage() == f"GET {path} failed"
        assert record.exc_info is not None
        assert "secret detail" in str(record.exc_info[1])

    async def test_healthy_does_not_depend_on_the_board(self, broken: Client) -> None:
        assert (await broken.get("/-/healthy")).status == 200

    async def test_no_access_log(self, board: Told, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, logger="aiohttp.access")
        async for client in served(board):
            await client.get("/metrics")
        assert [record for record in caplog.records if record.name == "aiohttp.access"] == []


class TestSafeguards:
    """What every response says about what may be done with it."""

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/"),
            ("GET", JOB),
            ("GET", "/clusters/prod/jobs/nobody"),
            ("GET", "/metrics"),
            ("GET", "/api/v1/health"),
            ("GET", f"/api/v1{JOB}"),
            ("GET", "/api/v1/schema.json"),
            ("GET", "/api/v1/nowhere"),
            ("GET", "/-/healthy"),
            ("GET", "/-/ready"),
            ("GET", "/icon.svg"),
            ("GET", "/nowhere"),
            ("POST", "/"),
            ("HEAD", "/"),
        ],
    )
    async def test_headers(self, client: Client, method: str, path: str) -> None:
        headers = (await client.request(method, path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Server"] == "flink-health-exporter"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")

    @pytest.mark.parametrize("path", ["/", JOB, "/clusters/prod/jobs/nobody"])
    async def test_the_policy_allows_the_one_style_that_is_on_the_page(self, client: Client, path: str) -> None:
        answer = await client.get(path)
        # What a browser hashes is what stands between the tags, byte for byte.
        styles = re.findall(rb"<style>(.*?)</style>", await answer.read(), re.DOTALL)
        assert len(styles) == 1
        digest = base64.b64encode(hashlib.sha256(styles[0]).digest()).decode()
        assert answer.headers["Content-Security-Policy"] == (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    async def test_the_icon_is_a_picture(self, client: Client) -> None:
        answer = await client.get("/icon.svg")
        assert answer.headers["Content-Type"] == "image/svg+xml; charset=utf-8"
        assert (await answer.text()).startswith("<svg ")


class TestOffTheLoop:
    """What takes its time must not hold up a scrape."""

    @pytest.mark.parametrize("path", ["/", JOB, "/api/v1/health", f"/api/v1{JOB}"])
    async def test_the_board_is_asked_in_a_thread(self, path: str) -> None:
        asked: list[int] = []

        class Asked(Told):
            def health(self) -> Sequence[ClusterHealth]:
                asked.append(threading.get_ident())
                return super().health()

            def job(self, cluster: str, job_id: str) -> JobHealth | None:
                asked.append(threading.get_ident())
                return super().job(cluster, job_id)

        async for client in served(Asked(*told.CLUSTERS)):
            assert (await client.get(path)).status == 200
        assert asked
        assert threading.get_ident() not in asked
