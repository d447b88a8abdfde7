"""Does the exporter name the task that holds a job back, and none of its victims?

Each job has three stages, and one of them waits for every record: which one is known here, and that it really holds
the others back is taken from Flink's raw replies.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from exporter.demo import distribution
from exporter.demo.cluster import FlinkCluster
from tests.e2e.faults import IMPATIENT, MODES, Job, Scene, fixed_delay, stage
from tests.e2e.running import Published, eventually

pytestmark = pytest.mark.flink

BOTTLENECK = "flink_health_task_bottleneck"
BUSY = "flink_health_task_busy_max_ratio"
BACKPRESSURED = "flink_health_task_backpressured_max_ratio"

# Records so long that few of them fill the buffers before a slow step.
_VISITS = """
CREATE TABLE visits (r DOUBLE, visitor BIGINT, agent STRING) WITH (
    'connector' = 'datagen', 'rows-per-second' = '1000', 'fields.r.min' = '0', 'fields.r.max' = '1',
    'fields.visitor.min' = '1', 'fields.visitor.max' = '1000', 'fields.agent.length' = '200'
);
CREATE TABLE totals (segment BIGINT, visits BIGINT) WITH ('connector' = 'blackhole');
"""

SLOW_MIDDLE = f"""{_VISITS}
INSERT INTO totals
SELECT MOD(profile, 7), SUM(visits)
FROM (
    SELECT look_up(visitor, 5) AS profile, visits
    FROM (SELECT visitor, COUNT(agent) AS visits FROM visits GROUP BY visitor)
)
GROUP BY MOD(profile, 7)
"""

SLOW_SINK = f"""{_VISITS}
INSERT INTO totals
SELECT look_up(segment, 5), visits
FROM (
    SELECT MOD(visitor, 70) AS segment, SUM(visits) AS visits
    FROM (SELECT visitor, COUNT(agent) AS visits FROM visits GROUP BY visitor)
    GROUP BY MOD(visitor, 70)
)
"""

# Of two subtasks of the slow step one gets 19 records in 20.
HOT_KEY = SLOW_MIDDLE.replace("FROM visits", "FROM (SELECT IF(r < 0.95, 1, visitor) AS visitor, agent FROM visits)")

EASY = """
CREATE TABLE visits (visitor BIGINT) WITH (
    'connector' = 'datagen', 'rows-per-second' = '200', 'fields.visitor.min' = '1', 'fields.visitor.max' = '1000'
);
CREATE TABLE totals (segment BIGINT, visits BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO totals
SELECT MOD(visitor, 7), SUM(visits) FROM (SELECT visitor, COUNT(*) AS visits FROM visits GROUP BY visitor)
GROUP BY MOD(visitor, 7)
"""


class Case(NamedTuple):
    """culprit: the index of the slow stage."""

    sql: str
    parallelism: int
    culprit: int | None
    reason: str | None


CASES = {
    "slow-middle": Case(SLOW_MIDDLE, 1, 1, "external_wait"),
    "slow-sink": Case(SLOW_SINK, 1, 2, "sink"),
    "hot-key": Case(HOT_KEY, 2, 1, "skew"),
    "easy": Case(EASY, 2, None, None),
}


class Street(NamedTuple):
    """All jobs at once: each waits most of the time, which costs nothing."""

    scene: Scene
    jobs: dict[str, Job]

    def stages(self, name: str) -> list[str]:
        """The ids of a job's tasks, from the source to the sink."""
        vertices = self.scene.says(f"/jobs/{self.jobs[name].id}")["vertices"]
        assert len(vertices) == 3, [vertex["name"] for vertex in vertices]
        return [vertex["id"] for vertex in vertices]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    folder = tmp_path_factory.mktemp("bottleneck")
    with stage(folder, FlinkCluster(distribution.find(), taskmanagers=2, slots=8, config=IMPATIENT)) as scene:
        settings = {
            **fixed_delay(1000),
            "table.optimizer.agg-phase-strategy": "ONE_PHASE",
            "execution.checkpointing.unaligned.enabled": "true",  # barriers would wait with the records
            "execution.checkpointing.interval": "5 s",
        }
        jobs = {
            name: scene.run(name, {**settings, "parallelism.default": str(case.parallelism)}, case.sql)
            for name, case in CASES.items()
        }
        # The state that lasts fills most of the window over which shares of time are taken.
        time.sleep(30)
        yield Street(scene, jobs)


def marked(page: Published, mode: str, job: Job) -> list[tuple[str, str]]:
    """The tasks of a job that are called the bottleneck, and why."""
    return [
        (sample.labels["task_id"], sample.labels["reason"])
        for sample in page.samples
        if sample.name == BOTTLENECK and (sample.labels["cluster"], sample.labels["job_id"]) == (mode, job.id)
    ]


@pytest.mark.parametrize("name", CASES)
def test_the_slow_stage_and_no_other_is_named(street: Street, name: str) -> None:
    case, job, stages = CASES[name], street.jobs[name], street.stages(name)
    expected = [] if case.culprit is None else [(stages[case.culprit], case.reason)]
    street.scene.in_both(lambda page, mode: marked(page, mode, job) == expected, f"{expected}", 120)
    for _ in range(8):  # and it stays so
        page = street.scene.exporter.page()
        assert {mode: marked(page, mode, job) for mode in MODES} == dict.fromkeys(MODES, expected)
        time.sleep(1)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.culprit is not None])
def test_flink_measures_what_the_verdict_rests_on(street: Street, name: str) -> None:
    culprit, stages = CASES[name].culprit, street.stages(name)
    assert culprit is not None

    def flink_agrees() -> bool:
        shares = [street.scene.says(f"/jobs/{street.jobs[name].id}/vertices/{stage}/backpressure") for stage in stages]
        most_busy, held = (
            [max(subtask[key] for subtask in share["subtasks"]) for share in shares] for key in ("busyRatio", "ratio")
        )
        return bool(most_busy[culprit] > 0.9 and min(held[:culprit]) > 0.5 and held[culprit] < 0.1)

    eventually(flink_agrees, "Flink to see the slow stage busy and those before it held back", 30)
    page = street.scene.exporter.page()
    for mode in MODES:
        of_job = {"cluster": mode, "job_id": street.jobs[name].id}
        assert page.one(BUSY, **of_job, task_id=stages[culprit]) > 0.9
        assert page.one(BACKPRESSURED, **of_job, task_id=stages[culprit]) < 0.1
        for victim in stages[:culprit]:
            assert page.one(BACKPRESSURED, **of_job, task_id=victim) > 0.5


def test_the_hot_key_shows_as_the_skew_of_its_stage(street: Street) -> None:
    (_, stage, _) = street.stages("hot-key")
    page = street.scene.exporter.page()
    for mode in MODES:
        for signal in ("records", "busy"):
            # 19 in 20 to one of two, and the twentieth even: 0.975 / 0.5 = 1.95
            of_stage = {"cluster": mode, "job_id": street.jobs["hot-key"].id, "task_id": stage, "signal": signal}
            ratio = page.one("flink_health_task_skew_ratio", **of_stage)
            assert 1.8 < ratio <= 2
