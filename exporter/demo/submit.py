"""How does SQL become a running job, without a Java program or PyFlink?

Flink's own gateway for PyFlink runs in a JVM; py4j drives it from here, one gateway for all submissions.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Mapping
from importlib import import_module
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from exporter.demo.cluster import FlinkCluster
from exporter.demo.errors import MISSING_EXTRA, DemoError
from exporter.demo.interrupts import undisturbed
from exporter.demo.jvm import Jvm, Program
from exporter.demo.lookup import write_jar

START_PATIENCE = 60.0  # seconds until the gateway listens
_HEAP = "256m"


class SqlGateway:
    """Submits jobs to `cluster` for the length of a `with` block."""

    def __init__(self, cluster: FlinkCluster) -> None:
        self._cluster = cluster
        self._rest_port = urlsplit(cluster.rest_url).port
        self._jar = cluster.run_dir / "gateway/look-up.jar"
        self._jvm: Jvm | None = None
        self._py4j: Any = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the JVM and connect to it. Should this fail, the cluster's end is also the JVM's."""
        folder = self._jar.parent
        port_file = folder / "port"
        program = Program(
            name="gateway",
            main="org.apache.flink.client.python.PythonGatewayServer",
            jars=(self._cluster.distribution.python_jar, self._jar),
            options=(f"-Xmx{_HEAP}", "-XX:+UseSerialGC"),
            environment={"_PYFLINK_CONN_INFO_PATH": str(port_file)},
        )
        folder.mkdir(exist_ok=True)
        write_jar(self._jar)
        port_file.unlink(missing_ok=True)
        self._jvm = self._cluster.launch(program, folder)
        deadline = time.monotonic() + START_PATIENCE
        while not port_file.exists():
            self._jvm.check()
            if time.monotonic() > deadline:
                raise DemoError(f"the gateway does not listen (log: {self._jvm.log})", log=self._jvm.log)
            time.sleep(0.1)
        (port,) = struct.unpack_from(">i", port_file.read_bytes())
        # Without memory management no object here calls a gateway that has ended when it is collected.
        client = _py4j("java_gateway")
        parameters = client.GatewayParameters(port=port, auto_convert=True, enable_memory_management=False)
        self._py4j = client.JavaGateway(gateway_parameters=parameters)
        # The server gives up after 10 s unless told whom to ask whether its client is alive; it may ask itself.
        server = self._py4j.jvm.org.apache.flink.client.python.PythonGatewayServer
        self._py4j.entry_point.put("Watchdog", server.watchdog)

    def submit(self, name: str, statements: Iterable[str], settings: Mapping[str, str] | None = None) -> str:
        """Run SQL `statements` in a session of their own, the last of which starts the job; its id in hex.

        `settings` are Flink options of the job; its parallelism is 2 unless they say otherwise. The statements may use
        the class `demo.LookUp`.
        """
        options = {"pipeline.name": name, "parallelism.default": "2", **(settings or {})}
        protocol = _py4j("protocol")
        try:
            with undisturbed():  # py4j stumbles over a KeyboardInterrupt: let it come when the job is there
                return self._submit(list(statements), options)
        except protocol.Py4JJavaError as error:
            cause = _root_cause(error.java_exception)
            raise DemoError(f"Flink does not take the job {name}: {cause}") from error
        except (protocol.Py4JError, OSError) as error:
            raise DemoError(f"the gateway broke off while submitting {name}: {error}") from error

    def stop(self) -> None:
        """End the JVM; the jobs go on."""
        if self._py4j is not None:
            self._py4j.close()
        if self._jvm is not None:
            self._cluster.end(self._jvm)
        self._jvm, self._py4j = None, None

    def _submit(self, statements: list[str], options: Mapping[str, str]) -> str:
        flink = self._py4j.jvm.org.apache.flink
        configuration = flink.configuration.Configuration()
        for key, value in options.items():
            configuration.setString(key, value)
        # Sent along with each job. (On 1.x `CREATE FUNCTION ... USING JAR` compiles without the jar, and fails.)
        jars = self._py4j.new_array(self._py4j.jvm.java.lang.String, 1)
        jars[0] = str(self._jar)
        environment = flink.streaming.api.environment.StreamExecutionEnvironment.createRemoteEnvironment(
            "localhost", self._rest_port, configuration, jars
        )
        table = flink.table.api.bridge.java.StreamTableEnvironment.create(environment)
        for statement in statements[:-1]:
            table.executeSql(statement)
        job = table.executeSql(statements[-1]).getJobClient()
        if not job.isPresent():
            raise DemoError(f"{options['pipeline.name']}: the last statement starts no job")
        return str(job.get().getJobID().toString())


def _py4j(module: str) -> Any:
    """A module of py4j, which only the extra brings."""
    try:
        return import_module(f"py4j.{module}")
    except ModuleNotFoundError as error:
        raise DemoError(MISSING_EXTRA) from error


def _root_cause(cause: Any) -> str:
    """What the innermost exception says, on one line."""
    while cause.getCause() is not None:
        cause = cause.getCause()
    return " ".join(str(cause.toString()).split())
