"""Jars of the Java world that the tests need beside Flink, fetched by Maven at first use."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from exporter.demo.distribution import Distribution
from exporter.demo.packages import default_cache
from tests.needed import program

_POM = """\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>tests</groupId><artifactId>jars</artifactId><version>1</version>
  <dependencies>{}</dependencies>
</project>
"""
_DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"


def jars(*coordinates: str, alone: bool = False) -> Path:
    """A folder with the jars of these `group:artifact:version`, and with all that they need, unless `alone`."""
    parts = [tuple(each.split(":")) for each in coordinates]
    folder = default_cache() / "jars" / "+".join(f"{artifact}-{version}" for _, artifact, version in parts)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".partial-") as partial:
        pom, fetched = Path(partial, "pom.xml"), Path(partial, "lib")
        pom.write_text(_POM.format("".join(_DEPENDENCY.format(*each) for each in parts)))
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DexcludeTransitive={str(alone).lower()}"]
        options = ["--batch-mode", "--quiet", "--file", str(pom), f"-DoutputDirectory={fetched}"]
        command = [program("maven"), *options, *goal]
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert ran.returncode == 0, ran.stdout.decode()
        try:
            fetched.rename(folder)  # either not there or whole
        except OSError:
            assert folder.is_dir()  # another run was faster
    return folder


def with_jars(flink: Distribution, home: Path, *more: Path) -> Distribution:
    """The same Flink with the jars of more folders in its lib; `home` gets links to all of it."""
    (home / "lib").mkdir(parents=True)
    for part in ("opt", "plugins"):
        (home / part).symlink_to(flink.home / part)
    for folder in (flink.lib, *more):
        for jar in folder.glob("*.jar"):
            (home / "lib" / jar.name).symlink_to(jar)
    return replace(flink, home=home)
