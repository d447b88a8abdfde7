"""Which durations are read, and how are they written?"""

from __future__ import annotations

import pytest

from exporter.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("500ms", 0.5, id="milliseconds"),
        pytest.param("15s", 15.0, id="seconds"),
        pytest.param("1m30s", 90.0, id="60 + 30"),
        pytest.param("90s", 90.0, id="more seconds than a minute has"),
        pytest.param("1h", 3600.0, id="an hour"),
        pytest.param("1d", 86400.0, id="a day"),
        pytest.param("1d1h1m1s1ms", 90061.001, id="86400 + 3600 + 60 + 1 + 0.001"),
        pytest.param("0s", 0.0, id="nothing at all"),
    ],
)
def test_a_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("15", "expected a duration with its unit, such as 15s or 1m30s", id="a bare number"),
        pytest.param("1.5", "expected a duration with its unit, such as 15s or 1m30s", id="a bare fraction"),
        pytest.param("1.5s", "expected a duration such as 15s or 1m30s", id="a fraction"),
        pytest.param("", "expected a duration such as 15s or 1m30s", id="nothing"),
        pytest.param("15 s", "expected a duration such as 15s or 1m30s", id="a space"),
        pytest.param("15S", "expected a duration such as 15s or 1m30s", id="a capital"),
        pytest.param("-15s", "expected a duration such as 15s or 1m30s", id="the past"),
        pytest.param("30s1m", "expected a duration such as 15s or 1m30s", id="small before large"),
        pytest.param("1s1s", "expected a duration such as 15s or 1m30s", id="a unit twice"),
        pytest.param("15s\n", "expected a duration such as 15s or 1m30s", id="a line break"),
        pytest.param("\u0661s", "expected a duration such as 15s or 1m30s", id="a digit of another script"),
        pytest.param("9999999999s", "expected a duration such as 15s or 1m30s", id="ten digits"),
    ],
)
def test_no_duration(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=r"^expected") as caught:
        parse_duration(text)
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.5, "500ms"), (15.0, "15s"), (60.0, "1m"), (90.0, "1m30s"), (90061.001, "1d1h1m1s1ms")],
)
def test_the_shortest_spelling_of_a_duration(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
