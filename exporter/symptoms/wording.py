"""What is said of a finding: its sentence, and its part in a chain of causes."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.symptoms.judge import Finding

_LONGEST_TASK = 40


class Value(float):
    """A number that can be spelled as a duration too: `{value:duration}`."""

    def __format__(self, spec: str) -> str:
        return duration(self) if spec == "duration" else super().__format__(spec)


def duration(seconds: float) -> str:
    """About how long, in the unit that fits."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"


def short(task: str) -> str:
    """A task's name in a sentence: its first operator, for the whole chain of them can be a paragraph."""
    first = task.partition(" -> ")[0]
    return first if len(first) <= _LONGEST_TASK else f"{first[: _LONGEST_TASK - 1]}…"


def summary(finding: Finding) -> str:
    """What is wrong, in a sentence without a full stop."""
    return finding.symptom.summary.format(value=Value(finding.value))


def clause(finding: Finding, context: Mapping[str, object]) -> str:
    """What is wrong, in a few words; its summary where too little is known for them."""
    try:
        return finding.symptom.clause.format_map({"value": Value(finding.value), **context})
    except KeyError:
        return summary(finding)
