"""The composition root: settings in, a running exporter out. The only file that imports everything."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import aiohttp
from aiohttp import web

from exporter import __version__
from exporter.config import ClusterSettings, ConfigError, Settings
from exporter.config import Tls as TlsSettings
from exporter.config_values import ListenAddress
from exporter.flink.endpoints import Endpoints
from exporter.flink.errors import Unauthorized
from exporter.flink.fetch import Gate, Seen
from exporter.flink.rest import Rest
from exporter.flink.scrape import Scraper
from exporter.publish import http
from exporter.publish.exposition import Page, Section, page, render
from exporter.signals import SIGNALS
from exporter.signals.base import Signal
from exporter.symptoms import health, verdict
from exporter.symptoms.base import Symptom
from exporter.symptoms.declarations import SYMPTOMS
from exporter.symptoms.health import ClusterHealth, JobHealth, Judged
from exporter.symptoms.tuning import tuned
from exporter.telemetry import Telemetry
from exporter.watch import JUDGING, Report, Watch

log = logging.getLogger(__name__)

# How many reporters of one cluster are read at once. They are different processes: Flink does not mind.
_REPORTERS_AT_ONCE = 32

# How many request timeouts a cycle may last before the cluster counts as not answering.
_PATIENCE = 4

_SHUTDOWN = 2.0

# What every watch is made of: where one of these changes, all begin anew.
_OF_ALL_WATCHES = ("signals", "limits")


class CannotStart(Exception):
    """The exporter cannot run as it was told to. The text is one line."""


class Board:
    """What the web server shows: the present page, and how each cluster and job is."""

    def __init__(self, telemetry: Telemetry, order: Sequence[Signal]) -> None:
        self._telemetry = telemetry
        self._order = [*(family for signal in order for family in signal.families), *verdict.FAMILIES]
        self._urls: dict[str, str] = {}
        self._runbook = ""
        self._reports: dict[str, Report] = {}
        self._sections: dict[str, Section] = {}
        # By cluster, what was last told of it and of which report: many may ask of the same one.
        self._healths: dict[str, tuple[Report, ClusterHealth]] = {}
        self.page: Page = page((), telemetry.registry, self._order)

    @property
    def ready(self) -> bool:
        """Whether every cluster's first cycle has finished, however it went."""
        return self._reports.keys() >= self._urls.keys()

    def expect(self, urls: Mapping[str, str], runbook: str) -> None:
        """These clusters, and no others, are shown from now on. runbook: the address of a page, with `{name}`."""
        for name in self._urls.keys() - urls.keys():
            self._reports.pop(name, None)
            self._sections.pop(name, None)
            self._telemetry.forget(name)
        self._urls, self._runbook, self._healths = dict(urls), runbook, {}
        self.renew()

    def put(self, name: str, report: Report, section: Section) -> None:
        """A cluster's latest report and what it puts on the page."""
        if name in self._urls:
            self._reports[name], self._sections[name] = report, section
            self.renew()

    def renew(self) -> None:
        """A page with what the exporter now says of itself."""
        sections = [self._sections[name] for name in self._urls if name in self._sections]
        self.page = page(sections, self._telemetry.registry, self._order)

    def health(self) -> list[ClusterHealth]:
        """Every cluster and its jobs, in the order of the configuration. Takes its time; any thread may ask."""
        return [self._health(name, url) for name, url in self._urls.items()]

    def job(self, cluster: str, job_id: str) -> JobHealth | None:
        """A job in full; None where there is no such job, or not yet. Takes its time; any thread may ask."""
        # Another thread may take the cluster away meanwhile.
        report, url = self._reports.get(cluster), self._urls.get(cluster)
        return None if report is None or url is None else health.job_health(judged(report, url, self._runbook), job_id)

    def _health(self, name: str, url: str) -> ClusterHealth:
        report = self._reports.get(name)
        if report is None:
            return health.waiting(name, url)
        known = self._healths.get(name)
        if known is None or known[0] is not report:
            known = self._healths[name] = report, health.cluster_health(judged(report, url, self._runbook))
        return known[1]


class Running(NamedTuple):
    """A watch, what it was made of, and the task that runs it."""

    settings: ClusterSettings
    watch: Watch
    task: asyncio.Task[None]


class App:
    """The watches of all clusters and what they tell, under settings that can be replaced while it runs."""

    def __init__(self, session: aiohttp.ClientSession, told: Callable[[Report], None] = lambda _report: None) -> None:
        self._session = session
        self._told = told
        self._watches: dict[str, Running] = {}
        self._settings: Settings | None = None
        self.telemetry = Telemetry()
        self.board = Board(self.telemetry, SIGNALS)

    async def apply(self, settings: Settings) -> None:
        """Watches what these settings say; of clusters whose settings stay the same nothing is forgotten.

        Raises CannotStart before anything is changed.
        """
        contexts = {cluster.name: tls_context(cluster.tls) for cluster in settings.clusters}
        old, self._settings = self._settings, settings
        same = old is not None and all(getattr(old, key) == getattr(settings, key) for key in _OF_ALL_WATCHES)
        wanted = {cluster.name: cluster for cluster in settings.clusters}
        symptoms = symptoms_of(settings)
        for name, running in list(self._watches.items()):
            if not same or wanted.get(name) != running.settings:
                del self._watches[name]
                await _ended(running.task)
            else:
                running.watch.judge_by(symptoms)
        urls = {name: str(cluster.url) for name, cluster in wanted.items()}
        self.board.expect(urls, settings.symptoms.runbook_url)
        for name, cluster in wanted.items():
            if name not in self._watches:
                watch = self._watch(cluster, settings, contexts[name], symptoms)
                task = asyncio.create_task(watch.run(), name=f"watch {name}")
                self._watches[name] = Running(cluster, watch, task)
        self.telemetry.reloaded(True, time.time())

    async def close(self) -> None:
        """Ends all watches."""
        for running in self._watches.values():
            await _ended(running.task)

    def _watch(
        self,
        cluster: ClusterSettings,
        settings: Settings,
        tls: ssl.SSLContext | None,
        symptoms: Sequence[Symptom],
    ) -> Watch:
        return watch_of(
            cluster,
            settings,
            self._session,
            tls,
            symptoms,
            interval=cluster.interval,
            seen=partial(self._seen, cluster.name),
            tell=self._tell(signals_of(settings), settings.limits.series),
        )

    def _seen(self, cluster: str, source: str) -> Seen:
        return lambda outcome, seconds: self.telemetry.fetched(cluster, source, outcome, seconds)

    def _tell(self, signals: Sequence[Signal], limit: int) -> Callable[[Report], Awaitable[None]]:
        async def tell(report: Report) -> None:
            name, rows = report.cluster.name, report.rows
            section = await asyncio.to_thread(render, rows[:limit])
            left_out = max(0, len(rows) - limit) + section.mismatched
            self.telemetry.published(name, section.series, left_out, section.duplicates)
            self.telemetry.cycled(name, report.seconds)
            for asked in (*(each.name for each in signals), JUDGING):
                self.telemetry.signal(name, asked, asked not in report.failures)
            tms, read = len(report.cluster.taskmanagers or ()), report.scrape.taskmanagers_by_reporter
            self.telemetry.targets(name, "reporter", {"read": read, "not_read": tms - read})
            self.board.put(name, report, section)
            self._told(report)

        return tell


def open_session() -> aiohttp.ClientSession:
    """The one that all clusters are read through."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),  # the gates bound what is under way
        headers={"User-Agent": f"flink-health-exporter/{__version__}"},
    )


def signals_of(settings: Settings) -> list[Signal]:
    """Those that are not turned off."""
    return [signal for signal in SIGNALS if signal.name not in settings.signals.disabled]


def symptoms_of(settings: Settings) -> tuple[Symptom, ...]:
    """Those that are not turned off, as the settings want them."""
    return tuned(SYMPTOMS, settings.symptoms)


def watch_of(
    cluster: ClusterSettings,
    settings: Settings,
    session: aiohttp.ClientSession,
    tls: ssl.SSLContext | None,
    symptoms: Sequence[Symptom],
    *,
    interval: float,
    tell: Callable[[Report], Awaitable[None]],
    seen: Callable[[str], Seen] = lambda _source: lambda _outcome, _seconds: None,
) -> Watch:
    """One cluster's watch under its settings. seen: by source, whom to tell of each request."""
    signals = signals_of(settings)
    needs = {need: None for signal in signals for need in signal.needs}
    rest = Rest(
        Gate(
            session,
            limit=settings.limits.requests,
            timeout=cluster.timeout,
            body_limit=settings.limits.body_bytes,
            headers=lambda: _authorization(cluster),
            tls=tls,
            server_name=cluster.tls.server_name,
            seen=seen("rest"),
        ),
        str(cluster.url),
    )
    reporters = Gate(
        session,
        limit=_REPORTERS_AT_ONCE,
        timeout=cluster.reporter.timeout,
        body_limit=settings.limits.body_bytes,
        seen=seen("reporter"),
    )
    endpoints = Endpoints(reporters) if cluster.reporter.mode == "auto" else None
    return Watch(
        cluster.name,
        Scraper(cluster.name, rest, endpoints, tuple(needs), ports=cluster.reporter.ports),
        signals,
        symptoms,
        interval=interval,
        patience=max(cluster.interval, _PATIENCE * cluster.timeout),
        tell=tell,
    )


def judged(report: Report, url: str, runbook: str) -> Judged:
    """What is told of a report; url: the cluster's. runbook: the address of a page, with `{name}`."""
    return Judged(
        cluster=report.cluster,
        rows=report.rows,
        findings=report.judgement.findings,
        trends=report.judgement.trends,
        url=url,
        runbook=runbook,
        error=str(report.scrape.errors[-1]) if report.scrape.errors else None,
    )


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _authorization(cluster: ClusterSettings) -> dict[str, str]:
    try:
        return cluster.authorization()
    except ConfigError as error:
        raise Unauthorized(str(error)) from None


def tls_context(tls: TlsSettings) -> ssl.SSLContext | None:
    """What a cluster's TLS settings mean; None where they are the defaults. Raises CannotStart."""
    if tls == TlsSettings():
        return None
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ssl.SSLError) as error:
        raise CannotStart(f"tls: expected certificates in PEM, got {error}") from None
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def serve(
    settings: Settings,
    reload: Callable[[], Settings],
    told: Callable[[Report], None] = lambda _report: None,
) -> None:
    """Runs until SIGTERM or SIGINT; SIGHUP loads the settings anew and keeps the old ones if they are wrong.

    Raises CannotStart if it cannot listen.
    """
    loop = asyncio.get_running_loop()
    stop, again = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    async with open_session() as session:
        app = App(session, told)
        runner = web.AppRunner(http.build(app.board), access_log=None, shutdown_timeout=_SHUTDOWN)
        await runner.setup()
        try:
            address = await _listen(runner, settings.web.listen_address)
            await app.apply(settings)
            log.info("serving", extra={"address": str(address), "clusters": len(settings.clusters)})
            reloading = asyncio.create_task(_reload_when_told(app, again, reload))
            await stop.wait()
            await _ended(reloading)
            log.info("stopping")
        finally:
            await app.close()
            await runner.cleanup()


async def _listen(runner: web.AppRunner, address: ListenAddress) -> ListenAddress:
    """Opens the port; returns the address with the port that the system chose, if it was to. Raises CannotStart."""
    try:
        await web.TCPSite(runner, address.host, address.port).start()
    except socket.gaierror as error:
        raise CannotStart(f"cannot listen on {address}: {error.strerror}") from None
    except OSError as error:
        # Its own text would say the address a second time.
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CannotStart(f"cannot listen on {address}: {reason}") from None
    return replace(address, port=runner.addresses[0][1])


async def _reload_when_told(app: App, again: asyncio.Event, reload: Callable[[], Settings]) -> None:
    while True:
        await again.wait()
        again.clear()
        try:
            settings = await asyncio.to_thread(reload)
            await app.apply(settings)
            log.info("the configuration was loaded anew; web and log take effect at the next start")
        except (ConfigError, CannotStart) as error:
            app.telemetry.reloaded(False, time.time())
            app.board.renew()
            for problem in str(error).splitlines():
                log.error("the configuration is wrong, the old one stays: %s", problem)
        except Exception:
            log.exception("the configuration could not be loaded anew")
