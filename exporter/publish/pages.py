"""The pages that people look at: all clusters, one job, and what is said where there is neither.

Made of templates in `web/` that escape every value. There is no script on them, and nothing from another host.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from exporter import __version__
from exporter.columns import cut
from exporter.publish import pictures, spelling
from exporter.symptoms import wording
from exporter.symptoms.base import Severity
from exporter.symptoms.health import ClusterHealth, JobHealth, JobLine

# Seconds from one refresh to the next, for who asks for it: that of a cycle, unless configured otherwise. Nobody gets
# it unasked: a page that reloads itself closes what was opened, and begins anew for who has it read out.
REFRESH = 15

# Of how many jobs a folded list is open to begin with.
_FEW = 12


@dataclass(frozen=True, slots=True)
class Sorted:
    """The jobs of a cluster by what they are to a reader, each part with the least healthy first.

    unwell: with a symptom, and after these such of which nothing is known. ended: without a symptom; one that has
    failed is there too when another of its name runs.
    """

    unwell: tuple[JobLine, ...]
    well: tuple[JobLine, ...]
    ended: tuple[JobLine, ...]


def sort(jobs: Sequence[JobLine]) -> Sorted:
    """Which jobs need a look?"""
    ended = [job for job in jobs if job.severity is None and job.score is None and job.ended]
    well = [job for job in jobs if job.severity is None and job.score is not None]
    rest = {id(job) for job in (*ended, *well)}
    unwell = sorted((job for job in jobs if id(job) not in rest), key=lambda job: job.severity is None)
    return Sorted(tuple(unwell), tuple(well), tuple(ended))


@dataclass(frozen=True, slots=True)
class Sum:
    """All clusters in a few numbers. silent: how many clusters do not answer."""

    critical: int
    warning: int
    unknown: int
    well: int
    ended: int
    silent: int
    clusters: int
    waiting: int

    @property
    def unwell(self) -> int:
        return self.critical + self.warning

    @property
    def running(self) -> int:
        return self.critical + self.warning + self.unknown + self.well


def total(clusters: Sequence[ClusterHealth]) -> Sum:
    """How many of what there is."""
    parts = [sort(cluster.jobs) for cluster in clusters]
    severities = Counter(job.severity for part in parts for job in part.unwell)
    return Sum(
        critical=severities[Severity.CRITICAL],
        warning=severities[Severity.WARNING],
        unknown=severities[None],
        well=sum(len(part.well) for part in parts),
        ended=sum(len(part.ended) for part in parts),
        silent=sum(cluster.state not in ("up", "waiting") for cluster in clusters),
        clusters=len(clusters),
        waiting=sum(cluster.state == "waiting" for cluster in clusters),
    )


def overview(clusters: Sequence[ClusterHealth], *, ready: bool, now: float, refresh: bool = False) -> bytes:
    """The page `/`."""
    return _rendered(
        "overview.html",
        clusters=[(cluster, sort(cluster.jobs)) for cluster in sorted(clusters, key=_gravest_first)],
        total=total(clusters),
        ready=ready,
        now=now,
        refresh=refresh,
        here="/",
    )


def _gravest_first(cluster: ClusterHealth) -> int:
    return (Severity.CRITICAL, Severity.WARNING, None).index(cluster.severity)


def job(health: JobHealth, *, now: float, refresh: bool = False) -> bytes:
    """The page of a job."""
    return _rendered(
        "job.html",
        health=health,
        job=health.job,
        numbers={task.id: number for number, task in enumerate(health.tasks, start=1)},
        # A finding may stand there more than once, for several TaskManagers; a link leads to the first.
        first={found.symptom: place for place, found in reversed(list(enumerate(health.findings, start=1)))},
        pictures=[pictures.picture(health, down=down) for down in (False, True)] if health.tasks else [],
        sparks=pictures.sparks(health.trends),
        span=pictures.span(health.trends),
        now=now,
        refresh=refresh,
        here=job_path(health.job),
    )


def missing(told: str, hint: str) -> bytes:
    """The page for who asks for a job that is not there. told: what is missing; hint: why that may be."""
    # Without `capitalize`, which would make the rest of it small.
    told, hint = (f"{text[:1].upper()}{text[1:]}" for text in (told, hint))
    return _rendered("missing.html", told=told, hint=hint, refresh=False, here="/")


def job_path(line: JobLine) -> str:
    """The address of a job's page; behind `/api/v1` that of the same as JSON."""
    # Names are as people made them, and may hold what is no text at all.
    parts = (quote(part, safe="", errors="replace") for part in (line.cluster, line.id))
    return "/clusters/{}/jobs/{}".format(*parts)


def _short_labels(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """The labels of a piece of evidence, the ids of tasks only where there is no name."""
    return [(name, value) for name, value in labels.items() if name != "task_id" or "task_name" not in labels]


def _rendered(template: str, **values: Any) -> bytes:
    return _environment().get_template(template).render(**values).encode("utf-8", "replace")


@cache
def style() -> str:
    """The one style of all pages, as it stands on them."""
    return (resources.files("exporter.publish") / "web" / "style.css").read_text(encoding="utf-8")


@cache
def icon() -> str:
    """The picture on the tab."""
    return (resources.files("exporter.publish") / "web" / "icon.svg").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("exporter.publish", "web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        number=spelling.number,
        percent=spelling.percent,
        points=spelling.points,
        length_of=spelling.length,
        since=wording.duration,
        moment=spelling.moment,
        words=spelling.words,
        measured=spelling.measured,
        cut=cut,
        path=job_path,
        labelled=_short_labels,
    )
    environment.globals.update(
        version=__version__, style=style, ago=spelling.ago, is_web=spelling.is_web, REFRESH=REFRESH, FEW=_FEW
    )
    return environment
