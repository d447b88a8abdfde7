"""Is the recent past of a job remembered: enough of it, and no more, and no longer than the job?"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from exporter.history import History
from exporter.model import Cluster, ClusterState
from exporter.symptoms import trends, verdict
from exporter.symptoms.trends import TRENDS
from tests.symptoms.build import LOOK, cluster, job, row

ORDERS = job("source > sink")


def remembered(
    values: Mapping[str, float], looks: int, *, every: float = LOOK, of: Cluster | None = None
) -> tuple[History, dict[str, list[tuple[float, float]]]]:
    """What is remembered of the usual job after so many looks, by title."""
    history = History()
    rows = [row(name, value) for name, value in values.items()]
    for number in range(looks):
        trends.remember(of or cluster(ORDERS), rows, history, number * every)
    return history, {line.title: list(line.points) for line in trends.lines(history).get("job-1", ())}


def test_the_last_point_is_the_present_one() -> None:
    history = History()
    for at, value in ((0.0, 1.0), (15.0, 2.0)):
        trends.remember(cluster(ORDERS), [row("job_restarts_total", value)], history, at)
    assert trends.lines(history)["job-1"][0].points == ((0.0, 1.0), (15.0, 2.0))


def test_two_points_a_minute() -> None:
    _, lines = remembered({"job_restarts_total": 3.0}, 9)  # looks at 0, 15, … 120 s
    assert lines == {"restarts": [(0.0, 3.0), (30.0, 3.0), (60.0, 3.0), (90.0, 3.0), (120.0, 3.0)]}


def test_a_point_a_look_where_looks_are_rarer() -> None:
    _, lines = remembered({"job_restarts_total": 3.0}, 3, every=45.0)
    assert [at for at, _ in lines["restarts"]] == [0.0, 45.0, 90.0]


def test_half_an_hour_and_no_more() -> None:
    history, lines = remembered({"job_restarts_total": 3.0}, 60 * 4 + 1)  # an hour
    assert len(history) == 61  # and the present one
    assert (lines["restarts"][0][0], lines["restarts"][-1][0]) == (3600 - 59 * 30.0, 3600.0)


@pytest.mark.parametrize(
    ("values", "title", "value"),
    [
        pytest.param(
            {"task_busy_max_ratio{task_id=a}": 0.2, "task_busy_max_ratio{task_id=b}": 0.7},
            "busiest subtask",
            0.7,
            id="the busiest of all tasks",
        ),
        pytest.param(
            {"source_lag_records{task_id=a}": 20.0, "source_lag_records{task_id=b}": 7.0},
            "source lag",
            27.0,
            id="the lag of all sources together",
        ),
        pytest.param(
            {"task_records_in_per_second{task_id=a}": 20.0, "task_records_in_per_second{task_id=b}": 7.0},
            "records in",
            20.0,
            id="the records of the task that takes most",
        ),
        pytest.param({"job_watermark_lag_seconds": 4.0}, "watermark lag", 4.0, id="the job's watermark lag"),
        pytest.param(
            {"job_checkpoint_duration_seconds": 2.0}, "checkpoint duration", 2.0, id="a checkpoint's duration"
        ),
    ],
)
def test_one_value_stands_for_a_job(values: dict[str, float], title: str, value: float) -> None:
    assert remembered(values, 1)[1] == {title: [(0.0, value)]}


def test_lines_come_in_the_order_of_the_declarations_with_their_units() -> None:
    history = History()
    rows = [row("job_restarts_total", 1.0), row("task_busy_max_ratio", 0.5)]
    score = verdict.scores(cluster(ORDERS), (), [row("job_coverage_ratio", 1.0)])
    trends.remember(cluster(ORDERS), [*rows, *score], history, 0.0)
    lines = trends.lines(history)["job-1"]
    assert [(line.title, line.unit) for line in lines] == [
        *(("score", "ratio"), ("busiest subtask", "ratio"), ("restarts", "count")),
    ]


def test_what_is_not_known_for_a_while_leaves_a_gap() -> None:
    history = History()
    for at, values in ((0.0, {"job_restarts_total": 1.0}), (30.0, {}), (60.0, {"job_restarts_total": 2.0})):
        trends.remember(cluster(ORDERS), [row(name, value) for name, value in values.items()], history, at)
    assert trends.lines(history)["job-1"][0].points == ((0.0, 1.0), (60.0, 2.0))


def test_each_job_has_its_own_past() -> None:
    two = cluster(ORDERS, job("source", id="job-2"))
    values = {"job_restarts_total": 1.0, "job_restarts_total{job_id=job-2}": 5.0}
    history, _ = remembered(values, 1, of=two)
    lines = trends.lines(history)
    assert {id: lines[id][0].points for id in lines} == {"job-1": ((0.0, 1.0),), "job-2": ((0.0, 5.0),)}


@pytest.mark.parametrize(
    ("now", "kept"),
    [
        pytest.param(cluster(), 0, id="a job that is gone"),
        pytest.param(cluster(job(state="FINISHED")), 0, id="a job that has ended"),
        pytest.param(cluster(job("source", id="job-2")), 0, id="another job under its name"),
        pytest.param(cluster(job(state="RESTARTING")), 6, id="a job that restarts keeps its past"),
        pytest.param(
            Cluster(name="prod", state=ClusterState.UNREACHABLE, taken_at=0.0), 6, id="who knows, if nobody answers?"
        ),
    ],
)
def test_a_past_is_forgotten_with_its_job(now: Cluster, kept: int) -> None:
    history, _ = remembered({"job_restarts_total": 1.0}, 9)
    trends.remember(now, [], history, 135.0)
    assert len(history) == kept


def test_all_lines_of_a_job_are_bounded() -> None:
    """What is published of fifty jobs may be held, but not all that there ever was."""
    names = {trend.family.name.removeprefix("flink_health_") for trend in TRENDS} - {"job_score_ratio"}
    history, lines = remembered(dict.fromkeys(names, 1.0), 1000)
    assert len(lines) == len(TRENDS) - 1
    assert len(history) == 61 * len(lines)
