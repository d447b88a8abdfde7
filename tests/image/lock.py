"""The image's dependencies, each pinned with the hashes of its files. `python -m tests.image.lock` renews the pins.

Present pins stay as long as pyproject.toml admits them; with `--upgrade` all of them become the newest.
"""

from __future__ import annotations

import sys
import tempfile
import tomllib
from pathlib import Path

from tests.chart.tools import run, tool

ROOT = Path(__file__).parent.parent.parent
_HEAD = "# Generated from pyproject.toml by `python -m tests.image.lock`; do not edit.\n"


def locks() -> dict[Path, list[str]]:
    """What each lock file must satisfy."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {
        ROOT / "config/requirements.lock": project["project"]["dependencies"],
        ROOT / "config/requirements-build.lock": project["build-system"]["requires"],
    }


def resolved(present: str, wanted: list[str], *, upgrade: bool = False) -> str:
    """What a lock file should hold, for every platform and every Python that the exporter runs on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = project["requires-python"].removeprefix(">=")
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "lock"
        lock.write_text(present)
        options = ["--universal", f"--python-version={oldest}", "--generate-hashes", "--no-header", "--quiet"]
        options += ["--no-config", "--no-annotate", f"--output-file={lock}", *(["--upgrade"] if upgrade else [])]
        run(tool("uv"), "pip", "compile", *options, "-", given="\n".join(wanted))
        return _HEAD + lock.read_text()


def main() -> None:
    """Renews the lock files."""
    for path, wanted in locks().items():
        present = path.read_text() if path.is_file() else ""
        path.write_text(resolved(present, wanted, upgrade="--upgrade" in sys.argv))


if __name__ == "__main__":
    main()
