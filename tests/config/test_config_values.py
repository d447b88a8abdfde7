"""Which spellings of a value are read, and as what?"""

from __future__ import annotations

import pytest

from exporter.config_values import (
    ListenAddress,
    format_ports,
    parse_listen_address,
    parse_ports,
)


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
