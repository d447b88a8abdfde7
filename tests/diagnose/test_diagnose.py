"""Does `diagnose` look at what it was asked to, and does it end with the code that a script expects?"""

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
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter import diagnose
from exporter.cli import main
from exporter.config import ClusterSettings, Settings
from exporter.diagnose import CannotLook, Options, Running, exit_code, of_the_moment, troubles
from exporter.publish import api
from exporter.report import Diagnosis
from exporter.signals import skew
from exporter.symptoms.declarations import SYMPTOMS
from exporter.watch import Watch
from tests.diagnose.told import CRITICAL, DOWN, NOTE, PROD, WARNING, diagnosis, job, line
from tests.flink.fake import HTML, FakeFlink, content, hang, status

PROGRAM = "flink-health-exporter"
# Nothing listens there, and nobody but root may.
NOBODY = "http://127.0.0.1:1"
FLAGS = "-h, --help, --config.file, --flink.url, --cluster, --job, --watch, --output, --no-color"


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


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The program, until the end of the block at the longest."""
    command = [sys.executable, "-m", "exporter", "diagnose", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        try:
            yield program
        finally:
            program.kill()


def test_ctrl_c_ends_it_quietly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        with started("--flink.url", f"http://127.0.0.1:{silent.getsockname()[1]}") as program:
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
