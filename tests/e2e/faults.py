"""What the tests of faults share: faults to order, clusters to have them on, and an exporter that sees them twice.

SQL has no function that fails when it is told to, so here is one in Java. Flink brings a compiler along (Janino, for
the code that its planner generates), and the gateway's JVM has it: no JDK is needed.
"""

from __future__ import annotations

import json
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from exporter.demo import distribution
from exporter.demo.cluster import FlinkCluster
from exporter.demo.jvm import Program
from exporter.demo.ports import free_ports
from exporter.demo.submit import SqlGateway
from tests.e2e.running import Exporter, Published, eventually, exporter, raw

# How the exporter sees a cluster: with the native reporter, and by REST alone.
MODES = ("reporter", "rest")
INTERVAL = 2.0

STATE = "flink_health_job_state"
FAILURES = "flink_health_job_failures_total"
RESTARTS = "flink_health_job_restarts_total"
LOSSES = "flink_health_cluster_taskmanager_losses_total"

Options = Mapping[str, str | int]

# The dead are missed within seconds, and what REST says is as fresh as the exporter's interval.
IMPATIENT: Options = {
    "heartbeat.interval": 1000,
    "heartbeat.timeout": 10000,
    "metrics.fetcher.update-interval": 1000,
    "web.refresh-interval": 1000,
}

# A wish is a file. The first subtask that manages to delete it grants it: one wish is exactly one failure.
_JAVA = """
package faults;

public class Wish extends org.apache.flink.table.functions.ScalarFunction {
    public String eval(Long key, String file) throws Exception {
        java.io.File order = new java.io.File(file);
        if (!order.exists()) {
            return String.valueOf(key);
        }
        String wish = new String(java.nio.file.Files.readAllBytes(order.toPath()));
        if (!order.delete()) {
            return String.valueOf(key);
        }
        if (wish.equals("throw")) {
            throw new IllegalStateException("as was wished");
        }
        if (wish.equals("load")) {
            Class.forName("com.example.Missing");
        }
        if (wish.equals("allocate")) {
            wish = new String(new byte[2000000000]);
        }
        if (wish.equals("hoard")) {
            java.util.List hoard = new java.util.ArrayList();
            while (true) {
                hoard.add(new byte[1000000]);
            }
        }
        return wish;
    }
}
"""

# Records are counted by key, and each key passes the wishing function first: a wish for text is one that no CAST takes.
COUNTING = """
CREATE TABLE events (id BIGINT) WITH (
    'connector' = 'datagen', 'rows-per-second' = '100',
    'fields.id.min' = '1', 'fields.id.max' = '1000'
);
CREATE TABLE counts (id BIGINT, events BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO counts
SELECT id, COUNT(*) FROM (SELECT CAST(wish(id, '{wishes}') AS BIGINT) AS id FROM events) GROUP BY id
"""


@dataclass(frozen=True)
class Job:
    """A job that was submitted. wishes: the file that its function looks for."""

    id: str
    name: str
    wishes: Path

    def wish(self, word: str) -> None:
        """Orders one fault, and waits until a subtask has taken the order."""
        draft = self.wishes.with_suffix(".draft")
        draft.write_text(word)
        draft.rename(self.wishes)
        eventually(lambda: not self.wishes.exists(), f"the wish to {word} to be taken", 30)


class Gateway(SqlGateway):
    """A gateway whose jobs may call `wish(key, file)` and `look_up(key, milliseconds)`."""

    def start(self) -> None:
        super().start()
        janino = self._py4j.jvm.org.codehaus.janino.SimpleCompiler()
        janino.cook("Wish.java", self._py4j.jvm.java.io.StringReader(_JAVA))
        jar = self._jar.with_name("faults.jar")
        with zipfile.ZipFile(jar, "w") as archive:
            for name, code in janino.getBytecodes().items():
                archive.writestr(f"{name.replace('.', '/')}.class", bytes(code))
        self._functions = (
            f"CREATE TEMPORARY FUNCTION wish AS 'faults.Wish' USING JAR '{jar.as_uri()}'",
            "CREATE TEMPORARY FUNCTION look_up AS 'demo.LookUp'",
        )

    def run(self, name: str, sql: str, settings: Mapping[str, str]) -> str:
        """Submits statements with a semicolon between them; the job's id."""
        statements = [one.strip() for one in sql.split(";") if one.strip()]
        return self.submit(name, [*self._functions, *statements], settings)


class AvailableCluster(FlinkCluster):
    """One whose jobs survive their JobManager: ZooKeeper, which Flink brings along, remembers them."""

    def __init__(self, *, run_dir: Path, config: Options, taskmanagers: int, slots: int) -> None:
        (port,) = free_ports(1)
        self._zookeeper = f"dataDir={run_dir / 'zookeeper/data'}\nclientPort={port}\ntickTime=500\n"
        available = {
            "high-availability.type": "zookeeper",
            "high-availability.zookeeper.quorum": f"localhost:{port}",
            "high-availability.zookeeper.client.session-timeout": "4 s",
            "high-availability.storageDir": (run_dir / "available").as_uri(),
        }
        flink = distribution.find()
        super().__init__(flink, run_dir=run_dir, config={**available, **config}, taskmanagers=taskmanagers, slots=slots)

    def start(self) -> None:
        folder = self.run_dir / "zookeeper"
        folder.mkdir()
        file = folder / "zoo.cfg"
        file.write_text(self._zookeeper)
        main = "org.apache.flink.runtime.zookeeper.FlinkZooKeeperQuorumPeer"
        arguments = ("--zkConfigFile", str(file), "--peerId", "1")
        options = ("-Xmx64m", "-XX:+UseSerialGC", "-Dzookeeper.admin.enableServer=false")
        self.launch(Program("zookeeper", main, arguments, options=options), folder)
        super().start()


@dataclass(frozen=True)
class Scene:
    """A real cluster, a way to run jobs on it, and an exporter that reads it twice: as `reporter` and as `rest`."""

    folder: Path
    flink: FlinkCluster
    gateway: Gateway
    exporter: Exporter

    def run(self, name: str, settings: Mapping[str, str], sql: str = COUNTING) -> Job:
        """Submits a job and waits until all of it runs."""
        job = self.submit(name, settings, sql)
        self.wait_until_running(job)
        return job

    def submit(self, name: str, settings: Mapping[str, str], sql: str = COUNTING) -> Job:
        wishes = self.folder / f"wish-of-{name}"
        options = {"execution.checkpointing.interval": "1 s", **settings}
        return Job(self.gateway.run(name, sql.format(wishes=wishes), options), name, wishes)

    def cancel(self, job: Job) -> None:
        self._send("PATCH", f"/jobs/{job.id}")
        eventually(lambda: self.says(f"/jobs/{job.id}")["state"] == "CANCELED", f"{job.name} to be cancelled")

    def rescale(self, job: Job, parallelism: int) -> None:
        """Asks for another parallelism, and waits until the job has it."""
        vertices = [vertex["id"] for vertex in self.says(f"/jobs/{job.id}")["vertices"]]
        bounds = {"parallelism": {"lowerBound": 1, "upperBound": parallelism}}
        self._send("PUT", f"/jobs/{job.id}/resource-requirements", dict.fromkeys(vertices, bounds))
        self.wait_for_parallelism(job, parallelism)

    def wait_for_parallelism(self, job: Job, parallelism: int) -> None:
        def has_it() -> bool:
            vertices = self.says(f"/jobs/{job.id}")["vertices"]
            return {vertex["parallelism"] for vertex in vertices} == {parallelism}

        eventually(has_it, f"{job.name} to have {parallelism} subtasks", 90)
        self.wait_until_running(job)

    def wait_until_running(self, job: Job, seconds: float = 90) -> None:
        eventually(lambda: self.runs(job), f"{job.name} to run", seconds)

    def runs(self, job: Job) -> bool:
        """Whether all of its tasks do."""
        found = self.says(f"/jobs/{job.id}")
        return found["state"] == "RUNNING" and {vertex["status"] for vertex in found["vertices"]} == {"RUNNING"}

    def host(self, job: Job) -> int:
        """The index of a TaskManager that the job runs on."""
        vertex = self.says(f"/jobs/{job.id}")["vertices"][0]["id"]
        tm = self.says(f"/jobs/{job.id}/vertices/{vertex}")["subtasks"][0]["taskmanager-id"]
        logs = [one.log.read_text(errors="replace") for one in self.flink.taskmanagers]
        (index,) = [i for i, log in enumerate(logs) if f"ResourceID: {tm}" in log]
        return index

    def root_failures(self, job: Job) -> list[dict[str, Any]]:
        """What Flink keeps of them, the latest first."""
        entries: list[dict[str, Any]] = self.says(f"/jobs/{job.id}/exceptions")["exceptionHistory"]["entries"]
        return entries

    def in_both(self, look: Callable[[Published, str], object], what: str, seconds: float = 30) -> None:
        """Waits until something is true of the page in both modes."""
        for mode in MODES:
            eventually(partial(self._look, look, mode), f"{what} ({mode})", seconds)

    def _look(self, look: Callable[[Published, str], object], mode: str) -> object:
        return look(self.exporter.page(), mode)

    def shows(self, name: str, value: float, seconds: float = 30, **labels: str) -> None:
        """Waits until the only series with these labels has this value in both modes."""
        what = f"{name}{labels} to be {value:g}"
        self.in_both(lambda page, mode: page.all(name, cluster=mode, **labels) == [value], what, seconds)

    def says(self, path: str) -> Any:
        """A raw reply of Flink's."""
        return raw(self.flink.rest_url + path)

    def _send(self, method: str, path: str, body: object = None) -> None:
        request = urllib.request.Request(
            self.flink.rest_url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        urllib.request.urlopen(request, timeout=30).close()


def fixed_delay(attempts: int, delay: str = "1 s") -> dict[str, str]:
    return {
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": str(attempts),
        "restart-strategy.fixed-delay.delay": delay,
    }


@contextmanager
def stage(folder: Path, cluster: FlinkCluster) -> Iterator[Scene]:
    """Everything running, until the end of the block."""
    with cluster as flink, Gateway(flink) as gateway:
        settings = f"""
            interval: {INTERVAL:g}s
            clusters:
              - {{name: reporter, url: "{flink.rest_url}"}}
              - {{name: rest, url: "{flink.rest_url}", reporter: {{mode: off}}}}
        """
        with exporter(folder, settings) as running:
            yield Scene(folder, flink, gateway, running)
