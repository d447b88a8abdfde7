"""What the person at the terminal sees."""

from __future__ import annotations

import io
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from exporter.demo import command
from exporter.demo.errors import DemoError
from exporter.demo.interrupts import sigterm_is_one, undisturbed
from exporter.demo.jobs import ORDERS, PAYMENTS
from exporter.demo.jvm import how_it_ended
from exporter.demo.progress import ProgressLine, line


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_step_has_a_bar_if_its_share_is_known() -> None:
    assert line("downloading", 0.5) == "████████████░░░░░░░░░░░░  50%  downloading"
    assert line("downloading", 1.01) == "████████████████████████ 100%  downloading"
    assert line("starting Flink", None) == "starting Flink …"


def test_a_terminal_sees_one_line_that_changes() -> None:
    terminal = _Terminal()
    progress = ProgressLine(terminal)
    progress("one")
    progress("two")
    progress.clear()
    assert terminal.getvalue() == "\r\x1b[2Kone …\r\x1b[2Ktwo …\r\x1b[2K"


def test_a_file_sees_each_step_once() -> None:
    log = io.StringIO()
    progress = ProgressLine(log)
    for share in (0.1, 0.2, 0.3):
        progress("downloading", share)
    progress("starting")
    progress.clear()
    assert log.getvalue() == "downloading\nstarting\n"


def test_the_jobs_are_listed_with_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    reporters = ["http://localhost:9249/metrics", "http://localhost:9250/metrics"]
    assert command.describe("2.3.0", "http://localhost:8081", reporters, (PAYMENTS, ORDERS)) == (
        "Flink 2.3.0      http://localhost:8081\n"
        "native reporters http://localhost:9249/metrics http://localhost:9250/metrics\n"
        "\n"
        "  payments-healthy  Nothing: even keys, an advancing watermark, quick\n"
        "                    checkpoints.\n"
        "  orders-skewed     Nine orders in ten have the same customer, so one of two\n"
        "                    subtasks gets 95 % of the records.\n"
    )


@pytest.mark.parametrize(
    ("available", "fits"),
    [
        pytest.param("4000000 kB", True, id="enough"),
        pytest.param("1000000 kB", False, id="too little"),
        pytest.param("0 kB", True, id="not told"),
    ],
)
def test_memory_is_looked_at_first(available: str, fits: bool, tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal: 8000000 kB\nMemAvailable: {available}\n")
    if fits:
        command.check_memory(2, meminfo)
    else:
        # 700 + 2 * 550 = 1800; 1,000,000 / 1024 = 976
        with pytest.raises(DemoError, match=r"^the demo takes about 1800 MiB of memory, and 976 MiB are available$"):
            command.check_memory(2, meminfo)


def test_where_the_machine_does_not_tell_its_memory_the_demo_goes_on(tmp_path: Path) -> None:
    command.check_memory(100, tmp_path / "meminfo")


def test_no_taskmanager_is_no_demo() -> None:
    with pytest.raises(DemoError, match=r"^the demo needs at least one TaskManager$"):
        command.run(taskmanagers=0)


@pytest.mark.parametrize(
    ("code", "tail", "end"),
    [
        pytest.param(-9, "INFO all is well", "was ended by SIGKILL", id="by a signal: the log cannot say why"),
        pytest.param(
            1,
            "INFO starting\njava.net.BindException: Could not bind\n\tat java.base/x\n",
            "ended with code 1: java.net.BindException: Could not bind",
            id="the exception, not its last frame",
        ),
        pytest.param(1, "INFO a\nINFO b\n", "ended with code 1: INFO b", id="else the last line"),
        pytest.param(1, "", "ended with code 1: its log is empty", id="no log"),
    ],
)
def test_how_a_jvm_ended(code: int, tail: str, end: str) -> None:
    assert how_it_ended(code, tail) == end


def test_sigterm_is_an_interrupt_within_the_block() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_is_one():
        _signals_to_itself(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_interrupt_waits_for_what_must_not_be_torn_apart() -> None:
    done: list[str] = []

    def interrupted() -> None:
        with undisturbed():
            _signals_to_itself(signal.SIGTERM)
            done.append("all of it")
        done.append("no more")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_interrupt_does_not_wait() -> None:
    with pytest.raises(KeyboardInterrupt), undisturbed():
        _signals_to_itself(signal.SIGINT, signal.SIGINT)


def test_where_no_interrupt_comes_nothing_is_put_off() -> None:
    def in_a_thread() -> str:
        with undisturbed():
            return "done"

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(in_a_thread).result() == "done"


def _signals_to_itself(*numbers: int) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)
        time.sleep(0.01)  # Python handles a signal between two steps
