"""What a signal is: one question about one kind of entity, and all that is needed to answer it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from exporter.families import Family, Sample
from exporter.history import Past, Point, Track
from exporter.model import Part, Raw


class Note(NamedTuple):
    """What a signal wants remembered."""

    track: Track
    point: Point


class Rollup(NamedTuple):
    """A family of the job whose value is taken from the samples of its tasks."""

    family: Family
    of: Family
    by: Callable[[Iterable[float]], float]


def _nothing(_entity: Any, _past: Past, _now: float) -> Iterator[Note]:
    return iter(())


@dataclass(frozen=True, slots=True)
class Signal:
    """A question about each entity of some types.

    each: the types of the model that `derive` is called with, one entity at a time.
    families: what it may answer; nothing else leaves it.
    needs: the raw metrics and REST parts it reads; the scraper fetches the union and nothing more.
    derive: (entity, its past, now) → samples. Pure.
    remember: (entity, its past, now) → notes, taken before `derive` is called, so that the past holds the present.
    on_demand: parts that cost too much to be read always, and when (entity, past, now) they are wanted next cycle.
    """

    name: str
    each: tuple[type, ...]
    families: tuple[Family, ...]
    needs: tuple[Raw | Part, ...]
    derive: Callable[[Any, Past, float], Iterator[Sample]]
    remember: Callable[[Any, Past, float], Iterator[Note]] = _nothing
    rollups: tuple[Rollup, ...] = ()
    on_demand: Mapping[Part, Callable[[Any, Past, float], bool]] = field(default_factory=dict)
