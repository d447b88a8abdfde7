"""Do the long views hold what they promise, and do their alerts fire when they should, and only then?"""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.promtool import promtool
from tests.rules.cases import Case, Fires, each, run, untested
from tests.rules.files import path

NAMED = {"cluster": "prod", "job_name": "orders"}
ALL_RUN = "flink_health_job_tasks_running_ratio"
SIZE, DURATION = "flink_health_job_checkpoint_state_size_bytes", "flink_health_job_checkpoint_duration_seconds"
TIMEOUT, RECORDS = "flink_health_job_checkpoint_timeout_ratio", "flink_health_task_records_in_per_second"
MIB = 2**20

# Of a day, an hour in looks of 5 minutes. promtool's `x` counts repetitions, so 287 of them make 288 values.
DAY, HOUR = 288, 12


def job(name: str, job_id: str = "j1", **labels: str) -> str:
    inner = ",".join(f'{label}="{said}"' for label, said in {**NAMED, "job_id": job_id, **labels}.items())
    return f"{name}{{{inner}}}"


def state(name: str, job_id: str = "j1") -> str:
    return job("flink_health_job_state", job_id, state=name)


def lasting(*stretches: tuple[float, float]) -> str:
    """Values, each for so many looks."""
    return " ".join(f"{value:.15g}x{looks - 1:.0f}" for value, looks in stretches)


def running(looks: int) -> dict[str, str]:
    return {state("RUNNING"): lasting((1, looks)), job(ALL_RUN): lasting((1, looks))}


NOW = "orders (prod): It did not run for {} of the last hour, and still does not, or not always"
SIX = "orders (prod): It did not run for {} of the last 6 hours"
SLOWER, GROWN = "FlinkCheckpointsSlowerThanLastWeek", "FlinkStateGrownSinceYesterday"
LESS = "FlinkThroughputBelowLastWeek"

CASES = [
    Case(
        "it ran for 6 hours, and does not for 20 minutes",
        "FlinkAvailabilityBurning",
        {
            state("RUNNING"): "1x359 stale",
            state("RESTARTING"): "_x360 1x60",
            job(ALL_RUN): "1x359 0x60",
        },
        "379m",
        [
            # 20 looks of the 61 that an hour has with both its ends; 20 of 361
            Fires("critical", NAMED, NOW.format("32.79%")),
            Fires("warning", NAMED, SIX.format("5.54%")),
        ],
    ),
    Case(
        "a task of it does not run, now and then, for hours",
        "FlinkAvailabilityBurning",
        # the last of 100 looks, four times
        {state("RUNNING"): "1x500", job(ALL_RUN): " ".join(["1x98 0.5"] * 4) + " 1x60"},
        "415m",
        # 4 of 361
        [Fires("warning", NAMED, SIX.format("1.108%"))],
    ),
    Case(
        "a restart of a minute",
        "FlinkAvailabilityBurning",
        {state("RUNNING"): "1x500", job(ALL_RUN): "1x359 0 1x100"},
        "365m",
    ),
    Case(
        "a job that is new: its start, and two blips in its first quarter of an hour",
        "FlinkAvailabilityBurning",
        {state("RUNNING"): "1x60", job(ALL_RUN): "0x2 1x3 0 1x3 0 1x3 0 1x60"},
        "14m",
    ),
    Case(
        "it was stopped on purpose",
        "FlinkAvailabilityBurning",
        {
            state("RUNNING"): "1x359 stale",
            state("CANCELLING"): "_x360 1 stale",
            state("CANCELED"): "_x361 1x60",
            job(ALL_RUN): "1x359 0 stale",
        },
        "379m",
    ),
    Case(
        "it failed for good, and another of its name runs",
        "FlinkAvailabilityBurning",
        {state("FAILED", "j0"): "1x400", state("RUNNING"): "1x400", job(ALL_RUN): "1x400"},
        "379m",
    ),
    Case(
        "10 s for a week, then 25 s",
        SLOWER,
        {job(DURATION): lasting((10, 7 * DAY), (25, DAY)), job(TIMEOUT): lasting((0.05, 9 * DAY))},
        "180h",  # 7.5 days
        # 25 / 10
        [Fires("warning", NAMED, "orders (prod): Checkpoints take 2.5 times as long as they did last week")],
        every="5m",
    ),
    Case(
        "10 s for a week, then 15 s",
        SLOWER,
        {job(DURATION): lasting((10, 7 * DAY), (15, DAY)), job(TIMEOUT): lasting((0.05, 9 * DAY))},
        "180h",
        every="5m",
    ),
    Case(
        "10 ms, then 25",
        SLOWER,
        {job(DURATION): lasting((0.01, 7 * DAY), (0.025, DAY)), job(TIMEOUT): lasting((0.0001, 9 * DAY))},
        "180h",
        every="5m",
    ),
    Case(
        "a day of it is too short a past",
        SLOWER,
        {job(DURATION): lasting((10, DAY), (25, DAY)), job(TIMEOUT): lasting((0.05, 9 * DAY))},
        "44h",
        every="5m",
    ),
    Case(
        "from 1 GiB to 2 within a day, over a redeployment",
        GROWN,
        {
            job(SIZE): lasting((1024 * MIB, 2 * DAY)),
            job(SIZE, "j2"): f"_x{2 * DAY} " + lasting((2048 * MIB, DAY)),
        },
        "60h",
        [Fires("warning", NAMED, "orders (prod): Its state is 2.0 times what it was yesterday")],
        every="5m",
    ),
    Case(
        "less at night, as every night",
        GROWN,
        {job(SIZE): " ".join([lasting((1024 * MIB, DAY / 2), (300 * MIB, DAY / 2))] * 4)},
        "88h",
        every="5m",
    ),
    Case("little, and twice as little", GROWN, {job(SIZE): lasting((MIB, 2 * DAY), (2 * MIB, DAY))}, "60h", every="5m"),
    Case(
        "a new job fills its windows",
        GROWN,
        {job(SIZE): f"{MIB}+{100 * MIB}x{DAY + DAY // 2}"},
        "36h",
        every="5m",
    ),
    Case(
        "100 records a second for a week, then 30",
        LESS,
        {job(RECORDS, task_id="t1"): lasting((60, 7 * DAY), (20, DAY)), **running(9 * DAY)}
        | {job(RECORDS, task_id="t2"): lasting((40, 7 * DAY), (10, DAY))},
        "172h",
        # (20 + 10) / (60 + 40)
        [Fires("warning", NAMED, "orders (prod): It takes in 30% of what it did at this time last week")],
        every="5m",
    ),
    Case(
        "a quiet hour, as every week",
        LESS,
        {
            job(RECORDS, task_id="t1"): lasting((100, 4 * HOUR), (10, 4 * HOUR), (100, 7 * DAY - 8 * HOUR))
            + " "
            + lasting((100, 4 * HOUR), (10, 4 * HOUR)),
            **running(9 * DAY),
        },
        "175h",
        every="5m",
    ),
    Case(
        "it does not run: told elsewhere",
        LESS,
        {
            job(RECORDS, task_id="t1"): lasting((100, 7 * DAY), (0, DAY)),
            state("RUNNING"): lasting((1, 9 * DAY)),
            job(ALL_RUN): lasting((1, 7 * DAY), (0.5, 2 * DAY)),
        },
        "172h",
        every="5m",
    ),
]


@each(CASES)
def test_alert(case: Case, tmp_path: Path) -> None:
    run("recording", case, tmp_path)


def test_every_alert_fires_once_and_is_silent_once() -> None:
    assert not untested("recording", CASES)


# ---- What is recorded, as numbers

FAILURES = "flink_health_job_checkpoint_failures_total"
OVERDUE, RESTARTS = "flink_health_job_checkpoint_overdue_ratio", "flink_health_job_restarts_total"
AVAILABLE, STATE = "job:flink_health_available:", "job:flink_health_checkpoint_state_size_bytes:"
LONG = {
    state("RUNNING"): lasting((1, 3 * DAY + 1)),
    # 2 hours of the second day
    job(ALL_RUN): lasting((1, DAY), (0, 2 * HOUR), (1, 2 * DAY + 1 - 2 * HOUR)),
    job(SIZE): lasting((1000, DAY + 1), (1200, DAY), (1500, DAY)),
    job(DURATION): lasting((10, 2 * DAY), (20, DAY + 1)),
    job(OVERDUE): lasting((0.1, 2 * DAY), (0.9, DAY / 2), (0.1, DAY / 2 + 1)),
    job(FAILURES, reason="expired"): f"0+1x{3 * DAY}",
    job(FAILURES, reason="declined_not_ready"): f"0+5x{3 * DAY}",
    job(RESTARTS): f"0+2x{3 * DAY}",
}


EXPECTED = {
    # It runs now.
    f"{AVAILABLE}avg_5m": 1,
    # Of 73 samples an hour apart, each the share of an hour, 2 hours are lost.
    f"{AVAILABLE}avg_30d": 71 / 73,
    # What is lost over what may be: overspent.
    f"{AVAILABLE}budget_remaining_30d": 1 - 2 / 73 / 0.001,
    # 1500 today, 1200 yesterday
    f"{STATE}max_1d_ratio_1d": 1500 / 1200,
    f"{STATE}max_1d_delta_1d": 300,
    # Today, and before.
    "job:flink_health_checkpoint_duration_seconds:median_6h": 20,
    "job:flink_health_checkpoint_duration_seconds:median_7d_offset_1d": 10,
    # At 144 of the 289 looks of a day, both its ends counted, the last completed one was long ago.
    "job:flink_health_checkpoint_in_time:avg_1d": 145 / 289,
    # One a look without start-up noise, and two.
    "job:flink_health_checkpoint_failures:increase_1d": 288,
    "job:flink_health_restarts:increase_1d": 576,
}


def test_what_is_recorded(tmp_path: Path) -> None:
    queries = [
        {
            # To 9 digits: the order of a sum shows in the last ones.
            "expr": f"round({record} * 1e9) / 1e9",
            "eval_time": "72h",
            "exp_samples": [{"labels": '{cluster="prod",job_name="orders"}', "value": round(expected * 1e9) / 1e9}],
        }
        for record, expected in EXPECTED.items()
    ]
    test = {
        "rule_files": [str(path("recording"))],
        "evaluation_interval": "5m",
        "tests": [
            {
                "interval": "5m",
                "input_series": [{"series": name, "values": values} for name, values in LONG.items()],
                "promql_expr_test": queries,
            }
        ],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    promtool("test", "rules", tmp_path / "test.yml")
