"""Where on a picture do the tasks of a job stand, and how do the lines between them run?

A layered drawing after Sugiyama: what a task reads from stands before it, lines that pass a layer are given a place in
it, and both are ordered so that few lines cross. The picture runs from left to right, or down where there is no width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

# Pixels. A layer is a column of a picture that runs to the right, and a row of one that runs down.
HEIGHT = 78.0
MARGIN = 26.0  # above a box there is a line of text on it
_BETWEEN_LAYERS = {False: 46.0, True: 44.0}
_BETWEEN_BOXES = {False: 32.0, True: 14.0}
_LINE = 12.0
_SWEEPS = 12

# The width that is there as a rule, and how narrow and wide a box may be; more boxes than fit are scrolled to.
_ROOM = {False: 1130.0, True: 316.0}
_NARROWEST, _WIDEST = 150.0, 224.0


@dataclass(frozen=True, slots=True)
class Box:
    """A task's place: its top left corner and its size."""

    id: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Edge:
    """A line from one box to another: points it runs through, of which each second pair is straight."""

    source: str
    target: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """The whole picture. down: whether it runs from the top to the bottom."""

    width: float
    height: float
    down: bool
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]


class _Node(NamedTuple):
    """A task's place in a layer, or, where it is passing, that of the lines from it: they part as late as they can."""

    id: str
    layer: int
    passing: bool = False


def layout(inputs: Mapping[str, Iterable[str]], *, down: bool = False) -> Drawing:
    """Places some tasks. inputs: by the id of each task, the ids of those it reads from.

    An input that is no task is left out. So is one that closes a circle, though Flink's graphs have none.
    """
    layers = _layers(inputs)
    edges = [(source, task) for task in layers for source in dict.fromkeys(inputs[task]) if source in layers]
    edges = [(source, task) for source, task in edges if layers[source] < layers[task]]
    chains = {edge: _chain(edge, layers) for edge in edges}
    rows: list[list[_Node]] = [[] for _ in range(1 + max(layers.values(), default=-1))]
    for node in dict.fromkeys([*(_Node(*item) for item in layers.items()), *(n for c in chains.values() for n in c)]):
        rows[node.layer].append(node)
    links = dict.fromkeys(pair for chain in chains.values() for pair in pairwise(chain))
    before = _neighbours((node, other) for other, node in links)
    after = _neighbours(links)
    rows = _ordered(rows, before, after)
    width = _width(rows, down)
    thick, gap = (width if down else HEIGHT), _BETWEEN_BOXES[down]
    across = _across(rows, before, after, thick, gap)
    deep = HEIGHT if down else width
    along = [layer * (deep + _BETWEEN_LAYERS[down]) for layer in range(len(rows))]

    def point(one: float, other: float) -> tuple[float, float]:
        return (other, one) if down else (one, other)

    def run(chain: Sequence[_Node]) -> tuple[tuple[float, float], ...]:
        ends = [(at, across[node]) for node in chain for at in (along[node.layer], along[node.layer] + deep)]
        return tuple(point(*end) for end in ends[1:-1])

    boxes = [
        Box(node.id, *point(along[node.layer], across[node] - thick / 2), width, HEIGHT)
        for row in rows
        for node in row
        if not node.passing
    ]
    return _framed(boxes, [Edge(*edge, run(chain)) for edge, chain in chains.items()], down)


def path(edge: Edge, *, down: bool) -> str:
    """An edge as SVG's path data: curves from layer to layer that begin and end straight ahead."""
    (x, y), *rest = edge.points
    parts = [f"M{x:.1f} {y:.1f}"]
    for place, (to_x, to_y) in enumerate(rest):
        if place % 2:
            parts.append(f"L{to_x:.1f} {to_y:.1f}")
        elif down:
            middle = (y + to_y) / 2
            parts.append(f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}")
        else:
            middle = (x + to_x) / 2
            parts.append(f"C{middle:.1f} {y:.1f} {middle:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    return "".join(parts)


def _layers(inputs: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Each task's layer: after all that it reads from; a source right before the first that reads it."""
    sources = {task: {source for source in of if source in inputs and source != task} for task, of in inputs.items()}
    layers: dict[str, int] = {}
    waiting = list(inputs)
    while waiting:
        # Where all wait for one another the first of them goes ahead.
        ready = [task for task in waiting if sources[task] <= layers.keys()] or waiting[:1]
        for task in ready:
            layers[task] = 1 + max((layers[source] for source in sources[task] if source in layers), default=-1)
        waiting = [task for task in waiting if task not in layers]
    for task, of in sources.items():
        readers = [layers[other] for other, theirs in sources.items() if task in theirs]
        if not of and readers:
            layers[task] = max(layers[task], min(readers) - 1)
    return layers


def _chain(edge: tuple[str, str], layers: Mapping[str, int]) -> list[_Node]:
    """The places that an edge runs through: its source, one in each layer that it passes, its target."""
    source, target = edge
    passed = range(layers[source] + 1, layers[target])
    return [
        _Node(source, layers[source]),
        *(_Node(source, layer, passing=True) for layer in passed),
        _Node(target, layers[target]),
    ]


def _neighbours(links: Iterable[tuple[_Node, _Node]]) -> dict[_Node, list[_Node]]:
    found: dict[_Node, list[_Node]] = {}
    for node, other in links:
        found.setdefault(node, []).append(other)
    return found


def _ordered(
    rows: Sequence[Sequence[_Node]], before: Mapping[_Node, list[_Node]], after: Mapping[_Node, list[_Node]]
) -> list[list[_Node]]:
    """The layers with each node where its neighbours are on average, there and back, as long as it untangles lines."""
    present = [list(row) for row in rows]
    best, fewest = present, _crossings(present, after)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        forth = sweep % 2 == 0
        for place in range(len(present)) if forth else reversed(range(len(present))):
            neighbours = before if forth else after
            beside = present[place - 1 if forth else place + 1] if 0 <= place + (-1 if forth else 1) < len(rows) else []
            at = {node: float(number) for number, node in enumerate(beside)}
            own = {node: float(number) for number, node in enumerate(present[place])}
            mean = {node: _mean([at[other] for other in neighbours.get(node, ())], own[node]) for node in own}
            present[place] = sorted(present[place], key=mean.__getitem__)
        crossings = _crossings(present, after)
        if crossings < fewest:
            best, fewest = [list(row) for row in present], crossings
    return best


def _crossings(rows: Sequence[Sequence[_Node]], after: Mapping[_Node, list[_Node]]) -> int:
    count = 0
    for row, following in pairwise(rows):
        at = {node: number for number, node in enumerate(following)}
        ends = [sorted(at[other] for other in after.get(node, ())) for node in row]
        seen: list[int] = []
        for each in ends:
            count += sum(1 for end in each for earlier in seen if earlier > end)
            seen += each
    return count


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _width(rows: Sequence[Sequence[_Node]], down: bool) -> float:
    """A box's: as wide as there is room for as many side by side as there are."""
    beside = max((len([node for node in row if not node.passing]) for row in rows), default=1) if down else len(rows)
    gap = _BETWEEN_BOXES[True] if down else _BETWEEN_LAYERS[False]
    beside = max(beside, 1)
    return min(max((_ROOM[down] - gap * (beside - 1)) / beside, _NARROWEST), _WIDEST)


def _across(
    rows: Sequence[Sequence[_Node]],
    before: Mapping[_Node, list[_Node]],
    after: Mapping[_Node, list[_Node]],
    thick: float,
    gap: float,
) -> dict[_Node, float]:
    """The middle of each node across the layers: as near to its neighbours as the others in its layer allow."""
    middle: dict[_Node, float] = {}
    for row in rows:
        for node, place in zip(row, _apart([0.0] * len(row), [_size(each, thick) for each in row], gap), strict=True):
            middle[node] = place
    for sweep in range(_SWEEPS):
        neighbours = before if sweep % 2 == 0 else after
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = [_mean([middle[other] for other in neighbours.get(node, ())], middle[node]) for node in row]
            middle.update(zip(row, _apart(wanted, [_size(node, thick) for node in row], gap), strict=True))
    return middle


def _size(node: _Node, thick: float) -> float:
    return _LINE if node.passing else thick


def _apart(wanted: Sequence[float], sizes: Sequence[float], gap: float) -> list[float]:
    """The middles of things in this order that lie nearest to the wanted ones and do not overlap.

    Less what lies before each, that is the nearest sequence that never falls: pool those that do.
    """
    offsets = [0.0]
    for one, other in pairwise(sizes):
        offsets.append(offsets[-1] + (one + other) / 2 + gap)
    pools: list[tuple[float, int]] = []
    for place, offset in zip(wanted, offsets, strict=False):
        mean, count = place - offset, 1
        while pools and pools[-1][0] > mean:
            others, number = pools.pop()
            mean, count = (mean * count + others * number) / (count + number), count + number
        pools.append((mean, count))
    flat = [mean for mean, count in pools for _ in range(count)]
    return [place + offset for place, offset in zip(flat, offsets, strict=False)]


def _framed(boxes: Sequence[Box], edges: Sequence[Edge], down: bool) -> Drawing:
    """The drawing, moved into a frame that begins at nought."""
    # A line that passes may lie further out than any box.
    xs = [x for edge in edges for x, _ in edge.points] + [x for box in boxes for x in (box.x, box.x + box.width)]
    ys = [y for edge in edges for _, y in edge.points] + [y for box in boxes for y in (box.y, box.y + box.height)]
    left, top = min(xs, default=0.0) - 4, min(ys, default=0.0) - MARGIN
    return Drawing(
        width=max(xs, default=0.0) - left + 4,
        height=max(ys, default=0.0) - top + 6,
        down=down,
        boxes=tuple(Box(box.id, box.x - left, box.y - top, box.width, box.height) for box in boxes),
        edges=tuple(
            Edge(edge.source, edge.target, tuple((x - left, y - top) for x, y in edge.points)) for edge in edges
        ),
    )
