"""Does every way in which a request can fail become one class, one outcome and one line?"""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
import yarl
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict, CIMultiDictProxy

from exporter.flink.errors import (
    FlinkError,
    Invalid,
    LeaderElection,
    NotFound,
    Timeout,
    Unauthorized,
    Unreachable,
)
from exporter.flink.fetch import translate
from exporter.model import ClusterState
from tests.flink import fake
from tests.flink.fake import Fault, Served
from tests.flink.reading import gate

ANSWER = {"answer": list(range(1000))}
URL = "http://flink:8081/overview"
SECRET = "s3cr3t"


class Seen:
    """What a gate told of its requests."""

    def __init__(self) -> None:
        self.all: list[tuple[str, float]] = []

    def __call__(self, outcome: str, seconds: float) -> None:
        self.all.append((outcome, seconds))

    @property
    def outcomes(self) -> list[str]:
        return [outcome for outcome, _ in self.all]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    server = Served(lambda _request: (200, json.dumps(ANSWER).encode()))
    await server.open()
    yield server
    await server.close()


def url(served: Served) -> str:
    return f"http://127.0.0.1:{served.port}/overview"


async def zipped_bomb(_request: web.Request, _reply: bytes) -> web.StreamResponse:
    """A thousand times as long as it looks."""
    return web.Response(body=gzip.compress(b" " * 10_000_000), headers={"Content-Encoding": "gzip"})


async def wrong_encoding(_request: web.Request, _reply: bytes) -> web.StreamResponse:
    """It says that it is gzip, and is not."""
    return web.Response(body=b"{}", headers={"Content-Encoding": "gzip"})


FAULTS = [
    pytest.param(
        fake.status(500),
        Invalid,
        "HTTP 500: Internal server error.",
        id="Flink calls it an error itself: its own words",
    ),
    pytest.param(
        fake.status(400, b'{"errors":["first\\n\\tat org.apache","second"]}'),
        Invalid,
        "HTTP 400: first at org.apache second",
        id="several errors with stack traces: on one line",
    ),
    pytest.param(
        fake.status(500, json.dumps({"errors": ["x" * 3000]}).encode()),
        Invalid,
        f"HTTP 500: {'x' * 160}…",
        id="a long error: only its beginning",
    ),
    pytest.param(fake.status(500, b""), Invalid, "HTTP 500: an empty reply", id="an error without words"),
    pytest.param(fake.status(418, b"[]"), Invalid, "HTTP 418: []", id="JSON, but none of Flink's errors"),
    pytest.param(
        fake.status(401, b"<html>"),
        Unauthorized,
        "HTTP 401: expected to be let in; are credentials configured and right?",
        id="no credentials",
    ),
    pytest.param(
        fake.status(403, b"<html>"),
        Unauthorized,
        "HTTP 403: expected to be let in; are credentials configured and right?",
        id="credentials that are not enough",
    ),
    pytest.param(
        fake.status(404, b'{"errors":["not found"]}'),
        NotFound,
        "HTTP 404: expected an endpoint of Flink",
        id="not there",
    ),
    pytest.param(
        fake.LEADER_ELECTION, LeaderElection, "HTTP 503: no JobManager leads at the moment", id="nobody leads"
    ),
    pytest.param(
        fake.status(503, b"<h1>503</h1>\n<p>upstream connect error</p>"),
        Unreachable,
        "HTTP 503: the proxy in front of Flink has nobody behind it: <h1>503</h1> <p>upstream connect error</p>",
        id="503, but of a proxy",
    ),
    pytest.param(
        fake.status(502, b"Bad Gateway"),
        Unreachable,
        "HTTP 502: the proxy in front of Flink has nobody behind it: Bad Gateway",
        id="a proxy without Flink",
    ),
    pytest.param(
        fake.status(504, b""), Timeout, "HTTP 504: the proxy in front of Flink waited in vain", id="a proxy that waited"
    ),
    pytest.param(
        fake.redirect("https://sso.example.com/login"),
        Invalid,
        "expected an answer, got a redirect to https://sso.example.com/login; configure that address if it is Flink's",
        id="a redirect, which is not followed",
    ),
    pytest.param(
        fake.redirect("/" + "x" * 3000),
        Invalid,
        f"expected an answer, got a redirect to /{'x' * 159}…; configure that address if it is Flink's",
        id="a redirect to a very long address",
    ),
    pytest.param(
        fake.HTML,
        Invalid,
        "expected Flink's JSON, got <!DOCTYPE html> <html><head><title>Sign in</title></head></html>",
        id="status 200 and a page for people",
    ),
    pytest.param(fake.content(b""), Invalid, "expected Flink's JSON, got an empty reply", id="status 200 and nothing"),
    pytest.param(
        fake.content(b"\xff\xfe{"), Invalid, "expected Flink's JSON, got \ufffd\ufffd{", id="status 200 and not UTF-8"
    ),
    pytest.param(
        fake.content(b"[" * 100_000),
        Invalid,
        f"expected Flink's JSON, got {'[' * 160}…",
        id="brackets deeper than any parser goes",
    ),
    pytest.param(
        fake.truncated, Invalid, f"expected Flink's JSON, got {json.dumps(ANSWER)[:160]}…", id="half of the JSON"
    ),
    pytest.param(fake.huge(3_000_000), Invalid, "expected at most 1000000 bytes, got more", id="a huge reply"),
    pytest.param(zipped_bomb, Invalid, "expected at most 1000000 bytes, got more", id="huge once it is unzipped"),
    pytest.param(
        wrong_encoding,
        Unreachable,
        "the answer broke off",
        id="gzip that is none",
    ),
    pytest.param(fake.drop, Unreachable, "Server disconnected", id="the connection breaks off before the answer"),
    pytest.param(
        fake.cut,
        Unreachable,
        "the answer broke off",
        id="the connection breaks off within the answer",
    ),
    pytest.param(fake.hang, Timeout, "no answer within 0.2 s", id="no answer"),
    pytest.param(fake.hang_midway, Timeout, "no answer within 0.2 s", id="half an answer and no more"),
]


@pytest.mark.parametrize(("fault", "kind", "text"), FAULTS)
async def test_a_fault_is_one_class_one_outcome_and_one_line(
    served: Served, session: aiohttp.ClientSession, fault: Fault, kind: type[FlinkError], text: str
) -> None:
    served.fail("/overview", fault)
    seen = Seen()
    patience = 0.2 if kind is Timeout else 10.0
    ask = gate(session, timeout=patience, body_limit=1_000_000, seen=seen)
    with pytest.raises(FlinkError) as caught:
        await ask.json(url(served))
    assert (type(caught.value), str(caught.value)) == (kind, f"{url(served)}: {text}")
    assert seen.outcomes == [kind.outcome]


@pytest.mark.parametrize("fault", [fault.values[0] for fault in FAULTS], ids=[fault.id for fault in FAULTS])
async def test_no_error_names_a_secret(served: Served, session: aiohttp.ClientSession, fault: Any) -> None:
    served.fail("/overview", fault)
    ask = gate(session, timeout=0.2, body_limit=1_000_000, headers=lambda: {"Authorization": f"Bearer {SECRET}"})
    with pytest.raises(FlinkError) as caught:
        await ask.json(url(served))
    assert served.headers[0]["Authorization"] == f"Bearer {SECRET}"
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in str(error)
        error = error.__cause__ or error.__context__


async def test_credentials_do_not_follow_a_redirect(served: Served, session: aiohttp.ClientSession) -> None:
    served.fail("/overview", fake.redirect("/elsewhere"))
    with pytest.raises(Invalid):
        await gate(session, headers=lambda: {"Authorization": SECRET}).json(url(served))
    assert served.requests == ["/overview"]


async def test_headers_are_asked_anew_for_each_request(served: Served, session: aiohttp.ClientSession) -> None:
    rotating = iter(["one", "two"])
    ask = gate(session, headers=lambda: {"Authorization": next(rotating)})
    await ask.json(url(served))
    await ask.json(url(served))
    assert [headers["Authorization"] for headers in served.headers] == ["one", "two"]


async def test_headers_that_cannot_be_had_are_the_requests_failure(
    served: Served, session: aiohttp.ClientSession
) -> None:
    def unreadable() -> dict[str, str]:
        raise Unauthorized("password_file: no such file")

    seen = Seen()
    with pytest.raises(Unauthorized, match=r"^password_file: no such file$"):
        await gate(session, headers=unreadable, seen=seen).json(url(served))
    assert (served.requests, seen.outcomes) == ([], ["unauthorized"])


async def test_nobody_listens(served: Served, session: aiohttp.ClientSession) -> None:
    await served.close()
    with pytest.raises(Unreachable) as caught:
        await gate(session).json(url(served))
    assert str(caught.value) == f"{url(served)}: connection refused; is Flink's REST endpoint there?"


async def test_a_host_that_has_no_address() -> None:
    class Nobody(AbstractResolver):
        async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
            raise OSError(None, "Name or service not known")

        async def close(self) -> None:
            pass

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Nobody())) as session:
        with pytest.raises(Unreachable) as caught:
            await gate(session).json("http://flink.example.com:8081/overview")
    assert str(caught.value) == "http://flink.example.com:8081/overview: host name not found"


async def test_https_where_there_is_none(served: Served, session: aiohttp.ClientSession) -> None:
    with pytest.raises(Unauthorized, match=r"^https://127\.0\.0\.1:[0-9]+/overview: TLS failed: "):
        await gate(session).json(url(served).replace("http", "https"))


async def test_a_reply_as_long_as_it_may_be(served: Served, session: aiohttp.ClientSession) -> None:
    size = len(json.dumps(ANSWER))
    assert await gate(session, body_limit=size).json(url(served)) == ANSWER
    with pytest.raises(Invalid, match=f"expected at most {size - 1} bytes, got more$"):
        await gate(session, body_limit=size - 1).json(url(served))


async def test_so_many_at_once_and_no_more(served: Served, session: aiohttp.ClientSession) -> None:
    served.latency = 0.02
    ask = gate(session, limit=3)
    await asyncio.gather(*(ask.json(url(served)) for _ in range(12)))
    assert (served.at_most, served.methods) == (3, {"GET": 12})


async def test_the_queue_is_not_the_clock(served: Served, session: aiohttp.ClientSession) -> None:
    served.latency = 0.1
    seen = Seen()
    ask = gate(session, limit=1, timeout=0.6, seen=seen)
    await asyncio.gather(
        *(ask.json(url(served)) for _ in range(8))
    )  # the last one queues for 0.7 s, more than it may take
    assert seen.outcomes == ["ok"] * 8
    assert max(seconds for _, seconds in seen.all) < 0.6


async def test_a_cancelled_request_counts_as_a_timeout_and_gives_its_place_back(
    served: Served, session: aiohttp.ClientSession
) -> None:
    served.fail("/overview", fake.hang)
    seen = Seen()
    ask = gate(session, limit=1, seen=seen)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await ask.json(url(served))
    served.heal()
    assert await ask.json(url(served)) == ANSWER
    assert seen.outcomes == ["timeout", "ok"]


async def test_failed_requests_give_their_places_back(served: Served, session: aiohttp.ClientSession) -> None:
    ask = gate(session, limit=1, timeout=0.5, body_limit=100_000)
    for fault in (fake.status(500), fake.cut, fake.drop, fake.hang, fake.truncated, fake.huge(500_000)):
        served.fail("/overview", fault)
        with pytest.raises(FlinkError):
            await ask.json(url(served))
    served.heal()
    assert await gate(session).json(url(served)) == ANSWER
    assert await ask.json(url(served)) == ANSWER


async def test_a_fault_of_our_own_is_not_mistaken_for_flinks(served: Served, session: aiohttp.ClientSession) -> None:
    def take(_chunk: bytes) -> None:
        raise ZeroDivisionError

    ask = gate(session, limit=1)
    with pytest.raises(ZeroDivisionError):
        await ask.feed(url(served), take)
    assert await ask.json(url(served)) == ANSWER


# The boundary


def _tree(of: type[BaseException]) -> Iterator[type[BaseException]]:
    for kind in of.__subclasses__():
        yield kind
        yield from _tree(kind)


CLIENT_ERRORS = sorted({kind for kind in _tree(aiohttp.ClientError) if kind.__module__.startswith("aiohttp")}, key=str)


def _made(kind: type[BaseException]) -> Exception:
    """An instance, by whatever its constructor wants."""
    key = ConnectionKey("flink", 8081, False, True, None, None, None)
    request = aiohttp.RequestInfo(yarl.URL(URL), "GET", CIMultiDictProxy(CIMultiDict()), yarl.URL(URL))
    for arguments in (
        ("what\nwent wrong",),
        (key, OSError(111, "Connection refused\n")),
        ("/socket", key, OSError(111, "Connection refused\n")),
        (request, ()),
        (b"expected", b"got", "flink", 8081),
    ):
        try:
            error = kind(*arguments)
            str(error)
        except (TypeError, AttributeError):
            continue
        assert isinstance(error, Exception)
        return error
    raise AssertionError(f"how is {kind} made?")


@pytest.mark.parametrize("kind", CLIENT_ERRORS, ids=lambda kind: kind.__name__)
def test_the_boundary_of_the_http_library_is_complete(kind: type[BaseException]) -> None:
    translated = translate(_made(kind), URL, 10.0)
    if issubclass(kind, TimeoutError):
        expected: type[FlinkError] = Timeout
    elif issubclass(kind, ssl.SSLError | aiohttp.ClientSSLError):
        expected = Unauthorized
    elif issubclass(kind, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | OSError):
        expected = Unreachable
    else:
        expected = Invalid
    assert type(translated) is expected
    assert str(translated).startswith(f"{URL}: ")
    assert "\n" not in str(translated)


def test_the_tree_that_was_walked_is_not_a_stump() -> None:
    names = {kind.__name__ for kind in CLIENT_ERRORS}
    assert {"ServerDisconnectedError", "ClientConnectorCertificateError", "InvalidURL", "ServerTimeoutError"} <= names
    assert len(names) > 20


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        pytest.param(TimeoutError(), Timeout, "no answer within 2.5 s", id="asyncio's, and that of the kernel"),
        pytest.param(ConnectionResetError(104, "Connection reset by peer"), Unreachable, "Connection reset by peer"),
        pytest.param(OSError(), Unreachable, "the connection broke off", id="an error without words"),
        pytest.param(
            ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]\nwrong"), Unauthorized, "TLS failed: ('[SSL: W", id="TLS"
        ),
        pytest.param(NotFound("as it is"), NotFound, "as it is", id="already translated"),
    ],
)
def test_what_is_not_of_the_http_library(error: Exception, kind: type[FlinkError], text: str) -> None:
    translated = translate(error, URL, 2.5)
    assert type(translated) is kind
    assert text in str(translated) or kind is Unauthorized


def test_a_bug_stays_a_bug() -> None:
    with pytest.raises(KeyError):
        translate(KeyError("x"), URL, 1.0)


def test_outcomes_are_few_and_each_cluster_state_has_a_cause() -> None:
    kinds: set[type[FlinkError]] = {Timeout, Unreachable, Unauthorized, LeaderElection, NotFound, Invalid}
    assert set(_tree(FlinkError)) == kinds
    assert {kind.outcome for kind in kinds} == {
        "timeout",
        "unreachable",
        "unauthorized",
        "leader_election",
        "not_found",
        "invalid",
    }
    assert {kind.state for kind in kinds} == set(ClusterState) - {ClusterState.UP}
