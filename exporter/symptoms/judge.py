"""Samples → findings: which symptoms hold, since when, and on what evidence?

A level is judged as Prometheus judges an alert with `for` and `keep_firing_for`: it begins when its threshold was
passed at every look for as long as it must last, and ends when it was not for as long as the symptom's calm. One look
without a value is a look at which it was not passed. So the verdict and the alert rule say the same of the same series.

Pure: what is pending or holds goes in with one look and comes out for the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.families import IDENTITY, Row
from exporter.model import TERMINAL
from exporter.signals import lifecycle
from exporter.symptoms.base import Above, Bound, Condition, Measure, Severity, Symptom

# The values of the labels that tell one entity from the next.
Entity = tuple[str, ...]


class Key(NamedTuple):
    """A level of a symptom of an entity."""

    symptom: str
    severity: Severity
    entity: Entity


class Standing(NamedTuple):
    """How a level stands: since when its threshold is passed, by which rows when last, the worst first; whether that
    has lasted, and since when it is over."""

    since: float
    evidence: tuple[Row, ...]
    holds: bool = False
    over_since: float | None = None


Memory = Mapping[Key, Standing]


@dataclass(frozen=True, slots=True)
class Finding:
    """A symptom that holds.

    since: when the threshold of its mildest level was first passed. bound: that of the severity. value: the worst when
    this was last passed. evidence: the rows that had passed it, the worst first. ending: whether it is over, and only
    not for long enough.
    """

    symptom: Symptom
    severity: Severity
    entity: Entity
    since: float
    bound: Bound
    value: float
    evidence: tuple[Row, ...]
    ending: bool = False


class Look:
    """The rows of one moment, by family."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            self._rows[row.family.name].append(row)

    def rows(self, measure: Measure) -> Iterator[Row]:
        """The rows of a measure."""
        found = self._rows.get(measure.family.name, ())
        return (row for row in found if measure.matches(row.labels)) if measure.where else iter(found)

    def by_entity(self, measure: Measure, labels: Sequence[str]) -> dict[Entity, list[Row]]:
        """The rows of a measure by the values of some labels."""
        names = measure.family.all_labels
        places = [names.index(label) for label in labels]
        found: dict[Entity, list[Row]] = defaultdict(list)
        for row in self.rows(measure):
            found[tuple(row.labels[place] for place in places)].append(row)
        return found

    def alive(self) -> set[Entity]:
        """What may have symptoms: what is there and has not ended."""
        state, names = lifecycle.STATE, lifecycle.STATE.all_labels.index("state")
        ended = {row.labels[:names] for row in self._rows.get(state.name, ()) if row.labels[names] in TERMINAL}
        there = {
            row.labels[: len(IDENTITY[row.family.entity])]
            for rows in self._rows.values()
            if rows[0].family.entity in ("cluster", "job", "taskmanager")
            for row in rows
        }
        return there - ended


def judge(
    rows: Iterable[Row], symptoms: Sequence[Symptom], memory: Memory, now: float
) -> tuple[tuple[Finding, ...], Memory]:
    """What holds at a look, and what must be remembered for the next. Of a symptom's levels the highest is told."""
    look = Look(rows)
    alive = look.alive()
    findings: list[Finding] = []
    kept: dict[Key, Standing] = {}
    known: dict[str, list[Key]] = defaultdict(list)
    for key in memory:
        known[key.symptom].append(key)
    for symptom in symptoms:
        values = look.by_entity(symptom.measure, symptom.labels)
        holding: dict[Entity, Finding] = {}
        begun: dict[Entity, float] = {}
        for severity, bound in symptom.levels.items():
            passed = _passed(symptom, bound, values, look)
            before = {key.entity: memory[key] for key in known[symptom.name] if key.severity is severity}
            for entity in dict.fromkeys((*before, *passed)):
                standing = _next(before.get(entity), symptom, bound, passed.get(entity), now)
                if standing is None:
                    continue
                kept[Key(symptom.name, severity, entity)] = standing
                # What is critical has been there since it was worth a warning, were it one that had not lasted yet.
                begun[entity] = min(standing.since, begun.get(entity, standing.since))
                # What has ended, or gone, is not ill any more; should it come back, it is what it was.
                if standing.holds and (entity in passed or entity in alive):
                    since = begun[entity]
                    value = symptom.measure.of(bound)(row.value for row in standing.evidence)
                    ending = standing.over_since is not None
                    holding[entity] = Finding(symptom, severity, entity, since, bound, value, standing.evidence, ending)
        findings += holding.values()
    return tuple(findings), kept


def _passed(
    symptom: Symptom, bound: Bound, values: Mapping[Entity, Sequence[Row]], look: Look
) -> dict[Entity, tuple[Row, ...]]:
    """The entities whose value has passed a bound while all else is as it must be, with the rows that have."""
    compared = symptom.measure.of(bound)
    found = {entity: rows for entity, rows in values.items() if bound.passed(compared(row.value for row in rows))}
    for condition in symptom.only:
        true = _true(condition, symptom, look)
        found = {entity: rows for entity, rows in found.items() if _part(condition, symptom, entity) in true}
    for condition in symptom.unless:
        true = _true(condition, symptom, look)
        found = {entity: rows for entity, rows in found.items() if _part(condition, symptom, entity) not in true}
    return {entity: _worst_first(rows, bound) for entity, rows in found.items()}


def _worst_first(rows: Iterable[Row], bound: Bound) -> tuple[Row, ...]:
    passed = sorted((row for row in rows if bound.passed(row.value)), key=lambda row: row.value)
    return tuple(passed[::-1] if isinstance(bound, Above) else passed)


def _true(condition: Condition, symptom: Symptom, look: Look) -> set[Entity]:
    """Of which entities a condition is true. What is not known is not true."""
    measure, bound = condition.measure, condition.bound
    compared = measure.of(bound)
    return {
        entity
        for entity, rows in look.by_entity(measure, condition.on or symptom.labels).items()
        if bound.passed(compared(row.value for row in rows))
    }


def _part(condition: Condition, symptom: Symptom, entity: Entity) -> Entity:
    """An entity by the labels of a condition."""
    if condition.on is None:
        return entity
    return tuple(entity[symptom.labels.index(label)] for label in condition.on)


def _next(
    before: Standing | None, symptom: Symptom, bound: Bound, passed: tuple[Row, ...] | None, now: float
) -> Standing | None:
    """How a level stands after a look; None where there is nothing to remember."""
    if passed is not None:
        since = now if before is None else before.since
        return Standing(since, passed, (before is not None and before.holds) or now - since >= bound.lasting)
    if before is None or not before.holds:
        return None
    over_since = now if before.over_since is None else before.over_since
    return before._replace(over_since=over_since) if now - over_since < symptom.calm else None
