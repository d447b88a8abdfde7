"""Restarts: how often did the job restart, how often may it still, and for how long did all of it run?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import NamedTuple

from exporter.families import Family, Kind, Sample
from exporter.history import Past, Point, Track
from exporter.model import Job, Part, Raw, RestartStrategy, Scope
from exporter.signals._stats import increase, observed
from exporter.signals.base import Note, Signal

RESTARTS = Raw(Scope.JOB, "numRestarts")
FULL_RESTARTS = Raw(Scope.JOB, "fullRestarts")
RESCALES = Raw(Scope.JOB, "numRescales")

TOTAL = Family(
    name="flink_health_job_restarts_total",
    help="Restarts after failures; rescales and JobManager failovers are none.",
    formula="numRestarts (or fullRestarts) less numRescales, and root failures since those were read, added up over "
    "JobManagers; where Flink gives neither, new root failures, or entries into RUNNING",
    kind=Kind.COUNTER,
)
RECENT = Family(
    name="flink_health_job_restarts_recent",
    help="Restarts in the last 10 minutes.",
    formula="increase of the restarts over 600 s, as far as was seen",
)
STRATEGY = Family(
    name="flink_health_job_restart_strategy_info",
    help="What Flink does when the job fails.",
    formula="1; from the job's own configuration, else the cluster's, else Flink's default for the version",
    labels=("strategy",),
    kind=Kind.INFO,
)
BUDGET = Family(
    name="flink_health_job_restart_budget_remaining",
    help="Restarts left before the job fails for good.",
    formula="fixed-delay: attempts less restarts under this JobManager; failure-rate: failures allowed less those of "
    "the last interval; exponential-delay: attempts less those since its backoff was reset; none: 0; absent where "
    "unlimited",
)
BACKOFF = Family(
    name="flink_health_job_restart_backoff_seconds",
    help="How long Flink would wait before the next restart.",
    formula="the strategy's delay; for exponential-delay as its failures so far have raised it, jitter left out",
)
AVAILABILITY = Family(
    name="flink_health_job_availability_ratio",
    help="Share of the time in which all tasks of the job ran.",
    formula="seconds in which the job was RUNNING over seconds observed, at most 1 h",
)

_RECENT = 600.0
_WINDOW = 3600.0
# How long the JobManager may take to fetch its own metrics: what fails in that time may be counted already.
_TAKES = 1.0


class _Count(NamedTuple):
    """What is known of a job's restarts by then.

    restarts: all that were counted; None while nothing has counted them.
    started_at: when the present JobManager took the job up; its own count began at 0.
    counted: how many of that count the restarts hold; None where they were counted otherwise from midway on.
    flink: that count when it was last read; None while this JobManager has never told it.
    failed_at: the latest root failure, 0 where there was none; None while the exception history was never read.
    epoch: the last entry into RUNNING under this JobManager.
    """

    restarts: int | None
    started_at: float
    counted: int | None
    flink: int | None
    failed_at: float | None
    epoch: float | None


class _Span(NamedTuple):
    """Whether the job ran at a look, and for how many seconds since the look before."""

    running: bool
    available: float


_COUNT = Track("restarts_count", most=1)
_TOTAL = Track("restarts_total", most=1024)
_FAILED = Track("restarts_failed", most=1024)
_AVAILABLE = Track("availability", most=1024, span=_WINDOW, least=2)


def remember(job: Job, past: Past, now: float) -> Iterator[Note]:
    if job.terminal:
        return
    yield from _count(job, past)
    yield from _failed(job, past)
    yield from _availability(job, past)


# Counting


def _count(job: Job, past: Past) -> Iterator[Note]:
    last = past.last(_COUNT)
    count = _first(job) if last is None else _next(job, last.value)
    yield Note(_COUNT, Point(job.now, count, tick=job.now))
    if count.restarts is not None:
        yield Note(_TOTAL, Point(job.now, count.restarts, tick=count.restarts))


def _by_flink(job: Job) -> int | None:
    """Restarts by Flink's own count, which begins anew with each JobManager, and those that it does not hold yet."""
    counted = job.readings.get(RESTARTS, job.readings.get(FULL_RESTARTS))
    return None if counted is None else max(0, int(counted - job.readings.get(RESCALES, 0.0))) + _not_counted_yet(job)


def _not_counted_yet(job: Job) -> int:
    """Root failures since Flink's own count was taken.

    That may be minutes ago just when it matters: the JobManager fetches all metrics together, and a TaskManager that
    dies while it is asked holds them all up until `web.timeout`, 10 minutes by default.
    """
    if job.counted_at is None or job.failures is None:
        return 0
    return sum(entry.at > job.counted_at + _TAKES for entry in job.failures.entries)


def _first(job: Job) -> _Count:
    flink = _by_flink(job)
    return _Count(flink, job.started_at, flink, flink, _last_failure(job), job.epoch)


def _next(job: Job, seen: _Count) -> _Count:
    """The count after one more look."""
    flink, new_jobmanager = _by_flink(job), job.started_at != seen.started_at
    if new_jobmanager:
        seen = seen._replace(started_at=job.started_at, counted=0, flink=None, epoch=None)
    if flink is not None:
        # The store may still hold what the JobManager before counted: the first that a new one tells is not believed.
        seen = _believing(job, seen, 0 if new_jobmanager else flink)._replace(flink=flink)
    elif seen.flink is None:
        seen = _without_flink(job, seen)
    failed_at = _last_failure(job)
    return seen._replace(
        failed_at=seen.failed_at if failed_at is None else max(failed_at, seen.failed_at or 0.0),
        epoch=seen.epoch if job.epoch is None else job.epoch,
    )


def _believing(job: Job, seen: _Count, flink: int) -> _Count:
    if RESCALES in job.readings and seen.flink is not None:
        # A rescale may be counted among the restarts a look before it is among the rescales.
        flink = min(flink, seen.flink)
    if seen.restarts is None:
        return seen._replace(restarts=flink, counted=flink)
    if seen.counted is None:
        return seen._replace(restarts=seen.restarts + _otherwise(job, seen), counted=flink)
    since = max(0, flink - seen.counted)
    return seen._replace(restarts=seen.restarts + since, counted=seen.counted + since)


def _without_flink(job: Job, seen: _Count) -> _Count:
    """The first look of all may miss Flink's count, which is fetched lazily; then something else has to count."""
    if seen.restarts is None:
        return seen._replace(restarts=len(job.failures.entries) if job.failures else 0, counted=None)
    since = _otherwise(job, seen)
    return seen._replace(restarts=seen.restarts + since, counted=None if seen.counted is None else seen.counted + since)


def _otherwise(job: Job, seen: _Count) -> int:
    """Restarts since the last look, by root failures, or by entries into RUNNING where those are never told."""
    if job.failures is not None and seen.failed_at is not None:
        return sum(entry.at > seen.failed_at for entry in job.failures.entries)
    if job.failures is None and seen.failed_at is None:
        return int(job.epoch is not None and seen.epoch is not None and job.epoch > seen.epoch)
    return 0


def _last_failure(job: Job) -> float | None:
    return None if job.failures is None else max((entry.at for entry in job.failures.entries), default=0.0)


def _failed(job: Job, past: Past) -> Iterator[Note]:
    """Root failures under this JobManager, whose history is shorter than its restart strategy's memory."""
    known = [point for point in past[_FAILED] if point.epoch == job.started_at]
    ticks, latest = {point.tick for point in known}, known[-1].at if known else 0.0
    for entry in job.failures.entries if job.failures else ():
        tick = (entry.at, entry.name, entry.task)
        if entry.at >= latest and tick not in ticks:
            yield Note(_FAILED, Point(entry.at, None, tick=tick, epoch=job.started_at))


# Availability


def _availability(job: Job, past: Past) -> Iterator[Note]:
    last, running = past.last(_AVAILABLE), job.epoch is not None
    if last is None:
        yield Note(_AVAILABLE, Point(job.now, _Span(running, 0.0), tick=job.now))
    elif job.now > last.at:
        available = _available(job, last.at, last.value.running)
        yield Note(_AVAILABLE, Point(job.now, _Span(running, available), tick=job.now))


def _available(job: Job, since: float, ran: bool) -> float:
    """Of the time since the last look, the seconds in which the job ran.

    ran: whether it did at that look. Of several failures in between only what was before the first and is after the
    last is sure; where none is told it is not known when it stopped, and nothing before RUNNING counts.
    """
    until = job.now
    if job.epoch is not None and job.epoch <= since:
        return until - since
    resumed = until if job.epoch is None else min(job.epoch, until)
    failed = [entry.at for entry in (job.failures.entries if job.failures else ()) if since <= entry.at <= resumed]
    before = min(failed) - since if ran and failed else 0.0
    return before + until - resumed


# What is said


def derive(job: Job, past: Past, now: float) -> Iterator[Sample]:
    if job.terminal:
        return
    points = past[_TOTAL]
    if points:
        yield TOTAL.sample(points[-1].value)
        yield RECENT.sample(increase(points, job.now - _RECENT))
    if job.restart_strategy is not None:
        yield from _strategy(job, job.restart_strategy, past)
    looks = past[_AVAILABLE]
    seconds = observed(looks)
    if seconds > 0:
        yield AVAILABILITY.sample(min(1.0, sum(look.value.available for look in list(looks)[1:]) / seconds))


def _strategy(job: Job, strategy: RestartStrategy, past: Past) -> Iterator[Sample]:
    yield STRATEGY.sample(1, strategy=strategy.kind)
    failed = [point.at for point in past[_FAILED] if point.epoch == job.started_at]
    known = job.failures is not None or bool(failed)
    count = past.last(_COUNT)
    budget = _budget(strategy, failed if known else None, count.value.counted if count else None, job.now)
    if budget is not None:
        yield BUDGET.sample(max(0, budget))
    if strategy.kind == "exponential-delay" and known:
        yield BACKOFF.sample(_wait(_attempts(failed, strategy, job.now), strategy))
    elif strategy.kind in ("fixed-delay", "failure-rate"):
        yield BACKOFF.sample(strategy.delay)


def _budget(strategy: RestartStrategy, failed: Sequence[float] | None, counted: int | None, now: float) -> int | None:
    """Restarts left. failed: when root failures were under this JobManager; counted: its restarts."""
    if strategy.kind == "none":
        return 0
    if strategy.attempts is None:
        return None
    if strategy.kind == "fixed-delay":
        used = [counted] if counted is not None else []
        used += [len(failed)] if failed is not None else []
        return strategy.attempts - max(used) if used else None
    if failed is None:
        return None
    if strategy.kind == "failure-rate":
        interval = strategy.interval or 0.0
        return strategy.attempts - sum(now - at <= interval for at in failed)
    return strategy.attempts - _attempts(failed, strategy, now)


def _attempts(failed: Sequence[float], strategy: RestartStrategy, now: float) -> int:
    """How many restarts there were since the last long peace, as Flink's exponential delay counts them.

    Peace begins when a wait is over; a failure before that is taken for a part of the one that is waited for.
    """
    attempts, waits_until = 0, -inf
    reset_after = strategy.reset_after or 0.0
    for at in failed:
        if at <= waits_until:
            continue
        if at - waits_until >= reset_after:
            attempts = 0
        waits_until = at + _wait(attempts, strategy)
        attempts += 1
    return 0 if now - waits_until >= reset_after else attempts


def _wait(attempts: int, strategy: RestartStrategy) -> float:
    """How long the next restart waits after so many."""
    wait, longest = strategy.delay, strategy.longest_delay or strategy.delay
    for _ in range(attempts):
        if wait >= longest:
            break
        wait *= strategy.multiplier or 1.0
    return min(wait, longest)


SIGNAL = Signal(
    name="restarts",
    each=(Job,),
    families=(TOTAL, RECENT, STRATEGY, BUDGET, BACKOFF, AVAILABILITY),
    needs=(RESTARTS, FULL_RESTARTS, RESCALES, Part.RESTART_STRATEGY, Part.FAILURES),
    remember=remember,
    derive=derive,
)
