"""Does what is written fit the terminal, and whatever stands in its place?"""

from __future__ import annotations

import io

import pytest

from exporter.columns import cut, width
from exporter.terminal import Screen, Waiting, clean, coloured, forgiving, wrap


@pytest.mark.parametrize(
    ("text", "most", "first", "then", "told"),
    [
        ("", 10, "", None, [""]),
        ("", 10, "a: ", None, ["a:"]),
        ("one two three", 8, "", None, ["one two", "three"]),
        ("one two three", 7, "a: ", None, ["a: one", "   two", "   thre", "   e"]),
        ("one two", 9, "   → ", "     ", ["   → one", "     two"]),
        ("abcdefgh", 3, "", None, ["abc", "def", "gh"]),
        ("日本語 日本", 5, "", None, ["日本", "語", "日本"]),
        ("日本", 1, "", None, ["日", "本"]),
    ],
)
def test_wrapping(text: str, most: int, first: str, then: str | None, told: list[str]) -> None:
    assert wrap(text, most, first, then) == told


def test_what_is_too_wide_is_cut() -> None:
    assert [cut("payments", most) for most in (9, 8, 7, 1, 0)] == ["payments", "payments", "paymen…", "…", ""]
    assert cut("日本語", 5) == "日本…"
    assert width("e\u0301") == 1
    assert clean("tab\there") == "tab\ufffdhere"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "expected"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_who_gets_colours(stream: io.StringIO, environment: dict[str, str], expected: bool) -> None:
    assert coloured(stream, environment) == expected


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [("ascii", "é → …", b"? ? ?"), ("utf-8", "half a pair: \ud800", b"half a pair: ?"), ("utf-8", "é", b"\xc3\xa9")],
)
def test_what_cannot_be_encoded_ends_nothing(encoding: str, text: str, written: bytes) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding)
    forgiving(out)
    out.write(text)
    out.flush()
    assert raw.getvalue() == written


def test_a_screen_is_redrawn_and_says_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "4")
    out = Terminal()
    screen = Screen(out)
    screen.show(["a", "b", "c", "d", "e"], "now")
    screen.show(["a"], "now")
    drawn = "\x1b[Ha\x1b[K\nb\x1b[K\n3 more lines below; now\x1b[K\n\x1b[J"
    assert out.getvalue() == f"{4 * chr(10)}{drawn}\x1b[Ha\x1b[K\nnow\x1b[K\n\x1b[J"


def test_without_a_terminal_one_report_follows_the_other() -> None:
    out = io.StringIO()
    screen = Screen(out)
    screen.show(["a"], "10:00:00")
    screen.show(["b"], "10:00:05")
    assert out.getvalue() == "a\n10:00:00\n\nb\n10:00:05\n\n"


def test_only_who_sits_at_a_terminal_is_asked_to_wait() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        waits = Waiting(stream)
        waits.say("looking …")
        waits.clear()
    assert (terminal.getvalue(), pipe.getvalue()) == ("\r\x1b[2Klooking …\r\x1b[2K", "")
