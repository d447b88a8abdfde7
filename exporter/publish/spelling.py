"""How are values spelled for people? What is not known is a dash."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from exporter.symptoms import wording

UNKNOWN = "–"

_PREFIXES = ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"))
_BINARY = ((2.0**40, " TiB"), (2.0**30, " GiB"), (2.0**20, " MiB"), (2.0**10, " KiB"))


def number(value: float | None) -> str:
    """Three digits of it, and whole numbers below ten thousand in full."""
    if value is None:
        return UNKNOWN
    if float(value).is_integer() and abs(value) < 10_000:
        return f"{value:.0f}"
    if not 0.001 <= abs(value) < 1e15:
        return f"{value:.1e}"
    for size, prefix in _PREFIXES:
        if abs(value) >= size:
            return f"{_three(value / size)}{prefix}"
    return _three(value)


def _three(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(ratio: float | None) -> str:
    """A share of a whole."""
    if ratio is None:
        return UNKNOWN
    return "<1%" if 0 < ratio < 0.005 else f"{ratio:.0%}"


def points(score: float | None) -> str:
    """A score, or what is taken from one, of 100."""
    return UNKNOWN if score is None else f"{round(score * 100, 1):g}"


def length(seconds: float | None) -> str:
    """How long something takes, or is behind."""
    if seconds is None:
        return UNKNOWN
    # Finer than `duration`, which would say that 2 min are more than 2 min; a watermark may be ahead of the clock.
    if seconds >= 600:
        return wording.duration(seconds)
    return f"{seconds:.0f} s" if seconds >= 10 else f"{_three(seconds)} s"


def size(count: float) -> str:
    """Bytes."""
    for one, unit in _BINARY:
        if abs(count) >= one:
            return f"{_three(count / one)}{unit}"
    return f"{_three(count)} B"


def ago(then: float | None, now: float) -> str:
    """How old a snapshot is."""
    return "none yet" if then is None else f"{wording.duration(now - then)} ago"


def moment(then: float) -> str:
    """A time of day, with its date."""
    try:
        return f"{datetime.fromtimestamp(then, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):  # of another age
        return number(then)


# Words that are not written as they stand in a name.
_PROPER = {"gc": "GC", "taskmanager": "TaskManager"}


def words(name: str) -> str:
    """The name of a symptom, a state or a reason."""
    return " ".join(_PROPER.get(word, word) for word in name.split("_"))


# By the end of a metric's name, how its values are spelled: the first that fits.
_BY_UNIT: tuple[tuple[str, Callable[[float], str]], ...] = (
    ("_timestamp_seconds", moment),
    ("_bytes_per_second", lambda value: f"{size(value)}/s"),
    ("_per_second", lambda value: f"{number(value)}/s"),
    ("_seconds", length),
    ("_bytes", size),
)


def measured(value: float | None, metric: str) -> str:
    """A value of a metric, with its unit."""
    if value is None:
        return UNKNOWN
    spell = next((spell for end, spell in _BY_UNIT if metric.endswith(end)), number)
    return spell(value)


def counted(value: float, unit: str) -> str:
    """A value of a trend, with its unit."""
    if unit == "ratio":
        return percent(value)
    if unit == "seconds":
        return length(value)
    return f"{number(value)}/s" if unit == "per second" else number(value)


def is_web(url: str) -> bool:
    """Whether an address leads to a web page: a link may also be a script."""
    return url.lower().startswith(("http://", "https://"))
