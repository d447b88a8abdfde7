"""The reading half of the exporter as `app` puts it together, at a fake Flink."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import aiohttp

from exporter.flink.endpoints import Endpoints
from exporter.flink.fetch import Gate
from exporter.flink.rest import Rest
from exporter.flink.scrape import Scraper
from exporter.model import Part, Raw
from exporter.signals import SIGNALS
from tests.flink.fake import FakeFlink

NEEDS: tuple[Raw | Part, ...] = tuple(dict.fromkeys(need for signal in SIGNALS for need in signal.needs))

# How many requests to one JobManager there may be at once.
AT_ONCE = 3


def gate(session: aiohttp.ClientSession, **different: Any) -> Gate:
    """A gate as for REST, patient enough for a slow machine."""
    return Gate(session, **{"limit": AT_ONCE, "timeout": 10.0, "body_limit": 64_000_000, **different})


def rest(session: aiohttp.ClientSession, flink: FakeFlink, **different: Any) -> Rest:
    """The REST API of a fake Flink."""
    return Rest(gate(session, **different), flink.url)


def scraper(
    session: aiohttp.ClientSession,
    flink: FakeFlink,
    needs: Collection[Raw | Part] = NEEDS,
    *,
    by_reporter: bool = True,
    **different: Any,
) -> Scraper:
    """One that looks at a fake Flink at the time when it was recorded."""
    endpoints = Endpoints(gate(session, limit=32, **different)) if by_reporter else None
    return Scraper("test", rest(session, flink, **different), endpoints, needs, clock=flink.clock, refresh=0.0)
