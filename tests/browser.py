"""Pages in a real browser: a headless Chromium that is driven over its DevTools protocol.

    with chromium() as browser:
        async with browser.open("http://127.0.0.1:9449/", width=390, height=844, scheme="dark") as tab:
            assert tab.console == []
            assert await tab.evaluate("document.title") == "…"
            await tab.screenshot(Path("page.png"))

One browser serves any number of tabs, and each tab has its own cookies and cache. `page_is_sound` holds what has to be
true of any page of ours.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tests.needed import program

DESKTOP, PHONE = (1280, 900), (390, 844)
SCHEMES = ("light", "dark")

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
_PATIENCE = 30.0
# A page's own loading is done; what it would do by itself a moment later is waited for so long.
_SETTLING = 0.2


class BrowserError(Exception):
    """The browser could not do what it was told to."""


@dataclass
class Tab:
    """A page that has been loaded.

    console: what it wrote there, with errors, refused resources and violations of its policy. failed: addresses that
    could not be loaded. requested: all addresses that it asked for. dialogs: what it said in a box, such as by alert().
    """

    _devtools: _DevTools
    width: int
    console: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    status: int | None = None

    async def evaluate(self, script: str) -> Any:
        """The value of some JavaScript, as JSON has it; a promise is waited for."""
        answer = await self._devtools.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise BrowserError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def text(self) -> str:
        """What there is to read on the page."""
        return str(await self.evaluate("document.body.innerText"))

    async def screenshot(self, path: Path | None = None, *, whole: bool = True) -> bytes:
        """A picture as PNG, written to a file if there is a path. whole: of what must be scrolled to as well."""
        size = (await self._devtools.call("Page.getLayoutMetrics"))["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        options = {"captureBeyondViewport": True, "clip": clip} if whole else {}
        answer = await self._devtools.call("Page.captureScreenshot", format="png", **options)
        picture = base64.b64decode(answer["data"])
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture)
        return picture

    async def overflow(self) -> float:
        """By how many pixels the page is wider than its window."""
        # Not `innerWidth`, which grows when a phone zooms out to show all of a page that is too wide.
        return float(await self.evaluate("document.documentElement.scrollWidth")) - self.width


@dataclass(frozen=True)
class Browser:
    """A browser that runs. endpoint: of its DevTools."""

    endpoint: str

    @asynccontextmanager
    async def open(
        self, url: str, *, width: int = DESKTOP[0], height: int = DESKTOP[1], scheme: str = "light"
    ) -> AsyncIterator[Tab]:
        """Loads a page in a window of this size; narrow ones are a phone's. Raises BrowserError if it cannot."""
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(self.endpoint, max_msg_size=0) as socket,
        ):
            devtools = _DevTools(socket)
            reading = asyncio.create_task(devtools.read())
            try:
                async with asyncio.timeout(_PATIENCE):
                    tab = await _loaded(devtools, url, width, height, scheme)
                yield tab
            finally:
                await devtools.close()
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)


async def _loaded(devtools: _DevTools, url: str, width: int, height: int, scheme: str) -> Tab:
    context = (await devtools.call("Target.createBrowserContext", disposeOnDetach=True))["browserContextId"]
    target = await devtools.call("Target.createTarget", url="about:blank", browserContextId=context)
    attached = await devtools.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
    devtools.session = attached["sessionId"]
    tab = Tab(devtools, width)
    devtools.listen(tab)
    for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
        await devtools.call(f"{domain}.enable")
    phone = width < 600
    await devtools.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
    )
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    await devtools.call("Emulation.setEmulatedMedia", features=features)
    answer = await devtools.call("Page.navigate", url=url)
    if "errorText" in answer:
        raise BrowserError(f"{url}: {answer['errorText']}")
    await devtools.loaded.wait()
    await asyncio.sleep(_SETTLING)
    return tab


class _DevTools:
    """One conversation over the protocol: calls with their answers, and what the page tells meanwhile."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._tab: Tab | None = None
        self._busy: set[asyncio.Task[Any]] = set()
        self._urls: dict[str, str] = {}
        self.session: str | None = None
        self.loaded = asyncio.Event()

    def listen(self, tab: Tab) -> None:
        self._tab = tab

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self.session and not method.startswith("Target."):
            message["sessionId"] = self.session
        await self._socket.send_json(message)
        async with asyncio.timeout(_PATIENCE):
            result: dict[str, Any] = await answer
        return result

    async def read(self) -> None:
        try:
            async for message in self._socket:
                said = message.json()
                if "id" not in said:
                    self._told(said["method"], said["params"])
                elif "error" in said:
                    self._answers.pop(said["id"]).set_exception(BrowserError(said["error"]["message"]))
                else:
                    self._answers.pop(said["id"]).set_result(said["result"])
        finally:
            for answer in self._answers.values():
                answer.cancel()

    async def close(self) -> None:
        for task in self._busy:
            task.cancel()
        await self._socket.close()

    def _told(self, method: str, params: dict[str, Any]) -> None:
        tab = self._tab
        if tab is None:
            return
        match method:
            case "Page.loadEventFired":
                self.loaded.set()
            case "Page.javascriptDialogOpening":
                tab.dialogs.append(params["message"])
                # Until it is closed nothing else goes on.
                self._busy.add(asyncio.create_task(self.call("Page.handleJavaScriptDialog", accept=False)))
            case "Runtime.consoleAPICalled":
                words = " ".join(str(each.get("value", each.get("description", ""))) for each in params["args"])
                tab.console.append(f"{params['type']}: {words}")
            case "Runtime.exceptionThrown":
                tab.console.append(f"exception: {params['exceptionDetails']['text']}")
            case "Log.entryAdded":
                entry = params["entry"]
                tab.console.append(
                    f"{entry['source']} {entry['level']}: {entry['text']} {entry.get('url', '')}".strip()
                )
            case "Audits.issueAdded":
                tab.console.append(f"issue: {params['issue']['code']} {params['issue']['details']}")
            case "Network.requestWillBeSent":
                self._urls[params["requestId"]] = params["request"]["url"]
                tab.requested.append(params["request"]["url"])
            case "Network.responseReceived" if params["type"] == "Document":
                tab.status = params["response"]["status"]
            case "Network.loadingFailed":
                tab.failed.append(f"{self._urls.get(params['requestId'])}: {params['errorText']}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of its own, ended at the end. Without one the test is skipped, or fails where CI is true."""
    with tempfile.TemporaryDirectory(prefix="flink-health-chromium-", ignore_cleanup_errors=True) as folder:
        command = [program("chromium"), *_FLAGS, f"--user-data-dir={folder}", "about:blank"]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield Browser(_endpoint(process, Path(folder)))
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _endpoint(process: subprocess.Popen[bytes], folder: Path) -> str:
    """Where it listens, which it says once it does."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        text = (folder / "log").read_text(errors="replace")
        if found := re.search(r"DevTools listening on (ws://\S+)", text):
            return found[1]
        if process.poll() is not None:
            raise BrowserError(f"chromium ended with {process.returncode}: {text[-2000:]}")
        time.sleep(0.05)
    raise BrowserError(f"chromium did not listen within {_PATIENCE:g} s")


# What is to be seen of a page, besides its text: whether something visible sticks out of the window, except where
# it is scrolled to on purpose.
_STICKS_OUT = """
(width => [...document.body.querySelectorAll('*')].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width && (box.right > width + 1 || box.left < -1) && !e.closest('.scrolling') && e.checkVisibility()
    && getComputedStyle(e).clipPath === 'none' && !e.closest('thead');
}).map(e => e.outerHTML.slice(0, 120)))
"""


async def page_is_sound(tab: Tab, url: str) -> None:
    """Asserts what has to be true of any page of ours: quiet, by itself, within its window, and not empty."""
    host = urlsplit(url).netloc
    # Of a page that says that something is not there the browser itself says so too.
    own = f"network error: Failed to load resource: the server responded with a status of {tab.status}"
    assert [each for each in tab.console if tab.status == 200 or not each.startswith(own)] == []
    assert tab.failed == []
    assert tab.dialogs == []
    assert [each for each in tab.requested if urlsplit(each).netloc != host] == []
    assert await tab.overflow() <= 0
    assert await tab.evaluate(f"{_STICKS_OUT}({tab.width})") == []
    assert len(await tab.text()) > 40
