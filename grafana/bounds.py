"""The symptoms' thresholds as Grafana's colours and as words. None stands here: they come from the declarations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from grafana_foundation_sdk.models.dashboard import Threshold

from exporter.durations import format_duration
from exporter.families import Family
from exporter.symptoms.base import Above, Bound, Severity, Symptom
from exporter.symptoms.declarations import SYMPTOMS
from grafana.queries import QueryError

RUNBOOKS = "https://github.com/flink-health-exporter/flink-health-exporter/blob/main/docs/runbook/{name}.md"

GREEN, ORANGE, RED = "green", "orange", "red"
COLOURS = {Severity.WARNING: ORANGE, Severity.CRITICAL: RED}

_BY_NAME = {symptom.name: symptom for symptom in SYMPTOMS}
# Families that are not counted in whole numbers end in a unit.
_UNITS = ("_ratio", "_seconds", "_bytes", "_per_second")


def chosen(names: Iterable[str], families: Sequence[Family]) -> list[Symptom]:
    """Symptoms by name. Raises QueryError unless each judges one of the families."""
    symptoms = []
    for name in names:
        symptom = _BY_NAME.get(name)
        if symptom is None:
            raise QueryError(f"there is no symptom {name!r}")
        if symptom.measure.family not in families:
            raise QueryError(f"{name} does not judge {', '.join(family.name for family in families)}")
        symptoms.append(symptom)
    return symptoms


def page(symptom: Symptom) -> str:
    """The address of a symptom's runbook page."""
    return RUNBOOKS.format(name=symptom.runbook)


def steps(symptoms: Sequence[Symptom]) -> list[Threshold]:
    """The colours of the values: of a value that is on the wrong side, that of the level that it passes."""
    levels: dict[Severity, Bound] = {}
    for symptom in symptoms:
        for severity, bound in symptom.levels.items():
            known = levels.get(severity)
            # Of several symptoms the one that begins first.
            levels[severity] = bound if known is None or bound.passed(known.threshold) else known
    warning, critical = levels.get(Severity.WARNING), levels.get(Severity.CRITICAL)
    if warning is not None and critical is not None and warning.threshold == critical.threshold:
        levels.pop(Severity.CRITICAL)  # only how long it lasts makes it critical, which no colour of a value can show
    edges = [(_edge(bound, symptoms[0].measure.family), COLOURS[severity]) for severity, bound in levels.items()]
    if not edges:
        return [Threshold(None, GREEN)]
    if all(isinstance(bound, Above) for bound in levels.values()):
        return [Threshold(None, GREEN), *(Threshold(edge, colour) for edge, colour in edges)]
    # Below: the worst first, and each edge ends its colour.
    edges.reverse()
    colours = [*(colour for _, colour in edges[1:]), GREEN]
    above = [Threshold(edge, colour) for (edge, _), colour in zip(edges, colours, strict=True)]
    return [Threshold(None, edges[0][1]), *above]


def _edge(bound: Bound, family: Family) -> float:
    """Where a colour begins. Grafana's begins at the edge, and a symptom above it: of whole numbers, at the next."""
    whole = not family.name.endswith(_UNITS)
    return bound.threshold + 0.5 if whole and isinstance(bound, Above) else bound.threshold


def said(symptom: Symptom) -> str:
    """What a symptom's levels are, with its runbook page."""
    levels = [
        f"{severity} {'above' if isinstance(bound, Above) else 'below'} {bound.threshold:g}"
        + (f" for {format_duration(bound.lasting)}" if bound.lasting else "")
        for severity, bound in symptom.levels.items()
    ]
    return f"[{symptom.name}]({page(symptom)}): {', '.join(levels)}."
