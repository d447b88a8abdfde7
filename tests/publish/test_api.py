"""Does the API say all that is known, in the words of its published schema, and what is wrong with a request?"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from exporter.publish import api
from exporter.publish.http import build
from exporter.publish.pages import job_path as path_of
from exporter.symptoms.health import ClusterHealth, JobHealth
from tests.publish import told
from tests.publish.told import EVIL, QUOTES, Told

SCHEMA = Path(__file__).parents[2] / "docs" / "api.schema.json"

Client = TestClient[web.Request, web.Application]


@pytest.fixture
def board() -> Told:
    return Told(*told.CLUSTERS)


@pytest.fixture
async def client(board: Told) -> AsyncIterator[Client]:
    async with TestClient(TestServer(build(board), host="127.0.0.1")) as client:
        yield client


async def answered(client: Client, path: str, kind: str, status: int = 200) -> Any:
    """The answer, once it was found to be what the schema says of this kind of it."""
    answer = await client.get(path)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    text = await answer.text()
    assert text.count("\n") == 1

    def refused(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    value = json.loads(text, parse_constant=refused)
    published = json.loads(SCHEMA.read_text())
    Draft202012Validator({**published, "anyOf": [{"$ref": f"#/$defs/{kind}"}]}).validate(value)
    return value


def test_the_published_schema_is_current() -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        SCHEMA.write_bytes(api.schema())
    assert SCHEMA.read_bytes() == api.schema(), f"if that is meant: UPDATE_GOLDEN=1 pytest {__file__}"
    Draft202012Validator.check_schema(json.loads(SCHEMA.read_text()))


def test_every_field_is_always_there_and_said_what_it_is() -> None:
    """Clients need not ask whether a field is there; what is not known is null."""
    for name, definition in json.loads(SCHEMA.read_text())["$defs"].items():
        assert definition["description"], name
        if "properties" in definition:
            assert set(definition["required"]) == set(definition["properties"]), name


async def test_the_schema_is_served(client: Client) -> None:
    answer = await client.get("/api/v1/schema.json")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert await answer.read() == SCHEMA.read_bytes()


async def test_all_clusters_with_their_findings_and_jobs(client: Client) -> None:
    value = await answered(client, "/api/v1/health", "HealthAnswer")
    assert (value["version"], value["ready"]) == ("v1", True)
    # Nothing is lost on the way: what is read back is what was told.
    assert TypeAdapter(tuple[ClusterHealth, ...]).validate_python(value["clusters"]) == told.CLUSTERS
    prod, gone, new = value["clusters"]
    assert [finding["symptom"] for finding in prod["findings"]] == ["taskmanager_lost"]
    assert (gone["state"], gone["jobs"], gone["version"]) == ("unreachable", [], None)
    assert (new["state"], new["taken_at"]) == ("waiting", None)


async def test_before_the_first_cycle(client: Client, board: Told) -> None:
    board.ready, board.clusters = False, ()
    assert await answered(client, "/api/v1/health", "HealthAnswer") == {"version": "v1", "ready": False, "clusters": []}


@pytest.mark.parametrize("job_id", told.JOBS)
async def test_a_job_in_full(client: Client, job_id: str) -> None:
    job = told.JOBS[job_id]
    value = await answered(client, f"/api/v1{path_of(job.job)}", "JobAnswer")
    assert value["version"] == "v1"
    if job is not told.EVIL_JOB:  # half a letter is told as a question mark
        assert TypeAdapter(JobHealth).validate_python(value["health"]) == job


async def test_names_are_told_as_they_are(client: Client) -> None:
    value = await answered(client, f"/api/v1{path_of(told.EVIL_LINE)}", "JobAnswer")
    assert value["health"]["job"]["name"] == EVIL
    assert [task["name"] for task in value["health"]["tasks"]][::3] == [QUOTES, "half a pair ? of surrogates"]


async def test_a_number_that_is_none_is_our_fault(
    client: Client, board: Told, caplog: pytest.LogCaptureFixture
) -> None:
    board.jobs["prod", "x"] = replace(told.WELL, coverage=float("nan"))
    value = await answered(client, "/api/v1/clusters/prod/jobs/x", "ErrorAnswer", 500)
    assert value == {"error": "internal error: the exporter's log has it"}
    assert [record.getMessage() for record in caplog.records] == ["GET /api/v1/clusters/prod/jobs/x failed"]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        pytest.param(
            "/api/v1/clusters/nowhere/jobs/x",
            "there is no cluster nowhere: there is prod, eu-west.stage, new",
            id="no such cluster",
        ),
        pytest.param(
            "/api/v1/clusters/prod/jobs/x",
            "cluster prod has no job x: it has 10, which / and /api/v1/health list; Flink forgets ended ones",
            id="no such job",
        ),
        pytest.param(
            "/api/v1/clusters/new/jobs/x",
            "cluster new has no job x: it was not looked at yet: its first cycle has not finished",
            id="not looked at yet",
        ),
        pytest.param(
            "/api/v1/clusters/eu-west.stage/jobs/x",
            "cluster eu-west.stage has no job x: its state is unreachable, and no job of it is known",
            id="a cluster that does not answer",
        ),
    ],
)
async def test_404_says_what_there_is(client: Client, path: str, error: str) -> None:
    assert await answered(client, path, "ErrorAnswer", 404) == {"error": error}


async def test_404_without_any_cluster(client: Client, board: Told) -> None:
    board.clusters = ()
    value = await answered(client, "/api/v1/clusters/x/jobs/y", "ErrorAnswer", 404)
    assert value == {"error": "there is no cluster x: there is none"}


async def test_404_lists_the_routes(client: Client) -> None:
    value = await answered(client, "/api/v1/nothing", "ErrorAnswer", 404)
    assert value["error"].startswith("not found: there is /, ")


async def test_405_is_json_too(client: Client) -> None:
    answer = await client.post("/api/v1/health")
    assert (answer.status, await answer.json()) == (405, {"error": "only GET, HEAD here"})
    assert answer.headers["Allow"] == "GET, HEAD"


async def test_an_error_stays_in_one_line_whatever_is_asked_for(client: Client) -> None:
    value = await answered(client, "/api/v1/clusters/a%0A%0Db/jobs/%22%3Cscript%3E", "ErrorAnswer", 404)
    assert value["error"].startswith("there is no cluster a\n\rb")


async def test_many_jobs_are_told_of(client: Client, board: Told) -> None:
    board.clusters = [told.many(2000)]
    value = await answered(client, "/api/v1/health", "HealthAnswer")
    assert len(value["clusters"][0]["jobs"]) == 2000
