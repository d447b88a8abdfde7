"""Failures: what kind of failure brought the job down, and when last?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from exporter.families import Family, Kind, Sample
from exporter.history import Past, Point, Track
from exporter.model import Failure, Job, Part
from exporter.signals._scenarios import CATALOGUE, OTHER, SCENARIOS, USER_CODE
from exporter.signals.base import Note, Signal

TOTAL = Family(
    name="flink_health_job_failures_total",
    help="Root failures of the job, by what brought it down.",
    formula="entries of the exception history, each once (time, class and task), by failure labels, else by the "
    "classes and messages of the cause chain; `other` also counts entries that left the history unseen",
    labels=("scenario",),
    kind=Kind.COUNTER,
)
LAST = Family(
    name="flink_health_job_failure_last_timestamp_seconds",
    help="When the job was last brought down by this.",
    formula="time of the latest entry of the scenario, by the JobManager's clock",
    labels=("scenario",),
)

_SEEN = Track("failures_seen", most=128)
_TOTALS = {scenario: Track(f"failures_{scenario}", most=1) for scenario in SCENARIOS}

# The packages of Flink and of what it brings along. A frame of anybody else is the user's, and so is generated code.
_FRAMEWORK = ("org.apache.", "java.", "javax.", "jdk.", "sun.", "com.sun.", "scala.", "akka.", "io.netty.")
_FRAME = re.compile(r"^\s+at (?:[\w.$-]+/{1,2})?(?:[\w.-]+@[\w.]+/)?([\w.$]+)\(", re.MULTILINE)
_THROWN = re.compile(r"^(?:Caused by: )?((?:[a-zA-Z_$][\w$]*\.)+[A-Z_$][\w$]*)(?:: (.*))?", re.MULTILINE)


def scenario(failure: Failure) -> str:
    """What brought the job down. Never raises: what is not understood is `other`."""
    for value in failure.labels.values():
        if value.lower() in SCENARIOS:
            return value.lower()
    chain = [(failure.name, ""), *_THROWN.findall(failure.trace)]
    for name, where, words in CATALOGUE:
        if any(where.search(thrown) and words.search(message) for thrown, message in chain):
            return name
    if any(value.upper() == "USER" for value in failure.labels.values()) or _is_users(failure.trace):
        return USER_CODE
    return OTHER


def _is_users(trace: str) -> bool:
    """Whether the innermost cause was thrown in, or below, code that is not the framework's."""
    innermost = trace.rpartition("Caused by: ")[2]
    return any(not frame.startswith(_FRAMEWORK) for frame in _FRAME.findall(innermost))


def remember(job: Job, past: Past, now: float) -> Iterator[Note]:
    if job.failures is None:
        return
    known = {point.tick for point in past[_SEEN]}
    oldest = past[_SEEN][0].at if len(past[_SEEN]) == _SEEN.most else 0.0
    new = [entry for entry in job.failures.entries if _tick(entry) not in known and entry.at >= oldest]
    for entry in new:
        yield Note(_SEEN, Point(entry.at, None, tick=_tick(entry)))
    scenarios = [(scenario(entry), entry.at) for entry in new]
    if known and job.failures.truncated and len(new) == len(job.failures.entries):
        # Not one of them was there at the last look: others may have come and gone in between.
        scenarios.insert(0, (OTHER, new[0].at))
    for name, track in _TOTALS.items():
        times = [at for kind, at in scenarios if kind == name]
        last = past.last(track)
        if times or last is None:
            count = (last.value if last else 0) + len(times)
            yield Note(track, Point(max(times, default=0.0), count, tick=(count, max(times, default=0.0))))


def _tick(failure: Failure) -> tuple[float, str, str | None]:
    return failure.at, failure.name, failure.task


def derive(job: Job, past: Past, now: float) -> Iterator[Sample]:
    if job.failures is None:
        return
    for name, track in _TOTALS.items():
        point = past.last(track)
        if point is not None:
            yield TOTAL.sample(point.value, scenario=name)
            if point.at > 0:
                yield LAST.sample(point.at, scenario=name)


SIGNAL = Signal(
    name="failures",
    each=(Job,),
    families=(TOTAL, LAST),
    needs=(Part.FAILURES,),
    remember=remember,
    derive=derive,
)
