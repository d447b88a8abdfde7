"""How many columns does a text take, and how much of it fits into so many? The signs of some scripts take two."""

from __future__ import annotations

import unicodedata


def width(text: str) -> int:
    """How many columns a text takes that has no control characters."""
    return sum(_columns(c) for c in text)


def _columns(c: str) -> int:
    if unicodedata.category(c) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1


def fitting(text: str, most: float) -> int:
    """How many characters of a text fit."""
    taken = 0
    for place, c in enumerate(text):
        taken += _columns(c)
        if taken > most:
            return place
    return len(text)


def cut(text: str, most: float) -> str:
    """The text, its end left out where it is too wide."""
    if width(text) <= most:
        return text
    return f"{text[: fitting(text, most - 1)].rstrip()}…" if most >= 1 else ""
