"""Source lag: how far is a source behind what there is to read, and does it catch up?

Only Flink is asked, and Flink does not know where a partition ends: without a lag metric there is no lag to tell.
A Kafka client knows it as of its last fetch, and fetches no more of a partition until the job has taken what it has:
of a slow job with small records that may be minutes ago. Meanwhile the age of what it reads tells what the lag does.
Offsets are committed when a checkpoint completes, so that between two of them what is uncommitted only grows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import pairwise
from math import inf, isfinite
from statistics import median
from typing import NamedTuple

from exporter.families import Family, Sample
from exporter.history import Past, Point, Track
from exporter.model import Raw, Scope, Source
from exporter.signals._counters import frequency, shares
from exporter.signals._stats import observed, present, rates, slope, slopes, up_to
from exporter.signals.base import Note, Signal

PENDING = Raw(Scope.OPERATOR, "pendingRecords")
LAG_MAX = Raw(Scope.OPERATOR, "KafkaSourceReader.KafkaConsumer.records-lag-max")
LEGACY_LAG_MAX = Raw(Scope.OPERATOR, "KafkaConsumer.records-lag-max")
HANDED_OUT = Raw(Scope.OPERATOR, "KafkaSourceReader.KafkaConsumer.records-consumed-total")
RECORDS_IN = Raw(Scope.OPERATOR, "numRecordsIn")
EMIT_LAG = Raw(Scope.OPERATOR, "currentEmitEventTimeLag")
FETCH_LAG = Raw(Scope.OPERATOR, "currentFetchEventTimeLag")
IDLE = Raw(Scope.OPERATOR, "sourceIdleTime")
RECORD_ERRORS = Raw(Scope.OPERATOR, "numRecordsInErrors")
COMMITS_FAILED = Raw(Scope.OPERATOR, "KafkaSourceReader.commitsFailed")
CONNECTIONS = Raw(Scope.OPERATOR, "KafkaSourceReader.KafkaConsumer.connection-count")
CURRENT = Raw(Scope.PARTITION, "currentOffset")
COMMITTED = Raw(Scope.PARTITION, "committedOffset")
BUSY = Raw(Scope.TASK, "accumulateBusyTimeMs")
BACKPRESSURED = Raw(Scope.TASK, "accumulateBackPressuredTimeMs")

RECORDS = Family(
    name="flink_health_source_lag_records",
    help="Records that the source had still to read when it last fetched some.",
    formula="sum over the subtasks that were read of `pendingRecords`, and of what the Kafka client has handed out and "
    "the job has not taken yet (`records-consumed-total` - `numRecordsIn`, where that is above 0); where none has the "
    "first, of the client's `records-lag-max`, which is that of the subtask's worst partition. At least so many: the "
    "client of a slow job fetches far ahead (`max.partition.fetch.bytes`), and knows of no newer records meanwhile",
)
GROWTH = Family(
    name="flink_health_source_lag_growth_records_per_second",
    help="How fast the lag grows; below 0 the source catches up.",
    formula="slope (Theil-Sen) of the lag over 2 min; 0 within 1 % of its median, or 10 records, a minute; absent "
    "until 1 min was seen of this attempt and of the same subtasks",
)
SECONDS = Family(
    name="flink_health_source_lag_seconds",
    help="How long the source would need to read what it is behind, at its present pace.",
    formula="lag / records read a second over 60 s; 0 without lag; absent while nothing is read",
)
CATCH_UP = Family(
    name="flink_health_source_catch_up_seconds",
    help="When the lag will be gone if all goes on as it does.",
    formula="lag / -growth; absent unless the lag falls, and where the status is growing all the same",
)
STATUS = Family(
    name="flink_health_source_lag_status",
    help="What the lag does, judged by its course and not by its size.",
    formula="1 for the present one, by the first rule that holds. 1: no broker is connected, and no record was read "
    "for 1 min: stalled. 2: the lag was 0 within the last 2 min: ok; but not of a source that has something to read "
    "and works all the time (a subtask of its task busy 0.9 of the last 60 s, or backpressured 0.5). 3: no record was "
    "read for 1 min: stalled. 4: the lag is that of less than 5 s: ok. 5: it grows: growing. 6: it falls: catching_up. "
    "7: it stays: ok. Rules 4 to 7 judge the emit lag instead where the lag is not to be believed: where it was 0 "
    "though the source works all the time (without an emit lag: ok), or the source read on for more than 5 s of the "
    "last 2 min, from what was fetched before, while `records-consumed-total` stood still. The emit lag grows where "
    "half of the slopes between looks, those in the middle, are 0.05 s/s or more, falls likewise, and stays where they "
    "are between; else, where it turns at a quarter of the looks at most, its later half tells; else rules 5 to 7 "
    "judge the lag. Absent like the growth; but stalled where no lag is told, and for 1 min no broker was connected "
    "and no record was read",
    labels=("status",),
)
UNCOMMITTED = Family(
    name="flink_health_source_uncommitted_records",
    help="Records that were read since the offsets that are committed.",
    formula="sum over the partitions of the offset after the current one less the committed one; committed at "
    "checkpoints only; absent before the first",
)
EMIT = Family(
    name="flink_health_source_emit_lag_seconds",
    help="Age of records when the source sends them on.",
    formula="greatest `currentEmitEventTimeLag` of the subtasks; an idle source keeps its last record's; absent where "
    "records have no time",
)
FETCH = Family(
    name="flink_health_source_fetch_lag_seconds",
    help="Age of records when the source fetches them.",
    formula="greatest `currentFetchEventTimeLag` of the subtasks; absent where records have no time",
)
IDLE_SECONDS = Family(
    name="flink_health_source_idle_seconds",
    help="How long a subtask of the source has had nothing to read.",
    formula="greatest `sourceIdleTime` of the subtasks",
)
ERRORS = Family(
    name="flink_health_source_errors_per_second",
    help="Records that could not be read and offsets that could not be committed.",
    formula="increase of `numRecordsInErrors` and `commitsFailed` over 60 s",
)

_LAG = Track("source_lag", most=128, span=120.0, least=2)
_READ = Track("source_read", most=64, span=60.0, least=2)
_WRONG = Track("source_errors", most=64, span=60.0, least=2)
_AGE = Track("source_age", most=128, span=120.0, least=2)
_TAKEN = Track("source_taken", most=128, span=120.0, least=2)
_CONNECTED = Track("source_connected", most=128, span=120.0, least=2)
_WORK = Track("source_work", most=64, span=60.0, least=2)

# A trend is not told from less.
_LEAST_OBSERVED = 60.0
# A lag that moves by less than this share of itself, or by so many records, a second stands still.
_DEAD_SHARE = 0.01 / 60
_DEAD_RECORDS = 10 / 60
# A lag of less time than this is the pulse of fetching, not a lag.
_PULSE_SECONDS = 5.0
# Records that become older or younger by less than so many seconds a second keep their age.
_DEAD_AGEING = 0.05
# Times that jump about show no course: so many of the slopes between looks have to agree, or at so many of the looks at
# most it may turn.
_AGREE = 0.75
_TURNS = 0.25
# What share of its time a subtask works that works all the time, and one that is held back.
_SATURATED = 0.9
_HELD_BACK = 0.5


class _Lag(NamedTuple):
    """Records behind, and what this is the sum of: two sums of different things are no trend."""

    records: float
    of: Hashable
    legacy: bool


class Age(NamedTuple):
    """How old the records are that a source reads, in seconds, and whether they become older (1) or younger (-1).

    course: None where none is clear.
    """

    seconds: float
    course: int | None


def remember(source: Source, past: Past, now: float) -> Iterator[Note]:
    def point(value: object, *epoch: Hashable) -> Point:
        return Point(source.read_at, value, tick=source.read_at, epoch=(source.epoch, *epoch))

    lag, read = _lag(source), source.readings.get(RECORDS_IN)
    if lag is not None:
        yield Note(_LAG, point(lag.records, lag.of))
    if read is not None:
        yield Note(_READ, point(read))
    wrong = {raw: source.readings[raw] for raw in (RECORD_ERRORS, COMMITS_FAILED) if raw in source.readings}
    if wrong:
        yield Note(_WRONG, point(wrong))
    ages = present(source.readings.get(EMIT_LAG, ()))
    if ages:
        yield Note(_AGE, point(max(ages) / 1000))
    handed_out = source.readings.get(HANDED_OUT)
    if handed_out is not None and read is not None:
        yield Note(_TAKEN, point((handed_out, read), len(read)))
    connected = _connected(source)
    if connected is not None:
        yield Note(_CONNECTED, point(connected, connected))
    work = {raw: source.task[raw] for raw in (BUSY, BACKPRESSURED) if raw in source.task}
    if work:
        yield Note(_WORK, point(work))


def _lag(source: Source) -> _Lag | None:
    for raw in (PENDING, LAG_MAX, LEGACY_LAG_MAX):
        # Below 0 is a connector's word for what it does not know; infinite is Kafka's.
        known = {subtask: records for subtask, records in enumerate(source.readings.get(raw, ())) if 0 <= records < inf}
        if known:
            untaken = _untaken(source) if raw is PENDING else {}
            records = sum(known.values()) + sum(untaken.get(subtask, 0.0) for subtask in known)
            return _Lag(records, (raw, tuple(known), tuple(untaken)), raw is LEGACY_LAG_MAX)
    return None


def _untaken(source: Source) -> dict[int, float]:
    """Records that the Kafka client has handed out and the job has not taken yet, by subtask: at least so many.

    The client counts what it handed out when a fetch has been handed out whole.
    """
    both = zip(source.readings.get(HANDED_OUT, ()), source.readings.get(RECORDS_IN, ()), strict=False)
    return {subtask: max(0.0, out - read) for subtask, (out, read) in enumerate(both) if isfinite(out - read)}


def derive(source: Source, past: Past, now: float) -> Iterator[Sample]:
    if source.epoch is None:
        return
    lag = _lag(source)
    if lag is not None:
        yield from _behind(source, lag, past)
    elif _is_cut_off(source, past):
        yield STATUS.sample(1, status="stalled")
    yield from _offsets(source)
    yield from _ages(source)
    wrong = frequency(up_to(source.read_at, past[_WRONG]))
    if wrong is not None:
        yield ERRORS.sample(wrong)


def _behind(source: Source, lag: _Lag, past: Past) -> Iterator[Sample]:
    yield RECORDS.sample(lag.records)
    pace = None if lag.legacy else _pace(source, past)  # a legacy consumer does not count what it reads
    if lag.records == 0 or pace:
        yield SECONDS.sample(lag.records / pace if pace else 0.0)
    lags = past[_LAG]
    growth = _growth(lags)
    if growth is None:
        return
    yield GROWTH.sample(growth)
    word = status(
        [point.value for point in lags],
        growth,
        pace,
        _connected(source),
        works=_works_all_the_time(source, past),
        ahead=_reads_ahead(past[_TAKEN]),
        age=_age(up_to(source.read_at, past[_AGE])),
    )
    if growth < 0 and word != "growing":
        yield CATCH_UP.sample(lag.records / -growth)
    yield STATUS.sample(1, status=word)


def _pace(source: Source, past: Past) -> float | None:
    """Records read a second, over a minute."""
    values = present(rates(up_to(source.read_at, past[_READ])) or ())
    return sum(values) if values else None


def _growth(lags: Sequence[Point]) -> float | None:
    """Records a second, 0 where the lag moves by no more than it does by chance."""
    trend = slope(lags)
    if trend is None or observed(lags) < _LEAST_OBSERVED:
        return None
    typical = median(point.value for point in lags)
    return 0.0 if abs(trend) <= max(_DEAD_RECORDS, _DEAD_SHARE * typical) else trend


def _connected(source: Source) -> bool | None:
    """Whether the source's clients are connected to any broker; None where they do not tell."""
    connections = present(source.readings.get(CONNECTIONS, ()))
    return any(connections) if connections else None


def _is_cut_off(source: Source, past: Past) -> bool:
    """Whether for a minute no broker was connected, and nothing was read."""
    points = up_to(source.read_at, past[_CONNECTED])  # all of one word: another is a new epoch
    return observed(points) >= _LEAST_OBSERVED and not points[-1].value and not _pace(source, past)


def _works_all_the_time(source: Source, past: Past) -> bool:
    """Whether the source's task has no time left, of its own or for those after it, and something to read now."""
    idle = present(source.readings.get(IDLE, ()))
    if idle and min(idle) > 0:
        return False
    points = up_to(source.read_at, past[_WORK])

    def most(raw: Raw) -> float:
        columns = [point._replace(value=point.value[raw]) for point in points if raw in point.value]
        return max(present(shares(columns) or ()), default=0.0)

    return most(BUSY) >= _SATURATED or most(BACKPRESSURED) >= _HELD_BACK


def _reads_ahead(points: Sequence[Point]) -> bool:
    """Whether a subtask read on for more than the pulse of fetching while its client handed out nothing new.

    What it reads was fetched before, and what its client knows of the lag is as old as that.
    """
    since: dict[int, float] = {}
    for before, point in pairwise(points):
        for subtask, (out, read) in enumerate(zip(*point.value, strict=True)):
            if out != before.value[0][subtask]:
                since[subtask] = point.at
            elif read > before.value[1][subtask] and point.at - since.get(subtask, points[0].at) > _PULSE_SECONDS:
                return True
    return False


def _age(points: Sequence[Point]) -> Age | None:
    return Age(points[-1].value, _course(points)) if observed(points) >= _LEAST_OBSERVED else None


def _course(points: Sequence[Point]) -> int | None:
    """Upward (1), downward (-1), neither (0); None where it is not clear."""
    steps = sorted(slopes(points))
    low, high = steps[int(len(steps) * (1 - _AGREE))], steps[int(len(steps) * _AGREE)]
    if _direction(low) == _direction(high):
        return _direction(low)
    moves = [after.value - before.value for before, after in pairwise(points)]
    turns = sum(before * after < 0 for before, after in pairwise(moves))
    if turns > _TURNS * len(points):
        return None
    # A course that has turned: its later half tells where to.
    return _direction(median(slopes(list(points)[len(points) // 2 :])))


def _direction(ageing: float) -> int:
    return 0 if abs(ageing) < _DEAD_AGEING else 1 if ageing > 0 else -1


def status(
    lags: Sequence[float],
    growth: float,
    pace: float | None,
    connected: bool | None,
    *,
    works: bool = False,
    ahead: bool = False,
    age: Age | None = None,
) -> str:
    """What the lag does. lags: of the window, the present one last. works: all the time, on something to read. ahead:
    it reads what was fetched too long before. age: of what it reads.

    The first rule that holds:

    1. No broker is connected, and nothing was read for a minute: `stalled`. What lag there is would not be known.
    2. There was a moment in the window with nothing left to read, and it does not work all the time: `ok`, whatever may
       have come since.
    3. Nothing was read for a minute: `stalled`.
    4. What is left takes less than the pulse of fetching: `ok`.
    5. It becomes more: `growing`.
    6. It becomes less: `catching_up`.
    7. It stays: `ok`. A source that keeps its distance keeps up.

    4 to 7 judge the age of what is read where the records left are not to be believed: where none were left at some
    time, though the source works all the time (if no age is known: `ok`), and where it reads ahead. But 5 to 7 judge
    the records all the same where the age has no clear course.
    """
    if connected is False and not pace:
        return "stalled"
    none_left = min(lags) == 0
    if none_left and not works:
        return "ok"
    if pace == 0:
        return "stalled"
    behind, course = lags[-1] / pace if pace else inf, growth
    if age is None and none_left:
        return "ok"
    if age is not None and (none_left or ahead):
        behind, course = age.seconds, growth if age.course is None else age.course
    if behind < _PULSE_SECONDS:
        return "ok"
    if course > 0:
        return "growing"
    return "catching_up" if course < 0 else "ok"


def _offsets(source: Source) -> Iterator[Sample]:
    pairs = [(readings.get(CURRENT), readings.get(COMMITTED)) for readings in source.partitions.values()]
    # The current offset is that of the last record read, the committed one that of the first that will be read again.
    since = [max(0.0, at + 1 - committed) for at, committed in pairs if at is not None and committed is not None]
    if since:
        yield UNCOMMITTED.sample(sum(since))


def _ages(source: Source) -> Iterator[Sample]:
    for family, raw in ((EMIT, EMIT_LAG), (FETCH, FETCH_LAG), (IDLE_SECONDS, IDLE)):
        milliseconds = present(source.readings.get(raw, ()))
        if milliseconds:
            yield family.sample(max(milliseconds) / 1000)


SIGNAL = Signal(
    name="source_lag",
    each=(Source,),
    families=(RECORDS, GROWTH, SECONDS, CATCH_UP, STATUS, UNCOMMITTED, EMIT, FETCH, IDLE_SECONDS, ERRORS),
    needs=(
        PENDING,
        LAG_MAX,
        LEGACY_LAG_MAX,
        CONNECTIONS,
        RECORDS_IN,
        EMIT_LAG,
        FETCH_LAG,
        IDLE,
        RECORD_ERRORS,
        COMMITS_FAILED,
        CURRENT,
        COMMITTED,
        HANDED_OUT,
        BUSY,
        BACKPRESSURED,
    ),
    remember=remember,
    derive=derive,
)
