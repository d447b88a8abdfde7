"""How is a job restarted? Flink says it in prose, or says that the cluster's default holds, which is in its config."""

from __future__ import annotations

import re
from collections.abc import Mapping

from exporter.model import RestartStrategy

# An attempt number that stands for "without end": Integer.MAX_VALUE.
_WITHOUT_END = 2**31 - 1

_DEFAULT_PROSE = "Cluster level default"
_FIXED = re.compile(r"fixed delay \((?P<delay>[^)]+)\)\. #(?P<attempts>\d+)")
_RATE = re.compile(
    r"maximum of (?P<attempts>\d+) failures within interval (?P<interval>.+?) and fixed delay (?P<delay>.+?)\.?$"
)
_EXPONENTIAL = re.compile(
    r"starting at (?P<delay>.+?), increasing by (?P<multiplier>[\d.,]+?), with maximum (?P<longest>.+?)\. "
    r"Delay resets after (?P<reset>\S+(?: \w+)?) with jitter"
)

_KINDS = {
    "none": "none",
    "off": "none",
    "disable": "none",
    "fixeddelay": "fixed-delay",
    "failurerate": "failure-rate",
    "exponentialdelay": "exponential-delay",
}

_ISO = re.compile(r"PT(?:(?P<h>\d+)H)?(?:(?P<min>\d+)M)?(?:(?P<s>[\d.]+)S)?")
_PLAIN = re.compile(r"(\d+)\s*([a-zµ]*)")
_UNITS = {
    "": 0.001,  # Flink takes a bare number for milliseconds
    **dict.fromkeys(("ms", "milli", "millis", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}


def duration(text: str) -> float:
    """Seconds of `PT1M30S`, `90 s`, `2000 ms` or `2000`. Raises ValueError."""
    text = text.strip()
    iso = _ISO.fullmatch(text)
    if iso and any(iso.groups()):
        return float(iso["h"] or 0) * 3600 + float(iso["min"] or 0) * 60 + float(iso["s"] or 0)
    plain = _PLAIN.fullmatch(text.lower())
    if plain and plain[2] in _UNITS:
        return float(plain[1]) * _UNITS[plain[2]]
    raise ValueError(f"expected a duration of Flink's such as PT10S or 10 s, got {text!r}")


def _limited(attempts: str | int) -> int | None:
    return None if int(attempts) >= _WITHOUT_END else int(attempts)


def strategy(
    prose: str | None, configuration: Mapping[str, str], *, version: str | None, checkpointing: bool
) -> RestartStrategy | None:
    """The strategy of a job; None where what Flink says is not understood."""
    try:
        if prose is None or prose.startswith(_DEFAULT_PROSE):
            return _configured(configuration, version, checkpointing)
        return _from_prose(prose)
    except ValueError:
        return None


def _from_prose(prose: str) -> RestartStrategy | None:
    if "deactivated" in prose:
        return RestartStrategy(kind="none")
    if found := _FIXED.search(prose):
        return RestartStrategy(kind="fixed-delay", attempts=_limited(found["attempts"]), delay=duration(found["delay"]))
    if found := _RATE.search(prose):
        return RestartStrategy(
            kind="failure-rate",
            attempts=_limited(found["attempts"]),
            interval=duration(found["interval"]),
            delay=duration(found["delay"]),
        )
    if found := _EXPONENTIAL.search(prose):
        return RestartStrategy(
            kind="exponential-delay",
            delay=duration(found["delay"]),
            multiplier=float(found["multiplier"].replace(",", ".")),
            longest_delay=duration(found["longest"]),
            reset_after=duration(found["reset"]),
        )
    return None


def _configured(configuration: Mapping[str, str], version: str | None, checkpointing: bool) -> RestartStrategy | None:
    chosen = configuration.get("restart-strategy.type") or configuration.get("restart-strategy")
    if chosen is None:
        return _unconfigured(version, checkpointing)
    kind = _KINDS.get(chosen.lower().replace("-", ""))

    def option(name: str, default: str) -> str:
        return configuration.get(f"restart-strategy.{kind}.{name}", default)

    match kind:
        case "none":
            return RestartStrategy(kind=kind)
        case "fixed-delay":
            return RestartStrategy(
                kind=kind, attempts=_limited(option("attempts", "1")), delay=duration(option("delay", "1 s"))
            )
        case "failure-rate":
            return RestartStrategy(
                kind=kind,
                attempts=_limited(option("max-failures-per-interval", "1")),
                interval=duration(option("failure-rate-interval", "1 min")),
                delay=duration(option("delay", "1 s")),
            )
        case "exponential-delay":
            new = _at_least(version, 1, 19)
            attempts = option("attempts-before-reset-backoff", str(_WITHOUT_END)) if new else str(_WITHOUT_END)
            return RestartStrategy(
                kind=kind,
                attempts=None if attempts.lower() == "infinite" else _limited(attempts),
                delay=duration(option("initial-backoff", "1 s")),
                longest_delay=duration(option("max-backoff", "1 min" if new else "5 min")),
                multiplier=float(option("backoff-multiplier", "1.5" if new else "2.0")),
                reset_after=duration(option("reset-backoff-threshold", "1 h")),
            )
    return None


def _unconfigured(version: str | None, checkpointing: bool) -> RestartStrategy:
    """What Flink does where nobody chose: nothing without checkpoints; with them it tries without end."""
    if not checkpointing:
        return RestartStrategy(kind="none", configured=False)
    if _at_least(version, 2, 0):
        return RestartStrategy(
            kind="exponential-delay",
            delay=1.0,
            longest_delay=60.0,
            multiplier=1.5,
            reset_after=3600.0,
            configured=False,
        )
    return RestartStrategy(kind="fixed-delay", delay=1.0, configured=False)


def _at_least(version: str | None, major: int, minor: int) -> bool:
    """Of an unknown version the newest is believed."""
    found = re.match(r"(\d+)\.(\d+)", version or "")
    return found is None or (int(found[1]), int(found[2])) >= (major, minor)
