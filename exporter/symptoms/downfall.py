"""What brought a job down last? For people to read: no metric has the name of an exception."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.model import Job
from exporter.signals import failures
from exporter.signals._scenarios import OTHER


@dataclass(frozen=True, slots=True, kw_only=True)
class Downfall:
    """The last root failure of a job.

    at: when, by the JobManager's clock. scenario: as in flink_health_job_failures_total. exception: the class at the
    end of the chain of causes; its message is left out, for it may be a record. task: None where no single task failed.
    """

    at: float
    scenario: str
    exception: str
    task: str | None

    @property
    def words(self) -> str | None:
        """What it was, in words; None where the scenario says nothing."""
        return None if self.scenario == OTHER else self.scenario.replace("_", " ")


def last(job: Job) -> Downfall | None:
    """The last one that Flink remembers of a job."""
    if job.failures is None or not job.failures.entries:
        return None
    newest = job.failures.entries[-1]
    return Downfall(
        at=newest.at,
        scenario=failures.scenario(newest),
        exception=failures.root_cause(newest),
        task=newest.task,
    )
