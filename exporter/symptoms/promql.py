"""Symptoms → the alert rules that Prometheus judges by: the same thresholds, the same durations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from exporter.symptoms.base import Above, Bound, Condition, Measure, Severity, Symptom

# Python's way to format a value, and Prometheus's.
_FORMATS = {
    "": '{{ $value | printf "%g" }}',
    "duration": "{{ $value | humanizeDuration }}",
    ".0%": "{{ $value | humanizePercentage }}",
}
_VALUE = re.compile(r"\{value:?([^}]*)\}")


def expression(symptom: Symptom, bound: Bound) -> str:
    """The PromQL of a level: a value for each entity whose threshold is passed, and nothing else."""
    parts = [_compared(symptom.measure, bound, symptom.labels)]
    parts += [f"and {_joined(condition, symptom)}" for condition in symptom.only]
    parts += [f"unless {_joined(condition, symptom)}" for condition in symptom.unless]
    return "\n".join(parts)


def _compared(measure: Measure, bound: Bound, by: Sequence[str]) -> str:
    # One entity, one value: no label of the exporter's own process, and of many tasks or subtasks the worst.
    greatest = isinstance(bound, Above) != measure.every
    aggregate = "max" if greatest else "min"
    return f"{aggregate} by ({', '.join(by)}) ({selector(measure)}) {bound.sign} {_number(bound.threshold)}"


def _joined(condition: Condition, symptom: Symptom) -> str:
    on = f"on ({', '.join(condition.on)}) " if condition.on else ""
    return f"{on}({_compared(condition.measure, condition.bound, condition.on or symptom.labels)})"


def selector(measure: Measure) -> str:
    """The PromQL selector of a measure."""
    matchers = [
        f'{label}="{wanted}"' if isinstance(wanted, str) else f'{label}=~"{"|".join(map(re.escape, wanted))}"'
        for label, wanted in measure.where.items()
    ]
    return measure.family.name + (f"{{{','.join(matchers)}}}" if matchers else "")


def _number(value: float) -> str:
    return f"{value:.15g}"


def duration(seconds: float) -> str:
    """A duration as Prometheus spells it."""
    milliseconds = round(seconds * 1000)
    if milliseconds % 1000:
        return f"{milliseconds}ms"
    return f"{milliseconds // 60_000}m" if milliseconds % 60_000 == 0 and milliseconds else f"{milliseconds // 1000}s"


def annotation(text: str) -> str:
    """A summary as a template of Prometheus."""

    def template(match: re.Match[str]) -> str:
        spec = match[1]
        return _FORMATS.get(spec, f'{{{{ $value | printf "%{spec}" }}}}')

    return _VALUE.sub(template, text)


def alerts(symptoms: Iterable[Symptom], runbook: str) -> Iterator[dict[str, object]]:
    """The rules, one a level. runbook: the address of a page, with `{name}` for its name."""
    for symptom in symptoms:
        for severity, bound in symptom.levels.items():
            yield _alert(symptom, severity, bound, runbook)


def _alert(symptom: Symptom, severity: Severity, bound: Bound, runbook: str) -> dict[str, object]:
    rule: dict[str, object] = {"alert": symptom.alert, "expr": expression(symptom, bound)}
    if bound.lasting:
        rule["for"] = duration(bound.lasting)
    if symptom.calm:
        rule["keep_firing_for"] = duration(symptom.calm)
    rule["labels"] = {"severity": severity.value, "symptom": symptom.name}
    rule["annotations"] = {
        "summary": annotation(symptom.summary),
        "description": symptom.action,
        "runbook_url": runbook.format(name=symptom.runbook),
    }
    return rule
