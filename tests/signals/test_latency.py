"""Is the latency of a task the worst that its markers saw, and nothing where there are no markers?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan

import pytest

from exporter.model import Raw, Scope
from exporter.signals.latency import SIGNAL
from tests.signals.build import column, run, vertex

BY_OPERATOR = "source_id.operator_id.operator_subtask_index.latency_p99"
SINGLE = "operator_id.operator_subtask_index.latency_p99"


def said(readings: Mapping[str, Sequence[float]], *, running: bool = True) -> float | None:
    told = {Raw(Scope.LATENCY, name): column(values) for name, values in readings.items()}
    look = replace(vertex(parallelism=2, running=running), readings=told)
    return run(SIGNAL, [(look, 0.0)]).get("task_latency_p99_seconds")


@pytest.mark.parametrize(
    ("readings", "seconds"),
    [
        pytest.param({BY_OPERATOR: [120, 80]}, 0.12, id="the worst subtask"),
        pytest.param({BY_OPERATOR: [13_550]}, 13.55, id="milliseconds are seconds"),
        pytest.param({SINGLE: [50, 70]}, 0.07, id="granularity single"),
        pytest.param({BY_OPERATOR: [nan, 80]}, 0.08, id="one subtask was not read"),
        pytest.param({BY_OPERATOR: [0, 0]}, 0.0, id="under a millisecond is known, and is 0"),
        pytest.param({BY_OPERATOR: [nan, nan]}, None, id="no marker has come yet"),
        pytest.param({}, None, id="latency tracking is off"),
    ],
)
def test_latency(readings: Mapping[str, Sequence[float]], seconds: float | None) -> None:
    assert said(readings) == seconds


def test_a_task_that_does_not_run_has_no_latency() -> None:
    assert said({BY_OPERATOR: [120, 80]}, running=False) is None
