"""The exporter as its users run it: a process of its own, and what it says of itself and of Flink."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client.parser import text_string_to_metric_families

T = TypeVar("T")

Labels = frozenset[tuple[str, str]]


class Published:
    """A page of `/metrics`, read back."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def all(self, name: str, **labels: str) -> list[float]:
        """The values of all series of a metric that have these labels."""
        return [
            sample.value for sample in self.samples if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def one(self, name: str, **labels: str) -> float:
        """The value of the only series of a metric that has these labels."""
        values = self.all(name, **labels)
        assert len(values) == 1, f"expected one {name}{labels}, got {values}"
        return values[0]

    def names_of(self, **labels: str) -> set[str]:
        """The names of all series that have these labels."""
        return {sample.name for sample in self.samples if labels.items() <= sample.labels.items()}


class Exporter:
    """A running exporter."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.log = log

    def page(self) -> Published:
        return Published(self.get("/metrics")[1])

    def get(self, path: str) -> tuple[int, str]:
        """Status and body."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@contextmanager
def exporter(folder: Path, config: str) -> Iterator[Exporter]:
    """Runs one with this configuration on a free port, until its web server answers; ends it in the end."""
    port = free_port()
    file, log = folder / "exporter.yml", folder / "exporter.log"
    file.write_text(config)
    command = [sys.executable, "-m", "exporter", "--config.file", str(file)]
    with log.open("wb") as stderr:
        process = subprocess.Popen([*command, "--web.listen-address", f"127.0.0.1:{port}"], stderr=stderr)
    try:
        running = Exporter(process, f"http://127.0.0.1:{port}", log)
        eventually(lambda: running.get("/-/healthy")[0] == 200, "the exporter to listen")
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        finally:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(look: Callable[[], T], what: str, seconds: float = 60) -> T:
    """What `look` gives once it is true; until then it may fail in any way."""
    deadline = time.monotonic() + seconds
    while True:
        problem: Exception | None = None
        try:
            found = look()
            if found:
                return found
        except Exception as error:  # whatever it is, it may be better in a moment
            problem = error
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}") from problem
        time.sleep(0.25)


def raw(url: str) -> Any:
    """A raw reply of Flink's."""
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)
