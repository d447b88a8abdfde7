"""What ends the JVMs when this program is gone without a word?

A small process of its own holds the reading end of a pipe that only this program writes to. It is told of every
process that starts and ends; when the pipe closes, be it by SIGKILL, it ends those that are left and removes the run
folder. (Linux alone could do so by prctl(PR_SET_PDEATHSIG), and then when the *thread* ends that started a process.)
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path


class Leash:
    """Ends the processes it knows, and removes `folder` if there is one, when this program ends."""

    def __init__(self, folder: Path | None = None) -> None:
        command = [sys.executable, "-I", "-S", __file__, *([str(folder)] if folder else [])]
        self._watchdog = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)

    @property
    def pid(self) -> int:
        return self._watchdog.pid

    def tie(self, pid: int) -> None:
        self._say(f"+{pid}")

    def untie(self, pid: int) -> None:
        """`pid` has ended and may soon be the number of another process."""
        self._say(f"-{pid}")

    def keep_folder(self) -> None:
        """Something went wrong, and the folder's logs tell what."""
        self._say("keep")

    def close(self) -> None:
        """End what is still tied."""
        with contextlib.suppress(BrokenPipeError):
            if self._watchdog.stdin:
                self._watchdog.stdin.close()
        self._watchdog.wait()

    def _say(self, line: str) -> None:
        if self._watchdog.stdin and not self._watchdog.stdin.closed:
            # Were the watchdog killed, its absence must not keep an orderly stop from going on.
            with contextlib.suppress(BrokenPipeError):
                print(line, file=self._watchdog.stdin, flush=True)


def watch(told: Iterable[str], folders: list[str]) -> None:
    """Listen until the pipe closes, then end what is left."""
    tied: set[int] = set()
    for line in told:
        match line[0]:
            case "+":
                tied.add(int(line[1:]))
            case "-":
                tied.discard(int(line[1:]))
            case _:
                folders = []
    for pid in tied:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    watch(sys.stdin, sys.argv[1:])
