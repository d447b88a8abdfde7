"""The gate: every request to Flink passes here, and every way it can fail is translated here.

Only GET. So many at once and no more; the time limit starts when the request does, not while it queues.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from yarl import URL

from exporter.flink.errors import (
    FlinkError,
    Invalid,
    LeaderElection,
    NotFound,
    Timeout,
    Unauthorized,
    Unreachable,
)

# What a gate tells of each request: its outcome (`ok` or a FlinkError's) and how many seconds it took.
Seen = Callable[[str, float], None]

_CHUNK = 64 * 1024
_EXCERPT = 160


class Gate:
    """GET requests to one place, `limit` at once, each with `timeout` seconds and `body_limit` bytes at most.

    headers: asked anew for each request, so that rotated secrets are picked up.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        limit: int,
        timeout: float,
        body_limit: int,
        headers: Callable[[], Mapping[str, str]] = dict,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        seen: Seen = lambda _outcome, _seconds: None,
    ) -> None:
        self._session = session
        self._slots = asyncio.Semaphore(limit)
        self._timeout = timeout
        self._body_limit = body_limit
        self._headers = headers
        self._tls: ssl.SSLContext | bool = tls if tls is not None else True
        self._server_name = server_name
        self._seen = seen

    async def json(self, url: str) -> Any:
        """The reply as JSON. Raises FlinkError."""
        body = bytearray()
        async with self._open(url) as chunks:
            async for chunk in chunks:
                body += chunk
            try:
                return json.loads(body)
            except (ValueError, RecursionError):
                raise Invalid(f"{url}: expected Flink's JSON, got {_excerpt(bytes(body[:400]))}") from None

    async def feed(self, url: str, take: Callable[[bytes], None]) -> None:
        """Hands the reply to `take`, chunk by chunk, as it comes in. Raises FlinkError."""
        async with self._open(url) as chunks:
            async for chunk in chunks:
                take(chunk)

    @asynccontextmanager
    async def _open(self, url: str) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._slots:
            began = time.perf_counter()
            outcome = "ok"
            try:
                async with (
                    asyncio.timeout(self._timeout),
                    self._session.get(
                        URL(url, encoded=True),
                        headers=self._headers(),
                        ssl=self._tls,
                        server_hostname=self._server_name,
                        allow_redirects=False,  # credentials must not follow to another host
                        timeout=aiohttp.ClientTimeout(total=None),  # the limit is ours, see above
                    ) as response,
                ):
                    await _refuse(response, url)
                    yield self._bounded(response, url)
            except asyncio.CancelledError:
                outcome = Timeout.outcome  # the cycle as a whole ran out of time
                raise
            except Exception as error:
                translated = translate(error, url, self._timeout)
                outcome = translated.outcome
                if translated is error:
                    raise
                raise translated from error
            finally:
                self._seen(outcome, time.perf_counter() - began)

    async def _bounded(self, response: aiohttp.ClientResponse, url: str) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in response.content.iter_chunked(_CHUNK):
            size += len(chunk)
            if size > self._body_limit:
                raise Invalid(f"{url}: expected at most {self._body_limit} bytes, got more")
            yield chunk


async def _refuse(response: aiohttp.ClientResponse, url: str) -> None:
    """Raises the FlinkError that the status of a reply stands for, if it stands for one."""
    status = response.status
    if status == 200:
        return
    if status in (401, 403):
        raise Unauthorized(f"{url}: HTTP {status}: expected to be let in; are credentials configured and right?")
    if status == 404:
        raise NotFound(f"{url}: HTTP 404: expected an endpoint of Flink")
    if 300 <= status < 400:
        target = _line(response.headers.get("Location", "nowhere"))
        raise Invalid(f"{url}: expected an answer, got a redirect to {target}; configure that address if it is Flink's")
    text = _excerpt(await response.content.read(4096))
    if status == 503 and "leader" in text.lower():
        raise LeaderElection(f"{url}: HTTP 503: no JobManager leads at the moment")
    if status in (502, 503):
        raise Unreachable(f"{url}: HTTP {status}: the proxy in front of Flink has nobody behind it: {text}")
    if status == 504:
        raise Timeout(f"{url}: HTTP 504: the proxy in front of Flink waited in vain")
    raise Invalid(f"{url}: HTTP {status}: {text}")


def translate(error: Exception, url: str, timeout: float) -> FlinkError:
    """The FlinkError that any exception of a request stands for: the one boundary of the HTTP library."""
    match error:
        case FlinkError():
            return error
        case TimeoutError():
            return Timeout(f"{url}: no answer within {timeout:g} s")
        case aiohttp.ClientConnectorDNSError():
            return Unreachable(f"{url}: host name not found")
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return Unauthorized(f"{url}: TLS failed: {_line(str(error))}")
        case aiohttp.ClientPayloadError():
            return Unreachable(f"{url}: the answer broke off")
        case aiohttp.ClientConnectionError() | OSError():
            return Unreachable(f"{url}: {_reason(error)}")
        case aiohttp.ClientError():
            return Invalid(f"{url}: expected an answer of Flink's, got {type(error).__name__}: {_line(str(error))}")
    raise error  # a fault of our own: it must not be mistaken for Flink's


def _reason(error: Exception) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused; is Flink's REST endpoint there?"
    return _line(getattr(cause, "strerror", None) or str(cause) or "the connection broke off")


def _excerpt(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    try:
        errors = json.loads(text)["errors"]
        text = " ".join(str(error) for error in errors)
    except (ValueError, KeyError, TypeError):
        pass
    return _line(text) or "an empty reply"


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _EXCERPT else line[:_EXCERPT] + "…"
