"""What may one value of the configuration look like, and what does it become?

Every scalar arrives as text: the schema, not YAML, decides that `off` is a word and `0123` a password. A
finished value is taken as it is, so settings can be made in Python too. What is wrong is a ValueError; where
its text begins with "expected", whoever reports it may add what was found instead.
"""

from __future__ import annotations

import ipaddress
import re
import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, PlainSerializer, PlainValidator, SecretStr, ValidationInfo

from exporter.config_wording import quoted
from exporter.durations import format_duration, parse_duration
from exporter.suggestion import suggestion

_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_WHOLE = re.compile(r"[0-9][0-9_]{0,17}")
_LISTEN = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<host>[A-Za-z0-9._-]*)):(?P<port>[0-9]{1,5})")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_CLUSTER_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,63}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

MOST_PORTS = 1000


@dataclass(frozen=True, slots=True)
class Loading:
    """What a value is checked against while a file is loaded: where that lies, which signals and symptoms there are."""

    folder: Path
    signal_names: Collection[str]
    symptom_names: Collection[str]


# ---- durations


def _duration(at_least: float, at_most: float) -> Callable[[object], float]:
    def read(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = float(value)
        else:
            seconds = parse_duration(value if isinstance(value, str) else "")
        if not at_least <= seconds <= at_most:
            raise ValueError(f"expected a duration from {format_duration(at_least)} to {format_duration(at_most)}")
        return seconds

    return read


# ---- numbers and truths


def _whole(at_least: int, at_most: int | None = None) -> Callable[[object], int]:
    bounds = f"of at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"

    def read(value: object) -> int:
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value.replace("_", ""))
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"expected a whole number {bounds}")
        if value < at_least or (at_most is not None and value > at_most):
            raise ValueError(f"expected a whole number {bounds}")
        return value

    return read


def _number(says: str, fits: Callable[[float], bool] = lambda _number: True) -> Callable[[object], float]:
    def read(value: object) -> float:
        if isinstance(value, str) and _DECIMAL.fullmatch(value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not fits(value):
            raise ValueError(f"expected {says}")
        return float(value)

    return read


def _shortest(number: float) -> int | float:
    return int(number) if number.is_integer() else number


def _flag(value: object) -> bool:
    truths = {"true": True, "false": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in truths:
        return truths[value.lower()]
    raise ValueError("expected true or false")


# ---- addresses


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen; `host` is None for all interfaces, and port 0 lets the system choose."""

    host: str | None
    port: int

    def __str__(self) -> str:
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def parse_listen_address(text: str) -> ListenAddress:
    """`host:port`, `[ipv6]:port`, or `:port` for all interfaces."""
    match = _LISTEN.fullmatch(text)
    if not match or int(match["port"]) > 65_535:
        raise ValueError("expected host:port, [ipv6]:port or :port")
    if match["ipv6"]:
        try:
            ipaddress.IPv6Address(match["ipv6"])
        except ValueError:
            raise ValueError("expected host:port, [ipv6]:port or :port") from None
    return ListenAddress(match["ipv6"] or match["host"] or None, int(match["port"]))


def _listen_address(value: object) -> ListenAddress:
    if isinstance(value, ListenAddress):
        return value
    return parse_listen_address(value if isinstance(value, str) else "")


def parse_ports(text: str) -> range:
    """`9249`, or `9249-9260` with both ends."""
    match = _PORTS.fullmatch(text)
    first = int(match[1]) if match else 0
    last = int(match[2] or first) if match else 0
    if not 1 <= first <= last <= 65_535:
        raise ValueError("expected a port such as 9249 or a range such as 9249-9260")
    if last - first >= MOST_PORTS:
        # Each port is tried on each TaskManager's host.
        raise ValueError(f"expected a range of at most {MOST_PORTS} ports")
    return range(first, last + 1)


def format_ports(ports: range) -> str:
    """What `parse_ports` reads back."""
    return str(ports[0]) if len(ports) == 1 else f"{ports[0]}-{ports[-1]}"


def _ports(value: object) -> range:
    if isinstance(value, range):
        return value
    return parse_ports(str(value) if isinstance(value, str | int) else "")


def _url(text: str) -> str:
    # Both first, and without showing the value: this is where tokens and passwords stand in a URL.
    if "?" in text or "#" in text:
        raise ValueError("a base URL has no query and no fragment")
    try:
        parts = urlsplit(text)
        credentials, usable = "@" in parts.netloc, bool(parts.hostname) and parts.port != 0
    except ValueError:
        credentials, usable, parts = False, False, urlsplit("")
    if credentials:
        raise ValueError("a URL may not hold credentials: use basic_auth")
    blank = any(not c.isprintable() or c.isspace() for c in text)
    if not usable or blank or parts.scheme not in ("http", "https"):
        raise ValueError("expected a URL such as http://localhost:8081")
    return text.rstrip("/")


def _runbook_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.scheme in ("http", "https")
        credentials = "@" in parts.netloc
    except ValueError:
        usable, credentials = False, False
    if credentials:
        raise ValueError("a link that is shown to everybody may not hold credentials")
    blank = any(not c.isprintable() or c.isspace() for c in text)
    # Another brace would be taken for another placeholder, here or by Prometheus.
    if not usable or blank or "{name}" not in text or set("{}") & set(text.replace("{name}", "")):
        raise ValueError("expected a URL with {name} in it, such as https://wiki.example.com/flink/{name}")
    return text


# ---- names, secrets, files


def _cluster_name(text: str) -> str:
    if not _CLUSTER_NAME.fullmatch(text):
        raise ValueError("expected a name of 1 to 63 letters, digits, _ . : or -")
    return text


def _header_name(text: str) -> str:
    if not _HEADER_NAME.fullmatch(text):
        raise ValueError("not the name of an HTTP header")
    return text


def _username(text: str) -> str:
    if not text or ":" in text or not text.isprintable():
        raise ValueError("expected a user name without colons and control characters")
    return text


def sendable(secret: str) -> str:
    """The secret, if it can be sent in a header. Raises ValueError, never with the secret in it."""
    if not secret:
        raise ValueError("is empty")
    if not secret.isprintable():
        raise ValueError("may not contain line breaks or control characters")
    return secret


def _secret(secret: SecretStr) -> SecretStr:
    sendable(secret.get_secret_value())
    return secret


def _signal_name(name: str, info: ValidationInfo) -> str:
    if isinstance(info.context, Loading) and name not in info.context.signal_names:
        known = sorted(info.context.signal_names)
        raise ValueError(f"unknown signal {quoted(name)}; {suggestion(name, known, 'signals')}")
    return name


def _symptom_name(name: str, info: ValidationInfo) -> str:
    if isinstance(info.context, Loading) and name not in info.context.symptom_names:
        known = sorted(info.context.symptom_names)
        raise ValueError(f"unknown symptom {quoted(name)}; {suggestion(name, known, 'symptoms')}")
    return name


def _file(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError("expected the path of a file")
    if not isinstance(info.context, Loading):
        return Path(value)
    path = info.context.folder / value
    try:
        # Looked at before it is opened: opening a pipe would wait for its writer.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError(f"not a file: {path}")
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    return path


Interval = Annotated[float, PlainValidator(_duration(1, 3600)), PlainSerializer(format_duration, when_used="json")]
Timeout = Annotated[float, PlainValidator(_duration(0.1, 600)), PlainSerializer(format_duration, when_used="json")]
Lasting = Annotated[float, PlainValidator(_duration(0, 604_800)), PlainSerializer(format_duration, when_used="json")]
Patience = Annotated[
    float,
    PlainValidator(_number("a number above 0, at most 100", lambda number: 0 < number <= 100)),
    PlainSerializer(_shortest, when_used="json"),
]
Deduction = Annotated[
    float,
    PlainValidator(_number("a number above 0, at most 1", lambda number: 0 < number <= 1)),
    PlainSerializer(_shortest, when_used="json"),
]
Threshold = Annotated[float, PlainValidator(_number("a number")), PlainSerializer(_shortest, when_used="json")]
RunbookUrl = Annotated[str, AfterValidator(_runbook_url)]
Flag = Annotated[bool, PlainValidator(_flag)]
Count = Annotated[int, PlainValidator(_whole(1))]
Requests = Annotated[int, PlainValidator(_whole(1, 3))]
BodyBytes = Annotated[int, PlainValidator(_whole(65_536))]
Listen = Annotated[ListenAddress, PlainValidator(_listen_address), PlainSerializer(str, when_used="json")]
Ports = Annotated[range, PlainValidator(_ports), PlainSerializer(format_ports, when_used="json")]
Url = Annotated[str, AfterValidator(_url)]
ClusterName = Annotated[str, AfterValidator(_cluster_name)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
Username = Annotated[str, AfterValidator(_username)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
SymptomName = Annotated[str, AfterValidator(_symptom_name)]
SignalName = Annotated[str, AfterValidator(_signal_name)]
File = Annotated[Path, PlainValidator(_file)]
