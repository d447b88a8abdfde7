"""What may be published: families, their samples, and the grammar of their names.

A family is a value that checks itself where it is declared, and only a family can make its sample.
Identity labels (`cluster`, `job_id`, …) follow from the family's entity and are added once, in `derive`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """The Prometheus type of a family; `info` is a gauge that is always 1 and whose name ends in `_info`."""

    GAUGE = "gauge"
    COUNTER = "counter"
    INFO = "info"


# The labels that say which thing a sample is about, by entity. The words are those of Flink's own reporter.
IDENTITY: dict[str, tuple[str, ...]] = {
    "cluster": ("cluster",),
    "jobmanager": ("cluster",),
    "taskmanager": ("cluster", "tm_id", "host"),
    "job": ("cluster", "job_id", "job_name"),
    "task": ("cluster", "job_id", "job_name", "task_id", "task_name"),
    "source": ("cluster", "job_id", "job_name", "task_id", "task_name", "operator_name"),
}

# Names are people's, and may be whole SQL statements.
_LONGEST_NAME = 80

# Labels whose values have no bound, or change with every restart.
FORBIDDEN = frozenset({"subtask", "subtask_index", "attempt", "execution_id", "exception", "url", "path"})

_NAME = re.compile(rf"flink_health_({'|'.join(IDENTITY)})_[a-z][a-z0-9]*(_[a-z0-9]+)*")
_NOT_BASE_UNITS = re.compile(r"_(ms|millis|milliseconds|minutes|hours|percent|kb|mb|kilobytes|megabytes)(_|$)")
_LABEL = re.compile(r"[a-z][a-z0-9_]*")


class FamilyError(ValueError):
    """A declaration that breaks the grammar, or a sample that its family does not allow."""


def shown(name: str) -> str:
    """The name of a job or a task as all its labels show it."""
    return name[:_LONGEST_NAME]


@dataclass(frozen=True, slots=True)
class Family:
    """One published metric.

    name: `flink_health_<entity>_<signal>_<what>_<unit>`.
    help: one sentence for `# HELP`.
    formula: how the value comes about, for the reference.
    labels: what the family adds to the identity labels of its entity.
    """

    name: str
    help: str
    formula: str
    labels: tuple[str, ...] = ()
    kind: Kind = Kind.GAUGE

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise FamilyError(f"{self.name}: {problem}")

    def _problems(self) -> list[str]:
        problems = []
        if not _NAME.fullmatch(self.name):
            problems.append(f"expected flink_health_<entity>_<what>, entity one of {', '.join(IDENTITY)}")
        if _NOT_BASE_UNITS.search(self.name):
            problems.append("expected base units: seconds, bytes, ratio")
        if self.name.endswith("_total") != (self.kind is Kind.COUNTER):
            problems.append("counters, and only counters, end in _total")
        if self.name.endswith("_info") != (self.kind is Kind.INFO):
            problems.append("info families, and only they, end in _info")
        if not self.help.endswith(".") or not self.formula:
            problems.append("expected a help sentence and a formula")
        for label in self.labels:
            if not _LABEL.fullmatch(label) or label in FORBIDDEN:
                problems.append(f"{label!r} may not be a label")
        if not problems and (len(set(self.all_labels)) != len(self.all_labels)):
            problems.append("a label stands twice")
        return problems

    @property
    def entity(self) -> str:
        """The entity that the family is about: the third word of its name."""
        return self.name.split("_", 3)[2]

    @property
    def all_labels(self) -> tuple[str, ...]:
        """Identity labels first, then the family's own: the order of a published row's label values."""
        return IDENTITY[self.entity] + self.labels

    def sample(self, value: float, *, of: object = None, **labels: str) -> Sample:
        """A sample without its identity. Raises FamilyError on a value that is not finite or on wrong labels.

        of: the entity that it is about, where that is not the one its signal was asked about.
        """
        if not math.isfinite(value):
            raise FamilyError(f"{self.name}: {value} is not a value: what is unknown is absent")
        if tuple(labels) != self.labels and set(labels) != set(self.labels):
            raise FamilyError(f"{self.name}: expected the labels {self.labels}, got {tuple(labels)}")
        return Sample(self, float(value), tuple(labels[label] for label in self.labels), of)


class Sample(NamedTuple):
    """A derived value, not yet told whose it is. Made by `Family.sample` only."""

    family: Family
    value: float
    labels: tuple[str, ...]
    of: object = None


class Row(NamedTuple):
    """A sample with its identity: what is published. `labels` are the values of `family.all_labels`, in order."""

    family: Family
    labels: tuple[str, ...]
    value: float
