"""What is left of the processes when the program that started them is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from exporter.demo.leash import Leash
from tests.demo.processes import gone

_PROGRAM = """
import subprocess, sys, time
from pathlib import Path
from exporter.demo.leash import Leash

leash = Leash(Path(sys.argv[1]))
child = subprocess.Popen(["sleep", "600"])
leash.tie(child.pid)
print(child.pid, leash.pid, flush=True)
time.sleep(600)
"""


def test_a_killed_program_takes_its_processes_and_its_folder_along(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", _PROGRAM, folder], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        child, watchdog = map(int, program.stdout.readline().split())
        program.send_signal(signal.SIGKILL)
    assert gone(child)
    assert gone(watchdog)
    assert not folder.exists()


def test_what_has_been_untied_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as tied, subprocess.Popen(["sleep", "600"]) as untied:
        leash = Leash()
        leash.tie(tied.pid)
        leash.tie(untied.pid)
        leash.untie(untied.pid)
        leash.close()
        assert tied.wait(10) == -signal.SIGKILL
        assert untied.poll() is None
        untied.kill()


def test_a_folder_with_telling_logs_stays(tmp_path: Path) -> None:
    leash = Leash(tmp_path)
    leash.keep_folder()
    leash.close()
    assert tmp_path.exists()


def test_a_killed_watchdog_does_not_stop_an_orderly_end() -> None:
    leash = Leash()
    os.kill(leash.pid, signal.SIGKILL)
    time.sleep(0.1)
    leash.tie(1_000_000)
    leash.close()
