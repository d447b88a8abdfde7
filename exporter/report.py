"""What is told of clusters and jobs → lines of text that a person reads in ten seconds, the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from exporter.columns import cut, width
from exporter.publish.spelling import measured, words
from exporter.symptoms.base import Severity, runbook_page
from exporter.symptoms.health import ClusterHealth, Evidence, JobHealth, JobLine, ToldFinding
from exporter.symptoms.wording import duration, short
from exporter.terminal import Paint, clean, wrap

# Names that need no attention get no more lines than these.
_MOST_LINES = 3
# Values that a finding stands on, and values beside them, that are shown.
_MOST_EVIDENCE = 2
# What has lasted no longer than this is of the moment, as is said once for all.
_OF_THE_MOMENT = 30.0

# Seconds for which a failure may have to do with what is wrong now.
_LATELY = 3600.0

_PREFIX = "flink_health_"

_STYLES = {Severity.CRITICAL: ("red", "bold"), Severity.WARNING: ("yellow", "bold")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What one look found at one cluster.

    jobs: those that were asked for, the least healthy first, each of them in full. named: whether they were asked for
    by name, so that what else is wrong with the cluster is not told. faults: what the exporter itself failed at.
    """

    cluster: ClusterHealth
    jobs: tuple[JobHealth, ...] = ()
    named: bool = False
    faults: tuple[str, ...] = ()

    @property
    def up(self) -> bool:
        """Whether there was anything to look at."""
        return self.cluster.state == "up"

    @property
    def severity(self) -> Severity | None:
        """The highest of what was asked for; None where nothing was seen."""
        if not self.up:
            return None
        found = {each.job.severity for each in self.jobs} if self.named else {self.cluster.severity}
        return next((each for each in (Severity.CRITICAL, Severity.WARNING) if each in found), None)

    @property
    def unknown(self) -> list[JobLine]:
        """The jobs that live, and of which nothing is known."""
        return [each.job for each in self.jobs if _group(each.job) == "unknown"]


def lines(found: Sequence[Diagnosis], columns: int, paint: Paint, note: str) -> list[str]:
    """The report, no line wider than `columns`. note: what is to be said of all of it."""
    told = [paint(line, "dim") for line in wrap(note, columns)]
    for each in found:
        told += ["", *_cluster(each, columns, paint)]
    return told


def _findings(found: Diagnosis) -> Iterator[ToldFinding]:
    yield from () if found.named else found.cluster.findings
    for job in found.jobs:
        yield from job.findings


def runbook(found: Sequence[Diagnosis]) -> str | None:
    """Where the pages are, in a line of any width: a broken address leads nowhere. None where no page is needed."""
    pages = {finding.runbook: runbook_page(finding.symptom) for each in found for finding in _findings(each)}
    addresses = {url if len(pages) == 1 else url.replace(page, "NAME") for url, page in pages.items()}
    return f"Runbook: {' '.join(clean(address) for address in sorted(addresses))}" if addresses else None


def _group(job: JobLine) -> str:
    if job.severity is not None:
        return "ill"
    if job.ended:
        return "ended"
    return "unknown" if job.score is None else "healthy"


# A cluster


def _cluster(found: Diagnosis, columns: int, paint: Paint) -> Iterator[str]:
    cluster = found.cluster
    yield _headline(cluster, columns, paint)
    if not found.up:
        yield from wrap(clean(cluster.error or "it was not looked at"), columns, "  ")
        return
    for fault in (*found.faults, *([cluster.error] if cluster.error else [])):
        yield from wrap(f"not all of it could be read: {clean(fault)}", columns, "  ")
    if not found.named:
        for finding in cluster.findings:
            yield ""
            yield from _finding(finding, cluster.taken_at, columns, paint, indent=2)
    jobs = {group: [each for each in found.jobs if _group(each.job) == group] for group in _GROUPS}
    for job in jobs["ill"]:
        yield ""
        yield from _job(job, found.named, columns, paint)
    rest = [line for group in _GROUPS[1:] for line in _names(group, [each.job for each in jobs[group]], columns, paint)]
    if rest or not found.jobs:
        yield ""
    yield from rest
    if not found.jobs:
        yield paint("no such job at present" if found.named else "no jobs", "dim")


_GROUPS = ("ill", "unknown", "healthy", "ended")


def _headline(cluster: ClusterHealth, columns: int, paint: Paint) -> str:
    facts = [
        f"Flink {cluster.version}" if cluster.version else None,
        cluster.state.replace("_", " "),
        None if cluster.taskmanagers is None else _count(cluster.taskmanagers, "TaskManager"),
        None if cluster.slots is None else f"{_known(cluster.slots_free)} of {cluster.slots} slots free",
    ]
    name = cut(clean(cluster.name), columns)
    rest = "  " + ", ".join(clean(fact) for fact in facts if fact)
    # Half an address is none.
    url = f", {clean(cluster.url)}"
    rest += url if width(name + rest + url) <= columns else ""
    colour = {Severity.CRITICAL: "red", Severity.WARNING: "yellow", None: "green"}[cluster.severity]
    return paint(name, colour if cluster.state == "up" else "red", "bold") + cut(rest, columns - width(name))


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _known(number: int | None) -> str:
    return "?" if number is None else str(number)


# Jobs


def _job(health: JobHealth, named: bool, columns: int, paint: Paint) -> Iterator[str]:
    job = health.job
    score = "" if job.score is None else f"{job.score:.0%}"
    severity = job.severity or Severity.WARNING
    begin, end = f"{score:>4}  ", f"  {job.state}"
    name = cut(clean(job.name), max(8, columns - width(begin + end)))
    yield paint(begin, *_STYLES[severity]) + paint(name, "bold") + cut(end, columns - width(begin + name))
    for line in (*health.stories, *_downfall(health)):
        yield from wrap(clean(line), columns, "      ")
    for finding in health.findings:
        # What is wrong with a TaskManager is told once, at the cluster.
        brief = finding.about != "job" and not named
        yield from _finding(finding, health.taken_at, columns, paint, indent=6, brief=brief)


def _downfall(health: JobHealth) -> Iterator[str]:
    """What brought the job down last, unless that was long ago."""
    last = health.downfall
    if last is None or not (health.job.ended or health.taken_at - last.at <= _LATELY):
        return
    ago, where = duration(health.taken_at - last.at), f" in {short(last.task)}" if last.task else ""
    yield f"Last brought down {ago} ago: {words(last.scenario)}, {last.exception}{where}."


def _names(group: str, jobs: Sequence[JobLine], columns: int, paint: Paint) -> list[str]:
    """Jobs that need no attention, by their names; of many only as many as fit in a few lines."""
    if not jobs:
        return []
    title = {"healthy": "healthy: ", "ended": "ended: ", "unknown": "not known: "}[group]
    names = [clean(job.name) + ("" if group == "healthy" else f" ({job.state})") for job in jobs]
    found = wrap(", ".join(names), columns, title)
    shown = len(names)
    while len(found) > _MOST_LINES and shown > 1:
        shown -= 1
        found = wrap(f"{', '.join(names[:shown])} … and {len(names) - shown} more", columns, title)
    colour = {"healthy": "green", "ended": "dim", "unknown": "yellow"}[group]
    return [paint(title, colour) + found[0].removeprefix(title), *found[1:]]


# Findings


def _finding(
    finding: ToldFinding, now: float | None, columns: int, paint: Paint, *, indent: int, brief: bool = False
) -> Iterator[str]:
    begin = " " * indent
    head = f"{begin}{finding.severity.value:<10}"
    told = wrap(_headed(finding, now), columns, head)
    yield paint(head, *_STYLES[finding.severity]) + told[0].removeprefix(head)
    yield from told[1:]
    if brief:
        return
    inner = " " * width(head)
    evidence = _evidence(finding)
    yield from (paint(line, "dim") for line in wrap(evidence, columns, inner) if evidence)
    page = f"[{runbook_page(finding.symptom)}]"
    *lines, last = wrap(f"{finding.action} {page}", columns, f"{inner}→ ")
    yield from lines
    yield last.removesuffix(page) + paint.link(page, finding.runbook) if last.endswith(page) else last


def _headed(finding: ToldFinding, now: float | None) -> str:
    """The summary, of which TaskManager, and for how long if for longer than a look takes."""
    where = f" ({clean(finding.labels['tm_id'])})" if "tm_id" in finding.labels else ""
    lasted = 0.0 if now is None else now - finding.since
    return f"{finding.summary}{where}{f', for {duration(lasted)}' if lasted > _OF_THE_MOMENT else ''}"


def _evidence(finding: ToldFinding) -> str:
    """The values that passed the threshold, then those beside them; what they are of is said once."""
    passed = [each for each in finding.evidence if each.threshold is not None]
    beside = [each for each in finding.evidence if each.threshold is None]
    shown = [*passed[:_MOST_EVIDENCE], *beside[:_MOST_EVIDENCE]]
    told, metric, last = [], None, None
    for each in shown:
        about = ", ".join(dict.fromkeys(_about(each.labels.items())))
        name = "" if each.metric == metric else f"{_name(each)} "
        told.append(name + _value(each) + (f" ({about})" if about and about != last else ""))
        metric, last = each.metric, about
    more = len(passed) - _MOST_EVIDENCE
    return ", ".join([*told, *([f"and {more} more"] if more > 0 else [])])


def _name(evidence: Evidence) -> str:
    """In full where somebody might want to query it: what stands beside begins likewise."""
    return evidence.metric.removeprefix("" if evidence.threshold is not None else _PREFIX)


def _value(evidence: Evidence) -> str:
    text = measured(evidence.value, evidence.metric)
    if evidence.threshold is not None:
        sign = ">" if evidence.value > evidence.threshold else "<"
        text += f" {sign} {measured(evidence.threshold, evidence.metric)}"
    return text if evidence.normal is None else f"{text}, normal {measured(evidence.normal, evidence.metric)}"


def _about(labels: Iterable[tuple[str, str]]) -> Iterator[str]:
    """What a value is of, by its name alone where it has one."""
    for name, value in labels:
        if name == "task_name":
            yield clean(short(value))
        elif name not in ("task_id", "tm_id", "host"):
            yield clean(value)
