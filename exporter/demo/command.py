"""What does `demo` do? A real Flink with its ill jobs, for as long as somebody looks at it."""

from __future__ import annotations

import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from exporter.demo.cluster import FlinkCluster
from exporter.demo.distribution import PINNED, find
from exporter.demo.errors import DemoError
from exporter.demo.interrupts import sigterm_is_one
from exporter.demo.jobs import CATALOGUE, Job
from exporter.demo.progress import ProgressLine
from exporter.demo.submit import SqlGateway

_SLOTS = 8  # of a TaskManager, unless few of them must hold all jobs
_MEMORY = 700  # MiB: the JobManager, and for a while the gateway
_MEMORY_OF_TASKMANAGER = 550


def run(
    version: str = PINNED,
    cache: Path | None = None,
    serve: Callable[[str], None] | None = None,
    *,
    taskmanagers: int = 2,
    jobs: tuple[Job, ...] = CATALOGUE,
) -> None:
    """Start Flink `version` with `jobs`, call `serve(rest_url)`, and stop everything when that returns.

    Without `serve` it waits. Ctrl-C or SIGTERM at any moment ends it in order, and it then returns.

    Raises:
        DemoError: one line on what is missing or went wrong; nothing is left running.
    """
    progress = ProgressLine(sys.stderr)
    try:
        with sigterm_is_one():
            _run(version, cache, serve, taskmanagers, jobs, progress)
    except KeyboardInterrupt:
        pass  # asked for, and everything has been stopped on the way here
    finally:
        progress.clear()


def _run(
    version: str,
    cache: Path | None,
    serve: Callable[[str], None] | None,
    taskmanagers: int,
    jobs: tuple[Job, ...],
    progress: ProgressLine,
) -> None:
    if taskmanagers < 1:
        raise DemoError("the demo needs at least one TaskManager")
    distribution = find(version, cache, progress)
    check_memory(taskmanagers, Path("/proc/meminfo"))
    progress(f"starting Flink {version} on Java {distribution.java.major}")
    slots = slots_of_each(taskmanagers, jobs)
    with FlinkCluster(distribution, taskmanagers=taskmanagers, slots=slots, prefer_usual_ports=True) as cluster:
        try:
            _submit(cluster, jobs, progress)
            progress.clear()
            print(describe(version, cluster.rest_url, cluster.reporter_urls.values(), jobs), flush=True)
            (serve or _wait)(cluster.rest_url)
        finally:
            progress("stopping Flink")


def _submit(cluster: FlinkCluster, jobs: tuple[Job, ...], progress: ProgressLine) -> None:
    progress("starting the SQL gateway")
    with SqlGateway(cluster) as gateway:
        for number, job in enumerate(jobs):
            progress(f"submitting {job.name}", number / len(jobs))
            gateway.submit(job.name, job.statements(time.time()), job.options())


def describe(version: str, rest_url: str, reporter_urls: Iterable[str], jobs: tuple[Job, ...]) -> str:
    """Where to look, and what is wrong with each job."""
    width = min(shutil.get_terminal_size().columns, 110)
    indent = max(len(job.name) for job in jobs) + 4
    rows = [
        textwrap.fill(f"  {job.name:{indent - 2}}{job.wrong}", width, subsequent_indent=" " * indent) for job in jobs
    ]
    return "\n".join(
        [
            f"{f'Flink {version}':17}{rest_url}",
            f"native reporters {' '.join(reporter_urls)}",
            "",
            *rows,
            "",
        ]
    )


def slots_of_each(taskmanagers: int, jobs: tuple[Job, ...]) -> int:
    """Enough slots for all jobs, however few the TaskManagers; where there are several, with one of them gone too."""
    needed = sum(job.parallelism for job in jobs)
    return max(_SLOTS, -(-needed // max(1, taskmanagers - 1)))


def check_memory(taskmanagers: int, meminfo: Path) -> None:
    """Raise if the machine has too little left; where it does not say (macOS), let the JVMs find out."""
    if not meminfo.exists():
        return
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    available = int(fields.get("MemAvailable", "0 kB").split()[0]) // 1024
    needed = _MEMORY + taskmanagers * _MEMORY_OF_TASKMANAGER
    if 0 < available < needed:
        raise DemoError(f"the demo takes about {needed} MiB of memory, and {available} MiB are available")


def _wait(rest_url: str) -> None:
    print(f"{rest_url} is yours; Ctrl-C ends it all.", flush=True)
    threading.Event().wait()
