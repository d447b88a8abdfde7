"""Source lag: how far is a source behind what there is to read, and does it catch up?

Only Flink is asked, and Flink does not know where a partition ends: without a lag metric there is no lag to tell.
Offsets are committed when a checkpoint completes, so that between two of them what is uncommitted only grows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from math import inf
from statistics import median
from typing import NamedTuple

from exporter.families import Family, Sample
from exporter.history import Past, Point, Track
from exporter.model import Raw, Scope, Source
from exporter.signals._counters import frequency
from exporter.signals._stats import observed, present, rates, slope, up_to
from exporter.signals.base import Note, Signal

PENDING = Raw(Scope.OPERATOR, "pendingRecords")
LAG_MAX = Raw(Scope.OPERATOR, "KafkaSourceReader.KafkaConsumer.records-lag-max")
LEGACY_LAG_MAX = Raw(Scope.OPERATOR, "KafkaConsumer.records-lag-max")
RECORDS_IN = Raw(Scope.OPERATOR, "numRecordsIn")
EMIT_LAG = Raw(Scope.OPERATOR, "currentEmitEventTimeLag")
FETCH_LAG = Raw(Scope.OPERATOR, "currentFetchEventTimeLag")
IDLE = Raw(Scope.OPERATOR, "sourceIdleTime")
RECORD_ERRORS = Raw(Scope.OPERATOR, "numRecordsInErrors")
COMMITS_FAILED = Raw(Scope.OPERATOR, "KafkaSourceReader.commitsFailed")
CONNECTIONS = Raw(Scope.OPERATOR, "KafkaSourceReader.KafkaConsumer.connection-count")
CURRENT = Raw(Scope.PARTITION, "currentOffset")
COMMITTED = Raw(Scope.PARTITION, "committedOffset")

RECORDS = Family(
    name="flink_health_source_lag_records",
    help="Records that the source had still to read when it last fetched some.",
    formula="sum over the subtasks that were read of `pendingRecords`; where none has that, of the Kafka client's "
    "`records-lag-max`, which is that of the subtask's worst partition. A Kafka client that fetches far ahead "
    "(`max.partition.fetch.bytes`) of a slow job knows of no newer records meanwhile: then the emit lag tells",
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
    formula="lag / -growth; absent unless the lag falls",
)
STATUS = Family(
    name="flink_health_source_lag_status",
    help="What the lag does, judged by its course and not by its size.",
    formula="1 for the present one, by the first rule that holds. 1: no broker is connected, and no record was read "
    "for 1 min: stalled. 2: the lag was 0 within the last 2 min: ok. 3: no record was read for 1 min: stalled. 4: the "
    "lag is that of less than 5 s: ok. 5: it grows: growing. 6: it falls: catching_up. 7: it stays: ok. Absent like "
    "the growth",
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

# A trend is not told from less.
_LEAST_OBSERVED = 60.0
# A lag that moves by less than this share of itself, or by so many records, a second stands still.
_DEAD_SHARE = 0.01 / 60
_DEAD_RECORDS = 10 / 60
# A lag of less time than this is the pulse of fetching, not a lag.
_PULSE_SECONDS = 5.0


class _Lag(NamedTuple):
    """Records behind, and what this is the sum of: two sums of different things are no trend."""

    records: float
    of: Hashable
    legacy: bool


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


def _lag(source: Source) -> _Lag | None:
    for raw in (PENDING, LAG_MAX, LEGACY_LAG_MAX):
        # Below 0 is a connector's word for what it does not know; infinite is Kafka's.
        known = {subtask: records for subtask, records in enumerate(source.readings.get(raw, ())) if 0 <= records < inf}
        if known:
            return _Lag(sum(known.values()), (raw, *known), raw is LEGACY_LAG_MAX)
    return None


def derive(source: Source, past: Past, now: float) -> Iterator[Sample]:
    if source.epoch is None:
        return
    lag = _lag(source)
    if lag is not None:
        yield from _behind(source, lag, past)
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
    if growth < 0:
        yield CATCH_UP.sample(lag.records / -growth)
    yield STATUS.sample(1, status=status([point.value for point in lags], growth, pace, _connected(source)))


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


def status(lags: Sequence[float], growth: float, pace: float | None, connected: bool | None) -> str:
    """What the lag does. lags: of the window, the present one last. The first rule that holds:

    1. No broker is connected, and nothing was read for a minute: `stalled`. What lag there is would not be known.
    2. There was a moment in the window with nothing left to read: `ok`, whatever may have come since.
    3. Nothing was read for a minute: `stalled`.
    4. What is left takes less than the pulse of fetching: `ok`.
    5. It becomes more: `growing`.
    6. It becomes less: `catching_up`.
    7. It stays: `ok`. A source that keeps its distance keeps up.
    """
    if connected is False and not pace:
        return "stalled"
    if min(lags) == 0:
        return "ok"
    if pace == 0:
        return "stalled"
    if pace and lags[-1] / pace < _PULSE_SECONDS:
        return "ok"
    if growth > 0:
        return "growing"
    return "catching_up" if growth < 0 else "ok"


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
    ),
    remember=remember,
    derive=derive,
)
