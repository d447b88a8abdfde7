"""One cluster, watched: once an interval it is read, judged and told of, and a cycle never overlaps itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.derive import Derived, derive
from exporter.families import Row
from exporter.flink.errors import Timeout
from exporter.flink.scrape import Scrape, Scraper
from exporter.history import History
from exporter.model import Cluster, ClusterState, Part
from exporter.signals.base import Signal
from exporter.symptoms.base import Symptom
from exporter.symptoms.judgement import Judge, Judgement

log = logging.getLogger(__name__)

# By which name a judgement is told of that raised.
JUDGING = "symptoms"

# More lines than this about one cycle tell nothing new.
_MOST_LINES = 10


@dataclass(frozen=True, slots=True)
class Report:
    """What one cycle found. seconds: how long it took."""

    scrape: Scrape
    derived: Derived
    seconds: float
    judgement: Judgement = field(default_factory=Judgement)

    @property
    def cluster(self) -> Cluster:
        """The snapshot."""
        return self.scrape.cluster

    @property
    def rows(self) -> tuple[Row, ...]:
        """All that is published of it; the verdicts first, so that a limit does not cut them off."""
        return self.judgement.rows + self.derived.rows

    @property
    def failures(self) -> Mapping[str, Exception]:
        """What raised, by the name of the signal; `symptoms` is the judgement of them all."""
        judging = self.judgement.failure
        return self.derived.failures if judging is None else {**self.derived.failures, JUDGING: judging}


class Watch:
    """Runs the cycles of one cluster.

    interval: seconds from the start of a cycle to the start of the next. patience: the most that reading may take;
    after that the cluster counts as not answering in time. tell: called with each report.
    """

    def __init__(
        self,
        name: str,
        scraper: Scraper,
        signals: Sequence[Signal],
        symptoms: Sequence[Symptom],
        *,
        interval: float,
        patience: float,
        tell: Callable[[Report], Awaitable[None]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._scraper = scraper
        self._signals = signals
        self._interval = interval
        self._patience = patience
        self._tell = tell
        self._clock = clock
        self._history = History()
        self._judge = Judge(symptoms)
        self._on_demand: frozenset[tuple[str, Part]] = frozenset()
        self._told: frozenset[str] = frozenset()
        self._state: ClusterState | None = None

    def judge_by(self, symptoms: Sequence[Symptom]) -> None:
        """Judges by these from the next cycle on, and forgets nothing."""
        self._judge.symptoms = symptoms

    async def run(self) -> None:
        """Cycles until cancelled. A cycle that takes longer than the interval is followed by the next at once."""
        while True:
            began = time.monotonic()
            try:
                await self.cycle()
            except Exception:
                # A fault of our own. The next cycle may fare better, and the page shows its age meanwhile.
                log.exception("the cycle failed", extra={"cluster": self._name})
            await asyncio.sleep(max(0.0, began + self._interval - time.monotonic()))

    async def cycle(self) -> Report:
        """Reads, derives, tells."""
        began = time.monotonic()
        scrape = await self._look()
        # Off the loop: a big cluster takes its time, and others are read meanwhile.
        derived, judgement = await asyncio.to_thread(self._judged, scrape.cluster, self._clock())
        self._on_demand = derived.on_demand
        report = Report(scrape, derived, time.monotonic() - began, judgement)
        self._log(report)
        await self._tell(report)
        return report

    def _judged(self, cluster: Cluster, now: float) -> tuple[Derived, Judgement]:
        derived = derive(cluster, self._signals, self._history, now)
        return derived, self._judge.judge(cluster, derived.rows, now)

    async def _look(self) -> Scrape:
        try:
            async with asyncio.timeout(self._patience):
                return await self._scraper.scrape(self._on_demand)
        except TimeoutError:
            error = Timeout(f"reading took longer than {self._patience:g} s")
            return Scrape(Cluster(name=self._name, state=error.state, taken_at=self._clock()), (error,))

    def _log(self, report: Report) -> None:
        """Each trouble once, when it begins."""
        where = {"cluster": self._name}
        state = report.cluster.state
        if state is ClusterState.UP and self._state is not ClusterState.UP:
            jobs, tms = len(report.cluster.jobs or ()), len(report.cluster.taskmanagers or ())
            log.info("reading Flink %s: %d jobs, %d TaskManagers", report.cluster.version, jobs, tms, extra=where)
        self._state = state
        troubles: dict[str, Exception | None] = {str(error): None for error in report.scrape.errors}
        troubles |= {f"signal {name} failed": error for name, error in report.failures.items()}
        if report.scrape.bad_lines:
            troubles["the reporters wrote lines that are no metrics; they are left out"] = None
        for text in [text for text in troubles if text not in self._told][:_MOST_LINES]:
            log.warning(text, extra=where, exc_info=troubles[text])
        self._told = frozenset(troubles)
