"""Does it tell the state of a job, and for how long it runs, by the JobManager's clock?"""

from __future__ import annotations

import pytest

from exporter.model import Job
from exporter.signals.lifecycle import SIGNAL
from tests.signals.build import job, run, vertex


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        # 100 - 40
        pytest.param(
            job(now=100, epoch=40), {"job_state{RUNNING}": 1, "job_uptime_seconds": 60}, id="it runs for a minute"
        ),
        pytest.param(job(now=40, epoch=40), {"job_state{RUNNING}": 1, "job_uptime_seconds": 0}, id="it just began"),
        pytest.param(
            job(now=39, epoch=40),
            {"job_state{RUNNING}": 1, "job_uptime_seconds": 0},
            id="no clock makes it run for less than nothing",
        ),
        pytest.param(job(state="RESTARTING", now=100, epoch=None), {"job_state{RESTARTING}": 1}, id="it restarts"),
        pytest.param(job(state="CREATED", now=100, epoch=None), {"job_state{CREATED}": 1}, id="it has yet to begin"),
        pytest.param(job(state="FINISHED", now=100, epoch=None), {"job_state{FINISHED}": 1}, id="it ended well"),
        pytest.param(job(state="CANCELED", now=100, epoch=None), {"job_state{CANCELED}": 1}, id="it was ended"),
        pytest.param(job(state="FAILED", now=100, epoch=None), {"job_state{FAILED}": 1}, id="it failed for good"),
    ],
)
def test_state_and_uptime(job: Job, expected: dict[str, float]) -> None:
    exporter_clock = 5_000.0  # far off, and of no account
    assert run(SIGNAL, [(job, exporter_clock)]) == expected


def test_a_state_that_was_left_is_gone() -> None:
    looks = [(job(now=100), 100.0), (job(state="RESTARTING", now=115, epoch=None), 115.0)]
    assert run(SIGNAL, looks) == {"job_state{RESTARTING}": 1}


def test_the_uptime_begins_anew_with_a_restart() -> None:
    looks = [(job(now=100, epoch=0), 100.0), (job(now=115, epoch=110), 115.0)]
    assert run(SIGNAL, looks)["job_uptime_seconds"] == 5  # 115 - 110


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        pytest.param(job(vertices=[vertex(), vertex(id="sink")]), 1.0, id="both of its tasks run"),
        pytest.param(
            job(vertices=[vertex(), vertex(id="sink", running=True, complete=False)]),
            0.5,
            id="one of two runs in part: 1 / 2",
        ),
        pytest.param(
            job(vertices=[vertex(), vertex(id="a", running=False), vertex(id="b"), vertex(id="c", running=False)]),
            0.5,
            id="two of four: 2 / 4",
        ),
        pytest.param(
            job(vertices=[vertex(running=False, complete=True), vertex(id="sink")]), 1.0, id="what has finished counts"
        ),
        pytest.param(
            job(state="RESTARTING", epoch=None, vertices=[vertex(running=False)]), 0.0, id="none runs: it restarts"
        ),
        pytest.param(job(), None, id="it was not read"),
        pytest.param(job(state="FAILED", epoch=None), None, id="it has ended"),
    ],
)
def test_how_much_of_it_runs(job: Job, expected: float | None) -> None:
    assert run(SIGNAL, [(job, 0.0)]).get("job_tasks_running_ratio") == expected


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        pytest.param(job(vertices=[vertex(), vertex(id="sink")]), 0, id="both of its tasks run"),
        pytest.param(
            job(vertices=[vertex(), vertex(id="sink", complete=False, waiting=True)]), 1, id="one of two runs in part"
        ),
        pytest.param(
            job(vertices=[vertex(id=id, running=False, waiting=True) for id in ("source", "sink")]), 2, id="both wait"
        ),
        pytest.param(
            job(vertices=[vertex(running=False)]), 0, id="one that does not run and does not wait: its stage is to come"
        ),
        pytest.param(
            job(state="RESTARTING", epoch=None, vertices=[vertex(running=False)]),
            1,
            id="it restarts: it has no slots until it does",
        ),
        pytest.param(
            job(state="CREATED", epoch=None, vertices=[vertex(running=False), vertex(id="sink", running=False)]),
            2,
            id="it has yet to begin: all of its tasks",
        ),
        pytest.param(job(state="CREATED", epoch=None), None, id="it has yet to begin, and its tasks are not told"),
        pytest.param(job(), None, id="it was not read"),
        pytest.param(job(state="FAILED", epoch=None), None, id="it has ended"),
    ],
)
def test_how_many_of_its_tasks_wait(job: Job, expected: float | None) -> None:
    assert run(SIGNAL, [(job, 0.0)]).get("job_tasks_waiting") == expected
