"""Which ports a cluster takes."""

from __future__ import annotations

import socket

import pytest

from exporter.demo.errors import DemoError
from exporter.demo.ports import free_ports, is_free, one_of, reporter_range


def test_a_port_in_use_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_free_ports_differ() -> None:
    assert len(set(free_ports(20))) == 20


def test_no_free_port_is_said() -> None:
    with pytest.raises(DemoError, match=r"^no 1 free ports between 20000 and 30000$"):
        free_ports(1, free=lambda port: False)


def test_the_usual_port_is_taken_if_free() -> None:
    assert one_of([8081, 8082], free=lambda port: port != 8081) == 8082


def test_any_port_is_taken_if_the_usual_are_not_free() -> None:
    assert one_of([8081], free=lambda port: port != 8081) >= 20_000


def test_the_usual_reporter_range_is_taken_if_all_of_it_is_free() -> None:
    assert reporter_range(9249, free=lambda port: True) == range(9249, 9261)


def test_one_port_in_use_moves_the_reporter_range() -> None:
    ports = reporter_range(9249, free=lambda port: port != 9255)
    assert ports.start >= 20_000
    assert len(ports) == 12


def test_no_reporter_range_is_said() -> None:
    with pytest.raises(DemoError, match=r"^no 12 free ports in a row for the metric reporters$"):
        reporter_range(None, free=lambda port: False)
