"""Does the README's first command end with the derived health of a real Flink, its ill jobs found, and nothing left?"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.browser import DESKTOP, PHONE, chromium, page_is_sound
from tests.demo.processes import gone
from tests.detection import MUST, Log
from tests.e2e.running import Published, eventually, free_port

pytestmark = pytest.mark.flink

STATE = "flink_health_job_state"


def children(pid: int) -> list[int]:
    """The processes that a process started, and those that they did."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in map(str.split, listed.splitlines())}
    found = [child for child, parent in parents.items() if parent == pid]
    return found + [grandchild for child in found for grandchild in children(child)]


class Demo(NamedTuple):
    """A demo that runs. began: when each job fell ill."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    judged: Log

    def page(self) -> Published:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as response:
            return Published(response.read().decode())

    def answer(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=5) as response:
            return json.load(response)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    url, log = f"http://127.0.0.1:{free_port()}", tmp_path_factory.mktemp("demo") / "demo.log"
    command = [sys.executable, "-m", "exporter", "demo", "--web.listen-address", url.removeprefix("http://")]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "--symptoms.patience", "0.05"], stdout=output, stderr=output)
    try:
        yield Demo(process, url, log, Log(dict.fromkeys(MUST, time.time())))
    finally:
        process.kill()
        process.wait()


def test_the_demo_serves_the_health_of_its_jobs(demo: Demo) -> None:
    def skews() -> list[float]:
        return demo.page().all("flink_health_task_skew_ratio", job_name="orders-skewed", signal="records")

    assert max(eventually(skews, "a rate", 180)) == pytest.approx(1.9, abs=0.1)
    assert {each.labels["job_name"] for each in demo.page().samples if each.name == STATE} == MUST.keys()


def test_each_ill_job_is_found_to_be_ill_in_its_own_way_and_nobody_else_is_blamed(demo: Demo) -> None:
    def all_are_found() -> bool:
        demo.judged.look(demo.page(), time.time())
        return not demo.judged.missing

    eventually(all_are_found, "all that is wrong to be found", 540)
    found = {key: round(seconds) for key, seconds in demo.judged.first.items()}
    print(f"found, in seconds from the start of the demo: {found}")
    assert demo.judged.blamed_wrongly == set()
    assert demo.judged.lowest_of_the_healthy == 1


def test_the_score_is_what_the_deductions_leave(demo: Demo) -> None:
    page = demo.page()
    for name in MUST:
        taken = page.all("flink_health_job_score_deduction_ratio", job_name=name)
        assert page.one("flink_health_job_score_ratio", job_name=name) == pytest.approx(1 - sum(taken))


def told(demo: Demo) -> dict[str, list[str]]:
    """What is told of each job, in sentences."""
    (cluster,) = demo.answer("/api/v1/health")["clusters"]
    paths = {job["name"]: f"/api/v1/clusters/default/jobs/{job['id']}" for job in cluster["jobs"]}
    return {name: demo.answer(path)["health"]["stories"] for name, path in paths.items()}


def test_causes_are_told(demo: Demo) -> None:
    stories = told(demo)
    assert stories["payments-healthy"] == []
    (skewed,) = stories["orders-skewed"]
    assert re.fullmatch(r"Subtask [01] of GroupAggregate\[\d+\] takes 9\d% of the records\.", skewed)
    (why,) = stories["invoices-restarting"]
    assert why == "The job restarts over and over because it meets data that it cannot read or convert."
    assert any("the bottleneck (external wait)" in story for story in stories["enrich-backpressured"])
    assert any("mobile_clicks" in story and "stands still" in story for story in stories["clicks-stalled-watermark"])


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_its_pages_in_a_browser(demo: Demo, size: tuple[int, int]) -> None:
    (cluster,) = demo.answer("/api/v1/health")["clusters"]
    (ill,) = (job for job in cluster["jobs"] if job["name"] == "enrich-backpressured")
    pages = {
        "demo": ("/", ["invoices-restarting", "payments-healthy", "restart loop"]),
        "demo-job": (f"/clusters/default/jobs/{ill['id']}", ["is the bottleneck", "What to do"]),
    }
    with chromium() as browser:
        for name, (path, words) in pages.items():
            async with browser.open(demo.url + path, width=size[0], height=size[1]) as tab:
                await page_is_sound(tab, demo.url)
                text = " ".join((await tab.text()).split())
                assert [word for word in words if word not in text] == []
                if "SCREENSHOTS" in os.environ:
                    await tab.screenshot(Path(os.environ["SCREENSHOTS"]) / f"{name}-{size[0]}.png")


def test_ctrl_c_ends_all_of_it(demo: Demo) -> None:
    started = children(demo.process.pid)
    assert len(started) >= 3  # a JobManager and two TaskManagers
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(30) == 0
    assert all(gone(pid) for pid in started)
    text = demo.log.read_text()
    assert f"{demo.url.replace('127.0.0.1', 'localhost')}/metrics" in text
    assert "orders-skewed" in text
    assert "Traceback" not in text
