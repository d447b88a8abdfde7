"""Programs that tests need and Python's packages do not bring."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

# By Debian's package, the program's names: Debian's own, and everybody else's.
_NAMES = {
    "prometheus": ("promtool",),
    "prometheus-alertmanager": ("prometheus-alertmanager", "alertmanager"),
    "maven": ("mvn",),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
}


def program(package: str) -> str:
    """The path of a program; without it the test is skipped, or fails where CI is true."""
    found = next((path for name in _NAMES[package] if (path := shutil.which(name))), None)
    return found or missing(f"{_NAMES[package][0]} is needed: Debian has it in its package {package}")


def missing(what: str) -> NoReturn:
    """Skips the test for want of something, or fails it where CI is true."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)
