"""Is the culprit found, and are its victims left alone?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan
from typing import NamedTuple

import pytest

from exporter.model import Job, Raw, Scope, TaskManager, Vertex
from exporter.signals.bottleneck import SIGNAL
from tests.signals.build import Look, column, derived, job, run, vertex

BUSY = Raw(Scope.TASK, "accumulateBusyTimeMs")
HELD = Raw(Scope.TASK, "accumulateBackPressuredTimeMs")
CPU = Raw(Scope.TASKMANAGER, "Status.JVM.CPU.Time")
GC_ALL = Raw(Scope.TASKMANAGER, "Status.JVM.GarbageCollector.All.Time")
GC_EACH = Raw(Scope.TASKMANAGER, "Status.JVM.GarbageCollector.*.Time")

Shares = float | Sequence[float] | None


class Task(NamedTuple):
    """Shares of time that a task spends, one a subtask or one for all; what is left it idles."""

    busy: Shares
    held: Shares = 0.0
    after: tuple[str, ...] = ()
    on: tuple[str, ...] = ("tm-1",)
    running: bool = True


class Host(NamedTuple):
    """What a TaskManager spends a second: processors, and time in collections."""

    cpu: float | None = None
    gc: float | None = None
    gc_each: float | None = None


def works(tasks: Mapping[str, Task], at: float, hosts: Mapping[str, Host], epoch: float | None = 0.0) -> Job:
    """The job when its tasks have worked so long; the epoch is when they began to."""

    def spent(share: float | None, unit: float) -> float | None:
        return None if share is None else share * unit * (at - (epoch or 0.0))

    def taskmanager(id: str) -> TaskManager:
        host = hosts.get(id, Host())
        told = {CPU: spent(host.cpu, 1e9), GC_ALL: spent(host.gc, 1e3), GC_EACH: spent(host.gc_each, 1e3)}
        readings = {raw: value for raw, value in told.items() if value is not None}
        return TaskManager(id=id, host=id, slots=2, slots_free=0, readings=readings)

    def milliseconds(shares: Shares) -> list[float] | None:
        if shares is None:
            return None
        return [
            1000 * (at - (epoch or 0.0)) * share for share in (shares if isinstance(shares, Sequence) else [shares])
        ]

    def task(id: str, is_: Task) -> Vertex:
        told = {BUSY: milliseconds(is_.busy), HELD: milliseconds(is_.held)}
        return replace(
            vertex(id=id, at=at, epoch=epoch, running=is_.running),
            name=id,
            inputs=is_.after,
            outputs=tuple(other for other, its in tasks.items() if id in its.after),
            readings={raw: column(values) for raw, values in told.items() if values is not None},
            hosts=tuple(taskmanager(host) for host in is_.on),
        )

    return job(vertices=[task(id, is_) for id, is_ in tasks.items()], now=at, epoch=epoch)


def marked(looks: Sequence[Look]) -> dict[str, str]:
    """The culprits, and why."""
    return {row.labels[3]: row.labels[5] for row in derived(SIGNAL, looks).rows if row.value == 1}


def culprits(tasks: Mapping[str, Task], hosts: Mapping[str, Host] | None = None) -> dict[str, str]:
    return marked([(works(tasks, at, hosts or {}), at) for at in (0.0, 60.0)])


def chain(*tasks: Task) -> dict[str, Task]:
    """Tasks one after another: `t0` is the source."""
    return {f"t{n}": task._replace(after=(f"t{n - 1}",) if n else ()) for n, task in enumerate(tasks)}


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        pytest.param(
            chain(Task(0.05, 0.93), Task(1.0), Task(0.02)), {"t1": "saturated"}, id="a slow middle: not the source"
        ),
        pytest.param(chain(Task(0.05, 0.93), Task(0.1, 0.9), Task(1.0)), {"t2": "sink"}, id="a slow sink"),
        pytest.param(chain(Task(0.05, 0.93), Task(1.0)), {"t1": "sink"}, id="two tasks"),
        pytest.param(
            chain(*[Task(0.02, 0.97)] * 4, Task(0.99)),
            {"t4": "sink"},
            id="cascading over five: four victims, one culprit",
        ),
        pytest.param(
            chain(*[Task(0.02, 0.97)] * 2, Task(0.99), Task(0.3), Task(0.1)),
            {"t2": "saturated"},
            id="in the middle of five",
        ),
        pytest.param(chain(Task(0.3), Task(0.6), Task(0.1)), {}, id="all is well: nobody"),
        pytest.param(chain(Task(0.3, 0.2), Task(0.8), Task(0.1)), {}, id="a little backpressure is no matter"),
        pytest.param(
            chain(Task(0.3), Task(0.95), Task(0.1)), {"t1": "saturated"}, id="saturated, and nobody waits for it yet"
        ),
        pytest.param(chain(Task(0.3), Task(0.9), Task(0.1)), {"t1": "saturated"}, id="0.9 is just enough"),
        pytest.param(chain(Task(0.3), Task(0.89), Task(0.1)), {}, id="0.89 is not"),
        pytest.param(
            chain(Task(0.1, 0.9), Task(0.7), Task(0.1)), {"t1": "saturated"}, id="not saturated, but it is waited for"
        ),
        pytest.param(chain(Task(0.5, 0.5), Task(0.7), Task(0.1)), {"t1": "saturated"}, id="half of the time is enough"),
        pytest.param(chain(Task(0.51, 0.49), Task(0.7), Task(0.1)), {}, id="less is not"),
        # The middle waits for the sink: not half of the time, but it would have enough of its own without.
        pytest.param(
            chain(Task(0.1, 0.9), Task(0.55, 0.45), Task(0.85)),
            {"t2": "sink"},
            id="a middle that waits less is a victim",
        ),
        # It waits now and then, but for whom it waits is idle: its own work is what takes the time.
        pytest.param(
            chain(Task(0.1, 0.9), Task(0.85, 0.12), Task(0.3)),
            {"t1": "saturated"},
            id="one that waits now and then is not",
        ),
        pytest.param(
            chain(Task(0.1, 0.9), Task(0.0), Task(0.0)), {"t1": "saturated"}, id="the network before it is slow"
        ),
        pytest.param(
            {
                "source": Task(0.05, 0.93),
                "slow": Task(1.0, after=("source",)),
                "quick": Task(0.1, after=("source",)),
                "join": Task(0.2, after=("slow", "quick")),
            },
            {"slow": "saturated"},
            id="a diamond: the slow branch",
        ),
        pytest.param(
            {
                "source": Task(0.05, 0.93),
                "slow": Task(0.8, after=("source",)),
                "quick": Task(0.7, after=("source",)),
                "join": Task(0.2, after=("slow", "quick")),
            },
            {"slow": "saturated"},
            id="a diamond, and nobody saturated: the busier branch",
        ),
        pytest.param(
            {
                "source": Task(0.05, 0.93),
                "one": Task(0.1, 0.85, after=("source",)),
                "other": Task(0.3, 0.0, after=("source",)),
                "join": Task(0.95, after=("one", "other")),
            },
            {"join": "sink"},
            id="a diamond: what joins the branches",
        ),
        pytest.param(
            {
                "orders": Task(0.05, 0.93),
                "prices": Task(0.05, 0.6),
                "join": Task(0.97, after=("orders", "prices")),
                "sink": Task(0.1, after=("join",)),
            },
            {"join": "saturated"},
            id="a join holds back both its inputs, and is marked once",
        ),
        pytest.param(
            {
                "orders": Task(0.05, 0.93),
                "prices": Task(0.05, 0.0),
                "join": Task(0.6, after=("orders", "prices")),
            },
            {"join": "sink"},
            id="a join holds back one of its inputs",
        ),
        pytest.param(
            {
                "a": Task(0.05, 0.93),
                "slow a": Task(1.0, after=("a",)),
                "b": Task(0.05, 0.93),
                "slow b": Task(0.7, after=("b",)),
            },
            {"slow a": "sink", "slow b": "sink"},
            id="two independent branches, each with its own",
        ),
        pytest.param(
            {
                "source": Task(0.05, 0.93),
                "slow a": Task(1.0, after=("source",)),
                "slow b": Task(0.95, after=("source",)),
            },
            {"slow a": "sink", "slow b": "sink"},
            id="two saturated branches of one source: both",
        ),
    ],
)
def test_the_culprit(tasks: Mapping[str, Task], expected: dict[str, str]) -> None:
    assert culprits(tasks) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(Task([nan, nan], 0.0), {}, id="a legacy source, whose busy time nobody knows"),
        pytest.param(Task([0.0, 0.0], 0.0), {}, id="one that says 0 of all of its time"),
        pytest.param(Task(0.95, 0.02), {"t0": "source"}, id="a new source at its limit"),
        pytest.param(Task(0.2, 0.0), {}, id="a new source with nothing to read"),
        pytest.param(Task([nan, nan], 0.93), {"t1": "sink"}, id="a legacy source is a victim all the same"),
        pytest.param(Task(0.05, 0.93), {"t1": "sink"}, id="so is a new one"),
        pytest.param(Task(0.95, 0.6), {"t1": "sink"}, id="one subtask works, another waits: a victim"),
    ],
)
def test_sources(source: Task, expected: dict[str, str]) -> None:
    assert culprits(chain(source, Task(0.5))) == expected


def test_a_source_that_is_its_own_sink() -> None:
    assert culprits(chain(Task(0.95))) == {"t0": "source"}


MIDDLE, SINK = "t1", "t2"


def slow(middle: Task) -> dict[str, Task]:
    return chain(Task(0.05, 0.93), middle, Task(0.02))


@pytest.mark.parametrize(
    ("middle", "hosts", "reason"),
    [
        # 1 / ((1 + 0 + 0 + 0) / 4) = 4
        pytest.param(Task([1, 0, 0, 0]), {}, "skew", id="a hot key: one works, the others idle"),
        # 1 / ((1 + 1/3) / 2) = 1.5
        pytest.param(Task([1, 1 / 3]), {}, "skew", id="one and a half times the mean is just enough"),
        pytest.param(Task([1, 0.34]), {}, "saturated", id="less is not"),
        pytest.param(Task([1, nan, nan]), {}, "saturated", id="the others were not read: nothing to compare it with"),
        pytest.param(Task([1, 0, 0, 0]), {"tm-1": Host(gc=0.9)}, "skew", id="skew before gc"),
        pytest.param(Task(1.0), {"tm-1": Host(cpu=1.0, gc=0.3)}, "gc", id="collections take three tenths of the time"),
        pytest.param(Task(1.0), {"tm-1": Host(cpu=1.0, gc=0.29)}, "saturated", id="less is not"),
        pytest.param(Task(1.0), {"tm-1": Host(cpu=0.1, gc_each=0.4)}, "gc", id="on an older Flink, gc before waiting"),
        pytest.param(Task(1.0), {"tm-1": Host(gc=0.1, gc_each=0.4)}, "saturated", id="where both are, Flink's own sum"),
        pytest.param(
            Task([1.0, 1.0], on=("tm-1", "tm-2")),
            {"tm-1": Host(gc=0.1), "tm-2": Host(gc=0.5)},
            "gc",
            id="one of its TaskManagers collects",
        ),
        pytest.param(Task(1.0), {"tm-9": Host(gc=0.9)}, "saturated", id="another task's TaskManager does"),
        pytest.param(Task(1.0), {"tm-1": Host(cpu=0.1)}, "external_wait", id="busy, but its processor is not"),
        pytest.param(Task(1.0), {"tm-1": Host(cpu=0.5)}, "saturated", id="half of its time is its own work"),
        # 0.9 processors of the 2 that two busy subtasks would use: less than 0.5 * 2
        pytest.param(
            Task([1.0, 1.0], on=("tm-1", "tm-2")),
            {"tm-1": Host(cpu=0.2), "tm-2": Host(cpu=0.7)},
            "external_wait",
            id="two TaskManagers together",
        ),
        pytest.param(
            Task([1.0, 1.0], on=("tm-1", "tm-2")), {"tm-1": Host(cpu=0.2)}, "saturated", id="one of them was not read"
        ),
        pytest.param(Task(1.0), {"tm-1": Host()}, "saturated", id="nothing of them was read"),
        pytest.param(Task(1.0, on=()), {}, "saturated", id="nobody knows where it runs"),
        # Nobody knows how busy it is; that it waits less than those before it is known.
        pytest.param(Task(None, 0.0), {"tm-1": Host(cpu=0.1)}, "saturated", id="its busy time was not read"),
    ],
)
def test_the_reason(middle: Task, hosts: Mapping[str, Host], reason: str) -> None:
    assert culprits(slow(middle), hosts) == {MIDDLE: reason}


@pytest.mark.parametrize(
    ("sink", "hosts", "reason"),
    [
        pytest.param(Task(1.0), {"tm-1": Host(cpu=0.1)}, "sink", id="what it waits for is outside: the sink says so"),
        pytest.param(Task([1.0, 0.1]), {}, "skew", id="skew before that"),
        pytest.param(Task(1.0), {"tm-1": Host(gc=0.5)}, "gc", id="gc as well"),
    ],
)
def test_the_reason_of_a_sink(sink: Task, hosts: Mapping[str, Host], reason: str) -> None:
    assert culprits(chain(Task(0.05, 0.93), Task(0.1, 0.9), sink), hosts) == {SINK: reason}


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        pytest.param(chain(Task(0.05, 0.93), Task(None, None), Task(0.1)), {}, id="the one after it was not read"),
        pytest.param(
            chain(Task(0.05, 0.93), Task(0.02, 0.9), Task(None, None)), {}, id="the one after the victims was not read"
        ),
        pytest.param(chain(Task(0.05, 0.93), Task([nan, nan], [nan, nan])), {}, id="no subtask was read"),
        pytest.param(chain(Task(0.05, 0.93), Task([nan, 1.0])), {"t1": "sink"}, id="one subtask was not"),
        pytest.param(chain(Task(0.05, 0.93), Task(1.0, running=False)), {}, id="the one after it does not run"),
        pytest.param(chain(Task(1.0, running=False), Task(0.3)), {}, id="a source that has ended is nobody's culprit"),
        pytest.param({}, {}, id="no tasks at all"),
    ],
)
def test_what_is_not_known_is_absent(tasks: Mapping[str, Task], expected: dict[str, str]) -> None:
    assert culprits(tasks) == expected


# The middle is slow; of these only what a row names differs.
SLOW = slow(Task(1.0))


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(works(SLOW, 30.0, {}), {MIDDLE: "saturated"}, id="it goes on"),
        pytest.param(works(SLOW, 15.0, {}), {MIDDLE: "saturated"}, id="Flink's own store was not refreshed"),
        pytest.param(works(SLOW, 30.0, {}, epoch=20.0), {}, id="its job restarted: one look is no share"),
        pytest.param(works(SLOW, 30.0, {}, epoch=None), {}, id="its job does not run"),
        pytest.param(works(SLOW, 15.0, {}, epoch=None), {}, id="nor does it, and nothing is new"),
        pytest.param(
            works({id: task._replace(running=False) for id, task in SLOW.items()}, 30.0, {}),
            {},
            id="none of its tasks runs",
        ),
        pytest.param(
            works({id: task._replace(busy=None, held=None) for id, task in SLOW.items()}, 30.0, {}),
            {},
            id="nothing was read in this cycle: never what was true before",
        ),
    ],
)
def test_the_third_look(last: Job, expected: dict[str, str]) -> None:
    assert marked([(works(SLOW, 0.0, {}), 0.0), (works(SLOW, 15.0, {}), 15.0), (last, 30.0)]) == expected


def test_a_job_that_does_not_run_has_no_culprit_however_long_it_is_looked_at() -> None:
    assert marked([(works(SLOW, at, {}, epoch=None), at) for at in (0.0, 15.0, 30.0)]) == {}


def test_one_look_is_no_share() -> None:
    assert marked([(works(SLOW, 60.0, {}), 60.0)]) == {}


def test_a_restart_begins_anew() -> None:
    looks = [
        (works(SLOW, at, {}, epoch=epoch), at) for at, epoch in ((0.0, 0.0), (15.0, 0.0), (30.0, 20.0), (45.0, 20.0))
    ]
    assert marked(looks) == {MIDDLE: "saturated"}


def test_nor_does_a_restart_remember_what_its_taskmanagers_did() -> None:
    """They did nothing for 45 s; since it runs again they are busy."""
    looks: list[Look] = [
        (works(SLOW, at, {"tm-1": Host(cpu=cpu)}, epoch=epoch), at)
        for at, cpu, epoch in ((0.0, 0.0, 0.0), (45.0, 0.0, 0.0), (50.0, 1.0, 50.0), (60.0, 1.0, 50.0))
    ]
    assert marked(looks) == {MIDDLE: "saturated"}


def test_it_is_over_when_it_is_over() -> None:
    """Slow for a minute, then well for one: each counts for itself."""
    looks: list[Look] = []
    for at in range(0, 121, 15):
        tasks = slow(Task(0.0))
        then = works(tasks, at, {})
        busy = column([1000.0 * min(at, 60)])
        held = column([930.0 * min(at, 60)])
        told = [
            replace(task, readings={BUSY: busy, HELD: column([0.0])})
            if task.id == MIDDLE
            else replace(task, readings={BUSY: column([0.0]), HELD: held if task.id == "t0" else column([0.0])})
            for task in then.vertices
        ]
        looks.append((replace(then, vertices=tuple(told)), float(at)))
    assert marked(looks[:5]) == {MIDDLE: "saturated"}
    assert marked(looks) == {}


def test_the_sample_is_the_tasks() -> None:
    said = run(SIGNAL, [(works(SLOW, at, {}), at) for at in (0.0, 60.0)])
    assert said == {"task_bottleneck{saturated}": 1}
