"""Is each failure counted once, and for what it was?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.model import Failure, Failures, Job
from exporter.signals._scenarios import CATALOGUE, SCENARIOS, Row
from exporter.signals.failures import SIGNAL, deciding, scenario
from tests.signals.build import Look, down, job, run

TRACES = sorted((Path(__file__).parent / "traces").glob("*.txt"))


def failure(trace: str, *, name: str | None = None, labels: Mapping[str, str] | None = None) -> Failure:
    """What Flink tells of a trace: the class that stands first in it, if nothing else."""
    first = re.search(r"[\w.$]+\.[\w$]*(Exception|Error)", trace)
    assert first is not None, "a trace names an exception"
    return Failure(at=1.0, name=name or first[0], trace=trace, labels=labels or {})


def thrown(what: str, *frames: str, by: str = "") -> str:
    """A trace: what was thrown, where, and by what it was caused."""
    return "\n".join([what, *(f"\tat {frame}(Unknown Source)" for frame in frames)]) + (
        f"\nCaused by: {by}" if by else ""
    )


# How the runtime reaches a map function of the user's.
RUNTIME = (
    "org.apache.flink.streaming.api.operators.StreamMap.processElement",
    "org.apache.flink.streaming.runtime.tasks.StreamTask.invoke",
    "java.base/java.lang.Thread.run",
)


def test_the_scenarios_are_those_of_the_contract() -> None:
    assert set(SCENARIOS) == {
        *("out_of_memory", "checkpoint_timeout", "checkpoint_failure", "kafka_unavailable", "taskmanager_lost"),
        *("serialization", "class_loading", "storage", "resources", "user_code", "other"),
    }


@pytest.mark.parametrize("file", TRACES, ids=lambda file: file.stem)
def test_a_real_trace(file: Path) -> None:
    assert scenario(failure(file.read_text())) == file.stem.partition("-")[0]


@pytest.mark.parametrize("file", TRACES, ids=lambda file: file.stem)
def test_a_real_trace_in_wrappers(file: Path) -> None:
    """What ends a job for good, and what goes through futures, says the same of the cause."""
    cause = file.read_text().removeprefix("Caused by: ")
    wrapped = thrown(
        "org.apache.flink.runtime.JobException: Recovery is suppressed by NoRestartBackoffTimeStrategy",
        "org.apache.flink.runtime.executiongraph.failover.ExecutionFailureHandler.handleFailure",
        by=f"java.util.concurrent.CompletionException: {cause.partition(chr(10))[0]}\nCaused by: {cause}",
    )
    assert scenario(failure(wrapped)) == file.stem.partition("-")[0]


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: f"{row.scenario}: {row.thrown.pattern} {row.says.pattern}")
def test_every_row_is_needed_by_a_real_trace(row: Row) -> None:
    assert any(deciding(failure(file.read_text())) is row for file in TRACES)


def test_every_trace_has_a_source() -> None:
    readme = (TRACES[0].parent / "README.md").read_text()
    told = set(re.findall(r"[\w]+-[\w-]+", re.sub(r"`(\w+-)\{([\w,-]+)\}", _spelled_out, readme)))
    assert [file.stem for file in TRACES if file.stem not in told and not file.stem.startswith("user_code-")] == []


def _spelled_out(found: re.Match[str]) -> str:
    return " ".join(found[1] + end for end in found[2].split(","))


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        pytest.param(
            thrown("java.lang.IllegalStateException: no checkpoint for the kafka topic", "com.acme.Map.map", *RUNTIME),
            "user_code",
            id="what a message mentions is not what happened",
        ),
        pytest.param(
            thrown("java.lang.RuntimeException: TaskManager tm-1 was lost, heartbeat timed out", "com.acme.A.map"),
            "user_code",
            id="nor where it sounds like Flink",
        ),
        pytest.param(
            thrown("com.acme.CheckpointException: Checkpoint not found", "com.acme.Map.map", *RUNTIME),
            "user_code",
            id="a class of the user's that is named like Flink's",
        ),
        pytest.param(
            thrown("java.lang.IllegalStateException: OOMKilled exit code 137", "com.acme.Map.map", *RUNTIME),
            "user_code",
            id="only a container's end is told in plain exceptions",
        ),
        pytest.param(
            thrown("java.util.concurrent.TimeoutException: no answer of the service", "com.acme.Ask.map", *RUNTIME),
            "user_code",
            id="a timeout that is not Kafka's, nor a heartbeat's",
        ),
        pytest.param(
            thrown(
                "java.io.FileNotFoundException: rules.json", "java.base/java.io.FileInputStream.open", "com.acme.A.b"
            ),
            "user_code",
            id="a file of the user's is missing: no state is",
        ),
        pytest.param(
            thrown("java.lang.NullPointerException", "com.acme.Job$$Lambda$12/0x0001.map", *RUNTIME),
            "user_code",
            id="in a lambda of the user's",
        ),
        pytest.param(
            thrown("java.lang.NullPointerException", "app//com.acme.Map.map", *RUNTIME),
            "user_code",
            id="in a class of a named loader",
        ),
        pytest.param(
            thrown("java.lang.ArithmeticException: / by zero", "StreamExecCalc$14.processElement", *RUNTIME),
            "user_code",
            id="in generated code, which does what the query says",
        ),
        pytest.param(
            thrown(
                "org.apache.flink.streaming.runtime.tasks.ExceptionInChainedOperatorException: Could not forward",
                *RUNTIME,
                by=thrown(
                    "java.lang.RuntimeException: no rule", "com.acme.Map.map", by="java.net.ConnectException: refused"
                ),
            ),
            "user_code",
            id="the user's own, around a cause without frames",
        ),
        pytest.param(
            thrown(
                "java.lang.NullPointerException",
                "org.apache.flink.runtime.io.network.api.writer.RecordWriter.emit",
                "com.acme.Map.flatMap",
                *RUNTIME,
            ),
            "other",
            id="in Flink, which the user's code had called",
        ),
        pytest.param(
            thrown(
                "java.lang.IllegalStateException",
                "org.apache.flink.streaming.api.operators.StreamSink$$Lambda/0x7378.accept",
                "StreamExecCalc$14.processElement",
                *RUNTIME,
            ),
            "other",
            id="generated code that only passed a record on",
        ),
        pytest.param(
            thrown(
                "com.mysql.cj.jdbc.exceptions.CommunicationsException: link failure", "com.mysql.cj.Jdbc.x", *RUNTIME
            ),
            "other",
            id="a driver that a connector brought along is nobody's code",
        ),
        pytest.param(
            thrown("org.apache.flink.kafka.shaded.org.apache.kafka.common.errors.RecordTooLargeException: too large"),
            "other",
            id="a Kafka that is there and refuses",
        ),
        pytest.param(
            thrown("org.apache.flink.util.FlinkRuntimeException: Checkpoint storage is odd", *RUNTIME),
            "other",
            id="of Flink, but not about too many failed checkpoints",
        ),
        pytest.param(
            thrown(
                "org.apache.flink.util.FlinkRuntimeException: Exceeded checkpoint tolerable failure threshold.",
                by=thrown("java.lang.RuntimeException: x", by="java.lang.OutOfMemoryError: Java heap space"),
            ),
            "out_of_memory",
            id="memory comes first, wherever it stands in the chain",
        ),
        pytest.param(
            thrown(
                "java.lang.RuntimeException: failed",
                "com.acme.Map.map",
                *RUNTIME,
                by="java.lang.OutOfMemoryError: Metaspace",
            ),
            "out_of_memory",
            id="in the user's code too",
        ),
        pytest.param(
            thrown("org.apache.flink.shaded.netty4.io.netty.util.internal.OutOfDirectMemoryError: failed to allocate"),
            "out_of_memory",
            id="of a network buffer",
        ),
        pytest.param(
            thrown("java.lang.RuntimeException: one", "com.acme.Map.map")
            + "\n\tSuppressed: java.lang.OutOfMemoryError: x",
            "user_code",
            id="what was suppressed did not bring it down",
        ),
        pytest.param(
            thrown(
                "org.apache.flink.runtime.io.network.netty.exception.RemoteTransportException: Error at remote task "
                "manager 'tm-2'.",
                *RUNTIME,
                by="java.lang.OutOfMemoryError: Direct buffer memory",
            ),
            "out_of_memory",
            id="a TaskManager that tells why",
        ),
        pytest.param(thrown("java.lang.Exception: something", *RUNTIME), "other", id="nobody knows"),
        pytest.param("java.lang.Exception", "other", id="no more than a class"),
    ],
)
def test_what_a_trace_means(trace: str, expected: str) -> None:
    assert scenario(failure(trace)) == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param({"scenario": "storage"}, "storage", id="an enricher that knows"),
        pytest.param({"a": "x", "b": "Kafka_Unavailable"}, "kafka_unavailable", id="whatever it calls it"),
        pytest.param({"TYPE": "SYSTEM"}, "resources", id="not ours: the trace decides"),
        pytest.param({"TYPE": "USER"}, "resources", id="Flink's own says USER of much: the catalogue comes first"),
        pytest.param({}, "resources", id="none"),
    ],
)
def test_labels_come_first(labels: dict[str, str], expected: str) -> None:
    trace = "org.apache.flink.runtime.jobmanager.scheduler.NoResourceAvailableException: Could not acquire"
    assert scenario(failure(trace, labels=labels)) == expected


def test_flinks_own_label_decides_where_nothing_else_does() -> None:
    assert scenario(failure("java.lang.Exception: odd", labels={"TYPE": "USER"})) == "user_code"
    assert scenario(failure("java.lang.Exception: odd", labels={"TYPE": "SYSTEM"})) == "other"


def test_the_class_that_flink_names_counts_where_it_gives_no_trace() -> None:
    assert scenario(Failure(at=1.0, name="java.lang.OutOfMemoryError", trace="")) == "out_of_memory"


# Counting

OOM = Failure(at=0.0, name="java.lang.OutOfMemoryError", trace="")
SLOTS = Failure(at=0.0, name="org.apache.flink.runtime.jobmanager.scheduler.NoResourceAvailableException", trace="")


def failed(*entries: Failure | float, truncated: bool = False, now: float = 1000.0, **made: float | str) -> Job:
    """A job with this exception history, oldest first; a plain number is when it ran out of memory."""
    history = tuple(entry if isinstance(entry, Failure) else replace(OOM, at=entry) for entry in entries)
    return replace(job(now=now, **made), failures=Failures(entries=history, truncated=truncated))  # type: ignore[arg-type]


def at(time: float, kind: Failure = OOM, task: str | None = None) -> Failure:
    return replace(kind, at=time, task=task)


def seen(*jobs: Job) -> list[Look]:
    return [(job, job.now) for job in jobs]


def counts(looks: Sequence[Look]) -> dict[str, float]:
    """Of the counters those that are not 0."""
    said = run(SIGNAL, looks)
    totals = {
        name.removeprefix("job_failures_total"): value for name, value in said.items() if "failures_total" in name
    }
    return {name.strip("{}"): value for name, value in totals.items() if value}


def test_all_counters_begin_at_nought() -> None:
    """A counter that appears with its first failure has no increase that Prometheus could see."""
    families = ("job_failures_total", "job_failures_recent")
    assert run(SIGNAL, seen(failed())) == {f"{family}{{{name}}}": 0 for family in families for name in SCENARIOS}


def test_a_job_that_has_failed_for_good_counts_nothing() -> None:
    assert run(SIGNAL, seen(failed(1), failed(1, 2, state="FAILED"))) == {}


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        pytest.param([failed(1, 2)], {"out_of_memory": 2}, id="first sight: what Flink remembers"),
        pytest.param([failed(1), failed(1), failed(1)], {"out_of_memory": 1}, id="each once, as often as it is read"),
        pytest.param([failed(1), failed(1, 2)], {"out_of_memory": 2}, id="one more"),
        pytest.param(
            [failed(1), failed(1, at(2, SLOTS))], {"out_of_memory": 1, "resources": 1}, id="one more of another kind"
        ),
        pytest.param([failed(1), failed(2, 3)], {"out_of_memory": 3}, id="the first has left the history"),
        pytest.param(
            [failed(at(1, task="map (1/2)")), failed(at(1, task="map (1/2)"), at(1, task="map (2/2)"))],
            {"out_of_memory": 2},
            id="two tasks at one moment",
        ),
        pytest.param([failed(1), failed(1, at(1, SLOTS))], {"out_of_memory": 1, "resources": 1}, id="two classes"),
        pytest.param(
            [failed(1, 2), failed(started_at=500.0), failed(600, started_at=500.0)],
            {"out_of_memory": 3},
            id="a new JobManager remembers nothing, and we all",
        ),
        pytest.param(
            [failed(1, 2), failed(3, 4, truncated=True)],
            {"out_of_memory": 4, "other": 1},
            id="nothing of what was known is left of a full history: more may have come and gone",
        ),
        pytest.param([failed(1, 2), failed(2, 3, truncated=True)], {"out_of_memory": 3}, id="full, but it overlaps"),
        pytest.param([failed(1, 2, truncated=True)], {"out_of_memory": 2}, id="full at first sight: nobody missed it"),
        pytest.param(
            [failed(1, 2), failed(3, 4, truncated=True), failed(3, 4, truncated=True)],
            {"out_of_memory": 4, "other": 1},
            id="the gap is told once",
        ),
        pytest.param([failed(1), failed(2, id="another")], {"out_of_memory": 1}, id="redeployed: another job"),
        pytest.param(
            [failed(1), job(now=900), failed(1, 2)], {"out_of_memory": 2}, id="a look at which it was not read"
        ),
    ],
)
def test_counting(looks: list[Job], expected: dict[str, float]) -> None:
    assert counts(seen(*looks)) == expected


def test_counters_outlive_an_outage() -> None:
    looks: list[Look] = [*seen(failed(1)), (down(at=1100.0), 1100.0), *seen(failed(1, 2, now=1200.0))]
    assert counts(looks) == {"out_of_memory": 2}


def test_flink_may_remember_more_than_we_do() -> None:
    """`web.exception-history-size` is whatever it is set to: what was forgotten is not news."""
    times = [float(number) for number in range(1, 301)]
    assert counts(seen(*[failed(*times)] * 4)) == {"out_of_memory": 300}
    assert counts(seen(failed(*times), failed(*times[1:], 301.0))) == {"out_of_memory": 301}


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        # now is 1000, so those since 400
        pytest.param([failed(400, 700)], {"out_of_memory": 2}, id="at first sight, by when Flink says that they were"),
        pytest.param([failed(399, 700)], {"out_of_memory": 1}, id="one of 601 s ago is none"),
        pytest.param([failed(700, at(800, SLOTS))], {"out_of_memory": 1, "resources": 1}, id="each for what it was"),
        pytest.param([failed(700), failed(700, 900)], {"out_of_memory": 2}, id="one more"),
        # 1301 - 700 = 601, 1301 - 900 = 401
        pytest.param([failed(700, 900), failed(700, 900, now=1301)], {"out_of_memory": 1}, id="the older is forgotten"),
        pytest.param([failed(700, 900), failed(now=1501)], {}, id="and so is the other"),
        pytest.param([failed(100), failed(100, 900)], {"out_of_memory": 1}, id="the first in a long time"),
        pytest.param([failed(700), failed(started_at=950.0)], {"out_of_memory": 1}, id="a new JobManager knows none"),
        pytest.param([failed(now=300)], {}, id="none, at whatever time"),
        pytest.param([failed(1001)], {"out_of_memory": 1}, id="one that came after the look began"),
        pytest.param(
            [failed(1, 2), failed(700, 800, truncated=True)],
            {"out_of_memory": 2, "other": 1},
            id="a gap in the history: it ended when the oldest that is left came",
        ),
        pytest.param([failed(1, 2), failed(300, 800, truncated=True)], {"out_of_memory": 1}, id="which is long ago"),
        pytest.param([failed(*range(2, 1001, 2))], {"out_of_memory": 301}, id="many: 400, 402 … 1000"),
    ],
)
def test_failures_of_late(looks: list[Job], expected: dict[str, float]) -> None:
    said = run(SIGNAL, seen(*looks))
    recent = {scenario: said.get(f"job_failures_recent{{{scenario}}}") for scenario in SCENARIOS}
    assert recent == dict.fromkeys(SCENARIOS, 0) | expected


def test_when_last() -> None:
    looks = seen(failed(1, at(5, SLOTS)), failed(1, at(5, SLOTS), 6, 7))
    last = {name: value for name, value in run(SIGNAL, looks).items() if "last_timestamp" in name}
    assert last == {
        "job_failure_last_timestamp_seconds{out_of_memory}": 7,
        "job_failure_last_timestamp_seconds{resources}": 5,
    }


def test_nothing_is_said_of_what_was_not_read() -> None:
    assert run(SIGNAL, seen(job(now=900))) == {}
    assert run(SIGNAL, seen(failed(1), job(state="FAILED", epoch=None, now=900))) == {}
