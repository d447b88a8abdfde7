"""How does a Flink session cluster of one JobManager and some TaskManagers start and stop on this machine?"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from exporter.demo import conf, jvm, rest
from exporter.demo.conf import Options, Ports
from exporter.demo.distribution import Distribution
from exporter.demo.errors import DemoError
from exporter.demo.jvm import Jvm, Program
from exporter.demo.leash import Leash
from exporter.demo.ports import free_ports, one_of, reporter_range

START_PATIENCE = 120.0  # seconds until REST is up and every TaskManager registered
_USUAL_REST, _USUAL_REPORTER = 8081, 9249
_REPORTER_LINE = re.compile(r"Started PrometheusReporter HTTP server on port (\d+)")


class FlinkCluster:
    """A real Flink for the length of a `with` block.

    Everything it writes goes into a run folder: `run_dir`, or a temporary one that is removed in the end (but not after
    a DemoError that names a log in it). It ends no process but its own.
    """

    def __init__(
        self,
        distribution: Distribution,
        *,
        taskmanagers: int = 2,
        slots: int = 8,
        reporter: bool = True,
        checkpoint_history: int | None = None,
        config: Options | None = None,
        run_dir: Path | None = None,
        prefer_usual_ports: bool = False,
    ) -> None:
        self.distribution = distribution
        self.taskmanagers: list[Jvm] = []
        self.jobmanager: Jvm | None = None
        self._wanted = taskmanagers
        self.ports = _choose(prefer_usual_ports)
        self.run_dir = run_dir or Path(tempfile.mkdtemp(prefix="flink-demo-"))
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self._jvms: list[Jvm] = []  # every one that may still run, the gateway's too
        self._started = 0  # TaskManagers, for their names
        options = {**conf.common(self.ports, self.run_dir), **(conf.reporter(self.ports) if reporter else {})}
        if checkpoint_history is not None:
            options["web.checkpoints.history"] = checkpoint_history
        self._jobmanager_options = {**options, **conf.jobmanager(self.ports), **(config or {})}
        self._taskmanager_options = {**options, **conf.taskmanager(slots), **(config or {})}
        self._leash = Leash(None if run_dir else self.run_dir)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, DemoError) and error.log:
            self._leash.keep_folder()
        self.stop()

    @property
    def rest_url(self) -> str:
        return f"http://localhost:{self.ports.rest}"

    @property
    def reporter_urls(self) -> dict[str, str]:
        """The native reporter of each process that runs: its name and its URL."""
        found = {}
        for one in [self.jobmanager, *self.taskmanagers]:
            lines = _REPORTER_LINE.findall(one.log.read_text(errors="replace")) if one else []
            if one and lines:
                found[one.name] = f"http://localhost:{lines[-1]}/metrics"
        return found

    def start(self) -> None:
        """Start everything, and wait until it is there."""
        self._launch_jobmanager()
        for _ in range(self._wanted):
            self._launch_taskmanager()
        self._wait(lambda: len(rest.registered(self.rest_url) or ()) >= self._wanted, "all TaskManagers to register")

    def start_jobmanager(self) -> None:
        """Start it again, at the same address: the TaskManagers come back to it, its jobs do not."""
        self._launch_jobmanager()
        self._wait(
            lambda: len(rest.registered(self.rest_url) or ()) >= len(self.taskmanagers), "the TaskManagers to come back"
        )

    def start_taskmanager(self) -> Jvm:
        """Start one more."""
        before = rest.registered(self.rest_url) or set()
        started = self._launch_taskmanager()
        self._wait(lambda: bool((rest.registered(self.rest_url) or set()) - before), f"{started.name} to register")
        return started

    def kill_jobmanager(self) -> None:
        """SIGKILL, as a machine would die."""
        if self.jobmanager:
            self.end(self.jobmanager)
            self.jobmanager = None

    def kill_taskmanager(self, index: int) -> None:
        """SIGKILL for `taskmanagers[index]`, which leaves the list."""
        self.end(self.taskmanagers.pop(index))

    def launch(self, program: Program, folder: Path) -> Jvm:
        """Run another Flink program for as long as the cluster; `folder` gets its configuration and log."""
        folder.mkdir(parents=True, exist_ok=True)
        return jvm.launch(self._jvms, program, self.distribution, folder, self._leash)

    def end(self, one: Jvm) -> None:
        """SIGKILL for a process that `launch` started."""
        one.kill()
        self._jvms.remove(one)

    def stop(self) -> None:
        """End every process and remove the run folder if it is ours. Does nothing the second time."""
        try:
            jvm.stop(self._jvms)
        finally:
            self._leash.close()
            self._jvms, self.taskmanagers, self.jobmanager = [], [], None

    def _launch_jobmanager(self) -> None:
        options = (f"-Xmx{conf.JOBMANAGER_HEAP}", f"-XX:MaxMetaspaceSize={conf.METASPACE}", "-XX:+UseG1GC")
        main = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
        self.jobmanager = self._launch_configured("jobmanager", main, options, self._jobmanager_options)

    def _launch_taskmanager(self) -> Jvm:
        self._started += 1
        options = (
            f"-Xmx{conf.TASKMANAGER_HEAP}",
            f"-XX:MaxMetaspaceSize={conf.METASPACE}",
            f"-XX:MaxDirectMemorySize={conf.DIRECT}",
            "-XX:+UseG1GC",
        )
        main = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
        started = self._launch_configured(f"taskmanager-{self._started}", main, options, self._taskmanager_options)
        self.taskmanagers.append(started)
        return started

    def _launch_configured(self, name: str, main: str, jvm_options: tuple[str, ...], options: Options) -> Jvm:
        folder = self.run_dir / name
        folder.mkdir(exist_ok=True)
        version = self.distribution.version
        options = {**options, "io.tmp.dirs": str(folder / "tmp")}
        (folder / conf.file_name(version)).write_text(conf.render(version, options))
        return self.launch(Program(name, main, ("--configDir", str(folder)), options=jvm_options), folder)

    def _wait(self, there: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_PATIENCE
        while not there():
            for one in self._jvms:
                one.check()
            if time.monotonic() > deadline:
                log = self.jobmanager.log if self.jobmanager else self.run_dir
                raise DemoError(f"waited {START_PATIENCE:.0f} s for {what} in vain (logs: {self.run_dir})", log=log)
            time.sleep(0.2)


def _choose(prefer_usual: bool) -> Ports:
    rest_port, rpc, blob, query = free_ports(4)
    if not prefer_usual:
        return Ports(rest_port, rpc, blob, query, reporter_range(None))
    usual_rest = range(_USUAL_REST, _USUAL_REST + 9)
    return Ports(one_of([*usual_rest, rest_port]), rpc, blob, query, reporter_range(_USUAL_REPORTER))
