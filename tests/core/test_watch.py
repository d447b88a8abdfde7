"""Is a cluster read once an interval and never twice at once, and does no failure end that?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, cast

import pytest

from exporter.families import Family, Sample
from exporter.flink.errors import Invalid, Unreachable
from exporter.flink.scrape import Scrape, Scraper
from exporter.history import Past
from exporter.model import Cluster, ClusterState, Job, Part
from exporter.signals.base import Signal
from exporter.symptoms.base import Above, Measure, Symptom
from exporter.watch import Report, Watch
from tests.signals.build import cluster, down, job, named

SEEN = Family(name="flink_health_job_seen", help="A probe.", formula="1")
WHOLE = replace(cluster(job(id="a")), version="2.3.0")
UP = Scrape(WHOLE)
REFUSED = Scrape(down(), (Unreachable("http://prod:8081/overview: connection refused"),))


def signal(**different: Any) -> Signal:
    """A signal that says of each job that it is there."""

    def derive(_job: Job, _past: Past, _now: float) -> Iterator[Sample]:
        yield SEEN.sample(1)

    return Signal(**{"name": "seen", "each": (Job,), "families": (SEEN,), "needs": (), "derive": derive, **different})


@dataclass
class Flink:
    """A cluster that gives these looks in turn, the last of them for ever. takes: seconds that each look takes."""

    looks: list[Scrape | Exception] = field(default_factory=lambda: [UP])
    takes: float = 0.0
    asked: list[Collection[tuple[str, Part]]] = field(default_factory=list)
    began: list[float] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    async def scrape(self, on_demand: Collection[tuple[str, Part]] = ()) -> Scrape:
        self.asked.append(on_demand)
        self.began.append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.under_way -= 1
        look = self.looks[min(len(self.asked), len(self.looks)) - 1]
        if isinstance(look, Exception):
            raise look
        return look


class Ear:
    """Hears the reports, and fails at those whose numbers it is given."""

    def __init__(self, *fails_at: int) -> None:
        self.heard: list[Report] = []
        self._fails_at = fails_at

    async def __call__(self, report: Report) -> None:
        self.heard.append(report)
        if len(self.heard) in self._fails_at:
            raise ConnectionResetError("nobody listens")


def watch(
    flink: Flink,
    tell: Callable[[Report], Awaitable[None]],
    *signals: Signal,
    symptoms: Sequence[Symptom] = (),
    interval: float = 0.01,
    patience: float = 5.0,
    clock: Callable[[], float] = lambda: 1000.0,
) -> Watch:
    return Watch(
        "prod",
        cast("Scraper", flink),
        signals or (signal(),),
        symptoms,
        interval=interval,
        patience=patience,
        tell=tell,
        clock=clock,
    )


@asynccontextmanager
async def running(watch: Watch) -> Any:
    task = asyncio.create_task(watch.run())
    try:
        yield task
        assert not task.done(), "the watch has ended by itself"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not met():
            await asyncio.sleep(0.002)


async def test_a_cycle_reads_derives_and_tells() -> None:
    ear = Ear()
    report = await watch(Flink(), ear).cycle()
    assert ear.heard == [report]
    assert report.cluster is WHOLE
    assert named(report.derived.rows) == {"job_seen": 1}
    assert report.seconds >= 0


async def test_what_is_derived_is_judged_and_the_verdict_comes_first() -> None:
    """The most series that may be published are the first: what is cut off must not be the verdict."""
    ill = Symptom(
        name="seen",
        entity="job",
        measure=Measure(SEEN),
        warning=Above(0),
        summary="It is seen",
        clause="it is seen",
        action="Look away.",
        deduction=0.1,
    )
    report = await watch(Flink(), Ear(), symptoms=[ill]).cycle()
    assert list(named(report.rows))[:2] == ["job_symptom{seen,warning}", "job_score_ratio"]
    assert list(named(report.rows))[-1] == "job_seen"


async def test_a_judgement_that_raises_costs_nothing_but_itself() -> None:
    report = await watch(Flink(), Ear(), symptoms=[cast("Symptom", None)]).cycle()
    assert named(report.rows) == {"job_seen": 1}
    assert list(report.failures) == ["symptoms"]


async def test_the_clock_of_a_cycle_is_the_exporters() -> None:
    nows = []

    def derive(_job: Job, _past: Past, now: float) -> Iterator[Sample]:
        nows.append(now)
        return iter(())

    await watch(Flink(), Ear(), signal(derive=derive), clock=lambda: 77.0).cycle()
    assert nows == [77.0]


async def test_it_begins_one_interval_after_it_began() -> None:
    """Reading counts into the interval, else the cycles would drift."""
    flink = Flink(takes=0.5)
    async with running(watch(flink, Ear(), interval=0.6)):
        await until(lambda: len(flink.began) == 4)
    apart = [after - before for before, after in pairwise(flink.began)]
    assert max(apart) > 0.55
    assert min(apart) < 1  # 0.6, and not 0.6 + 0.5; a busy machine makes some of them longer, but not all


async def test_a_cycle_that_takes_longer_than_the_interval_is_followed_at_once_and_never_overlapped() -> None:
    flink, ear = Flink(takes=0.6), Ear()
    async with running(watch(flink, ear, interval=0.5)):
        await until(lambda: len(ear.heard) == 4)
    assert flink.most_under_way == 1
    apart = [after - before for before, after in pairwise(flink.began)]
    assert min(apart) < 1  # 0.6, and not 0.6 + 0.5


async def test_who_is_slow_to_listen_is_waited_for() -> None:
    flink = Flink()
    under_way = most = 0

    async def tell(_report: Report) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1

    async with running(watch(flink, tell, interval=0.001)):
        await until(lambda: len(flink.asked) == 4)
    assert most == 1


async def test_a_cluster_that_takes_too_long_has_timed_out() -> None:
    flink = Flink(takes=10)
    report = await watch(flink, Ear(), patience=0.01, clock=lambda: 77.0).cycle()
    assert report.cluster == Cluster(name="prod", state=ClusterState.TIMEOUT, taken_at=77.0)
    assert [str(error) for error in report.scrape.errors] == ["reading took longer than 0.01 s"]
    assert flink.under_way == 0  # it was not left running


async def test_the_past_outlives_a_time_out() -> None:
    flink, ear = Flink(), Ear()
    watched = watch(flink, ear, patience=0.05)
    await watched.cycle()
    flink.takes = 10
    await watched.cycle()
    flink.takes = 0
    assert (await watched.cycle()).cluster.state is ClusterState.UP


async def test_what_is_wanted_is_read_in_the_next_cycle_only() -> None:
    wanted = iter([True, False, False])
    flink = Flink()
    watched = watch(flink, Ear(), signal(on_demand={Part.CHECKPOINT_PHASES: lambda *_: next(wanted)}))
    for _ in range(3):
        await watched.cycle()
    assert [set(asked) for asked in flink.asked] == [set(), {("a", Part.CHECKPOINT_PHASES)}, set()]


# Failures


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= level]


async def test_who_fails_to_listen_does_not_end_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    ear = Ear(1, 2)
    async with running(watch(Flink(), ear)):
        await until(lambda: len(ear.heard) == 4)
    assert lines(caplog) == ["the cycle failed"] * 2
    assert {record.__dict__["cluster"] for record in caplog.records} == {"prod"}
    assert caplog.records[-1].exc_info is not None


async def test_a_fault_of_our_own_does_not_end_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    flink, ear = Flink([RuntimeError("a bug"), UP]), Ear()
    async with running(watch(flink, ear)):
        await until(lambda: len(ear.heard) == 2)
    assert lines(caplog) == ["the cycle failed"]


async def test_a_trouble_is_logged_when_it_begins_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    flink = Flink([REFUSED, REFUSED, REFUSED, UP, UP, REFUSED])
    watched = watch(flink, Ear())
    said = []
    for _ in range(6):
        caplog.clear()
        await watched.cycle()
        said.append(lines(caplog))
    refused = "http://prod:8081/overview: connection refused"
    assert said == [[refused], [], [], [], [], [refused]]


async def test_a_time_out_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    watched = watch(Flink(takes=10), Ear(), patience=0.001)
    for _ in range(3):
        await watched.cycle()
    assert lines(caplog) == ["reading took longer than 0.001 s"]


async def test_a_signal_that_fails_is_logged_once_with_its_error(caplog: pytest.LogCaptureFixture) -> None:
    error = ZeroDivisionError("too much")

    def derive(_job: Job, _past: Past, _now: float) -> Iterator[Sample]:
        raise error

    ear = Ear()
    watched = watch(Flink(), ear, signal(name="broken", derive=derive), signal())
    for _ in range(3):
        await watched.cycle()
    assert lines(caplog) == ["signal broken failed"]
    assert caplog.records[-1].exc_info is not None
    assert caplog.records[-1].exc_info[1] is error
    assert named(ear.heard[-1].derived.rows) == {"job_seen": 1}


async def test_bad_lines_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    watched = watch(Flink([replace(UP, bad_lines=3), replace(UP, bad_lines=5)]), Ear())
    for _ in range(3):
        await watched.cycle()
    assert lines(caplog) == ["the reporters wrote lines that are no metrics; they are left out"]


async def test_a_thousand_troubles_are_ten_lines(caplog: pytest.LogCaptureFixture) -> None:
    errors = tuple(Invalid(f"http://prod:8081/jobs/{number}: nonsense") for number in range(1000))
    await watch(Flink([replace(UP, errors=errors)]), Ear()).cycle()
    assert lines(caplog) == [str(error) for error in errors[:10]]


async def test_a_trouble_may_hold_a_percent_sign(caplog: pytest.LogCaptureFixture) -> None:
    error = Invalid("http://prod:8081/jobs/a%20b/%s: nonsense")
    await watch(Flink([replace(UP, errors=(error,))]), Ear()).cycle()
    assert lines(caplog) == [str(error)]


async def test_a_cluster_that_answers_again_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    watched = watch(Flink([UP, UP, REFUSED, UP]), Ear())
    for _ in range(4):
        await watched.cycle()
    reading = "reading Flink 2.3.0: 1 jobs, 0 TaskManagers"
    assert lines(caplog, logging.INFO) == [reading, str(REFUSED.errors[0]), reading]
