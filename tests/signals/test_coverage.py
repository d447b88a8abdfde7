"""Does it count what was read, and nothing of what was not?"""

from __future__ import annotations

from math import nan

import pytest

from exporter.model import Job, Vertex
from exporter.signals.coverage import SIGNAL
from tests.signals.build import job, run, vertex


@pytest.mark.parametrize(
    ("vertex", "expected"),
    [
        pytest.param(vertex(records=[5, 0, 7, 9]), 1.0, id="all four were read, one of them with nought"),
        pytest.param(vertex(records=[5, nan, 7, nan]), 0.5, id="two of four: 2 / 4"),
        pytest.param(vertex(records=[nan, nan]), 0.0, id="none of two"),
        pytest.param(vertex(parallelism=3), 0.0, id="the whole column is missing: 0 / 3"),
        pytest.param(vertex(records=[5]), 1.0, id="one of one"),
        pytest.param(vertex(records=[nan, *[1] * 999]), 0.999, id="all but one of a thousand: 999 / 1000"),
        pytest.param(vertex(records=[5, 0, nan, nan], finished=2), 1.0, id="two have finished: 2 of the 2 that run"),
        pytest.param(vertex(records=[5, nan, nan, nan], finished=2), 0.5, id="one of the two that run was not read"),
        pytest.param(vertex(records=[5, 0, 7, nan], finished=2), 1.0, id="what has finished was read once more"),
        pytest.param(vertex(parallelism=3, finished=1), 0.0, id="one has finished, and none of the others was read"),
    ],
)
def test_coverage(vertex: Vertex, expected: float) -> None:
    assert run(SIGNAL, [(vertex, 0.0)]) == {"task_coverage_ratio": expected, "job_coverage_ratio": expected}


def test_a_task_that_does_not_run_has_none() -> None:
    assert run(SIGNAL, [(vertex(records=[5, 5], running=False), 0.0)]) == {}


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        pytest.param(job(vertices=[vertex(records=[5, 0]), vertex(id="sink", records=[7, 9])]), 1.0, id="all of it"),
        # 2 of 2 and 1 of 4
        pytest.param(
            job(vertices=[vertex(records=[5, 0]), vertex(id="sink", records=[7, nan, nan, nan])]),
            0.5,
            id="subtasks count, not tasks: 3 / 6",
        ),
        pytest.param(
            job(vertices=[vertex(records=[5, 0]), vertex(id="sink", parallelism=2)]), 0.5, id="one of two tasks: 2 / 4"
        ),
        pytest.param(
            job(vertices=[vertex(records=[nan, 0]), vertex(id="sink", parallelism=2, running=False)]),
            0.5,
            id="what does not run cannot be read: 1 / 2",
        ),
        # 2 of 2 and 1 of 2
        pytest.param(
            job(vertices=[vertex(records=[5, 0, 7], finished=1), vertex(id="sink", records=[7, nan])]),
            0.75,
            id="one that has finished does not stand in for one that runs: 3 / 4",
        ),
        pytest.param(job(vertices=[vertex(records=[5, 7], finished=2)]), None, id="all of it has just finished"),
        pytest.param(job(vertices=[vertex(parallelism=3)]), 0.0, id="none of three: 0 / 3"),
        pytest.param(job(), 0.0, id="it is RUNNING and was not read"),
        pytest.param(job(vertices=[vertex(parallelism=2, running=False)]), None, id="it is RUNNING, its tasks are not"),
        pytest.param(job(state="RESTARTING", epoch=None), None, id="it restarts and was not read"),
        pytest.param(job(state="INITIALIZING", epoch=None), None, id="it has no tasks yet"),
        pytest.param(job(state="FINISHED", epoch=None), None, id="it has ended"),
    ],
)
def test_coverage_of_a_job(job: Job, expected: float | None) -> None:
    assert run(SIGNAL, [(job, 0.0)]).get("job_coverage_ratio") == expected
