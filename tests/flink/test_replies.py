"""Do replies of every version mean what they should, and are those of nobody told apart from Flink's?"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest

from exporter.flink import replies
from exporter.flink.readings import column, plain, reading
from exporter.flink.replies import Malformed
from exporter.model import Checkpoint, Checkpoints, CheckpointSettings, Raw, Scope, TaskManager
from tests.flink.fake import VERSIONS, Look, recording

# Recorded replies

PARSERS: dict[str, Callable[[Any], Any]] = {
    "/overview": replies.overview,
    "/jobs/overview": replies.jobs,
    "/taskmanagers": replies.taskmanagers,
    "/jobmanager/config": replies.configuration,
    "/jobs/[0-9a-f]{32}": replies.job_detail,
    "/jobs/[^/]+/checkpoints": replies.checkpoints,
    "/jobs/[^/]+/checkpoints/config": replies.checkpoint_settings,
    "/jobs/[^/]+/checkpoints/details/[0-9]+": replies.slowest_vertex,
    "/jobs/[^/]+/checkpoints/details/[0-9]+/subtasks/[^/]+": replies.phases,
    "/jobs/[^/]+/exceptions": replies.failures,
    "/jobs/[0-9a-f]{32}/config": replies.restart_prose,
    "/jobs/[^/]+/vertices/[^/]+/taskmanagers": replies.hosts,
    "/jobs/[^/]+/vertices/[^/]+/backpressure": replies.store_refreshed_at,
    "/jobs/[^/]+/vertices/[^/]+/subtasks/metrics": replies.metric_names,
}

LOOKS = [
    pytest.param(look, id=f"{version} look {number}")
    for version in VERSIONS
    for number, look in enumerate(recording(version), 1)
]


@pytest.mark.parametrize("look", LOOKS)
def test_every_recorded_reply_is_read_by_its_parser(look: Look) -> None:
    read = dict.fromkeys(PARSERS, 0)
    for path, reply in look.replies.items():
        for pattern, parse in PARSERS.items():
            if re.fullmatch(pattern, path):
                assert parse(reply) is not None
                read[pattern] += 1
    assert all(read.values())


@pytest.mark.parametrize("look", LOOKS)
def test_the_jobs_of_a_recording(look: Look) -> None:
    states = {job.name: job.state for job in replies.jobs(look.replies["/jobs/overview"])}
    assert states == {
        "payments-healthy": "RUNNING",
        "orders-skewed": "RUNNING",
        "clicks-stalled-watermark": "RUNNING",
        "invoices-restarting": "RUNNING",
        "enrich-backpressured": "RUNNING",
        "sessions-growing-state": "RUNNING",
        "report-finished": "FINISHED",
        "backfill-canceled": "CANCELED",
    }


@pytest.mark.parametrize("look", LOOKS)
def test_the_graph_of_a_recorded_job(look: Look) -> None:
    detail = replies.job_detail(look.replies[f"/jobs/{look.job('clicks-stalled-watermark')}"])
    web, mobile, windows = detail.vertices
    assert [vertex.name.split("[")[0] for vertex in detail.vertices] == [
        "Source: web_clicks",
        "Source: mobile_clicks",
        "WindowAggregate",
    ]
    assert (web.inputs, mobile.inputs, set(windows.inputs)) == ((), (), {web.id, mobile.id})
    assert (web.outputs, mobile.outputs, windows.outputs) == ((windows.id,), (windows.id,), ())
    assert all(vertex.running and vertex.complete and vertex.parallelism == 2 for vertex in detail.vertices)
    assert not any(vertex.waiting or vertex.finished for vertex in detail.vertices)
    assert detail.epoch is not None
    assert 60 < detail.now - detail.epoch < 200


@pytest.mark.parametrize("look", LOOKS)
def test_a_restart_is_a_new_epoch(look: Look) -> None:
    (line,) = [job for job in replies.jobs(look.replies["/jobs/overview"]) if job.name == "invoices-restarting"]
    detail = replies.job_detail(look.replies[f"/jobs/{line.id}"])
    assert detail.epoch is not None
    assert detail.epoch - line.started_at > 30  # it fails twice a minute
    assert detail.now - detail.epoch < 30


@pytest.mark.parametrize("look", LOOKS)
def test_the_checkpoints_of_a_recorded_job(look: Look) -> None:
    path = f"/jobs/{look.job('payments-healthy')}/checkpoints"
    found = replies.checkpoints(look.replies[path])
    settings = replies.checkpoint_settings(look.replies[f"{path}/config"])
    assert settings == CheckpointSettings(
        interval=5.0, timeout=600.0, tolerable_failures=0, retained=False, backend="HashMapStateBackend"
    )
    ids = [checkpoint.id for checkpoint in found.history]
    assert ids == sorted(ids)
    counts = look.replies[path]["counts"]
    assert (len(ids), found.completed, found.failed) == (10, counts["completed"], counts["failed"])
    assert found.failed <= 1  # the first is declined if the tasks are not ready yet
    assert found.median_duration is not None
    assert 0.001 < found.median_duration < 1
    # One may just be under way: it has no duration yet.
    last = [entry for entry in found.history if entry.status == "COMPLETED"][-1]
    raw = next(entry for entry in look.replies[path]["history"] if entry["status"] == "COMPLETED")
    assert (last.triggered_at, last.duration) == (raw["trigger_timestamp"] / 1000, raw["end_to_end_duration"] / 1000)
    assert (last.state_bytes, last.written_bytes) == (raw["state_size"], raw["checkpointed_size"])


@pytest.mark.parametrize("look", LOOKS)
def test_the_store_of_a_recording_was_refreshed_just_before(look: Look) -> None:
    refreshed = {
        replies.store_refreshed_at(reply) for path, reply in look.replies.items() if path.endswith("/backpressure")
    }
    assert len(refreshed) == 1
    (at,) = refreshed
    assert at is not None
    assert 0 < look.taken_at - at < 5


# Odd forms


def detail(**different: Any) -> dict[str, Any]:
    """`/jobs/:id` with what is needed and no more."""
    vertices = [
        {"id": "a", "name": "Source", "parallelism": 2, "status": "RUNNING", "tasks": {"RUNNING": 2, "FINISHED": 0}},
        {"id": "b", "name": "Sink", "parallelism": 1, "status": "DEPLOYING", "tasks": {"RUNNING": 0, "FINISHED": 0}},
    ]
    plan = {"nodes": [{"id": "a"}, {"id": "b", "inputs": [{"id": "a"}]}]}
    return {
        "state": "RUNNING",
        "now": 5000,
        "timestamps": {"RUNNING": 2000},
        "vertices": vertices,
        "plan": plan,
        **different,
    }


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param({"nodes": [{"id": "a"}, {"id": "b", "inputs": [{"id": "a"}]}]}, id="as an object"),
        pytest.param(
            {"nodes": [{"id": "a", "inputs": None}, {"id": "b", "inputs": [{"id": "a", "ship_strategy": "HASH"}]}]},
            id="inputs that are null",
        ),
        pytest.param(
            """RawJson{json='{"nodes":[{"id":"a"},{"id":"b","inputs":[{"id":"a"}]}]}'}""",
            id="the Java rendering of some 1.17",
        ),
        pytest.param(
            """RawJson{json='{"nodes":[{"id":"a","description":"x = 'y'}"},{"id":"b","inputs":[{"id":"a"}]}]}'}""",
            id="the same, quotes and braces inside",
        ),
    ],
)
def test_the_plan_gives_the_graph(plan: Any) -> None:
    first, second = replies.job_detail(detail(plan=plan)).vertices
    assert (first.inputs, first.outputs, second.inputs, second.outputs) == ((), ("b",), ("a",), ())


@pytest.mark.parametrize("plan", [None, {}, {"nodes": []}])
def test_a_job_without_a_plan_has_no_edges(plan: Any) -> None:
    first, second = replies.job_detail(detail(plan=plan)).vertices
    assert (first.inputs, first.outputs, second.inputs, second.outputs) == ((), (), (), ())


@pytest.mark.parametrize(
    ("different", "epoch"),
    [
        pytest.param({}, 2.0, id="the last entry into RUNNING"),
        pytest.param({"state": "RESTARTING"}, None, id="not running now"),
        pytest.param({"timestamps": {"RUNNING": -1}}, None, id="-1 is no time"),
        pytest.param({"timestamps": {}}, None, id="no timestamps"),
    ],
)
def test_the_epoch_of_a_job(different: dict[str, Any], epoch: float | None) -> None:
    assert replies.job_detail(detail(**different)).epoch == epoch


def test_only_a_vertex_that_runs_is_running() -> None:
    assert [vertex.running for vertex in replies.job_detail(detail()).vertices] == [True, False]


@pytest.mark.parametrize(
    ("subtasks", "complete"),
    [
        pytest.param({"RUNNING": 4, "FINISHED": 0}, True, id="all four run"),
        pytest.param({"RUNNING": 1, "FINISHED": 3}, True, id="one runs and three have finished"),
        pytest.param({"RUNNING": 0, "FINISHED": 4}, True, id="all have finished"),
        pytest.param({"RUNNING": 3, "FINISHED": 0, "DEPLOYING": 1}, False, id="one is on its way"),
        pytest.param({"RUNNING": 0, "FINISHED": 0, "SCHEDULED": 4}, False, id="none has a slot"),
    ],
)
def test_a_vertex_of_which_all_subtasks_run_is_complete(subtasks: dict[str, int], complete: bool) -> None:
    """Flink calls it RUNNING as soon as one runs and none is in trouble."""
    told = {"id": "a", "name": "Source", "parallelism": 4, "status": "RUNNING", "tasks": subtasks}
    (vertex,) = replies.job_detail(detail(vertices=[told])).vertices
    assert vertex.complete is complete


@pytest.mark.parametrize(
    ("subtasks", "waiting", "finished"),
    [
        pytest.param({"SCHEDULED": 0, "RUNNING": 4, "FINISHED": 0}, False, 0, id="all four run"),
        pytest.param({"SCHEDULED": 1, "RUNNING": 3, "FINISHED": 0}, True, 0, id="one of four has no slot"),
        pytest.param({"SCHEDULED": 4, "RUNNING": 0, "FINISHED": 0}, True, 0, id="none has"),
        pytest.param({"DEPLOYING": 1, "INITIALIZING": 3, "FINISHED": 0}, False, 0, id="all have, and are on their way"),
        pytest.param({"SCHEDULED": 0, "CREATED": 4, "FINISHED": 0}, False, 0, id="its stage is still to come"),
        pytest.param({"SCHEDULED": 0, "RUNNING": 1, "FINISHED": 3}, False, 3, id="three have finished"),
        pytest.param({"RUNNING": 4, "FINISHED": 0}, False, 0, id="a state that is not counted"),
    ],
)
def test_a_vertex_waits_if_one_of_its_subtasks_has_no_slot(
    subtasks: dict[str, int], waiting: bool, finished: int
) -> None:
    told = {"id": "a", "name": "Source", "parallelism": 4, "status": "CREATED", "tasks": {"RUNNING": 0, **subtasks}}
    (vertex,) = replies.job_detail(detail(vertices=[told])).vertices
    assert (vertex.waiting, vertex.finished) == (waiting, finished)


@pytest.mark.parametrize(
    ("path", "host"),
    [
        pytest.param("pekko.tcp://flink@localhost:36289/user/rpc/taskmanager_0", "localhost", id="1.18 and later"),
        pytest.param("akka.tcp://flink@tm-1.flink.svc:6122/user/rpc/taskmanager_0", "tm-1.flink.svc", id="up to 1.17"),
        pytest.param("pekko.ssl.tcp://flink@10.1.2.3:6122/user/rpc/taskmanager_0", "10.1.2.3", id="with TLS"),
        pytest.param("pekko.tcp://flink@[fd00::12]:6122/user/rpc/taskmanager_0", "fd00::12", id="IPv6"),
        pytest.param("pekko://flink/user/rpc/taskmanager_0", "", id="in the JobManager's own process"),
        pytest.param("", "", id="none"),
    ],
)
def test_the_host_of_a_taskmanager(path: str, host: str) -> None:
    reply = {"taskmanagers": [{"id": "tm", "path": path, "slotsNumber": 4, "freeSlots": 1}]}
    assert replies.taskmanagers(reply) == (TaskManager(id="tm", host=host, slots=4, slots_free=1, heartbeat_at=None),)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        pytest.param(5, 5.0, id="a number"),
        pytest.param("5.5", 5.5, id="a number in a string"),
        pytest.param("-9.223372036854775808E18", -(2.0**63), id="the Java way"),
        pytest.param("NaN", None, id="NaN in a string"),
        pytest.param(nan, None, id="NaN"),
        pytest.param("Infinity", None, id="infinite"),
        pytest.param(10**400, None, id="more than a double holds"),
        pytest.param("n/a", None, id="words"),
        pytest.param(None, None, id="nothing"),
        pytest.param([], None, id="a list"),
    ],
)
def test_a_number_may_come_as_many_things(value: Any, read: float | None) -> None:
    assert replies.number(value) == read


def checkpoint(**different: Any) -> dict[str, Any]:
    """One entry of a history."""
    return {
        "id": 7,
        "status": "COMPLETED",
        "is_savepoint": False,
        "trigger_timestamp": 10_000,
        "end_to_end_duration": 2500,
        "checkpointed_size": 100,
        "state_size": 300,
        **different,
    }


READ = Checkpoint(
    id=7,
    status="COMPLETED",
    savepoint=False,
    triggered_at=10.0,
    duration=2.5,
    written_bytes=100.0,
    state_bytes=300.0,
)
FAILED = Checkpoint(
    id=7,
    status="FAILED",
    savepoint=False,
    triggered_at=10.0,
    failed_at=11.0,
    failure="Checkpoint expired before completing.",
)


@pytest.mark.parametrize(
    ("history", "read"),
    [
        pytest.param([], (), id="none yet"),
        pytest.param([checkpoint()], (READ,), id="one"),
        pytest.param([None, checkpoint()], (READ,), id="null while the next is being triggered"),
        pytest.param(
            [checkpoint(id=8), checkpoint()],
            (READ, replace(READ, id=8)),
            id="the newest first, which becomes the last",
        ),
        pytest.param(
            [
                checkpoint(
                    status="FAILED", failure_timestamp=11_000, failure_message="Checkpoint expired before completing."
                )
            ],
            (FAILED,),
            id="a failure has no duration and no size",
        ),
        pytest.param(
            [checkpoint(status="IN_PROGRESS", end_to_end_duration=-1)],
            (Checkpoint(id=7, status="IN_PROGRESS", savepoint=False, triggered_at=10.0),),
            id="one in progress, whose duration is -1",
        ),
        pytest.param(
            [{key: value for key, value in checkpoint().items() if key != "checkpointed_size"}],
            (replace(READ, written_bytes=300.0),),
            id="a version without incremental sizes: all of it was written",
        ),
    ],
)
def test_a_history(history: list[Any], read: tuple[Any, ...]) -> None:
    found = replies.checkpoints({"counts": {"completed": 1, "failed": 2}, "summary": None, "history": history})
    assert found.history == read
    assert found == Checkpoints(history=found.history, completed=1, failed=2, median_duration=None)


@pytest.mark.parametrize(
    ("summary", "median"),
    [
        pytest.param({"end_to_end_duration": {"p50": 2500.0}}, 2.5, id="a median"),
        pytest.param({"end_to_end_duration": {"p50": "NaN"}}, None, id="none before the first checkpoint"),
        pytest.param({"end_to_end_duration": {"min": 1, "max": 2}}, None, id="a version without percentiles"),
        pytest.param({}, None, id="no summary"),
        pytest.param(None, None, id="a summary that is null"),
    ],
)
def test_the_median_duration(summary: Any, median: float | None) -> None:
    reply = {"counts": {"completed": 1, "failed": 0}, "summary": summary, "history": []}
    assert replies.checkpoints(reply).median_duration == median


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        pytest.param(
            {"interval": 5000, "timeout": 600000, "tolerable_failed_checkpoints": 3}, (5.0, 600.0, 3), id="all of it"
        ),
        pytest.param({"interval": 2**63 - 1, "timeout": 600000}, (None, 600.0, 0), id="periodic checkpoints are off"),
        pytest.param({"interval": 5000, "timeout": 1000}, (5.0, 1.0, 0), id="a version that tolerates none"),
    ],
)
def test_checkpoint_settings(reply: Any, read: tuple[float | None, float, int]) -> None:
    found = replies.checkpoint_settings(reply)
    assert (found.interval, found.timeout, found.tolerable_failures) == read


def test_the_slowest_vertex_and_its_phases() -> None:
    tasks = {
        "a": {"end_to_end_duration": 10},
        "b": {"end_to_end_duration": 200},
        "c": {"end_to_end_duration": -1},
        "d": {},
    }
    assert replies.slowest_vertex({"tasks": tasks}) == "b"
    assert replies.slowest_vertex({"tasks": {}}) is None
    assert replies.slowest_vertex({}) is None
    summary = {
        "checkpoint_duration": {"sync": {"max": 5}, "async": {"max": "NaN"}},
        "alignment": {"duration": {"max": 1500}},
        "start_delay": {"max": -1},
    }
    assert replies.phases({"summary": summary}) == {"alignment": 1.5, "sync": 0.005}
    assert replies.phases({"summary": {}}) == {}


def test_metrics_that_are_no_numbers_are_left_out() -> None:
    reply = [{"id": "a", "value": "1.5"}, {"id": "b", "value": "NaN"}, {"id": "c"}, {"id": "d", "value": "file:/tmp"}]
    assert replies.metrics(reply) == {"a": 1.5}
    assert replies.metrics([]) == {}
    assert replies.metric_names([{"id": "a"}, {"id": "0.b"}]) == ("a", "0.b")


def test_a_vertex_that_no_longer_runs_does_not_tell_of_the_store() -> None:
    assert replies.store_refreshed_at({"status": "deprecated"}) is None
    assert replies.store_refreshed_at({"status": "ok", "end-timestamp": 1500}) == 1.5


# Malformed


@pytest.mark.parametrize(
    ("parse", "reply", "text"),
    [
        pytest.param(
            replies.overview,
            [],
            "expected Flink's overview, got a list (AttributeError: 'list' object has no attribute 'get')",
            id="a list",
        ),
        pytest.param(
            replies.overview,
            {"status": "UP", "a": 1, "b": 2, "c": 3, "d": 4},
            "expected Flink's overview, got an object with status, a, b, c (KeyError: 'slots-total')",
            id="the health of somebody else",
        ),
        pytest.param(
            replies.overview,
            {"slots-total": "many", "slots-available": 1},
            "expected Flink's overview, got an object with slots-total, slots-available "
            "(ValueError: invalid literal for int() with base 10: 'many')",
            id="words for a number",
        ),
        pytest.param(
            replies.jobs, {}, "expected Flink's jobs, got an empty object (KeyError: 'jobs')", id="an empty object"
        ),
        pytest.param(
            replies.jobs,
            {"jobs": [{"id": "a", "status": "RUNNING"}]},
            "expected Flink's jobs, got an object with jobs (KeyError: 'jid')",
            id="the list of /jobs, which is not that of /jobs/overview",
        ),
        pytest.param(
            replies.taskmanagers,
            None,
            "expected Flink's taskmanagers, got a NoneType (TypeError: 'NoneType' object is not subscriptable)",
            id="null",
        ),
        pytest.param(
            replies.job_detail,
            {**detail(), "now": "soon"},
            "expected Flink's job detail, got an object with state, now, timestamps, vertices "
            "(TypeError: unsupported operand type(s) for /: 'str' and 'int')",
            id="a time that is none",
        ),
        pytest.param(
            replies.job_detail,
            {**detail(), "now": 10**400},
            "expected Flink's job detail, got an object with state, now, timestamps, vertices "
            "(OverflowError: integer division result too large for a float)",
            id="a time beyond all times",
        ),
        pytest.param(
            replies.job_detail,
            {**detail(), "plan": "Plan@12345"},
            "expected Flink's job detail, got an object with state, now, timestamps, vertices "
            "(ValueError: substring not found)",
            id="a plan in no known form",
        ),
        pytest.param(
            replies.checkpoints,
            {"errors": ["Checkpointing has not been enabled."]},
            "expected Flink's checkpoints, got an object with errors (KeyError: 'counts')",
            id="errors with status 200",
        ),
        pytest.param(
            replies.checkpoint_settings,
            {"interval": None, "timeout": 1},
            "expected Flink's checkpoint settings, got an object with interval, timeout "
            "(TypeError: '>=' not supported between instances of 'NoneType' and 'float')",
            id="an interval that is null",
        ),
        pytest.param(
            replies.metrics,
            ["a"],
            "expected Flink's metrics, got a list (TypeError: string indices must be integers, not 'str')",
            id="a list of strings",
        ),
        pytest.param(
            replies.configuration,
            "x",
            "expected Flink's configuration, got a str (TypeError: string indices must be integers, not 'str')",
            id="a string",
        ),
    ],
)
def test_a_reply_of_somebody_else(parse: Callable[[Any], Any], reply: Any, text: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse(reply)
    assert str(caught.value) == text


def _anything(depth: int = 2) -> Iterator[Any]:
    yield from (None, True, 0, -1, 1.5, "", "NaN", [], {}, [None], [[]], [{}], {"id": None})
    if depth:
        for inner in list(_anything(depth - 1)):
            keys = (
                "jobs",
                "taskmanagers",
                "tasks",
                "summary",
                "history",
                "counts",
                "vertices",
                "plan",
                "end-timestamp",
            )
            yield dict.fromkeys(keys, inner)


@pytest.mark.parametrize("parse", [*PARSERS.values(), replies.metrics], ids=lambda parse: parse.__name__)
def test_no_reply_breaks_a_parser(parse: Callable[[Any], Any]) -> None:
    for reply in _anything():
        with suppress(Malformed):
            parse(reply)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_reply_that_lacks_any_one_thing_is_read_or_refused(version: str) -> None:
    look = recording(version)[0]
    for pattern, parse in PARSERS.items():
        reply = next(reply for path, reply in look.replies.items() if re.fullmatch(pattern, path))
        for poorer in _without_one(reply):
            with suppress(Malformed):
                parse(poorer)


def _without_one(reply: Any, depth: int = 0) -> Iterator[Any]:
    """The reply again and again, each time without one of its fields, and with null in its place."""
    if isinstance(reply, dict):
        for key, value in reply.items():
            yield {other: kept for other, kept in reply.items() if other != key}
            yield {**reply, key: None}
            for inner in _without_one(value, depth + 1):
                yield {**reply, key: inner}
    elif isinstance(reply, list) and reply and depth < 4:
        for inner in _without_one(reply[0], depth + 1):
            yield [inner, *reply[1:]]


# Readings


@pytest.mark.parametrize(
    ("rest", "reporter"),
    [
        pytest.param("localhost:36289-59ae9e", "localhost:36289_59ae9e", id="a TaskManager"),
        pytest.param("Source__orders[12]", "Source:_orders_12_", id="an operator"),
        pytest.param("GroupAggregate[15]", "GroupAggregate_15_", id="another"),
    ],
)
def test_both_spellings_of_an_identifier_are_the_same_when_plain(rest: str, reporter: str) -> None:
    assert plain(rest) == plain(reporter)


def test_a_column_has_a_place_for_each_subtask_and_none_for_others() -> None:
    cells = {0: 1.0, 2: inf, 3: 4.0, -1: 5.0}
    found = column(cells, 3)
    assert found.typecode == "d"
    assert [str(value) for value in found] == ["1.0", "nan", "inf"]


def test_sentinels_of_rest_are_those_of_the_reporter() -> None:
    watermark = Raw(Scope.TASK, "currentInputWatermark")
    (entry,) = json.loads('[{"id":"0.currentInputWatermark","value":"-9223372036854775808"}]')
    value = replies.number(entry["value"])
    assert value is not None
    assert reading(watermark, value) == -inf
