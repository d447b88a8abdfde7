"""What can go wrong in the demo, said in one line."""

from __future__ import annotations

from pathlib import Path


class DemoError(Exception):
    """The demo cannot go on; the text is one line for the person at the terminal."""

    def __init__(self, text: str, *, log: Path | None = None, tail: str = "") -> None:
        super().__init__(text)
        self.log = log  # the file that says more
        self.tail = tail  # its last lines


MISSING_EXTRA = "the demo needs the extra: pip install 'flink-health-exporter[demo]'"
