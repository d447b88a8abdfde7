"""A Flink that is not there: replays what a real one said, on free ports of 127.0.0.1, and breaks as it is told to.

It answers only what was recorded: 404 to any other path, as Flink does, and no value for the id of an unknown metric.
"""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from aiohttp import web

RECORDINGS = Path(__file__).with_name("recordings")
VERSIONS = ("2.3", "2.2", "2.0", "1.20", "1.18", "1.17", "1.15")

# Seen: a request line of 4,090 bytes is answered, one of 4,100 is not.
REQUEST_LINE = 4096

Edit = Callable[[Any], Any]
"""What becomes of a reply before it is sent."""

Fault = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]
"""What is sent instead of a reply; it is called with the request and the reply."""


# The recordings


@dataclass(frozen=True)
class Look:
    """What Flink said at one moment.

    replies: by path. refused: status and body, by path. metrics: values by id, by path. pages: the reporters', by
    plain `tm_id`.
    """

    taken_at: float
    replies: Mapping[str, Any]
    refused: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, str]]
    pages: Mapping[str, bytes]

    def job(self, name: str) -> str:
        """The id of the job of this name."""
        (found,) = [job["jid"] for job in self.replies["/jobs/overview"]["jobs"] if job["name"] == name]
        return str(found)

    def vertices(self, job: str) -> list[str]:
        """The ids of the running vertices of the job of this name, sources first."""
        return [
            vertex["id"]
            for vertex in self.replies[f"/jobs/{self.job(job)}"]["vertices"]
            if vertex["status"] == "RUNNING"
        ]

    @property
    def taskmanagers(self) -> list[str]:
        """The ids of the TaskManagers, as REST spells them."""
        return [tm["id"] for tm in self.replies["/taskmanagers"]["taskmanagers"]]


@lru_cache
def recording(version: str) -> tuple[Look, ...]:
    """The looks of a version, `2.3` for one."""
    return tuple(_look(folder) for folder in sorted((RECORDINGS / version).glob("look-*")))


def _look(folder: Path) -> Look:
    about, rest, refused, metrics = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("about", "rest", "refused", "metrics")
    )
    pages = {told_by(path.read_bytes()): path.read_bytes() for path in sorted(folder.glob("taskmanager-*.txt"))}
    return Look(about["taken_at"], rest, refused, metrics, pages)


def told_by(page: bytes) -> str:
    """The plain id of the TaskManager whose page this is."""
    found = re.search(rb'tm_id="([^"]*)"', page)
    return plain(found[1].decode()) if found else ""


def blocks(page: bytes, families: Container[str]) -> list[bytes]:
    """Those blocks of a page that are of certain families."""
    found = re.split(rb"(?m)^(?=# HELP )", page)
    return [block for block in found if block and block.split(b" ", 3)[2].decode() in families]


def plain(identifier: str) -> str:
    """An identifier in the spelling that REST's and the reporter's have in common."""
    return re.sub(r"\W", "_", identifier)


# The faults


def status(code: int, body: bytes = b'{"errors":["Internal server error."]}') -> Fault:
    """An answer of another status."""

    async def fault(_request: web.Request, _reply: bytes) -> web.StreamResponse:
        return web.Response(status=code, body=body, content_type="application/json")

    return fault


LEADER_ELECTION = status(
    503, b'{"errors":["Service temporarily unavailable due to an ongoing leader election. Please refresh."]}'
)


def content(body: bytes) -> Fault:
    """Status 200 and these bytes."""

    async def fault(_request: web.Request, _reply: bytes) -> web.StreamResponse:
        return web.Response(body=body)

    return fault


HTML = content(b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>")


def huge(size: int) -> Fault:
    """More bytes than anybody wants."""

    async def fault(request: web.Request, _reply: bytes) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for _ in range(size // 65536 + 1):
                await response.write(b" " * 65536)
            await response.write_eof()
        except ConnectionError:
            pass  # the other side has had enough
        return response

    return fault


def redirect(target: str) -> Fault:
    """Look elsewhere."""

    async def fault(_request: web.Request, _reply: bytes) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": target})

    return fault


async def truncated(_request: web.Request, reply: bytes) -> web.StreamResponse:
    """A whole reply of HTTP, but half the JSON."""
    return web.Response(body=reply[: len(reply) // 2])


async def cut(request: web.Request, reply: bytes) -> web.StreamResponse:
    """The connection breaks off in the middle of the reply."""
    response = web.StreamResponse(headers={"Content-Length": str(len(reply) + 1)})
    await response.prepare(request)
    await response.write(reply[: len(reply) // 2])
    if request.transport:
        request.transport.close()
    return response


async def drop(request: web.Request, reply: bytes) -> web.StreamResponse:
    """The connection breaks off before the reply."""
    if request.transport:
        request.transport.close()
    return web.Response(body=reply)


async def hang(request: web.Request, reply: bytes) -> web.StreamResponse:
    """No reply, until the fake ends."""
    await request.app[_OVER].wait()
    return web.Response(body=reply)


async def hang_midway(request: web.Request, reply: bytes) -> web.StreamResponse:
    """Half a reply, and no more until the fake ends."""
    response = web.StreamResponse(headers={"Content-Length": str(len(reply))})
    await response.prepare(request)
    await response.write(reply[: len(reply) // 2])
    await request.app[_OVER].wait()
    return response


async def contradicting(request: web.Request, _reply: bytes) -> web.StreamResponse:
    """What the reporter really sends where no family is left: headers that no strict client accepts (seen on 2.3)."""
    if request.transport:
        request.transport.write(
            b"HTTP/1.1 200 OK\r\nTransfer-encoding: chunked\r\n"
            b"Content-type: text/plain; version=0.0.4; charset=utf-8\r\nContent-length: 0\r\n\r\n0\r\n\r\n"
        )
        request.transport.close()
    return web.Response()


_OVER = web.AppKey("over", asyncio.Event)


# The servers


class Served:
    """One HTTP server, what was asked of it, and what goes wrong with it.

    latency: how long each answer takes. at_most: the most requests that were under way at once.
    """

    def __init__(self, answer: Callable[[web.Request], tuple[int, bytes]]) -> None:
        self._answer = answer
        self._faults: list[tuple[re.Pattern[str], Fault]] = []
        self._runner: web.AppRunner | None = None
        self._over = asyncio.Event()
        self._under_way = 0
        self.latency = 0.0
        self.port = 0
        self.forget()

    def forget(self) -> None:
        """Begins to count anew."""
        self.requests: list[str] = []
        self.methods: Counter[str] = Counter()
        self.headers: list[Mapping[str, str]] = []
        self.at_most = 0

    def fail(self, path: str, fault: Fault) -> None:
        """From now on this path, in which `*` is any one segment and `**` any number, meets a fault."""
        self._faults.insert(0, (_pattern(path), fault))

    def heal(self) -> None:
        """No faults any more."""
        self._faults.clear()

    def asked(self, path: str) -> list[str]:
        """The requests for this path so far, with their queries; `*` as in `fail`."""
        pattern = _pattern(path)
        return [request for request in self.requests if pattern.fullmatch(request.partition("?")[0])]

    async def open(self, port: int = 0) -> None:
        """Listens, at a free port unless told which."""
        app = web.Application()
        app[_OVER] = self._over
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, max_line_size=1 << 20, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Nobody listens at its port any more."""
        self._over.set()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None
        self._over = asyncio.Event()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self._under_way += 1
        self.at_most = max(self.at_most, self._under_way)
        self.methods[request.method] += 1
        self.requests.append(request.raw_path)
        self.headers.append(dict(request.headers))
        try:
            await asyncio.sleep(self.latency)
            code, reply = self._answer(request)
            path = request.raw_path.partition("?")[0]
            for pattern, fault in self._faults:
                if pattern.fullmatch(path):
                    return await fault(request, reply)
            return await self._reply(request, code, reply)
        finally:
            self._under_way -= 1

    async def _reply(self, _request: web.Request, code: int, reply: bytes) -> web.StreamResponse:
        return web.Response(status=code, body=reply, content_type="application/json")


class FakeReporter(Served):
    """The native reporter of one process: its port, whatever the path; `page` may be replaced."""

    def __init__(self, page: Callable[[], bytes]) -> None:
        super().__init__(lambda request: (200, self._filtered(request)))
        self.page = page

    def _filtered(self, request: web.Request) -> bytes:
        names = set(parse_qs(request.query_string).get("name[]", ()))
        return b"".join(blocks(self.page(), names)) if names else self.page()

    async def _reply(self, request: web.Request, code: int, reply: bytes) -> web.StreamResponse:
        if not reply:
            return await contradicting(request, reply)
        zipped = "gzip" in request.headers.get("Accept-Encoding", "")
        return web.Response(
            status=code,
            body=gzip.compress(reply, 1) if zipped else reply,
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
            | ({"Content-Encoding": "gzip"} if zipped else {}),
        )


class FakeFlink(Served):
    """A JobManager and the reporters of its processes, all of which said what was recorded.

    reporters: by plain `tm_id`. jobmanager_reporter: that of the JobManager, which has nothing that anybody asks for.
    lazy: as the real one, it reads its metrics anew only when asked, and for the next request.
    """

    def __init__(self, version: str) -> None:
        super().__init__(self._say)
        self.looks = recording(version)
        self.now = 0
        self.lazy = False
        self._stored: Look | None = None
        self._began_anew = False
        self._edits: list[tuple[re.Pattern[str], Edit]] = []
        self.reporters = {tm: FakeReporter(self._page_of(tm)) for tm in self.looks[0].pages}
        self.jobmanager_reporter = FakeReporter(
            lambda: (
                b"# HELP flink_jobmanager_numRunningJobs numRunningJobs (scope: jobmanager)\n"
                b"# TYPE flink_jobmanager_numRunningJobs gauge\n"
                b'flink_jobmanager_numRunningJobs{host="localhost",} 6.0\n'
            )
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def look(self) -> Look:
        """What it says at present."""
        return self.looks[self.now]

    @property
    def ports(self) -> list[int]:
        """Where its reporters are, that of the JobManager first."""
        return [self.jobmanager_reporter.port, *(reporter.port for reporter in self.reporters.values())]

    def clock(self) -> float:
        """When the present look was taken."""
        return self.look.taken_at

    def advance(self) -> None:
        """Goes on to the next look."""
        self.now += 1

    def edit(self, path: str, edit: Edit) -> None:
        """From now on the replies at this path are changed by a function, which gets a copy; `*` as in `fail`.

        Of several edits of one path the last one given counts.
        """
        self._edits.insert(0, (_pattern(path), edit))

    async def lose(self, tm: str) -> None:
        """A TaskManager (by REST's id) is gone: it is not registered, and its reporter not there."""
        await self.reporters[plain(tm)].close()
        self.edit("/taskmanagers", lambda reply: {"taskmanagers": [t for t in reply["taskmanagers"] if t["id"] != tm]})

    def restart(self) -> None:
        """The JobManager is another process, which knows of no job; the TaskManagers are registered again."""
        self._stored = None
        self.lazy = True
        self._began_anew = True

    def _page_of(self, tm: str) -> Callable[[], bytes]:
        return lambda: self.look.pages[tm]

    def _say(self, request: web.Request) -> tuple[int, bytes]:
        if len(f"{request.method} {request.raw_path} HTTP/1.1") > REQUEST_LINE:
            return 404, b'{"errors":["Unable to load requested file /bad-request."]}'
        path = request.raw_path.partition("?")[0]
        if path.endswith("/metrics") and not path.endswith("/subtasks/metrics"):
            return 200, self._metrics(path, request.raw_path.partition("?")[2])
        if path in self.look.refused:
            refused = self.look.refused[path]
            return refused["status"], json.dumps(refused["body"]).encode()
        if path not in self.look.replies:
            return 404, json.dumps({"errors": [f"Unable to load requested file {path}."]}).encode()
        reply = self.look.replies[path]
        if path == "/jobmanager/config":
            # As recorded, but for the ports of the reporters, which are other ones now.
            ports = ",".join(map(str, self.ports))
            reply = [
                {**entry, "value": ports} if entry["key"] == "metrics.reporter.prom.port" else entry for entry in reply
            ]
        if self._began_anew and path.startswith("/jobs"):
            if path != "/jobs/overview":
                return 404, b'{"errors":["org.apache.flink.runtime.rest.NotFoundException: Job not found"]}'
            reply = {"jobs": []}
        return 200, json.dumps(self._edited(path, reply)).encode()

    def _metrics(self, path: str, query: str) -> bytes:
        look = self._stored if self.lazy else self.look
        self._stored = self.look
        values = look.metrics.get(path, {}) if look else {}
        if "get=" not in query:
            return json.dumps(self._edited(path, [{"id": name} for name in values])).encode()
        asked = [unquote(name) for name in query.removeprefix("get=").split(",")]
        reply = [{"id": name, "value": values[name]} for name in asked if name in values]
        return json.dumps(self._edited(path, reply)).encode()

    def _edited(self, path: str, reply: Any) -> Any:
        edits = [edit for pattern, edit in self._edits if pattern.fullmatch(path)]
        return edits[0](copy.deepcopy(reply)) if edits else reply


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(r"\*\*", ".*").replace(r"\*", "[^/]*"))


@asynccontextmanager
async def running(version: str) -> AsyncIterator[FakeFlink]:
    """A fake Flink for the length of a `with` block."""
    flink = FakeFlink(version)
    async with AsyncExitStack() as stack:
        servers: Iterable[Served] = (flink, flink.jobmanager_reporter, *flink.reporters.values())
        for server in servers:
            await server.open()
            stack.push_async_callback(server.close)
        yield flink
