"""How is a job restarted? Flink says it in prose, or says that the cluster's default holds, which is in its config."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from exporter.model import RestartStrategy

# An attempt number that stands for "without end": Integer.MAX_VALUE.
_WITHOUT_END = 2**31 - 1

_DEFAULT_PROSE = "Cluster level default restart strategy"
_NONE = "Restart deactivated."
_FIXED = re.compile(r"Restart with fixed delay \((?P<delay>[^)]+)\)\. #(?P<attempts>\d+) restart attempts\.")
_RATE = re.compile(
    r"Failure rate restart with maximum of (?P<attempts>\d+) failures within interval (?P<interval>.+?) "
    r"and fixed delay (?P<delay>.+)\."
)
# The numbers are in the JobManager's locale: 1.500000 or 1,500000.
_EXPONENTIAL = re.compile(
    r"Restart with exponential delay: starting at (?P<delay>.+?), increasing by (?P<multiplier>\d+[.,]\d+), "
    r"with maximum (?P<longest>.+?)\. Delay resets after (?P<reset>.+?) with jitter \S+"
)

_KINDS = {
    "none": "none",
    "off": "none",
    "disable": "none",
    "fixeddelay": "fixed-delay",
    "fixed-delay": "fixed-delay",
    "failurerate": "failure-rate",
    "failure-rate": "failure-rate",
    "exponentialdelay": "exponential-delay",
    "exponential-delay": "exponential-delay",
}

_ISO = re.compile(r"P(?:(?P<d>\d+)D)?(?:T(?:(?P<h>\d+)H)?(?:(?P<min>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?", re.IGNORECASE)
_PLAIN = re.compile(r"(\d+)\s*([a-zµ]*)")
_UNITS = {
    **dict.fromkeys(("ns", "nano", "nanos", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("µs", "micro", "micros", "microsecond", "microseconds"), 1e-6),
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
        days, hours, minutes, seconds = (float(number or 0) for number in iso.groups())
        return days * 86400 + hours * 3600 + minutes * 60 + seconds
    plain = _PLAIN.fullmatch(text.lower())
    if plain and plain[2] in _UNITS:
        return float(plain[1]) * _UNITS[plain[2]]
    raise ValueError(f"expected a duration of Flink's such as PT10S or 10 s, got {text!r}")


def _limited(attempts: str) -> int | None:
    """The number of attempts; None for as many as there are integers."""
    return None if int(attempts) >= _WITHOUT_END else int(attempts)


def strategy(
    prose: str | None, configuration: Mapping[str, str], *, version: str | None, checkpointing: bool | None
) -> RestartStrategy | None:
    """The strategy of a job; None where what Flink says is not understood, or not enough is known.

    checkpointing: whether the job takes periodic checkpoints, by which Flink chooses where nobody has.
    """
    try:
        if prose is None or prose == _DEFAULT_PROSE:
            return _configured(configuration, version) or _unconfigured(version, checkpointing)
        return _from_prose(prose, configuration, version)
    except ValueError:
        return None


def _from_prose(prose: str, configuration: Mapping[str, str], version: str | None) -> RestartStrategy | None:
    if prose == _NONE:
        return RestartStrategy(kind="none")
    if found := _FIXED.fullmatch(prose):
        return RestartStrategy(kind="fixed-delay", attempts=_limited(found["attempts"]), delay=duration(found["delay"]))
    if found := _RATE.fullmatch(prose):
        return RestartStrategy(
            kind="failure-rate",
            attempts=_limited(found["attempts"]),
            interval=duration(found["interval"]),
            delay=duration(found["delay"]),
        )
    if found := _EXPONENTIAL.fullmatch(prose):
        told = RestartStrategy(
            kind="exponential-delay",
            delay=duration(found["delay"]),
            multiplier=float(found["multiplier"].replace(",", ".")),
            longest_delay=duration(found["longest"]),
            reset_after=duration(found["reset"]),
        )
        return _with_attempts(told, configuration, version)
    return None


def _with_attempts(told: RestartStrategy, configuration: Mapping[str, str], version: str | None) -> RestartStrategy:
    """The prose of exponential-delay leaves its attempts out. Where all that it says is what the cluster's
    configuration says too, the job's is likely to be the same one, as it is in application mode.
    """
    try:
        cluster = _configured(configuration, version)
    except ValueError:
        return told
    return cluster if cluster is not None and replace(cluster, attempts=None) == told else told


def _configured(configuration: Mapping[str, str], version: str | None) -> RestartStrategy | None:
    """What the cluster's configuration says; None where it says nothing. Raises ValueError."""
    chosen = configuration.get("restart-strategy.type", configuration.get("restart-strategy"))
    if chosen is None:
        return None
    kind = _KINDS.get(chosen.strip().lower())

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
            # Before 1.19 there was no such option, and no end.
            attempts = option("attempts-before-reset-backoff", str(_WITHOUT_END)) if new else str(_WITHOUT_END)
            return RestartStrategy(
                kind=kind,
                attempts=None if attempts.lower() == "infinite" else _limited(attempts),
                delay=duration(option("initial-backoff", "1 s")),
                longest_delay=duration(option("max-backoff", "1 min" if new else "5 min")),
                multiplier=float(option("backoff-multiplier", "1.5" if new else "2.0")),
                reset_after=duration(option("reset-backoff-threshold", "1 h")),
            )
    raise ValueError(f"expected a restart strategy of Flink's, got {chosen!r}")


def _unconfigured(version: str | None, checkpointing: bool | None) -> RestartStrategy | None:
    """What Flink does where nobody chose: nothing without checkpoints; with them it tries without end.

    It does so with the defaults of the options, whatever the configuration says of them.
    """
    if checkpointing is None:
        return None
    if not checkpointing:
        return RestartStrategy(kind="none", configured=False)
    kind = "exponential-delay" if _at_least(version, 1, 19) else "fixed-delay"
    default = _configured({"restart-strategy.type": kind}, version)
    return None if default is None else replace(default, attempts=None, configured=False)


def _at_least(version: str | None, major: int, minor: int) -> bool:
    """Of an unknown version the newest is believed."""
    found = re.match(r"(\d+)\.(\d+)", version or "")
    return found is None or (int(found[1]), int(found[2])) >= (major, minor)
