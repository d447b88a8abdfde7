"""Does the README's first command end with the derived health of a real Flink, and leave nothing behind?"""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.demo.processes import gone
from tests.e2e.running import Published, eventually, free_port

pytestmark = pytest.mark.flink


def children(pid: int) -> list[int]:
    """The processes that a process started, and those that they did."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in map(str.split, listed.splitlines())}
    found = [child for child, parent in parents.items() if parent == pid]
    return found + [grandchild for child in found for grandchild in children(child)]


def test_the_demo_serves_the_health_of_its_jobs_and_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    url, log = f"http://127.0.0.1:{free_port()}", tmp_path / "demo.log"
    command = [sys.executable, "-m", "exporter", "demo", "--web.listen-address", url.removeprefix("http://")]
    with log.open("wb") as output:
        demo = subprocess.Popen(command, stdout=output, stderr=output)
    started: list[int] = []
    try:

        def page() -> Published:
            with urllib.request.urlopen(f"{url}/metrics", timeout=5) as response:
                return Published(response.read().decode())

        def skews() -> list[float]:
            return page().all("flink_health_task_skew_ratio", job_name="orders-skewed", signal="records")

        assert max(eventually(skews, "a rate", 180)) == pytest.approx(1.9, abs=0.1)
        running = {sample.labels["job_name"] for sample in page().samples if sample.name == "flink_health_job_state"}
        assert running == {
            "clicks-stalled-watermark",
            "enrich-backpressured",
            "invoices-restarting",
            "orders-skewed",
            "payments-healthy",
            "sessions-growing-state",
        }
        started = children(demo.pid)
        assert len(started) >= 3  # a JobManager and two TaskManagers
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
    finally:
        demo.kill()
        demo.wait()
    assert all(gone(pid) for pid in started)
    told = log.read_text()
    assert f"{url.replace('127.0.0.1', 'localhost')}/metrics" in told
    assert "orders-skewed" in told
    assert "Traceback" not in told
