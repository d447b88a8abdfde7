"""Restarts: how often did the job restart, how often may it still, and for how long did all of it run?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exporter.families import Family, Kind, Sample
from exporter.history import Past, Point, Track
from exporter.model import Failures, Job, Part, Raw, RestartStrategy, Scope
from exporter.signals.base import Note, Signal

RESTARTS = Raw(Scope.JOB, "numRestarts")
FULL_RESTARTS = Raw(Scope.JOB, "fullRestarts")
RESCALES = Raw(Scope.JOB, "numRescales")

TOTAL = Family(
    name="flink_health_job_restarts_total",
    help="Restarts after failures; rescales and JobManager failovers are none.",
    formula="numRestarts (or fullRestarts) less numRescales, added up over JobManagers; where Flink gives neither, "
    "new root failures, or entries into RUNNING",
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
    "the last interval; none: 0; absent where unlimited",
)
BACKOFF = Family(
    name="flink_health_job_restart_backoff_seconds",
    help="How long Flink would wait before the next restart.",
    formula="the strategy's delay; for exponential-delay as its failures so far have raised it",
)
AVAILABILITY = Family(
    name="flink_health_job_availability_ratio",
    help="Share of the time in which all tasks of the job ran.",
    formula="seconds in which the job was RUNNING over seconds observed, at most 1 h",
)

_RECENT = 600.0
_WINDOW = 3600.0


class _Count(NamedTuple):
    """restarts: all that were seen. flink: what Flink said by then, which begins anew with each JobManager."""

    restarts: int
    flink: int


_TOTAL = Track("restarts_total", most=512)
_AVAILABLE = Track("availability", most=1024, span=_WINDOW, least=2)


def _by_flink(job: Job) -> int | None:
    """Restarts by Flink's own count, which begins anew with each JobManager."""
    counted = job.readings.get(RESTARTS, job.readings.get(FULL_RESTARTS))
    return None if counted is None else max(0, int(counted - job.readings.get(RESCALES, 0.0)))


def remember(job: Job, past: Past, now: float) -> Iterator[Note]:
    if job.terminal:
        return
    yield from _count(job, past)
    yield from _availability(job, past)


def _count(job: Job, past: Past) -> Iterator[Note]:
    """`tick` is the JobManager's start of the job and the count: what is counted anew starts from 0."""
    flink, last = _by_flink(job), past.last(_TOTAL)
    if last is None:
        if flink is not None:
            yield Note(_TOTAL, Point(job.now, _Count(flink, flink), tick=(job.started_at, flink)))
        return
    if flink is None:
        return
    started_at, seen = last.tick[0], last.value  # type: ignore[index]  # ticks of this track are made here
    since = flink if job.started_at != started_at or flink < seen.flink else flink - seen.flink
    yield Note(_TOTAL, Point(job.now, _Count(seen.restarts + since, flink), tick=(job.started_at, flink)))


def _availability(job: Job, past: Past) -> Iterator[Note]:
    """A point is (seconds observed, seconds available) since the last one."""
    last = past.last(_AVAILABLE)
    if last is None:
        yield Note(_AVAILABLE, Point(job.now, (0.0, 0.0), tick=job.now))
        return
    observed = job.now - last.at
    if observed <= 0:
        return
    yield Note(_AVAILABLE, Point(job.now, (observed, _available(job, last.at)), tick=job.now))


def _available(job: Job, since: float) -> float:
    """Of the time since the last look, the seconds in which the job ran: up to its last failure, and since RUNNING."""
    until = job.now
    if job.epoch is not None and job.epoch <= since:
        return until - since
    failed = [entry.at for entry in (job.failures.entries if job.failures else ()) if since <= entry.at <= until]
    before = min(failed, default=since) - since
    return before + (until - job.epoch if job.epoch is not None else 0.0)


def derive(job: Job, past: Past, now: float) -> Iterator[Sample]:
    if job.terminal:
        return
    points = past[_TOTAL]
    if points:
        total = points[-1].value.restarts
        yield TOTAL.sample(total)
        # The total that stood 10 minutes ago: the last point from before, or the first there is.
        then = [point for point in points if job.now - point.at > _RECENT][-1:] or [points[0]]
        yield RECENT.sample(total - then[0].value.restarts)
    if job.restart_strategy is not None:
        yield from _strategy(job, job.restart_strategy)
    seconds = [point.value for point in past[_AVAILABLE]]
    observed = sum(looked for looked, _ in seconds)
    if observed > 0:
        yield AVAILABILITY.sample(min(1.0, sum(available for _, available in seconds) / observed))


def _strategy(job: Job, strategy: RestartStrategy) -> Iterator[Sample]:
    yield STRATEGY.sample(1, strategy=strategy.kind)
    budget = _budget(job, strategy)
    if budget is not None:
        yield BUDGET.sample(budget)
    backoff = _backoff(job.failures, strategy, job.now)
    if backoff is not None:
        yield BACKOFF.sample(backoff)


def _budget(job: Job, strategy: RestartStrategy) -> int | None:
    match strategy.kind:
        case "none":
            return 0
        case "fixed-delay":
            used = _by_flink(job)
            return None if strategy.attempts is None or used is None else max(0, strategy.attempts - used)
        case "failure-rate":
            if strategy.attempts is None or job.failures is None or strategy.interval is None:
                return None
            used = sum(job.now - entry.at <= strategy.interval for entry in job.failures.entries)
            return max(0, strategy.attempts - used)
    return None


def _backoff(failures: Failures | None, strategy: RestartStrategy, now: float) -> float | None:
    if strategy.kind == "none":
        return None
    if strategy.kind != "exponential-delay":
        return strategy.delay
    if failures is None:
        return None
    times = [entry.at for entry in failures.entries]
    return _raised(times, strategy, now)


def _raised(failures: Sequence[float], strategy: RestartStrategy, now: float) -> float:
    """The backoff after these failures: multiplied with each, and back at the start after a long enough peace."""
    backoff, last = strategy.delay, None
    for at in failures:
        if last is not None and at - last >= (strategy.reset_after or 0.0) + backoff:
            backoff = strategy.delay
        backoff = min(backoff * (strategy.multiplier or 1.0), strategy.longest_delay or backoff) if last else backoff
        last = at
    if last is None or now - last >= (strategy.reset_after or 0.0) + backoff:
        return strategy.delay
    return min(backoff * (strategy.multiplier or 1.0), strategy.longest_delay or backoff)


SIGNAL = Signal(
    name="restarts",
    each=(Job,),
    families=(TOTAL, RECENT, STRATEGY, BUDGET, BACKOFF, AVAILABILITY),
    needs=(RESTARTS, FULL_RESTARTS, RESCALES, Part.RESTART_STRATEGY, Part.FAILURES),
    remember=remember,
    derive=derive,
)
