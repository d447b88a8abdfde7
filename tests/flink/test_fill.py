"""Do REST and the reporter say the same, is nothing asked twice or in vain, and nothing that nobody wants?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from math import isnan
from urllib.parse import parse_qs, unquote, urlsplit

import aiohttp
import pytest

from exporter.flink import replies
from exporter.flink.reporter import family_name
from exporter.flink.rest import Rest
from exporter.flink.scrape import Scraper
from exporter.model import Cluster, Job, Part, Raw, Scope, Vertex
from exporter.signals import SIGNALS
from exporter.signals.base import Signal
from tests.flink import fake
from tests.flink.fake import VERSIONS, FakeFlink
from tests.flink.reading import AT_ONCE, NEEDS, gate, scraper

HEAP_USED = Raw(Scope.TASKMANAGER, "Status.JVM.Memory.Heap.Used")
RECORDS_IN = Raw(Scope.TASK, "numRecordsIn")
RECORDS_OUT = Raw(Scope.TASK, "numRecordsOut")
OUT_WATERMARK = Raw(Scope.OPERATOR, "currentOutputWatermark")


# Flink takes the time a task was busy for what is left of the time it was there, and learns of the idle and of the
# backpressured time late: seen to fall by up to a second, on every version.
NOT_MONOTONE = 1500.0


async def look(reads: Scraper) -> Cluster:
    """One look, at which nothing fails."""
    scrape = await reads.scrape()
    assert scrape.errors == ()
    return scrape.cluster


def named(cluster: Cluster, name: str) -> Job:
    (found,) = [job for job in cluster.jobs or () if job.name == name]
    return found


def vertices(cluster: Cluster) -> Iterator[tuple[str, Vertex]]:
    for job in cluster.jobs or ():
        for vertex in job.vertices:
            yield f"{job.name}: {vertex.name}", vertex


def columns(vertex: Vertex) -> dict[tuple[str, Raw], list[float]]:
    """All columns of a vertex, its own and those of its operators."""
    own = {("", raw): list(column) for raw, column in vertex.readings.items()}
    return own | {
        (operator, raw): list(column)
        for operator, readings in vertex.operators.items()
        for raw, column in readings.items()
    }


def asked(flink: FakeFlink) -> set[str]:
    """The metrics that were asked of REST so far, subtasks and operators left off."""
    found = set()
    for request in flink.requests:
        path, _, query = request.partition("?get=")
        for name in filter(None, map(unquote, query.split(","))):
            found.add(re.sub(r"^\d+\.", "", name) if "/vertices/" in path else name)
    return found


# Two sources, one truth


@pytest.mark.parametrize("version", VERSIONS)
async def test_rest_alone_says_what_the_reporters_say(version: str, session: aiohttp.ClientSession) -> None:
    async with fake.running(version) as flink:
        by_rest, by_reporter = scraper(session, flink, by_reporter=False), scraper(session, flink)
        before, told = await look(by_rest), await look(by_reporter)
        flink.advance()
        after = await look(by_rest)
    first, second, last = dict(vertices(before)), dict(vertices(told)), dict(vertices(after))
    assert list(first) == list(second)
    for name, vertex in second.items():
        assert columns(first[name]).keys() == columns(vertex).keys(), name
        assert first[name].operators.keys() == vertex.operators.keys(), name
        assert [source.name for source in first[name].sources] == [source.name for source in vertex.sources], name
        for key, column in columns(vertex).items():
            _, raw = key
            assert (len(column), list(map(isnan, column))) == (
                vertex.parallelism,
                list(map(isnan, columns(first[name])[key])),
            )
            # The reporters were read after the store of the first look, and before that of the second.
            if raw.name.startswith(("num", "accumulate", "current")):
                low, high = columns(first[name])[key], columns(last[name])[key]
                slack = NOT_MONOTONE if raw.name.startswith("accumulate") else 0.0
                within = (a - slack <= b <= c + slack for a, b, c in zip(low, column, high, strict=True) if b == b)
                assert all(within), (name, raw)
    for one, other in zip(before.taskmanagers or (), told.taskmanagers or (), strict=True):
        assert one.readings.keys() == other.readings.keys()
    assert before.jobmanager == told.jobmanager
    for job in told.jobs or ():
        assert (job.readings, job.checkpoints) == (
            named(before, job.name).readings,
            named(before, job.name).checkpoints,
        )


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_one_reporter_does_not_tell_rest_tells(version: str, session: aiohttp.ClientSession) -> None:
    async with fake.running(version) as flink:
        told = await look(scraper(session, flink))
        silent, *_ = flink.reporters
        await flink.reporters[silent].close()
        scrape = await scraper(session, flink).scrape()
    assert scrape.taskmanagers_by_reporter == 1
    everything, filled = dict(vertices(told)), dict(vertices(scrape.cluster))
    for name, vertex in filled.items():
        assert columns(vertex).keys() == columns(everything[name]).keys(), name
        for key, column in columns(vertex).items():
            assert list(map(isnan, column)) == list(map(isnan, columns(everything[name])[key])), (name, key)
    by_id = {tm.id: tm for tm in told.taskmanagers or ()}
    for tm in scrape.cluster.taskmanagers or ():
        assert tm.readings.keys() == by_id[tm.id].readings.keys()


@pytest.mark.parametrize("by_reporter", [True, False], ids=["by reporter", "by REST alone"])
async def test_a_source_has_the_columns_of_its_task(
    by_reporter: bool, fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    cluster = await look(scraper(session, fake_flink, [RECORDS_OUT, OUT_WATERMARK], by_reporter=by_reporter))
    tasks = {name: vertex for name, vertex in vertices(cluster) if vertex.sources}
    assert len(tasks) > 5
    for name, vertex in tasks.items():
        for source in vertex.sources:
            assert source.task.keys() == {RECORDS_OUT}, name
            assert list(source.task[RECORDS_OUT]) == list(vertex.readings[RECORDS_OUT]), name
            assert len(source.task[RECORDS_OUT]) == vertex.parallelism, name


async def test_a_silent_reporters_subtasks_are_asked_of_rest_and_no_others(
    fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    silent, speaking = fake_flink.reporters
    await fake_flink.reporters[silent].close()
    job = fake_flink.look.job("orders-skewed")
    for vertex in fake_flink.look.vertices("orders-skewed"):
        await look(scraper(session, fake_flink, [RECORDS_IN]))
        page = fake_flink.reporters[speaking].page().decode()
        told = set(re.findall(rf'numRecordsIn{{job_id="{job}",task_id="{vertex}".*subtask_index="(\d+)"', page))
        assert told in ({"0"}, {"1"})  # each TaskManager has one of the two
        (request,) = set(fake_flink.asked(f"/jobs/{job}/vertices/{vertex}/metrics"))
        assert request.endswith(f"?get={({'0', '1'} - told).pop()}.numRecordsIn")


# Nothing twice, nothing in vain


async def test_what_a_reporter_told_is_not_asked_again(fake_flink: FakeFlink, session: aiohttp.ClientSession) -> None:
    await look(scraper(session, fake_flink, [HEAP_USED, RECORDS_IN, RECORDS_OUT, OUT_WATERMARK]))
    assert asked(fake_flink) == {"numRegisteredTaskManagers"}
    assert fake_flink.asked("/jobs/*/vertices/*/subtasks/metrics") == []


async def test_what_the_store_lacked_while_a_task_began_is_found_later(
    fake_flink: FakeFlink, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its metrics come into the store one by one: a look may find that it is busy, and no records."""
    monkeypatch.setattr("exporter.flink.fill._BELIEVED", 0.0)
    reads = scraper(session, fake_flink, [RECORDS_IN, RECORDS_OUT], by_reporter=False)

    def some(values: list[dict[str, str]]) -> list[dict[str, str]]:
        return [value for value in values if not value["id"].endswith(RECORDS_IN.name)]

    fake_flink.edit("/jobs/*/vertices/*/metrics", some)
    assert {*chain(*(vertex.readings for _, vertex in vertices(await look(reads))))} == {RECORDS_OUT}
    fake_flink.edit("/jobs/*/vertices/*/metrics", lambda values: values)
    assert {*chain(*(vertex.readings for _, vertex in vertices(await look(reads))))} == {RECORDS_IN, RECORDS_OUT}


async def test_what_nobody_has_is_not_asked_at_every_look_but_after_a_restart(
    fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    nowhere = Raw(Scope.TASK, "numOfNothing")
    reads = scraper(session, fake_flink, [RECORDS_IN, nowhere])
    for _ in range(3):
        cluster = await look(reads)
    running = len([vertex for _, vertex in vertices(cluster) if vertex.running])
    assert len(fake_flink.asked("/jobs/*/vertices/*/metrics")) == running
    fake_flink.forget()
    restarted = fake_flink.look.job("orders-skewed")

    def later(reply: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
        return {**reply, "timestamps": {**reply["timestamps"], "RUNNING": reply["timestamps"]["RUNNING"] + 60_000}}

    fake_flink.edit(f"/jobs/{restarted}", later)
    for _ in range(2):
        await look(reads)
    asked_again = fake_flink.asked("/jobs/*/vertices/*/metrics")
    assert {request.split("/")[2] for request in asked_again} == {restarted}
    assert len(asked_again) == len(fake_flink.look.vertices("orders-skewed"))


async def test_a_store_that_is_empty_yet_does_not_mean_that_there_is_nothing(
    fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    reads = scraper(session, fake_flink, by_reporter=False)
    fake_flink.edit("/jobs/*/vertices/*/metrics", lambda _values: [])
    first = await look(reads)
    assert {len(columns(vertex)) for _, vertex in vertices(first)} == {0}
    fake_flink.edit("/jobs/*/vertices/*/metrics", lambda values: values)
    second = await look(reads)
    fresh = dict(vertices(await look(scraper(session, fake_flink, by_reporter=False))))
    for name, vertex in vertices(second):
        assert columns(vertex).keys() == columns(fresh[name]).keys() != set()


async def test_names_of_operators_are_asked_where_a_reporter_does_not_tell_and_then_believed_for_a_while(
    fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    reads = scraper(session, fake_flink, [OUT_WATERMARK], by_reporter=False)
    for _ in range(3):
        cluster = await look(reads)
    listed = fake_flink.asked("/jobs/*/vertices/*/subtasks/metrics")
    assert len(listed) == len(set(listed)) == len(list(vertices(cluster)))


async def test_partitions_of_kafka_are_found_among_the_names_of_a_source(
    fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    current, committed = Raw(Scope.PARTITION, "currentOffset"), Raw(Scope.PARTITION, "committedOffset")
    source, aggregation = fake_flink.look.vertices("orders-skewed")
    of = f"/jobs/{fake_flink.look.job('orders-skewed')}/vertices"
    prefix = "Source__orders[12].KafkaSourceReader.topic.my.orders.partition"
    values = {
        f"0.{prefix}.7.currentOffset": "42",
        f"0.{prefix}.7.committedOffset": "-1",
        f"1.{prefix}.8.currentOffset": "43",
    }
    fake_flink.edit(
        f"{of}/{source}/subtasks/metrics",
        lambda reply: [*reply, *({"id": name[2:]} for name in values)],
    )
    fake_flink.edit(
        f"{of}/{source}/metrics",
        lambda reply: [*reply, *({"id": name, "value": value} for name, value in values.items())],
    )
    cluster = await look(scraper(session, fake_flink, [OUT_WATERMARK, current, committed], by_reporter=False))
    (operator,) = named(cluster, "orders-skewed").vertices[0].sources
    assert operator.partitions == {"my_orders-7": {current: 42.0}, "my_orders-8": {current: 43.0}}
    # The long list of names is asked of nobody who has none.
    assert f"{of}/{source}/metrics" in fake_flink.requests
    assert f"{of}/{aggregation}/metrics" not in fake_flink.requests


# Exactly what is needed


PATHS = {
    Part.CONFIGURATION: "/jobmanager/config",
    Part.CHECKPOINTS: "/jobs/*/checkpoints",
    Part.CHECKPOINT_SETTINGS: "/jobs/*/checkpoints/config",
    Part.CHECKPOINT_PHASES: "/jobs/*/checkpoints/details/**",
    Part.FAILURES: "/jobs/*/exceptions",
    Part.RESTART_STRATEGY: "/jobs/*/config",
    Part.HOSTS: "/jobs/*/vertices/*/taskmanagers",
}


def asked_of_reporters(flink: FakeFlink) -> set[str]:
    """The families that were asked of the reporters so far."""
    requests = [request for reporter in flink.reporters.values() for request in reporter.requests]
    names = [parse_qs(urlsplit(request).query).get("name[]") for request in requests]
    assert all(names)  # without any, all would come
    return {name for some in names for name in some or ()}


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
async def test_a_signal_has_that_read_which_it_needs_and_nothing_else(
    signal: Signal, fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    for by_reporter in (False, True):
        fake_flink.forget()
        await look(scraper(session, fake_flink, signal.needs, by_reporter=by_reporter))
        for part, path in PATHS.items():
            needed = part in signal.needs and part is not Part.CHECKPOINT_PHASES  # which is read on demand
            # The configuration tells where the reporters are, and what the default restart strategy is.
            needed |= part is Part.CONFIGURATION and (by_reporter or Part.RESTART_STRATEGY in signal.needs)
            # Whether a job has checkpoints decides what restarts it where nobody chose.
            needed |= part is Part.CHECKPOINT_SETTINGS and Part.RESTART_STRATEGY in signal.needs
            assert bool(fake_flink.asked(path)) is needed, path
        raws = [need for need in signal.needs if isinstance(need, Raw)]
        names = "|".join(re.escape(raw.name).replace(r"\*", r"\w+") for raw in raws)
        for name in asked(fake_flink) - {"numRegisteredTaskManagers"}:
            assert re.fullmatch(rf"(.+\.)?({names})", name)
    families = [family_name(raw._replace(name=raw.name.replace("*", "ANY"))).replace("ANY", r"\w+") for raw in raws]
    for family in asked_of_reporters(fake_flink):
        assert re.fullmatch("|".join(families), family)


async def test_where_nothing_is_needed_only_the_structure_is_read(
    fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    await look(scraper(session, fake_flink, ()))
    structure = {"/overview", "/jobs/overview", "/taskmanagers", "/jobmanager/config"}
    jobs = {f"/jobs/{job['jid']}" for job in fake_flink.look.replies["/jobs/overview"]["jobs"] if job["end-time"] < 0}
    rest = {request for request in fake_flink.requests if request not in structure | jobs}
    (backpressure,) = fake_flink.asked("/jobs/*/vertices/*/backpressure")
    assert rest == {"/jobmanager/metrics?get=numRegisteredTaskManagers", backpressure}
    assert [reporter.requests for reporter in fake_flink.reporters.values()] == [[], []]


async def test_a_job_that_has_ended_is_asked_nothing(fake_flink: FakeFlink, session: aiohttp.ClientSession) -> None:
    cluster = await look(scraper(session, fake_flink))
    for name in ("report-finished", "backfill-canceled"):
        assert fake_flink.asked(f"/jobs/{named(cluster, name).id}/**") == []
        assert fake_flink.asked(f"/jobs/{named(cluster, name).id}") == []


# Gently


@pytest.mark.parametrize("by_reporter", [True, False])
async def test_few_at_once_and_only_get(
    by_reporter: bool, fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    fake_flink.latency = 0.002
    await look(scraper(session, fake_flink, by_reporter=by_reporter))
    servers = (fake_flink, fake_flink.jobmanager_reporter, *fake_flink.reporters.values())
    assert fake_flink.at_most == AT_ONCE
    assert {method for server in servers for method in server.methods} == {"GET"}


async def test_the_names_of_a_wide_vertex_are_spread_over_request_lines_that_flink_takes(
    fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    job = fake_flink.look.job("orders-skewed")

    def wider(reply: dict[str, list[dict[str, object]]]) -> dict[str, object]:
        return {**reply, "vertices": [{**vertex, "parallelism": 700} for vertex in reply["vertices"]]}

    fake_flink.edit(f"/jobs/{job}", wider)
    cluster = await look(scraper(session, fake_flink, NEEDS, by_reporter=False))
    _, aggregation = named(cluster, "orders-skewed").vertices
    requests = fake_flink.asked(f"/jobs/{job}/vertices/{aggregation.id}/metrics")
    lines = [f"GET {request} HTTP/1.1" for request in requests]
    assert len(lines) > 20
    assert max(map(len, lines)) < fake.REQUEST_LINE
    assert max(map(len, lines)) > 3800  # and no more of them than needed
    names = [unquote(name) for request in requests for name in request.partition("?get=")[2].split(",")]
    assert len(names) == len(set(names))
    assert {f"{index}.numRecordsIn" for index in range(700)} <= set(names)
    column = aggregation.readings[RECORDS_IN]
    assert [isnan(value) for value in column] == [False, False, *[True] * 698]


@pytest.mark.parametrize(
    ("names", "most", "groups"),
    [
        pytest.param([], 10, [], id="nothing"),
        pytest.param(["a", "b"], 10, [["a", "b"]], id="all in one"),
        pytest.param(["aaaa", "bbbb", "c"], 10, [["aaaa", "bbbb"], ["c"]], id="as many as fit, commas counted"),
        pytest.param(["a" * 20, "b"], 10, [["a" * 20], ["b"]], id="one that is too long by itself"),
    ],
)
def test_chunks(names: list[str], most: int, groups: list[list[str]]) -> None:
    assert replies.chunked(names, most) == groups


# The API


async def test_a_base_with_a_path_keeps_it(fake_flink: FakeFlink, session: aiohttp.ClientSession) -> None:
    api = Rest(gate(session), f"{fake_flink.url}/proxy/application_1/")
    with pytest.raises(Exception, match="HTTP 404"):
        await api.overview()
    assert fake_flink.requests == ["/proxy/application_1/overview"]


async def test_names_are_quoted(fake_flink: FakeFlink, session: aiohttp.ClientSession) -> None:
    api = Rest(gate(session), fake_flink.url)
    job, vertex = fake_flink.look.job("orders-skewed"), fake_flink.look.vertices("orders-skewed")[1]
    name = next(
        name
        for name in fake_flink.look.metrics[f"/jobs/{job}/vertices/{vertex}/metrics"]
        if name.startswith("0.") and name.endswith("].numRecordsIn")
    )
    values = await api.subtask_metrics(job, vertex, [name, "0.nonsense"])
    assert list(values) == [name]
    assert "[" not in fake_flink.requests[0]
    tm = fake_flink.look.taskmanagers[0]
    assert await api.taskmanager_metrics(tm, ["Status.JVM.Memory.Heap.Used"])
    assert fake_flink.requests[1].startswith(f"/taskmanagers/{tm.replace(':', '%3A')}/metrics?")


async def test_a_reply_of_somebody_else_names_the_address(
    fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    fake_flink.fail("/overview", fake.content(b'{"status": "UP"}'))
    with pytest.raises(Exception) as caught:
        await Rest(gate(session), fake_flink.url).overview()
    expected = "expected Flink's overview, got an object with status (KeyError: 'slots-total')"
    assert str(caught.value) == f"{fake_flink.url}/overview: {expected}"
