"""From an archive to a folder in the cache."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from exporter.demo import packages
from exporter.demo.errors import DemoError


def _silent(doing: str, share: float | None) -> None:
    pass


def _everything(member: PurePosixPath) -> PurePosixPath:
    return PurePosixPath(*member.parts[1:])


def _wheel(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, mode in {"p/bin/java": 0o755, "p/lib/a.jar": 0o644, "p/../../escaped": 0o644}.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, name)
    return path


def _source_archive(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, mode in {"p/bin/java": 0o755, "p/lib/a.jar": 0o644, "p/../../escaped": 0o644}.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(name), mode
            archive.addfile(info, io.BytesIO(name.encode()))
    return path


@pytest.mark.parametrize(
    ("make", "name"),
    [
        pytest.param(_wheel, "p.whl", id="wheel"),
        pytest.param(_source_archive, "p.tar.gz", id="source archive"),
    ],
)
def test_an_archive_becomes_a_folder_once(
    make: Callable[[Path], Path], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads: list[str] = []

    def download(requirement: str, into: Path, progress: packages.Progress) -> Path:
        downloads.append(requirement)
        return make(tmp_path / name)

    monkeypatch.setattr(packages, "_download", download)
    folder = tmp_path / "cache/p-1"
    for _ in range(2):
        assert packages.ready(folder, "p==1", _everything, _silent) == folder
    assert downloads == ["p==1"]
    assert (folder / "lib/a.jar").read_text() == "p/lib/a.jar"
    assert (folder / "bin/java").stat().st_mode & 0o111
    assert not (folder / "lib/a.jar").stat().st_mode & 0o111
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["p-1"]
    assert not (tmp_path / "escaped").exists()


def test_a_failed_download_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(requirement: str, into: Path, progress: packages.Progress) -> Path:
        into.mkdir()
        raise DemoError("no")

    monkeypatch.setattr(packages, "_download", download)
    with pytest.raises(DemoError):
        packages.ready(tmp_path / "cache/p-1", "p==1", _everything, _silent)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DemoError, match=r"^cannot fill the cache folder .*cache: "):
        packages.ready(tmp_path / "cache/p-1", "p==1", _everything, _silent)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        pytest.param(
            [
                "ERROR: Could not find a version that satisfies the requirement p==9 (from versions: 1, 2)",
                "ERROR: No matching distribution found for p==9",
            ],
            "the package index has no p==9 for this platform",
            id="unknown version",
        ),
        pytest.param(
            [
                "ERROR: Could not find a version that satisfies the requirement p==9 (from versions: none)",
                "ERROR: No matching distribution found for p==9",
            ],
            "cannot download p==9: the package index is out of reach",
            id="offline",
        ),
        pytest.param(
            ["Collecting p==9", "ERROR: Could not install: No space left on device"],
            "cannot download p==9: Could not install: No space left on device",
            id="anything else, in pip's words",
        ),
        pytest.param([], "cannot download p==9: pip said nothing", id="nothing"),
    ],
)
def test_why_pip_failed(said: list[str], why: str) -> None:
    assert packages.why("p==9", said) == why


def test_progress_of_pip_is_passed_on() -> None:
    shares: list[float | None] = []
    lines = io.StringIO("Collecting p\nProgress 0 of 200\nProgress 50 of 200\nSaved p\n")
    others = list(packages.follow(lines, "p", lambda doing, share: shares.append(share)))
    assert shares == [0.0, 0.25]  # 50 / 200
    assert others == ["Collecting p", "Saved p"]
