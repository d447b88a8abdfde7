"""What does Flink's configuration file say?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exporter.demo.distribution import release

Options = Mapping[str, str | int]

JOBMANAGER_HEAP = "512m"
TASKMANAGER_HEAP = "384m"
DIRECT = "192m"  # of a TaskManager: framework.off-heap + network
METASPACE = "256m"

# Flink's shell scripts would work these out; without them each must be given. They agree with the JVM options above.
_TASKMANAGER_MEMORY: Options = {
    "taskmanager.cpu.cores": 1,
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.task.heap.size": "256m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.task.off-heap.size": "0m",
    "taskmanager.memory.managed.size": "64m",
    "taskmanager.memory.network.min": "64m",
    "taskmanager.memory.network.max": "64m",
    "taskmanager.memory.jvm-metaspace.size": METASPACE,
    "taskmanager.memory.jvm-overhead.min": "128m",
    "taskmanager.memory.jvm-overhead.max": "128m",
}


@dataclass(frozen=True)
class Ports:
    """Where one cluster listens on 127.0.0.1; whatever is not here takes any free port by itself."""

    rest: int
    rpc: int
    blob: int
    query: int  # of the JobManager: the metrics that REST shows
    reporters: range


def file_name(version: str) -> str:
    """Flink reads config.yaml from 1.19 on."""
    return "config.yaml" if release(version) >= (1, 19) else "flink-conf.yaml"


def render(version: str, options: Options) -> str:
    """The file's text: real YAML from 1.19 on, before that everything after the colon is the value."""
    if release(version) >= (1, 19):
        return "".join(f"{key}: {json.dumps(value)}\n" for key, value in options.items())
    return "".join(f"{key}: {value}\n" for key, value in options.items())


def common(ports: Ports, run: Path) -> Options:
    """What JobManager and TaskManagers agree on."""
    return {
        "jobmanager.rpc.address": "localhost",
        "jobmanager.rpc.port": ports.rpc,
        "jobmanager.bind-host": "127.0.0.1",
        "rest.address": "localhost",
        "rest.port": ports.rest,
        "rest.bind-address": "127.0.0.1",
        "blob.server.port": ports.blob,
        # A TaskManager that is up before the JobManager would ask again after 10 s.
        "cluster.registration.error-delay": 500,
        "cluster.registration.refused-registration-delay": 500,
        "taskmanager.host": "localhost",
        "taskmanager.bind-host": "127.0.0.1",
        "state.backend.type": "hashmap",
        "state.checkpoints.dir": (run / "checkpoints").as_uri(),
        "state.savepoints.dir": (run / "savepoints").as_uri(),
    }


def reporter(ports: Ports) -> Options:
    """The native Prometheus reporter, on the first free port of the range in each process."""
    return {
        "metrics.reporters": "prom",
        "metrics.reporter.prom.factory.class": "org.apache.flink.metrics.prometheus.PrometheusReporterFactory",
        "metrics.reporter.prom.port": f"{ports.reporters.start}-{ports.reporters[-1]}",
    }


def jobmanager(ports: Ports) -> Options:
    return {
        "jobmanager.memory.heap.size": JOBMANAGER_HEAP,
        "jobmanager.memory.jvm-metaspace.size": METASPACE,
        "metrics.internal.query-service.port": ports.query,
    }


def taskmanager(slots: int) -> Options:
    return {"taskmanager.numberOfTaskSlots": slots, **_TASKMANAGER_MEMORY}
