"""Does Grafana's own linter find nothing to say?"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from grafana.build import BOARDS, FOLDER
from tests.grafana.boards import board
from tests.grafana.linter import NoLinter, linter
from tests.needed import missing


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return linter()
    except NoLinter as error:
        missing(str(error))


def lint(program: Path, dashboard: Path) -> subprocess.CompletedProcess[str]:
    command = [str(program), "lint", "--strict", "--config", str(FOLDER / ".lint"), str(dashboard)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", BOARDS)
def test_the_linter_has_nothing_to_say(program: Path, name: str) -> None:
    done = lint(program, FOLDER / name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_linter_would_say_it(program: Path, tmp_path: Path) -> None:
    broken = json.loads(json.dumps(board("fleet.json")))
    broken["panels"][0]["targets"][0]["expr"] += " +"
    broken["panels"][1]["description"] = ""
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    done = lint(program, tmp_path / "broken.json")
    assert done.returncode != 0
    assert "invalid PromQL query" in done.stdout
    assert "missing title or description" in done.stdout
