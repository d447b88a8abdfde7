"""Is a lag judged by its course: does the source keep up, catch up, fall behind, or stand still?

The table of `test_status` is the proof of the rules: each row is a sentence about what was seen, look after look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from math import inf, nan

import pytest

from exporter.flink.readings import reading
from exporter.model import Raw, Scope, Source
from exporter.signals.source_lag import SIGNAL, Age, status
from tests.signals.build import Look, column, run, vertex

PENDING, READ = "pendingRecords", "numRecordsIn"
LAG_MAX, LEGACY = "KafkaSourceReader.KafkaConsumer.records-lag-max", "KafkaConsumer.records-lag-max"
HANDED_OUT = "KafkaSourceReader.KafkaConsumer.records-consumed-total"
CONNECTIONS = "KafkaSourceReader.KafkaConsumer.connection-count"
EMIT, FETCH, IDLE = "currentEmitEventTimeLag", "currentFetchEventTimeLag", "sourceIdleTime"
BUSY, HELD = "accumulateBusyTimeMs", "accumulateBackPressuredTimeMs"
ERRORS, COMMITS = "numRecordsInErrors", "KafkaSourceReader.commitsFailed"

RECORDS, GROWTH = "source_lag_records", "source_lag_growth_records_per_second"
SECONDS, CATCH_UP = "source_lag_seconds", "source_catch_up_seconds"

Subtasks = Sequence[float]


def source(
    at: float,
    readings: Mapping[str, Subtasks],
    *,
    epoch: float | None = 0.0,
    task: Mapping[str, Subtasks] | None = None,
    partitions: Mapping[str, tuple[float | None, float | None]] | None = None,
) -> Look:
    """One look at a source. partitions: the current and the committed offset of each."""
    offsets = {
        name: {
            Raw(Scope.PARTITION, which): offset
            for which, offset in (("currentOffset", current), ("committedOffset", committed))
            if offset is not None
        }
        for name, (current, committed) in (partitions or {}).items()
    }
    told = {Raw(Scope.OPERATOR, name): column(values) for name, values in readings.items()}
    spent = {Raw(Scope.TASK, name): column(values) for name, values in (task or {}).items()}
    one = Source(name="Source: orders", epoch=epoch, read_at=at, readings=told, task=spent, partitions=offsets)
    return replace(vertex(source=True, at=at, epoch=epoch), sources=(one,)), at


def seen(
    lags: Iterable[float | Subtasks | None],
    *,
    reads: float | Sequence[float] | None = 1000,
    every: float = 15.0,
    metric: str = PENDING,
    connections: Subtasks | None = None,
    ages: Sequence[float] | None = None,
    out: float | Sequence[float] | None = None,
    busy: float = 0.0,
    held: float = 0.0,
    more: Mapping[str, Subtasks] | None = None,
    since: float = 0.0,
    epoch: float = 0.0,
) -> list[Look]:
    """A source look after look: how far behind (of one subtask, or of each), and how much it reads a second.

    reads: all the time, or between each look and the next; likewise out: what its client hands out. ages: of what it
    reads, in seconds. busy, held: shares of the time of its task.
    """
    lags = list(lags)

    def counted(paces: float | Sequence[float] | None) -> list[float]:
        between = paces if isinstance(paces, Sequence) else [paces or 0.0] * (len(lags) - 1)
        return list(accumulate((pace * every for pace in between), initial=5000.0))

    counts, handed_out = counted(reads), counted(out)

    def look(number: int, lag: float | Subtasks | None) -> Look:
        told = {} if lag is None else {metric: lag if isinstance(lag, Sequence) else [lag]}
        told |= {} if reads is None else {READ: [counts[number]]}
        told |= {} if connections is None else {CONNECTIONS: connections}
        told |= {} if ages is None else {EMIT: [1000 * ages[number]]}
        told |= {} if out is None else {HANDED_OUT: [handed_out[number]]}
        spent = {name: [1000 * number * every * share] for name, share in ((BUSY, busy), (HELD, held))}
        return source(since + number * every, {**told, **(more or {})}, epoch=epoch, task=spent)

    return [look(number, lag) for number, lag in enumerate(lags)]


def judged(looks: Sequence[Look]) -> str | None:
    """The status of the last look; at most one is present."""
    found = [name for name in run(SIGNAL, looks) if name.startswith("source_lag_status")]
    assert len(found) <= 1
    return found[0].removeprefix("source_lag_status{").removesuffix("}") if found else None


def line(first: float, step: float, looks: int = 9) -> list[float]:
    """A lag that moves by the same from look to look."""
    return [first + step * number for number in range(looks)]


# A look every 15 s, nine of them fill the window; 1,000 records/s are read unless a row says otherwise. A lag of 5,000
# is then one of 5 s, the pulse of fetching.
@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        # It keeps up
        pytest.param(seen([0] * 9), "ok", id="nothing is left, look after look"),
        pytest.param(seen([50] * 9), "ok", id="a few records are always under way"),
        pytest.param(seen([100_000] * 9), "ok", id="it is far behind, and keeps its distance"),
        pytest.param(seen([100_000] * 9, reads=None), "ok", id="likewise, and what it reads is not known"),
        pytest.param(seen([0, 0, 400, 0, 0, 300, 0, 500, 200]), "ok", id="now and then something is left"),
        pytest.param(seen([100, 600] * 4 + [100]), "ok", id="a sawtooth of fetching"),
        pytest.param(seen([20_000, 26_000] * 4 + [20_000]), "ok", id="a sawtooth of big fetches, far behind"),
        pytest.param(seen(line(100, 500)), "ok", id="it grows within the pulse: 4.1 s at the most"),
        pytest.param(seen(line(4999 - 8 * 100, 100)), "ok", id="a pulse of just under 5 s"),
        # It falls behind
        pytest.param(seen(line(5000 - 8 * 100, 100)), "growing", id="of 5 s: no pulse any more"),
        pytest.param(seen(line(10_000, 3000)), "growing", id="200 records more a second"),
        pytest.param(seen(line(10_000, 3000, looks=5)), "growing", id="a minute shows it"),
        pytest.param(seen(line(10_000, 3000, looks=4)), None, id="45 s do not"),
        pytest.param(seen(line(10_000, 3000), reads=None), "growing", id="likewise, and what it reads is not known"),
        pytest.param(
            seen([*line(10_000, 3000, looks=4), 900_000, *line(25_000, 3000, looks=4)]),
            "growing",
            id="one look is far out, upward",
        ),
        pytest.param(seen([*line(10_000, 3000, looks=7), 1, 34_000]), "growing", id="one look is far out, downward"),
        pytest.param(
            seen([*[20_000] * 4, *line(20_000, 9000, looks=5)]), "growing", id="it kept its distance, and lost it"
        ),
        # It catches up
        pytest.param(seen(line(100_000, -3000)), "catching_up", id="200 records less a second"),
        pytest.param(seen([9e6, 8e6, 7e6, 9e5, 6e6, 5e6, 4e6, 3e6, 2e6]), "catching_up", id="one look is far out"),
        pytest.param(
            seen(line(9e6, -60_000), more={EMIT: [86_400_000.0 * 30]}),
            "catching_up",
            id="a backfill: what it reads is a month old, and it becomes less",
        ),
        pytest.param(seen([*line(100_000, -12_000, looks=8), 0]), "ok", id="it has caught up: nothing is left"),
        pytest.param(seen([*line(100_000, -12_000, looks=8), 3000]), "ok", id="it has nearly: 3 s are left"),
        # A step of backlog
        pytest.param(
            seen([0, 0, 0, 0, 900_000, 880_000, 860_000, 840_000, 820_000]), "ok", id="a step: it kept up till then"
        ),
        pytest.param(
            seen([*[0] * 4, *line(900_000, -20_000)]), "catching_up", id="a step of two minutes ago, being worked off"
        ),
        pytest.param(seen([0] * 4 + [900_000] * 9), "ok", id="a step that stays, while as much is read as comes"),
        pytest.param(seen([*[0] * 4, *line(900_000, 20_000)]), "growing", id="a step that goes on"),
        # It stands still
        pytest.param(seen([500] * 9, reads=0), "stalled", id="little is left, and nothing is read"),
        pytest.param(seen(line(500, 3000), reads=0), "stalled", id="more and more is left, and nothing is read"),
        pytest.param(
            seen(line(90_000, -300), reads=0), "stalled", id="less is left as records expire, and nothing is read"
        ),
        pytest.param(seen([500] * 13, reads=[1000] * 8 + [0] * 4), "stalled", id="it stopped a minute ago"),
        pytest.param(seen(line(8000, 0, looks=12), reads=[1000] * 8 + [0] * 3), "ok", id="it stopped 45 s ago"),
        pytest.param(seen([500] * 9, reads=[0] * 7 + [9]), "ok", id="it goes on"),
        # Nothing arrives
        pytest.param(seen([0] * 9, reads=0), "ok", id="an idle source"),
        pytest.param(
            seen([0] * 9, reads=0, connections=[2, 0, 0]), "ok", id="likewise; only one subtask has partitions"
        ),
        pytest.param(seen([0] * 8 + [1], reads=0), "ok", id="an idle source: the first record for long has just come"),
        pytest.param(
            seen([0] * 9, reads=0, connections=[0, 0]), "stalled", id="a dead broker: no news of what there is"
        ),
        pytest.param(seen([700] * 9, reads=0, connections=[0]), "stalled", id="a dead broker, and something was left"),
        pytest.param(
            seen([0] * 9, reads=None, connections=[0]), "stalled", id="likewise, and what it reads is not known"
        ),
        pytest.param(
            seen([0] * 9, reads=[9] * 6 + [0] * 2, connections=[0]), "ok", id="the connections broke 30 s ago"
        ),
        pytest.param(seen([0] * 9, reads=0, connections=[nan, nan]), "ok", id="nobody tells of connections"),
        pytest.param(seen([None] * 5, reads=0, connections=[0, 0]), "stalled", id="likewise, and no lag is told"),
        pytest.param(seen([None] * 5, reads=None, connections=[0]), "stalled", id="nor what it reads"),
        pytest.param(seen([None] * 4, reads=0, connections=[0]), None, id="45 s without a broker, and no lag is told"),
        pytest.param(seen([None] * 5, reads=0, connections=[0, 2]), None, id="no lag is told, and there is a broker"),
        pytest.param(seen([None] * 5, connections=[0]), None, id="no lag and no broker is told, and records are read"),
        pytest.param(
            [
                *seen([None] * 5, reads=0, connections=[2]),
                *seen([None] * 4, reads=0, connections=[0], since=75.0),
            ],
            None,
            id="no lag is told, and the connections broke 45 s ago",
        ),
        # Several subtasks
        pytest.param(seen([[90_000, nan, nan]] * 9), "ok", id="empty partitions: two subtasks never had a record"),
        pytest.param(seen([[nan, nan]] * 9), None, id="all partitions are empty: no lag is told"),
        pytest.param(
            seen([[a, b] for a, b in zip(line(90_000, 3000), line(90_000, -3000), strict=True)]),
            "ok",
            id="one falls behind as the other catches up: in sum it stays",
        ),
        pytest.param(
            seen([[a, b] for a, b in zip(line(90_000, 3000), line(90_000, -1000), strict=True)]),
            "growing",
            id="one falls behind faster than the other catches up",
        ),
        pytest.param(
            seen([[50_000, 50_000]] * 6 + [[50_000, nan]] * 3),
            None,
            id="one subtask is not read any more: no catching up",
        ),
        pytest.param(
            seen([[50_000, 50_000]] * 6 + [[50_000, nan]] * 5), "ok", id="the rest is judged by itself after a minute"
        ),
        pytest.param(seen([[50_000, nan]] * 6 + [[50_000, 50_000]] * 3), None, id="one more is read: it does not grow"),
        # Other metrics
        pytest.param(seen(line(10_000, 3000), metric=LAG_MAX), "growing", id="by the Kafka client's metric"),
        pytest.param(seen(line(10_000, 3000), metric=LEGACY), "growing", id="by the legacy consumer's"),
        pytest.param(seen([50_000] * 9, metric=LEGACY, reads=0), "ok", id="which does not count what it reads"),
        pytest.param(seen([None] * 9), None, id="no metric of lag"),
        pytest.param(seen([*[10_000] * 8, None]), None, id="it is not read any more: never what was true before"),
        pytest.param(seen([-1] * 9), None, id="the connector's word for unknown"),
        # Time
        pytest.param(
            seen(line(10_000, 3000, looks=2), every=60), "growing", id="a minute between the looks: two are enough"
        ),
        pytest.param(seen(line(100_000, -3000, looks=3), every=60), "catching_up", id="likewise when it catches up"),
        pytest.param(seen([500] * 3, every=60, reads=0), "stalled", id="likewise when it stands still"),
        pytest.param(
            seen([0, 900_000, 880_000], every=60), "ok", id="likewise when it had nothing left two minutes ago"
        ),
        pytest.param(
            seen([0, 900_000, 800_000], every=150), "catching_up", id="looks longer apart than the window: the last two"
        ),
        pytest.param(seen([10_000]), None, id="at first sight nobody knows"),
        pytest.param(
            [*seen(line(10_000, 3000)), *seen([40_000] * 4, since=135.0, epoch=130.0)],
            None,
            id="a restart in between: less than a minute of this attempt",
        ),
        pytest.param(
            [*seen(line(10_000, 3000)), *seen(line(400_000, -9000, looks=5), since=135.0, epoch=130.0)],
            "catching_up",
            id="a restart in between: what it read again is caught up, and was never growth",
        ),
    ],
)
def test_status(looks: list[Look], expected: str | None) -> None:
    assert judged(looks) == expected


JUMPING = [500, 20, 900, 40, 700, 10, 800, 30, 600]


# Likewise; 15 s of them are added to an age that rises by 1 s/s from look to look.
@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        # Nothing is left, it is said, of a source that works all the time
        pytest.param(seen([0] * 9, busy=0.95, ages=line(10, 7.5)), "growing", id="what it reads becomes older"),
        pytest.param(seen([0] * 9, held=0.55, ages=line(10, 7.5)), "growing", id="likewise, and it is held back"),
        pytest.param(seen([0] * 5, busy=0.95, ages=line(10, 7.5, 5)), "growing", id="a minute shows it"),
        pytest.param(seen([0] * 4, busy=0.95, ages=line(10, 7.5, 4)), None, id="45 s do not"),
        pytest.param(seen([0] * 9, busy=0.85, ages=line(10, 7.5)), "ok", id="but it has time to spare"),
        pytest.param(seen([0] * 9, held=0.45, ages=line(10, 7.5)), "ok", id="but it is held back less than half"),
        pytest.param(
            seen([0] * 9, busy=0.95, ages=line(10, 7.5), more={IDLE: [9000]}), "ok", id="but it has nothing to read now"
        ),
        pytest.param(
            seen([0] * 9, busy=0.95, ages=line(10, 7.5), more={IDLE: [9000, 0]}),
            "growing",
            id="one subtask has nothing to read, the other has",
        ),
        pytest.param(seen([0] * 9, busy=0.95), "ok", id="nobody knows how old it is"),
        pytest.param(seen([0] * 9, busy=0.95, ages=line(10, 15)), "growing", id="older by 1 s/s, and records are read"),
        pytest.param(seen([0] * 9, held=1, ages=line(10, 15), reads=0), "stalled", id="likewise, and none is read"),
        # 0.9 / 15 and 0.6 / 15
        pytest.param(seen([0] * 9, busy=0.95, ages=line(10, 0.9)), "growing", id="older by 0.06 s/s"),
        pytest.param(seen([0] * 9, busy=0.95, ages=line(10, 0.6)), "ok", id="by 0.04 s/s: it keeps its distance"),
        pytest.param(seen([0] * 9, busy=0.95, ages=line(30, -0.6)), "ok", id="likewise, younger"),
        pytest.param(seen([0] * 9, busy=0.95, ages=line(30, -0.9)), "catching_up", id="younger by 0.06 s/s"),
        # 1.4 + 4 * 0.9 and 1.3 + 4 * 0.9
        pytest.param(seen([0] * 5, busy=0.95, ages=line(1.4, 0.9, 5)), "growing", id="of 5 s: no pulse any more"),
        pytest.param(seen([0] * 5, busy=0.95, ages=line(1.3, 0.9, 5)), "ok", id="a pulse of 4.9 s"),
        pytest.param(seen([0] * 9, busy=0.95, ages=line(30, -3.5)), "ok", id="it has caught up, but for 2 s"),
        pytest.param(
            seen([0] * 9, busy=0.95, ages=line(86_400 * 30, -600)), "catching_up", id="a backfill: a month old"
        ),
        pytest.param(seen([0] * 9, busy=0.95, ages=JUMPING), "ok", id="times that jump about"),
        # Its client handed out all that it reads long ago
        pytest.param(seen(line(90_000, -3000), out=0, ages=line(10, 7.5)), "growing", id="older, and less by its word"),
        pytest.param(
            seen(line(90_000, -3000), out=1000, ages=line(10, 7.5)), "catching_up", id="likewise, but it hands out more"
        ),
        pytest.param(seen(line(90_000, 3000), out=0, ages=line(99, -7.5)), "catching_up", id="younger, and more"),
        pytest.param(seen(line(90_000, 3000), out=1000, ages=line(99, -7.5)), "growing", id="but it hands out more"),
        pytest.param(seen(line(90_000, -3000), out=0, ages=[40] * 9), "ok", id="as old as ever, and less by its word"),
        pytest.param(seen(line(90_000, -3000), out=0), "catching_up", id="nobody knows how old: less by its word"),
        pytest.param(
            seen(line(90_000, -3000), out=0, ages=[nan] * 5 + line(40, 7.5, 4)),
            "catching_up",
            id="nor before it was told for a minute",
        ),
        pytest.param(seen(line(90_000, -3000), out=0, ages=JUMPING), "catching_up", id="nor of times that jump about"),
        pytest.param(seen([900] * 9, out=0, ages=line(10, 7.5)), "growing", id="a pulse of 0.9 s by its word"),
        pytest.param(seen([90_000] * 9, out=0, ages=line(1, 0.4)), "ok", id="a pulse of 4.2 s by its age"),
        pytest.param(seen([0] * 9, out=0, ages=line(10, 7.5)), "ok", id="nothing is left, and there is time to spare"),
        pytest.param(
            seen([90_000] * 9, reads=[0] * 7 + [9], out=[0] * 7 + [9], ages=line(10, 15)),
            "ok",
            id="nothing was handed out as nothing was taken",
        ),
        # Taken all the time, handed out at every other look
        pytest.param(
            seen(line(90_000, -900, 25), every=5, out=[0, 2000] * 12, ages=line(10, 2.5, 25)),
            "catching_up",
            id="it hands out every 10 s, 5 s before: a pulse",
        ),
        pytest.param(
            seen(line(90_000, -900, 21), every=6, out=[0, 2000] * 10, ages=line(10, 3, 21)),
            "growing",
            id="it hands out every 12 s, 6 s before",
        ),
        # Its course turns, of which its word tells nothing
        pytest.param(
            seen([90_000] * 9, out=0, ages=[*line(40, 7.5, 4), *line(70, -7.5, 5)]), "catching_up", id="a minute ago"
        ),
        pytest.param(
            seen([90_000] * 9, out=0, ages=[*line(40, 7.5, 7), *line(77.5, -7.5, 2)]), "growing", id="half a minute ago"
        ),
        pytest.param(
            seen(line(90_000, 9000, 4), every=40, out=0, ages=[70, 90, 70, 50]), "catching_up", id="four looks show it"
        ),
        pytest.param(
            seen(line(90_000, 9000, 3), every=60, out=0, ages=[70, 90, 50]), "growing", id="three do not: more, it says"
        ),
        pytest.param(
            seen(line(90_000, 9000), out=0, ages=[40, 70, 99, 70, 99, 70, 60, 50, 40]),
            "growing",
            id="it turned three times in nine looks: no course",
        ),
        pytest.param(
            seen(line(90_000, 9000), out=0, ages=[40, 70, 80, 99, 90, 95, 80, 60, 40]),
            "growing",
            id="likewise, though it falls at last",
        ),
        pytest.param(
            seen(line(90_000, 9000), out=0, ages=[40, 60, 80, 99, 99, 95, 80, 60, 40]),
            "catching_up",
            id="once: it falls at last",
        ),
        pytest.param(
            seen(line(90_000, 9000), out=0, ages=[40, 50, 60, 70, 70, 70, 70, 70, 70]),
            "ok",
            id="it has come to keep its distance",
        ),
        pytest.param(
            [*seen(line(90_000, -3000, 5), out=0), *seen(line(75_000, -3000, 4), out=None, since=75.0)],
            None,
            id="what was handed out is not told any more: not the same lag",
        ),
    ],
)
def test_status_where_the_lag_is_not_to_be_believed(looks: list[Look], expected: str | None) -> None:
    assert judged(looks) == expected


@pytest.mark.parametrize(
    ("lags", "growth", "pace", "connected", "expected"),
    [
        pytest.param([9, 9], 5, 0, False, "stalled", id="1: not connected, and nothing was read"),
        pytest.param([0, 0], 0, None, False, "stalled", id="1: not connected, and nobody knows"),
        pytest.param([0, 0], 0, 9, False, "ok", id="1 needs that nothing was read"),
        pytest.param([0, 9], 5, 0, True, "ok", id="2: something came since"),
        pytest.param([9, 9], 5, 0, True, "stalled", id="3 before 5"),
        pytest.param([9, 9], -5, 0, None, "stalled", id="3 before 6"),
        pytest.param([9, 9], 5, 9, None, "ok", id="4 before 5: 1 s"),
        pytest.param([99, 99], 5, 9, None, "growing", id="5: 11 s"),
        pytest.param([9, 9], 5, None, None, "growing", id="5: nobody knows how many seconds"),
        pytest.param([99, 99], -5, 9, None, "catching_up", id="6"),
        pytest.param([99, 99], 0, 9, None, "ok", id="7"),
    ],
)
def test_the_order_of_the_rules(
    lags: list[float], growth: float, pace: float | None, connected: bool | None, expected: str
) -> None:
    assert status(lags, growth, pace, connected) == expected


@pytest.mark.parametrize(
    ("works", "ahead", "age", "expected"),
    [
        pytest.param(True, False, Age(90, 1), "growing", id="it works all the time"),
        pytest.param(False, True, Age(90, 1), "ok", id="2 before the age"),
        pytest.param(True, False, Age(4, 1), "ok", id="4 before 5"),
        pytest.param(True, False, Age(90, -1), "catching_up", id="6"),
        pytest.param(True, False, Age(90, 0), "ok", id="7"),
        pytest.param(True, False, Age(90, None), "growing", id="no clear course: that of the records"),
        pytest.param(True, True, None, "ok", id="no age: none were left"),
    ],
)
def test_the_rules_where_none_were_left(works: bool, ahead: bool, age: Age | None, expected: str) -> None:
    assert status([0, 99], 5, 9, True, works=works, ahead=ahead, age=age) == expected


@pytest.mark.parametrize(
    ("readings", "lag"),
    [
        pytest.param({PENDING: [30, 12]}, 42, id="the sum over the subtasks"),
        pytest.param({PENDING: [30, nan]}, 30, id="of those that were read"),
        pytest.param({PENDING: [30, -1]}, 30, id="and know"),
        pytest.param({PENDING: [30, inf]}, 30, id="and could count"),
        pytest.param({PENDING: [0, 0]}, 0, id="nothing is left, which is known"),
        pytest.param({PENDING: [30], LAG_MAX: [99], LEGACY: [999]}, 30, id="pending records first"),
        pytest.param({PENDING: [nan], LAG_MAX: [99, 1], LEGACY: [999]}, 100, id="then the Kafka client's"),
        pytest.param({LAG_MAX: [-inf, 7]}, 7, id="which has a word for none"),
        pytest.param({LEGACY: [999]}, 999, id="then the legacy consumer's"),
        pytest.param({PENDING: [nan, nan]}, None, id="none was read"),
        pytest.param({PENDING: [-1]}, None, id="none knows"),
        pytest.param({}, None, id="no metric of lag"),
        # 30 + 12 + (100 - 88)
        pytest.param({PENDING: [30, 12], HANDED_OUT: [100, 7], READ: [88, 7]}, 54, id="handed out, and not taken"),
        pytest.param({PENDING: [30, 12], HANDED_OUT: [100, 7], READ: [88, 99]}, 54, id="not counted yet: none"),
        pytest.param({PENDING: [30, nan], HANDED_OUT: [100, 99], READ: [88, 7]}, 42, id="of those that know"),
        pytest.param({PENDING: [30], HANDED_OUT: [nan], READ: [88]}, 30, id="what is handed out was not read"),
        pytest.param({PENDING: [30], HANDED_OUT: [100]}, 30, id="what is taken was not read"),
        pytest.param({LAG_MAX: [7], HANDED_OUT: [100], READ: [88]}, 7, id="not added to the worst partition's"),
    ],
)
def test_records(readings: Mapping[str, Subtasks], lag: float | None) -> None:
    assert run(SIGNAL, [source(0.0, readings)]).get(RECORDS) == lag


@pytest.mark.parametrize(
    ("looks", "growth", "catch_up"),
    [
        # 3,000 records in 15 s
        pytest.param(seen(line(10_000, 3000)), 200, None, id="it grows"),
        # 76,000 left, 200 less a second
        pytest.param(seen(line(100_000, -3000)), -200, 380, id="it falls"),
        # 2.25 in 15 s are 9 a minute
        pytest.param(seen(line(100, 2.25)), 0, None, id="9 records a minute are none"),
        pytest.param(seen(line(100, 2.75)), pytest.approx(11 / 60), None, id="11 are some"),
        # 225 in 15 s are 900 a minute, of 100,000
        pytest.param(seen(line(100_000 - 4 * 225, 225)), 0, None, id="0.9 % of the lag a minute is nothing"),
        pytest.param(seen(line(100_000 - 4 * 275, 275)), pytest.approx(275 / 15), None, id="1.1 % is something"),
        pytest.param(seen(line(100_000 + 4 * 225, -225)), 0, None, id="likewise downward: not falling"),
        pytest.param(seen(line(24_000, -3000)), -200, 0, id="nothing is left: it is there now"),
        pytest.param(seen([0] * 9), 0, None, id="nothing was ever left"),
        pytest.param(seen(line(10_000, 3000, looks=4)), None, None, id="45 s show no trend"),
        pytest.param(seen(line(10_000, 3000, looks=5)), 200, None, id="a minute does"),
        pytest.param(
            seen(line(90_000, -3000), out=0, ages=line(10, 7.5)), -200, None, id="it falls by its word, and is growing"
        ),
        # Five minutes of growth, then two that fall: what was before is forgotten.
        pytest.param(seen([*line(0, 3000, looks=20), *line(57_000, -1500)]), -100, 450, id="two minutes count"),
    ],
)
def test_growth(looks: list[Look], growth: float | None, catch_up: float | None) -> None:
    said = run(SIGNAL, looks)
    assert (said.get(GROWTH), said.get(CATCH_UP)) == (growth, catch_up)


@pytest.mark.parametrize(
    ("looks", "seconds"),
    [
        # 30,000 / 1,000
        pytest.param(seen([30_000] * 2), 30, id="at the present pace"),
        # (1,000 * 45 + 200 * 15) / 60 = 800 records/s over a minute
        pytest.param(seen([24_000] * 5, reads=[1000, 1000, 1000, 200]), 30, id="which is that of a minute"),
        pytest.param(seen([0] * 2, reads=0), 0, id="nothing is left, and nothing is read"),
        pytest.param(seen([0] * 2), 0, id="nothing is left"),
        pytest.param(seen([500] * 2, reads=0), None, id="something is left, and nothing is read"),
        pytest.param(seen([500] * 2, reads=None), None, id="nobody knows what is read"),
        pytest.param([*seen([500] * 2), source(30.0, {PENDING: [500]})], None, id="what is read is not told any more"),
        pytest.param(seen([500]), None, id="at first sight nobody knows"),
        pytest.param(seen([0]), 0, id="but where nothing is left"),
        pytest.param(seen([500] * 2, metric=LEGACY), None, id="a legacy consumer does not count what it reads"),
        pytest.param(seen([None] * 2), None, id="no metric of lag"),
    ],
)
def test_seconds(looks: list[Look], seconds: float | None) -> None:
    assert run(SIGNAL, looks).get(SECONDS) == seconds


@pytest.mark.parametrize(
    ("partitions", "expected"),
    [
        # The last record read is 99, a restart would go on with 90: those from 90 to 99
        pytest.param({"orders-0": (99, 90)}, 10, id="read since the last checkpoint"),
        # (99 + 1 - 90) + (19 + 1 - 15)
        pytest.param({"orders-0": (99, 90), "orders-1": (19, 15)}, 15, id="the sum over the partitions"),
        pytest.param({"orders-0": (99, 100)}, 0, id="all is committed"),
        pytest.param(
            {"orders-0": (99, 90), "orders-1": (19, 5000)}, 10, id="one went back: it does not outweigh another"
        ),
        pytest.param({"orders-0": (99, None), "orders-1": (19, 15)}, 5, id="one was never committed: nobody knows"),
        pytest.param({"orders-0": (None, 90)}, None, id="none was read since the start"),
        pytest.param({"orders-0": (99, None)}, None, id="before the first checkpoint"),
        pytest.param({}, None, id="no partitions"),
    ],
)
def test_uncommitted(partitions: Mapping[str, tuple[float | None, float | None]], expected: float | None) -> None:
    said = run(SIGNAL, [source(0.0, {}, partitions=partitions)])
    assert said.get("source_uncommitted_records") == expected


def test_what_is_uncommitted_grows_until_a_checkpoint() -> None:
    def uncommitted(looks: Sequence[tuple[float, float]]) -> Iterator[float]:
        for current, committed in looks:
            yield run(SIGNAL, [source(0.0, {}, partitions={"a-0": (current, committed)})])["source_uncommitted_records"]

    assert list(uncommitted([(9, 0), (19, 0), (29, 30), (39, 30)])) == [10, 20, 0, 10]


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        pytest.param(EMIT, "source_emit_lag_seconds", id="emit lag"),
        pytest.param(FETCH, "source_fetch_lag_seconds", id="fetch lag"),
        pytest.param(IDLE, "source_idle_seconds", id="idle"),
    ],
)
@pytest.mark.parametrize(
    ("milliseconds", "seconds"),
    [
        pytest.param([1500, 400], 1.5, id="the worst subtask"),
        pytest.param([nan, 400], 0.4, id="one was not read"),
        pytest.param([0, 0], 0.0, id="none at all, which is known"),
        pytest.param([nan, nan], None, id="none was read"),
        pytest.param(None, None, id="it has no such metric"),
    ],
)
def test_ages(metric: str, name: str, milliseconds: Subtasks | None, seconds: float | None) -> None:
    readings = {} if milliseconds is None else {metric: milliseconds}
    assert run(SIGNAL, [source(0.0, readings)]).get(name) == seconds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(-1, None, id="-1 says that no record had a time"),
        pytest.param(-1500, -1500, id="records of the future"),
        pytest.param(0, 0, id="fresh ones"),
    ],
)
@pytest.mark.parametrize("metric", [EMIT, FETCH])
def test_flinks_word_for_no_age_is_none(metric: str, value: float, expected: float | None) -> None:
    assert reading(Raw(Scope.OPERATOR, metric), value) == expected


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        # 60 / 60 + 30 / 60
        pytest.param([{ERRORS: [0, 5], COMMITS: [0]}, {ERRORS: [60, 5], COMMITS: [30]}], 1.5, id="records and commits"),
        pytest.param([{ERRORS: [7]}, {ERRORS: [7]}], 0, id="no more of them"),
        pytest.param([{ERRORS: [0, nan]}, {ERRORS: [60, 9000]}], 1, id="one subtask was not read before"),
        pytest.param([{ERRORS: [0]}, {ERRORS: [60], COMMITS: [9000]}], 1, id="commits were not read before"),
        pytest.param([{ERRORS: [9000, 0]}, {ERRORS: [5, 60]}], 1, id="one counter began anew"),
        pytest.param([{ERRORS: [60]}], None, id="at first sight nobody knows"),
        pytest.param([{ERRORS: [0]}, {ERRORS: [60]}, {}], None, id="not read any more"),
        pytest.param([{}, {}], None, id="it has no such metrics"),
    ],
)
def test_errors(looks: list[Mapping[str, Subtasks]], expected: float | None) -> None:
    said = run(SIGNAL, [source(60.0 * number, readings) for number, readings in enumerate(looks)])
    assert said.get("source_errors_per_second") == expected


def test_a_source_whose_job_does_not_run_says_nothing() -> None:
    assert run(SIGNAL, [source(0.0, {PENDING: [5], EMIT: [5]}, epoch=None, partitions={"a-0": (9, 0)})]) == {}
