"""Faults with a switch: a job is well until a file appears, ill while it is there, and well again without it."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from exporter.demo import jobs
from exporter.demo.cluster import FlinkCluster
from tests.e2e import faults
from tests.e2e.faults import fixed_delay

# `file` is the switch. Checkpoints are slowed down in their storage, not by a slow task, which would be a bottleneck as
# well: here one thing is wrong at a time.
_JAVA = """
package ailing;

import java.io.File;
import java.io.IOException;
import org.apache.flink.api.common.JobID;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.core.fs.Path;
import org.apache.flink.runtime.state.CheckpointStorage;
import org.apache.flink.runtime.state.CheckpointStorageAccess;
import org.apache.flink.runtime.state.CheckpointStorageFactory;
import org.apache.flink.runtime.state.CheckpointStorageLocationReference;
import org.apache.flink.runtime.state.CheckpointStreamFactory;
import org.apache.flink.runtime.state.filesystem.FsCheckpointStorageAccess;
import org.apache.flink.runtime.state.storage.FileSystemCheckpointStorage;
import org.apache.flink.table.functions.ScalarFunction;

public class OneKey extends ScalarFunction {
    public Long eval(Long key, String file) {
        return new File(file).exists() ? Long.valueOf(1L) : key;
    }
    public boolean isDeterministic() { return false; }
}

public class Failing extends ScalarFunction {
    private long since = 0;
    public Long eval(Long key, String file) {
        long now = System.currentTimeMillis();
        if (since == 0) {
            since = now;
        }
        // After a while: a job that never gets to run is another matter.
        if (now - since > 8000 && new File(file).exists()) {
            throw new IllegalStateException("as long as " + file + " is there");
        }
        return key;
    }
    public boolean isDeterministic() { return false; }
}

public class Clock extends ScalarFunction {
    public Long eval(Long key, String file) {
        long stopped = new File(file).lastModified();
        return Long.valueOf(stopped > 0 ? stopped : System.currentTimeMillis());
    }
    public boolean isDeterministic() { return false; }
}

public class SlowAccess extends FsCheckpointStorageAccess {
    public SlowAccess(Path folder, JobID job, int threshold, int buffer) throws IOException {
        super(folder, null, job, threshold, buffer);
    }
    public CheckpointStreamFactory resolveCheckpointStorageLocation(
            long id, CheckpointStorageLocationReference reference) throws IOException {
        if (new File("%(slow)s").exists()) {
            try {
                Thread.sleep(1500);
            } catch (InterruptedException error) {
                throw new IOException(error);
            }
        }
        return super.resolveCheckpointStorageLocation(id, reference);
    }
}

public class SlowStorage extends FileSystemCheckpointStorage {
    public SlowStorage(String folder) {
        super(folder);
    }
    public CheckpointStorageAccess createCheckpointStorage(JobID job) throws IOException {
        return new SlowAccess(getCheckpointPath(), job, getMinFileSizeThreshold(), getWriteBufferSize());
    }
}

public class Storages implements CheckpointStorageFactory {
    public CheckpointStorage createFromConfig(ReadableConfig config, ClassLoader loader) {
        return new SlowStorage("%(checkpoints)s");
    }
}
"""

_COUNTING = """
CREATE TABLE {name} (id BIGINT) WITH (
    'connector' = 'datagen', 'rows-per-second' = '200',
    'fields.id.min' = '1', 'fields.id.max' = '1000'
);
CREATE TABLE counts (id BIGINT, {name} BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO counts SELECT id, COUNT(*) FROM (SELECT {function}(id, '{switch}') AS id FROM {name}) GROUP BY id
"""
_WINDOWS = """
CREATE TABLE {name} (
    id BIGINT,
    ts AS TO_TIMESTAMP_LTZ({function}(id, '{switch}'), 3),
    WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH (
    'connector' = 'datagen', 'rows-per-second' = '200',
    'fields.id.min' = '1', 'fields.id.max' = '1000'
);
CREATE TABLE counts (id BIGINT, since TIMESTAMP(3), {name} BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO counts
SELECT id, window_start, COUNT(*)
FROM TABLE(TUMBLE(TABLE {name}, DESCRIPTOR(ts), INTERVAL '5' SECOND))
GROUP BY id, window_start, window_end
"""

Level = tuple[str, str]


class Told(NamedTuple):
    """Something that is said to be wrong. of: a job's name, a TaskManager's id, or nothing for the cluster."""

    of: str
    what: str  # a symptom; of a native rule, its alert
    severity: str


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, and what must be said of it.

    job: the name of the job that it happens to; none of it happens to the cluster. must: symptoms and severities that
    are told. later: more of these, which only who waits longer sees. may: symptoms that may be found beside these, and
    why that is right. function: what it is done with. remembered: whether it stays a finding for the 10 minutes that
    the exporter looks back, also after its end.
    """

    what: str
    job: str
    must: frozenset[Level]
    later: frozenset[Level] = frozenset()
    may: Mapping[str, str] = field(default_factory=dict)
    sql: str = ""
    function: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    remembered: bool = False

    def wanted(self, *, thorough: bool) -> set[Told]:
        """The alerts that must fire; thorough: those that take long, too."""
        return {Told(self.job, *level) for level in self.must | (self.later if thorough else frozenset())}

    def statements(self, switch: Path) -> str:
        return self.sql.format(name=self.job, function=self.function, switch=switch)


SKEW = Fault(
    "all records get the same key",
    job="orders",
    must=frozenset({("skew", "warning")}),
    sql=_COUNTING,
    function="one_key",
)
RESTARTS = Fault(
    "a function throws 8 s after each start",
    job="invoices",
    must=frozenset({("restart_loop", "warning"), ("restart_loop", "critical")}),
    may={"restarts_frequent": "what becomes a loop begins with a few restarts"},
    sql=_COUNTING,
    function="failing",
    settings=fixed_delay(100_000),
    remembered=True,
)
WATERMARK = Fault(
    "event time stands still",
    job="clicks",
    must=frozenset({("watermark_stalled", "warning")}),
    later=frozenset({("watermark_stalled", "critical")}),
    sql=_WINDOWS,
    function="clock",
)
CHECKPOINTS = Fault(
    "checkpoints take longer than their timeout",
    job="payments",
    must=frozenset({("checkpoint_failing", "warning"), ("checkpoint_failing", "critical")}),
    may={
        "checkpoint_near_timeout": "what expires was near its timeout before",
        "checkpoint_slow": "it is: ten times as long as normal",
    },
    sql=_COUNTING,
    function="one_key",  # with a switch that nobody turns; it brings the storage along
    settings={
        "execution.checkpointing.storage": "ailing.Storages",
        "execution.checkpointing.interval": "3 s",
        "execution.checkpointing.timeout": "1 s",
        "execution.checkpointing.tolerable-failed-checkpoints": "100000",
    },
)
KILLED = Fault(
    "a TaskManager is killed, and another one started",
    job="",
    must=frozenset({("taskmanager_lost", "warning")}),
    may={
        "metrics_stale": "Flink waits 10 minutes for one that dies while it is asked for its metrics, and holds up all",
        "data_stale": "until Flink misses it: what usually takes 2 minutes to be told takes 6 s at this patience",
    },
    remembered=True,
)
# In this order: the loss restarts jobs, and would disturb the others.
OF_JOBS = (SKEW, RESTARTS, WATERMARK, CHECKPOINTS)
ALL = (*OF_JOBS, KILLED)
HEALTHY = jobs.PAYMENTS


class Gateway(faults.Gateway):
    """One whose jobs can be made ill, with files in the folder `switches`."""

    def __init__(self, cluster: FlinkCluster, switches: Path) -> None:
        super().__init__(cluster)
        self.switches = switches

    def start(self) -> None:
        super().start()
        places = {"slow": self.switch(CHECKPOINTS), "checkpoints": (self.switches / "checkpoints").as_uri()}
        janino = self._py4j.jvm.org.codehaus.janino.SimpleCompiler()
        janino.cook("Ailing.java", self._py4j.jvm.java.io.StringReader(_JAVA % places))
        jar = self._jar.with_name("ailing.jar")
        with zipfile.ZipFile(jar, "w") as archive:
            for name, code in janino.getBytecodes().items():
                archive.writestr(f"{name.replace('.', '/')}.class", bytes(code))
        self._ailing = [
            f"CREATE TEMPORARY FUNCTION {name} AS 'ailing.{of}' USING JAR '{jar.as_uri()}'"
            for name, of in {"one_key": "OneKey", "failing": "Failing", "clock": "Clock"}.items()
        ]

    def run(self, name: str, sql: str, settings: Mapping[str, str]) -> str:
        return self.submit(name, [*self._ailing, *filter(None, map(str.strip, sql.split(";")))], settings)

    def switch(self, fault: Fault) -> Path:
        """The file that makes a fault's job ill."""
        return self.switches / f"{fault.job}-are-ill"
