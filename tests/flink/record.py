"""What does a real Flink say? Boots a cluster with the demo's jobs, looks at it twice, and writes down every reply.

Run: python -m tests.flink.record 2.3.0

The recordings of that version are replaced as a whole. Nothing of this machine is in them: the cluster runs in a
neutral folder, and a recording that names another place is refused.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from exporter.demo import distribution
from exporter.demo.cluster import FlinkCluster
from exporter.demo.jobs import CATALOGUE
from exporter.demo.jobs import Job as DemoJob
from exporter.demo.submit import SqlGateway

RECORDINGS = Path(__file__).with_name("recordings")
RUN_FOLDER = Path("/tmp/flink")

# The version whose reporter is recorded once without any filter as well.
WHOLE_PAGE_OF = "2.3"

BETWEEN_LOOKS = 15.0

# `invoices-restarting` fails at every half minute: both looks lie between two failures.
_HALF_MINUTE, _LOOK_AT = 30.0, 5.0
_SETTLE = 90.0

# Each job gets slots of both TaskManagers. (The second key since 2.0.)
_SPREAD = {"cluster.evenly-spread-out-slots": "true", "taskmanager.load-balance.mode": "SLOTS"}
_REFRESH = 1.2

FINISHED = DemoJob(
    name="report-finished",
    wrong="Nothing: it is bounded, and ends.",
    shows="its state",
    sql="""
CREATE TABLE rows_of_report (n INT) WITH (
    'connector' = 'datagen', 'rows-per-second' = '500', 'number-of-rows' = '1000'
);
CREATE TABLE report (n INT) WITH ('connector' = 'blackhole');
INSERT INTO report SELECT n FROM rows_of_report;
""",
)
CANCELED = DemoJob(
    name="backfill-canceled",
    wrong="Nothing: somebody canceled it.",
    shows="its state",
    sql="""
CREATE TABLE old_rows (n INT) WITH ('connector' = 'datagen', 'rows-per-second' = '10');
CREATE TABLE new_rows (n INT) WITH ('connector' = 'blackhole');
INSERT INTO new_rows SELECT n FROM old_rows;
""",
)

# What is kept of the metrics of a task and of an operator. REST puts the operator's name before its metrics, the
# reporter another prefix.
_OF_TASKS = (
    r"num(Records|Late)\w+|numBytes(In|Out)|current\w*Watermark|accumulate\w+|(busy|idle|backPressured)TimeMsPerSecond|isBackPressured"
    r"|Shuffle\WNetty\W(In|Out)put\WBuffers\W(in|out)PoolUsage|checkpointStartDelayNanos|initializationTime"
)
_OF_OPERATORS = (
    r"numRecords(In|Out|InErrors|OutErrors|SendErrors)|numLateRecordsDropped|current\w*Watermark|watermark\w+"
    r"|pending(Records|Bytes)|current(Emit|Fetch)EventTimeLag|sourceIdleTime"
)
KEPT_OF_SUBTASKS = re.compile(rf"{_OF_TASKS}|.+\.({_OF_OPERATORS})")
KEPT_FAMILIES = re.compile(
    rf"flink_taskmanager_(Status_\w+|job_task_({_OF_TASKS}|operator_({_OF_OPERATORS})))".replace(r"\W", "_")
)


class Refused(Exception):
    """Flink answered with another status than 200."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _get(url: str) -> bytes:
    with _OPENER.open(url, timeout=30) as reply:
        return bytes(reply.read())


def _json(url: str) -> Any:
    try:
        return json.loads(_get(url))
    except urllib.error.HTTPError as error:
        with error:
            raise Refused(error.code, json.loads(error.read())) from None


class Look:
    """All that Flink said at one moment.

    replies: by path. refused: status and body, by path. metrics: value by id, by path. pages: by reporter.
    """

    def __init__(self, rest: str, reporters: Mapping[str, str]) -> None:
        self._rest = rest
        self._reporters = reporters
        self.taken_at = 0.0
        self.replies: dict[str, Any] = {}
        self.refused: dict[str, Any] = {}
        self.metrics: dict[str, dict[str, str]] = {}
        self.pages: dict[str, bytes] = {}
        self.whole: bytes = b""

    def take(self) -> None:
        self._refresh_the_store()
        self.taken_at = time.time()
        for name, url in self._reporters.items():
            page = _get(url)
            self.whole = self.whole or page
            self.pages[name] = b"".join(block for block in blocks(page) if KEPT_FAMILIES.fullmatch(family(block)))
        self._values_of("/jobmanager")
        for path in ("/overview", "/config", "/jobs", "/jobs/overview", "/taskmanagers", "/jobmanager/config"):
            self._ask(path)
        for tm in self.replies["/taskmanagers"]["taskmanagers"]:
            of = f"/taskmanagers/{quote(tm['id'], safe='')}"
            self._values_of(of)
            self._ask(of)
        for job in self.replies["/jobs/overview"]["jobs"]:
            self._job(job["jid"])

    def _refresh_the_store(self) -> None:
        """Only a request that finds the store older than 10 s has it refreshed; the next ones read what it got."""
        asked = time.time()
        job, vertex = next(self._running())  # which asks for jobs, and that refreshes the store too
        while _json(f"{self._rest}/jobs/{job}/vertices/{vertex}/backpressure").get("end-timestamp", 0) < asked * 1000:
            time.sleep(0.1)
        time.sleep(_REFRESH)  # the TaskManagers' answers are still coming in

    def _running(self) -> Iterator[tuple[str, str]]:
        for job in _json(f"{self._rest}/jobs/overview")["jobs"]:
            for vertex in _json(f"{self._rest}/jobs/{job['jid']}")["vertices"]:
                if vertex["status"] == "RUNNING":
                    yield job["jid"], vertex["id"]

    def _job(self, job: str) -> None:
        self._values_of(f"/jobs/{job}")
        for part in ("", "/config", "/checkpoints", "/checkpoints/config"):
            self._ask(f"/jobs/{job}{part}")
        self._ask(f"/jobs/{job}/exceptions", "?maxExceptions=3")
        for vertex in self.replies[f"/jobs/{job}"]["vertices"]:
            if vertex["status"] == "RUNNING":
                self._vertex(f"/jobs/{job}/vertices/{vertex['id']}")
        history = self.replies.get(f"/jobs/{job}/checkpoints", {}).get("history") or []
        completed = [entry for entry in history if entry and entry["status"] == "COMPLETED"]
        for entry in completed[:1]:
            details = f"/jobs/{job}/checkpoints/details/{entry['id']}"
            self._ask(details)
            tasks = self.replies.get(details, {}).get("tasks") or {}
            for vertex in sorted(tasks, key=lambda vertex: -int(tasks[vertex]["end_to_end_duration"]))[:1]:
                self._ask(f"{details}/subtasks/{vertex}")

    def _vertex(self, of: str) -> None:
        self._values_of(of, KEPT_OF_SUBTASKS)
        self._ask(f"{of}/backpressure")
        self._ask(f"{of}/taskmanagers")
        listed = _json(f"{self._rest}{of}/subtasks/metrics")
        self.replies[f"{of}/subtasks/metrics"] = [each for each in listed if KEPT_OF_SUBTASKS.fullmatch(each["id"])]

    def _ask(self, path: str, query: str = "") -> None:
        try:
            self.replies[path] = _json(f"{self._rest}{path}{query}")
        except Refused as refused:
            self.refused[path] = {"status": refused.status, "body": refused.body}

    def _values_of(self, of: str, kept: re.Pattern[str] = re.compile(".*")) -> None:
        """Every metric there is, or those that are kept."""
        names = [entry["id"] for entry in _json(f"{self._rest}{of}/metrics")]
        # A subtask's metric has the index of the subtask in front.
        names = [name for name in names if kept.fullmatch(re.sub(r"^\d+\.", "", name))]
        values: dict[str, str] = {}
        while names:
            some, names = names[:30], names[30:]  # a request line has a limit
            asked = ",".join(quote(name, safe="") for name in some)
            values |= {entry["id"]: entry["value"] for entry in _json(f"{self._rest}{of}/metrics?get={asked}")}
        self.metrics[f"{of}/metrics"] = dict(sorted(values.items()))


def blocks(page: bytes) -> Iterator[bytes]:
    """A reporter's page family by family: its two comment lines and its series."""
    for block in re.split(rb"(?m)^(?=# HELP )", page):
        if block:
            yield block


def family(block: bytes) -> str:
    """The name in the first line of a block."""
    return block.split(b" ", 3)[2].decode()


def record(version: str) -> None:
    if RUN_FOLDER.exists():
        raise SystemExit(f"{RUN_FOLDER} is there already: does another cluster run in it?")
    flink = distribution.find(version, progress=lambda doing, _share: print(doing))
    minor = ".".join(version.split(".")[:2])
    try:
        with FlinkCluster(flink, run_dir=RUN_FOLDER, config=_SPREAD) as cluster, SqlGateway(cluster) as gateway:
            looks = list(_looks(cluster, gateway))
    finally:
        shutil.rmtree(RUN_FOLDER, ignore_errors=True)
    folder = RECORDINGS / minor
    shutil.rmtree(folder, ignore_errors=True)
    for number, look in enumerate(looks, 1):
        _write(folder / f"look-{number}", look, version)
    if minor == WHOLE_PAGE_OF:
        (folder / "whole-page.txt.gz").write_bytes(gzip.compress(looks[0].whole, mtime=0))
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            _refuse_traces_of_this_machine(path, flink)
    print(f"{folder}: {sum(path.stat().st_size for path in folder.rglob('*') if path.is_file())} bytes")


def _looks(cluster: FlinkCluster, gateway: SqlGateway) -> Iterator[Look]:
    submitted = {}
    for job in (FINISHED, CANCELED, *CATALOGUE):
        print("submitting", job.name)
        submitted[job.name] = gateway.submit(job.name, job.statements(time.time()), job.options())
    url = f"{cluster.rest_url}/jobs/{submitted[CANCELED.name]}?mode=cancel"
    with _OPENER.open(urllib.request.Request(url, method="PATCH"), timeout=30):
        pass
    print(f"{_SETTLE:g} s for checkpoints and rates")
    time.sleep(_SETTLE)
    time.sleep((_LOOK_AT - time.time()) % _HALF_MINUTE)
    reporters = {name: url for name, url in cluster.reporter_urls.items() if name.startswith("taskmanager")}
    for number in (1, 2):
        began = time.time()
        look = Look(cluster.rest_url, reporters)
        look.take()
        print(f"look {number} took {time.time() - began:.1f} s")
        yield look
        time.sleep(max(0.0, began + BETWEEN_LOOKS - time.time()))


def _write(folder: Path, look: Look, version: str) -> None:
    folder.mkdir(parents=True)
    about = {"taken_at": look.taken_at, "version": version}
    parts = {"about": about, "rest": look.replies, "refused": look.refused, "metrics": look.metrics}
    for name, content in parts.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    for name, page in look.pages.items():
        (folder / f"{name}.txt").write_bytes(page)


def _refuse_traces_of_this_machine(path: Path, flink: distribution.Distribution) -> None:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    traces = {
        str(Path.home()),
        str(flink.home),
        str(flink.java.executable.parent),
        socket.gethostname(),
        str(RECORDINGS),
    }
    for trace in traces - {"/"}:
        if re.search(rf"\b{re.escape(trace)}\b", text):
            raise SystemExit(f"{path} names {trace}, which is of this machine")


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        record(wanted)
