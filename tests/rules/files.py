"""The rule files that are written by hand: what stands in them, and which metrics their expressions name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "config/rules"
RUNBOOK = "https://github.com/flink-health-exporter/flink-health-exporter/blob/main/docs/runbook/"

# Whose alerts have pages of their own; those of native.yml are symptoms, and have theirs.
OWN_PAGES = ("exporter", "recording")
FILES = (*OWN_PAGES, "native")

_WORDS = {"and", "or", "unless", "bool", "by", "on", "offset", "ignoring"}


@dataclass(frozen=True)
class Alert:
    """A rule that alerts."""

    name: str
    severity: str
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]
    lasting: str | None

    @property
    def page(self) -> str:
        """The name of its page in the runbook."""
        return self.annotations["runbook_url"].removeprefix(RUNBOOK).removesuffix(".md")


@dataclass(frozen=True)
class Named:
    """What an expression asks for: metrics by their names, and names by a pattern."""

    metrics: set[str] = field(default_factory=set)
    patterns: set[str] = field(default_factory=set)


def path(file: str) -> Path:
    """Of a rule file, by its name without the ending."""
    return RULES / f"{file}.yml"


@cache
def groups(file: str) -> list[dict[str, Any]]:
    """The file's groups of rules."""
    read: dict[str, list[dict[str, Any]]] = yaml.safe_load(path(file).read_text())
    return read["groups"]


def rules(file: str) -> Iterator[dict[str, Any]]:
    """All of a file's rules, in order."""
    for group in groups(file):
        yield from group["rules"]


def alerts(file: str) -> list[Alert]:
    """Those that alert."""
    return [
        Alert(
            rule["alert"],
            rule["labels"]["severity"],
            rule["expr"],
            rule["labels"],
            rule["annotations"],
            rule.get("for"),
        )
        for rule in rules(file)
        if "alert" in rule
    ]


def recorded(file: str) -> list[str]:
    """The names that a file records."""
    return [rule["record"] for rule in rules(file) if "record" in rule]


def named(expr: str) -> Named:
    """What an expression asks for."""
    patterns = set(re.findall(r'__name__=~"([^"]*)"', expr))
    bare = re.sub(r'"[^"]*"', "", expr)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(?:by|on|ignoring)\s*\([^)]*\)|\boffset\s+\w+", " ", bare)
    return Named(set(re.findall(r"(?<![\w.:])[a-zA-Z_][\w:]*\b(?!\s*\()", bare)) - _WORDS, patterns)
