"""Source lag: how far is a source behind what there is to read, and does it catch up?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from exporter.families import Family, Sample
from exporter.history import Past, Point, Track
from exporter.model import Raw, Scope, Source
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
    help="Records that the source has still to read.",
    formula="sum over the subtasks of `pendingRecords`; where that is missing, of the Kafka client's `records-lag-max`",
)
GROWTH = Family(
    name="flink_health_source_lag_growth_records_per_second",
    help="How fast the lag grows; below 0 the source catches up.",
    formula="slope (Theil-Sen) of the lag over 2 min; 0 within 1 % of the lag, or 10 records, a minute; absent until "
    "1 min was seen",
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
    formula="1 for the present one of ok, catching_up, growing, stalled; see the rules in the signal",
    labels=("status",),
)
UNCOMMITTED = Family(
    name="flink_health_source_uncommitted_records",
    help="Records that were read since the offsets that are committed.",
    formula="sum over the partitions of current less committed offset; committed at checkpoints only",
)
EMIT = Family(
    name="flink_health_source_emit_lag_seconds",
    help="Age of records when the source sends them on.",
    formula="greatest `currentEmitEventTimeLag` of the subtasks; an idle source keeps its last record's",
)
FETCH = Family(
    name="flink_health_source_fetch_lag_seconds",
    help="Age of records when the source fetches them.",
    formula="greatest `currentFetchEventTimeLag` of the subtasks",
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


def remember(source: Source, past: Past, now: float) -> Iterator[Note]:
    def point(value: object) -> Point:
        return Point(source.read_at, value, tick=source.read_at, epoch=source.epoch)

    lag, read = _lag(source), source.readings.get(RECORDS_IN)
    if lag is not None:
        yield Note(_LAG, point(lag))
    if read is not None:
        yield Note(_READ, point(read))
    wrong = [source.readings[raw] for raw in (RECORD_ERRORS, COMMITS_FAILED) if raw in source.readings]
    if wrong:
        yield Note(_WRONG, point(sum(sum(present(column)) for column in wrong)))


def _lag(source: Source) -> float | None:
    for raw in (PENDING, LAG_MAX, LEGACY_LAG_MAX):
        values = present(source.readings.get(raw, ()))
        if values:
            return sum(values)
    return None


def derive(source: Source, past: Past, now: float) -> Iterator[Sample]:
    lag, pace = _lag(source), _pace(source, past)
    if lag is not None:
        yield RECORDS.sample(lag)
        if lag == 0 or pace:
            yield SECONDS.sample(lag / pace if pace else 0.0)
        growth = _growth(past[_LAG])
        if growth is not None:
            yield GROWTH.sample(growth)
            if growth < 0:
                yield CATCH_UP.sample(lag / -growth)
            yield STATUS.sample(1, status=status(lag, growth, pace, _connected(source)))
    yield from _offsets(source)
    yield from _ages(source)
    wrong = up_to(source.read_at, past[_WRONG])
    if len(wrong) > 1 and wrong[-1].at > wrong[0].at:
        yield ERRORS.sample(max(0.0, wrong[-1].value - wrong[0].value) / (wrong[-1].at - wrong[0].at))


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


def status(lag: float, growth: float, pace: float | None, connected: bool | None) -> str:
    """What the lag does. The first rule that holds:

    1. There is no connection to any broker, and so no news of what there is to read: `stalled`.
    2. Nothing is left to read: `ok`.
    3. Something is left and nothing was read for a minute: `stalled`.
    4. What is left takes less than the pulse of fetching: `ok`.
    5. It becomes more: `growing`.
    6. It becomes less: `catching_up`.
    7. It stays: `ok`. A source that keeps its distance keeps up.
    """
    if connected is False:
        return "stalled"
    if lag == 0:
        return "ok"
    if pace is not None and pace == 0:
        return "stalled"
    if pace and lag / pace < _PULSE_SECONDS:
        return "ok"
    if growth > 0:
        return "growing"
    return "catching_up" if growth < 0 else "ok"


def _offsets(source: Source) -> Iterator[Sample]:
    pairs = [(readings.get(CURRENT), readings.get(COMMITTED)) for readings in source.partitions.values()]
    behind = [current - committed for current, committed in pairs if current is not None and committed is not None]
    if behind:
        yield UNCOMMITTED.sample(max(0.0, sum(behind)))


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
