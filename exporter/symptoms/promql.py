"""Symptoms → the alert rules that Prometheus judges by: the same thresholds, the same durations.

A level is a rule of its own, and both may fire: a warning that has become critical is still one. Who wants to be told
of the graver only lets Alertmanager inhibit the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from exporter.durations import format_duration
from exporter.symptoms.base import Above, Bound, Condition, Measure, Severity, Symptom, SymptomError

_VALUE = re.compile(r"\{value:?([^}]*)\}")
_DECIMALS = re.compile(r"\.[0-9]f")

# What an alert is about comes first: one line of a pager says which.
_ABOUT = {
    "cluster": "{{ $labels.cluster }}",
    "job": "{{ $labels.job_name }} ({{ $labels.cluster }})",
    "taskmanager": "TaskManager {{ $labels.tm_id }} ({{ $labels.cluster }})",
}


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
    return f"{aggregate} by ({', '.join(by)}) ({selector(measure)}) {bound.sign} {number(bound.threshold)}"


def _joined(condition: Condition, symptom: Symptom) -> str:
    on = f"on ({', '.join(condition.on)}) " if condition.on else ""
    return f"{on}({_compared(condition.measure, condition.bound, condition.on or symptom.labels)})"


def selector(measure: Measure) -> str:
    """The PromQL selector of a measure."""
    matchers = [
        f"{label}={_string(wanted)}" if isinstance(wanted, str) else f"{label}=~{_string(_any_of(wanted))}"
        for label, wanted in measure.where.items()
    ]
    return measure.family.name + (f"{{{','.join(matchers)}}}" if matchers else "")


def _any_of(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, words))


def _string(text: str) -> str:
    # PromQL escapes as JSON does.
    return json.dumps(text, ensure_ascii=False)


def number(value: float) -> str:
    """A number as PromQL reads it."""
    return f"{value:.15g}"


def annotation(text: str) -> str:
    """A summary as a template of Prometheus. Raises SymptomError on a format that has none."""
    return _VALUE.sub(lambda match: _template(match[1]), text)


def _template(spec: str) -> str:
    if spec == "duration":
        return "{{ $value | humanizeDuration }}"
    if spec == ".0%":
        # humanizePercentage writes four digits, and a template cannot multiply. But the ratio can be rounded to two
        # decimals, which are the whole percents, up to 9999 of them.
        return '{{ $value | printf "%.2f" | humanizePercentage }}'
    if _DECIMALS.fullmatch(spec):
        return f'{{{{ $value | printf "%{spec}" }}}}'
    raise SymptomError(f"no template of Prometheus for {{value:{spec}}}")


def alerts(symptoms: Iterable[Symptom], runbook: str) -> Iterator[dict[str, object]]:
    """The rules, one a level. runbook: the address of a page, with `{name}` for its name."""
    for symptom in symptoms:
        for severity, bound in symptom.levels.items():
            yield _alert(symptom, severity, bound, runbook)


def _alert(symptom: Symptom, severity: Severity, bound: Bound, runbook: str) -> dict[str, object]:
    rule: dict[str, object] = {"alert": symptom.alert, "expr": expression(symptom, bound)}
    if bound.lasting:
        rule["for"] = format_duration(bound.lasting)
    if symptom.calm:
        rule["keep_firing_for"] = format_duration(symptom.calm)
    rule["labels"] = {"severity": severity.value, "symptom": symptom.name}
    rule["annotations"] = {
        "summary": f"{_ABOUT[symptom.entity]}: {annotation(symptom.summary)}",
        "description": symptom.action,
        "runbook_url": runbook.format(name=symptom.runbook),
    }
    return rule
