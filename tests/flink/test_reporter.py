"""Does our quick reading of the reporter's text give what prometheus_client's parser gives, and lose bad lines only?"""

from __future__ import annotations

import gzip
import random
from collections.abc import AsyncIterator, Iterable, Iterator
from math import inf
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.flink.errors import FlinkError
from exporter.flink.readings import Address, Cells
from exporter.flink.reporter import Endpoint, Lines, Page, family_name
from exporter.model import Raw, Scope
from tests.flink import fake
from tests.flink.fake import RECORDINGS, VERSIONS, FakeReporter, plain, recording
from tests.flink.reading import gate

TASK, OPERATOR, TASKMANAGER = Scope.TASK, Scope.OPERATOR, Scope.TASKMANAGER

RECORDS_IN = Raw(TASK, "numRecordsIn")
WATERMARK = Raw(TASK, "currentInputWatermark")
OUT_WATERMARK = Raw(OPERATOR, "currentOutputWatermark")
HEAP_MAX = Raw(TASKMANAGER, "Status.JVM.Memory.Heap.Max")
EMIT_LAG = Raw(OPERATOR, "currentEmitEventTimeLag")

# What a signal may come to want of a TaskManager's process, in the spelling of REST.
WANTED = (
    RECORDS_IN,
    WATERMARK,
    OUT_WATERMARK,
    HEAP_MAX,
    Raw(TASK, "numRecordsOut"),
    Raw(TASK, "accumulateBusyTimeMs"),
    Raw(TASK, "busyTimeMsPerSecond"),
    Raw(TASK, "isBackPressured"),
    Raw(TASK, "Shuffle.Netty.Output.Buffers.outPoolUsage"),
    Raw(OPERATOR, "numRecordsIn"),
    Raw(OPERATOR, "currentInputWatermark"),
    Raw(OPERATOR, "numLateRecordsDropped"),
    Raw(TASKMANAGER, "Status.JVM.Memory.Heap.Used"),
    Raw(TASKMANAGER, "Status.JVM.Memory.NonHeap.Max"),
    Raw(TASKMANAGER, "Status.JVM.GarbageCollector.G1_Young_Generation.Count"),
    # These are of the JobManager's process: no TaskManager is asked for them.
    Raw(Scope.JOBMANAGER, "Status.JVM.Memory.Heap.Used"),
    Raw(Scope.JOB, "numRestarts"),
)

PAGES = [
    pytest.param(page, id=f"{version} look {number} {tm}")
    for version in VERSIONS
    for number, look in enumerate(recording(version), 1)
    for tm, page in look.pages.items()
]
ONE_PAGE = next(iter(recording("2.3")[0].pages.values()))
WHOLE_PAGE = gzip.decompress((RECORDINGS / "2.3/whole-page.txt.gz").read_bytes())


def scraped(lines: Lines, chunks: Iterable[bytes]) -> Page:
    for chunk in chunks:
        lines.feed(chunk)
    return lines.finish()


def whole(page: bytes, *wanted: Raw) -> Page:
    return scraped(Lines(wanted or WANTED), [page])


PREFIXES = {
    TASK: "flink_taskmanager_job_task_",
    OPERATOR: "flink_taskmanager_job_task_operator_",
    TASKMANAGER: "flink_taskmanager_",
}


def by_the_book(page: bytes) -> Cells:
    """What prometheus_client reads in a page, put in place by the rules anew."""
    names = {PREFIXES[raw.scope] + raw.name.replace(".", "_"): raw for raw in WANTED if raw.scope in PREFIXES}
    cells: Cells = {}
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            raw = names.get(sample.name)
            if raw is None or sample.value != sample.value:
                continue
            labels = {name: plain(value) for name, value in sample.labels.items()}
            owner = {
                TASK: ("job_id", "task_id"),
                OPERATOR: ("job_id", "task_id", "operator_name"),
                TASKMANAGER: ("tm_id",),
            }[raw.scope]
            value = sample.value
            if raw.name.endswith("Watermark"):
                value = -inf if value < -9e18 else inf if value > 9e18 else value / 1000
            elif raw.name.endswith(".Max") and value == -1:
                continue
            cell = int(labels.get("subtask_index", "0"))
            cells.setdefault(Address(raw, tuple(labels[label] for label in owner)), {})[cell] = value
    return cells


def pieces(page: bytes, size: int) -> Iterator[bytes]:
    return (page[start : start + size] for start in range(0, len(page), size))


def torn(page: bytes, dice: random.Random) -> Iterator[bytes]:
    """The page in pieces of any size, most of them small."""
    start = 0
    while start < len(page):
        size = dice.choice((0, 1, 2, 3, 50, 500, 5000))
        yield page[start : start + size]
        start += size


# Recorded pages


@pytest.mark.parametrize("page", PAGES)
def test_a_recorded_page_reads_as_the_clients_parser_reads_it(page: bytes) -> None:
    expected = by_the_book(page)
    assert len(expected) > 40
    assert whole(page) == Page(fake.told_by(page), expected, 0)


@pytest.mark.parametrize("size", [1, 7, 65536])
def test_a_page_may_come_in_pieces_of_any_size(size: int) -> None:
    assert scraped(Lines(WANTED), pieces(ONE_PAGE, size)) == whole(ONE_PAGE)


@pytest.mark.parametrize("seed", range(10))
def test_a_page_may_be_torn_anywhere(seed: int) -> None:
    assert scraped(Lines(WANTED), torn(ONE_PAGE, random.Random(seed))) == whole(ONE_PAGE)


def test_blocks_of_other_families_are_skipped() -> None:
    page = whole(WHOLE_PAGE)
    assert page == Page(fake.told_by(WHOLE_PAGE), by_the_book(WHOLE_PAGE), 0)
    assert len(WHOLE_PAGE) > 5 * len(b"".join(fake.blocks(WHOLE_PAGE, {family_name(raw) for raw in WANTED})))


@pytest.mark.parametrize("page", PAGES)
def test_a_series_that_is_known_again_gives_the_same(page: bytes) -> None:
    lines = Lines(WANTED)
    first = scraped(lines, [page])
    again = scraped(lines, pieces(page, 1000))
    assert (first, again) == (whole(page), whole(page))


def test_values_are_those_of_the_second_page_and_not_of_the_first() -> None:
    lines = Lines(WANTED)
    for look in recording("2.3"):
        page = next(iter(look.pages.values()))
        assert scraped(lines, [page]) == whole(page)
    first, second = (whole(next(iter(look.pages.values()))) for look in recording("2.3"))
    assert first.cells != second.cells


# Odd pages


def block(*lines: str, family: str = "flink_taskmanager_job_task_numRecordsIn") -> bytes:
    return "\n".join((f"# HELP {family} what it is", f"# TYPE {family} gauge", *lines, "")).encode()


TASK_1 = 'job_id="j",task_id="t",tm_id="tm-1",subtask_index='
PLAIN = f'flink_taskmanager_job_task_numRecordsIn{{{TASK_1}"0",}} 5.0'
OTHER = f'flink_taskmanager_job_task_numRecordsIn{{{TASK_1}"1",}} 7.0'

BOTH = {0: 5.0, 1: 7.0}


@pytest.mark.parametrize(
    ("page", "cells", "bad"),
    [
        pytest.param(block(PLAIN, OTHER), BOTH, 0, id="as Flink writes it"),
        pytest.param(block(PLAIN, OTHER)[:-1], BOTH, 0, id="no newline at the end"),
        pytest.param(block(PLAIN, OTHER).partition(b"\n")[2], BOTH, 0, id="no HELP, so that it begins with TYPE"),
        pytest.param(block(PLAIN, OTHER).replace(b"\n", b"\r\n"), BOTH, 0, id="lines that end as in DOS"),
        pytest.param(block(PLAIN, "", OTHER), BOTH, 0, id="an empty line"),
        pytest.param(block(PLAIN, OTHER.replace(",}", "}")), BOTH, 0, id="no comma after the last label"),
        pytest.param(block(PLAIN, OTHER.replace(" 7.0", "   7.0")), BOTH, 0, id="more than one space"),
        pytest.param(block(PLAIN, OTHER.replace(" 7.0", "\t7.0")), BOTH, 0, id="a tab"),
        pytest.param(block(PLAIN, OTHER + " 1700000000000"), BOTH, 0, id="a timestamp"),
        pytest.param(block(PLAIN, OTHER.replace("7.0", "7.0E0")), BOTH, 0, id="an exponent"),
        pytest.param(block(PLAIN, OTHER.replace("7.0", "NaN")), {0: 5.0}, 0, id="NaN is no reading"),
        pytest.param(block(PLAIN, PLAIN.replace("5.0", "6.0")), {0: 6.0}, 0, id="a series twice: the last one"),
        pytest.param(
            block(PLAIN, OTHER.replace('"t"', '"t",task_name="Source: \\"a\\" \\\\ \\n b"')),
            BOTH,
            0,
            id="escapes in a label",
        ),
        pytest.param(block(PLAIN, OTHER.replace('"t"', '"t",task_name="a # b"')), BOTH, 0, id="a # in a label"),
        pytest.param(
            block(PLAIN, OTHER.replace('"t"', '"t",task_name="a} b{ 1.0, "')), BOTH, 0, id="braces in a label"
        ),
        pytest.param(block(PLAIN, OTHER.replace('"t"', '"t",task_name="é"')), BOTH, 0, id="letters of the world"),
        pytest.param(
            block(PLAIN, OTHER).replace(
                b'task_id="t",tm_id="tm-1",subtask_index="1"', b'task_id="t",x="\xff",subtask_index="1"'
            ),
            BOTH,
            0,
            id="not UTF-8, in a label of no interest",
        ),
        pytest.param(block(PLAIN, OTHER.replace('job_id="j"', 'job_id="x",job_id="j"')), BOTH, 0, id="a label twice"),
        pytest.param(block(PLAIN, OTHER.replace("subtask_index=", "sub=")), {0: 5.0}, 0, id="no subtask"),
        pytest.param(block(PLAIN, OTHER.replace('"1"', '"one"')), {0: 5.0}, 0, id="a subtask that is no number"),
        pytest.param(block(PLAIN, OTHER.replace("task_id=", "name=")), {0: 5.0}, 0, id="no task"),
        pytest.param(block(PLAIN, "flink_taskmanager_job_task_numRecordsIn 3.0", OTHER), BOTH, 0, id="no labels"),
        pytest.param(block(PLAIN, "garbage", OTHER), BOTH, 1, id="garbage"),
        pytest.param(block(PLAIN, "garbage with spaces", OTHER), BOTH, 1, id="garbage with spaces"),
        pytest.param(block(PLAIN, PLAIN.replace("5.0", "five"), OTHER), BOTH, 1, id="a value that is no number"),
        pytest.param(block(PLAIN, PLAIN.removesuffix(" 5.0"), OTHER), BOTH, 1, id="no value"),
        pytest.param(block(PLAIN, OTHER.replace('"t"', '"t')), {0: 5.0}, 1, id="a label that does not end"),
        pytest.param(block(PLAIN, "\x00\x01\x02 \x03", OTHER), BOTH, 1, id="not even text"),
        pytest.param(b"# \n" + block(PLAIN, OTHER) + b"#\n# EOF\n", BOTH, 0, id="comments of other sorts"),
        pytest.param(b"\n\n" + block(PLAIN, OTHER) + b"\n\n", BOTH, 0, id="empty lines around it"),
        pytest.param(
            block(PLAIN) + block("other{} 1.0", family="other") + block(OTHER), BOTH, 0, id="a family in two places"
        ),
        pytest.param(
            block(PLAIN, OTHER)
            + block(
                f'flink_taskmanager_job_task_numRecordsInPerSecond{{{TASK_1}"0",}} 9.0',
                family="flink_taskmanager_job_task_numRecordsInPerSecond",
            ),
            BOTH,
            0,
            id="a family whose name goes on",
        ),
        pytest.param(block(family="flink_taskmanager_job_task_numRecordsIn"), None, 0, id="a family without series"),
        pytest.param(b"", None, 0, id="nothing"),
        pytest.param(b"<html>\n<body>\n</body>", None, 0, id="a page for people"),
    ],
)
def test_an_odd_line_costs_itself(page: bytes, cells: dict[int, float] | None, bad: int) -> None:
    expected = {} if cells is None else {Address(RECORDS_IN, ("j", "t")): cells}
    lines = Lines([RECORDS_IN])
    for chunks in ([page], pieces(page, 1), [page]):
        found = scraped(lines, chunks)
        assert (found.cells, found.bad_lines) == (expected, bad)


@pytest.mark.parametrize(
    ("raw", "written", "read"),
    [
        pytest.param(WATERMARK, "1.795329244462E12", 1795329244.462, id="a watermark is a time"),
        pytest.param(WATERMARK, "-9.223372036854775808E18", -inf, id="none yet"),
        pytest.param(WATERMARK, "9.223372036854775807E18", inf, id="the input has ended"),
        pytest.param(WATERMARK, "0.0", 0.0, id="1970, of a job that counts"),
        pytest.param(WATERMARK, "-1.0", -0.001, id="before 1970"),
        pytest.param(OUT_WATERMARK, "-9.223372036854775808E18", -inf, id="an operator's"),
        pytest.param(HEAP_MAX, "-1.0", None, id="the JVM has no maximum"),
        pytest.param(HEAP_MAX, "4.02653184E8", 402653184.0, id="it has one"),
        pytest.param(EMIT_LAG, "-1.0", None, id="no record had a time yet"),
        pytest.param(EMIT_LAG, "-2.0", -2.0, id="a record from the future"),
        pytest.param(RECORDS_IN, "-1.0", -1.0, id="-1 of anything else is a value"),
        pytest.param(RECORDS_IN, "NaN", None, id="NaN is none"),
    ],
)
def test_sentinels_end_here(raw: Raw, written: str, read: float | None) -> None:
    name = family_name(raw)
    labels = 'tm_id="a_1",job_id="j",task_id="t",operator_name="o",subtask_index="0"'
    page = whole(block(f"{name}{{{labels},}} {written}", family=name), raw)
    assert [value for cells in page.cells.values() for value in cells.values()] == ([] if read is None else [read])


def test_a_partition_of_kafka_is_its_own_whichever_subtask_has_it() -> None:
    offset = Raw(Scope.PARTITION, "currentOffset")
    name = family_name(offset)
    lines = (
        f'{name}{{job_id="j",task_id="t",operator_name="Source:_o",subtask_index="{subtask}",'
        f'topic="my-topic",partition="{partition}",}} {value}'
        for subtask, partition, value in ((0, 3, 50.0), (1, 4, 60.0), (1, 5, -3.0))
    )
    page = whole(block(*lines, family=name), offset)
    owner = ("j", "t", "Source__o")
    # The last has a sentinel: nothing was read from it yet.
    assert page.cells == {
        Address(offset, (*owner, "my_topic-3")): {0: 50.0},
        Address(offset, (*owner, "my_topic-4")): {0: 60.0},
    }


def test_series_that_are_gone_do_not_stay() -> None:
    lines = Lines([RECORDS_IN])
    scraped(lines, [block(PLAIN, OTHER)])
    assert scraped(lines, [block(PLAIN)]).cells == {Address(RECORDS_IN, ("j", "t")): {0: 5.0}}
    assert scraped(lines, [b""]).cells == {}


def test_what_is_remembered_is_bounded_by_what_is_there() -> None:
    lines = Lines([RECORDS_IN])
    for attempt in range(200):
        page = block(*(PLAIN.replace('"0"', f'"{index}",attempt="{attempt}"') for index in range(50)))
        assert len(scraped(lines, [page]).cells[Address(RECORDS_IN, ("j", "t"))]) == 50
        # Those of this page, as many of the last one, and what may be left until it is worth forgetting.
        assert len(lines._slots) <= 2 * 50 + 100


def test_nothing_of_a_scrape_that_broke_off_is_kept() -> None:
    lines = Lines([RECORDS_IN])
    lines.feed(block(PLAIN, "garbage")[:-20])
    lines.abandon()
    assert scraped(lines, [block(OTHER)]) == Page("tm_1", {Address(RECORDS_IN, ("j", "t")): {1: 7.0}}, 0)


@pytest.mark.parametrize(
    ("labels", "owner", "taskmanager"),
    [
        pytest.param('host="h",tm_id="h:1_a",', "h_1_a", "h_1_a", id="as Flink writes it"),
        pytest.param('tm_id="h:1-a"', "h_1_a", "h_1_a", id="not sanitized"),
        pytest.param('tm_id="h\\\\1"', "h_1", "h_1", id="escapes are one character"),
        pytest.param('host="h",', "", None, id="the variable is excluded: whose it is must be known otherwise"),
        pytest.param("", "", None, id="no labels at all"),
    ],
)
def test_a_page_tells_whose_it_is(labels: str, owner: str, taskmanager: str | None) -> None:
    name = family_name(HEAP_MAX)
    page = whole(block(f"{name}{{{labels}}} 5.0", family=name), HEAP_MAX)
    assert page == Page(taskmanager, {Address(HEAP_MAX, (owner,)): {0: 5.0}}, 0)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        pytest.param(RECORDS_IN, "flink_taskmanager_job_task_numRecordsIn", id="of a task"),
        pytest.param(OUT_WATERMARK, "flink_taskmanager_job_task_operator_currentOutputWatermark", id="of an operator"),
        pytest.param(HEAP_MAX, "flink_taskmanager_Status_JVM_Memory_Heap_Max", id="of a TaskManager"),
        pytest.param(
            Raw(OPERATOR, "KafkaSourceReader.KafkaConsumer.records-lag-max"),
            "flink_taskmanager_job_task_operator_KafkaSourceReader_KafkaConsumer_records_lag_max",
            id="dots and dashes",
        ),
    ],
)
def test_the_reporters_name_of_a_metric(raw: Raw, name: str) -> None:
    assert family_name(raw) == name


# Over HTTP


@pytest.fixture
async def reporter() -> AsyncIterator[FakeReporter]:
    server = FakeReporter(lambda: WHOLE_PAGE)
    await server.open()
    yield server
    await server.close()


async def test_exactly_the_wanted_families_are_asked_for(
    reporter: FakeReporter, session: aiohttp.ClientSession
) -> None:
    read = await Endpoint("127.0.0.1", reporter.port, WANTED).read(gate(session))
    assert read == whole(WHOLE_PAGE)
    (request,) = reporter.requests
    names = {family_name(raw) for raw in WANTED if raw.scope in (TASK, OPERATOR, TASKMANAGER)}
    assert set(parse_qs(urlsplit(request).query)["name[]"]) == names
    assert urlsplit(request).path == "/metrics"
    assert reporter.methods == {"GET": 1}


async def test_one_that_does_not_filter_is_read_all_the_same(
    reporter: FakeReporter, session: aiohttp.ClientSession
) -> None:
    reporter.fail("/metrics", fake.content(WHOLE_PAGE))
    assert await Endpoint("127.0.0.1", reporter.port, WANTED).read(gate(session)) == whole(WHOLE_PAGE)


@pytest.mark.parametrize("fault", [fake.cut, fake.hang_midway, fake.drop, fake.status(500)])
async def test_a_page_that_broke_off_leaves_nothing_behind(
    reporter: FakeReporter, session: aiohttp.ClientSession, fault: fake.Fault
) -> None:
    endpoint = Endpoint("127.0.0.1", reporter.port, WANTED)
    reporter.fail("/metrics", fault)
    with pytest.raises(FlinkError):
        await endpoint.read(gate(session, timeout=0.2))
    reporter.heal()
    reporter.page = lambda: block(PLAIN)
    assert await endpoint.read(gate(session)) == Page("tm_1", {Address(RECORDS_IN, ("j", "t")): {0: 5.0}}, 0)


async def test_an_address_of_ipv6_stands_in_brackets(session: aiohttp.ClientSession) -> None:
    with pytest.raises(FlinkError, match=r"^http://\[::1\]:1/metrics\?name%5B%5D="):
        await Endpoint("::1", 1, [RECORDS_IN]).read(gate(session))
