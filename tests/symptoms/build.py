"""Small words for courses of values and for what must be said of them. Looks are 15 s apart, from nought.

A course is `0.5, 1m 0.9, 12m30s -`: 0.5 from the first look on, 0.9 from 1 min on, nothing from 12 min 30 s on.
What must be said is `5m warning, 10m critical, 12m over`: nothing before 5 min, a warning until 10 min, and so on.
A series is the name of a family without `flink_health_`, and those of its labels that matter:
`task_busy_max_ratio{task_id=sink}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise

from exporter.families import Family, Row
from exporter.model import Cluster, ClusterState, Job, TaskManager, Vertex
from exporter.signals import SIGNALS
from exporter.symptoms.base import Severity, Symptom
from exporter.symptoms.declarations import SYMPTOMS
from exporter.symptoms.judge import Finding, Memory, judge

LOOK = 15.0
FAMILIES = {family.name: family for signal in SIGNALS for family in signal.families}
BY_NAME = {symptom.name: symptom for symptom in SYMPTOMS}

# Whose a series is unless it says so.
_DEFAULTS = {"cluster": "prod", "job_id": "job-1", "job_name": "orders", "task_id": "map", "tm_id": "tm-1"}

# A value from a time on; None where there is none.
Course = Sequence[tuple[float, float | None]]
Scene = Mapping[str, str]


def seconds(time: str) -> float:
    """`1m30s` in seconds."""
    match = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", time)
    assert match is not None, f"{time!r} is no time"
    assert any(match.groups()), f"{time!r} is no time"
    return 60.0 * int(match[1] or 0) + int(match[2] or 0)


def _steps(text: str) -> Iterator[tuple[float, str]]:
    """What is said from which time on; the first step may leave its time out."""
    for number, step in enumerate(filter(None, text.split(", "))):
        *time, word = step.split(" ")
        assert time or number == 0, f"{text!r}: when is {word!r}?"
        yield (seconds(time[0]) if time else 0.0), word


@cache
def course(text: str) -> Course:
    """A course of values."""
    steps = tuple((at, None if word == "-" else float(word)) for at, word in _steps(text))
    assert all(one < other for (one, _), (other, _) in pairwise(steps)), f"{text!r} goes back in time"
    return steps


def at(steps: Course, now: float) -> float | None:
    """The value of a course at a time."""
    return next((value for since, value in reversed(steps) if since <= now), None)


def said(text: str, now: float) -> Severity | None:
    """What must be said at a time."""
    word = next((word for since, word in reversed(list(_steps(text))) if since <= now), "over")
    return None if word == "over" else Severity(word)


@cache
def series(name: str, **given: str) -> tuple[Family, tuple[str, ...]]:
    """The family of a series, and the values of all its labels."""
    match = re.fullmatch(r"(\w+)(?:\{(.*)\})?", name)
    assert match is not None, f"{name!r} is no series"
    family = FAMILIES[f"flink_health_{match[1]}"]
    own = dict(pair.split("=") for pair in match[2].split(",")) if match[2] else {}
    labels = _DEFAULTS | given | own
    labels = {
        "task_name": f"the {labels['task_id']}",
        "host": f"host of {labels['tm_id']}",
        "operator_name": f"reader of {labels['task_id']}",
        **labels,
    }
    assert own.keys() <= set(family.all_labels), f"{name!r} has labels that its family has not"
    return family, tuple(labels[label] for label in family.all_labels)


def row(name: str, value: float, **labels: str) -> Row:
    """A published value; labels: whose it is where that is not the usual."""
    return Row(*series(name, **labels), value)


def full(scene: Scene) -> dict[str, str]:
    """A scene with what is always there: a cluster that answers, and a state of each job."""
    given = {name: _identity(name) for name in scene}
    missing = {}
    if not any(name.startswith("cluster_up") for name in scene):
        missing["cluster_up"] = "1"
    stated = {job for name, job in given.items() if name.startswith("job_state{") and job}
    for job in dict.fromkeys(job for job in given.values() if job and job not in stated):
        missing[f"job_state{{state=RUNNING,job_id={job}}}"] = "1"
    return {**missing, **scene}


def _identity(name: str) -> str | None:
    family, labels = series(name)
    return labels[family.all_labels.index("job_id")] if "job_id" in family.all_labels else None


def rows(scene: Scene, now: float, **labels: str) -> list[Row]:
    """What is published at a time."""
    values = ((name, at(course(text), now)) for name, text in scene.items())
    return [row(name, value, **labels) for name, value in values if value is not None]


def looks(until: float) -> list[float]:
    """The times of all looks up to one."""
    return [number * LOOK for number in range(int(until / LOOK) + 1)]


def longest(scene: Scene, says: Mapping[str, str], symptom: Symptom) -> float:
    """For how long a scene is looked at: until whatever begins with its last change would have begun and ended."""
    times = [at for text in (*scene.values(), *says.values()) for at, _ in _steps(text)]
    return max(times) + max(bound.lasting for bound in symptom.levels.values()) + symptom.calm + 2 * LOOK


def followed(
    scene: Scene, symptoms: Iterable[Symptom], until: float
) -> Iterator[tuple[float, tuple[Finding, ...], Memory]]:
    """What is found at each look of a scene, and what is remembered then."""
    judged, whole = tuple(symptoms), full(scene)
    memory: Memory = {}
    for now in looks(until):
        found, memory = judge(rows(whole, now), judged, memory, now)
        yield now, found, memory


def found(values: Mapping[str, float], now: float = 0.0, **labels: str) -> tuple[Finding, ...]:
    """What is found of some values by all symptoms, none of which has to last."""
    hurried = [symptom.hurried(0.0) for symptom in SYMPTOMS]
    return judge([row(name, value, **labels) for name, value in values.items()], hurried, {}, now)[0]


def job(
    *paths: str, on: Mapping[str, str] | None = None, id: str = "job-1", name: str = "orders", state: str = "RUNNING"
) -> Job:
    """A job of four subtasks a task. paths: `source > map > sink`, as its records flow. on: TaskManagers by task, for
    those that do not run on tm-1."""
    edges = list(dict.fromkeys(edge for path in paths for edge in pairwise(path.split(" > "))))
    tasks = list(dict.fromkeys(task for path in paths for task in path.split(" > ")))
    vertices = tuple(
        Vertex(
            id=task,
            name=f"the {task}",
            parallelism=4,
            running=True,
            complete=True,
            inputs=tuple(before for before, after in edges if after == task),
            outputs=tuple(after for before, after in edges if before == task),
            hosts=tuple(taskmanager(tm) for tm in (on or {}).get(task, "tm-1").split(" ")),
        )
        for task in tasks
    )
    return Job(id=id, name=name, state=state, started_at=0.0, now=0.0, vertices=vertices)


def taskmanager(id: str = "tm-1") -> TaskManager:
    return TaskManager(id=id, host=f"host of {id}", slots=4, slots_free=0)


def cluster(*jobs: Job, name: str = "prod", at: float = 0.0) -> Cluster:
    """A cluster that is up and runs these jobs on two TaskManagers."""
    tms = (taskmanager("tm-1"), taskmanager("tm-2"))
    return Cluster(
        name=name,
        state=ClusterState.UP,
        taken_at=at,
        version="2.3.0",
        slots=8,
        slots_free=2,
        taskmanagers=tms,
        jobs=jobs,
    )


def of(finding: Finding) -> str:
    """Whose finding it is, in a word: the cluster's name, the job's id or the TaskManager's."""
    return finding.entity[0] if finding.symptom.entity == "cluster" else finding.entity[1]
