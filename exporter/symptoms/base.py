"""What a symptom is: a value that passes a threshold for a while, what that means, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import ClassVar

from exporter.families import IDENTITY, Family

MINUTE = 60.0

_NAME = re.compile(r"[a-z]+(_[a-z]+)*")


class Severity(StrEnum):
    """A warning is for the working day, a critical symptom for the one who is on call."""

    WARNING = "warning"
    CRITICAL = "critical"


def runbook_page(symptom: str) -> str:
    """The name of the runbook page of a symptom, without a suffix."""
    return symptom.replace("_", "-")


class SymptomError(ValueError):
    """A declaration that cannot be. The text is one line."""


@dataclass(frozen=True, slots=True)
class Above:
    """More than `threshold`, for `lasting` seconds without a break."""

    threshold: float
    lasting: float = 0.0

    sign: ClassVar[str] = ">"
    worst: Callable[[Iterable[float]], float] = field(default=max, init=False, repr=False, compare=False)
    best: Callable[[Iterable[float]], float] = field(default=min, init=False, repr=False, compare=False)

    def passed(self, value: float) -> bool:
        """Whether a value is on the wrong side."""
        return value > self.threshold


@dataclass(frozen=True, slots=True)
class Below:
    """Less than `threshold`, for `lasting` seconds without a break."""

    threshold: float
    lasting: float = 0.0

    sign: ClassVar[str] = "<"
    worst: Callable[[Iterable[float]], float] = field(default=min, init=False, repr=False, compare=False)
    best: Callable[[Iterable[float]], float] = field(default=max, init=False, repr=False, compare=False)

    def passed(self, value: float) -> bool:
        """Whether a value is on the wrong side."""
        return value < self.threshold


Bound = Above | Below


@dataclass(frozen=True, slots=True)
class Measure:
    """What is compared: the samples of a family that have these labels.

    where: by label, the value, or the values, that a sample must have. every: all samples of an entity must have
    passed the threshold, not one of them.
    """

    family: Family
    where: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    every: bool = False

    def of(self, bound: Bound) -> Callable[[Iterable[float]], float]:
        """Which of an entity's values is compared with a bound."""
        return bound.best if self.every else bound.worst

    def matches(self, labels: tuple[str, ...]) -> bool:
        """Whether a row with these label values is one of the samples."""
        names = self.family.all_labels
        return all(
            labels[names.index(name)] in ((wanted,) if isinstance(wanted, str) else wanted)
            for name, wanted in self.where.items()
        )


@dataclass(frozen=True, slots=True)
class Condition:
    """Something else that must, or must not, be so at the same moment.

    on: the labels that tell what is the same thing; those of the symptom's entity unless said. stands_for: the symptom
    whose milder threshold this is; who changes that changes this, and who does without that one does without this.
    """

    measure: Measure
    bound: Bound
    on: tuple[str, ...] | None = None
    stands_for: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """One way to be ill.

    entity: `cluster`, `job` or `taskmanager`. measure: what is watched. warning, critical: from where on, and for how
    long; None where there is no such level. calm: how many seconds it must be over before it ends.
    only, unless: what else must be so, and what must not.
    summary: one sentence for people, with `{value}`. clause: the same in few words, for a chain of causes, with
    `{task}`, the labels of the worst sample, what is shown, and `{downfall}`, what brought the job down last.
    action: what to do first; actions: what instead, where the worst sample has such a label value.
    explained_by: names of the symptoms that may be its cause. local: it is the cause only of what is wrong in the
    same task. downstream: tasks pass it on to those after them, so that it began with the first of them.
    shows: families that help to understand it, by a word for each. normal: by one of these, the family that says what
    is usual of it.
    deduction: what a warning takes from a job's score; a critical one takes twice as much.
    """

    name: str
    entity: str
    measure: Measure
    warning: Bound | None = None
    critical: Bound | None = None
    calm: float = 2 * MINUTE
    only: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()
    summary: str
    clause: str
    action: str
    actions: Mapping[str, str] = field(default_factory=dict)
    explained_by: tuple[str, ...] = ()
    local: bool = False
    downstream: bool = False
    normal: Mapping[Family, Family] = field(default_factory=dict)
    shows: Mapping[str, Family] = field(default_factory=dict)
    deduction: float

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise SymptomError(f"{self.name}: {problem}")

    def _problems(self) -> list[str]:
        problems = []
        if not _NAME.fullmatch(self.name):
            problems.append("expected a name such as checkpoint_slow")
        if self.entity not in ("cluster", "job", "taskmanager"):
            problems.append(f"{self.entity!r} has no symptoms")
        if self.warning is None and self.critical is None:
            problems.append("expected a level: warning, critical or both")
        if type(self.warning) is not type(self.critical) and self.warning and self.critical:
            problems.append("a value cannot be too high and too low")
        if not 0 < self.deduction <= 1:
            problems.append("expected a deduction above 0, at most 1")
        for condition in (Condition(self.measure, Above(0)), *self.only, *self.unless):
            labels = condition.measure.family.all_labels
            if not {*(condition.on or self.labels), *condition.measure.where} <= set(labels):
                problems.append(f"{condition.measure.family.name} has only the labels {', '.join(labels)}")
        return problems

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that tell one entity from the next."""
        return IDENTITY[self.entity]

    @property
    def levels(self) -> dict[Severity, Bound]:
        """The levels that it has, the milder first."""
        both = {Severity.WARNING: self.warning, Severity.CRITICAL: self.critical}
        return {severity: bound for severity, bound in both.items() if bound is not None}

    @property
    def alert(self) -> str:
        """The name of its Prometheus alert."""
        words = ("TaskManager" if word == "taskmanager" else word.capitalize() for word in self.name.split("_"))
        return "Flink" + "".join(words)

    @property
    def runbook(self) -> str:
        """The name of its runbook page, without a suffix."""
        return runbook_page(self.name)

    def deducts(self, severity: Severity) -> float:
        """What it takes from a job's score."""
        return min(1.0, self.deduction * (2 if severity is Severity.CRITICAL else 1))

    def hurried(self, patience: float) -> Symptom:
        """The same symptom that must hold, and be over, for so many times as long."""

        def hurry(bound: Bound | None) -> Bound | None:
            return None if bound is None else replace(bound, lasting=bound.lasting * patience)

        return replace(self, calm=self.calm * patience, warning=hurry(self.warning), critical=hurry(self.critical))
