"""What may be said of symptoms, and what of it cannot stand?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, PlainValidator, SerializationInfo, ValidationInfo

from exporter.config_document import Loc
from exporter.config_section import Section
from exporter.config_values import Deduction, Lasting, Patience, RunbookUrl, SymptomName, Threshold

_LEVELS = ("warning", "critical")

_RUNBOOK = "https://github.com/flink-health-exporter/flink-health-exporter/blob/main/docs/runbook/{name}.md"


class Level(Section):
    """Where a level begins; what is not said stays as it is declared."""

    threshold: Threshold | None = Field(None, description="The value that must be passed.", examples=[3])
    lasting: Lasting | None = Field(None, description="For how long, without a break.", examples=["10m"])


def _level_or_off(value: object, info: ValidationInfo) -> Level | Literal["off"]:
    if value == "off":
        return "off"
    if not isinstance(value, dict | Level):
        raise ValueError("expected off or a mapping with threshold and lasting")
    # Its mistakes become those of the whole, each in its place.
    return Level.model_validate(value, context=info.context)


def _plain(level: Level | Literal["off"], info: SerializationInfo) -> object:
    return level if isinstance(level, str) else level.model_dump(mode=info.mode)


LevelOrOff = Annotated[Level | Literal["off"], PlainValidator(_level_or_off), PlainSerializer(_plain)]


class SymptomOverride(Section):
    """How one symptom differs from its declaration; what is not said stays."""

    warning: LevelOrOff | None = Field(
        None,
        description="Where the warning begins, or off. One that the symptom does not have needs threshold and lasting.",
        examples=[{"threshold": 3, "lasting": "10m"}],
    )
    critical: LevelOrOff | None = Field(
        None, description="Where it becomes critical, or off; as for the warning.", examples=["off"]
    )
    calm: Lasting | None = Field(None, description="For how long it must be over before it ends.", examples=["5m"])
    deduction: Deduction | None = Field(
        None,
        description="What a warning takes from a job's score of 1; a critical symptom takes twice as much.",
        examples=[0.1],
    )


class Symptoms(Section):
    """How it is judged what is wrong."""

    patience: Patience = Field(
        1.0,
        description="How many times as long as declared every symptom must hold, and be over; above 0, at most 100. "
        "0.1 is for a demo in a hurry.",
    )
    runbook_url: RunbookUrl = Field(
        _RUNBOOK, description="Where the runbook is; {name} stands for the name of the page, such as checkpoint-slow."
    )
    disabled: tuple[SymptomName, ...] = Field((), description="Symptoms that are not judged, by name.")
    overrides: Mapping[SymptomName, SymptomOverride] = Field(
        default_factory=dict,
        description="What differs from docs/symptoms.md, by the name of the symptom; what is not said stays.",
        examples=["checkpoint_slow"],
    )


def across_symptoms(section: object, levels: Mapping[str, Collection[str]]) -> Iterator[tuple[Loc, str]]:
    """What no field can say alone: levels that are half said, and symptoms without any.

    section: what the file has under `symptoms`, right or wrong. levels: those that each symptom is declared with.
    """
    overrides = section.get("overrides") if isinstance(section, dict) else None
    for name, override in overrides.items() if isinstance(overrides, dict) else ():
        if name not in levels or not isinstance(override, dict):
            continue  # wrong by itself, and told as that
        here: Loc = ("symptoms", "overrides", name)
        said = {level: override[level] for level in _LEVELS if override.get(level) is not None}
        for level, value in said.items():
            if level not in levels[name] and isinstance(value, dict):
                for part in ("threshold", "lasting"):
                    if value.get(part) is None:
                        yield (*here, level), f"{part} is required: {name} has no {level} of its own"
        if not {level for level in {*levels[name], *said} if said.get(level) != "off"}:
            yield here, "no level is left; to turn it off, list it in symptoms.disabled"
