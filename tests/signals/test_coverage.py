"""Does it count what was read, and nothing of what was not?"""

from __future__ import annotations

from math import nan

import pytest

from exporter.model import Vertex
from exporter.signals.coverage import SIGNAL
from tests.signals.build import run, vertex


@pytest.mark.parametrize(
    ("vertex", "expected"),
    [
        pytest.param(vertex(records=[5, 0, 7, 9]), 1.0, id="all four were read, one of them with nought"),
        pytest.param(vertex(records=[5, nan, 7, nan]), 0.5, id="two of four: 2 / 4"),
        pytest.param(vertex(records=[nan, nan]), 0.0, id="none of two"),
        pytest.param(vertex(parallelism=3), 0.0, id="the whole column is missing: 0 / 3"),
        pytest.param(vertex(records=[5]), 1.0, id="one of one"),
        pytest.param(vertex(records=[nan, *[1] * 999]), 0.999, id="all but one of a thousand: 999 / 1000"),
    ],
)
def test_coverage(vertex: Vertex, expected: float) -> None:
    assert run(SIGNAL, [(vertex, 0.0)]) == {"task_coverage_ratio": expected}


def test_a_task_that_does_not_run_has_none() -> None:
    assert run(SIGNAL, [(vertex(records=[5, 5], running=False), 0.0)]) == {}
