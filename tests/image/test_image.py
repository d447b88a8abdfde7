"""Would the image build, on both platforms, from what is pinned, and hold no more than it needs?"""

from __future__ import annotations

import ast
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exporter import __version__
from tests.chart.tools import run, tool
from tests.image import lock

ROOT = Path(__file__).parent.parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LOCKS = list(lock.locks())
# What runs on the base image's glibc.
PLATFORMS = {
    "amd64": ("manylinux_2_28_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64"),
    "arm64": ("manylinux_2_28_aarch64", "manylinux2014_aarch64", "manylinux_2_17_aarch64"),
}


def instructions(word: str) -> list[str]:
    """The arguments of every such instruction."""
    joined = re.sub(r"\\\n(?:#.*\n)*", " ", DOCKERFILE)
    return [line.removeprefix(word).strip() for line in joined.splitlines() if line.startswith(f"{word} ")]


def test_hadolint_finds_nothing_to_say() -> None:
    run(tool("hadolint"), "--no-color", "--failure-threshold=style", str(ROOT / "Dockerfile"))


def test_every_stage_is_of_one_image_by_version_and_digest() -> None:
    (python,) = (arg for arg in instructions("ARG") if arg.startswith("PYTHON="))
    assert re.fullmatch(r"PYTHON=python:\d+\.\d+\.\d+-slim-trixie@sha256:[0-9a-f]{64}", python)
    assert instructions("FROM") == ["${PYTHON} AS build", "${PYTHON}"]


def test_it_does_not_run_as_root() -> None:
    (user,) = instructions("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user), "a number, or Kubernetes cannot tell"


def test_it_is_of_this_version() -> None:
    assert f"VERSION={__version__}" in instructions("ARG")


# ---- Dependencies


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_the_lock_is_what_pyproject_asks_for(path: Path) -> None:
    current = lock.resolved(path.read_text(), lock.locks()[path]) == path.read_text()
    assert current, f"{path.relative_to(ROOT)}: not current; run: python -m tests.image.lock"


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_dependency_has_a_wheel_with_a_known_hash(path: Path, platform: str, tmp_path: Path) -> None:
    """As the Dockerfile installs them, for its Python and each platform: nothing is compiled."""
    (version,) = re.findall(r"PYTHON=python:(\d+\.\d+)\.", DOCKERFILE)
    options = [f"--platform={each}" for each in PLATFORMS[platform]]
    options += [f"--python-version={version}", "--only-binary=:all:", "--require-hashes", "--no-deps", "--quiet"]
    run(sys.executable, "-m", "pip", "download", *options, "--dest", str(tmp_path), "-r", str(path))
    pinned = re.findall(r"^([a-z0-9-]+)==", path.read_text(), re.MULTILINE)
    assert len(list(tmp_path.iterdir())) == len(pinned)


# ---- What goes in


def test_what_is_copied_is_let_in_and_nothing_else() -> None:
    copied = {name for line in instructions("COPY") if not line.startswith("--from") for name in line.split()[:-1]}
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == admitted
    assert all((ROOT / name).exists() for name in copied)
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()


def test_the_wheel_is_built_from_what_is_copied(tmp_path: Path) -> None:
    """And twice the same, to the bit."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "exporter", source / "exporter", ignore=shutil.ignore_patterns("__pycache__"))
    digests = set()
    for number in ("1", "2"):
        # Other times, another folder, another order on the disk: none of it may show.
        folder = shutil.copytree(source, tmp_path / number, copy_function=shutil.copyfile)
        run(
            *(tool("uv"), "build", "--wheel", "--quiet", "--no-config", "--require-hashes"),
            *("--build-constraints", str(ROOT / "config/requirements-build.lock")),
            *("--python", sys.executable, "--out-dir", str(tmp_path / f"dist-{number}"), str(folder)),
            env={"SOURCE_DATE_EPOCH": "1700000000"},
        )
        (wheel,) = (tmp_path / f"dist-{number}").glob("*.whl")
        digests.add(hashlib.sha256(wheel.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_the_health_check_asks_the_exporter() -> None:
    """It is Python, which is there; and it fails where nothing listens."""
    (check,) = instructions("HEALTHCHECK")
    command = ast.literal_eval(check.partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    assert "http://127.0.0.1:9449/-/healthy" in command[2]
    nowhere = command[2].replace(":9449", ":1")
    assert subprocess.run([sys.executable, "-c", nowhere], check=False, capture_output=True).returncode != 0
