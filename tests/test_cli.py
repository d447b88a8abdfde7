"""Does the program start, stop and reload as it is told to, and say in one line each what it cannot do?"""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from html import escape
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from exporter import __version__
from exporter.cli import main
from exporter.signals import SIGNALS
from exporter.symptoms.declarations import SYMPTOMS

SERVE_FLAGS = "-h, --help, --config.file, --flink.url, --web.listen-address, --log.level, --log.format"
SIGNAL_NAMES = ", ".join(sorted(signal.name for signal in SIGNALS))
EXAMPLE = Path(__file__).parent.parent / "config" / "exporter.yml"
ALERTS = Path(__file__).parent.parent / "config" / "rules" / "alerts.yml"

# Nothing listens there, and nobody but root may.
NOBODY = "http://127.0.0.1:1"


# ---- What it refuses


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(["--nonsense"], f"unknown flag --nonsense; flags of serve are {SERVE_FLAGS}", id="unknown flag"),
        pytest.param(
            ["serve", "--log.levle=debug"], "unknown flag --log.levle; did you mean --log.level?", id="misspelt flag"
        ),
        pytest.param(
            ["--log.levle", "debug"], "unknown flag --log.levle; did you mean --log.level?", id="its value beside it"
        ),
        pytest.param(
            ["--config", "x.yml"], "unknown flag --config; did you mean --config.file?", id="flags are not abbreviated"
        ),
        pytest.param(
            ["check-config", "--strict", "x.yml"],
            "unknown flag --strict; flags of check-config are -h, --help",
            id="unknown flag of a command",
        ),
        pytest.param(
            ["rules", "--write"],
            "unknown flag --write; flags of rules are -h, --help, --config.file",
            id="the rules of the repository are written by reference",
        ),
        pytest.param(
            ["rules", "--config.file", "/nowhere/exporter.yml"],
            "/nowhere/exporter.yml: cannot be read: No such file or directory",
            id="a file for rules that is not there",
        ),
        pytest.param(
            ["serve", "now"], f"unknown argument now; flags of serve are {SERVE_FLAGS}", id="unknown argument"
        ),
        pytest.param(["sevre"], "unknown command 'sevre'; did you mean serve?", id="misspelt command"),
        pytest.param(
            ["nonsense"],
            "unknown command 'nonsense'; commands are serve, diagnose, demo, check-config, rules, reference",
            id="unknown command",
        ),
        pytest.param(["--config.file"], "argument --config.file: expected one argument", id="a flag without its value"),
        pytest.param(["check-config"], "the following arguments are required: FILE", id="a command without its file"),
        pytest.param(
            ["--config.file", "/nowhere/exporter.yml"],
            "/nowhere/exporter.yml: cannot be read: No such file or directory",
            id="a file that is not there",
        ),
        pytest.param(["check-config", "/"], "/: cannot be read: Is a directory", id="a directory for a file"),
        pytest.param(
            ["--web.listen-address", "nonsense"],
            "--web.listen-address: expected host:port, [ipv6]:port or :port, got 'nonsense'",
            id="an address without a port",
        ),
        pytest.param(
            ["--web.listen-address", "localhost:99999"],
            "--web.listen-address: expected host:port, [ipv6]:port or :port, got 'localhost:99999'",
            id="a port that is none",
        ),
        pytest.param(
            ["--flink.url", "prod:8081"],
            "--flink.url: expected a URL such as http://localhost:8081, got 'prod:8081'",
            id="a URL that is none",
        ),
        pytest.param(
            ["--flink.url", "http://admin:secret@prod:8081"],
            "--flink.url: a URL may not hold credentials: use basic_auth",
            id="a URL with a password, which is not shown",
        ),
        pytest.param(
            ["--log.level", "loud"], "--log.level: expected debug, info, warn or error, got 'loud'", id="a log level"
        ),
    ],
)
def test_a_command_line_that_is_wrong(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.err == f"flink-health-exporter: {problem}\n"
    assert said.out == ""


def test_all_that_is_wrong_with_the_flags_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--flink.url", "prod", "--web.listen-address", "x", "--log.level", "loud", "--log.format", "xml"]
    assert main(flags) == 2
    assert capsys.readouterr().err.splitlines() == [
        "flink-health-exporter: --flink.url: expected a URL such as http://localhost:8081, got 'prod'",
        "flink-health-exporter: --web.listen-address: expected host:port, [ipv6]:port or :port, got 'x'",
        "flink-health-exporter: --log.level: expected debug, info, warn or error, got 'loud'",
        "flink-health-exporter: --log.format: expected logfmt or json, got 'xml'",
    ]


BAD = """\
interval: 15 parsecs
intreval: 15s
clusters:
  - url: http://prod:8081
    timeout: 10
signals:
  disabled: [skw, gossip]
symptoms:
  overrides:
    checkpoint_slo: {critical: off}
    job_failed: {critical: off}
web:
  listen_address: nonsense
"""


@pytest.mark.parametrize(
    "command", [["--config.file"], ["serve", "--config.file"], ["check-config"], ["rules", "--config.file"]]
)
def test_all_that_is_wrong_with_a_file_at_once(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "exporter.yml"
    path.write_text(BAD)
    assert main([*command, str(path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"flink-health-exporter: {path}:{problem}"
        for problem in (
            "1: interval: expected a duration such as 15s or 1m30s, got '15 parsecs'",
            "2: intreval: unknown key; did you mean interval?",
            "5: clusters[0].timeout: expected a duration with its unit, such as 15s or 1m30s, got 10",
            "7: signals.disabled[0]: unknown signal 'skw'; did you mean skew?",
            f"7: signals.disabled[1]: unknown signal 'gossip'; signals are {SIGNAL_NAMES}",
            "10: symptoms.overrides.checkpoint_slo: unknown symptom 'checkpoint_slo'; did you mean checkpoint_slow?",
            "11: symptoms.overrides.job_failed: no level is left; to turn it off, list it in symptoms.disabled",
            "13: web.listen_address: expected host:port, [ipv6]:port or :port, got 'nonsense'",
        )
    ]


def test_a_file_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "exporter.yml"
    path.symlink_to(path)  # even root cannot read what points to itself
    assert main(["check-config", str(path)]) == 2
    problem = "Too many levels of symbolic links"
    assert capsys.readouterr().err == f"flink-health-exporter: {path}: cannot be read: {problem}\n"


# ---- What it answers and is done with


def test_a_file_that_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "exporter.yml"
    path.write_text("clusters: [{name: a, url: http://a:8081}, {name: b, url: http://b:8081}]")
    assert main(["check-config", str(path)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{path}: good, 2 cluster(s): a, b\n"
    assert said.err == ""


def test_the_example_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", str(EXAMPLE)]) == 0
    assert capsys.readouterr().err == ""


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    pattern = rf"flink-health-exporter, version {re.escape(__version__)} \(Python 3\.\d+\.\d+\S*, \w+\)\n"
    assert re.fullmatch(pattern, capsys.readouterr().out)


def test_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reference"]) == 0
    assert "### `flink_health_task_skew_ratio`\n" in capsys.readouterr().out


def test_the_rules_are_the_committed_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules"]) == 0
    assert capsys.readouterr().out == ALERTS.read_text()


def test_the_rules_of_somebody_who_wants_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "exporter.yml"
    symptoms = {
        "patience": 0.5,
        "runbook_url": "https://wiki.example.com/{name}",
        "disabled": [symptom.name for symptom in SYMPTOMS if symptom.name not in ("checkpoint_slow", "skew")],
        "overrides": {
            "checkpoint_slow": {"warning": {"threshold": 3, "lasting": "10m"}, "critical": "off"},
            "skew": {"warning": "off", "critical": {"threshold": 4, "lasting": "1h"}, "calm": "0s"},
        },
    }
    path.write_text(yaml.safe_dump({"symptoms": symptoms}))
    assert main(["rules", "--config.file", str(path)]) == 0
    (group,) = yaml.safe_load(capsys.readouterr().out)["groups"]
    slow, skew = group["rules"]
    assert (slow["alert"], slow["labels"]["severity"], slow["for"]) == ("FlinkCheckpointSlow", "warning", "5m")
    assert slow["expr"].splitlines()[0].endswith("(flink_health_job_checkpoint_duration_ratio) > 3")
    assert slow["annotations"]["runbook_url"] == "https://wiki.example.com/checkpoint-slow"
    assert (skew["alert"], skew["labels"]["severity"], skew["for"]) == ("FlinkSkew", "critical", "30m")
    assert skew["expr"].endswith(" > 4")
    assert "keep_firing_for" not in skew


def test_the_reference_of_no_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["reference", "--check"]) == 2
    problem = f"{tmp_path}: expected the folder of a source checkout"
    assert capsys.readouterr().err == f"flink-health-exporter: {problem}\n"


# ---- The program as its users run it


PROGRAM = [sys.executable, "-m", "exporter"]


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(["--nonsense"], f"unknown flag --nonsense; flags of serve are {SERVE_FLAGS}", id="unknown flag"),
        pytest.param(
            ["--web.listen-address", "192.0.2.1:9449"],
            "cannot listen on 192.0.2.1:9449: Cannot assign requested address",
            id="an address of somebody else",
        ),
    ],
)
def test_a_start_that_cannot_be(arguments: list[str], problem: str) -> None:
    ended = ran(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"flink-health-exporter: {problem}\n"


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = ran("--web.listen-address", address, "--flink.url", NOBODY)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"flink-health-exporter: cannot listen on {address}: Address already in use\n"


class Exporter:
    """The program, serving on a port of its own; its log is read as it is written."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, "--web.listen-address", "127.0.0.1:0", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = 0

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self.log.append(line.rstrip("\n"))

    def line(self, part: str) -> str:
        """The first line of the log with these words; waits for it."""
        until(lambda: any(part in line for line in self.log), lambda: f"{part!r} in {self.log}")
        return next(line for line in self.log if part in line)

    def get(self, path: str) -> tuple[int, str]:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()

    def metrics(self) -> dict[str, float]:
        """The series of the page by their text."""
        lines = self.get("/metrics")[1].splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def shows(self, cluster: str, *, reloaded: bool) -> None:
        """Waits until a cluster is on the page and the last attempt to load the configuration went well or did not."""
        expected = {
            f'flink_health_cluster_up{{cluster="{cluster}"}}': 0,
            "flink_exporter_config_last_reload_successful": reloaded,
        }
        until(lambda: self.metrics().items() >= expected.items(), lambda: f"{expected} in {self.metrics()}")

    def ends(self, number: signal.Signals) -> int:
        """Sends the signal; the exit code, if that comes within five seconds."""
        self.process.send_signal(number)
        code = self.process.wait(5)
        self._reader.join(5)
        return code


def until(met: Callable[[], bool], told: Callable[[], str]) -> None:
    deadline = time.monotonic() + 10
    while not met():
        assert time.monotonic() < deadline, f"waited in vain for {told()}"
        time.sleep(0.02)


@contextmanager
def exporter(*arguments: str) -> Iterator[Exporter]:
    started = Exporter(*arguments)
    try:
        started.port = int(re.findall(r"address=127\.0\.0\.1:(\d+)", started.line("msg=serving "))[0])
        yield started
    finally:
        started.process.kill()
        started.process.wait()
        started._reader.join(5)


def levels(log: list[str]) -> list[str]:
    """The level and the message of each line."""
    return [re.sub(r"^time=\S+ level=(\w+) logger=\S+ msg=", r"\1 ", line) for line in log]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    with exporter("--flink.url", NOBODY) as running:
        until(lambda: running.get("/-/ready")[0] == 200, lambda: f"ready: {running.log}")
        assert running.get("/-/healthy")[0] == 200
        page = running.metrics()
        ours = {name: value for name, value in page.items() if name.startswith("flink_health_")}
        assert ours == {
            'flink_health_cluster_up{cluster="default"}': 0,
            'flink_health_cluster_state{cluster="default",state="unreachable"}': 1,
        }
        assert page["flink_exporter_config_last_reload_successful"] == 1
        assert running.ends(number) == 0
        refused = f"{NOBODY}/overview: connection refused; is Flink's REST endpoint there?"
        assert levels(running.log) == [
            f"info serving address=127.0.0.1:{running.port} clusters=1",
            f'warn "{refused}" cluster=default',
            "info stopping",
        ]


def test_it_stops_while_flink_keeps_it_waiting() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        exporter("--flink.url", f"http://127.0.0.1:{silent.getsockname()[1]}") as running,
    ):
        silent.settimeout(5)
        connection, _ = silent.accept()
        with connection:
            assert running.get("/-/ready") == (503, "not ready: the first cycle has not finished\n")
            assert running.ends(signal.SIGTERM) == 0


class Html(BaseHTTPRequestHandler):
    """A web server that is no Flink."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>\n  <title>It works!</title>\n</html>")

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_server_that_is_no_flink_is_told_of_once(tmp_path: Path) -> None:
    with served(Html) as url:
        config = tmp_path / "exporter.yml"
        config.write_text(f"interval: 1s\nclusters: [{{name: prod, url: '{url}'}}]\n")
        with exporter("--config.file", str(config)) as running:
            # Two cycles, for the second must not say it again.
            cycles = 'flink_exporter_cycle_duration_seconds_count{cluster="prod"}'
            until(lambda: running.metrics().get(cycles, 0) >= 2, lambda: f"two cycles: {running.log}")
            page = running.metrics()
            assert page['flink_health_cluster_up{cluster="prod"}'] == 0
            assert page['flink_health_cluster_state{cluster="prod",state="invalid"}'] == 1
            problem = f"{url}/overview: expected Flink's JSON, got <html> <title>It works!</title> </html>"
            assert escape(problem).replace("&#x27;", "&#39;") in running.get("/")[1]
            assert running.ends(signal.SIGTERM) == 0
            assert levels(running.log)[1:] == [f'warn "{problem}" cluster=prod', "info stopping"]


def test_it_reloads_and_keeps_what_it_has_where_the_new_is_wrong(tmp_path: Path) -> None:
    config = tmp_path / "exporter.yml"
    config.write_text(f"clusters: [{{name: old, url: '{NOBODY}'}}]")
    with exporter("--config.file", str(config)) as running:
        running.shows("old", reloaded=True)

        config.write_text("intervall: 15s\nclusters: []")
        running.process.send_signal(signal.SIGHUP)
        running.shows("old", reloaded=False)

        config.write_text(f"clusters: [{{name: new, url: '{NOBODY}'}}]")
        running.process.send_signal(signal.SIGHUP)
        running.shows("new", reloaded=True)
        # What is gone from the configuration is gone from the page, with all that was told of it.
        assert [name for name in running.metrics() if 'cluster="old"' in name] == []

        assert running.ends(signal.SIGTERM) == 0
        wrong = 'error "the configuration is wrong, the old one stays: '
        assert [line for line in levels(running.log) if "configuration" in line] == [
            f'{wrong}{config}:1: intervall: unknown key; did you mean interval?"',
            f'{wrong}{config}:2: clusters: expected at least one cluster"',
            'info "the configuration was loaded anew; web and log take effect at the next start"',
        ]


def test_it_judges_by_the_symptoms_that_it_is_told_to(tmp_path: Path) -> None:
    config = tmp_path / "exporter.yml"
    # A tenth of a second in which nobody must answer, rather than half a minute: the second cycle tells.
    told = "symptoms: {patience: 0.1, overrides: {cluster_unreachable: {warning: {lasting: 1s}, critical: off}}}"
    symptom = 'flink_health_cluster_symptom{cluster="a",severity="warning",symptom="cluster_unreachable"}'
    cluster = f"interval: 1s\nclusters: [{{name: a, url: '{NOBODY}'}}]\n"
    config.write_text(cluster + told)
    with exporter("--config.file", str(config)) as running:
        until(lambda: running.metrics().get(symptom) == 1, lambda: f"{symptom} in {running.metrics()}")

        def since() -> float:
            (finding,) = json.loads(running.get("/api/v1/health")[1])["clusters"][0]["findings"]
            return float(finding["since"])

        before = since()
        config.write_text(cluster + told.replace("1s", "2s"))
        running.process.send_signal(signal.SIGHUP)
        running.line("loaded anew")
        assert since() == before, "a change of the symptoms forgets nothing"

        config.write_text(cluster + "symptoms: {disabled: [cluster_unreachable]}")
        running.process.send_signal(signal.SIGHUP)
        until(lambda: symptom not in running.metrics(), lambda: f"no {symptom}")
        running.shows("a", reloaded=True)
        assert running.ends(signal.SIGTERM) == 0
