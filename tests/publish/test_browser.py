"""Do the pages look right in a real browser, wide and narrow, light and dark, and does nothing on them run?

With SCREENSHOTS=folder the pictures are kept there.
"""

from __future__ import annotations

import asyncio
import os
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.publish.http import build
from exporter.publish.pages import job_path
from tests.browser import DESKTOP, PHONE, SCHEMES, Browser, Tab, chromium, page_is_sound
from tests.publish import told
from tests.publish.told import EVIL, Told

PAGES = {
    "overview": ("/", ["34 of 308 jobs are ill", "invoices-restarting", "eu-west.stage", "connection refused"]),
    "job": (job_path(told.ILL_LINE), ["it waits for something outside", "= 5", "What to do", "external wait", "116 s"]),
    "well": (job_path(told.WELL_LINE), ["Nothing is wrong with it", "100"]),
    "evil": (job_path(told.EVIL_LINE), [EVIL, "javascript:alert(1)"]),
    "wide": (job_path(told.WIDE_LINE), ["MultiJoin[40]", "sink-9[69]: Writer"]),
    "deep": (job_path(told.DEEP_LINE), ["Step[11]"]),
    "missing": ("/clusters/prod/jobs/nobody", ["Cluster prod has no job nobody", "All clusters and their jobs"]),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
async def url() -> AsyncIterator[str]:
    server = TestServer(build(Told(*told.CLUSTERS, told.many(300)), clock=lambda: told.NOW), host="127.0.0.1")
    await server.start_server()
    yield str(server.make_url("")).rstrip("/")
    await server.close()


def shades(picture: bytes) -> int:
    """How many different bytes a PNG is made of, before its lines are filtered: a blank page has a few."""
    parts = re.findall(rb"IDAT", picture)
    assert parts
    data, at = b"", 8
    while at < len(picture):
        size, kind = int.from_bytes(picture[at : at + 4]), picture[at + 4 : at + 8]
        if kind == b"IDAT":
            data += picture[at + 8 : at + 8 + size]
        at += size + 12
    return len(set(zlib.decompress(data)))


async def shows(tab: Tab, selector: str) -> int:
    """How many elements are there that have a size and can be seen."""
    seen = "e => e.checkVisibility() && e.getBoundingClientRect().width"
    return int(await tab.evaluate(f"[...document.querySelectorAll({selector!r})].filter({seen}).length"))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", PAGES)
async def test_a_page_in_a_browser(browser: Browser, url: str, name: str, size: tuple[int, int], scheme: str) -> None:
    path, words = PAGES[name]
    async with browser.open(f"{url}{path}", width=size[0], height=size[1], scheme=scheme) as tab:
        await page_is_sound(tab, url)
        text = " ".join((await tab.text()).split())
        assert [each for each in words if each not in text and each not in await tab.evaluate(_DRAWN)] == []
        dark = await tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (dark == "rgb(18, 21, 26)") == (scheme == "dark"), "the style is not the scheme's, or was refused"
        folder = os.environ.get("SCREENSHOTS")
        target = Path(folder) / f"{name}-{size[0]}-{scheme}.png" if folder else None
        assert shades(await tab.screenshot(target)) > 50


# What is written inside the pictures, which is not in a page's own text.
_DRAWN = "[...document.querySelectorAll('svg text')].map(e => e.textContent).join(' ')"


@pytest.mark.parametrize(("size", "shape"), [(DESKTOP, "wide"), (PHONE, "tall")], ids=["desktop", "phone"])
async def test_the_graph_runs_to_where_there_is_room(
    browser: Browser, url: str, size: tuple[int, int], shape: str
) -> None:
    async with browser.open(f"{url}{job_path(told.ILL_LINE)}", width=size[0], height=size[1]) as tab:
        assert await shows(tab, f".graph.{shape} .node") == 6
        assert await shows(tab, ".graph .node") == 6
        assert await shows(tab, f".graph.{shape} .culprit .box") == 1
        assert await shows(tab, ".sparks svg") == 7
        # All of it is there without scrolling.
        assert (
            await tab.evaluate(f"(e => e.scrollWidth - e.clientWidth)(document.querySelector('.graph.{shape}'))") <= 0
        )


async def test_names_stay_inside_their_boxes(browser: Browser, url: str) -> None:
    script = """[...document.querySelectorAll('.graph.wide .node')].flatMap(node => {
      const box = node.querySelector('.box').getBoundingClientRect();
      return [...node.querySelectorAll('.name, .detail')].filter(e => e.getBoundingClientRect().right > box.right)
        .map(e => e.textContent);
    })"""
    for line in (told.ILL_LINE, told.WIDE_LINE, told.DEEP_LINE):
        async with browser.open(f"{url}{job_path(line)}") as tab:
            assert await tab.evaluate(script) == []


async def test_one_can_follow_the_links(browser: Browser, url: str) -> None:
    async with browser.open(url) as tab:
        await tab.evaluate("[...document.querySelectorAll('a')].find(a => a.innerText.startsWith('orders-')).click()")
        for _ in range(50):
            if "orders-" in await tab.evaluate("document.title"):
                break
            await asyncio.sleep(0.1)
        assert await tab.evaluate("document.querySelector('h1').innerText") == "orders-enriched-with-customers"
        await tab.evaluate("document.querySelector('.node.culprit').dispatchEvent(new MouseEvent('click'))")
        assert await shows(tab, "tr:target") == 1
        assert tab.console == []


async def test_what_has_the_focus_shows_it(browser: Browser, url: str) -> None:
    async with browser.open(url) as tab:
        await tab.evaluate("document.querySelector('nav a').focus({focusVisible: true})")
        assert await tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


class TestTheDriver:
    """Would it tell, were something wrong?"""

    @pytest.fixture
    async def bad(self) -> AsyncIterator[str]:
        async def page(_request: web.Request) -> web.Response:
            markup = """<!doctype html><link rel=icon href=data:,><body style="width: 3000px">
                <script>console.log('hello', 7); alert(1); fetch('http://nowhere.invalid/x').catch(() => 0)</script>
                <img src=/nothing.png>"""
            return web.Response(text=markup, content_type="text/html")

        async def guarded(request: web.Request) -> web.Response:
            answer = await page(request)
            answer.headers["Content-Security-Policy"] = "default-src 'none'"
            return answer

        app = web.Application()
        app.router.add_get("/", page)
        app.router.add_get("/guarded", guarded)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        yield str(server.make_url("")).rstrip("/")
        await server.close()

    async def test_a_page_that_does_all_it_should_not(self, browser: Browser, bad: str) -> None:
        async with browser.open(bad, width=390, height=844) as tab:
            for _ in range(100):
                if tab.failed:  # looking up a host takes its time
                    break
                await asyncio.sleep(0.1)
            assert tab.dialogs == ["1"]
            assert "log: hello 7" in tab.console
            assert any("404" in each for each in tab.console)
            assert "http://nowhere.invalid/x" in tab.requested
            assert any(each.startswith("http://nowhere.invalid/x: ") for each in tab.failed)
            assert await tab.overflow() > 2000
            with pytest.raises(AssertionError):
                await page_is_sound(tab, bad)

    async def test_what_a_policy_forbids(self, browser: Browser, bad: str) -> None:
        async with browser.open(f"{bad}/guarded") as tab:
            assert tab.dialogs == []
            assert any("Content Security Policy" in each for each in tab.console)
