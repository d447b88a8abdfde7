"""One cluster, judged: look after look, what is wrong with it; all that must be remembered for that is held here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exporter.families import Row
from exporter.history import History
from exporter.model import Cluster
from exporter.symptoms import trends, verdict
from exporter.symptoms.base import Symptom
from exporter.symptoms.judge import Finding, Memory, judge
from exporter.symptoms.trends import TrendLine


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong at one look.

    rows: what is published of it. trends: by job id. failure: why there is no judgement.
    """

    findings: tuple[Finding, ...] = ()
    rows: tuple[Row, ...] = ()
    trends: Mapping[str, Sequence[TrendLine]] = field(default_factory=dict)
    failure: Exception | None = None


class Judge:
    """Judges one cluster. Not shared between clusters, nor used by two cycles at once.

    symptoms: what it judges by. Others may take their place at any time: what is pending or holds stays so.
    """

    def __init__(self, symptoms: Sequence[Symptom]) -> None:
        self.symptoms = symptoms
        self._memory: Memory = {}
        self._history = History()

    def judge(self, cluster: Cluster, rows: Sequence[Row], now: float) -> Judgement:
        """What is wrong now. Never raises: a judgement that fails is its own loss."""
        try:
            findings, self._memory = judge(rows, self.symptoms, self._memory, now)
            told = (*verdict.rows(findings), *verdict.scores(cluster, findings, rows))
            trends.remember(cluster, (*rows, *told), self._history, now)
            return Judgement(findings, told, trends.lines(self._history))
        except Exception as error:  # whatever is wrong with it, the rows that it judged are published
            return Judgement(failure=error)
