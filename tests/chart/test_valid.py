"""Would Kubernetes and the Prometheus operator take what the chart renders, to the last key?"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart import rendered, schemas
from tests.chart.generate import CHART
from tests.chart.rendered import SETS
from tests.chart.tools import tool


def conform(text: str, kubernetes: str) -> list[str]:
    """What is wrong with some objects, one line each."""
    folders: tuple[Path, ...] = (schemas.kubernetes(kubernetes), schemas.operator())
    options = [f"--schema-location={folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json" for folder in folders]
    command = [tool("kubeconform"), "-strict", "-output=json", "-verbose", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True, input=text)
    found: list[dict[str, Any]] = json.loads(done.stdout)["resources"]
    assert len(found) == len([each for each in yaml.safe_load_all(text) if each])
    return [f"{each['kind']}: {each['msg']}" for each in found if each["status"] != "statusValid"]


def test_there_are_sets_of_values() -> None:
    assert len(SETS) >= 6


@pytest.mark.parametrize("values", SETS)
def test_helm_finds_nothing_to_say(values: str) -> None:
    path = CHART / f"ci/{values}-values.yaml"
    told = rendered.helm("lint", "--strict", str(CHART), "-f", str(path), "--kube-version", rendered.NEWEST)
    assert "0 chart(s) failed" in told


def test_the_package_holds_all_that_the_folder_does(tmp_path: Path) -> None:
    """.helmignore leaves out only what nobody needs who installs it."""
    rendered.helm("package", str(CHART), "--destination", str(tmp_path))
    (package,) = tmp_path.iterdir()
    options = ("-n", "monitoring", "-f", str(CHART / "ci/monitoring-values.yaml"), "--kube-version", rendered.NEWEST)
    assert rendered.helm("template", "health", str(package), *options) == rendered.text("monitoring")
    packed = subprocess.run(["tar", "tzf", package], check=True, capture_output=True, text=True).stdout
    assert "README.md" in packed
    assert "/ci/" not in packed


@pytest.mark.parametrize("kubernetes", schemas.KUBERNETES)
@pytest.mark.parametrize("values", SETS)
def test_kubernetes_takes_it(values: str, kubernetes: str) -> None:
    assert conform(rendered.text(values, kubernetes), kubernetes) == []


def test_the_versions_are_the_oldest_that_the_chart_admits_and_the_newest() -> None:
    oldest = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"]
    assert oldest == f">={'.'.join(schemas.KUBERNETES[0].split('.')[:2])}.0-0"
    assert schemas.KUBERNETES[-1] == rendered.NEWEST


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        pytest.param("Deployment", {"replicsa": 1}, id="a key that is misspelt"),
        pytest.param("Deployment", {"replicas": "1"}, id="text for a number"),
        pytest.param("Service", {"ports": [{"name": "a"}]}, id="a key that is missing"),
        pytest.param("ServiceMonitor", {"endpoint": []}, id="a key that the operator does not know"),
        pytest.param("PrometheusRule", {"groups": [{"rules": []}]}, id="a group without a name"),
    ],
)
def test_the_check_itself_finds(kind: str, change: dict[str, Any]) -> None:
    wrong = rendered.one(rendered.of("monitoring"), kind)
    wrong["spec"].update(change)
    assert len(conform(yaml.safe_dump(wrong), rendered.NEWEST)) == 1


def test_every_value_is_explained() -> None:
    table = (CHART / "README.md").read_text().partition("## Values")[2]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    assert [row for row in rows if not row.split(" | ")[-1].strip(" |")] == []
