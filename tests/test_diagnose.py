"""Does `diagnose` say what is wrong, briefly and at any width, and does it end with the code that a script expects?"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter import diagnose
from exporter.cli import main
from exporter.columns import cut, width
from exporter.config import ClusterSettings, Settings
from exporter.diagnose import CannotLook, Options, Running, exit_code, of_the_moment, troubles
from exporter.publish import api
from exporter.report import Diagnosis, lines, runbook
from exporter.signals import skew
from exporter.symptoms.base import Severity
from exporter.symptoms.declarations import SYMPTOMS
from exporter.symptoms.downfall import Downfall
from exporter.symptoms.health import ClusterHealth, Evidence, JobHealth, JobLine, ToldFinding
from exporter.terminal import Paint, Screen, Waiting, clean, coloured, forgiving, wrap
from exporter.watch import Watch
from tests.flink.fake import HTML, FakeFlink, content, hang, status

PROGRAM = "flink-health-exporter"
# Nothing listens there, and nobody but root may.
NOBODY = "http://127.0.0.1:1"
PLAIN = Paint(colour=False)
NOTE = "Of the moment, may be blips; growth and stalls take longer: see --watch."
FLAGS = "-h, --help, --config.file, --flink.url, --cluster, --job, --watch, --output, --no-color"
WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL


# ---- Values to tell of


def finding(symptom: str = "skew", severity: Severity = WARNING, **different: Any) -> ToldFinding:
    told = ToldFinding(
        symptom=symptom,
        severity=severity,
        about="job",
        labels={"cluster": "prod", "job_id": "a1", "job_name": "orders"},
        since=1000.0,
        ending=False,
        summary="Records are spread unevenly: one subtask gets 1.9 times the mean",
        tasks=("t1",),
        because=(),
        evidence=(
            Evidence(
                metric="flink_health_task_skew_ratio",
                labels={"task_id": "t1", "task_name": "Count[3] -> Sink", "signal": "records"},
                value=1.9,
                threshold=1.8,
            ),
            Evidence(
                metric="flink_health_task_skew_hottest_subtask",
                labels={"task_id": "t1", "task_name": "Count[3] -> Sink", "signal": "records"},
                value=1,
            ),
        ),
        action="Find the hot key; aggregate in two steps, or salt it.",
        runbook=f"https://wiki/{symptom.replace('_', '-')}.md",
        deduction=0.1,
    )
    return replace(told, **different)


def line(name: str, severity: Severity | None = None, score: float | None = 1.0, **different: Any) -> JobLine:
    told = JobLine(
        cluster="prod", id=f"id of {name}", name=name, state="RUNNING", score=score, severity=severity, symptoms=()
    )
    return replace(told, **different)


def job(
    told: JobLine, *findings: ToldFinding, stories: tuple[str, ...] = (), downfall: Downfall | None = None
) -> JobHealth:
    return JobHealth(
        job=told,
        taken_at=1010.0,
        web_ui="http://prod:8081/#/job",
        coverage=1.0,
        deductions={},
        stories=stories,
        downfall=downfall,
        findings=findings,
        tasks=(),
        trends=(),
    )


def diagnosis(*jobs: JobHealth, named: bool = False, faults: tuple[str, ...] = (), **cluster: Any) -> Diagnosis:
    up = ClusterHealth(
        name="prod",
        url="http://prod:8081",
        state="up",
        version="2.3.0",
        taken_at=1010.0,
        taskmanagers=2,
        slots=16,
        slots_free=3,
        severity=None,
        error=None,
        findings=(),
        jobs=tuple(each.job for each in jobs),
    )
    return Diagnosis(cluster=replace(up, **cluster), jobs=jobs, named=named, faults=faults)


OUT_OF_SLOTS = finding(
    "slots_exhausted",
    about="cluster",
    labels={"cluster": "prod"},
    summary="No slot is free, and tasks wait for one",
    evidence=(Evidence(metric="flink_health_cluster_slots_free", labels={}, value=0.0, threshold=1.0),),
    action="Start TaskManagers, or lower the parallelism of the job that waits.",
)
GC = finding(
    "gc_pressure",
    CRITICAL,
    about="taskmanager",
    labels={"cluster": "prod", "tm_id": "tm-1", "host": "node-1"},
    since=830.0,
    summary="Garbage collection takes 85% of the time",
    evidence=(
        Evidence(
            metric="flink_health_taskmanager_gc_time_ratio",
            labels={"tm_id": "tm-1", "host": "node-1"},
            value=0.85,
            threshold=0.8,
        ),
    ),
    action="More heap, fewer objects (object reuse, no boxing), or state off the heap.",
)
SLOW = finding(
    "checkpoint_slow",
    summary="Checkpoints take 3.0 times as long as is normal for this job",
    evidence=(
        Evidence(metric="flink_health_job_checkpoint_duration_ratio", labels={}, value=3.0, threshold=2.0),
        Evidence(metric="flink_health_job_checkpoint_duration_seconds", labels={}, value=0.75, normal=0.25),
    ),
    action="Which phase is slow?",
)
PROD = diagnosis(
    job(line("payments", CRITICAL, 0.6), GC, SLOW, stories=("Checkpoints are slow because of garbage collection.",)),
    job(line("orders", WARNING, 0.9), finding(), stories=("Subtask 1 of Count[3] takes 95% of the records.",)),
    job(line("new", None, None, state="CREATED")),
    job(line("clicks")),
    job(line("visits")),
    job(line("old", None, None, state="FINISHED")),
    severity=CRITICAL,
    findings=(GC, OUT_OF_SLOTS),
    error="http://prod:8081/jobs/x: no answer within 10 s",
)
DOWN = diagnosis(name="test", url="http://test:8081", state="unreachable", version=None, taskmanagers=None, slots=None,
                 error="http://test:8081/overview: connection refused")  # fmt: skip

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


# ---- The report


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


# ---- The terminal


@pytest.mark.parametrize(
    ("text", "most", "first", "then", "told"),
    [
        ("", 10, "", None, [""]),
        ("", 10, "a: ", None, ["a:"]),
        ("one two three", 8, "", None, ["one two", "three"]),
        ("one two three", 7, "a: ", None, ["a: one", "   two", "   thre", "   e"]),
        ("one two", 9, "   → ", "     ", ["   → one", "     two"]),
        ("abcdefgh", 3, "", None, ["abc", "def", "gh"]),
        ("日本語 日本", 5, "", None, ["日本", "語", "日本"]),
        ("日本", 1, "", None, ["日", "本"]),
    ],
)
def test_wrapping(text: str, most: int, first: str, then: str | None, told: list[str]) -> None:
    assert wrap(text, most, first, then) == told


def test_what_is_too_wide_is_cut() -> None:
    assert [cut("payments", most) for most in (9, 8, 7, 1, 0)] == ["payments", "payments", "paymen…", "…", ""]
    assert cut("日本語", 5) == "日本…"
    assert width("e\u0301") == 1
    assert clean("tab\there") == "tab\ufffdhere"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "expected"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_who_gets_colours(stream: io.StringIO, environment: dict[str, str], expected: bool) -> None:
    assert coloured(stream, environment) == expected


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [("ascii", "é → …", b"? ? ?"), ("utf-8", "half a pair: \ud800", b"half a pair: ?"), ("utf-8", "é", b"\xc3\xa9")],
)
def test_what_cannot_be_encoded_ends_nothing(encoding: str, text: str, written: bytes) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding)
    forgiving(out)
    out.write(text)
    out.flush()
    assert raw.getvalue() == written


def test_a_screen_is_redrawn_and_says_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "4")
    out = Terminal()
    screen = Screen(out)
    screen.show(["a", "b", "c", "d", "e"], "now")
    screen.show(["a"], "now")
    drawn = "\x1b[Ha\x1b[K\nb\x1b[K\n3 more lines below; now\x1b[K\n\x1b[J"
    assert out.getvalue() == f"{4 * chr(10)}{drawn}\x1b[Ha\x1b[K\nnow\x1b[K\n\x1b[J"


def test_without_a_terminal_one_report_follows_the_other() -> None:
    out = io.StringIO()
    screen = Screen(out)
    screen.show(["a"], "10:00:00")
    screen.show(["b"], "10:00:05")
    assert out.getvalue() == "a\n10:00:00\n\nb\n10:00:05\n\n"


def test_only_who_sits_at_a_terminal_is_asked_to_wait() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        waits = Waiting(stream)
        waits.say("looking …")
        waits.clear()
    assert (terminal.getvalue(), pipe.getvalue()) == ("\r\x1b[2Klooking …\r\x1b[2K", "")


# ---- The code that it ends with

WELL = diagnosis(job(line("a")))
WARNED = diagnosis(job(line("a", WARNING)), severity=WARNING)
ILL = diagnosis(job(line("a", CRITICAL)), severity=CRITICAL)
UNKNOWN = diagnosis(job(line("a", None, None, state="RESTARTING")))


@pytest.mark.parametrize(
    ("found", "code"),
    [
        pytest.param([WELL], 0, id="healthy"),
        pytest.param([diagnosis()], 0, id="no jobs"),
        pytest.param([diagnosis(job(line("a", None, None, state="FINISHED")))], 0, id="all have ended"),
        pytest.param([WELL, WARNED], 1, id="a warning"),
        pytest.param([ILL, WARNED], 2, id="critical"),
        pytest.param([DOWN], 3, id="not looked at"),
        pytest.param([replace(DOWN, cluster=replace(DOWN.cluster, severity=CRITICAL))], 3, id="that is not critical"),
        pytest.param([WELL, DOWN], 3, id="one of them not looked at"),
        pytest.param([WARNED, DOWN], 3, id="a warning, and one not looked at"),
        pytest.param([ILL, DOWN], 2, id="critical, and one not looked at"),
        pytest.param([UNKNOWN], 3, id="a job of which nothing is known"),
        pytest.param([diagnosis(job(line("a")), faults=("skew: ValueError: x",))], 3, id="a signal that failed"),
        pytest.param([replace(ILL, jobs=(job(line("b")),), named=True)], 0, id="another job is critical"),
        pytest.param([replace(WELL, jobs=ILL.jobs, named=True)], 2, id="the job is critical"),
    ],
)
def test_the_code(found: list[Diagnosis], code: int) -> None:
    assert exit_code(found) == code


def test_why_something_was_not_looked_at() -> None:
    assert [troubles(each) for each in (WELL, DOWN, UNKNOWN, diagnosis(faults=("skew: ValueError: x",)))] == [
        [],
        ["cluster test: http://test:8081/overview: connection refused"],
        ["cluster prod: job a: nothing is known of it while it is RESTARTING"],
        ["cluster prod: the exporter failed at skew: ValueError: x"],
    ]


def test_what_is_critical_only_because_it_lasts_is_a_warning_of_the_moment() -> None:
    hurried = {symptom.name: of_the_moment(symptom) for symptom in SYMPTOMS}
    waits = {
        name: symptom.critical.lasting
        for name, symptom in hurried.items()
        if symptom.critical is not None and symptom.critical.lasting > 0
    }
    assert waits == {
        "cluster_unreachable": 180,
        "job_not_running": 900,
        "restart_loop": 300,
        "slots_exhausted": 600,
        "checkpoint_failing": 300,
        "checkpoint_slow": 600,
        "watermark_stalled": 1680,
        "watermark_lag_growing": 1800,
        "source_lag_growing": 1800,
        "source_stalled": 300,
    }
    assert {symptom.warning.lasting for symptom in hurried.values() if symptom.warning} == {0}
    assert {symptom.calm for symptom in hurried.values()} == {0}


# ---- Looking


def settings(*urls: str, **different: Any) -> Settings:
    names = ["prod", "test"][: len(urls)] if len(urls) > 1 else ["default"]
    each = [ClusterSettings(name=name, url=url, **different) for name, url in zip(names, urls, strict=True)]
    return Settings(clusters=tuple(each))


async def looked(
    asked: Settings | str,
    options: Options | None = None,
    wait: Callable[[float], Awaitable[None]] | None = None,
) -> tuple[int | None, str, str]:
    """The code, and what was said on stdout and stderr."""

    async def no_wait(_seconds: float) -> None:
        await asyncio.sleep(0)

    told, problems = io.StringIO(), io.StringIO()
    chosen = settings(asked) if isinstance(asked, str) else asked
    running = Running(chosen, options or Options(), told, problems, wait or no_wait)
    await running.run()
    return running.code, told.getvalue(), problems.getvalue()


async def on_to_the_next(flink: FakeFlink) -> tuple[list[float], Callable[[float], Awaitable[None]]]:
    """A wait that lets the fake go on, and how long each was to be."""
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        flink.now = min(flink.now + 1, len(flink.looks) - 1)
        await asyncio.sleep(0)

    return waits, wait


async def test_two_looks_find_what_is_wrong(fake_flink: FakeFlink) -> None:
    waits, wait = await on_to_the_next(fake_flink)
    code, out, err = await looked(fake_flink.url, wait=wait)
    (pause,) = waits
    assert 5 < pause <= 11
    assert (code in (1, 2), err) == (True, "")
    told = out.splitlines()
    assert told[0] == NOTE
    assert told[2].startswith("default  Flink 2.3.0, up, 2 TaskManagers, ")
    assert "  orders-skewed  RUNNING" in out
    assert "      Subtask 1 of GroupAggregate[15] takes 95% of the records.\n" in out
    assert "payments-healthy" in next(text for text in told if text.startswith("healthy: "))


async def test_a_healthy_job_among_ill_ones(fake_flink: FakeFlink) -> None:
    _, wait = await on_to_the_next(fake_flink)
    code, out, err = await looked(fake_flink.url, Options(job="payments-healthy"), wait)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "healthy: payments-healthy"


async def test_an_ill_job_by_its_id(fake_flink: FakeFlink) -> None:
    _, wait = await on_to_the_next(fake_flink)
    code, out, err = await looked(fake_flink.url, Options(job=fake_flink.look.job("orders-skewed")), wait)
    assert (code, err) == (1, "")
    assert " 90%  orders-skewed  RUNNING\n" in out
    assert "healthy" not in out


async def test_as_json(fake_flink: FakeFlink) -> None:
    _, wait = await on_to_the_next(fake_flink)
    asked = Settings(clusters=(ClusterSettings(name="a", url=fake_flink.url), ClusterSettings(name="b", url=NOBODY)))
    code, out, err = await looked(asked, Options(json=True, job="orders-skewed"), wait)
    assert code == 3
    assert err == f"{PROGRAM}: cluster b: {NOBODY}/overview: connection refused; is Flink's REST endpoint there?\n"
    told = json.loads(out)
    up, down = told["clusters"]
    assert (up["state"], down["state"]) == ("up", "unreachable")
    (found,) = told["jobs"]
    assert found["job"] in up["jobs"]
    assert found["job"]["severity"] == "warning"
    assert [(each["symptom"], each["severity"]) for each in found["findings"]] == [("skew", "warning")]
    assert found["findings"][0]["evidence"][0]["metric"] == skew.RATIO.name


def test_json_is_what_the_api_says_and_the_jobs() -> None:
    clusters = [PROD.cluster, DOWN.cluster]
    answer = diagnose.Answer(ready=True, clusters=clusters, jobs=PROD.jobs)
    told = json.loads(api.body(answer))
    jobs = told.pop("jobs")
    assert told == json.loads(api.body(api.HealthAnswer(ready=True, clusters=clusters)))
    assert jobs == [json.loads(api.body(api.JobAnswer(health=each)))["health"] for each in PROD.jobs]


async def test_the_rest_is_reported_where_one_cannot_be_looked_at(
    fake_flink: FakeFlink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    _, wait = await on_to_the_next(fake_flink)
    asked = Settings(clusters=(ClusterSettings(name="a", url=NOBODY), ClusterSettings(name="b", url=fake_flink.url)))
    code, out, err = await looked(asked, Options(job="payments-healthy"), wait)
    refused = f"{NOBODY}/overview: connection refused; is Flink's REST endpoint there?"
    assert (code, err) == (3, f"{PROGRAM}: cluster a: {refused}\n")
    assert out.startswith(f"{NOTE}\n\na  unreachable, {NOBODY}\n  {refused}\n\nb  Flink 2.3.0, up")


async def test_only_one_of_several_clusters(fake_flink: FakeFlink) -> None:
    _, wait = await on_to_the_next(fake_flink)
    asked = Settings(clusters=(ClusterSettings(name="a", url=NOBODY), ClusterSettings(name="b", url=fake_flink.url)))
    code, _, err = await looked(asked, Options(cluster="b", job="payments-healthy"), wait)
    assert (code, err) == (0, "")


async def test_a_cluster_without_any_job(fake_flink: FakeFlink) -> None:
    fake_flink.edit("/jobs/overview", lambda reply: {"jobs": []})
    free = {"freeSlots": 8}
    fake_flink.edit("/taskmanagers", lambda reply: {"taskmanagers": [tm | free for tm in reply["taskmanagers"]]})
    fake_flink.edit("/overview", lambda reply: reply | {"slots-available": 16})
    code, out, err = await looked(fake_flink.url)
    assert (code, err) == (0, "")
    assert out.endswith("\n\nno jobs\n")


async def test_a_cluster_that_goes_away_before_the_second_look(fake_flink: FakeFlink) -> None:
    async def wait(_seconds: float) -> None:
        await fake_flink.close()

    url = fake_flink.url
    code, out, err = await looked(url, wait=wait)
    assert (code, out) == (3, "")
    assert err.startswith(f"{PROGRAM}: cluster default: {url}/")


async def test_a_fault_of_our_own_costs_one_cluster(fake_flink: FakeFlink, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(_watch: Watch) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(Watch, "cycle", fails)
    code, out, err = await looked(fake_flink.url)
    told = "the exporter failed: ZeroDivisionError: division by zero"
    assert (code, out, err) == (3, "", f"{PROGRAM}: cluster default: {told}\n")


async def until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not met():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_watching_goes_on_and_the_last_look_counts(
    fake_flink: FakeFlink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job that is asked for goes away meanwhile."""
    monkeypatch.setattr(diagnose, "_EVERY", 0.05)
    _, advance = await on_to_the_next(fake_flink)

    async def wait(seconds: float) -> None:
        await advance(seconds)
        await asyncio.sleep(0 if seconds > 1 else 0.2)

    out, err = io.StringIO(), io.StringIO()
    running = Running(settings(fake_flink.url), Options(job="orders-skewed", watch=True), out, err, wait)
    task = asyncio.create_task(running.run())
    await until(lambda: "orders-skewed" in out.getvalue())
    code = running.code
    fake_flink.edit("/jobs/overview", lambda reply: {"jobs": []})
    await until(lambda: "no such job" in out.getvalue())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    first, *_, last = out.getvalue().split("Ctrl-C ends\n\n")[:-1]
    assert first.startswith("Judged at the moment of each look, so what is told may be a blip.\n\ndefault  Flink")
    assert " 90%  orders-skewed  RUNNING" in first
    assert re.search(r"\n\d\d:\d\d:\d\d, watched for \d+ s; $", first)
    assert "\n\nno such job at present\n" in last
    assert (code, running.code, err.getvalue()) == (1, 3, "")


async def test_a_cluster_that_goes_away_is_watched_on(fake_flink: FakeFlink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnose, "_EVERY", 0.05)

    async def wait(seconds: float) -> None:
        await asyncio.sleep(0 if seconds > 1 else 0.2)

    out, err = io.StringIO(), io.StringIO()
    running = Running(settings(fake_flink.url), Options(watch=True), out, err, wait)
    task = asyncio.create_task(running.run())
    await until(lambda: "Ctrl-C ends" in out.getvalue())
    await fake_flink.close()
    await until(lambda: "default  unreachable" in out.getvalue())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (running.code, err.getvalue()) == (3, "")


async def test_watching_what_cannot_be_looked_at_ends_at_once() -> None:
    code, out, err = await looked(NOBODY, Options(watch=True))
    refused = f"{NOBODY}/overview: connection refused; is Flink's REST endpoint there?"
    assert (code, out, err) == (3, "", f"{PROGRAM}: cluster default: {refused}\n")


# ---- What it cannot look at


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        pytest.param(
            HTML,
            "expected Flink's JSON, got <!DOCTYPE html> <html><head><title>Sign in</title></head></html>",
            id="HTML",
        ),
        pytest.param(
            content(b'{"hello": 1}'),
            "expected Flink's overview, got an object with hello (KeyError: 'slots-total')",
            id="other JSON",
        ),
        pytest.param(status(404), "HTTP 404: expected an endpoint of Flink", id="404"),
        pytest.param(
            status(401), "HTTP 401: expected to be let in; are credentials configured and right?", id="credentials"
        ),
        pytest.param(hang, "no answer within 0.2 s", id="timeout"),
    ],
)
async def test_what_is_there_does_not_answer_as_flink(fake_flink: FakeFlink, fault: Any, problem: str) -> None:
    fake_flink.fail("/overview", fault)
    code, out, err = await looked(settings(fake_flink.url, timeout="200ms"))
    assert (code, out) == (3, "")
    assert err == f"{PROGRAM}: cluster default: {fake_flink.url}/overview: {problem}\n"


async def test_tls_that_fails(fake_flink: FakeFlink) -> None:
    code, out, err = await looked(fake_flink.url.replace("http:", "https:"))
    assert (code, out) == (3, "")
    assert err.startswith(f"{PROGRAM}: cluster default: https://127.0.0.1:{fake_flink.port}/overview: TLS failed: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ("ordrs-skewed", "no job 'ordrs-skewed' in cluster default; did you mean orders-skewed?"),
        ("nonsense", "no job 'nonsense' in cluster default; jobs are a, b"),
        ("\x1b[2J", r"no job '\x1b[2J' in cluster default; jobs are a, b"),
    ],
)
async def test_a_job_that_is_not_there(fake_flink: FakeFlink, wanted: str, problem: str) -> None:
    names = iter("ab")
    if "ordrs" not in wanted:
        fake_flink.edit(
            "/jobs/overview", lambda reply: {"jobs": [job | {"name": next(names)} for job in reply["jobs"][:2]]}
        )
    with pytest.raises(CannotLook) as error:
        await looked(fake_flink.url, Options(job=wanted))
    assert str(error.value) == problem


async def test_a_job_where_there_are_none(fake_flink: FakeFlink) -> None:
    fake_flink.edit("/jobs/overview", lambda reply: {"jobs": []})
    with pytest.raises(CannotLook) as error:
        await looked(fake_flink.url, Options(job="a"))
    assert str(error.value) == "no job 'a' in cluster default; there are no jobs"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(["--nonsense"], f"unknown flag --nonsense; flags of diagnose are {FLAGS}", id="unknown flag"),
        pytest.param(["--jbo=a"], "unknown flag --jbo; did you mean --job?", id="misspelt flag"),
        pytest.param(["--job"], "argument --job: expected one argument", id="a flag without its value"),
        pytest.param(
            ["--output", "xml"],
            "argument --output: invalid choice: 'xml' (choose from 'table', 'json')",
            id="unknown output",
        ),
        pytest.param(
            ["--flink.url", "prod:8081"],
            "--flink.url: expected a URL such as http://localhost:8081, got 'prod:8081'",
            id="a URL that is none",
        ),
        pytest.param(
            ["--config.file", "/nowhere.yml"], "/nowhere.yml: cannot be read: No such file or directory", id="no file"
        ),
        pytest.param(
            ["--flink.url", NOBODY, "--cluster", "prod"], "no cluster 'prod'; clusters are default", id="no cluster"
        ),
        pytest.param(
            ["--flink.url", NOBODY],
            f"cluster default: {NOBODY}/overview: connection refused; is Flink's REST endpoint there?",
            id="nobody there",
        ),
    ],
)
def test_whatever_prevents_looking_ends_with_3(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diagnose", *arguments]) == 3
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"{PROGRAM}: {problem}\n")


def test_a_cluster_that_is_not_in_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "exporter.yml"
    file.write_text(f"clusters: [{{name: prod, url: '{NOBODY}'}}, {{name: test, url: '{NOBODY}'}}]")
    assert main(["diagnose", "--config.file", str(file), "--cluster", "prd"]) == 3
    assert capsys.readouterr().err == f"{PROGRAM}: no cluster 'prd'; did you mean prod?\n"


def test_certificates_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "exporter.yml"
    file.write_text(f"clusters: [{{name: prod, url: 'https://127.0.0.1:1', tls: {{ca_file: '{file}'}}}}]")
    assert main(["diagnose", "--config.file", str(file)]) == 3
    assert re.fullmatch(rf"{PROGRAM}: tls: expected certificates in PEM, got [^\n]*\n", capsys.readouterr().err)


def test_a_fault_of_our_own_is_a_line_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(diagnose, "exit_code", fails)
    assert main(["diagnose", "--flink.url", NOBODY]) == 3
    problem = f"{PROGRAM}: the exporter failed: ZeroDivisionError: division by zero\n"
    assert capsys.readouterr().err == problem


# ---- The program as its users run it


def started(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "exporter", "diagnose", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | environment,
    )


def test_ctrl_c_ends_it_quietly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        program = started("--flink.url", f"http://127.0.0.1:{silent.getsockname()[1]}")
        silent.settimeout(20)
        connection, _ = silent.accept()
        with connection:
            program.send_signal(signal.SIGINT)
            assert program.communicate(timeout=20) == (b"", b"")
    assert program.returncode == 130


def test_whoever_reads_may_stop_reading() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "wb") as pipe:
        ended = subprocess.run(
            [sys.executable, "-m", "exporter", "diagnose", "--flink.url", NOBODY, "--output", "json"],
            stdout=pipe,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (3, b"")


@pytest.mark.parametrize(
    ("arguments", "looked_before", "code"),
    [
        pytest.param(["--watch"], 1, 1, id="of watching it is the end"),
        pytest.param(["--watch"], None, 130, id="before the first look"),
        pytest.param([], 1, 130, id="of a single look"),
    ],
)
def test_ctrl_c(arguments: list[str], looked_before: int | None, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(running: Running) -> None:
        running.code = looked_before
        raise KeyboardInterrupt

    monkeypatch.setattr(Running, "run", interrupted)
    assert main(["diagnose", "--flink.url", NOBODY, *arguments]) == code
