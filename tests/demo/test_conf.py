"""What Flink's configuration file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.demo import conf

PORTS = conf.Ports(rest=8081, rpc=6123, blob=6124, query=6125, reporters=range(9249, 9261))


@pytest.mark.parametrize(
    ("version", "name", "text"),
    [
        pytest.param("1.18.1", "flink-conf.yaml", "rest.port: 8081\nrest.address: localhost\n", id="before 1.19"),
        pytest.param("1.19.3", "config.yaml", 'rest.port: 8081\nrest.address: "localhost"\n', id="from 1.19 on"),
        pytest.param("2.3.0", "config.yaml", 'rest.port: 8081\nrest.address: "localhost"\n', id="2.x"),
    ],
)
def test_file_by_version(version: str, name: str, text: str) -> None:
    assert conf.file_name(version) == name
    assert conf.render(version, {"rest.port": 8081, "rest.address": "localhost"}) == text


def test_a_process_takes_the_first_free_reporter_port() -> None:
    assert conf.reporter(PORTS)["metrics.reporter.prom.port"] == "9249-9260"


def test_everything_listens_on_this_machine_alone() -> None:
    options = conf.common(PORTS, Path("/run"))
    binds = {key: value for key, value in options.items() if "bind" in key}
    assert binds == dict.fromkeys(("jobmanager.bind-host", "taskmanager.bind-host", "rest.bind-address"), "127.0.0.1")
