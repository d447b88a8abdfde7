"""How does an archive of the package index become a folder in the cache?"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import IO

from exporter.demo.errors import DemoError

Progress = Callable[[str, float | None], None]
"""Told what is being done, and the share of it that is done (None: unknown)."""

Keep = Callable[[PurePosixPath], PurePosixPath | None]
"""Where in the folder a member of the archive goes; None leaves it out."""

Member = tuple[str, bool, Callable[[], IO[bytes]]]
"""The name of a file in an archive, whether it is executable, and its content."""

_RAW_PROGRESS = re.compile(r"^Progress (\d+) of (\d+)$")


def ready(folder: Path, requirement: str, keep: Keep, progress: Progress) -> Path:
    """Return `folder`, filled from the archive of `requirement` unless an earlier run has done so."""
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".partial-") as partial:
            archive = _download(requirement, Path(partial) / "download", progress)
            _unpack(archive, Path(partial) / "tree", keep, progress)
            _move_into_place(Path(partial) / "tree", folder)
    except OSError as error:
        raise DemoError(f"cannot fill the cache folder {folder.parent}: {error}") from error
    return folder


def _move_into_place(tree: Path, folder: Path) -> None:
    """Rename, so that a folder is either not there or whole; another run may have been faster."""
    try:
        tree.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _download(requirement: str, into: Path, progress: Progress) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise DemoError(f"downloading {requirement} needs pip in this environment: python -m ensurepip")
    into.mkdir()
    progress(f"downloading {requirement}", None)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check"]
    command += ["--progress-bar", "raw" if _pip_tells_progress() else "off", "--dest", str(into), requirement]
    # In a session of its own, so that a Ctrl-C reaches us alone; what it leaves behind when killed goes with `into`.
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"TMPDIR": str(into)},
        start_new_session=True,
    ) as pip:
        try:
            said = list(follow(pip.stdout, requirement, progress))
        except BaseException:
            os.killpg(pip.pid, signal.SIGKILL)
            raise
    if pip.returncode != 0:
        raise DemoError(why(requirement, said))
    return next(path for path in into.iterdir() if path.suffix in {".whl", ".gz", ".zip"})


def _pip_tells_progress() -> bool:
    major, minor = (int(part) for part in metadata.version("pip").split(".")[:2])
    return (major, minor) >= (24, 1)


def follow(lines: IO[str] | None, requirement: str, progress: Progress) -> Iterator[str]:
    """Pass on pip's progress, and yield its other lines."""
    for line in lines or ():
        if found := _RAW_PROGRESS.match(line.strip()):
            done, total = int(found[1]), int(found[2])
            progress(f"downloading {requirement}", done / total if total else None)
        else:
            yield line.strip()


def why(requirement: str, said: list[str]) -> str:
    """What pip's last words mean, on one line."""
    if any("(from versions: none)" in line for line in said):
        return f"cannot download {requirement}: the package index is out of reach"
    if any("No matching distribution found" in line for line in said):
        return f"the package index has no {requirement} for this platform"
    errors = [line for line in said if line.startswith("ERROR:")] or said or ["pip said nothing"]
    return f"cannot download {requirement}: {errors[-1].removeprefix('ERROR:').strip()}"


def _unpack(archive: Path, tree: Path, keep: Keep, progress: Progress) -> None:
    progress(f"unpacking {archive.name}", None)
    tree.mkdir()
    for name, executable, content in _members(archive):
        place = keep(PurePosixPath(name))
        if place is None or place.is_absolute() or ".." in place.parts:
            continue
        target = tree / place
        target.parent.mkdir(parents=True, exist_ok=True)
        with content() as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        if executable:
            target.chmod(0o755)
    if not any(tree.iterdir()):
        raise DemoError(f"{archive.name} holds nothing of what was expected")


def _members(archive: Path) -> Iterator[Member]:
    """Every file of a wheel or a source archive, in the order of the archive."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            for info in wheel.infolist():
                if not info.is_dir():
                    # The upper half holds the Unix mode.
                    yield info.filename, bool(info.external_attr >> 16 & 0o111), partial(wheel.open, info)
    else:
        with tarfile.open(archive) as source:
            for member in source:
                if member.isfile():
                    yield member.name, bool(member.mode & 0o111), partial(_open, source, member)


def _open(source: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = source.extractfile(member)
    if content is None:
        raise OSError(f"{member.name} is not a file")
    return content


def default_cache() -> Path:
    """Where downloads stay from one demo to the next."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "flink-health-exporter"
