"""`diagnose`: looks at clusters for a moment, says what is wrong with them, and ends with a code that says how bad.

Two looks, because rates need two. What passes its threshold at the last look is told of, as if it had lasted long
enough, unless it is just that which would make it critical.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
import warnings
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TextIO

import uvloop

from exporter import app, report
from exporter.columns import width
from exporter.config import ClusterSettings, Settings
from exporter.publish import api
from exporter.report import Diagnosis
from exporter.suggestion import suggestion
from exporter.symptoms import health
from exporter.symptoms.base import Severity, Symptom
from exporter.symptoms.health import JobHealth
from exporter.symptoms.wording import duration
from exporter.terminal import Paint, Screen, Waiting, clean, coloured, columns, forgiving
from exporter.watch import Report, Watch

HEALTHY, WARNING, CRITICAL, CANNOT_LOOK = range(4)

# Between the beginnings of the first two looks. The JobManager's metric store is refreshed every 10 s, and where it is
# what is read, a second look before that sees nothing new.
_PAUSE = 11.0
# Between two looks after these.
_EVERY = 5.0


_NOTE = "Of the moment, may be blips; growth and stalls take longer: see --watch."
_NOTE_OF_WATCH = "Judged at the moment of each look, so what is told may be a blip."


class CannotLook(Exception):
    """There is nothing to look at. The text is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for. cluster, job: only these; a job by its name or id. json: not as a report for people."""

    cluster: str | None = None
    job: str | None = None
    watch: bool = False
    json: bool = False
    colour: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(api.HealthAnswer):
    """What the HTTP API says of all clusters, and what it says of each job that was asked for."""

    jobs: Sequence[JobHealth]


class Looking:
    """One cluster, looked at again and again; remembers the last look."""

    def __init__(self, settings: ClusterSettings, runbook: str, watch: Callable[..., Watch]) -> None:
        self.settings = settings
        self._runbook = runbook
        self.report: Report | None = None
        self._fault: str | None = None
        self._watch = watch(tell=self._take)

    async def _take(self, report: Report) -> None:
        self.report = report

    async def look(self) -> None:
        """Looks once more. Never raises: a cluster costs the others nothing."""
        try:
            await self._watch.cycle()
            self._fault = None
        except Exception as error:  # a fault of our own, and nobody shall see its traceback
            self._fault = f"the exporter failed: {type(error).__name__}: {error}"

    async def keep_looking(self, every: float) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(every)
            await self.look()

    def diagnosis(self, job: str | None) -> Diagnosis:
        """What the last look found; of the jobs only those with this name or id, if one is given."""
        url = str(self.settings.url)
        if self.report is None or self._fault:
            line = health.waiting(self.settings.name, url)
            return Diagnosis(cluster=replace(line, error=self._fault), named=job is not None)
        judged = app.judged(self.report, url, self._runbook)
        cluster = health.cluster_health(judged)
        wanted = [line for line in cluster.jobs if job is None or job in (line.id, line.name)]
        found = [health.job_health(judged, line.id) for line in wanted]
        return Diagnosis(
            cluster=cluster,
            jobs=tuple(each for each in found if each),
            named=job is not None,
            faults=tuple(f"{name}: {type(error).__name__}: {error}" for name, error in self.report.failures.items()),
        )


def of_the_moment(symptom: Symptom) -> Symptom:
    """The symptom, for somebody who has no time to wait until it has lasted.

    Where critical is what has lasted longer than a warning must, it has to: no moment can tell that.
    """
    hurried, warning, critical = symptom.hurried(0), symptom.warning, symptom.critical
    if warning is None or critical is None or critical.lasting <= warning.lasting:
        return hurried
    return replace(hurried, critical=critical)


def exit_code(found: Iterable[Diagnosis]) -> int:
    """The gravest of what is known; critical is sure whatever else is not known, health is not."""
    found = list(found)
    severities = {each.severity for each in found}
    if Severity.CRITICAL in severities:
        return CRITICAL
    gone = all(each.named and not each.jobs for each in found)
    if gone or any(troubles(each) for each in found):
        return CANNOT_LOOK
    return WARNING if Severity.WARNING in severities else HEALTHY


def troubles(found: Diagnosis) -> list[str]:
    """Why something that was asked for was not looked at, a line each."""
    where = f"cluster {found.cluster.name}"
    if not found.up:
        return [f"{where}: {found.cluster.error or 'it was not looked at'}"]
    # Flink's own state of such a job is all that there is: none of its tasks runs.
    unknown = [f"{where}: job {job.name}: nothing is known of it while it is {job.state}" for job in found.unknown]
    return [*(f"{where}: the exporter failed at {fault}" for fault in found.faults), *unknown]


def run(settings: Settings, options: Options, out: TextIO | None = None, err: TextIO | None = None) -> int:
    """Looks, reports, and returns the exit code. Raises CannotLook and CannotStart, and KeyboardInterrupt if that comes
    before the end of a look."""
    # What is wrong is told in the report; without a handler Python itself would print what is logged.
    logging.basicConfig(handlers=[logging.NullHandler()])
    running = Running(settings, options, out or sys.stdout, err or sys.stderr)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Ctrl-C leaves requests that were not even begun
            uvloop.run(running.run())
    except KeyboardInterrupt:
        # The end of watching; of a single look, a way to give up.
        if not options.watch or running.code is None:
            raise
    except BrokenPipeError:
        # `| head` has had enough. Nothing more may be written, not even when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (CannotLook, app.CannotStart):
        raise
    except Exception as error:  # a traceback would end the program with 1, which is a warning
        raise CannotLook(f"the exporter failed: {type(error).__name__}: {error}") from error
    return CANNOT_LOOK if running.code is None else running.code


class Running:
    """One run of the command. code: what the last look comes to."""

    def __init__(
        self,
        settings: Settings,
        options: Options,
        out: TextIO,
        err: TextIO,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.code: int | None = None
        self._settings = settings
        self._options = options
        self._out, self._err = out, err
        self._wait = wait
        self._waiting = Waiting(err)
        self._screen = Screen(out)
        self._clusters = self._chosen()
        self._began = time.monotonic()
        forgiving(out, "utf-8" if options.json else None)
        forgiving(err)

    def _chosen(self) -> list[ClusterSettings]:
        every, wanted = self._settings.clusters, self._options.cluster
        found = [cluster for cluster in every if wanted in (None, cluster.name)]
        if not found:
            names = [cluster.name for cluster in every]
            raise CannotLook(f"no cluster {wanted!r}; {suggestion(str(wanted), names, 'clusters')}")
        return found

    async def run(self) -> None:
        """All of it; with --watch until cancelled."""
        symptoms = [of_the_moment(symptom) for symptom in app.symptoms_of(self._settings)]
        contexts = [app.tls_context(cluster.tls) for cluster in self._clusters]
        async with app.open_session() as session:
            looking = [
                Looking(
                    cluster,
                    self._settings.symptoms.runbook_url,
                    partial(app.watch_of, cluster, self._settings, session, tls, symptoms, interval=_EVERY),
                )
                for cluster, tls in zip(self._clusters, contexts, strict=True)
            ]
            try:
                found = await self._first_looks(looking)
            finally:
                self._waiting.clear()
            if not self._options.watch or not any(each.up for each in found):
                self._tell(found)
            else:
                await self._watch(looking)

    async def _first_looks(self, looking: Sequence[Looking]) -> list[Diagnosis]:
        began = time.monotonic()
        self._waiting.say(f"looking at {', '.join(each.settings.name for each in looking)} …")
        await asyncio.gather(*(each.look() for each in looking))
        found = self._diagnoses(looking)
        self._must_have_job(found)
        if any(each.up for each in found):
            left = max(0.0, began + _PAUSE - time.monotonic())
            self._waiting.say(f"a second look in {left:.0f} s, for rates need two …")
            await self._wait(left)
            await asyncio.gather(*(each.look() for each, before in zip(looking, found, strict=True) if before.up))
        return self._diagnoses(looking)

    async def _watch(self, looking: Sequence[Looking]) -> None:
        # Each at its own pace: one that does not answer must not hold up the rest.
        tasks = [asyncio.create_task(each.keep_looking(_EVERY)) for each in looking]
        try:
            while True:
                self._tell(self._diagnoses(looking), watching=True)
                await self._wait(_EVERY)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _diagnoses(self, looking: Iterable[Looking]) -> list[Diagnosis]:
        return [each.diagnosis(self._options.job) for each in looking]

    def _must_have_job(self, found: Sequence[Diagnosis]) -> None:
        """Raises CannotLook if no cluster has the job. One that cannot be looked at might have it."""
        wanted = self._options.job
        if wanted is None or any(each.jobs or not each.up for each in found):
            return
        names = sorted({clean(job.name) for each in found for job in each.cluster.jobs})
        where = f"cluster {found[0].cluster.name}" if len(found) == 1 else f"{len(found)} clusters"
        raise CannotLook(f"no job {wanted!r} in {where}; {suggestion(wanted, names, 'jobs')}")

    # What is told

    def _tell(self, found: Sequence[Diagnosis], *, watching: bool = False) -> None:
        self.code = exit_code(found)
        if self._options.json:
            clusters, jobs = [each.cluster for each in found], [job for each in found for job in each.jobs]
            self._out.write(api.body(Answer(ready=True, clusters=clusters, jobs=jobs)).decode())
        elif watching:
            foot = f"{time.strftime('%H:%M:%S')}, watched for {duration(time.monotonic() - self._began)}; Ctrl-C ends"
            # What is redrawn in place must not take more lines than are counted.
            pages = [line for line in self._runbook(found) if width(line) <= columns()]
            self._screen.show([*self._lines(found, _NOTE_OF_WATCH), *pages], foot)
        elif any(each.up for each in found):
            self._out.write("\n".join([*self._lines(found, _NOTE), *self._runbook(found), ""]))
        self._out.flush()
        # While watching they stand in what is shown, and would stand there again and again.
        for trouble in [] if watching else [trouble for each in found for trouble in troubles(each)]:
            print(f"flink-health-exporter: {clean(trouble)}", file=self._err)

    def _lines(self, found: Sequence[Diagnosis], note: str) -> list[str]:
        paint = Paint(self._options.colour and coloured(self._out))
        return report.lines(found, columns(), paint, note)

    def _runbook(self, found: Sequence[Diagnosis]) -> list[str]:
        where = report.runbook(found)
        return ["", where] if where else []
