"""What must be remembered from one cycle to the next: the only memory of the exporter.

It is bounded twice: a track by its length and age, and all of it by what is alive.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Point(NamedTuple):
    """A value worth remembering.

    at: when it was true, in seconds since the epoch.
    value: a number or a column, as the track's owner has it.
    tick: what made it new (a checkpoint's id, not a scrape); the same tick is remembered once.
    epoch: what a restart forgets; a new epoch drops the points of the old one.
    """

    at: float
    value: Any  # the type is the track's: a float in most, a column in a few
    tick: Hashable
    epoch: Hashable = None


@dataclass(frozen=True, slots=True)
class Track:
    """A declared memory.

    most: how many points it holds at most. span: how long it holds them, in seconds; None: as long as they are alive.
    least: how many it holds however old they are, so that a rate has two points at any interval between cycles.
    """

    name: str
    most: int
    span: float | None = None
    least: int = 1


class Past:
    """The tracks of one entity. Reads as empty where nothing was remembered."""

    __slots__ = ("_tracks",)

    def __init__(self) -> None:
        self._tracks: dict[str, deque[Point]] = {}

    def __getitem__(self, track: Track) -> Sequence[Point]:
        return self._tracks.get(track.name, ())

    def last(self, track: Track) -> Point | None:
        points = self._tracks.get(track.name)
        return points[-1] if points else None


class History:
    """The pasts of all entities of one cluster. Not shared between clusters, nor touched by two cycles at once."""

    def __init__(self) -> None:
        self._pasts: dict[Hashable, Past] = {}

    def past(self, key: Hashable) -> Past:
        """What is remembered of one entity."""
        return self._pasts.setdefault(key, Past())

    def note(self, key: Hashable, track: Track, point: Point) -> None:
        """Remembers a point, unless its tick is the last one's; forgets what its epoch, age or number outdates."""
        points = self.past(key)._tracks.setdefault(track.name, deque(maxlen=track.most))
        if points and points[-1].epoch != point.epoch:
            points.clear()
        if points and points[-1].tick == point.tick:
            return
        points.append(point)
        while track.span is not None and len(points) > track.least and point.at - points[0].at > track.span:
            points.popleft()

    def __iter__(self) -> Iterator[Hashable]:
        """The entities of which something may be remembered."""
        return iter(self._pasts)

    def keep_only(self, alive: Iterable[Hashable]) -> None:
        """Forgets every entity that is not among these."""
        alive = set(alive)
        self._pasts = {key: past for key, past in self._pasts.items() if key in alive}

    def forget(self, key: Hashable) -> None:
        """Forgets one entity."""
        self._pasts.pop(key, None)

    def __len__(self) -> int:
        """How many points are held."""
        return sum(len(points) for past in self._pasts.values() for points in past._tracks.values())
