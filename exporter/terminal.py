"""What fits on a terminal? Text by the columns it takes, colour where somebody looks, and a screen that is redrawn."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import TextIO

from exporter.columns import cut, fitting, width

# Where nobody says how wide it is: a pipe, a log.
_USUAL = (80, 24)
# Below this a report is not readable anyway.
_NARROWEST = 24

_HOME, _CLEAR_BELOW, _CLEAR_LINE = "\x1b[H", "\x1b[J", "\r\x1b[2K"
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


def clean(text: str) -> str:
    """Text of somebody else's: a name may hold a line break, or what moves the cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def wrap(text: str, most: int, first: str = "", then: str | None = None) -> list[str]:
    """Lines of no more than `most` columns. first: how the first begins; then: the others, blanks unless said.

    A word that is wider than a line is broken.
    """
    begins = " " * width(first) if then is None else then
    lines, line = [], first
    free = True  # nothing stands in the line but its beginning
    for word in text.split():
        rest = word
        while rest:
            gap = "" if free else " "
            if width(line) + len(gap) + width(rest) <= most:
                line, rest, free = line + gap + rest, "", False
            elif free:
                room = max(1, fitting(rest, most - width(line)))  # it must come to an end
                lines.append(line + rest[:room])
                line, rest = begins, rest[room:]
            else:
                lines.append(line)
                line, free = begins, True
    return lines if free and lines else [*lines, line.rstrip()]


class Paint:
    """Colours text, or does not."""

    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def __call__(self, text: str, *styles: str) -> str:
        """The text in some of `bold, dim, red, green, yellow`."""
        if not self._colour or not styles or not text:
            return text
        return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"

    def link(self, text: str, url: str) -> str:
        """The text, which a click on opens the address; terminals that know no links show just the text."""
        return f"\x1b]8;;{url}\x1b\\{text}\x1b]8;;\x1b\\" if self._colour else text


def coloured(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether to colour: for a terminal that can, unless NO_COLOR says not to (https://no-color.org)."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def columns() -> int:
    """How wide the terminal is."""
    return max(_NARROWEST, shutil.get_terminal_size(_USUAL).columns)


def forgiving(stream: TextIO, encoding: str | None = None) -> None:
    """From now on a character that a stream cannot encode becomes a question mark, and ends nothing."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding=encoding or stream.encoding, errors="replace")


class Screen:
    """Shows one report after the other: on a terminal in the same place, elsewhere one below the other."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._redraws = stream.isatty()
        self._drawn = False

    def show(self, lines: Sequence[str], foot: str) -> None:
        """What does not fit on the terminal is left out, and the foot says how much that is."""
        if not self._redraws:
            self._write("\n".join([*lines, foot, "", ""]))
            return
        rows = shutil.get_terminal_size(_USUAL).lines
        if not self._drawn:
            self._write("\n" * rows)  # what stood there before is not drawn over
        self._drawn = True
        room = max(1, rows - 2)
        left_out = len(lines) - room
        if left_out > 0:
            foot = f"{left_out} more lines below; {foot}"
        shown = [*lines[:room], cut(foot, columns())]
        self._write(_HOME + "".join(f"{line}\x1b[K\n" for line in shown) + _CLEAR_BELOW)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class Waiting:
    """One line that says what is waited for, where somebody sits at a terminal; silent elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()

    def say(self, text: str) -> None:
        """Over what was said before."""
        if self._terminal:
            self._stream.write(_CLEAR_LINE + cut(text, columns() - 1))
            self._stream.flush()

    def clear(self) -> None:
        """Leaves the line empty."""
        if self._terminal:
            self._stream.write(_CLEAR_LINE)
            self._stream.flush()
