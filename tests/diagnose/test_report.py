"""Is a report brief, right, and readable at any width?"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from exporter.columns import width
from exporter.report import Diagnosis, lines, runbook
from exporter.symptoms.downfall import Downfall
from exporter.symptoms.health import Evidence
from exporter.terminal import Paint
from tests.diagnose.told import DOWN, NOTE, PROD, WARNING, diagnosis, finding, job, line

PLAIN = Paint(colour=False)

REPORT = """\
Of the moment, may be blips; growth and stalls take longer: see --watch.

prod  Flink 2.3.0, up, 2 TaskManagers, 3 of 16 slots free, http://prod:8081
  not all of it could be read: http://prod:8081/jobs/x: no answer within 10 s

  critical  Garbage collection takes 85% of the time (tm-1), for 3 min
            flink_health_taskmanager_gc_time_ratio 0.85 > 0.8
            → More heap, fewer objects (object reuse, no boxing), or state off
              the heap. [gc-pressure]

  warning   No slot is free, and tasks wait for one
            flink_health_cluster_slots_free 0 < 1
            → Start TaskManagers, or lower the parallelism of the job that
              waits. [slots-exhausted]

 60%  payments  RUNNING
      Checkpoints are slow because of garbage collection.
      critical  Garbage collection takes 85% of the time (tm-1), for 3 min
      warning   Checkpoints take 3.0 times as long as is normal for this job
                flink_health_job_checkpoint_duration_ratio 3 > 2,
                job_checkpoint_duration_seconds 0.75 s, normal 0.25 s
                → Which phase is slow? [checkpoint-slow]

 90%  orders  RUNNING
      Subtask 1 of Count[3] takes 95% of the records.
      warning   Records are spread unevenly: one subtask gets 1.9 times the mean
                flink_health_task_skew_ratio 1.9 > 1.8 (Count[3], records),
                task_skew_hottest_subtask 1
                → Find the hot key; aggregate in two steps, or salt it. [skew]

not known: new (CREATED)
healthy: clicks, visits
ended: old (FINISHED)

test  unreachable, http://test:8081
  http://test:8081/overview: connection refused"""


def test_a_whole_report() -> None:
    assert "\n".join(lines([PROD, DOWN], 80, PLAIN, NOTE)) == REPORT


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ([PROD, DOWN], "Runbook: https://wiki/NAME.md"),
        ([diagnosis(job(line("a", WARNING), finding()))], "Runbook: https://wiki/skew.md"),
        ([diagnosis(job(line("a")))], None),
        (
            [diagnosis(job(line("a", WARNING), finding(runbook=f"https://wiki/{'deep/' * 60}skew.md")))],
            f"Runbook: https://wiki/{'deep/' * 60}skew.md",
        ),
    ],
    ids=["of several symptoms", "of one", "of none", "however long"],
)
def test_the_address_of_the_runbook_is_told_once_and_whole(told: list[Diagnosis], where: str | None) -> None:
    assert runbook(told) == where


@pytest.mark.parametrize("columns", [24, 33, 40, 60, 79, 80, 120, 250])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    long = job(
        line("名前の長い仕事" * 12 + "x" * 90, WARNING, 0.5),
        finding(runbook=f"https://wiki/{'deep/' * 60}skew.md"),
        stories=("W" * 300,),
    )
    told = lines([PROD, DOWN, diagnosis(long, name="集群" * 50)], columns, PLAIN, NOTE)
    assert [text for text in told if width(text) > columns] == []
    colour = lines([PROD, DOWN, diagnosis(long, name="集群" * 50)], columns, Paint(colour=True), NOTE)
    escapes = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;;[^\x1b]*\x1b\\")
    assert [escapes.sub("", text) for text in colour] == told


def test_of_a_job_by_name_nothing_else_is_told_but_all_of_it() -> None:
    told = lines([replace(PROD, jobs=PROD.jobs[:1], named=True)], 80, PLAIN, NOTE)
    assert told[4:13] == [
        "",
        " 60%  payments  RUNNING",
        "      Checkpoints are slow because of garbage collection.",
        "      critical  Garbage collection takes 85% of the time (tm-1), for 3 min",
        "                flink_health_taskmanager_gc_time_ratio 0.85 > 0.8",
        "                → More heap, fewer objects (object reuse, no boxing), or state",
        "                  off the heap. [gc-pressure]",
        "      warning   Checkpoints take 3.0 times as long as is normal for this job",
        "                flink_health_job_checkpoint_duration_ratio 3 > 2,",
    ]
    assert "No slot is free" not in "\n".join(told)


def test_many_healthy_jobs_take_three_lines() -> None:
    told = lines([diagnosis(*(job(line(f"job-number-{i}")) for i in range(400)))], 80, PLAIN, NOTE)
    assert told[3:] == [
        "",
        "healthy: job-number-0, job-number-1, job-number-2, job-number-3, job-number-4,",
        "         job-number-5, job-number-6, job-number-7, job-number-8, job-number-9,",
        "         job-number-10, job-number-11, job-number-12 … and 387 more",
    ]


def test_a_cluster_without_jobs() -> None:
    assert lines([diagnosis()], 80, PLAIN, NOTE)[2:] == [
        "prod  Flink 2.3.0, up, 2 TaskManagers, 3 of 16 slots free, http://prod:8081",
        "",
        "no jobs",
    ]


def test_half_an_address_is_not_shown() -> None:
    without = "prod  Flink 2.3.0, up, 2 TaskManagers, 3 of 16 slots free"
    whole = f"{without}, http://prod:8081"
    told = [lines([diagnosis()], columns, PLAIN, "note")[2] for columns in (len(whole), len(whole) - 1)]
    assert told == [whole, without]


def test_a_name_cannot_write_elsewhere() -> None:
    told = lines([diagnosis(job(line("a\x1b[2Jb\nc\u202ed")))], 80, PLAIN, NOTE)
    assert told[-1] == "healthy: a\ufffd[2Jb\ufffdc\ufffdd"


@pytest.mark.parametrize(
    ("metric", "value", "threshold", "told"),
    [
        ("flink_health_job_checkpoint_age_seconds", 131.0, 120.0, "131 s > 120 s"),
        ("flink_health_job_checkpoint_age_seconds", 4000.0, 0.5, "67 min > 0.5 s"),
        ("flink_health_job_checkpoint_state_size_bytes", 6 * 2.0**20, 5 * 2.0**20, "6 MiB > 5 MiB"),
        ("flink_health_job_checkpoint_state_growth_bytes_per_second", 2048.0, 12.0, "2 KiB/s > 12 B/s"),
        ("flink_health_task_records_in_per_second", 1234.5, 2.5, "1.23 k/s > 2.5/s"),
        ("flink_health_job_restarts_recent", 12.0, 8.0, "12 > 8"),
    ],
)
def test_values_have_their_units(metric: str, value: float, threshold: float, told: str) -> None:
    shown = finding(evidence=(Evidence(metric=metric, labels={}, value=value, threshold=threshold),))
    assert f"                {metric} {told}" in lines([diagnosis(job(line("a", WARNING), shown))], 120, PLAIN, NOTE)


@pytest.mark.parametrize(
    ("state", "at", "told"),
    [
        ("RUNNING", 890.0, ["      Last brought down 2 min ago: out of memory, java.lang.Error in Source: orders[1]."]),
        ("FAILED", -9000.0, ["      Last brought down 3 h ago: out of memory, java.lang.Error in Source: orders[1]."]),
        ("RUNNING", -9000.0, []),  # long ago: it has nothing to do with what is wrong now
    ],
)
def test_what_brought_an_ill_job_down_last(state: str, at: float, told: list[str]) -> None:
    last = Downfall(at=at, scenario="out_of_memory", exception="java.lang.Error", task="Source: orders[1] -> Calc[2]")
    ill = job(line("a", WARNING, state=state), finding(), downfall=last)
    assert [each for each in lines([diagnosis(ill)], 120, PLAIN, NOTE) if "brought down" in each] == told


def test_of_much_evidence_the_rest_is_counted() -> None:
    many = tuple(
        Evidence(metric="flink_health_task_busy_max_ratio", labels={"task_name": f"t{i}"}, value=1.0, threshold=0.9)
        for i in range(5)
    )
    told = lines([diagnosis(job(line("a", WARNING), finding(evidence=many)))], 200, PLAIN, NOTE)
    assert [text.strip() for text in told if "busy_max" in text] == [
        "flink_health_task_busy_max_ratio 1 > 0.9 (t0), 1 > 0.9 (t1), and 3 more"
    ]
