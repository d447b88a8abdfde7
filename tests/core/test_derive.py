"""Is every signal asked about every entity, are its samples labelled, and does its failure cost nobody else?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from exporter.derive import Derived, derive, entities
from exporter.families import Family, FamilyError, Row, Sample
from exporter.history import History, Past, Point, Track
from exporter.model import Cluster, ClusterState, Job, JobManager, Part, Source, TaskManager, Vertex
from exporter.signals.base import Note, Rollup, Signal
from tests.signals.build import cluster, down, job, jobmanager, named, taskmanager, vertex


def family(name: str, *labels: str) -> Family:
    return Family(name=f"flink_health_{name}", help="A probe.", formula="a probe", labels=labels)


NOTED = Track("noted", most=9)
SEEN = {
    Cluster: family("cluster_seen"),
    JobManager: family("jobmanager_seen"),
    TaskManager: family("taskmanager_seen"),
    Job: family("job_seen"),
    Vertex: family("task_seen"),
    Source: family("source_seen"),
}


def _remember(_entity: Any, _past: Past, now: float) -> Iterator[Note]:
    yield Note(NOTED, Point(now, now, tick=now))


def _count(entity: Any, past: Past, _now: float) -> Iterator[Sample]:
    yield SEEN[type(entity)].sample(len(past[NOTED]))


# Says of everything how many times it was seen.
COUNT = Signal(
    name="count", each=tuple(SEEN), families=tuple(SEEN.values()), needs=(), remember=_remember, derive=_count
)


def orders() -> Vertex:
    """A task with a source. Each is a thing of its own, as they are in a scrape."""
    return replace(vertex(id="orders"), sources=(Source(name="kafka", epoch=0.0, read_at=0.0),))


WHOLE = cluster(
    jobmanager(),
    taskmanager(id="tm-1"),
    job(id="a", vertices=[orders(), vertex(id="join")]),
    job(id="b", vertices=[orders()]),
)


def rows(derived: Derived) -> set[tuple[str, tuple[str, ...], float]]:
    return {(row.family.name.removeprefix("flink_health_"), row.labels, row.value) for row in derived.rows}


def test_everything_is_asked_about_and_labelled_with_what_it_is() -> None:
    assert rows(derive(WHOLE, [COUNT], History(), 0.0)) == {
        ("cluster_seen", ("prod",), 1.0),
        ("jobmanager_seen", ("prod",), 1.0),
        ("taskmanager_seen", ("prod", "tm-1", "host-1"), 1.0),
        ("job_seen", ("prod", "a", "the a"), 1.0),
        ("job_seen", ("prod", "b", "the b"), 1.0),
        ("task_seen", ("prod", "a", "the a", "orders", "the orders"), 1.0),
        ("task_seen", ("prod", "a", "the a", "join", "the join"), 1.0),
        ("task_seen", ("prod", "b", "the b", "orders", "the orders"), 1.0),
        ("source_seen", ("prod", "a", "the a", "orders", "the orders", "kafka"), 1.0),
        ("source_seen", ("prod", "b", "the b", "orders", "the orders", "kafka"), 1.0),
    }


def test_a_signal_is_asked_about_its_own_entities_only() -> None:
    only_jobs = replace(COUNT, each=(Job,))
    assert {row.family.entity for row in derive(WHOLE, [only_jobs], History(), 0.0).rows} == {"job"}


def test_own_labels_follow_the_identity() -> None:
    phase = family("job_phase", "phase")
    signal = Signal("phase", (Job,), (phase,), (), lambda job, _past, _now: iter([phase.sample(1, phase="sync")]))
    derived = derive(cluster(job(id="a")), [signal], History(), 0.0)
    assert derived.rows == (Row(phase, ("prod", "a", "the a", "sync"), 1.0),)


def test_names_are_cut_at_eighty() -> None:
    name = "INSERT INTO sink SELECT " * 5
    source = Source(name=name, epoch=0.0, read_at=0.0)
    sql = job(id="a", name=name, vertices=[replace(vertex(id="t", name=name), sources=(source,))])
    labels = {row.labels for row in derive(cluster(sql), [COUNT], History(), 0.0).rows}
    cut = name[:80]
    assert labels == {("prod",), ("prod", "a", cut), ("prod", "a", cut, "t", cut), ("prod", "a", cut, "t", cut, cut)}


def test_the_past_is_that_of_the_entity_and_holds_the_present() -> None:
    history = History()
    derive(cluster(job(id="a")), [COUNT], history, 0.0)
    both = derive(cluster(job(id="a"), job(id="b")), [COUNT], history, 15.0)
    assert {labels[1]: value for name, labels, value in rows(both) if name == "job_seen"} == {"a": 2, "b": 1}


def test_a_task_of_one_job_is_not_that_of_another() -> None:
    history = History()
    derive(cluster(job(id="a", vertices=[orders()])), [COUNT], history, 0.0)
    derived = derive(cluster(job(id="b", vertices=[orders()])), [COUNT], history, 15.0)
    assert named(derived.rows) == {"cluster_seen": 2, "job_seen": 1, "task_seen": 1, "source_seen": 1}


def test_a_job_may_speak_of_its_tasks() -> None:
    def derive_all(job: Job, _past: Past, _now: float) -> Iterator[Sample]:
        for task in job.vertices:
            yield SEEN[Vertex].sample(task.parallelism, of=task)

    derived = derive(WHOLE, [replace(COUNT, each=(Job,), derive=derive_all)], History(), 0.0)
    assert rows(derived) == {
        ("task_seen", ("prod", "a", "the a", "orders", "the orders"), 1.0),
        ("task_seen", ("prod", "a", "the a", "join", "the join"), 1.0),
        ("task_seen", ("prod", "b", "the b", "orders", "the orders"), 1.0),
    }


def test_nobody_may_speak_of_what_is_not_there() -> None:
    gone = vertex(id="gone")
    signal = replace(COUNT, each=(Job,), derive=lambda *_: iter([SEEN[Vertex].sample(1, of=gone)]))
    assert list(derive(WHOLE, [signal], History(), 0.0).failures) == ["count"]


def test_what_is_gone_from_flink_is_gone_and_forgotten() -> None:
    history = History()
    derive(WHOLE, [COUNT], history, 0.0)
    empty = derive(cluster(), [COUNT], history, 15.0)
    assert rows(empty) == {("cluster_seen", ("prod",), 2.0)}
    again = derive(WHOLE, [COUNT], history, 30.0)
    assert {value for name, _, value in rows(again) if name != "cluster_seen"} == {1.0}


def test_a_job_that_could_not_be_read_once_is_not_forgotten() -> None:
    history = History()
    derive(WHOLE, [COUNT], history, 0.0)
    derive(cluster(job(id="a"), job(id="b", vertices=[orders()])), [COUNT], history, 15.0)
    again = rows(derive(WHOLE, [COUNT], history, 30.0))
    # The tasks of a were seen twice, those of b three times.
    assert {value for name, labels, value in again if name == "task_seen" and labels[1] == "a"} == {2}
    assert {value for name, labels, value in again if name == "task_seen" and labels[1] == "b"} == {3}


def test_a_job_that_has_ended_is_forgotten() -> None:
    history = History()
    derive(cluster(job(id="a", vertices=[orders()])), [COUNT], history, 0.0)
    derive(cluster(job(id="a", state="FAILED")), [COUNT], history, 15.0)
    assert ("vertex", "a", "orders") not in set(history)


@pytest.mark.parametrize("state", [state for state in ClusterState if state is not ClusterState.UP])
def test_a_cluster_that_is_down_keeps_its_past_and_publishes_nothing_of_it(state: ClusterState) -> None:
    history = History()
    derive(WHOLE, [COUNT], history, 0.0)
    assert rows(derive(down(state), [COUNT], history, 15.0)) == {("cluster_seen", ("prod",), 2.0)}
    again = rows(derive(WHOLE, [COUNT], history, 30.0))
    seen = {name: value for name, _, value in again}
    # Nobody was seen at 15 but the cluster itself; another JobManager may have taken over.
    twice = dict.fromkeys(("taskmanager_seen", "job_seen", "task_seen", "source_seen"), 2)
    assert seen == {"cluster_seen": 3, "jobmanager_seen": 1, **twice}


# Isolation


def _fails(entity: Any, past: Past, now: float) -> Iterator[Sample]:
    yield from _count(entity, past, now)
    if isinstance(entity, Vertex) and entity.id == "join":
        raise ZeroDivisionError("one task was too much")


def _fails_to_remember(entity: Any, past: Past, now: float) -> Iterator[Note]:
    if isinstance(entity, Vertex) and entity.id == "join":
        raise ZeroDivisionError("one task was too much")
    yield from _remember(entity, past, now)


def _fails_to_ask(entity: Any, _past: Past, _now: float) -> bool:
    raise ZeroDivisionError("one task was too much")


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(replace(COUNT, name="broken", derive=_fails), id="deriving"),
        pytest.param(replace(COUNT, name="broken", remember=_fails_to_remember), id="remembering"),
        pytest.param(replace(COUNT, name="broken", on_demand={Part.CHECKPOINTS: _fails_to_ask}), id="asking for more"),
        pytest.param(
            replace(COUNT, name="broken", rollups=(Rollup(SEEN[Job], SEEN[Vertex], lambda values: 1 / 0),)),
            id="rolling up",
        ),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_signal_that_raises_loses_its_own_rows_all_of_them_and_no_others(broken: Signal, first: bool) -> None:
    well = replace(COUNT, name="well", remember=lambda *_: iter(()))
    signals = [broken, well] if first else [well, broken]
    derived = derive(WHOLE, signals, History(), 0.0)
    assert list(derived.failures) == ["broken"]
    assert isinstance(derived.failures["broken"], ZeroDivisionError)
    assert len(derived.rows) == 10  # those of the other, as in the first test
    assert not derived.on_demand


def test_a_signal_that_failed_may_do_better_the_next_time() -> None:
    history = History()
    broken = replace(COUNT, derive=_fails)
    assert derive(WHOLE, [broken], history, 0.0).failures
    well = derive(cluster(job(id="a", vertices=[vertex(id="orders")])), [broken], history, 15.0)
    assert not well.failures
    assert named(well.rows)["task_seen"] == 2


def test_a_family_that_was_not_declared_is_refused() -> None:
    signal = replace(COUNT, families=(SEEN[Cluster],))
    derived = derive(cluster(job(id="a")), [signal], History(), 0.0)
    assert derived.rows == ()
    error = derived.failures["count"]
    assert isinstance(error, FamilyError)
    assert str(error) == "count does not declare flink_health_job_seen"


# Rollups


WORST = family("job_worst")
ROLLED = replace(
    COUNT,
    each=(Vertex,),
    families=(SEEN[Vertex], WORST),
    derive=lambda vertex, _past, _now: iter([SEEN[Vertex].sample(vertex.parallelism)] if vertex.running else []),
    rollups=(Rollup(WORST, of=SEEN[Vertex], by=max),),
)


def test_a_job_is_told_from_its_tasks() -> None:
    sick = job(id="a", vertices=[vertex(id="x", parallelism=3), vertex(id="y", parallelism=7)])
    well = job(id="b", vertices=[vertex(id="x", parallelism=2)])
    still = job(id="c", vertices=[vertex(id="x", running=False)])
    derived = rows(derive(cluster(sick, well, still), [ROLLED], History(), 0.0))
    assert {row for row in derived if row[0] == "job_worst"} == {
        ("job_worst", ("prod", "a", "the a"), 7.0),
        ("job_worst", ("prod", "b", "the b"), 2.0),
    }


# On demand


def test_what_is_wanted_is_passed_on_by_job() -> None:
    def wants(job: Job, past: Past, _now: float) -> bool:
        return job.id == "b" and len(past[NOTED]) > 1

    signal = replace(COUNT, each=(Job,), on_demand={Part.CHECKPOINT_PHASES: wants})
    history = History()
    assert derive(WHOLE, [signal], history, 0.0).on_demand == frozenset()
    assert derive(WHOLE, [signal], history, 15.0).on_demand == {("b", Part.CHECKPOINT_PHASES)}


def test_what_a_task_wants_is_wanted_for_its_job() -> None:
    signal = replace(
        COUNT, each=(Vertex,), on_demand={Part.CHECKPOINTS: lambda vertex, _past, _now: vertex.id == "join"}
    )
    assert derive(WHOLE, [signal], History(), 0.0).on_demand == {("a", Part.CHECKPOINTS)}


def test_no_signal_no_rows() -> None:
    assert derive(WHOLE, [], History(), 0.0) == Derived(rows=())


def test_every_entity_has_a_key_of_its_own() -> None:
    keys = [entity.key for entity in entities(WHOLE)]
    assert len(keys) == len(set(keys)) == 10
