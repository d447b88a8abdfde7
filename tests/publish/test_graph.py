"""Is a job's graph drawn so that one can follow it: no box on another, every line forward, and never without end?"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

import pytest

from exporter.publish.graph import Drawing, layout, path

Inputs = Mapping[str, Sequence[str]]


def chain(count: int) -> Inputs:
    return {str(at): [str(at - 1)] if at else [] for at in range(count)}


def scattered(seed: int, count: int) -> Inputs:
    """Tasks that read from up to three of those before them."""
    chance = random.Random(seed)
    return {
        str(at): [str(chance.randrange(at)) for _ in range(chance.randrange(4))] if at else [] for at in range(count)
    }


GRAPHS = [
    pytest.param({}, id="nothing"),
    pytest.param({"a": []}, id="one"),
    pytest.param({"a": [], "b": [], "c": []}, id="three that have nothing to do with each other"),
    pytest.param(chain(30), id="a chain of thirty"),
    pytest.param({**{str(at): [] for at in range(10)}, "z": [str(at) for at in range(10)]}, id="fan-in"),
    pytest.param({"a": [], **{str(at): ["a"] for at in range(10)}}, id="fan-out"),
    pytest.param({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}, id="a diamond"),
    pytest.param({"a": [], "b": ["a"], "c": ["b"], "d": ["c", "a"]}, id="past two others"),
    pytest.param({"b": ["a"], "a": []}, id="told from the end"),
    pytest.param({"a": ["b"], "b": ["a"]}, id="a circle of two"),
    pytest.param({"a": ["a"], "b": ["a", "a", "a"]}, id="one that reads itself, and one thrice"),
    pytest.param({"a": [], "b": ["a", "d"], "c": ["b"], "d": ["c"], "e": ["d"]}, id="a circle in the middle"),
    pytest.param({"a": ["nobody"], "b": ["a", "nobody"]}, id="an input that is not there"),
    *(pytest.param(scattered(seed, 30), id=f"thirty, scattered, {seed}") for seed in range(8)),
]


@pytest.fixture(params=[False, True], ids=["right", "down"])
def down(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def forward(drawing: Drawing, point: tuple[float, float]) -> float:
    return point[1] if drawing.down else point[0]


@pytest.mark.parametrize("inputs", GRAPHS)
def test_every_task_has_a_box_of_its_own_inside_the_picture(inputs: Inputs, down: bool) -> None:
    drawing = layout(inputs, down=down)
    assert sorted(box.id for box in drawing.boxes) == sorted(inputs)
    for box in drawing.boxes:
        assert 0 <= box.x <= box.x + box.width <= drawing.width
        assert 0 < box.y <= box.y + box.height <= drawing.height
    for one, other in combinations(drawing.boxes, 2):
        apart = 8  # room for a line of text above a box, where boxes stand above each other
        beside = one.x + one.width + apart <= other.x or other.x + other.width + apart <= one.x
        above = one.y + one.height + apart <= other.y or other.y + other.height + apart <= one.y
        assert beside or above, f"{one} and {other}"


@pytest.mark.parametrize("inputs", GRAPHS)
def test_every_line_goes_forward_from_box_to_box(inputs: Inputs, down: bool) -> None:
    drawing = layout(inputs, down=down)
    boxes = {box.id: box for box in drawing.boxes}
    for edge in drawing.edges:
        source, target = boxes[edge.source], boxes[edge.target]
        assert edge.source in inputs[edge.target]
        along = [forward(drawing, point) for point in edge.points]
        assert all(one < other for one, other in pairwise(along)), edge
        ends = (source.y + source.height, target.y) if down else (source.x + source.width, target.x)
        assert (along[0], along[-1]) == pytest.approx(ends)
        for x, y in edge.points:
            assert 0 <= x <= drawing.width
            assert 0 <= y <= drawing.height
        assert path(edge, down=down).startswith("M")


@pytest.mark.parametrize("inputs", GRAPHS)
def test_no_line_runs_through_a_box(inputs: Inputs, down: bool) -> None:
    drawing = layout(inputs, down=down)
    for edge in drawing.edges:
        # Straight parts pass a layer; between layers there are no boxes.
        for (x, y), (to_x, to_y) in list(pairwise(edge.points))[1::2]:
            for box in drawing.boxes:
                across = box.x < x < box.x + box.width if down else box.y < y < box.y + box.height
                there = min(y, to_y) < box.y + 1 < max(y, to_y) if down else min(x, to_x) < box.x + 1 < max(x, to_x)
                assert not (across and there), f"{edge} through {box}"


@pytest.mark.parametrize(
    ("inputs", "edges"),
    [
        pytest.param({"a": [], "b": ["a", "a"]}, [("a", "b")], id="each once"),
        pytest.param({"a": ["b"], "b": ["a"]}, [("a", "b")], id="a circle without what closes it"),
        pytest.param({"a": ["nobody", "a"]}, [], id="none to nobody, and none to itself"),
    ],
)
def test_which_lines_there_are(inputs: Inputs, edges: list[tuple[str, str]]) -> None:
    assert [(edge.source, edge.target) for edge in layout(inputs).edges] == edges


def test_a_source_stands_right_before_the_first_that_reads_it() -> None:
    drawing = layout({"a": [], "b": ["a"], "c": ["b"], "late": [], "d": ["c", "late"]})
    at = {box.id: box.x for box in drawing.boxes}
    assert at["late"] == at["c"]


def test_lines_do_not_cross_that_need_not() -> None:
    drawing = layout({"a": [], "b": [], "c": [], "to c": ["c"], "to b": ["b"], "to a": ["a"]})
    at = {box.id: box.y for box in drawing.boxes}
    assert all(at[one] == pytest.approx(at[f"to {one}"]) for one in "abc")


def test_a_chain_is_a_straight_line(down: bool) -> None:
    drawing = layout(chain(5), down=down)
    assert len({box.x if down else box.y for box in drawing.boxes}) == 1


def test_a_big_graph_takes_no_time() -> None:
    began = time.monotonic()
    layout(scattered(1, 120))
    layout(chain(300))
    assert time.monotonic() - began < 5
