"""How does the person at the terminal see what is going on?"""

from __future__ import annotations

import shutil
from typing import TextIO

_BACK_AND_CLEAR = "\r\x1b[2K"
_BAR = 24


class ProgressLine:
    """One line that is drawn again and again on a terminal, and a line for each step elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._redraws = stream.isatty()
        self._doing = ""

    def __call__(self, doing: str, share: float | None = None) -> None:
        """Say what is being done; `share` of it is done (None: unknown)."""
        if self._redraws:
            width = shutil.get_terminal_size().columns - 1
            self._write(_BACK_AND_CLEAR + line(doing, share)[:width])
        elif doing != self._doing:
            self._write(f"{doing}\n")
        self._doing = doing

    def clear(self) -> None:
        """Leave room for other output."""
        if self._redraws:
            self._write(_BACK_AND_CLEAR)
        self._doing = ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def line(doing: str, share: float | None) -> str:
    """A step with a bar, if it is known how much of it is done."""
    if share is None:
        return f"{doing} …"
    full = round(min(share, 1.0) * _BAR)
    return f"{'█' * full}{'░' * (_BAR - full)} {min(share, 1.0):4.0%}  {doing}"
