"""Is one look at a cluster whole, and does each failure cost itself and nothing else?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from exporter.flink.errors import FlinkError, Invalid, LeaderElection, Timeout, Unauthorized, Unreachable
from exporter.flink.fill import Filler
from exporter.flink.scrape import Scrape
from exporter.model import Cluster, ClusterState, Job, Part, Raw, RestartStrategy, Scope, Vertex
from tests.flink import fake
from tests.flink.fake import VERSIONS, FakeFlink, Look
from tests.flink.reading import NEEDS, scraper

RECORDS_IN = Raw(Scope.TASK, "numRecordsIn")
HEAP = {scope: Raw(scope, "Status.JVM.Memory.Heap.Used") for scope in (Scope.TASKMANAGER, Scope.JOBMANAGER)}
GC = Raw(Scope.TASKMANAGER, "Status.JVM.GarbageCollector.*.Time")
GC_ALL = Raw(Scope.TASKMANAGER, "Status.JVM.GarbageCollector.All.Time")
RESTARTS = Raw(Scope.JOB, "numRestarts")
FULL_RESTARTS = Raw(Scope.JOB, "fullRestarts")

ALIVE = {
    "payments-healthy",
    "orders-skewed",
    "clicks-stalled-watermark",
    "invoices-restarting",
    "enrich-backpressured",
    "sessions-growing-state",
}


def by_name(cluster: Cluster) -> dict[str, Job]:
    return {job.name: job for job in cluster.jobs or ()}


def columns(job: Job) -> list[int]:
    """How many columns each vertex has."""
    return [len(vertex.readings) for vertex in job.vertices]


# All of it


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("by_reporter", [True, False], ids=["by reporter", "by REST alone"])
class TestARecordedCluster:
    """Everything that is read of each version, however it is read."""

    @pytest.fixture
    async def scrape(self, version: str, by_reporter: bool, session: aiohttp.ClientSession) -> Scrape:
        async with fake.running(version) as flink:
            return await scraper(session, flink, by_reporter=by_reporter).scrape()

    @pytest.fixture
    def look(self, version: str) -> Look:
        return fake.recording(version)[0]

    def test_the_cluster(self, scrape: Scrape, look: Look, version: str, by_reporter: bool) -> None:
        cluster = scrape.cluster
        assert (cluster.name, cluster.state, cluster.taken_at) == ("test", ClusterState.UP, look.taken_at)
        assert cluster.version is not None
        assert cluster.version.startswith(version)
        assert (cluster.slots, cluster.slots_free) == (16, 5)  # five jobs take two slots, one takes one
        assert cluster.metrics_age is not None
        assert 1 < cluster.metrics_age < 10
        assert cluster.has_reporter is True
        assert (scrape.errors, scrape.bad_lines) == ((), 0)
        assert scrape.taskmanagers_by_reporter == (2 if by_reporter else 0)

    def test_its_processes(self, scrape: Scrape, look: Look, version: str) -> None:
        tms = scrape.cluster.taskmanagers or ()
        assert [tm.id for tm in tms] == look.taskmanagers
        for tm in tms:
            assert (tm.host, tm.slots) == ("localhost", 8)
            assert tm.heartbeat_at is not None
            assert -5 < look.taken_at - tm.heartbeat_at < 15
            assert 20e6 < tm.readings[HEAP[Scope.TASKMANAGER]] < 400e6
            # The sum is Flink's own from 1.19 on, and ours before.
            ours = version in ("1.15", "1.17", "1.18")
            assert (GC in tm.readings, GC_ALL in tm.readings) == (ours, not ours)
        assert scrape.cluster.jobmanager is not None
        assert 20e6 < scrape.cluster.jobmanager.readings[HEAP[Scope.JOBMANAGER]] < 520e6

    def test_its_jobs(self, scrape: Scrape) -> None:
        jobs = by_name(scrape.cluster)
        assert {name: job.state for name, job in jobs.items()} == {
            **dict.fromkeys(ALIVE, "RUNNING"),
            "report-finished": "FINISHED",
            "backfill-canceled": "CANCELED",
        }
        for name in ALIVE:
            job = jobs[name]
            assert job.epoch is not None
            assert job.started_at <= job.epoch < job.now
            assert job.checkpoint_settings is not None
            assert job.checkpoint_settings.interval == (10.0 if name == "sessions-growing-state" else 5.0)
            assert job.checkpoints is not None
            assert job.checkpoints.completed > 5
        for name in ("report-finished", "backfill-canceled"):
            ended = jobs[name]
            assert (ended.vertices, dict(ended.readings)) == ((), {})
            assert (ended.checkpoints, ended.failures, ended.restart_strategy) == (None, None, None)

    def test_its_restarts(self, scrape: Scrape, version: str) -> None:
        for name in ALIVE:
            job = by_name(scrape.cluster)[name]
            assert job.failures is not None
            failing = name == "invoices-restarting"
            restarts = job.readings.get(RESTARTS, job.readings.get(FULL_RESTARTS))  # 1.15 has the second only
            assert restarts is not None
            assert (restarts > 2) is failing
            assert bool(job.failures.entries) is failing
            if failing:
                last = job.failures.entries[-1]
                assert last.name == "java.lang.NumberFormatException"
                assert "n/a" in last.trace
                assert job.epoch is not None
                assert 0 < job.epoch - last.at < 10
                assert [entry.at for entry in job.failures.entries] == sorted(
                    entry.at for entry in job.failures.entries
                )
        strategy = by_name(scrape.cluster)["invoices-restarting"].restart_strategy
        if version == "1.20":
            # It takes a strategy of the job's own configuration for the cluster's default: what it says is not so.
            assert strategy is not None
            assert not strategy.configured
        else:
            assert strategy == RestartStrategy(kind="fixed-delay", attempts=None, delay=2.0)

    def test_its_tasks(self, scrape: Scrape, look: Look) -> None:
        for name in ALIVE:
            job = by_name(scrape.cluster)[name]
            raw = look.replies[f"/jobs/{job.id}"]
            assert [vertex.id for vertex in job.vertices] == [vertex["id"] for vertex in raw["vertices"]]
            for vertex in job.vertices:
                assert vertex.running
                assert vertex.epoch == job.epoch
                assert all(len(column) == vertex.parallelism for column in vertex.readings.values())
                assert all(vertex.id in by_id(job, other).outputs for other in vertex.inputs)
                assert bool(vertex.sources) is not bool(vertex.inputs)
                assert 0 < len(vertex.hosts) <= vertex.parallelism
                assert {tm.id for tm in vertex.hosts} <= set(look.taskmanagers)
                assert all(tm.readings for tm in vertex.hosts)

    def test_its_columns(self, scrape: Scrape, look: Look) -> None:
        """Nine orders in ten are one customer's, and all go to one of the two."""
        source, aggregation = by_name(scrape.cluster)["orders-skewed"].vertices
        assert max(aggregation.readings[RECORDS_IN]) / sum(aggregation.readings[RECORDS_IN]) == pytest.approx(
            0.95, abs=0.02
        )
        assert list(source.readings[RECORDS_IN]) == [0.0, 0.0]

    def test_when_they_were_read(self, scrape: Scrape, by_reporter: bool) -> None:
        cluster = scrape.cluster
        assert cluster.metrics_age is not None
        expected = cluster.taken_at if by_reporter else cluster.taken_at - cluster.metrics_age
        for job in cluster.jobs or ():
            for vertex in job.vertices:
                assert vertex.read_at == pytest.approx(expected, abs=0.01)


def by_id(job: Job, vertex: str) -> Vertex:
    (found,) = [each for each in job.vertices if each.id == vertex]
    return found


# What fails costs itself

ORDERS = "orders-skewed"
ERROR = fake.status(500)


def only_its_state(job: Job) -> bool:
    """And its own metrics, which are another reply."""
    return (job.vertices, job.checkpoints, job.failures, job.epoch) == ((), None, None, None)


@pytest.mark.parametrize(
    ("path", "fault", "errors", "lost"),
    [
        pytest.param("/jobs/{orders}", ERROR, 1, only_its_state, id="a job: it keeps its state"),
        pytest.param("/jobs/{orders}", fake.truncated, 1, only_its_state, id="half of a job"),
        pytest.param("/jobs/{orders}", fake.content(b"{}"), 1, only_its_state, id="a job that is none"),
        pytest.param("/jobs/{orders}", fake.status(404), 0, only_its_state, id="a job that has just gone"),
        pytest.param("/jobs/{orders}/checkpoints", ERROR, 1, lambda job: job.checkpoints is None, id="its checkpoints"),
        pytest.param(
            "/jobs/{orders}/checkpoints",
            fake.status(404),
            0,
            lambda job: job.checkpoints is None,
            id="no checkpoints at all: no failure",
        ),
        pytest.param(
            "/jobs/{orders}/checkpoints/config",
            ERROR,
            1,
            lambda job: job.checkpoint_settings is None,
            id="the settings of its checkpoints",
        ),
        pytest.param("/jobs/{orders}/exceptions", fake.HTML, 1, lambda job: job.failures is None, id="its exceptions"),
        pytest.param(
            "/jobs/{orders}/config", ERROR, 1, lambda job: job.restart_strategy is None, id="its restart strategy"
        ),
        pytest.param(
            "/jobs/{orders}/vertices/*/taskmanagers",
            ERROR,
            2,
            lambda job: [vertex.hosts for vertex in job.vertices] == [(), ()],
            id="where its tasks are",
        ),
        pytest.param("/jobs/{orders}/metrics", ERROR, 1, lambda job: dict(job.readings) == {}, id="its own metrics"),
        pytest.param(
            "/jobs/{orders}/vertices/{aggregation}/metrics",
            ERROR,
            1,
            lambda job: columns(job)[1] == 0 < columns(job)[0],
            id="the metrics of a task",
        ),
        pytest.param(
            "/jobs/{orders}/vertices/{aggregation}/metrics",
            fake.status(404),
            0,
            lambda job: columns(job)[1] == 0 < columns(job)[0],
            id="a task that has just gone",
        ),
        pytest.param(
            "/jobs/{orders}/vertices/{aggregation}/subtasks/metrics",
            ERROR,
            1,
            lambda job: columns(job)[1] == 0 < columns(job)[0],
            id="the names of a task's metrics",
        ),
    ],
)
async def test_what_fails_of_a_job_costs_itself(
    fake_flink: FakeFlink,
    session: aiohttp.ClientSession,
    path: str,
    fault: fake.Fault,
    errors: int,
    lost: Callable[[Job], bool],
) -> None:
    whole = (await scraper(session, fake_flink, by_reporter=False).scrape()).cluster
    aggregation = fake_flink.look.vertices(ORDERS)[1]
    failing = path.format(orders=fake_flink.look.job(ORDERS), aggregation=aggregation)
    fake_flink.fail(failing, fault)
    scrape = await scraper(session, fake_flink, by_reporter=False).scrape()
    assert scrape.cluster.state is ClusterState.UP
    assert len(scrape.errors) == errors
    assert all(fake_flink.url in str(error) for error in scrape.errors)
    jobs, expected = by_name(scrape.cluster), by_name(whole)
    assert lost(jobs[ORDERS])
    assert not lost(expected[ORDERS])
    assert jobs[ORDERS].state == "RUNNING"
    for name in ALIVE - {ORDERS}:
        assert repr(jobs[name]) == repr(expected[name])
    assert scrape.cluster.taskmanagers == whole.taskmanagers


@pytest.mark.parametrize(
    ("path", "errors", "lost"),
    [
        pytest.param(
            "/jobmanager/metrics",
            lambda count: count > 0,
            lambda cluster: dict(cluster.jobmanager.readings) == {},
            id="the JobManager's metrics, with which the refresh is set going",
        ),
        pytest.param(
            "/taskmanagers/*/metrics",
            lambda count: count == 3,
            lambda cluster: [dict(tm.readings) for tm in cluster.taskmanagers] == [{}, {}],
            id="the TaskManagers' metrics",
        ),
        pytest.param(
            "/jobs/*/vertices/*/backpressure",
            lambda count: count == 1,
            lambda cluster: cluster.metrics_age is None,
            id="when the store was refreshed",
        ),
        pytest.param(
            "/jobmanager/config",
            lambda count: count == 1,
            lambda cluster: (cluster.configuration, cluster.has_reporter) == (None, None),
            id="the configuration",
        ),
        pytest.param(
            "/jobs/*/vertices/**",
            lambda count: count > 10,
            lambda cluster: all(columns(job) == [0] * len(job.vertices) for job in cluster.jobs),
            id="everything about tasks",
        ),
    ],
)
async def test_what_fails_of_a_cluster_costs_itself(
    fake_flink: FakeFlink,
    session: aiohttp.ClientSession,
    path: str,
    errors: Callable[[int], bool],
    lost: Callable[[Cluster], bool],
) -> None:
    assert not lost((await scraper(session, fake_flink, by_reporter=False).scrape()).cluster)
    fake_flink.fail(path, ERROR)
    scrape = await scraper(session, fake_flink, by_reporter=False).scrape()
    assert scrape.cluster.state is ClusterState.UP
    assert errors(len(scrape.errors))
    assert lost(scrape.cluster)
    assert {job.name for job in scrape.cluster.jobs or () if job.vertices} == ALIVE


async def test_without_the_configuration_rest_stands_in_for_the_reporters(
    fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    fake_flink.fail("/jobmanager/config", ERROR)
    scrape = await scraper(session, fake_flink).scrape()
    assert scrape.taskmanagers_by_reporter == 0
    assert all(columns(job)[0] for job in scrape.cluster.jobs or () if not job.terminal)


async def test_bad_lines_of_a_reporter_are_counted(fake_flink: FakeFlink, session: aiohttp.ClientSession) -> None:
    for reporter in fake_flink.reporters.values():
        page = reporter.page
        reporter.page = lambda page=page: page().replace(b"\n# HELP", b"\ngarbage\n# HELP")  # type: ignore[misc]
    scrape = await scraper(session, fake_flink).scrape()
    assert scrape.bad_lines > 10
    assert scrape.taskmanagers_by_reporter == 2


# Total failures


@pytest.mark.parametrize("path", ["/**", "/overview", "/jobs/overview", "/taskmanagers"])
@pytest.mark.parametrize(
    ("fault", "state", "kind"),
    [
        pytest.param(fake.status(500), ClusterState.INVALID, Invalid, id="errors"),
        pytest.param(fake.status(401), ClusterState.UNAUTHORIZED, Unauthorized, id="not let in"),
        pytest.param(fake.LEADER_ELECTION, ClusterState.LEADER_ELECTION, LeaderElection, id="no leader"),
        pytest.param(fake.status(502), ClusterState.UNREACHABLE, Unreachable, id="a proxy without Flink"),
        pytest.param(fake.drop, ClusterState.UNREACHABLE, Unreachable, id="connections break off"),
        pytest.param(fake.hang, ClusterState.TIMEOUT, Timeout, id="no answer"),
        pytest.param(fake.HTML, ClusterState.INVALID, Invalid, id="a page for people"),
        pytest.param(fake.redirect("/login"), ClusterState.INVALID, Invalid, id="a redirect"),
        pytest.param(fake.content(b"[]"), ClusterState.INVALID, Invalid, id="not Flink's"),
    ],
)
async def test_a_cluster_that_does_not_answer_is_a_state_and_nothing_else(
    fake_flink: FakeFlink,
    session: aiohttp.ClientSession,
    path: str,
    fault: fake.Fault,
    state: ClusterState,
    kind: type[FlinkError],
) -> None:
    fake_flink.fail(path, fault)
    scrape = await scraper(session, fake_flink, timeout=0.2 if kind is Timeout else 10.0).scrape()
    assert scrape.cluster == Cluster(name="test", state=state, taken_at=fake_flink.clock())
    assert [type(error) for error in scrape.errors] == [kind]


async def test_nobody_there(fake_flink: FakeFlink, session: aiohttp.ClientSession) -> None:
    await fake_flink.close()
    scrape = await scraper(session, fake_flink).scrape()
    assert scrape.cluster == Cluster(name="test", state=ClusterState.UNREACHABLE, taken_at=fake_flink.clock())


async def test_a_cluster_that_returns_is_read_as_before(fake_flink: FakeFlink, session: aiohttp.ClientSession) -> None:
    reads = scraper(session, fake_flink)
    before = await reads.scrape()
    fake_flink.fail("/**", fake.LEADER_ELECTION)
    assert (await reads.scrape()).cluster.state is ClusterState.LEADER_ELECTION
    fake_flink.heal()
    after = await reads.scrape()
    assert repr(after) == repr(before)
    assert len(fake_flink.asked("/jobmanager/config")) == 2  # another JobManager may be configured otherwise


async def test_a_look_that_is_broken_off_leaves_nothing_behind(
    fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    reads = scraper(session, fake_flink)
    before = await reads.scrape()
    for path in ("/overview", "/jobs/*", "/jobs/*/vertices/*/metrics"):
        fake_flink.fail(path, fake.hang)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await scraper(session, fake_flink, by_reporter=False).scrape()
        if path != "/jobs/*/vertices/*/metrics":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await reads.scrape()
        fake_flink.heal()
        assert repr(await reads.scrape()) == repr(before)
    assert len(asyncio.all_tasks()) < 30


# Things that change while they are looked at


async def test_a_job_that_has_ended_since_the_overview(fake_flink: FakeFlink, session: aiohttp.ClientSession) -> None:
    orders = fake_flink.look.job(ORDERS)
    fake_flink.edit(f"/jobs/{orders}", lambda reply: {**reply, "state": "CANCELED"})
    scrape = await scraper(session, fake_flink).scrape()
    job = by_name(scrape.cluster)[ORDERS]
    assert (job.state, job.vertices, scrape.errors) == ("CANCELED", (), ())
    assert fake_flink.asked(f"/jobs/{orders}/**") == []


@pytest.mark.parametrize("name", ["report-finished", "backfill-canceled"])
async def test_a_job_that_has_ended_well_is_asked_nothing(
    name: str, fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    await scraper(session, fake_flink).scrape()
    ended = fake_flink.look.job(name)
    assert (fake_flink.asked(f"/jobs/{ended}"), fake_flink.asked(f"/jobs/{ended}/**")) == ([], [])


def fail_in_the_overview(flink: FakeFlink, failed: str) -> None:
    def edited(reply: dict[str, Any]) -> dict[str, Any]:
        return {"jobs": [{**job, "state": "FAILED"} if job["jid"] == failed else job for job in reply["jobs"]]}

    flink.edit("/jobs/overview", edited)


async def test_failures_from_before_the_end_of_a_job_are_not_taken_for_all(
    fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    """Flink's overview is of the moment, and what it says of a job up to 3 s old."""
    invoices = fake_flink.look.job("invoices-restarting")
    fail_in_the_overview(fake_flink, invoices)
    reads = scraper(session, fake_flink)
    first = await reads.scrape()
    job = by_name(first.cluster)["invoices-restarting"]
    assert (job.state, job.failures, first.errors) == ("FAILED", None, ())
    fake_flink.edit(f"/jobs/{invoices}", lambda reply: {**reply, "state": "FAILED"})
    assert by_name((await reads.scrape()).cluster)["invoices-restarting"].failures is not None


@pytest.mark.parametrize("already", [True, False], ids=["in the overview", "since the overview"])
async def test_a_job_that_has_failed_is_asked_once_why(
    already: bool, fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    invoices = fake_flink.look.job("invoices-restarting")

    if already:
        fail_in_the_overview(fake_flink, invoices)
    fake_flink.edit(f"/jobs/{invoices}", lambda reply: {**reply, "state": "FAILED"})
    reads = scraper(session, fake_flink)
    for _ in range(3):
        job = by_name((await reads.scrape()).cluster)["invoices-restarting"]
        assert (job.state, job.vertices, job.restart_strategy) == ("FAILED", (), None)
        assert job.failures is not None
        assert job.failures.entries[-1].name == "java.lang.NumberFormatException"
    assert fake_flink.asked(f"/jobs/{invoices}/**") == [f"/jobs/{invoices}/exceptions"]


async def test_a_job_that_restarts_has_no_epoch_and_no_readings(
    fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    orders = fake_flink.look.job(ORDERS)

    def restarting(reply: dict[str, Any]) -> dict[str, Any]:
        vertices = [{**vertex, "status": "CREATED"} for vertex in reply["vertices"]]
        return {**reply, "state": "RESTARTING", "vertices": vertices}

    fake_flink.edit(f"/jobs/{orders}", restarting)
    scrape = await scraper(session, fake_flink, by_reporter=False).scrape()
    job = by_name(scrape.cluster)[ORDERS]
    assert (job.state, job.epoch, columns(job), scrape.errors) == ("RESTARTING", None, [0, 0], ())
    assert [vertex.running for vertex in job.vertices] == [False, False]
    assert fake_flink.asked(f"/jobs/{orders}/vertices/**") == []


async def test_a_job_without_a_jobmaster_yet_is_not_asked_for_its_checkpoints(
    fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    orders = fake_flink.look.job(ORDERS)
    fake_flink.edit(f"/jobs/{orders}", lambda reply: {**reply, "state": "INITIALIZING", "vertices": []})
    fake_flink.fail(f"/jobs/{orders}/checkpoints", ERROR)
    scrape = await scraper(session, fake_flink).scrape()
    job = by_name(scrape.cluster)[ORDERS]
    assert (job.state, job.checkpoints, scrape.errors) == ("INITIALIZING", None, ())


async def test_a_job_that_waits_for_slots_and_has_partly_finished(
    fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    orders = fake_flink.look.job(ORDERS)

    def counts(reply: dict[str, Any]) -> dict[str, Any]:
        told = ({"SCHEDULED": 1, "RUNNING": 1, "FINISHED": 0}, {"SCHEDULED": 0, "RUNNING": 1, "FINISHED": 1})
        vertices = [{**vertex, "tasks": tasks} for vertex, tasks in zip(reply["vertices"], told, strict=True)]
        return {**reply, "vertices": vertices}

    fake_flink.edit(f"/jobs/{orders}", counts)
    scrape = await scraper(session, fake_flink).scrape()
    vertices = by_name(scrape.cluster)[ORDERS].vertices
    found = [(vertex.complete, vertex.waiting, vertex.finished) for vertex in vertices]
    assert found == [(False, True, 0), (True, False, 1)]


async def test_a_taskmanager_that_vanishes(fake_flink: FakeFlink, session: aiohttp.ClientSession) -> None:
    reads = scraper(session, fake_flink)
    await reads.scrape()
    gone, left = fake_flink.look.taskmanagers
    await fake_flink.lose(gone)
    scrape = await reads.scrape()
    assert [tm.id for tm in scrape.cluster.taskmanagers or ()] == [left]
    assert (scrape.taskmanagers_by_reporter, scrape.errors) == (1, ())
    for job in scrape.cluster.jobs or ():
        for vertex in job.vertices:
            assert all(tm.id == left for tm in vertex.hosts)


async def test_a_jobmanager_that_restarts(fake_flink: FakeFlink, session: aiohttp.ClientSession) -> None:
    reads = scraper(session, fake_flink)
    await reads.scrape()
    fake_flink.restart()
    scrape = await reads.scrape()
    cluster = scrape.cluster
    assert (cluster.state, cluster.jobs, scrape.errors) == (ClusterState.UP, (), ())
    assert cluster.metrics_age is None  # no task runs that could tell
    assert scrape.taskmanagers_by_reporter == 2


async def test_a_real_store_tells_what_it_had_before(fake_flink: FakeFlink, session: aiohttp.ClientSession) -> None:
    """The first request sets its refresh going, and is answered from what is there."""
    fake_flink.lazy = True
    reads = scraper(session, fake_flink, by_reporter=False)
    first = await reads.scrape()
    assert first.cluster.state is ClusterState.UP
    assert all(columns(job) != [0] * len(job.vertices) for job in first.cluster.jobs or () if not job.terminal)


async def test_collectors_are_learned_once_the_store_has_them(session: aiohttp.ClientSession) -> None:
    async with fake.running("1.17") as flink:
        reads = scraper(session, flink)
        flink.edit("/taskmanagers/*/metrics", lambda _names: [])
        first = (await reads.scrape()).cluster
        flink.edit("/taskmanagers/*/metrics", lambda names: names)
        second = (await reads.scrape()).cluster
        flink.forget()
        third = (await reads.scrape()).cluster
    learned = [[GC in tm.readings for tm in cluster.taskmanagers or ()] for cluster in (first, second, third)]
    assert learned == [[False, False], [True, True], [True, True]]
    assert flink.asked("/taskmanagers/*/metrics") == []


# What is asked how often


async def test_what_does_not_change_is_asked_once(fake_flink: FakeFlink, session: aiohttp.ClientSession) -> None:
    reads = scraper(session, fake_flink)
    for _ in range(3):
        await reads.scrape()
    assert len(fake_flink.asked("/jobmanager/config")) == 1
    assert len(fake_flink.asked("/jobs/*/checkpoints/config")) == len(ALIVE)
    assert len(fake_flink.asked("/jobs/*/config")) == len(ALIVE)
    assert len(fake_flink.asked("/jobs/*/vertices/*/taskmanagers")) == 14  # a task
    assert len(fake_flink.asked("/jobs/*/checkpoints")) == 3 * len(ALIVE)


async def test_where_tasks_are_is_asked_anew_after_a_restart(
    fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    reads = scraper(session, fake_flink)
    await reads.scrape()
    orders = fake_flink.look.job(ORDERS)
    fake_flink.edit(f"/jobs/{orders}", lambda reply: {**reply, "timestamps": {"RUNNING": reply["now"]}})
    fake_flink.forget()
    await reads.scrape()
    assert len(fake_flink.asked(f"/jobs/{orders}/vertices/*/taskmanagers")) == 2
    assert len(fake_flink.asked("/jobs/*/vertices/*/taskmanagers")) == 2
    assert fake_flink.asked("/jobs/*/config") == []


async def test_the_configuration_is_asked_again_after_a_while_and_the_old_one_stands_meanwhile(
    fake_flink: FakeFlink, session: aiohttp.ClientSession
) -> None:
    reads = scraper(session, fake_flink)
    now = fake_flink.clock()
    reads._clock = lambda: now
    await reads.scrape()
    now += 290
    await reads.scrape()
    assert len(fake_flink.asked("/jobmanager/config")) == 1
    now += 20
    fake_flink.fail("/jobmanager/config", ERROR)
    scrape = await reads.scrape()
    assert len(fake_flink.asked("/jobmanager/config")) == 2
    assert (len(scrape.errors), scrape.taskmanagers_by_reporter) == (1, 2)
    assert scrape.cluster.configuration is not None


async def test_ports_that_are_given_are_believed(fake_flink: FakeFlink, session: aiohttp.ClientSession) -> None:
    port = next(iter(fake_flink.reporters.values())).port
    needs = [need for need in NEEDS if isinstance(need, Raw)]
    reads = scraper(session, fake_flink, needs)
    reads._ports = [port]
    assert (await reads.scrape()).taskmanagers_by_reporter == 1
    assert fake_flink.asked("/jobmanager/config") == []


async def test_the_age_of_the_store_is_by_one_clock(fake_flink: FakeFlink, session: aiohttp.ClientSession) -> None:
    """That of the JobManager, which need not agree with ours."""
    expected = (await scraper(session, fake_flink).scrape()).cluster.metrics_age
    reads = scraper(session, fake_flink)
    reads._clock = lambda: fake_flink.clock() + 1000
    assert (await reads.scrape()).cluster.metrics_age == expected


async def test_phases_are_read_on_demand(fake_flink: FakeFlink, session: aiohttp.ClientSession) -> None:
    reads = scraper(session, fake_flink)
    orders = fake_flink.look.job(ORDERS)
    assert by_name((await reads.scrape()).cluster)[ORDERS].checkpoint_phases is None
    assert fake_flink.asked("/jobs/*/checkpoints/details/**") == []
    scrape = await reads.scrape({(orders, Part.CHECKPOINT_PHASES)})
    (phases,) = (by_name(scrape.cluster)[ORDERS].checkpoint_phases or {}).items()
    vertex, seconds = phases
    assert vertex in fake_flink.look.vertices(ORDERS)
    assert set(seconds) == {"start_delay", "alignment", "sync", "async"}
    assert all(0 <= phase < 5 for phase in seconds.values())
    assert len(fake_flink.asked("/jobs/*/checkpoints/details/**")) == 2
    fake_flink.fail("/jobs/*/checkpoints/details/*", ERROR)
    failed = await reads.scrape({(orders, Part.CHECKPOINT_PHASES)})
    assert by_name(failed.cluster)[ORDERS].checkpoint_phases is None
    assert len(failed.errors) == 1


async def test_a_bug_in_one_part_is_not_taken_for_flinks_fault(
    fake_flink: FakeFlink, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def buggy(*_arguments: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Filler, "_vertex", buggy)
    with pytest.raises(ZeroDivisionError):
        await scraper(session, fake_flink).scrape()
