"""How is a Flink class run in a JVM of its own?"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exporter.demo.distribution import Distribution
from exporter.demo.errors import DemoError
from exporter.demo.interrupts import undisturbed
from exporter.demo.leash import Leash

GRACE = 10.0  # seconds between asking a JVM to end and ending it

# From Flink's own list for Java 17 and later (env.java.opts.all in the configuration that it ships).
_OPEN_PACKAGES = (
    "java.lang",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.text",
    "java.time",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "java.util.concurrent.locks",
    "sun.nio.ch",
)

_LOGGING = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.name = console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %-60c %x - %m%n
"""


@dataclass(frozen=True)
class Program:
    """What to run: a main class, its arguments, and the memory it may take."""

    name: str
    main: str
    arguments: tuple[str, ...] = ()
    jars: tuple[Path, ...] = ()  # besides Flink's lib
    options: tuple[str, ...] = ()  # of the JVM
    environment: Mapping[str, str] = field(default_factory=dict)


class Jvm:
    """A running JVM: its pid, its log, and its end."""

    def __init__(self, program: Program, distribution: Distribution, folder: Path, leash: Leash) -> None:
        self.name = program.name
        self.log = folder / f"{program.name}.log"
        self._leash = leash
        command = _command(program, distribution, folder, self.log)
        environment = os.environ | {
            "FLINK_CONF_DIR": str(folder),
            "FLINK_PLUGINS_DIR": str(distribution.plugins),
            "FLINK_LIB_DIR": str(distribution.lib),
            **program.environment,
        }
        with self.log.open("ab") as log:
            # In a session of its own: a Ctrl-C at the terminal reaches us alone, and we stop the JVMs in order.
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    cwd=folder,
                    start_new_session=True,
                )
            except OSError as error:
                raise DemoError(f"cannot run {command[0]}: {error.strerror}") from error
        leash.tie(self._process.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def check(self) -> None:
        """Raise if the process has ended by itself."""
        if not self.running:
            last = self.tail(20)
            end = how_it_ended(self._process.returncode, last)
            raise DemoError(f"{self.name} {end} (log: {self.log})", log=self.log, tail=last)

    def tail(self, lines: int) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def terminate(self) -> None:
        """Ask it to end."""
        if self.running:
            self._process.terminate()

    def kill(self) -> None:
        """End it."""
        if self.running:
            self._process.kill()
        self.reap(None)

    def reap(self, patience: float | None) -> None:
        """Wait so many seconds for the end (None: for ever)."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
            self._leash.untie(self.pid)


def launch(jvms: list[Jvm], program: Program, distribution: Distribution, folder: Path, leash: Leash) -> Jvm:
    """Start a JVM and enter it in `jvms`."""
    with undisturbed():  # or a Ctrl-C may come between a process and its entry
        jvms.append(Jvm(program, distribution, folder, leash))
        return jvms[-1]


def stop(jvms: list[Jvm], grace: float = GRACE) -> None:
    """End all of them, in order if they will; an interrupt meanwhile ends them at once."""
    try:
        for jvm in jvms:
            jvm.terminate()
        deadline = time.monotonic() + grace
        for jvm in jvms:
            jvm.reap(max(0.0, deadline - time.monotonic()))
    finally:
        for jvm in jvms:
            jvm.kill()


def _command(program: Program, distribution: Distribution, folder: Path, log: Path) -> list[str]:
    logging = folder / "log4j.properties"
    logging.write_text(_LOGGING)
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    jars = [str(distribution.lib / "*"), *map(str, program.jars)]
    return [
        str(distribution.java.executable),
        *program.options,
        "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
        *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPEN_PACKAGES),
        "-XX:TieredStopAtLevel=1",  # starts in two thirds of the time, and is fast enough for jobs this small
        "-XX:-UsePerfData",  # it leaves a file behind after SIGKILL
        f"-Djava.io.tmpdir={temporary}",
        f"-Dlog.file={log}",  # lets Flink's web UI show it
        f"-Dlog4j.configurationFile={logging.as_uri()}",
        "-cp",
        os.pathsep.join(jars),
        program.main,
        *program.arguments,
    ]


def how_it_ended(code: int, tail: str) -> str:
    """How a process ended, and the line of its log that most likely says why."""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    lines = [line for line in tail.splitlines() if line.strip()]
    telling = [line for line in lines if "Exception" in line or "Error" in line or " FATAL " in line]
    reason = (telling or lines or ["its log is empty"])[-1].strip()
    return f"ended with code {code}: {reason}"
