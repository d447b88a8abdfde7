"""Where single readings are gathered before they become columns: one place for both ways of reading Flink.

An address is a raw metric and its owner; the owner of a JobManager's reading is `()`, of a TaskManager's `(tm,)`, of a
job's `(job,)`, of a task's `(job, vertex)`, of an operator's `(job, vertex, operator)`, and of a Kafka partition's
`(job, vertex, operator, partition)`. A cell is a value of one subtask; readings without subtask stand in cell 0.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Mapping
from math import nan
from typing import NamedTuple

from exporter.model import Column, Raw, Scope

_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_]")

# Beyond these a watermark is not a time but Flink's Long.MIN_VALUE or MAX_VALUE, which a double rounds.
_NO_WATERMARK_YET = -9.2e18
_INPUT_ENDED = 9.2e18


class Address(NamedTuple):
    """Whose reading of what."""

    raw: Raw
    owner: tuple[str, ...]


Cells = dict[Address, dict[int, float]]


def plain(identifier: str) -> str:
    """An identifier as it compares across Flink's own spellings of it: REST and the reporter replace different
    characters by an underscore, and each only some."""
    return _NOT_IN_IDS.sub("_", identifier)


def reading(raw: Raw, value: float) -> float | None:
    """What a raw value says: None where it says nothing; a watermark in seconds, or infinite where it is none."""
    if value != value:
        return None
    if raw.name.endswith("Watermark"):
        if value <= _NO_WATERMARK_YET:
            return float("-inf")
        return float("inf") if value >= _INPUT_ENDED else value / 1000
    if value == -1 and raw.name.endswith("EventTimeLag"):
        return None  # no record had a time yet; other values below 0 are records from the future
    if value < 0 and raw.name.endswith((".Max", "Offset")):
        return None  # the JVM gives no maximum; nothing was read, or committed, yet
    return value


def operators_by_vertex(cells: Cells) -> dict[tuple[str, ...], frozenset[str]]:
    """The operators that have readings, by (job, vertex)."""
    found: dict[tuple[str, ...], set[str]] = {}
    for address in cells:
        if address.raw.scope in (Scope.OPERATOR, Scope.PARTITION):
            found.setdefault(address.owner[:2], set()).add(address.owner[2])
    return {vertex: frozenset(operators) for vertex, operators in found.items()}


def column(cells: Mapping[int, float], length: int) -> Column:
    """Cells as a column; what was not read is NaN."""
    values = array("d", [nan]) * length
    for index, value in cells.items():
        if 0 <= index < length:  # else a subtask of before a rescale, or of none
            values[index] = value
    return values


def scalars(cells: Cells, raws: Iterable[Raw], owner: tuple[str, ...]) -> dict[Raw, float]:
    """The readings of an owner that has no subtasks."""
    found = {raw: cells.get(Address(raw, owner), {}).get(0) for raw in raws}
    return {raw: value for raw, value in found.items() if value is not None}


def summed(cells: Cells, raw: Raw, parts: Iterable[Raw], owners: Iterable[tuple[str, ...]]) -> None:
    """Puts a reading of several metrics, which Flink names one by one, in place of them: their sum."""
    parts = list(parts)
    for owner in owners:
        found = [cells[Address(part, owner)][0] for part in parts if Address(part, owner) in cells]
        if found:
            cells[Address(raw, owner)] = {0: sum(found)}


def partitions_by_operator(cells: Cells) -> dict[tuple[str, ...], dict[str, dict[Raw, float]]]:
    """The readings of Kafka partitions, by (job, vertex, operator) and partition."""
    found: dict[tuple[str, ...], dict[str, dict[Raw, float]]] = {}
    for address, values in cells.items():
        if address.raw.scope is Scope.PARTITION and 0 in values:
            found.setdefault(address.owner[:3], {}).setdefault(address.owner[3], {})[address.raw] = values[0]
    return found
