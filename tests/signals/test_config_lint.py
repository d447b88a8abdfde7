"""Does each check fire where something will hurt, and only there?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from exporter.derive import derive
from exporter.history import History
from exporter.model import CheckpointSettings, Cluster, Job, Raw, RestartStrategy, Scope, TaskManager
from exporter.signals.config_lint import ISSUE, SIGNAL
from tests.signals.build import Entry, cluster, completed, down, job, savepoint, vertex

HEAP_MAX = Raw(Scope.TASKMANAGER, "Status.JVM.Memory.Heap.Max")

# A job and a cluster with which nothing is wrong; of these a row changes what it names.
STRATEGY = RestartStrategy(kind="exponential-delay", delay=1.0)
SETTINGS = CheckpointSettings(
    interval=60.0, timeout=600.0, tolerable_failures=0, retained=True, backend="EmbeddedRocksDBStateBackend"
)


def host(id: str = "tm-1", *, used: int = 1, slots: int = 2, heap: float | None = 1000.0) -> TaskManager:
    readings = {} if heap is None else {HEAP_MAX: heap}
    return TaskManager(id=id, host="host-1", slots=slots, slots_free=slots - used, readings=readings)


TWO = (host("tm-1"), host("tm-2"))


def running(
    *,
    strategy: RestartStrategy | None = STRATEGY,
    settings: CheckpointSettings | None = SETTINGS,
    checkpoints: list[Entry | float] | None = None,
    hosts: tuple[TaskManager, ...] = TWO,
    state: str = "RUNNING",
    id: str = "job",
) -> Job:
    made = job(
        checkpoints=checkpoints, settings=settings, vertices=[replace(vertex(), hosts=hosts)], state=state, id=id
    )
    return replace(made, restart_strategy=strategy)


def around(
    *jobs: Job,
    hosts: tuple[TaskManager, ...] = TWO,
    configuration: Mapping[str, str] | None = None,
    has_reporter: bool | None = True,
) -> Cluster:
    found = cluster(*(jobs or (running(),)), *hosts)
    return replace(found, configuration=configuration, has_reporter=has_reporter)


def issues(seen: Cluster) -> dict[str, set[str]]:
    """The checks that hold, by job."""
    said = derive(seen, (SIGNAL,), History(), 0.0)
    assert said.failures == {}
    assert {row.family for row in said.rows} <= {ISSUE}
    assert {row.value for row in said.rows} <= {1}
    return {
        id: {row.labels[3] for row in said.rows if row.labels[1] == id} for id in {row.labels[1] for row in said.rows}
    }


def test_nothing_is_wrong() -> None:
    assert issues(around()) == {}


FIXED = RestartStrategy(kind="fixed-delay", attempts=4, delay=1.0)


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        pytest.param(running(strategy=RestartStrategy(kind="none")), {"no_restart_strategy"}, id="none"),
        pytest.param(
            running(strategy=RestartStrategy(kind="none", configured=False)), {"no_restart_strategy"}, id="none chosen"
        ),
        pytest.param(running(strategy=None), set(), id="a strategy that nobody understood"),
        pytest.param(running(strategy=FIXED), set(), id="four attempts"),
        pytest.param(running(strategy=replace(FIXED, attempts=3)), {"few_restart_attempts"}, id="three attempts"),
        pytest.param(running(strategy=replace(FIXED, attempts=0)), {"few_restart_attempts"}, id="not one attempt"),
        pytest.param(running(strategy=replace(FIXED, attempts=None)), set(), id="attempts without end"),
        pytest.param(
            running(strategy=RestartStrategy(kind="failure-rate", attempts=1, interval=60.0)),
            set(),
            id="one failure a minute: they come back",
        ),
        pytest.param(
            running(settings=replace(SETTINGS, interval=None)), {"checkpointing_disabled"}, id="no periodic checkpoints"
        ),
        pytest.param(
            running(settings=replace(SETTINGS, interval=None, retained=False)),
            {"checkpointing_disabled"},
            id="of which none could be retained either",
        ),
        pytest.param(
            running(settings=replace(SETTINGS, retained=False)), {"checkpoints_not_retained"}, id="gone when canceled"
        ),
        pytest.param(running(settings=replace(SETTINGS, retained=None)), set(), id="retained or not, nobody told"),
        pytest.param(running(settings=None), set(), id="no settings were read"),
    ],
)
def test_checks_of_a_job(job: Job, expected: set[str]) -> None:
    assert issues(around(job)) == ({job.id: expected} if expected else {})


ON_HEAP = replace(SETTINGS, backend="HashMapStateBackend")


@pytest.mark.parametrize(
    ("job", "large"),
    [
        # 0.3 of 2 TaskManagers of 1000 bytes: 600
        pytest.param(running(settings=ON_HEAP, checkpoints=[completed(1, state=601)]), True, id="601 of 2000 bytes"),
        pytest.param(running(settings=ON_HEAP, checkpoints=[completed(1, state=600)]), False, id="600 of 2000 bytes"),
        pytest.param(
            running(settings=ON_HEAP, checkpoints=[completed(1, state=900), completed(1, state=500)]),
            False,
            id="it was larger once",
        ),
        pytest.param(
            running(settings=ON_HEAP, checkpoints=[completed(1, state=500), savepoint(completed(1, state=900))]),
            False,
            id="a savepoint is larger",
        ),
        pytest.param(
            running(settings=ON_HEAP, checkpoints=[completed(1, state=500)], hosts=TWO[:1]),
            True,
            id="500 of 1000 bytes",
        ),
        pytest.param(
            running(settings=replace(SETTINGS, backend="MemoryStateBackend"), checkpoints=[completed(1, state=900)]),
            True,
            id="a backend of old",
        ),
        pytest.param(
            running(settings=replace(SETTINGS, backend="FsStateBackend"), checkpoints=[completed(1, state=900)]),
            True,
            id="another one",
        ),
        pytest.param(running(checkpoints=[completed(1, state=9e9)]), False, id="RocksDB"),
        pytest.param(
            running(settings=replace(SETTINGS, backend="ForStStateBackend"), checkpoints=[completed(1, state=9e9)]),
            False,
            id="ForSt",
        ),
        pytest.param(
            running(settings=replace(SETTINGS, backend=None), checkpoints=[completed(1, state=9e9)]),
            False,
            id="not told",
        ),
        pytest.param(running(settings=ON_HEAP, checkpoints=[]), False, id="no checkpoint yet"),
        pytest.param(running(settings=ON_HEAP), False, id="checkpoints were not read"),
        pytest.param(running(settings=ON_HEAP, checkpoints=[10]), False, id="no size was told"),
        pytest.param(
            running(settings=ON_HEAP, checkpoints=[completed(1, state=9e9)], hosts=()), False, id="it runs nowhere"
        ),
        pytest.param(
            running(settings=ON_HEAP, checkpoints=[completed(1, state=900)], hosts=(host("a"), host("b", heap=None))),
            False,
            id="of one TaskManager the heap is not known: it may be large",
        ),
    ],
)
def test_state_on_the_heap(job: Job, large: bool) -> None:
    assert issues(around(job)) == ({"job": {"heap_state_large"}} if large else {})


@pytest.mark.parametrize(
    ("hosts", "tolerant"),
    [
        pytest.param((host("a", used=1), host("b", used=1)), True, id="1 fits into 1"),
        pytest.param((host("a", used=2), host("b", used=1)), False, id="2 do not fit into 1"),
        pytest.param((host("a", used=0), host("b", used=2)), True, id="2 fit into 2"),
        pytest.param((host("a", used=8, slots=8), host("b", used=0)), False, id="8 do not fit into 2"),
        pytest.param((host("a", used=2), host("b", used=2, slots=8)), False, id="of two as full the larger one counts"),
        pytest.param((host("a", used=1),), False, id="a single one"),
        pytest.param((host("a", used=0),), True, id="a single one that does nothing"),
        pytest.param((), True, id="none: there is nothing to lose"),
    ],
)
def test_loss_tolerance(hosts: tuple[TaskManager, ...], tolerant: bool) -> None:
    assert issues(around(hosts=hosts)) == ({} if tolerant else {"job": {"no_loss_tolerance"}})


def test_where_a_lost_one_is_replaced_nothing_has_to_be_tolerated() -> None:
    full = (host("a", used=2), host("b", used=2))
    assert issues(around(hosts=full, configuration={"execution.target": "kubernetes-session"})) == {}
    assert issues(around(hosts=full, configuration={"execution.target": "remote"})) == {"job": {"no_loss_tolerance"}}


@pytest.mark.parametrize(
    ("has_reporter", "expected"),
    [
        pytest.param(False, {"job": {"reporter_missing"}}, id="none is configured"),
        pytest.param(True, {}, id="one is"),
        pytest.param(None, {}, id="the configuration was not read"),
    ],
)
def test_the_reporter(has_reporter: bool | None, expected: dict[str, set[str]]) -> None:
    assert issues(around(has_reporter=has_reporter)) == expected


INTERVAL, GRANULARITY = "metrics.latency.interval", "metrics.latency.granularity"
FETCHER = "metrics.fetcher.update-interval"


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        pytest.param({INTERVAL: "1000", GRANULARITY: "subtask"}, "latency_tracking_costly", id="1.17: per subtask"),
        pytest.param({INTERVAL: "1 s", GRANULARITY: "SUBTASK"}, "latency_tracking_costly", id="1.20: per subtask"),
        pytest.param({INTERVAL: "PT0.5S", GRANULARITY: "subtask"}, "latency_tracking_costly", id="2.3: per subtask"),
        pytest.param({INTERVAL: "1 s", GRANULARITY: "operator"}, None, id="per operator"),
        pytest.param({INTERVAL: "1 s", GRANULARITY: "single"}, None, id="without its source"),
        pytest.param({INTERVAL: "1 s"}, None, id="per operator, if nothing is said"),
        pytest.param({GRANULARITY: "subtask"}, None, id="not at all, if nothing is said"),
        pytest.param({INTERVAL: "0", GRANULARITY: "subtask"}, None, id="1.17: not at all"),
        pytest.param({INTERVAL: "-1", GRANULARITY: "subtask"}, None, id="1.17: nor this way"),
        pytest.param({INTERVAL: "0 ms", GRANULARITY: "subtask"}, None, id="1.20: not at all"),
        pytest.param({INTERVAL: "PT0S", GRANULARITY: "subtask"}, None, id="2.3: not at all"),
        pytest.param({FETCHER: "0"}, "metric_fetcher_disabled", id="1.17: never fetched"),
        pytest.param({FETCHER: "0 ms"}, "metric_fetcher_disabled", id="1.20: never fetched"),
        pytest.param({FETCHER: "0s"}, "metric_fetcher_disabled", id="2.3: never fetched"),
        pytest.param({FETCHER: "10000"}, None, id="1.17: every 10 s"),
        pytest.param({FETCHER: "10 s"}, None, id="2.3: every 10 s"),
        pytest.param({}, None, id="nothing is configured"),
        pytest.param(None, None, id="nothing was read"),
    ],
)
def test_checks_of_the_configuration(configuration: dict[str, str] | None, expected: str | None) -> None:
    assert issues(around(configuration=configuration)) == ({"job": {expected}} if expected else {})


def test_what_the_cluster_lacks_every_job_lacks() -> None:
    one, other = running(id="one", strategy=RestartStrategy(kind="none")), running(id="other")
    ended = replace(running(id="ended", state="FINISHED", strategy=None), epoch=None)
    assert issues(around(one, other, ended, has_reporter=False)) == {
        "one": {"no_restart_strategy", "reporter_missing"},
        "other": {"reporter_missing"},
    }


def test_nothing_is_said_of_a_cluster_that_does_not_answer() -> None:
    assert issues(down()) == {}
