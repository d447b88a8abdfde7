"""The symptoms as they are declared → as somebody wants them: other thresholds, other durations, or none at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Literal, Protocol

from exporter.symptoms.base import Bound, Condition, Symptom, SymptomError


class Level(Protocol):
    """Where a level begins; None stays as declared."""

    @property
    def threshold(self) -> float | None:
        """The value that must be passed."""

    @property
    def lasting(self) -> float | None:
        """For how many seconds."""


class Change(Protocol):
    """How a symptom differs from its declaration; None stays as declared."""

    @property
    def warning(self) -> Level | Literal["off"] | None:
        """Where the warning begins, if there is to be one."""

    @property
    def critical(self) -> Level | Literal["off"] | None:
        """Where it becomes critical, if it is to."""

    @property
    def calm(self) -> float | None:
        """For how many seconds it must be over."""

    @property
    def deduction(self) -> float | None:
        """What a warning takes from a job's score."""


class Tuning(Protocol):
    """What is wanted of all of them; the settings are one."""

    @property
    def patience(self) -> float:
        """For how many times as long as said each must hold, and be over."""

    @property
    def disabled(self) -> Collection[str]:
        """Those that are not wanted, by name."""

    @property
    def overrides(self) -> Mapping[str, Change]:
        """What is wanted otherwise, by name."""


def tuned(symptoms: Iterable[Symptom], tuning: Tuning) -> tuple[Symptom, ...]:
    """The symptoms that are wanted, as they are wanted. Raises SymptomError where that cannot be."""
    wanted = {
        symptom.name: _changed(symptom, tuning.overrides.get(symptom.name)).hurried(tuning.patience)
        for symptom in symptoms
        if symptom.name not in tuning.disabled
    }
    return tuple(
        replace(symptom, only=_conditions(symptom.only, wanted), unless=_conditions(symptom.unless, wanted))
        for symptom in wanted.values()
    )


def _conditions(declared: Iterable[Condition], wanted: Mapping[str, Symptom]) -> tuple[Condition, ...]:
    """Those that still hold, with the thresholds of the symptoms that they stand for."""
    kept = []
    for condition in declared:
        if condition.stands_for is None:
            kept.append(condition)
        elif condition.stands_for in wanted:
            milder, *_ = wanted[condition.stands_for].levels.values()
            kept.append(replace(condition, bound=replace(condition.bound, threshold=milder.threshold)))
    return tuple(kept)


def _changed(symptom: Symptom, change: Change | None) -> Symptom:
    if change is None:
        return symptom
    return replace(
        symptom,
        warning=_bound(symptom, symptom.warning, change.warning),
        critical=_bound(symptom, symptom.critical, change.critical),
        calm=symptom.calm if change.calm is None else change.calm,
        deduction=symptom.deduction if change.deduction is None else change.deduction,
    )


def _bound(symptom: Symptom, declared: Bound | None, level: Level | Literal["off"] | None) -> Bound | None:
    if level is None:
        return declared
    if level == "off":
        return None
    threshold, lasting = level.threshold, level.lasting
    if declared is not None:
        return replace(
            declared,
            threshold=declared.threshold if threshold is None else threshold,
            lasting=declared.lasting if lasting is None else lasting,
        )
    if threshold is None or lasting is None:
        raise SymptomError(f"{symptom.name}: a level that it does not have needs a threshold and a duration")
    # What is too high for one level is too high for the other.
    (other,) = symptom.levels.values()
    return type(other)(threshold, lasting)
