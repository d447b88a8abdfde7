"""Would `docker compose up` start what it says, with files that are there and that their readers take?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter import cli
from tests.chart.tools import run, tool
from tests.promtool import promtool

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services as Compose understands them: its own loader, with all of its checks."""
    loaded: dict[str, Any] = json.loads(run(tool("compose-spec"), "--format", "json", str(ROOT / "compose.yaml")))
    found: dict[str, Any] = loaded["services"]
    return found


def mounts(services: dict[str, Any]) -> Iterator[tuple[str, Path, str]]:
    for name, service in services.items():
        for volume in service.get("volumes", []):
            assert volume["type"] == "bind"
            assert volume["read_only"] is True
            yield name, Path(volume["source"]), volume["target"]


def test_what_is_mounted_is_there(services: dict[str, Any]) -> None:
    found = list(mounts(services))
    assert found
    for _, source, _ in found:
        assert source.exists()
        assert source.is_relative_to(ROOT)


def test_nothing_listens_to_the_world(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    assert sorted(port["published"] for port in ports) == ["3000", "8081", "9090", "9093", "9449"]


def test_every_image_is_of_a_version(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if name != "exporter":  # which is built
            assert re.search(r":v?\d+\.\d+\.\d+", service["image"])
    assert services["exporter"]["build"]["context"] == str(ROOT)


def test_the_exporter_takes_its_command(services: dict[str, Any]) -> None:
    options = cli._parse(services["exporter"]["command"])
    assert options.url == "http://jobmanager:8081"


def test_flink_has_its_reporter(services: dict[str, Any]) -> None:
    for name in ("jobmanager", "taskmanager"):
        properties = yaml.safe_load(services[name]["environment"]["FLINK_PROPERTIES"])
        assert properties["metrics.reporter.prom.port"] == 9249
        assert properties["jobmanager.rpc.address"] == "jobmanager"


# ---- What the services read


def test_prometheus_takes_its_configuration() -> None:
    promtool("check", "config", ROOT / "config/prometheus.yml")


def test_prometheus_asks_services_that_there_are(services: dict[str, Any]) -> None:
    config = yaml.safe_load((ROOT / "config/prometheus.yml").read_text())
    (alertmanagers,) = config["alerting"]["alertmanagers"]
    static = [alertmanagers, *(job for job in config["scrape_configs"] if "static_configs" in job)]
    named = {
        target.partition(":")[0] for each in static for group in each["static_configs"] for target in group["targets"]
    }
    resolved = {
        name for job in config["scrape_configs"] for dns in job.get("dns_sd_configs", []) for name in dns["names"]
    }
    assert named == {"alertmanager", "exporter"}
    assert resolved == {"jobmanager", "taskmanager"}
    assert named | resolved <= services.keys()


def test_prometheus_keeps_the_exporters_own_labels() -> None:
    config = yaml.safe_load((ROOT / "config/prometheus.yml").read_text())
    (job,) = (job for job in config["scrape_configs"] if job["job_name"] == "flink-health")
    assert job["honor_labels"] is True


def test_the_rules_lie_where_prometheus_looks(services: dict[str, Any]) -> None:
    """Paths in prometheus.yml are relative to it, in the repository as in the container."""
    targets = {source: target for name, source, target in mounts(services) if name == "prometheus"}
    assert targets == {
        ROOT / "config/prometheus.yml": "/etc/prometheus/prometheus.yml",
        ROOT / "config/rules": "/etc/prometheus/rules",
    }
    rules = yaml.safe_load((ROOT / "config/prometheus.yml").read_text())["rule_files"]
    assert rules
    assert all((ROOT / "config" / file).is_file() for file in rules)


def test_grafana_finds_prometheus_and_the_dashboards(services: dict[str, Any]) -> None:
    (source,) = yaml.safe_load((ROOT / "config/grafana/datasources.yml").read_text())["datasources"]
    assert source["url"].removeprefix("http://").partition(":")[0] in services
    (provider,) = yaml.safe_load((ROOT / "config/grafana/dashboards.yml").read_text())["providers"]
    targets = {target: source for name, source, target in mounts(services) if name == "grafana"}
    assert targets[provider["options"]["path"]] == ROOT / "grafana"
    assert {path for path in targets if path.startswith("/etc/grafana/provisioning/")} == {
        "/etc/grafana/provisioning/datasources/prometheus.yml",
        "/etc/grafana/provisioning/dashboards/flink-health.yml",
    }
