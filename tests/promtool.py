"""Prometheus's own opinion of metrics, rules and configurations."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.needed import program


def ask(*arguments: str | Path, page: bytes = b"", folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs promtool, however it ends. page: what it is to read; folder: where."""
    command = [program("prometheus"), *arguments]
    ended = subprocess.run(command, input=page, cwd=folder, capture_output=True, timeout=120, check=False)
    return subprocess.CompletedProcess(command, ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def promtool(*arguments: str | Path) -> None:
    """Runs promtool, which must have nothing against it; what it says is the failure's text."""
    ended = ask(*arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def check_metrics(page: bytes) -> None:
    """Promtool must not find anything to say of a page."""
    ended = ask("check", "metrics", page=page)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)
