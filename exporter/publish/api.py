"""The health of clusters and jobs as JSON, and the schema that it keeps to.

Within `v1` fields are only ever added. Times are seconds since the epoch; what is not known is null.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from exporter.symptoms.health import ClusterHealth, JobHealth


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthAnswer:
    """All clusters with what is wrong with them, and a line for each of their jobs. ready: whether the first look at
    every cluster has ended."""

    version: Literal["v1"] = "v1"
    ready: bool
    clusters: Sequence[ClusterHealth]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAnswer:
    """One job in full."""

    version: Literal["v1"] = "v1"
    health: JobHealth


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnswer:
    """What went wrong, in one line; the status says whose fault it is."""

    error: str


Answer = HealthAnswer | JobAnswer | ErrorAnswer


@cache
def _adapter(kind: type[HealthAnswer] | type[JobAnswer] | type[ErrorAnswer]) -> TypeAdapter[Answer]:
    # Made at the first use: it takes a moment that a start without it does not.
    return TypeAdapter(kind)


class _Whole(GenerateJsonSchema):
    """A schema in which every field is required: none is left out, whatever its default."""

    def field_is_required(self, *_args: Any, **_kwargs: Any) -> bool:
        return True


def body(answer: Answer) -> bytes:
    """An answer as JSON. Takes its time where there are many jobs: not for the event loop."""
    kind: Any = type(answer)
    return _encoded(_adapter(kind).dump_python(answer, mode="json"))


@cache
def schema() -> bytes:
    """The published JSON schema of every answer, as `docs/api.schema.json` holds it."""
    mode: JsonSchemaMode = "serialization"
    kinds = (HealthAnswer, JobAnswer, ErrorAnswer)
    refs, definitions = TypeAdapter.json_schemas(
        [(kind.__name__, mode, _adapter(kind)) for kind in kinds], schema_generator=_Whole
    )
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "flink-health-exporter API v1",
        "description": "HealthAnswer is what /api/v1/health gives, JobAnswer a job's /api/v1/clusters/…/jobs/…, and "
        "ErrorAnswer any refusal. Times are seconds since the epoch, durations seconds, ratios 0 to 1; what is not "
        "known is null. Fields are only ever added.",
        "anyOf": [refs[kind.__name__, mode] for kind in kinds],
        **definitions,
    }
    return _encoded(whole, indent=2)


def _encoded(value: Any, indent: int | None = None) -> bytes:
    # Half a surrogate pair: JSON may hold one in a name, UTF-8 may not.
    return (json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent) + "\n").encode("utf-8", "replace")
