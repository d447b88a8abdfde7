"""How do rows become the bytes of `/metrics`, once, however many ask for them?

A cluster's cycle renders its rows to a `Section`; a `Page` joins the sections family by family and ends with
the exporter's own metrics. The client formats label blocks, values and headers, and a test holds every line
to be the client's byte for byte. What is ours: a label block is formatted once a section, not once a row.
"""

from __future__ import annotations

import gzip
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample as Line
from prometheus_client.utils import floatToGoString

from exporter.families import Family, Kind, Row

log = logging.getLogger(__name__)

# The most that gzip gains above this level is a tenth of the size, for twice the time and more.
_GZIP_LEVEL = 3

_EOF = b"# EOF\n"

# These two the client leaves without types.
_number: Callable[[float], str] = floatToGoString
_openmetrics: Callable[[Collector], bytes] = generate_openmetrics

# The client names these families without the suffix that their samples carry.
_SUFFIX = {Kind.GAUGE: "", Kind.COUNTER: "_total", Kind.INFO: "_info"}


class Format(Enum):
    """The formats of the page; the value is the exact content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Variant(NamedTuple):
    """One of the forms that the page can be asked for in."""

    format: Format
    gzip: bool


@dataclass(frozen=True, slots=True)
class Section:
    """What one cluster puts on the page.

    lines: the sample lines of each family, in the order the families came; the same bytes in both formats.
    series: the number of lines. duplicates: rows left out because their series was there already.
    mismatched: rows left out because they have more or fewer label values than their family has labels.
    """

    lines: Mapping[Family, bytes] = field(default_factory=dict)
    series: int = 0
    duplicates: int = 0
    mismatched: int = 0


def render(rows: Iterable[Row]) -> Section:
    """Render a cluster's rows; off the loop, for there may be tens of thousands."""
    rows = list(rows)
    try:
        return _render(rows)
    except UnicodeEncodeError:
        # Half a surrogate pair: JSON may hold one in a name, UTF-8 may not. It must not cost the section.
        rows = list(_encodable(rows))
    return _render(rows)


def _encodable(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        yield row._replace(labels=tuple(label.encode("utf-8", "replace").decode() for label in row.labels))


class _Group(NamedTuple):
    family: Family
    names: tuple[str, ...]
    values: dict[tuple[str, ...], float]


def _render(rows: Iterable[Row]) -> Section:
    # By name: a string knows its hash, a Family computes it anew for every row.
    groups: dict[str, _Group] = {}
    duplicates = mismatched = 0
    for family, labels, value in rows:
        group = groups.get(family.name)
        if group is None:
            group = groups[family.name] = _Group(family, family.all_labels, {})
        if len(labels) != len(group.names):
            mismatched += 1
            _complain(f"{family.name}: a row has {len(labels)} values for {len(group.names)} labels")
        elif labels in group.values:
            duplicates += 1
            _complain(f"{family.name}: two rows have the same labels; the first is kept")
        else:
            group.values[labels] = value
    blocks = _blocks(groups.values())
    lines = {}
    for name, group in groups.items():
        known = blocks[group.names]
        lines[group.family] = "".join(
            [f"{name}{known[labels]}{_number(value)}\n" for labels, value in group.values.items()]
        ).encode()
    return Section(lines, sum(len(group.values) for group in groups.values()), duplicates, mismatched)


def _blocks(groups: Iterable[_Group]) -> dict[tuple[str, ...], dict[tuple[str, ...], str]]:
    """By label names, by label values: what the client writes between the name and the value of a line."""
    wanted: dict[tuple[str, ...], dict[tuple[str, ...], None]] = {}
    for group in groups:
        wanted.setdefault(group.names, {}).update(dict.fromkeys(group.values))
    blocks = {}
    for names, all_labels in wanted.items():
        metric = Metric("x", "", "untyped")
        metric.samples = [Line("x", dict(zip(names, labels, strict=True)), 0.0) for labels in all_labels]
        _help, _type, *lines, _end = generate_latest(_Only(metric)).decode().split("\n")
        blocks[names] = {
            labels: line.removeprefix("x").removesuffix("0.0") for labels, line in zip(all_labels, lines, strict=True)
        }
    return blocks


class Registry(CollectorRegistry):
    """A registry of which a failing collector loses its own metrics, not those of the others."""

    def __init__(self) -> None:
        super().__init__()
        self._in_order: list[Collector] = []

    def register(self, collector: Collector) -> None:
        super().register(collector)
        self._in_order.append(collector)

    def unregister(self, collector: Collector) -> None:
        super().unregister(collector)
        self._in_order.remove(collector)

    def collect(self) -> Iterator[Metric]:
        for collector in tuple(self._in_order):
            try:
                yield from list(collector.collect())
            except Exception:
                _complain(f"the exporter's own {type(collector).__name__} failed; its metrics are left out")


class Page:
    """All of `/metrics`, in every variant that it is asked for in: made on the first ask, then remembered."""

    def __init__(self, sections: Iterable[Section], own: Collector, order: Iterable[Family] = ()) -> None:
        self._families: dict[str, Family] = {}
        self._lines: dict[str, list[bytes]] = {family.name: [] for family in order}
        for section in sections:
            for family, lines in section.lines.items():
                self._families[family.name] = family
                self._lines.setdefault(family.name, []).append(lines)
        self._own = own
        self._own_metrics: list[Metric] | None = None
        self._bodies: dict[Variant, bytes] = {}
        self._lock = Lock()

    def made(self, variant: Variant) -> bytes | None:
        """The bytes, if someone has asked for them before; never waits."""
        return self._bodies.get(variant)

    def body(self, variant: Variant) -> bytes:
        """The bytes, made if need be. Takes its time: not for the event loop."""
        with self._lock:
            if variant not in self._bodies:
                plain = self._join(variant.format)
                # Without the time of day, so that the same page has the same bytes.
                self._bodies[variant] = gzip.compress(plain, _GZIP_LEVEL, mtime=0) if variant.gzip else plain
            return self._bodies[variant]

    def _join(self, shape: Format) -> bytes:
        parts = []
        for name, lines in self._lines.items():
            if any(lines):
                parts.append(_header(self._families[name], shape))
                parts.extend(lines)
        if self._own_metrics is None:
            self._own_metrics = _collected(self._own)
        parts.extend(_rendered(metric, shape) for metric in self._own_metrics)
        if shape is Format.OPENMETRICS:
            parts.append(_EOF)
        return b"".join(parts)


def page(sections: Iterable[Section], own: Collector, order: Iterable[Family] = ()) -> Page:
    """Join the sections: families in `order`, any others after them as they come, and `own` last."""
    return Page(sections, own, order)


@lru_cache(maxsize=4096)
def _header(family: Family, shape: Format) -> bytes:
    name = family.name.removesuffix(_SUFFIX[family.kind])
    return _generate(Metric(name, family.help, family.kind.value), shape)


def _collected(own: Collector) -> list[Metric]:
    metrics = []
    try:
        # One by one: what came before a failure is kept.
        for metric in own.collect():
            metrics.append(metric)
    except Exception:
        _complain("the exporter's own metrics failed; those after the failure are left out")
    return metrics


def _rendered(metric: Metric, shape: Format) -> bytes:
    try:
        return _generate(metric, shape)
    except Exception:
        _complain(f"the exporter's own {metric.name} cannot be rendered and is left out")
        return b""


def _generate(metric: Metric, shape: Format) -> bytes:
    """One family as the client writes it, without the end of the page."""
    if shape is Format.TEXT:
        return generate_latest(_Only(metric))
    return _openmetrics(_Only(metric)).removesuffix(_EOF)


class _Only(CollectorRegistry):
    """One metric in the clothes of a registry, which is what the client renders."""

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        yield self._metric


@lru_cache(maxsize=1024)
def _complain(problem: str) -> None:
    """Log a problem once, although every cycle meets it anew."""
    log.error(problem, exc_info=sys.exc_info()[0] is not None)
