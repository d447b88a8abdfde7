"""What Kubernetes and the Prometheus operator take, as strict JSON schemas, from their own published sources."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.chart.tools import cached, go_module

# The oldest that Chart.yaml admits, one between, and the newest.
KUBERNETES = ("1.25.16", "1.31.14", "1.37.2")
OPERATOR = "0.85.0"

Schema = dict[str, Any]

# The groups that the chart has objects of.
_GROUPS = ("api__v1", "apis__apps__v1", "apis__networking.k8s.io__v1", "apis__policy__v1")
_KINDS = ("servicemonitors", "prometheusrules")


def kubernetes(version: str) -> Path:
    """A folder with a schema for each kind of object of a version of Kubernetes."""

    def take(source: Path, folder: Path) -> None:
        for group in _GROUPS:
            document = json.loads((source / f"api/openapi-spec/v3/{group}_openapi.json").read_text())
            for kind, schema in _of_openapi(document["components"]["schemas"]):
                (folder / f"{kind}.json").write_text(json.dumps(schema))

    module = "k8s.io/kubernetes"
    return cached(
        f"schemas/kubernetes-{version}",
        lambda folder: go_module(module, f"v{version}", lambda source: take(source, folder)),
    )


def operator() -> Path:
    """A folder with a schema for each kind of object of the Prometheus operator that the chart makes."""

    def take(source: Path, folder: Path) -> None:
        for kind in _KINDS:
            path = source / f"example/prometheus-operator-crd/monitoring.coreos.com_{kind}.yaml"
            definition = yaml.safe_load(path.read_text())["spec"]
            for version in definition["versions"]:
                name = _name(definition["group"], version["name"], definition["names"]["kind"])
                (folder / f"{name}.json").write_text(json.dumps(_of_crd(version["schema"]["openAPIV3Schema"])))

    module = "github.com/prometheus-operator/prometheus-operator"
    return cached(
        f"schemas/prometheus-operator-{OPERATOR}",
        lambda folder: go_module(module, f"v{OPERATOR}", lambda source: take(source, folder)),
    )


def fetch() -> None:
    """All of them, into the cache."""
    for version in KUBERNETES:
        kubernetes(version)
    operator()


def _name(group: str, version: str, kind: str) -> str:
    return f"{kind.lower()}-{group.partition('.')[0]}-{version}" if group else f"{kind.lower()}-{version}"


def _of_openapi(schemas: dict[str, Schema]) -> Iterator[tuple[str, Schema]]:
    definitions = {name: _strict(schema) for name, schema in schemas.items()}
    for name, schema in schemas.items():
        for kind in schema.get("x-kubernetes-group-version-kind", []):
            # Only kinds that stand in this group: DeleteOptions, for one, is said to be of all of them.
            if name.endswith(f".{kind['version']}.{kind['kind']}") and name.startswith("io.k8s.api."):
                whole = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": definitions}}
                yield _name(kind["group"], kind["version"], kind["kind"]), whole


def _of_crd(schema: Schema) -> Schema:
    whole: Schema = _strict(schema)
    # A CRD says no more of these than that they are there; the names are what Kubernetes adds.
    whole["properties"]["metadata"] = {"type": "object"}
    return whole


def _strict(schema: Any) -> Any:
    """The schema, closed where it lists what may be there: the API server drops what it does not know, and says
    nothing."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    # `default` is no check, and `format` has words that JSON Schema does not know.
    closed = {key: _strict(part) for key, part in schema.items() if key not in ("default", "format", "description")}
    if isinstance(schema.get("properties"), dict):
        closed["properties"] = {name: _strict(part) for name, part in schema["properties"].items()}
        if "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            closed["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        closed = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    return closed
