"""Where is the reporter of each TaskManager? Found without configuration, and read.

The JobManager's config names the reporter and its port or port range, `/taskmanagers` the hosts. Processes on one host
share a range, so an endpoint is matched by the `tm_id` it tells, never by its address.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.flink.errors import FlinkError, Timeout
from exporter.flink.fetch import Gate
from exporter.flink.readings import Address, Cells, plain
from exporter.flink.reporter import Endpoint, Page
from exporter.model import Raw, TaskManager

_DEFAULT_PORTS = "9249"
_MOST_PORTS = 256

# How long one cycle may look for reporters it does not know yet, and how long a host that has none is left alone.
_LOOKING = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 30.0, 600.0


def ports(spec: str) -> tuple[int, ...]:
    """`9249`, `9249-9260` or `9249,9300-9310`, as Flink writes it. Raises ValueError."""
    found: list[int] = []
    for part in spec.split(","):
        first, _, last = part.strip().partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return tuple(found[:_MOST_PORTS])


def reporter_ports(configuration: Mapping[str, str]) -> tuple[int, ...] | None:
    """The ports on which this configuration of Flink has its Prometheus reporter; None where it has none."""
    declared = re.compile(r"metrics\.reporter\.([^.]+)\.(?:factory\.)?class")
    enabled = configuration.get("metrics.reporters")
    for key, value in configuration.items():
        named = declared.fullmatch(key)
        if not named or not re.search(r"\.PrometheusReporter(Factory)?$", value):
            continue
        if enabled and named[1] not in {name.strip() for name in re.split("[,;]", enabled.strip("[]"))}:
            continue
        try:
            return ports(configuration.get(f"metrics.reporter.{named[1]}.port", _DEFAULT_PORTS))
        except ValueError:
            return None
    return None


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the reporters told in one cycle. read: the TaskManagers that did, as plain ids."""

    cells: Cells = field(default_factory=dict)
    read: frozenset[str] = frozenset()
    bad_lines: int = 0
    errors: tuple[FlinkError, ...] = ()


class Endpoints:
    """The reporters of one cluster's TaskManagers, as far as they are known."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._raws: frozenset[Raw] = frozenset()
        self._known: dict[str, Endpoint] = {}
        self._pauses: dict[str, tuple[float, float]] = {}  # by host: until when, and how long it was

    @property
    def known(self) -> int:
        """How many TaskManagers have a known reporter."""
        return len(self._known)

    async def read(
        self, taskmanagers: Iterable[TaskManager], candidates: Sequence[int], raws: Iterable[Raw], now: float
    ) -> Gathered:
        """Scrapes all that is known and looks, for a while, for the rest. Never raises FlinkError."""
        if self._raws != frozenset(raws):
            self._raws = frozenset(raws)
            self._known = {tm: Endpoint(known.host, known.port, self._raws) for tm, known in self._known.items()}
        hosts = {plain(taskmanager.id): taskmanager.host for taskmanager in taskmanagers}
        self._known = {
            tm: endpoint
            for tm, endpoint in self._known.items()
            if hosts.get(tm) == endpoint.host and endpoint.port in candidates
        }
        self._pauses = {host: pause for host, pause in self._pauses.items() if host in hosts.values()}
        known = list(self._known.items())
        pages: dict[str, Page] = {}
        errors: list[FlinkError] = []
        for (tm, _), result in zip(
            known, await asyncio.gather(*(self._scrape(endpoint) for _, endpoint in known)), strict=True
        ):
            if isinstance(result, FlinkError):
                errors.append(result)
                if not isinstance(result, Timeout):
                    del self._known[tm]  # it may be elsewhere by now
            elif self._is(result, tm):
                pages[tm] = result
            else:
                del self._known[tm]  # another process has the port now
        lost = {tm: host for tm, host in hosts.items() if tm not in self._known}
        pages |= await self._look_for(lost, candidates, now)
        return Gathered(
            cells=_joined(pages),
            read=frozenset(pages),
            bad_lines=sum(page.bad_lines for page in pages.values()),
            errors=tuple(errors),
        )

    async def _scrape(self, endpoint: Endpoint) -> Page | FlinkError:
        try:
            return await endpoint.read(self._gate)
        except FlinkError as error:
            return error

    def _is(self, page: Page, tm: str) -> bool:
        # A page that does not tell whose it is can only be at an address that one TaskManager alone could have.
        return page.taskmanager in (tm, None)

    async def _look_for(self, lost: dict[str, str], candidates: Sequence[int], now: float) -> dict[str, Page]:
        """Tries the ports of the hosts of TaskManagers without a known reporter, those left alone longest first."""
        hosts = {host for host in lost.values() if self._pauses.get(host, (now, 0.0))[0] <= now}
        pages: dict[str, Page] = {}
        try:
            async with asyncio.timeout(_LOOKING):
                await asyncio.gather(*(self._try_host(host, lost, candidates, pages) for host in sorted(hosts)))
        except TimeoutError:
            pass  # the rest is for the next cycles; meanwhile REST tells
        for host in hosts:
            if any(tm not in pages for tm, its_host in lost.items() if its_host == host):
                pause = min(_LONGEST_PAUSE, 2 * self._pauses.get(host, (0.0, _FIRST_PAUSE / 2))[1])
                self._pauses[host] = (now + pause, pause)
            else:
                self._pauses.pop(host, None)
        return pages

    async def _try_host(
        self, host: str, lost: Mapping[str, str], candidates: Sequence[int], pages: dict[str, Page]
    ) -> None:
        taken = {endpoint.port for endpoint in self._known.values() if endpoint.host == host}
        here = [tm for tm, its_host in lost.items() if its_host == host]
        alone = len(here) == 1 and len(candidates) == 1

        async def try_port(port: int) -> None:
            endpoint = Endpoint(host, port, self._raws)
            result = await self._scrape(endpoint)
            if isinstance(result, FlinkError):
                return
            tm = result.taskmanager if result.taskmanager is not None else (here[0] if alone and result.cells else None)
            if tm in here and tm not in pages:
                # At once: another port of this host may not answer in time.
                pages[tm] = result
                self._known[tm] = endpoint

        await asyncio.gather(*(try_port(port) for port in candidates if port not in taken))


def _joined(pages: Mapping[str, Page]) -> Cells:
    """All pages' cells as one; a TaskManager's own readings are put under its id where the page did not tell it."""
    cells: Cells = {}
    for tm, page in pages.items():
        for address, found in page.cells.items():
            owner = (tm,) if address.owner == ("",) else address.owner
            cells.setdefault(Address(address.raw, owner), {}).update(found)
    return cells
