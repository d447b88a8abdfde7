"""What does each route answer, to whom, and what does it never let out?"""

from __future__ import annotations

import base64
import gzip
import hashlib
import logging
import re
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from html.parser import HTMLParser

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter import __version__
from exporter.families import Family, Row
from exporter.publish.exposition import Format, Page, Registry, Variant, page, render
from exporter.publish.http import ClusterLine, build

UP = Family("flink_health_cluster_up", "Whether REST answered.", "1 when it did")
ROUTES = "/, /metrics, /-/healthy, /-/ready"
EVIL = "<script>alert(1)</script>"

OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}
GZIP = {"Accept-Encoding": "gzip"}


class Threads(Collector):
    """Remembers which threads have made a page."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def collect(self) -> Iterator[Metric]:
        self.seen.append(threading.get_ident())
        yield GaugeMetricFamily("flink_exporter_threads", "Threads.", value=1)


class StillBoard:
    """A board that shows what the test wrote on it."""

    def __init__(self) -> None:
        self.threads = Threads()
        self.page: Page = page([render([Row(UP, ("one",), 1.0)])], self.threads)
        self.ready = True
        self.lines: list[ClusterLine] = []

    def overview(self) -> Sequence[ClusterLine]:
        return self.lines


class BrokenBoard:
    """A board that cannot be read."""

    @property
    def page(self) -> Page:
        raise RuntimeError("secret detail")

    @property
    def ready(self) -> bool:
        raise RuntimeError("secret detail")

    def overview(self) -> Sequence[ClusterLine]:
        raise RuntimeError("secret detail")


Client = TestClient[web.Request, web.Application]


async def served(board: StillBoard | BrokenBoard) -> AsyncIterator[Client]:
    # The client's own Accept headers would hide what happens without one.
    async with TestClient(
        TestServer(build(board), host="127.0.0.1"),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding"),
    ) as client:
        yield client


@pytest.fixture
def board() -> StillBoard:
    return StillBoard()


@pytest.fixture
async def client(board: StillBoard) -> AsyncIterator[Client]:
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
    async def test_each_variant(
        self, client: Client, board: StillBoard, headers: dict[str, str], variant: Variant
    ) -> None:
        answer = await client.get("/metrics", headers=headers)
        assert answer.status == 200
        assert answer.headers["Content-Type"] == variant.format.value
        assert answer.headers.get("Content-Encoding") == ("gzip" if variant.gzip else None)
        assert answer.headers["Vary"] == "Accept, Accept-Encoding"
        body = await answer.read()
        assert body == board.page.made(variant)
        assert b'flink_health_cluster_up{cluster="one"} 1.0\n' in (gzip.decompress(body) if variant.gzip else body)

    async def test_a_page_is_made_once_and_never_on_the_event_loop(self, client: Client, board: StillBoard) -> None:
        for _ in range(3):
            await client.get("/metrics")
        assert len(board.threads.seen) == 1
        assert board.threads.seen[0] != threading.get_ident()

    async def test_what_is_made_already_is_handed_out_without_a_thread(
        self, client: Client, board: StillBoard, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected = board.page.body(Variant(Format.TEXT, False))
        monkeypatch.setattr("exporter.publish.http.asyncio.to_thread", None)
        assert await (await client.get("/metrics")).read() == expected

    async def test_a_new_page_is_served_as_soon_as_it_is_on_the_board(self, client: Client, board: StillBoard) -> None:
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

    async def test_healthy_even_before_it_is_ready(self, client: Client, board: StillBoard) -> None:
        board.ready = False
        answer = await client.get("/-/healthy")
        assert (answer.status, await answer.text()) == (200, "flink-health-exporter is healthy.\n")

    async def test_not_ready_until_the_first_cycle_has_finished(self, client: Client, board: StillBoard) -> None:
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
    @pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready"])
    async def test_other_methods_are_not_allowed(self, client: Client, method: str, path: str) -> None:
        answer = await client.request(method, path)
        assert (answer.status, await answer.text()) == (405, "only GET, HEAD here\n")
        assert answer.headers["Allow"] == "GET, HEAD"

    @pytest.mark.parametrize("path", ["/", "/metrics", "/-/ready"])
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

    async def test_no_access_log(self, board: StillBoard, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, logger="aiohttp.access")
        async for client in served(board):
            await client.get("/metrics")
        assert [record for record in caplog.records if record.name == "aiohttp.access"] == []


class Seen(HTMLParser):
    """The tags, attributes and text that a browser would see."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []
        self.text = ""
        self.style = ""
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "a":
            self.links.append(dict(attrs)["href"])

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ["style"] and not self.style:
            self.style = data
        else:
            self.text += data


async def seen(answer: ClientResponse) -> Seen:
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return Seen(await answer.text())


class TestLanding:
    """The page that a person lands on."""

    async def test_it_says_what_it_is_and_how_each_cluster_is(self, client: Client, board: StillBoard) -> None:
        board.lines = [
            ClusterLine(
                name="prod",
                url="http://flink:8081",
                state="up",
                age=12.3,
                jobs={"RUNNING": 3, "FAILED": 1},
                taskmanagers=4,
                series=12345,
            ),
            ClusterLine(name="stage", url="http://stage:8081", state="timeout", error="no answer in 5 s"),
        ]
        landing = await seen(await client.get("/"))
        for words in (
            __version__,
            "This exporter is ready.",
            "prod",
            "12 s ago",
            "3 RUNNING, 1 FAILED",
            "12,345",
            "timeout",
            "none yet",
            "no answer in 5 s",
        ):
            assert words in landing.text
        assert landing.links == [
            "/metrics",
            "/-/healthy",
            "/-/ready",
            "http://flink:8081",
            "http://stage:8081",
        ]

    async def test_before_the_first_cycle_and_without_clusters(self, client: Client, board: StillBoard) -> None:
        board.ready = False
        landing = await seen(await client.get("/"))
        assert "not ready: the first cycle has not finished" in landing.text
        assert "No cluster is configured." in landing.text

    @pytest.mark.parametrize("evil", [EVIL, '"><script>alert(1)</script>', "' onclick='alert(1)", "$style", "&lt;"])
    async def test_whatever_a_cluster_is_called_it_is_text(self, client: Client, board: StillBoard, evil: str) -> None:
        board.lines = [
            ClusterLine(name=evil, url=evil, state=evil, jobs={evil: 1}, error=evil),
            ClusterLine(name="x", url=f"http://{evil}", state="up"),
        ]
        answer = await client.get("/")
        landing = await seen(answer)
        assert "script" not in landing.tags
        assert "onclick" not in re.sub(r"(?s)>[^<]*<|\"[^\"]*\"", "", await answer.text())
        # name, url, state, jobs, error; and the text of the link
        assert landing.text.count(evil) == 6
        assert landing.links[3:] == [f"http://{evil}"]

    async def test_an_address_that_is_a_script_is_no_link(self, client: Client, board: StillBoard) -> None:
        board.lines = [ClusterLine(name="x", url="javascript:alert(1)", state="up")]
        landing = await seen(await client.get("/"))
        assert "javascript:alert(1)" in landing.text
        assert landing.links == ["/metrics", "/-/healthy", "/-/ready"]

    async def test_it_is_readable_without_script_in_the_dark_and_on_a_phone(self, client: Client) -> None:
        landing = await seen(await client.get("/"))
        assert "script" not in landing.tags
        assert "prefers-color-scheme: dark" in landing.style
        assert "max-width: 48rem" in landing.style
        assert 'name="viewport"' in await (await client.get("/")).text()

    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            pytest.param(-0.4, "0 s ago", id="a clock that was set back"),
            pytest.param(0.0, "0 s ago", id="just now"),
            pytest.param(119.0, "119 s ago", id="seconds up to two minutes"),
            pytest.param(120.0, "2 min ago", id="then minutes"),
            pytest.param(7199.0, "120 min ago", id="up to two hours"),
            pytest.param(7200.0, "2 h ago", id="then hours"),
            pytest.param(None, "none yet", id="no snapshot yet"),
        ],
    )
    async def test_age(self, client: Client, board: StillBoard, seconds: float | None, words: str) -> None:
        board.lines = [ClusterLine(name="x", url="http://x", state="up", age=seconds)]
        assert words in (await seen(await client.get("/"))).text


class TestSafeguards:
    """What every response says about what may be done with it."""

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/"),
            ("GET", "/metrics"),
            ("GET", "/-/ready"),
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

    async def test_the_policy_allows_the_one_style_that_is_on_the_page(self, client: Client) -> None:
        answer = await client.get("/")
        # What a browser hashes is what stands between the tags, byte for byte.
        styles = re.findall(rb"<style>(.*?)</style>", await answer.read(), re.DOTALL)
        assert len(styles) == 1
        digest = base64.b64encode(hashlib.sha256(styles[0]).digest()).decode()
        assert answer.headers["Content-Security-Policy"] == (
            f"default-src 'none'; style-src 'sha256-{digest}'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        assert b" style=" not in await answer.read()
