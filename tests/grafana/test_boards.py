"""Are the dashboards current, whole, and such that Grafana 10 and later take them?"""

from __future__ import annotations

import inspect
import json
import re
from itertools import combinations, pairwise

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from exporter.publish import http
from exporter.symptoms.declarations import SYMPTOMS
from grafana import build
from grafana.build import BOARDS, FOLDER
from tests.grafana.boards import MAY_BE_EMPTY, Json, board, panels

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

every_board = pytest.mark.parametrize("name", BOARDS)


def test_the_files_are_current() -> None:
    assert build.stale() == [], "run: python -m grafana.build"
    assert {path.name for path in FOLDER.glob("*.json")} == set(BOARDS)


@every_board
def test_grafanas_own_model_reads_it_whole(name: str) -> None:
    read = Dashboard.from_json(board(name))
    assert json.loads(JSONEncoder().encode(read)) == board(name)


@every_board
def test_it_can_be_imported_and_provisioned(name: str) -> None:
    found = board(name)
    assert found["schemaVersion"] == 38, "of Grafana 10.0; later ones would not be read by it"
    assert not {"id", "version", "__inputs", "__requires"} & found.keys()
    assert len(found["uid"]) <= 40
    first = found["templating"]["list"][0]
    assert (first["type"], first["name"], first["query"]) == ("datasource", "datasource", "prometheus")


def test_no_two_are_called_the_same() -> None:
    assert len({board(name)["uid"] for name in BOARDS}) == len(BOARDS)
    assert len({board(name)["title"] for name in BOARDS}) == len(BOARDS)


@every_board
def test_every_panel_says_what_it_shows(name: str) -> None:
    found = panels(name)
    assert len({panel["title"] for panel in found}) == len(found)
    assert len({panel["id"] for panel in board(name)["panels"]}) == len(board(name)["panels"])
    for panel in found:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["description"].count(MAY_BE_EMPTY) <= 1
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert [panel["datasource"], *(target["datasource"] for target in panel["targets"])] == [
            DATASOURCE for _ in range(1 + len(panel["targets"]))
        ]


@every_board
def test_a_legend_names_labels_that_are_there(name: str) -> None:
    for panel in panels(name):
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")):
                # What is left of a series is what it was grouped by; `instance` is Prometheus's.
                kept = re.findall(rf"(?:by|group_left) \([^)]*\b{label}\b[^)]*\)", target["expr"])
                assert kept or label == "instance", f"{panel['title']}: {label}"


def test_links_lead_somewhere() -> None:
    uids = {board(name)["uid"] for name in BOARDS}
    pages = {symptom.runbook for symptom in SYMPTOMS}
    for name in BOARDS:
        text = (FOLDER / name).read_text()
        # To each other dashboard, at the least.
        assert set(re.findall(r'"url": "/d/([\w-]+)', text)) | {board(name)["uid"]} == uids
        assert set(re.findall(r"/docs/runbook/([^$]*?)\.md", text)) <= pages


def test_a_row_of_the_fleet_leads_to_its_job() -> None:
    variables = {variable["name"] for variable in board("job.json")["templating"]["list"]}
    links = set(re.findall(r'"url": "/d/flink-health-job\?([^"]*__data[^"]*)"', (FOLDER / "fleet.json").read_text()))
    assert links
    for link in links:
        passed = set(re.findall(r"var-(\w+)=", link))
        assert passed == {"datasource", "cluster", "job"}
        assert passed <= variables
        assert "${__url_time_range}" in link


def test_a_row_of_the_fleet_leads_to_the_exporters_page() -> None:
    links = re.findall(r'"url": "\$\{exporter_url:raw\}([^"]+)"', (FOLDER / "fleet.json").read_text())
    routes = {re.sub(r"\$\{__data\.fields\.(\w+):percentencode\}", r"{\1}", link) for link in links}
    assert routes == {"/", "/clusters/{cluster}/jobs/{job_id}"}
    assert all(f'"{route}"' in inspect.getsource(http) for route in routes)


def test_a_link_uses_columns_that_are_there() -> None:
    for name in BOARDS:
        for panel in panels(name):
            used = set(re.findall(r"__data\.fields\.(\w+)", json.dumps(panel)))
            grouped = " ".join(target["expr"] for target in panel["targets"])
            named = {override["matcher"]["options"] for override in panel["fieldConfig"].get("overrides", [])}
            assert used <= named, panel["title"]
            assert all(label in grouped for label in used), panel["title"]


@every_board
def test_the_grid_is_filled_and_nothing_overlaps(name: str) -> None:
    places = [panel["gridPos"] for panel in board(name)["panels"]]
    for one, other in combinations(places, 2):
        assert not _overlap(one, other)
    assert all(place["x"] + place["w"] <= 24 for place in places)
    bottom = max(place["y"] + place["h"] for place in places)
    assert sum(place["w"] * place["h"] for place in places) == 24 * bottom


@every_board
def test_no_row_is_empty(name: str) -> None:
    kinds = [panel["type"] for panel in board(name)["panels"]]
    assert kinds[-1] != "row"
    assert ("row", "row") not in pairwise(kinds)


def _overlap(one: Json, other: Json) -> bool:
    apart = (
        one["x"] + one["w"] <= other["x"],
        other["x"] + other["w"] <= one["x"],
        one["y"] + one["h"] <= other["y"],
        other["y"] + other["h"] <= one["y"],
    )
    return not any(apart)
