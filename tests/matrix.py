"""Which metric is there on which version of Flink?

Run: python -m tests.matrix [VERSION …]     (all of VERSIONS without one; about four minutes a version)

Boots a real cluster of each version with the demo's jobs, lets the exporter read it through the reporter and by REST
alone, and writes down what was published: `docs/versions.json` is what was seen, `docs/versions.md` the table of it.
A metric that a version lacks must have its reason here; so must one that the demo's jobs cannot show.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter.demo import distribution, jobs
from exporter.demo.cluster import FlinkCluster
from exporter.demo.submit import SqlGateway
from exporter.signals import SIGNALS
from tests.e2e.running import Exporter, exporter

VERSIONS = ("1.15.4", "1.17.2", "1.18.1", "1.20.4", "2.0.2", "2.2.1", "2.3.0")
OLDEST, NEWEST = VERSIONS[0], VERSIONS[-1]
MODES = ("reporter", "rest")

DOCS = Path(__file__).parents[1] / "docs"
SEEN, TABLE = DOCS / "versions.json", DOCS / "versions.md"

# Long enough for what is only said after ten looks of which one counts every 15 s.
_WATCHED = 190.0
_INTERVAL = "4s"

# What no job of the demo can show, and the test in which a real cluster does.
ELSEWHERE = {
    **dict.fromkeys(
        (
            "flink_health_source_lag_records",
            "flink_health_source_lag_growth_records_per_second",
            "flink_health_source_lag_seconds",
            "flink_health_source_catch_up_seconds",
            "flink_health_source_lag_status",
            "flink_health_source_uncommitted_records",
            "flink_health_source_emit_lag_seconds",
            "flink_health_source_idle_seconds",
            "flink_health_source_errors_per_second",
        ),
        "needs Kafka: tests/e2e/test_kafka.py",
    ),
    "flink_health_source_fetch_lag_seconds": "no connector that was tried tells it, Kafka's included",
    "flink_health_job_checkpoint_slowest_phase": "read only while a checkpoint takes long",
    "flink_health_job_restart_budget_remaining": "the demo's jobs restart without end: tests/e2e/test_restarts.py",
    "flink_health_task_latency_p99_seconds": "needs latency tracking, which is off by default: tests/e2e/test_truth.py",
}

# What a version cannot have: metric, the first version that has it, and why.
_COUNTED_TIME = (
    (1, 16),
    "Flink counts busy, backpressured and idle time from 1.16 on; before, it has averages of a moment",
)
SINCE = {
    **dict.fromkeys(
        (
            "flink_health_task_busy_max_ratio",
            "flink_health_task_busy_mean_ratio",
            "flink_health_task_backpressured_max_ratio",
            "flink_health_task_backpressured_mean_ratio",
            "flink_health_task_idle_mean_ratio",
            "flink_health_task_headroom_ratio",
            "flink_health_task_bottleneck",
            "flink_health_task_capacity_records_per_second",
        ),
        _COUNTED_TIME,
    ),
    "flink_health_taskmanager_fds_used_ratio": ((2, 2), "Flink 2.0.2 does not count file descriptors yet, 2.2.1 does"),
}


@contextmanager
def watched(version: str) -> Iterator[tuple[FlinkCluster, Exporter]]:
    """A real cluster of a version with the demo's jobs, and an exporter that reads it in both modes."""
    with tempfile.TemporaryDirectory() as folder, FlinkCluster(distribution.find(version), taskmanagers=2) as flink:
        with SqlGateway(flink) as gateway:
            for job in jobs.CATALOGUE:
                gateway.submit(job.name, job.statements(time.time()), job.options())
        settings = f"""
            interval: {_INTERVAL}
            clusters:
              - {{name: reporter, url: "{flink.rest_url}"}}
              - {{name: rest, url: "{flink.rest_url}", reporter: {{mode: off}}}}
        """
        with exporter(Path(folder), settings) as running:
            yield flink, running


def published(running: Exporter, seconds: float = _WATCHED) -> dict[str, list[str]]:
    """The modes in which each health metric was seen, at any time while it was watched."""
    found: dict[str, set[str]] = {}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(2)
        for sample in running.page().samples:
            if sample.name.startswith("flink_health_"):
                found.setdefault(sample.name, set()).add(sample.labels["cluster"])
    return {name: sorted(modes) for name, modes in sorted(found.items())}


def all_names() -> list[str]:
    """Every health metric, in the order of its documentation."""
    return [family.name for signal in SIGNALS for family in signal.families]


def reason(name: str, version: str) -> str | None:
    """Why a metric may be missing on a version; None where it must be there."""
    first, why = SINCE.get(name, ((0, 0), ""))
    if distribution.release(version) < first:
        return why
    return ELSEWHERE.get(name)


def missing(seen: dict[str, list[str]], version: str) -> list[str]:
    """What should have been published in both modes and was not."""
    return [
        f"{name} ({', '.join(set(MODES) - set(seen.get(name, ())))})"
        for name in all_names()
        if set(seen.get(name, ())) != set(MODES) and reason(name, version) is None
    ]


def table(seen: dict[str, dict[str, list[str]]]) -> str:
    """`docs/versions.md`."""
    versions = [version for version in VERSIONS if version in seen]
    whys: list[str] = []

    def cell(name: str, version: str) -> str:
        modes = seen[version].get(name, [])
        if set(modes) == set(MODES):
            return "yes"
        why = reason(name, version)
        if why is None:
            return "**missing**" if not modes else f"**{modes[0]} only**"
        if why not in whys:
            whys.append(why)
        return f"[{whys.index(why) + 1}]"

    rows = [f"| `{name}` | {' | '.join(cell(name, version) for version in versions)} |" for name in all_names()]
    return "\n".join(
        [
            "# Metrics by Flink version\n",
            "Generated by `python -m tests.matrix` from real clusters with the demo's jobs, each read through the",
            "native reporter and by REST alone: `yes` is both. A number is the reason why it was not there.\n",
            f"| metric | {' | '.join(versions)} |",
            f"| --- |{' --- |' * len(versions)}",
            *rows,
            "",
            *(f"{number}. {why}" for number, why in enumerate(whys, 1)),
            "",
        ]
    )


def main(versions: list[str]) -> int:
    seen: dict[str, dict[str, list[str]]] = json.loads(SEEN.read_text()) if SEEN.exists() else {}
    failed = False
    for version in versions or VERSIONS:
        print(f"{version}: booting", flush=True)
        with watched(version) as (_, running):
            seen[version] = published(running)
        for problem in missing(seen[version], version):
            failed = True
            print(f"{version}: missing {problem}", flush=True)
        SEEN.write_text(json.dumps({key: seen[key] for key in VERSIONS if key in seen}, indent=1) + "\n")
        TABLE.write_text(table(seen))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
