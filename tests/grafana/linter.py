"""Grafana's own dashboard linter, built once from its Go module and kept in the user's cache.

It is built from its source less two parts (see absent.go): one of them needs a module that is not to be had everywhere,
the other a hundred more. `go install` does not do, for the module replaces another in its go.mod.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

MODULE, VERSION = "github.com/grafana/dashboard-linter", "v0.3.0"
_ABSENT = Path(__file__).with_name("absent.go")
_REPLACED = ("lint/v2.go", "lint/rule_target_logql_auto.go")


class NoLinter(Exception):
    """It cannot be built here. The text says why."""


def linter() -> Path:
    """The program. The first call takes a minute or two, and about 700 MB of modules. Raises NoLinter."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    program = cache / "flink-health-exporter" / "bin" / f"dashboard-linter-{VERSION}"
    if not program.is_file():
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=program.parent) as folder:
            # Renamed when it is whole, so that nobody runs half of it.
            _build(Path(folder) / "source", Path(folder) / "linter").replace(program)
    return program


def _build(source: Path, to: Path) -> Path:
    if shutil.which("go") is None:
        raise NoLinter("there is no go")
    # Outside of any module. The checksum database vouches for what comes.
    told = json.loads(_go(to.parent, "mod", "download", "-json", f"{MODULE}@{VERSION}"))
    # Without the permissions, for a module cache cannot be written to.
    shutil.copytree(told["Dir"], source, copy_function=shutil.copyfile)
    for folder in (source, *(path for path in source.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    for name in _REPLACED:
        (source / name).unlink()
    shutil.copyfile(_ABSENT, source / "lint" / _ABSENT.name)
    _go(source, "build", "-o", str(to), ".")
    return to


def _go(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["go", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoLinter(f"go {arguments[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
