"""What does the exporter say of the demo's jobs, a line each, as it says it?"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TextIO

from exporter.families import Row
from exporter.signals import checkpoint, lifecycle, restarts, skew, watermark
from exporter.symptoms import verdict
from exporter.watch import Report

# Where there is no terminal to redraw on, a table every so often is enough.
_PAUSE = 60.0

_JOB, _NAME = 1, 2  # places of job_id and job_name in a row's labels
_SYMPTOM = verdict.SYMPTOM["job"].all_labels.index("symptom")


class _Column(NamedTuple):
    title: str
    family: str
    show: Callable[[float], str]


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 600 else f"{value / 60:.0f} min"


_COLUMNS = (
    _Column("score", verdict.SCORE.name, lambda value: f"{value:.0%}"),
    _Column("restarts", restarts.TOTAL.name, lambda value: f"{value:.0f}"),
    _Column("skew", skew.RATIO.name, lambda value: f"{value:.2f}"),
    _Column("watermark lag", watermark.JOB_LAG.name, _seconds),
    _Column("stalled", watermark.JOB_STALLED.name, _seconds),
    _Column("checkpoint", checkpoint.DURATION.name, lambda value: f"{value * 1000:.0f} ms"),
    _Column("state grows", checkpoint.GROWTH.name, lambda value: f"{value / 1000:.1f} kB/s"),
)


def table(rows: Iterable[Row]) -> list[str]:
    """The lines of the table. A task's value stands for its job where it is the job's greatest."""
    shown = {column.family: column for column in _COLUMNS}
    names: dict[str, str] = {}
    states: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    values: dict[tuple[str, str], float] = {}
    for family, labels, value in rows:
        if family is lifecycle.STATE:
            names[labels[_JOB]], states[labels[_JOB]] = labels[_NAME], labels[-1]
        elif family is verdict.SYMPTOM["job"]:
            found.setdefault(labels[_JOB], []).append(labels[_SYMPTOM])
        # Where a few records come or go at random, one of the work's two forms is enough.
        elif family.name in shown and not ("signal" in family.labels and labels[-1] != "records"):
            key = (labels[_JOB], family.name)
            values[key] = max(value, values.get(key, value))
    lines = [["job", "state", *(column.title for column in _COLUMNS), "what is wrong"]]
    for job in sorted(names, key=names.__getitem__):
        known = [values.get((job, column.family)) for column in _COLUMNS]
        cells = ["-" if value is None else column.show(value) for column, value in zip(_COLUMNS, known, strict=True)]
        lines.append([names[job], states[job], *cells, ", ".join(found.get(job, ["-"]))])
    return _aligned(lines)


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    words = {0, 1, len(widths) - 1}  # the columns of words; the others are numbers
    return [
        "  ".join(
            cell.ljust(width) if place in words else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


class LiveTable:
    """Draws the table of each report over that of the last; without a terminal, one below the other and seldom."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock
        self._drawn = 0
        self._next = float("-inf")

    def __call__(self, report: Report) -> None:
        terminal = self._stream.isatty()
        if not terminal and self._clock() < self._next:
            return
        self._next = self._clock() + _PAUSE
        lines = [*table(report.rows), f"as of {time.strftime('%H:%M:%S')}; Ctrl-C ends the demo"]
        if terminal and self._drawn:
            self._stream.write(f"\x1b[{self._drawn}F\x1b[J")
        self._stream.write("\n".join(lines) + "\n")
        self._stream.flush()
        self._drawn = len(lines)
