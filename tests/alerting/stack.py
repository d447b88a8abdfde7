"""A real Prometheus and a real Alertmanager that tell a webhook: what an operator has around the exporter.

Their settings are those of config/, of which only addresses and waits are changed, so that those are proven too.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from exporter.durations import format_duration, parse_duration
from tests.e2e.running import Exporter, eventually, free_port
from tests.needed import program
from tests.promtool import promtool

CONFIG = Path(__file__).parents[2] / "config"
NATIVE = CONFIG / "rules/native.yml"
CLUSTER = "alerting"
INTERVAL = 5  # seconds between scrapes, and between evaluations


@dataclass(frozen=True)
class Notification:
    """One alert of a message to a receiver."""

    received: float
    receiver: str
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True)
class Stack:
    """What runs, and how to ask it."""

    prometheus: str
    alertmanager: str
    notifications: Sequence[Notification]
    targets_file: Path
    has_native: bool

    def scrape(self, reporters: Mapping[str, str]) -> None:
        """Tells Prometheus which of Flink's reporters there are: their URLs, by process."""
        targets = [urllib.parse.urlsplit(url).netloc for url in reporters.values()]
        draft = self.targets_file.with_suffix(".draft")
        # The label that native.yml asks for: a reporter does not know the name of its cluster.
        draft.write_text(json.dumps([{"targets": targets, "labels": {"cluster": CLUSTER}}]))
        draft.rename(self.targets_file.with_suffix(".json"))

    def alerts(self) -> list[dict[str, Any]]:
        """What Alertmanager holds to be wrong now, told of or silenced."""
        found: list[dict[str, Any]] = _json(f"{self.alertmanager}/api/v2/alerts?active=true&inhibited=true")
        return found

    def has_data_at(self, expr: str, moment: float) -> bool:
        """Whether a query had data then."""
        return self._has_data("query", {"query": expr, "time": moment})

    def has_data_since(self, expr: str, since: float) -> bool:
        """Whether a query had data at any moment since."""
        span: dict[str, str | float] = {"start": since, "end": time.time(), "step": INTERVAL}
        return self._has_data("query_range", {"query": expr, **span})

    def _has_data(self, path: str, asked: dict[str, str | float]) -> bool:
        reply = _json(f"{self.prometheus}/api/v1/{path}?{urllib.parse.urlencode(asked)}")
        assert reply["status"] == "success"
        return bool(reply["data"]["result"])

    def down(self) -> set[str]:
        """The targets that Prometheus cannot scrape."""
        reply = _json(f"{self.prometheus}/api/v1/targets?state=active")
        return {target["scrapeUrl"] for target in reply["data"]["activeTargets"] if target["health"] != "up"}


@contextmanager
def stack(folder: Path, exporter: Exporter, settings: Path, patience: float) -> Iterator[Stack]:
    """Both of them, around an exporter with these settings; they end with the block."""
    with ExitStack() as running:
        hook, notifications = running.enter_context(_webhook())
        alertmanager = running.enter_context(_alertmanager(folder, hook))
        targets, has_native = folder / "flink.json", NATIVE.exists()
        targets.write_text("[]")
        (folder / "rules").mkdir()
        command = [sys.executable, "-m", "exporter", "rules", "--config.file", str(settings)]
        rules = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for file in (CONFIG / "rules").glob("*.yml"):
            shutil.copy(file, folder / "rules")
        (folder / "rules/alerts.yml").write_text(rules)
        if has_native:
            (folder / "rules/native.yml").write_text(hurried(NATIVE.read_text(), patience))
        config = _prometheus_config(folder, exporter.url, alertmanager, targets)
        prometheus = running.enter_context(_prometheus(folder, config))
        yield Stack(prometheus, alertmanager, notifications, targets, has_native)


def hurried(rules: str, patience: float) -> str:
    """Somebody else's rules, as impatient as ours, and marked as theirs."""
    content = yaml.safe_load(rules)
    for group in content["groups"]:
        for rule in group["rules"]:
            for wait in ("for", "keep_firing_for"):
                if wait in rule:
                    rule[wait] = format_duration(parse_duration(rule[wait]) * patience)
            if "alert" in rule:
                rule.setdefault("labels", {})["origin"] = "native"
    return yaml.safe_dump(content, sort_keys=False)


def _prometheus_config(folder: Path, exporter: str, alertmanager: str, targets: Path) -> str:
    config = yaml.safe_load((CONFIG / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": f"{INTERVAL}s", "evaluation_interval": f"{INTERVAL}s"}
    config["rule_files"] = [str(folder / "rules/*.yml")]
    config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [_address(alertmanager)]}]}]}
    by_name = {job["job_name"]: job for job in config["scrape_configs"]}
    by_name["flink-health"]["static_configs"] = [{"targets": [_address(exporter)]}]
    # TaskManagers come and go at ports of their own.
    del by_name["flink"]["dns_sd_configs"]
    by_name["flink"]["file_sd_configs"] = [{"files": [str(targets)], "refresh_interval": "5s"}]
    return yaml.safe_dump(config)


def _alertmanager_config(hook: str) -> str:
    config = yaml.safe_load((CONFIG / "alertmanager.yml").read_text())
    # Nobody's sleep is at stake: tell at once.
    config["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    native = {"matchers": ['origin="native"'], "receiver": "native"}
    config["route"]["routes"] = [native, *config["route"]["routes"]]
    config["receivers"].append({"name": "native"})
    for rule in config["inhibit_rules"]:
        rule["equal"].append("origin")  # theirs are not to silence ours, nor ours theirs
    for receiver in config["receivers"]:
        receiver["webhook_configs"] = [{"url": f"{hook}/{receiver['name']}", "send_resolved": True}]
    return yaml.safe_dump(config)


@contextmanager
def _prometheus(folder: Path, config: str) -> Iterator[str]:
    file, address = folder / "prometheus.yml", f"127.0.0.1:{free_port()}"
    file.write_text(config)
    promtool("check", "config", file)
    options = [f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={address}"]
    with _running(["prometheus", *options], f"http://{address}", folder / "prometheus.log"):
        yield f"http://{address}"


@contextmanager
def _alertmanager(folder: Path, hook: str) -> Iterator[str]:
    file, address = folder / "alertmanager.yml", f"127.0.0.1:{free_port()}"
    file.write_text(_alertmanager_config(hook))
    subprocess.run(["amtool", "check-config", str(file)], check=True, capture_output=True)
    options = [f"--config.file={file}", f"--storage.path={folder / 'am'}", f"--web.listen-address={address}"]
    command = [program("prometheus-alertmanager"), *options, "--cluster.listen-address="]
    with _running(command, f"http://{address}", folder / "alertmanager.log"):
        yield f"http://{address}"


@contextmanager
def _running(command: list[str], url: str, log: Path) -> Iterator[None]:
    """A process until the end of the block, once it is ready."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:

            def ready() -> bool:
                assert process.poll() is None, log.read_text()
                urllib.request.urlopen(f"{url}/-/ready", timeout=5).close()
                return True

            eventually(ready, f"{command[0]} to be ready")
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            finally:
                process.kill()


@contextmanager
def _webhook() -> Iterator[tuple[str, list[Notification]]]:
    """The address of a receiver of notifications, and those that it has received."""
    received: list[Notification] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            now = time.time()
            for alert in message["alerts"]:
                received.append(
                    Notification(now, self.path[1:], alert["status"], alert["labels"], alert["annotations"])
                )
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: what comes in is kept, not printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", received
        finally:
            server.shutdown()
            thread.join()


def _address(url: str) -> str:
    return urllib.parse.urlsplit(url).netloc


def _json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)
