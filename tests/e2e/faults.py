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
from functools import partial
from pathlib import Path
from typing import Any

from exporter.demo.cluster import FlinkCluster
from exporter.demo.distribution import Distribution
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

# Heartbeats so frequent that a dead process is missed within seconds; metrics as fresh as the exporter's interval.
IMPATIENT: Mapping[str, str | int] = {
    "heartbeat.interval": 1000,
    "heartbeat.timeout": 10000,
    "metrics.fetcher.update-interval": "1000",
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
        if (wish.equals("class")) {
            Class.forName("com.example.Missing");
        }
        if (wish.equals("memory")) {
            java.util.List hoard = new java.util.ArrayList();
            while (true) {
                hoard.add(new byte[1000000]);
            }
        }
        return wish;
    }
}
"""


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

    def __init__(self, distribution: Distribution, *, run_dir: Path, config: Mapping[str, str | int], **rest: Any):
        (port,) = free_ports(1)
        self._zookeeper = f"dataDir={run_dir / 'zookeeper/data'}\nclientPort={port}\ntickTime=500\n"
        available = {
            "high-availability.type": "zookeeper",
            "high-availability.zookeeper.quorum": f"localhost:{port}",
            "high-availability.zookeeper.client.session-timeout": "4 s",
            "high-availability.storageDir": (run_dir / "available").as_uri(),
        }
        super().__init__(distribution, run_dir=run_dir, config={**available, **config}, **rest)

    def start(self) -> None:
        folder = self.run_dir / "zookeeper"
        folder.mkdir()
        file = folder / "zoo.cfg"
        file.write_text(self._zookeeper)
        main = "org.apache.flink.runtime.zookeeper.FlinkZooKeeperQuorumPeer"
        options = ("-Xmx64m", "-XX:+UseSerialGC", "-Dzookeeper.admin.enableServer=false")
        self.launch(Program("zookeeper", main, ("--zkConfigFile", str(file), "--peerId", "1"), options=options), folder)
        super().start()
