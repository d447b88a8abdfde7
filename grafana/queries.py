"""PromQL for panels. Metrics are named through their families, so that no query can name one that does not exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from exporter.families import Family, Kind
from exporter.symptoms.declarations import SYMPTOMS
from exporter.telemetry import Telemetry

# What prometheus_client itself tells of a process; on a registry only where the system has it.
PROCESS = ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds")


class QueryError(ValueError):
    """A query that would find nothing, or mislead. The text is one line."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The series that a dashboard is about: of each label, the operator and the variable that it is compared with.

    A family is narrowed down by those labels that it has: a cluster's has no `job_name`.
    """

    matchers: Mapping[str, str]

    def gauge(self, family: Family, **where: str) -> str:
        """The selector of a gauge. where: more matchers, each an operator and a quoted value."""
        if family.kind is Kind.COUNTER:
            raise QueryError(f"{family.name} is a counter: ask for its rate or increase")
        return self._selector(family, where)

    def worst(self, family: Family, *by: str, how: str = "max", **where: str) -> str:
        """A gauge by some labels. Of two exporters that watch one cluster, and two jobs of one name, the greater."""
        return f"{how} by ({_labels(family, by)}) ({self.gauge(family, **where)})"

    def increase(self, family: Family, *by: str, over: str = "$__rate_interval", **where: str) -> str:
        """How much a counter gained."""
        if family.kind is not Kind.COUNTER:
            raise QueryError(f"{family.name} is no counter")
        return f"sum by ({_labels(family, by)}) (increase({self._selector(family, where)}[{over}]))"

    def own(self, name: str, **where: str) -> str:
        """The selector of one of the exporter's own metrics, which are those of `Telemetry`."""
        if name not in own_metrics():
            raise QueryError(f"{name} is no metric of the exporter's own")
        labels = own_metrics()[name]
        narrowed = {label: match for label, match in self.matchers.items() if label in labels}
        return _selector(name, {**narrowed, **_known(name, labels, where)})

    def _selector(self, family: Family, where: Mapping[str, str]) -> str:
        narrowed = {label: match for label, match in self.matchers.items() if label in family.all_labels}
        return _selector(family.name, {**narrowed, **_known(family.name, family.all_labels, where)})


@cache
def own_metrics() -> dict[str, tuple[str, ...]]:
    """The exporter's own metrics by the names that PromQL knows them by, and their labels."""
    telemetry = Telemetry()
    telemetry.fetched("", "", "", 0.0)
    telemetry.cycled("", 0.0)
    telemetry.signal("", "", True)
    telemetry.published("", 0)
    telemetry.targets("", "", {"": 0})
    samples = [sample for metric in telemetry.registry.collect() for sample in metric.samples]
    return dict.fromkeys(PROCESS, ()) | {sample.name: tuple(sample.labels) for sample in samples}


def runbook(query: str) -> str:
    """A query by `symptom`, with the name of its runbook page as label: `skew` stays, `job_failed` is `job-failed`."""
    # A replacement replaces one underscore, the last that is left.
    query = f'label_replace({query}, "runbook", "$1", "symptom", "(.*)")'
    for _ in range(max(symptom.name.count("_") for symptom in SYMPTOMS)):
        query = f'label_replace({query}, "runbook", "$1-$2", "runbook", "(.*)_(.*)")'
    return query


def _labels(family: Family, by: tuple[str, ...]) -> str:
    for label in by:
        if label not in family.all_labels:
            raise QueryError(f"{family.name} has no label {label!r}")
    return ", ".join(by)


def _known(name: str, labels: tuple[str, ...], where: Mapping[str, str]) -> Mapping[str, str]:
    for label in where:
        if label not in labels:
            raise QueryError(f"{name} has no label {label!r}")
    return where


def _selector(name: str, matchers: Mapping[str, str]) -> str:
    return name + (f"{{{','.join(f'{label}{match}' for label, match in matchers.items())}}}" if matchers else "")
