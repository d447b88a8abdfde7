"""Are Flink's latency histograms read where they are on, by either way, and is nothing asked for where they are off?

The lines and names are as seen on Flink 2.3 with `metrics.latency.interval: 1000`.
"""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from exporter.flink.readings import Address
from exporter.flink.reporter import Lines, Page, family_name
from exporter.model import Raw, Scope, Vertex
from exporter.signals.latency import SIGNAL
from tests.flink.fake import FakeFlink, running
from tests.flink.reading import scraper

BY_OPERATOR = Raw(Scope.LATENCY, "source_id.operator_id.operator_subtask_index.latency_p99")
SINGLE = Raw(Scope.LATENCY, "operator_id.operator_subtask_index.latency_p99")


def test_the_reporters_names() -> None:
    groups = "operator_id_operator_subtask_index_latency"
    assert family_name(BY_OPERATOR) == f"flink_taskmanager_job_task_latency_source_id_{groups}"
    assert family_name(SINGLE) == f"flink_taskmanager_job_task_latency_{groups}"
    assert set(SIGNAL.needs) == {BY_OPERATOR, SINGLE}


FAMILY = family_name(BY_OPERATOR)


def series(source: str, operator: str, subtask: int, *, quantile: str | None = "0.99", name: str = FAMILY) -> str:
    labels = {
        "job_id": "j",
        "source_id": source,
        "operator_subtask_index": str(subtask),
        "task_id": "t",
        "operator_id": operator,
        "tm_id": "tm_1",
        "subtask_index": str(subtask),
        **({} if quantile is None else {"quantile": quantile}),
    }
    block = "".join(f'{label}="{value}",' for label, value in labels.items())
    return f"{name}{{{block}}}"


def page(*lines: str) -> bytes:
    return "\n".join([f"# HELP {FAMILY} latency", f"# TYPE {FAMILY} summary", *lines, ""]).encode()


@pytest.mark.parametrize(
    ("lines", "cells"),
    [
        pytest.param(
            [series("s", "t", 0) + " 128.0", series("s", "t", 1) + " 127.0"], {0: 128, 1: 127}, id="by subtask"
        ),
        pytest.param([series("a", "t", 0) + " 5.0", series("b", "t", 0) + " 9.0"], {0: 9}, id="two sources: the worse"),
        pytest.param([series("a", "t", 0) + " 9.0", series("b", "t", 0) + " 5.0"], {0: 9}, id="in whatever order"),
        pytest.param(
            [series("s", "t", 0) + " 9.0", series("s", "o", 0) + " 8.0"], {0: 9}, id="two operators of a chain"
        ),
        pytest.param([series("s", "t", 0) + " NaN", series("s", "o", 0) + " 8.0"], {0: 8}, id="one has no marker yet"),
        pytest.param(
            [
                series("s", "t", 0, quantile=None, name=FAMILY + "_count") + " 30.0",
                series("s", "t", 0, quantile="0.5") + " 300.0",
                series("s", "t", 0) + " 5.0",
                series("s", "t", 0, quantile="0.999") + " 500.0",
            ],
            {0: 5},
            id="no other quantile, and not how many there were",
        ),
        pytest.param(
            [series("s\\\\x", "t", 0) + " 9.0", series("s", "t", 0) + " 5.0", series("s\\\\y", "t", 0) + " 7.0"],
            {0: 9},
            id="an odd line is as good",
        ),
        pytest.param([series("s", "t", 0, quantile="0.5") + " 300.0"], None, id="nothing that is wanted"),
    ],
)
def test_of_a_page_the_greatest_p99_of_each_subtask_is_read(lines: list[str], cells: dict[int, float] | None) -> None:
    read = Lines([BY_OPERATOR])
    expected = {} if cells is None else {Address(BY_OPERATOR, ("j", "t")): cells}
    for _ in range(2):  # the second time all series are known
        read.feed(page(*lines))
        found = read.finish()
        assert (found.cells, found.bad_lines) == (expected, 0)


def test_a_value_of_the_page_before_does_not_stay() -> None:
    read = Lines([BY_OPERATOR])
    for value in (9.0, 5.0):
        read.feed(page(series("s", "t", 0) + f" {value}"))
        assert read.finish() == Page("tm_1", {Address(BY_OPERATOR, ("j", "t")): {0: value}}, 0)


def histogram(source: str, operator: str, subtask: int, quantile: str = "p99") -> str:
    groups = f"source_id.{source}.operator_id.{operator}.operator_subtask_index.{subtask}"
    return f"latency.{groups}.latency_{quantile}"


# Two subtasks, two sources, two operators; what is asked for is every p99, of the subtask that its name tells.
VALUES = {
    histogram("a", "t", 0): 5.0,
    histogram("b", "t", 0): 9.0,
    histogram("a", "o", 0): 7.0,
    histogram("a", "t", 1): 3.0,
}
OTHERS = [
    histogram("a", "t", 0, "p999"),
    histogram("a", "t", 0, "mean"),
    "mailboxLatencyMs_p99",
    # Granularity `subtask`:
    "latency.source_id.a.source_subtask_index.0.operator_id.t.operator_subtask_index.0.latency_p99",
]


def subtask_of(name: str) -> str:
    return name.removesuffix(".latency_p99").rpartition(".")[2]


async def looked(flink: FakeFlink, session: aiohttp.ClientSession, *, by_reporter: bool) -> Vertex:
    cluster = (await scraper(session, flink, SIGNAL.needs, by_reporter=by_reporter).scrape()).cluster
    (job,) = [job for job in cluster.jobs or () if job.id == flink.look.job("orders-skewed")]
    return next(vertex for vertex in job.vertices if vertex.inputs)


async def test_rest_alone_tells_the_same(session: aiohttp.ClientSession) -> None:
    async with running("2.3") as flink:
        job, vertex = flink.look.job("orders-skewed"), (await looked(flink, session, by_reporter=False)).id
        path = f"/jobs/{job}/vertices/{vertex}"

        def with_names(reply: Any) -> Any:
            return [*reply, *({"id": name} for name in (*VALUES, *OTHERS))]

        flink.edit(f"{path}/subtasks/metrics", with_names)

        def with_values(reply: Any) -> Any:
            return [*reply, *({"id": f"{subtask_of(name)}.{name}", "value": str(VALUES[name])} for name in VALUES)]

        flink.edit(f"{path}/metrics", with_values)
        found = await looked(flink, session, by_reporter=False)
        assert {raw: list(values) for raw, values in found.readings.items()} == {BY_OPERATOR: [9.0, 3.0]}
        (request,) = flink.asked(f"{path}/metrics")
        names = request.partition("get=")[2].split(",")
        assert sorted(names) == sorted(f"{subtask_of(name)}.{name}" for name in VALUES)


@pytest.mark.parametrize("by_reporter", [True, False])
async def test_where_they_are_off_no_value_is_asked_for(by_reporter: bool, session: aiohttp.ClientSession) -> None:
    async with running("2.3") as flink:
        assert (await looked(flink, session, by_reporter=by_reporter)).readings == {}
        assert not [request for request in flink.asked("/jobs/*/vertices/*/metrics") if "get=" in request]
