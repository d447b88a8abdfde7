"""How has a job fared lately? A few lines of its recent past, for people to look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from exporter.families import Family, Row
from exporter.history import History, Past, Point, Track
from exporter.model import Cluster
from exporter.signals import busy, checkpoint, restarts, source_lag, throughput, watermark
from exporter.symptoms import verdict

# Half an hour, two points a minute.
_EVERY = 30.0
_MOST = 60


@dataclass(frozen=True, slots=True)
class Trend:
    """A line. by: what stands for a job that has several values. unit: what it is counted in."""

    title: str
    unit: str
    family: Family
    by: Callable[[Iterable[float]], float]


TRENDS = (
    Trend("score", "ratio", verdict.SCORE, min),
    Trend("busiest subtask", "ratio", busy.BUSY_MAX, max),
    Trend("records in", "per second", throughput.IN, max),
    Trend("source lag", "records", source_lag.RECORDS, sum),
    Trend("watermark lag", "seconds", watermark.JOB_LAG, max),
    Trend("checkpoint duration", "seconds", checkpoint.DURATION, max),
    Trend("restarts", "count", restarts.TOTAL, max),
)
_TRACKS = {trend.title: Track(trend.title, most=_MOST) for trend in TRENDS}
_PRESENT = {trend.title: Track(f"{trend.title}, now", most=1) for trend in TRENDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendLine:
    """A line of a job's recent past. points: (seconds since the epoch, value), the oldest first."""

    title: str
    unit: str
    points: tuple[tuple[float, float], ...]


def remember(cluster: Cluster, rows: Iterable[Row], history: History, now: float) -> None:
    """Notes what the rows of a look say of each job."""
    if cluster.jobs is not None:
        history.keep_only(job.id for job in cluster.jobs if not job.terminal)
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    wanted = {trend.family.name for trend in TRENDS}
    for row in rows:
        if row.family.name in wanted:
            values[row.labels[1], row.family.name].append(row.value)
    for trend in TRENDS:
        for job in cluster.jobs or ():
            found = values.get((job.id, trend.family.name))
            if found:
                present = Point(now, trend.by(found), tick=now // _EVERY)
                history.note(job.id, _TRACKS[trend.title], present)
                # A tick keeps its first value; what is true now is told beside.
                history.note(job.id, _PRESENT[trend.title], present._replace(tick=now))


def lines(history: History) -> dict[str, Sequence[TrendLine]]:
    """What is remembered, by job id."""
    told: dict[str, Sequence[TrendLine]] = {}
    for key in history:
        past = history.past(key)
        found = [(trend, tuple(_points(past, trend))) for trend in TRENDS]
        told[str(key)] = [
            TrendLine(title=trend.title, unit=trend.unit, points=points) for trend, points in found if points
        ]
    return told


def _points(past: Past, trend: Trend) -> Iterator[tuple[float, float]]:
    kept, now = past[_TRACKS[trend.title]], past.last(_PRESENT[trend.title])
    yield from ((point.at, point.value) for point in kept)
    if now is not None and kept and now.at > kept[-1].at:
        yield now.at, now.value
