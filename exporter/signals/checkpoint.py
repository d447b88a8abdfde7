"""Checkpoint: how long do the job's checkpoints take against what is normal for it, and do they succeed?

Savepoints never count: somebody asked for them, and they take the time they take.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

from exporter.families import Family, Kind, Sample, shown
from exporter.history import Past, Point, Track
from exporter.model import Checkpoint, Checkpoints, Job, Part
from exporter.signals._stats import slope
from exporter.signals.base import Note, Signal

DURATION = Family(
    name="flink_health_job_checkpoint_duration_seconds",
    help="How long the last completed checkpoint took, end to end.",
    formula="end_to_end_duration of the last completed checkpoint",
)
BASELINE = Family(
    name="flink_health_job_checkpoint_duration_baseline_seconds",
    help="How long a checkpoint of this job normally takes.",
    formula="median of the up to 20 completed checkpoints before the last; below 5 of them, Flink's own median; "
    "absent below 5 completed checkpoints",
)
DURATION_RATIO = Family(
    name="flink_health_job_checkpoint_duration_ratio",
    help="How long the last or the present checkpoint takes over what is normal for this job.",
    formula="max(last completed, in progress so far) / baseline",
)
TIMEOUT_RATIO = Family(
    name="flink_health_job_checkpoint_timeout_ratio",
    help="How much of the checkpoint timeout the last or the present checkpoint uses.",
    formula="max(last completed, in progress so far) / timeout",
)
AGE = Family(
    name="flink_health_job_checkpoint_age_seconds",
    help="How much work a restart would repeat: the time since the last completed checkpoint.",
    formula="now less the end of the last completed checkpoint, or less the last entry into RUNNING if there is none; "
    "by the JobManager's clock",
)
OVERDUE_RATIO = Family(
    name="flink_health_job_checkpoint_overdue_ratio",
    help="Age of the last checkpoint over the age at which Flink's operator calls the job unhealthy.",
    formula="age / (max(interval, timeout) * (tolerable failures + 2)); absent where periodic checkpoints are off",
)
FAILURES = Family(
    name="flink_health_job_checkpoint_failures_total",
    help="Checkpoints that failed, by reason.",
    formula="failed entries of the history, each once, by failure message; those that left it unseen are `other`; "
    "`declined_not_ready` is start-up noise, as is what failed before it could begin",
    labels=("reason",),
    kind=Kind.COUNTER,
)
FAILURES_RECENT = Family(
    name="flink_health_job_checkpoint_failures_recent",
    help="Checkpoints that failed in the last 10 minutes, start-up noise left out.",
    formula="failures of the last 600 s, `declined_not_ready` left out",
)
CONSECUTIVE = Family(
    name="flink_health_job_checkpoint_consecutive_failures",
    help="Checkpoints that failed since the last completed one, start-up noise left out.",
    formula="failures with a greater id than the last completed checkpoint, `declined_not_ready` left out",
)
SIZE = Family(
    name="flink_health_job_checkpoint_size_bytes",
    help="What the last completed checkpoint wrote.",
    formula="checkpointed_size of the last completed checkpoint",
)
STATE_SIZE = Family(
    name="flink_health_job_checkpoint_state_size_bytes",
    help="The full state of the last completed checkpoint.",
    formula="state_size of the last completed checkpoint",
)
GROWTH = Family(
    name="flink_health_job_checkpoint_state_growth_bytes_per_second",
    help="How fast the job's state grows.",
    formula="slope (Theil-Sen) of the state size over the last 20 completed checkpoints; absent below 3",
)
GROWTH_RATIO = Family(
    name="flink_health_job_checkpoint_state_hourly_growth_ratio",
    help="What share of its present size the job's state gains an hour.",
    formula="growth in bytes a second * 3600 / full state size; absent where the state is empty",
)
SLOWEST_PHASE = Family(
    name="flink_health_job_checkpoint_slowest_phase",
    help="Where the last completed checkpoint spent its time; read only while it takes long.",
    formula="1 for the longest of start_delay, alignment, sync, async in the task that took longest; "
    "present only while the duration ratio is 2 or more",
    labels=("task_id", "task_name", "phase"),
)

# What a failure message says of the reason, the first match deciding. The words are those of Flink's
# CheckpointFailureReason, some of which changed their endings between versions.
REASONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("expired", ("expired",)),
    ("declined_not_ready", ("tasks not ready", "Not all required tasks", "not been triggered")),
    ("storage", ("finalize", "IO-problem", "IOException", "Asynchronous task checkpoint failed", "storage")),
    ("task_failure", ("Task has failed", "job has failed", "FailoverRegion", "Task local", "suspending", "shutdown")),
    ("declined", ("declined", "does not support checkpointing", "barrier", "cancellation")),
)
_START_UP_NOISE = "declined_not_ready"
_ALL_REASONS = (*(reason for reason, _ in REASONS), "other")

WINDOW = 20
_LEAST = 5
_RECENT = 600.0
# From this ratio on it is worth two more requests to know which phase of which task is slow.
_LOOK_CLOSER = 2.0


class _Count(NamedTuple):
    """What Flink had counted by then: failures of every kind, and the newest checkpoint's id."""

    at: float
    failed: int
    newest: int


_COMPLETED = Track("checkpoint_completed", most=WINDOW + 1)
_FAILED = Track("checkpoint_failed", most=256)
_COUNTED = Track("checkpoint_counted", most=1)
_TOTALS = {reason: Track(f"checkpoint_failures_{reason}", most=1) for reason in _ALL_REASONS}


def reason(message: str | None) -> str:
    """Why a checkpoint failed, by its failure message."""
    text = message or ""
    return next((name for name, words in REASONS if any(word in text for word in words)), "other")


def remember(job: Job, past: Past, now: float) -> Iterator[Note]:
    if job.checkpoints is None:
        return
    for checkpoint in _new(job, past, _COMPLETED, "COMPLETED"):
        if checkpoint.duration is not None:
            at = checkpoint.triggered_at + checkpoint.duration
            yield Note(_COMPLETED, Point(at, checkpoint, tick=checkpoint.id, epoch=job.started_at))
    failed = _new(job, past, _FAILED, "FAILED")
    for checkpoint in failed:
        at = checkpoint.failed_at or checkpoint.triggered_at
        yield Note(_FAILED, Point(at, checkpoint, tick=checkpoint.id, epoch=job.started_at))
    counted = past.last(_COUNTED)
    last = counted.value if counted and counted.epoch == job.started_at else None
    reasons = [reason(checkpoint.failure) for checkpoint in failed] + _unseen(job.checkpoints, last)
    for name, track in _TOTALS.items():
        total = past.last(track)
        yield Note(track, Point(job.now, (total.value if total else 0) + reasons.count(name), tick=job.now))
    count = _Count(job.now, job.checkpoints.failed, max((entry.id for entry in job.checkpoints.history), default=0))
    yield Note(_COUNTED, Point(job.now, count, tick=job.now, epoch=job.started_at))


def _new(job: Job, past: Past, track: Track, status: str) -> list[Checkpoint]:
    """Checkpoints in Flink's history that were not seen yet. Ids begin anew when a job does.

    That history may be longer than ours: what is older than all that is remembered was seen and forgotten.
    """
    known = [point.value.id for point in past[track] if point.epoch == job.started_at]
    oldest = known[0] if len(known) == track.most else -1
    history = job.checkpoints.history if job.checkpoints else ()
    return [
        checkpoint
        for checkpoint in history
        if checkpoint.status == status
        and not checkpoint.savepoint
        and checkpoint.id > oldest
        and checkpoint.id not in known
    ]


def _unseen(checkpoints: Checkpoints, last: _Count | None) -> list[str]:
    """Reasons of the failures since the last cycle that Flink counts and its history does not hold.

    Most of them never began: Flink counts a checkpoint that it could not even trigger, for its tasks were not running
    yet, without an entry. Where ids are missing between what was seen then and what is there now, so many may have
    begun, failed and left the history in between. The count begins anew with the JobManager.
    """
    if last is None:
        return []
    counted = checkpoints.failed - last.failed if checkpoints.failed >= last.failed else checkpoints.failed
    in_history = sum(entry.status == "FAILED" and entry.id > last.newest for entry in checkpoints.history)
    in_history += sum(
        entry.status == "FAILED" and entry.id <= last.newest and (entry.failed_at or 0.0) > last.at
        for entry in checkpoints.history
    )
    unseen = max(0, counted - in_history)
    oldest = min((entry.id for entry in checkpoints.history), default=0)
    gone = min(unseen, max(0, oldest - last.newest - 1))
    return ["other"] * gone + [_START_UP_NOISE] * (unseen - gone)


def derive(job: Job, past: Past, now: float) -> Iterator[Sample]:
    if job.checkpoints is None:
        return
    completed = _completed(job, past)
    yield from _durations(job, completed)
    yield from _age(job, completed[-1].at if completed else job.epoch)
    yield from _failures(job, past, completed[-1].value.id if completed else -1)
    yield from _sizes(completed)
    yield from _slowest_phase(job, completed)


def _completed(job: Job, past: Past) -> list[Point]:
    """The completed checkpoints that are remembered of this run of the job, oldest first."""
    return [point for point in past[_COMPLETED] if point.epoch == job.started_at]


def _durations(job: Job, completed: list[Point]) -> Iterator[Sample]:
    if completed:
        yield DURATION.sample(completed[-1].value.duration)
    baseline = _baseline(job, completed)
    if baseline is not None:
        yield BASELINE.sample(baseline)
    ratio = _duration_ratio(job, completed)
    if ratio is not None:
        yield DURATION_RATIO.sample(ratio)
    lasts = _lasts(job, completed)
    if lasts is not None and job.checkpoint_settings is not None and job.checkpoint_settings.timeout:
        yield TIMEOUT_RATIO.sample(lasts / job.checkpoint_settings.timeout)


def _lasts(job: Job, completed: list[Point]) -> float | None:
    """How long the last completed checkpoint took, or the one in progress has taken, whichever is more."""
    history = job.checkpoints.history if job.checkpoints else ()
    lasts: list[float] = [point.value.duration for point in completed[-1:]]
    lasts += [
        # One that was triggered after the job was read has not taken less than nothing.
        max(0.0, job.now - entry.triggered_at)
        for entry in history
        if entry.status == "IN_PROGRESS" and not entry.savepoint
    ]
    return max(lasts, default=None)


def _baseline(job: Job, completed: list[Point]) -> float | None:
    before: list[float] = [point.value.duration for point in completed[:-1]]
    if len(before) >= _LEAST:
        return median(before)
    checkpoints = job.checkpoints
    return checkpoints.median_duration if checkpoints and checkpoints.completed >= _LEAST else None


def _duration_ratio(job: Job, completed: list[Point]) -> float | None:
    lasts, baseline = _lasts(job, completed), _baseline(job, completed)
    return lasts / baseline if lasts is not None and baseline else None


def _age(job: Job, since: float | None) -> Iterator[Sample]:
    settings = job.checkpoint_settings
    if since is None or settings is None or settings.interval is None:
        return
    age = max(0.0, job.now - since)
    yield AGE.sample(age)
    unhealthy = max(settings.interval, settings.timeout) * (settings.tolerable_failures + 2)
    yield OVERDUE_RATIO.sample(age / unhealthy)


def _failures(job: Job, past: Past, last_completed: int) -> Iterator[Sample]:
    for name, track in _TOTALS.items():
        total = past.last(track)
        if total is not None:
            yield FAILURES.sample(total.value, reason=name)
    failed = [
        point
        for point in past[_FAILED]
        if point.epoch == job.started_at and reason(point.value.failure) != _START_UP_NOISE
    ]
    yield FAILURES_RECENT.sample(sum(job.now - point.at <= _RECENT for point in failed))
    yield CONSECUTIVE.sample(sum(point.value.id > last_completed for point in failed))


def _sizes(completed: list[Point]) -> Iterator[Sample]:
    if not completed:
        return
    last: Checkpoint = completed[-1].value
    if last.written_bytes is not None:
        yield SIZE.sample(last.written_bytes)
    if last.state_bytes is not None:
        yield STATE_SIZE.sample(last.state_bytes)
    sizes = [
        Point(point.at, point.value.state_bytes, point.tick)
        for point in completed[-WINDOW:]
        if point.value.state_bytes is not None
    ]
    growth = slope(sizes)
    if growth is not None and len(sizes) > 2:
        yield GROWTH.sample(growth)
        if last.state_bytes:
            yield GROWTH_RATIO.sample(growth * 3600 / last.state_bytes)


def _is_slow(job: Job, completed: list[Point]) -> bool:
    ratio = _duration_ratio(job, completed)
    return ratio is not None and ratio >= _LOOK_CLOSER


def _wants_phases(job: Job, past: Past, now: float) -> bool:
    return _is_slow(job, _completed(job, past))


def _slowest_phase(job: Job, completed: list[Point]) -> Iterator[Sample]:
    if job.checkpoint_phases is None or not _is_slow(job, completed):
        return
    names = {vertex.id: vertex.name for vertex in job.vertices}
    for vertex, phases in job.checkpoint_phases.items():
        if vertex in names and phases:
            longest = max(phases, key=phases.__getitem__)
            yield SLOWEST_PHASE.sample(1, task_id=vertex, task_name=shown(names[vertex]), phase=longest)


SIGNAL = Signal(
    name="checkpoint",
    each=(Job,),
    families=(
        DURATION,
        BASELINE,
        DURATION_RATIO,
        TIMEOUT_RATIO,
        AGE,
        OVERDUE_RATIO,
        FAILURES,
        FAILURES_RECENT,
        CONSECUTIVE,
        SIZE,
        STATE_SIZE,
        GROWTH,
        GROWTH_RATIO,
        SLOWEST_PHASE,
    ),
    needs=(Part.CHECKPOINTS, Part.CHECKPOINT_SETTINGS, Part.CHECKPOINT_PHASES),
    remember=remember,
    derive=derive,
    on_demand={Part.CHECKPOINT_PHASES: _wants_phases},
)
