"""What is drawn of a job: its tasks as a graph, and its recent past as small lines. Templates write it down as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from exporter.columns import cut
from exporter.publish import graph, spelling
from exporter.symptoms.base import Severity
from exporter.symptoms.health import JobHealth, TaskHealth, ToldFinding
from exporter.symptoms.trends import TrendLine

# Pixels. The widths of signs are guessed, on the safe side: a server cannot measure the fonts of a browser.
_PADDING = 12.0
_NAME, _NOTE, _SMALL = 8.8, 8.2, 7.0

_SPARK_WIDTH, _SPARK_HEIGHT, _SPARK_EDGE = 240.0, 44.0, 4.0
# Points are half a minute apart; where more time lies between two, nothing was known meanwhile.
_GAP = 100.0


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a bar. kind: busy, backpressured or idle."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Node:
    """A task as it is drawn. number: its place in the table of tasks. mark: the worst that is found in it.

    note: why it is the bottleneck, or that it does not run. caption: its largest share of time, in words.
    """

    number: int
    task: TaskHealth
    box: graph.Box
    name: str
    detail: str
    segments: tuple[Segment, ...]
    caption: str
    mark: Severity | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Picture:
    """The graph of a job. lines: the path data of each edge, and the corners of the arrow at its end."""

    drawing: graph.Drawing
    nodes: tuple[Node, ...]
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Spark:
    """A trend as it is drawn. lines: the points of each stretch without a gap; dot: the last one."""

    title: str
    now: str
    range: str
    width: float
    height: float
    lines: tuple[str, ...]
    dot: tuple[float, float]


def picture(health: JobHealth, *, down: bool) -> Picture:
    """The graph of a job, from left to right or down."""
    drawing = graph.layout({task.id: task.inputs for task in health.tasks}, down=down)
    places = {box.id: box for box in drawing.boxes}
    marks = _marks(health.findings)
    nodes = [
        _node(number, task, places[task.id], marks.get(task.id))
        for number, task in enumerate(health.tasks, start=1)
        if task.id in places
    ]
    lines = [(graph.path(edge, down=down), _arrow(edge.points[-1], down)) for edge in drawing.edges]
    return Picture(drawing, tuple(nodes), tuple(lines))


def _marks(findings: Iterable[ToldFinding]) -> dict[str, Severity]:
    marks: dict[str, Severity] = {}
    for found in findings:
        for task in found.tasks:
            if marks.get(task) is not Severity.CRITICAL:
                marks[task] = found.severity
    return marks


def _node(number: int, task: TaskHealth, box: graph.Box, mark: Severity | None) -> Node:
    room = box.width - 2 * _PADDING
    rate, side = (
        (task.records_in_per_second, "in") if task.inputs else (task.records_out_per_second, "out")
    )  # a source takes nothing in from other tasks
    flow = "" if rate is None else f" · {spelling.number(rate)}/s {side}"
    note = None
    if task.bottleneck is not None:
        reason = spelling.words(task.bottleneck)
        whole, brief = f"◆ bottleneck: {reason}", f"◆ {reason}"
        note = whole if len(whole) * _NOTE <= box.width else cut(brief, box.width / _NOTE)
    elif not task.running:
        note = "not running"
    return Node(
        number=number,
        task=task,
        box=box,
        name=_name(task.name, room / _NAME),
        detail=cut(f"× {task.parallelism}{flow}", room / _SMALL),
        segments=_segments(task, room),
        caption=_caption(task),
        mark=mark,
        note=note,
    )


def _name(name: str, columns: float) -> str:
    """As much of a task's name as fits: rather its whole first operator than a part of the second."""
    first, chained, _ = name.partition(" -> ")
    fits = cut(name, columns) == name
    return name if fits else cut(f"{first} …" if chained else first, columns)


def _shares(task: TaskHealth) -> list[tuple[str, float]]:
    shares = (("busy", task.busy), ("backpressured", task.backpressured), ("idle", task.idle))
    return [(kind, share) for kind, share in shares if share is not None and share > 0]


def _segments(task: TaskHealth, room: float) -> tuple[Segment, ...]:
    shares = _shares(task)
    # Means of what was read at different moments may come to a little more than one.
    whole = max(1.0, sum(share for _, share in shares))
    x, segments = 0.0, []
    for kind, share in shares:
        segments.append(Segment(kind, x, share / whole * room))
        x += segments[-1].width
    return tuple(segments)


def _caption(task: TaskHealth) -> str:
    kind, share = max(_shares(task), key=lambda part: part[1], default=("", None))
    return "not known" if share is None else f"{spelling.percent(share)} {kind}"


def _arrow(tip: tuple[float, float], down: bool) -> str:
    x, y = tip
    corners = ((x, y), (x - 4, y - 7), (x + 4, y - 7)) if down else ((x, y), (x - 7, y - 4), (x - 7, y + 4))
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)


def sparks(trends: Sequence[TrendLine]) -> list[Spark]:
    """The lines of a job, all over the same stretch of time."""
    times = [at for trend in trends for at, _ in trend.points]
    if not times:
        return []
    first, last = min(times), max(times)
    return [_spark(trend, first, last) for trend in trends if trend.points]


def _spark(trend: TrendLine, first: float, last: float) -> Spark:
    values = [value for _, value in trend.points]
    # A line that hardly moves must not look like one that does: all begin at nought, and a share ends at one.
    low, high = min(0.0, *values), max(1.0 if trend.unit == "ratio" else 0.0, *values)
    wide, deep = _SPARK_WIDTH - 2 * _SPARK_EDGE, _SPARK_HEIGHT - 2 * _SPARK_EDGE

    def place(point: tuple[float, float]) -> tuple[float, float]:
        at, value = point
        x = (at - first) / (last - first) if last > first else 1.0
        y = (value - low) / (high - low) if high > low else 0.0
        return _SPARK_EDGE + x * wide, _SPARK_EDGE + (1 - y) * deep

    stretches = [[trend.points[0]]]
    for one, other in pairwise(trend.points):
        if other[0] - one[0] > _GAP:
            stretches.append([])
        stretches[-1].append(other)
    smallest, largest = (spelling.counted(value, trend.unit) for value in (min(values), max(values)))
    return Spark(
        title=trend.title,
        now=spelling.counted(values[-1], trend.unit),
        range=smallest if smallest == largest else f"{smallest} to {largest}",
        width=_SPARK_WIDTH,
        height=_SPARK_HEIGHT,
        lines=tuple(" ".join("{:.1f},{:.1f}".format(*place(point)) for point in each) for each in stretches),
        dot=place(trend.points[-1]),
    )


def span(trends: Sequence[TrendLine]) -> float | None:
    """How long a stretch of time the lines show."""
    times = [at for trend in trends for at, _ in trend.points]
    return max(times) - min(times) if times else None
