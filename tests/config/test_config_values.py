"""Which spellings of a value are read, and as what?"""

from __future__ import annotations

import pytest

from exporter.config_values import (
    ListenAddress,
    format_duration,
    format_ports,
    parse_duration,
    parse_listen_address,
    parse_ports,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("500ms", 0.5, id="milliseconds"),
        pytest.param("15s", 15.0, id="seconds"),
        pytest.param("1m30s", 90.0, id="60 + 30"),
        pytest.param("90s", 90.0, id="more seconds than a minute has"),
        pytest.param("1h", 3600.0, id="an hour"),
        pytest.param("1d", 86400.0, id="a day"),
        pytest.param("1d1h1m1s1ms", 90061.001, id="86400 + 3600 + 60 + 1 + 0.001"),
        pytest.param("0s", 0.0, id="nothing at all"),
    ],
)
def test_a_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("15", "expected a duration with its unit, such as 15s or 1m30s", id="a bare number"),
        pytest.param("1.5", "expected a duration with its unit, such as 15s or 1m30s", id="a bare fraction"),
        pytest.param("1.5s", "expected a duration such as 15s or 1m30s", id="a fraction"),
        pytest.param("", "expected a duration such as 15s or 1m30s", id="nothing"),
        pytest.param("15 s", "expected a duration such as 15s or 1m30s", id="a space"),
        pytest.param("15S", "expected a duration such as 15s or 1m30s", id="a capital"),
        pytest.param("-15s", "expected a duration such as 15s or 1m30s", id="the past"),
        pytest.param("30s1m", "expected a duration such as 15s or 1m30s", id="small before large"),
        pytest.param("1s1s", "expected a duration such as 15s or 1m30s", id="a unit twice"),
        pytest.param("15s\n", "expected a duration such as 15s or 1m30s", id="a line break"),
        pytest.param("\u0661s", "expected a duration such as 15s or 1m30s", id="a digit of another script"),
        pytest.param("9999999999s", "expected a duration such as 15s or 1m30s", id="ten digits"),
    ],
)
def test_no_duration(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=r"^expected") as caught:
        parse_duration(text)
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.5, "500ms"), (15.0, "15s"), (60.0, "1m"), (90.0, "1m30s"), (90061.001, "1d1h1m1s1ms")],
)
def test_the_shortest_spelling_of_a_duration(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        pytest.param(":9449", None, 9449, id="all interfaces"),
        pytest.param("0.0.0.0:9449", "0.0.0.0", 9449, id="all of IPv4"),
        pytest.param("localhost:80", "localhost", 80, id="a name"),
        pytest.param("[::1]:9449", "::1", 9449, id="IPv6 in brackets"),
        pytest.param("[::]:9449", "::", 9449, id="all of IPv6"),
        pytest.param(":0", None, 0, id="a port of the system's choice"),
    ],
)
def test_a_listen_address(text: str, host: str | None, port: int) -> None:
    assert parse_listen_address(text) == ListenAddress(host, port)
    assert str(ListenAddress(host, port)) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("9449", id="only a port"),
        pytest.param("localhost", id="only a host"),
        pytest.param("localhost:", id="no port"),
        pytest.param(":65536", id="one port too many"),
        pytest.param("::1:9449", id="IPv6 without brackets"),
        pytest.param("[localhost]:9449", id="a name in brackets"),
        pytest.param("http://localhost:9449", id="a URL"),
        pytest.param("localhost:http", id="a port by name"),
        pytest.param("local host:1", id="a space"),
    ],
)
def test_no_listen_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected host:port, \[ipv6\]:port or :port$"):
        parse_listen_address(text)


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        pytest.param("9249", range(9249, 9250), id="one"),
        pytest.param("9249-9260", range(9249, 9261), id="both ends count"),
        pytest.param("1-1000", range(1, 1001), id="as many as are tried"),
    ],
)
def test_ports(text: str, ports: range) -> None:
    assert parse_ports(text) == ports
    assert format_ports(ports) == text


@pytest.mark.parametrize("text", ["", "0", "65536", "9260-9249", "9249-", "-9249", "9249,9250", "1-1001", "a"])
def test_no_ports(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected a "):
        parse_ports(text)
