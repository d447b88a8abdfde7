"""Who asks for what: the routes, and the page that a person lands on."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib import resources
from string import Template
from typing import Protocol

from aiohttp import web

from exporter import __version__
from exporter.publish.exposition import Page
from exporter.publish.negotiation import negotiate

log = logging.getLogger(__name__)

_Route = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLine:
    """What the landing page says of one cluster.

    url: without credentials; this page is open to whoever can reach the port.
    age: seconds since its snapshot was taken; None before the first. jobs: how many in each state.
    error: the text of the last failure, None when the last cycle had none.
    """

    name: str
    url: str
    state: str
    age: float | None = None
    jobs: Mapping[str, int] = field(default_factory=dict)
    taskmanagers: int | None = None
    series: int = 0
    error: str | None = None


class Board(Protocol):
    """What the routes read. It is looked at anew for every request, on the event loop: it answers at once."""

    @property
    def page(self) -> Page:
        """The present page; before the first cycle one without sections."""

    @property
    def ready(self) -> bool:
        """Whether the first cycle has finished."""

    def overview(self) -> Sequence[ClusterLine]:
        """One line a configured cluster."""


def build(board: Board) -> web.Application:
    """The application, for a runner to serve. Its access log is off: a scraper would fill it."""
    routes = _Routes(board)
    app = web.Application(middlewares=[_in_one_line], handler_args={"access_log": None})
    app.router.add_get("/", routes.landing)
    app.router.add_get("/metrics", routes.metrics)
    app.router.add_get("/-/healthy", routes.healthy)
    app.router.add_get("/-/ready", routes.ready)
    app.on_response_prepare.append(_harden)
    return app


class _Routes:
    """The routes over one board."""

    def __init__(self, board: Board) -> None:
        self._board = board

    async def metrics(self, request: web.Request) -> web.Response:
        # A list of Accept headers is one header with commas between.
        variant = negotiate(_joined(request, "Accept"), _joined(request, "Accept-Encoding"))
        page = self._board.page
        body = page.made(variant)
        if body is None:
            body = await asyncio.to_thread(page.body, variant)
        headers = {"Content-Type": variant.format.value, "Vary": "Accept, Accept-Encoding"}
        if variant.gzip:
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, headers=headers)

    async def healthy(self, _request: web.Request) -> web.Response:
        return web.Response(text="flink-health-exporter is healthy.\n")

    async def ready(self, _request: web.Request) -> web.Response:
        if not self._board.ready:
            return web.Response(status=503, text="not ready: the first cycle has not finished\n")
        return web.Response(text="flink-health-exporter is ready.\n")

    async def landing(self, _request: web.Request) -> web.Response:
        markup = _landing(self._board.overview(), self._board.ready)
        return web.Response(text=markup, content_type="text/html")


def _joined(request: web.Request, header: str) -> str | None:
    values = request.headers.getall(header, None)
    return None if values is None else ",".join(values)


@web.middleware
async def _in_one_line(request: web.Request, handler: _Route) -> web.StreamResponse:
    """Whatever goes wrong is said in one line of plain text; what nobody expected is logged."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return web.Response(status=404, text=f"not found: there is {_listed(request.app)}\n")
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return web.Response(status=405, text=f"only {allowed} here\n", headers={"Allow": allowed})
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return web.Response(status=error.status, text=f"{error.reason}\n")
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return web.Response(status=500, text="internal error: the exporter's log has it\n")


def _listed(app: web.Application) -> str:
    return ", ".join(resource.canonical for resource in app.router.resources())


async def _harden(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_safeguards())


@cache
def _safeguards() -> Mapping[str, str]:
    """The headers of every response: no page of ours runs, loads or embeds anything but its one style."""
    digest = base64.b64encode(hashlib.sha256(_web("landing.css").encode()).digest()).decode()
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        # Not which Python and which aiohttp.
        "Server": "flink-health-exporter",
    }


@cache
def _web(name: str) -> str:
    return (resources.files("exporter.publish") / "web" / name).read_text(encoding="utf-8")


def _landing(clusters: Sequence[ClusterLine], ready: bool) -> str:
    rows = "\n".join(map(_row, clusters)) or '<tr><td colspan="7">No cluster is configured.</td></tr>'
    return Template(_web("landing.html")).substitute(
        style=_web("landing.css"),
        version=escape(__version__),
        readiness="ready" if ready else "not ready: the first cycle has not finished",
        clusters=rows,
    )


# What a cell says of something that is not known.
_UNKNOWN = "–"


def _row(line: ClusterLine) -> str:
    jobs = ", ".join(f"{count} {state}" for state, count in line.jobs.items())
    taskmanagers = _UNKNOWN if line.taskmanagers is None else str(line.taskmanagers)
    mood = "well" if line.state == "up" else "ill"
    cells = (
        _cell("State", f'<span class="{mood}">{escape(line.state)}</span>'),
        _cell("Snapshot", escape(_age(line.age))),
        _cell("Jobs", escape(jobs or _UNKNOWN)),
        _cell("TaskManagers", escape(taskmanagers)),
        _cell("Series", f"{line.series:,}"),
        _cell("Last error", escape(line.error or _UNKNOWN)),
    )
    name = f'<th scope="row">{escape(line.name)}<small>{_link(line.url)}</small></th>'
    return f"<tr>{name}{''.join(cells)}</tr>"


def _cell(column: str, markup: str) -> str:
    return f'<td data-column="{column}">{markup}</td>'


def _link(url: str) -> str:
    # Only where it leads to a web page: a link may also be a script.
    if not url.lower().startswith(("http://", "https://")):
        return escape(url)
    return f'<a href="{escape(url)}" rel="noreferrer">{escape(url)}</a>'


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "none yet"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"
