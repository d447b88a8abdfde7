"""Failures: what kind of failure brought the job down, and when last?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from exporter.families import Family, Kind, Sample
from exporter.history import Past, Point, Track
from exporter.model import Failure, Job, Part
from exporter.signals._scenarios import CATALOGUE, OTHER, SCENARIOS, USER_CODE, Row
from exporter.signals.base import Note, Signal

TOTAL = Family(
    name="flink_health_job_failures_total",
    help="Root failures of the job, by what brought it down.",
    formula="entries of the exception history, each once (time, class and task), by failure labels, else by the "
    "classes and messages of the cause chain; `other` also counts each time that entries left the history unseen",
    labels=("scenario",),
    kind=Kind.COUNTER,
)
RECENT = Family(
    name="flink_health_job_failures_recent",
    help="Root failures of the job in the last 10 minutes, by what brought it down.",
    formula="entries counted in the total whose own time is in the last 600 s by the JobManager's clock, so those from "
    "before the exporter's first look too; entries that left the history unseen count at the oldest that is left",
    labels=("scenario",),
)
LAST = Family(
    name="flink_health_job_failure_last_timestamp_seconds",
    help="When the job was last brought down by this.",
    formula="time of the latest entry of the scenario, by the JobManager's clock",
    labels=("scenario",),
)

_SEEN = Track("failures_seen", most=128)
_RECENT = 600.0
# A point for each failure, at its own time and with the total that it makes.
_TOTALS = {scenario: Track(f"failures_{scenario}", most=1024, span=_RECENT) for scenario in SCENARIOS}

# What an exception and its causes are; suppressed ones are indented, and stay out.
_THROWN = re.compile(r"^(?:Caused by: )?((?:[a-zA-Z_$][\w$]*\.)+[A-Z_$][\w$]*)(?:: (.*))?", re.MULTILINE)
# A frame's class and method, without its loader and module: `at app//…`, `at java.base/…`.
_FRAME = re.compile(r"^\s+at (?:[\w.-]*(?:@[\w.+-]+)?/{1,2})?([\w.$]+)", re.MULTILINE)

# The packages of what runs the user's code: below these in a stack it is only passed through.
_RUNS_IT = (
    "org.apache.flink.streaming.",
    "org.apache.flink.runtime.",
    "org.apache.flink.table.runtime.",
    "org.apache.flink.connector.",
)
# The packages of Flink, of what it brings along, and of the drivers that its connectors use. A frame of anybody else
# is the user's, and so is generated code, which has no package.
_FRAMEWORK = (
    "org.apache.",
    *("java.", "javax.", "jdk.", "sun.", "com.sun.", "scala.", "akka.", "io.netty.", "org.rocksdb."),
    *("com.esotericsoftware.", "com.fasterxml.", "com.google.", "com.amazonaws.", "software.amazon.", "com.azure."),
    *("com.mysql.", "org.postgresql.", "oracle.", "com.microsoft.", "com.mongodb.", "org.elasticsearch."),
    *("org.opensearch.", "io.debezium.", "com.ververica.", "io.confluent.", "com.datastax.", "com.clickhouse."),
)


def scenario(failure: Failure) -> str:
    """What brought the job down. Never raises: what is not understood is `other`."""
    labels = [value.lower() for value in failure.labels.values()]
    for label in labels:
        if label in SCENARIOS:
            return label
    row = deciding(failure)
    if row is not None:
        return row.scenario
    return USER_CODE if "user" in labels or _is_users(failure.trace) else OTHER


def deciding(failure: Failure) -> Row | None:
    """The row of the catalogue that decides; None where none matches."""
    chain = [(failure.name, ""), *_THROWN.findall(failure.trace)]
    matching = (
        row for row in CATALOGUE if any(row.thrown.search(name) and row.says.search(said) for name, said in chain)
    )
    return next(matching, None)


def root_cause(failure: Failure) -> str:
    """The class of the exception at the end of its chain of causes."""
    thrown = _THROWN.findall(failure.trace)
    return thrown[-1][0] if thrown else failure.name


def _is_users(trace: str) -> bool:
    """Whether any of the exceptions was thrown by code that is not the framework's, or by what that code called."""
    return any(_thrown_by_user(link) for link in trace.split("Caused by: "))


def _thrown_by_user(link: str) -> bool:
    for frame in _FRAME.findall(link):
        if frame.startswith(_RUNS_IT):
            return False
        if not frame.startswith(_FRAMEWORK):
            return True
    return False


def remember(job: Job, past: Past, now: float) -> Iterator[Note]:
    if job.failures is None or job.terminal:
        return
    seen = past[_SEEN]
    known = {point.tick for point in seen}
    # Flink's history may be longer than ours: what is older than all that is remembered was seen and forgotten.
    oldest = seen[0].at if len(seen) == _SEEN.most else -1.0
    new = [entry for entry in job.failures.entries if _tick(entry) not in known and entry.at > oldest]
    for entry in new:
        yield Note(_SEEN, Point(entry.at, None, tick=_tick(entry)))
    scenarios = [(scenario(entry), entry.at) for entry in new]
    if known and job.failures.truncated and len(new) == len(job.failures.entries):
        # Not one of them was there at the last look: others may have come and gone in between.
        scenarios.insert(0, (OTHER, new[0].at))
    for name, track in _TOTALS.items():
        last = past.last(track)
        if last is None:
            yield Note(track, Point(0.0, 0, tick=0))
        times = sorted(at for kind, at in scenarios if kind == name)
        for count, at in enumerate(times, start=last.value + 1 if last else 1):
            yield Note(track, Point(at, count, tick=count))


def _tick(failure: Failure) -> tuple[float, str, str | None]:
    return failure.at, failure.name, failure.task


def derive(job: Job, past: Past, now: float) -> Iterator[Sample]:
    if job.failures is None or job.terminal:
        return
    for name, track in _TOTALS.items():
        point = past.last(track)
        if point is not None:
            yield TOTAL.sample(point.value, scenario=name)
            recent = sum(failure.value > 0 and job.now - failure.at <= _RECENT for failure in past[track])
            yield RECENT.sample(recent, scenario=name)
            if point.at > 0:
                yield LAST.sample(point.at, scenario=name)


SIGNAL = Signal(
    name="failures",
    each=(Job,),
    families=(TOTAL, RECENT, LAST),
    needs=(Part.FAILURES,),
    remember=remember,
    derive=derive,
)
