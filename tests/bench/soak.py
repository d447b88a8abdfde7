"""Does the exporter's memory stay flat while jobs come and go for hours?

Run: python -m tests.bench.soak [--minutes 60] [--jobs 50] [--interval 5s]

Serves a Flink of many jobs, each a copy of one that was recorded, with counters and checkpoints that move. Every
minute a tenth of the jobs is cancelled and replaced by new ones with new ids. The exporter reads it twice, through the
reporter and by REST alone. Prints its resident memory, series and cycles every minute, and the growth in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import itertools
import json
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from aiohttp import web

from tests.e2e.running import Exporter, exporter
from tests.flink.fake import Look, recording

TEMPLATE = "payments-healthy"
CHECKPOINT_EVERY = 5.0
_MINUTE = 60.0


class Fleet:
    """Copies of one recorded job, by id, with the time at which each began."""

    def __init__(self, jobs: int) -> None:
        self._look: Look = recording("2.3")[-1]
        self._template = self._look.job(TEMPLATE)
        self._ids = (f"{number:032x}" for number in itertools.count(1))
        self._began: dict[str, float] = {}
        self._ended: list[str] = []
        self.port = 0
        self.replace(jobs)

    def replace(self, count: int) -> None:
        """Cancels the oldest jobs and begins as many new ones. The last cancelled ones are still listed."""
        oldest = list(self._began)[: min(count, len(self._began))]
        for job in oldest:
            del self._began[job]
        self._ended = oldest
        for _ in range(count):
            self._began[next(self._ids)] = time.time()

    def reply(self, path: str, query: dict[str, list[str]]) -> Any:
        """What Flink would say; None where it would say 404."""
        match path.split("/")[1:]:
            case ["overview"] | ["taskmanagers"]:
                return self._look.replies[path]
            case ["jobmanager", "config"]:
                return [*self._configuration(), {"key": "metrics.reporter.prom.port", "value": str(self.port)}]
            case ["jobs", "overview"]:
                return {"jobs": [self._line(job) for job in self._began] + [self._line(job) for job in self._ended]}
            case ["jobs", job, *_]:
                return self._of_job(job, path, query) if job in self._began else None
            case [*_, "metrics"]:
                return self._metrics(self._look.metrics.get(path, {}), query, 0.0)
        return None

    def _configuration(self) -> list[dict[str, str]]:
        return [entry for entry in self._look.replies["/jobmanager/config"] if not entry["key"].endswith(".port")]

    def _line(self, job: str) -> dict[str, Any]:
        began = self._began.get(job, 0.0)
        state = "RUNNING" if job in self._began else "CANCELED"
        return {"jid": job, "name": f"job-{job[-4:]}", "state": state, "start-time": int(began * 1000)}

    def _of_job(self, job: str, path: str, query: dict[str, list[str]]) -> Any:
        recorded = path.replace(job, self._template)
        age = time.time() - self._began[job]
        if recorded.endswith("/metrics"):
            names = self._look.replies.get(recorded)
            return names if names is not None else self._metrics(self._look.metrics.get(recorded, {}), query, age)
        reply: Any = copy.deepcopy(self._look.replies.get(recorded))
        if reply is None:
            return None
        if recorded.endswith(self._template):
            reply["now"] = int(time.time() * 1000)
            reply["start-time"] = reply["timestamps"]["RUNNING"] = int(self._began[job] * 1000)
        elif recorded.endswith("/checkpoints"):
            _advance(reply, self._began[job], age)
        elif recorded.endswith("/backpressure"):
            reply["end-timestamp"] = int(time.time() * 1000)
        return reply

    def _metrics(self, values: Mapping[str, str], query: dict[str, list[str]], age: float) -> list[dict[str, str]]:
        asked = query.get("get", [""])[0].split(",") if "get" in query else list(values)
        return [
            {"id": name, "value": _moved(name, values[name], age)} if "get" in query else {"id": name}
            for name in map(unquote, asked)
            if name in values
        ]

    def page(self) -> bytes:
        """A TaskManager's page: its own families as recorded, those of the template's tasks once for each job."""
        page = next(iter(self._look.pages.values())).decode()
        lines = []
        for line in page.splitlines():
            if self._template not in line:
                lines += [line] if "job_id=" not in line else []
                continue
            series, value = line.rsplit(" ", 1)
            lines += [
                f"{series.replace(self._template, job)} {_moved(series, value, time.time() - began)}"
                for job, began in self._began.items()
            ]
        return ("\n".join(lines) + "\n").encode()


def _moved(name: str, value: str, age: float) -> str:
    return str(float(value) + 100 * age) if re.search(r"numRecords(In|Out)(\{|$)|accumulate", name) else value


def _advance(reply: dict[str, Any], began: float, age: float) -> None:
    done = int(age / CHECKPOINT_EVERY)
    for number, entry in enumerate(reply["history"]):
        entry["id"] = done - number
        entry["trigger_timestamp"] = int((began + (done - number) * CHECKPOINT_EVERY) * 1000)
    reply["history"] = [entry for entry in reply["history"] if entry["id"] > 0]
    reply["counts"]["completed"] = done


async def _serve(fleet: Fleet) -> web.AppRunner:
    async def answer(request: web.Request) -> web.Response:
        reply = fleet.reply(request.path, parse_qs(request.query_string))
        return web.Response(
            text=json.dumps(reply), content_type="application/json", status=404 if reply is None else 200
        )

    async def page(_request: web.Request) -> web.Response:
        return web.Response(body=fleet.page(), content_type="text/plain")

    app = web.Application()
    app.router.add_get("/metrics", page)
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fleet.port = runner.addresses[0][1]
    return runner


def _figures(running: Exporter) -> tuple[float, float, float]:
    page = running.page()
    series = sum(page.all("flink_exporter_series"))
    cycles = sum(page.all("flink_exporter_cycle_duration_seconds_count"))
    return page.one("process_resident_memory_bytes") / 1e6, series, cycles


def _watch(fleet: Fleet, settings: str, minutes: int, leaving: int) -> list[float]:
    """Resident megabytes, minute by minute."""
    memory: list[float] = []
    with tempfile.TemporaryDirectory() as folder, exporter(Path(folder), settings) as running:
        for minute in range(1, minutes + 1):
            time.sleep(_MINUTE)
            resident, series, cycles = _figures(running)
            memory.append(resident)
            print(f"minute {minute}: {resident:.1f} MB, {series:.0f} series, {cycles:.0f} cycles", flush=True)
            fleet.replace(leaving)
    return memory


async def main(minutes: int, jobs: int, interval: str) -> None:
    fleet = Fleet(jobs)
    runner = await _serve(fleet)
    settings = f"""
        interval: {interval}
        clusters:
          - {{name: reporter, url: "http://127.0.0.1:{fleet.port}"}}
          - {{name: rest, url: "http://127.0.0.1:{fleet.port}", reporter: {{mode: off}}}}
    """
    try:
        memory = await asyncio.to_thread(_watch, fleet, settings, minutes, jobs // 10)
    finally:
        await runner.cleanup()
    early, late = memory[len(memory) // 4 : len(memory) // 2], memory[-len(memory) // 4 :]
    if early and late:
        print(f"second quarter {sum(early) / len(early):.1f} MB, last quarter {sum(late) / len(late):.1f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--interval", default="5s")
    options = parser.parse_args()
    asyncio.run(main(options.minutes, options.jobs, options.interval))
