"""Who asks for what: the routes, what they answer, and what every answer says may be done with it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Protocol

from aiohttp import web

from exporter.publish import api, pages
from exporter.publish.exposition import Page
from exporter.publish.negotiation import negotiate
from exporter.symptoms.health import ClusterHealth, JobHealth

log = logging.getLogger(__name__)

_Route = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Board(Protocol):
    """What the routes read, anew for every request. `page` and `ready` answer at once, on the event loop; `health` and
    `job` take their time and are asked in a thread."""

    @property
    def page(self) -> Page:
        """The present page; before the first cycle one without sections."""

    @property
    def ready(self) -> bool:
        """Whether the first cycle has finished."""

    def health(self) -> Sequence[ClusterHealth]:
        """Every configured cluster and its jobs."""

    def job(self, cluster: str, job_id: str) -> JobHealth | None:
        """A job in full; None where there is no such job, or not yet."""


def build(board: Board, clock: Callable[[], float] = time.time) -> web.Application:
    """The application, for a runner to serve. Its access log is off: a scraper would fill it."""
    routes = _Routes(board, clock)
    app = web.Application(middlewares=[_in_one_line], handler_args={"access_log": None})
    app.router.add_get("/", routes.overview)
    app.router.add_get("/clusters/{cluster}/jobs/{job_id}", routes.job)
    app.router.add_get("/metrics", routes.metrics)
    app.router.add_get("/api/v1/health", routes.health_told)
    app.router.add_get("/api/v1/clusters/{cluster}/jobs/{job_id}", routes.job_told)
    app.router.add_get("/api/v1/schema.json", routes.schema)
    app.router.add_get("/-/healthy", routes.healthy)
    app.router.add_get("/-/ready", routes.ready)
    app.router.add_get("/icon.svg", routes.icon)
    app.on_response_prepare.append(_harden)
    return app


class _Missing(Exception):
    """There is no such job. told: that, in words; hint: why that may be. Neither ends in a full stop."""

    def __init__(self, told: str, hint: str) -> None:
        super().__init__(told, hint)
        self.told, self.hint = told, hint


class _Routes:
    """The routes over one board."""

    def __init__(self, board: Board, clock: Callable[[], float]) -> None:
        self._board = board
        self._clock = clock

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

    async def overview(self, request: web.Request) -> web.Response:
        ready, refresh = self._board.ready, "refresh" in request.query

        def made() -> bytes:
            return pages.overview(self._board.health(), ready=ready, now=self._clock(), refresh=refresh)

        return _page(await asyncio.to_thread(made))

    async def job(self, request: web.Request) -> web.Response:
        refresh = "refresh" in request.query

        def made() -> bytes:
            return pages.job(self._job(request), now=self._clock(), refresh=refresh)

        return _page(await asyncio.to_thread(made))

    async def health_told(self, _request: web.Request) -> web.Response:
        ready = self._board.ready
        return _json(
            await asyncio.to_thread(lambda: api.body(api.HealthAnswer(ready=ready, clusters=self._board.health())))
        )

    async def job_told(self, request: web.Request) -> web.Response:
        return _json(await asyncio.to_thread(lambda: api.body(api.JobAnswer(health=self._job(request)))))

    async def schema(self, _request: web.Request) -> web.Response:
        return _json(await asyncio.to_thread(api.schema))

    async def icon(self, _request: web.Request) -> web.Response:
        return web.Response(text=pages.icon(), content_type="image/svg+xml")

    def _job(self, request: web.Request) -> JobHealth:
        """The job that is asked for; in a thread. Raises _Missing."""
        name, job_id = request.match_info["cluster"], request.match_info["job_id"]
        found = self._board.job(name, job_id)
        if found is not None:
            return found
        clusters = {cluster.name: cluster for cluster in self._board.health()}
        cluster = clusters.get(name)
        if cluster is None:
            raise _Missing(f"there is no cluster {name}", f"there is {_listed(clusters) or 'none'}")
        told = f"cluster {name} has no job {job_id}"
        if cluster.state == "waiting":
            raise _Missing(told, "it was not looked at yet: its first cycle has not finished")
        if not cluster.jobs:
            raise _Missing(told, f"its state is {cluster.state}, and no job of it is known")
        raise _Missing(told, f"it has {len(cluster.jobs)}, which / and /api/v1/health list; Flink forgets ended ones")


def _page(body: bytes, status: int = 200) -> web.Response:
    return web.Response(status=status, body=body, content_type="text/html", charset="utf-8")


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(status=status, body=body, content_type="application/json", charset="utf-8")


def _joined(request: web.Request, header: str) -> str | None:
    values = request.headers.getall(header, None)
    return None if values is None else ",".join(values)


@web.middleware
async def _in_one_line(request: web.Request, handler: _Route) -> web.StreamResponse:
    """Whatever goes wrong is said in one line, as JSON to who asks for JSON; what nobody expected is logged."""
    try:
        return await handler(request)
    except _Missing as missing:
        if not _asks_for_json(request):
            return _page(pages.missing(missing.told, missing.hint), 404)
        return _refused(request, 404, f"{missing.told}: {missing.hint}")
    except web.HTTPNotFound:
        return _refused(request, 404, f"not found: there is {_routes(request.app)}")
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        answer = _refused(request, 405, f"only {allowed} here")
        answer.headers["Allow"] = allowed
        return answer
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _refused(request, error.status, error.reason)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return _refused(request, 500, "internal error: the exporter's log has it")


def _refused(request: web.Request, status: int, line: str) -> web.Response:
    if _asks_for_json(request):
        return _json(api.body(api.ErrorAnswer(error=line)), status)
    return web.Response(status=status, text=f"{line}\n")


def _asks_for_json(request: web.Request) -> bool:
    return request.path.startswith("/api/")


def _routes(app: web.Application) -> str:
    return _listed(resource.canonical for resource in app.router.resources())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


async def _harden(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_safeguards())


@cache
def _safeguards() -> Mapping[str, str]:
    """The headers of every response: no page of ours runs, loads or embeds anything but its one style and its icon."""
    digest = base64.b64encode(hashlib.sha256(pages.style().encode()).digest()).decode()
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        # Not which Python and which aiohttp.
        "Server": "flink-health-exporter",
    }
