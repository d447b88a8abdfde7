"""Durations as Prometheus writes them, `1m30s`, and seconds: one way and the other, to the millisecond."""

from __future__ import annotations

import re

_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_DURATION = re.compile("".join(rf"(?:([0-9]{{1,9}}){unit})?" for unit in _UNITS))
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


def parse_duration(text: str) -> float:
    """Seconds of a duration such as `500ms`, `15s`, `1m30s`, `1d`. Raises ValueError."""
    if _NUMBER.fullmatch(text):
        raise ValueError("expected a duration with its unit, such as 15s or 1m30s")
    match = _DURATION.fullmatch(text)
    if not text or not match:
        raise ValueError("expected a duration such as 15s or 1m30s")
    counts = zip(match.groups(), _UNITS.values(), strict=True)
    return sum(int(count) * millis for count, millis in counts if count) / 1000


def format_duration(seconds: float) -> str:
    """The shortest spelling that `parse_duration` reads back."""
    rest, text = round(seconds * 1000), ""
    for unit, millis in _UNITS.items():
        count, rest = divmod(rest, millis)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
