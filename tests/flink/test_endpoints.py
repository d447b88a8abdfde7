"""Is the reporter of each TaskManager found, told from others, and looked for again when it is no longer there?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import aiohttp
import pytest

from exporter.flink import endpoints as under_test
from exporter.flink.endpoints import Endpoints, Gathered, ports, reporter_ports
from exporter.flink.errors import FlinkError, Invalid, Timeout, Unreachable
from exporter.flink.readings import Address, plain
from exporter.model import Raw, Scope, TaskManager
from tests.flink import fake
from tests.flink.fake import FakeReporter
from tests.flink.reading import gate

HOST = "127.0.0.1"
HEAP = Raw(Scope.TASKMANAGER, "Status.JVM.Memory.Heap.Used")
RECORDS = Raw(Scope.TASK, "numRecordsIn")


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        pytest.param("9249", (9249,), id="one"),
        pytest.param("9249-9251", (9249, 9250, 9251), id="a range"),
        pytest.param("9249, 9300-9301", (9249, 9300, 9301), id="both"),
        pytest.param("9251-9249", (), id="a range that ends before it begins"),
        pytest.param("1-65535", tuple(range(1, 257)), id="all there are: no more than 256 are tried"),
    ],
)
def test_ports(spec: str, found: tuple[int, ...]) -> None:
    assert ports(spec) == found


@pytest.mark.parametrize("spec", ["", "prom", "-1", "9249;9250"])
def test_what_is_no_port(spec: str) -> None:
    with pytest.raises(ValueError):
        ports(spec)


FACTORY = "org.apache.flink.metrics.prometheus.PrometheusReporterFactory"


@pytest.mark.parametrize(
    ("configuration", "found"),
    [
        pytest.param({}, None, id="no reporter"),
        pytest.param(
            {"metrics.reporter.prom.factory.class": FACTORY, "metrics.reporter.prom.port": "9250-9252"},
            (9250, 9251, 9252),
            id="as the documentation has it",
        ),
        pytest.param({"metrics.reporter.prom.factory.class": FACTORY}, (9249,), id="the default port"),
        pytest.param(
            {
                "metrics.reporter.prom.class": "org.apache.flink.metrics.prometheus.PrometheusReporter",
                "metrics.reporter.prom.port": "1",
            },
            (1,),
            id="by class, as up to 1.15",
        ),
        pytest.param(
            {"metrics.reporters": "prom", "metrics.reporter.prom.factory.class": FACTORY}, (9249,), id="enabled"
        ),
        pytest.param(
            {"metrics.reporters": "[jmx, prom]", "metrics.reporter.prom.factory.class": FACTORY},
            (9249,),
            id="enabled, as a list of YAML",
        ),
        pytest.param(
            {"metrics.reporters": "jmx", "metrics.reporter.prom.factory.class": FACTORY}, None, id="not enabled"
        ),
        pytest.param(
            {
                "metrics.reporter.push.factory.class": (
                    "org.apache.flink.metrics.prometheus.PrometheusPushGatewayReporterFactory"
                )
            },
            None,
            id="one that pushes is none to be read",
        ),
        pytest.param(
            {"metrics.reporter.prom.factory.class": FACTORY, "metrics.reporter.prom.port": "any"},
            None,
            id="ports that are none",
        ),
        pytest.param(
            {
                "metrics.reporter.a.factory.class": "org.apache.flink.metrics.jmx.JMXReporterFactory",
                "metrics.reporter.a.port": "1",
                "metrics.reporter.b.factory.class": FACTORY,
                "metrics.reporter.b.port": "2",
            },
            (2,),
            id="beside another",
        ),
    ],
)
def test_the_ports_that_a_configuration_names(configuration: dict[str, str], found: tuple[int, ...] | None) -> None:
    assert reporter_ports(configuration) == found


# Reading


class Process(NamedTuple):
    """A TaskManager and its reporter; `says` is what its heap shows."""

    id: str
    reporter: FakeReporter

    def registered(self, host: str = HOST) -> TaskManager:
        return TaskManager(id=self.id, host=host, slots=2, slots_free=0)

    def becomes(self, tm: str | None, heap: float = 1.0) -> None:
        """From now on the process at this port is that of another TaskManager; None: it does not say whose."""
        self.reporter.page = lambda: page(tm, heap)


def page(tm: str | None, heap: float = 1.0, subtask: int = 0, more: str = "") -> bytes:
    label = "" if tm is None else f'tm_id="{tm.replace("-", "_")}",'
    heap_family, records_family = (
        "flink_taskmanager_Status_JVM_Memory_Heap_Used",
        "flink_taskmanager_job_task_numRecordsIn",
    )
    return (
        f"# HELP {heap_family} Used\n# TYPE {heap_family} gauge\n"
        f'{heap_family}{{host="h",{label}}} {heap}\n'
        f"# HELP {records_family} numRecordsIn\n# TYPE {records_family} gauge\n"
        f'{records_family}{{job_id="j",task_id="t",subtask_index="{subtask}",{label}}} {heap}\n{more}'
    ).encode()


@pytest.fixture
async def processes() -> AsyncIterator[list[Process]]:
    """Two TaskManagers and a JobManager, on one host."""
    found = []
    for name in ("h:1-a", "h:2-b", "jobmanager"):
        process = Process(name, FakeReporter(lambda: b""))
        if name != "jobmanager":
            process.becomes(name)
        await process.reporter.open()
        found.append(process)
    yield found
    for process in found:
        await process.reporter.close()


class Reading:
    """Endpoints at work, cycle after cycle, every 10 s."""

    def __init__(self, session: aiohttp.ClientSession, candidates: Sequence[int], timeout: float = 10.0) -> None:
        self.endpoints = Endpoints(gate(session, limit=32, timeout=timeout))
        self.candidates = candidates
        self.now = 0.0

    async def cycle(self, *tms: TaskManager, after: float = 10.0, raws: Sequence[Raw] = (HEAP, RECORDS)) -> Gathered:
        self.now += after
        return await self.endpoints.read(tms, self.candidates, raws, self.now)


def everywhere(processes: list[Process]) -> list[int]:
    return [process.reporter.port for process in processes]


def heaps(gathered: Gathered) -> dict[str, float]:
    """What the heap of each TaskManager shows."""
    return {address.owner[0]: cells[0] for address, cells in gathered.cells.items() if address.raw == HEAP}


def kinds(gathered: Gathered) -> list[type[FlinkError]]:
    return [type(error) for error in gathered.errors]


async def test_those_on_one_host_are_told_apart_by_what_they_say(
    session: aiohttp.ClientSession, processes: list[Process]
) -> None:
    one, two, _ = processes
    one.becomes(one.id, 1.0)
    two.becomes(two.id, 2.0)
    reading = Reading(session, everywhere(processes))
    found = await reading.cycle(one.registered(), two.registered())
    assert heaps(found) == {"h_1_a": 1.0, "h_2_b": 2.0}
    assert found.read == {"h_1_a", "h_2_b"}
    assert (found.errors, reading.endpoints.known) == ((), 2)
    await reading.cycle(one.registered(), two.registered())
    # The one that is nobody's is not asked again.
    assert [len(process.reporter.requests) for process in processes] == [2, 2, 1]


async def test_pages_of_several_are_joined(session: aiohttp.ClientSession, processes: list[Process]) -> None:
    one, two, _ = processes
    for index, process in enumerate((one, two)):
        process.reporter.page = partial(page, process.id, index + 5.0, subtask=index, more="garbage\n")
    found = await Reading(session, everywhere(processes)).cycle(one.registered(), two.registered())
    assert found.cells[Address(RECORDS, ("j", "t"))] == {0: 5.0, 1: 6.0}
    assert found.bad_lines == 2


async def test_one_that_moved_is_found_at_its_new_address(
    session: aiohttp.ClientSession, processes: list[Process]
) -> None:
    one, two, _ = processes
    two.becomes(None)
    reading = Reading(session, everywhere(processes))
    assert (await reading.cycle(one.registered())).read == {"h_1_a"}
    await one.reporter.close()
    two.becomes(one.id, 7.0)
    moved = await reading.cycle(one.registered())
    assert (heaps(moved), kinds(moved)) == ({"h_1_a": 7.0}, [Unreachable])
    again = await reading.cycle(one.registered())
    assert (heaps(again), kinds(again)) == ({"h_1_a": 7.0}, [])


async def test_another_process_at_a_known_address_is_not_taken_for_the_one_that_was_there(
    session: aiohttp.ClientSession, processes: list[Process]
) -> None:
    one, two, _ = processes
    reading = Reading(session, everywhere(processes))
    await reading.cycle(one.registered(), two.registered())
    one.becomes(two.id, 2.0)
    two.becomes(one.id, 1.0)
    swapped = await reading.cycle(one.registered(), two.registered())
    assert heaps(swapped) == {"h_1_a": 1.0, "h_2_b": 2.0}
    one.becomes("h:9-z", 9.0)
    strange = await reading.cycle(one.registered(), two.registered())
    assert heaps(strange) == {"h_1_a": 1.0}
    assert strange.read == {"h_1_a"}


async def test_one_that_the_jobmanager_no_longer_knows_is_not_read(
    session: aiohttp.ClientSession, processes: list[Process]
) -> None:
    one, two, _ = processes
    reading = Reading(session, everywhere(processes))
    await reading.cycle(one.registered(), two.registered())
    found = await reading.cycle(two.registered())
    assert (set(found.read), reading.endpoints.known) == ({"h_2_b"}, 1)
    assert len(one.reporter.requests) == 1


async def test_one_that_is_registered_under_another_host_is_looked_for_there(
    session: aiohttp.ClientSession, processes: list[Process]
) -> None:
    one, *_ = processes
    reading = Reading(session, [one.reporter.port])
    await reading.cycle(one.registered())
    one.becomes(one.id, 3.0)
    found = await reading.cycle(one.registered(host="localhost"))
    assert heaps(found) == {"h_1_a": 3.0}
    assert [headers["Host"].partition(":")[0] for headers in one.reporter.headers] == [HOST, "localhost"]


async def test_one_that_does_not_answer_is_looked_for_ever_less_often(
    session: aiohttp.ClientSession, processes: list[Process]
) -> None:
    one, *_ = processes
    one.becomes("h:9-z")  # somebody's, but not that of the one that is registered
    reading = Reading(session, [one.reporter.port])
    looked_at = []
    for _ in range(200):
        before = len(one.reporter.requests)
        found = await reading.cycle(one.registered())
        assert (found.read, found.cells, found.errors) == (frozenset(), {}, ())
        if len(one.reporter.requests) > before:
            looked_at.append(reading.now)
    gaps = [after - before for before, after in pairwise(looked_at)]
    assert gaps == [30, 60, 120, 240, 480, 600]
    one.becomes(one.id, 4.0)
    assert heaps(await reading.cycle(one.registered(), after=600)) == {"h_1_a": 4.0}


async def test_a_pause_ends_with_its_host(session: aiohttp.ClientSession, processes: list[Process]) -> None:
    one, *_ = processes
    one.becomes("h:9-z")
    reading = Reading(session, [one.reporter.port])
    await reading.cycle(one.registered())
    one.becomes(one.id)
    assert (await reading.cycle(one.registered())).read == frozenset()
    await reading.cycle()  # its host is gone
    assert (await reading.cycle(one.registered())).read == {"h_1_a"}


async def test_after_a_success_pauses_are_short_again(session: aiohttp.ClientSession, processes: list[Process]) -> None:
    one, *_ = processes
    one.becomes("h:9-z")
    reading = Reading(session, [one.reporter.port])
    await reading.cycle(one.registered())
    await reading.cycle(one.registered(), after=30)
    one.becomes(one.id)
    assert (await reading.cycle(one.registered(), after=60)).read == {"h_1_a"}
    one.becomes("h:9-z")
    await reading.cycle(one.registered())
    one.becomes(one.id)
    assert (await reading.cycle(one.registered(), after=20)).read == frozenset()
    assert (await reading.cycle(one.registered(), after=10)).read == {"h_1_a"}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        pytest.param(fake.status(500), Invalid, id="an error"),
        pytest.param(fake.drop, Unreachable, id="nothing"),
        pytest.param(fake.cut, Unreachable, id="half a page"),
        pytest.param(fake.hang, Timeout, id="no answer"),
    ],
)
async def test_one_that_fails_costs_itself(
    session: aiohttp.ClientSession, processes: list[Process], fault: fake.Fault, kind: type[FlinkError]
) -> None:
    one, two, _ = processes
    reading = Reading(session, everywhere(processes)[:2], timeout=0.5 if kind is Timeout else 10.0)
    await reading.cycle(one.registered(), two.registered())
    one.reporter.fail("/metrics", fault)
    found = await reading.cycle(one.registered(), two.registered())
    assert (set(found.read), list(heaps(found)), kinds(found)) == ({"h_2_b"}, ["h_2_b"], [kind])
    one.reporter.heal()
    after = 10.0 if kind is Timeout else 30.0  # a slow one is still where it was; another is looked for
    healed = await reading.cycle(one.registered(), two.registered(), after=after)
    assert healed.read == {"h_1_a", "h_2_b"}


async def test_a_port_that_never_answers_does_not_keep_the_others_from_being_found(
    session: aiohttp.ClientSession, processes: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "_LOOKING", 0.3)
    one, two, jobmanager = processes
    jobmanager.reporter.fail("/metrics", fake.hang)
    reading = Reading(session, everywhere(processes))
    began = asyncio.get_running_loop().time()
    found = await reading.cycle(one.registered(), two.registered())
    assert found.read == {"h_1_a", "h_2_b"}
    assert asyncio.get_running_loop().time() - began < 5


async def test_new_metrics_are_asked_of_those_that_are_known(
    session: aiohttp.ClientSession, processes: list[Process]
) -> None:
    one, *_ = processes
    reading = Reading(session, everywhere(processes))
    await reading.cycle(one.registered(), raws=[HEAP])
    processes[1].reporter.forget()
    found = await reading.cycle(one.registered(), raws=[RECORDS])
    assert list(found.cells) == [Address(RECORDS, ("j", "t"))]
    assert processes[1].reporter.requests == []


# Where the reporter does not say whose it is


async def test_one_alone_on_its_host_and_port_need_not_say_whose_it_is(
    session: aiohttp.ClientSession, processes: list[Process]
) -> None:
    one, *_ = processes
    one.becomes(None, 5.0)
    reading = Reading(session, [one.reporter.port])
    for _ in range(2):
        found = await reading.cycle(one.registered())
        assert (heaps(found), set(found.read)) == ({plain(one.id): 5.0}, {"h_1_a"})


async def test_of_several_that_do_not_say_none_is_believed(
    session: aiohttp.ClientSession, processes: list[Process]
) -> None:
    one, two, _ = processes
    one.becomes(None)
    two.becomes(None)
    range_of_ports = Reading(session, everywhere(processes))
    assert (await range_of_ports.cycle(one.registered())).read == frozenset()
    one_port = Reading(session, [one.reporter.port])
    assert (await one_port.cycle(one.registered(), two.registered())).read == frozenset()
