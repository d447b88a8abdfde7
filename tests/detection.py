"""How long does it take from the start of a fault to its finding? The demo's ill jobs, judged at the usual patience.

`python -m tests.detection` runs a real cluster with the demo's jobs and writes docs/detection.md; it takes 75 minutes,
of which the state that grows needs 60. `--minutes` makes it shorter, and the last findings stay away.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exporter.demo import jobs
from exporter.demo.cluster import FlinkCluster
from exporter.demo.command import slots_of_each
from exporter.demo.distribution import PINNED, find
from exporter.demo.submit import SqlGateway
from tests.e2e.running import Exporter, Published, exporter

_FILE = Path(__file__).parent.parent / "docs" / "detection.md"
_TASKMANAGERS = 2

# What is wrong with each job, by the name of the symptom that must be found, and what may be told beside it: what
# follows from it, or is on the way to it.
MUST: Mapping[str, set[str]] = {
    jobs.PAYMENTS.name: set(),
    jobs.ORDERS.name: {"skew"},
    jobs.CLICKS.name: {"watermark_stalled"},
    jobs.INVOICES.name: {"restart_loop", "serialization_errors"},
    jobs.ENRICH.name: {"bottleneck", "task_saturated"},
    jobs.SESSIONS.name: {"state_growing"},
}
MAY: Mapping[str, set[str]] = {
    jobs.INVOICES.name: {"restarts_frequent"},
    # Windows that never close keep all they have.
    jobs.CLICKS.name: {"state_growing"},
}
# Seconds after its submission at which a job falls ill, where that is not at once.
_LATER = {jobs.CLICKS.name: jobs.STALL_AFTER}


@dataclass
class Log:
    """What was found, and when: seconds from the start of a job's fault, by (job, symptom, severity)."""

    began: Mapping[str, float]
    first: dict[tuple[str, str, str], float] = field(default_factory=dict)
    blamed_wrongly: set[tuple[str, str]] = field(default_factory=set)
    lowest_of_the_healthy: float = 1.0

    def look(self, page: Published, now: float) -> None:
        """Takes down what a page says."""
        for sample in page.samples:
            labels = sample.labels
            if sample.name == "flink_health_job_symptom":
                name, symptom = labels["job_name"], labels["symptom"]
                self.first.setdefault((name, symptom, labels["severity"]), now - self.began[name])
                if symptom not in MUST[name] | MAY.get(name, set()):
                    self.blamed_wrongly.add((name, symptom))
            elif sample.name in ("flink_health_cluster_symptom", "flink_health_taskmanager_symptom"):
                self.blamed_wrongly.add((labels.get("tm_id", labels["cluster"]), labels["symptom"]))
            elif sample.name == "flink_health_job_score_ratio" and labels["job_name"] == jobs.PAYMENTS.name:
                self.lowest_of_the_healthy = min(self.lowest_of_the_healthy, sample.value)

    @property
    def missing(self) -> set[tuple[str, str]]:
        """The jobs' symptoms that were not found yet."""
        found = {(name, symptom) for name, symptom, _ in self.first}
        return {(name, symptom) for name, symptoms in MUST.items() for symptom in symptoms} - found


def watch(running: Exporter, log: Log, seconds: float) -> Iterator[None]:
    """Looks again and again for so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        log.look(running.page(), time.time())
        yield
        time.sleep(5)


def submitted(gateway: SqlGateway) -> dict[str, float]:
    """Submits the demo's jobs; gives when each of them falls ill."""
    began = {}
    for job in jobs.CATALOGUE:
        now = time.time()
        gateway.submit(job.name, job.statements(now), job.options())
        began[job.name] = now + _LATER.get(job.name, 0.0)
    return began


def table(log: Log, minutes: float) -> str:
    """docs/detection.md."""
    rows = [
        f"| `{name}` | {symptom} | {severity} | {seconds / 60:.1f} min |"
        for (name, symptom, severity), seconds in sorted(log.first.items(), key=lambda item: (item[0][0], item[1]))
    ]
    missing = ", ".join(f"{symptom} of `{name}`" for name, symptom in sorted(log.missing)) or "none"
    wrong = ", ".join(f"{symptom} of `{name}`" for name, symptom in sorted(log.blamed_wrongly)) or "none"
    lines = [
        "# Time to detection\n",
        f"Written by `python -m tests.detection`: the demo's jobs on a real Flink {PINNED}, read every 15 s for",
        f"{minutes:.0f} minutes and judged with the default settings. The time is that from the start of the fault",
        "(its submission; of the watermark, its stop) to the first page that says so.\n",
        "| job | symptom | severity | found after |\n| --- | --- | --- | --- |",
        *rows,
        "",
        f"Not found in that time: {missing}. Blamed though not ill: {wrong}. Lowest score of the healthy job: "
        f"{log.lowest_of_the_healthy:g}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=75.0)
    minutes = parser.parse_args().minutes
    slots = slots_of_each(_TASKMANAGERS, jobs.CATALOGUE)
    with (
        tempfile.TemporaryDirectory() as folder,
        FlinkCluster(find(PINNED), taskmanagers=_TASKMANAGERS, slots=slots) as flink,
    ):
        settings = f"clusters: [{{name: demo, url: '{flink.rest_url}'}}]"
        with exporter(Path(folder), settings) as running:
            with SqlGateway(flink) as gateway:
                log = Log(submitted(gateway))
            for _ in watch(running, log, minutes * 60):
                _FILE.write_text(table(log, minutes))
    print(_FILE.read_text())


if __name__ == "__main__":
    main()
