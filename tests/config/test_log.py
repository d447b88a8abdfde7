"""Is a log record one line, whatever it says?"""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from exporter.log import configure

log = logging.getLogger("exporter.watch")
AT = 1767323045.678  # 2026-01-02T03:04:05.678Z


@pytest.fixture(autouse=True)
def _root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers[:] = []  # configure closes those it finds; pytest's shall live
    yield
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(False)


def said(say: Callable[[], object], level: str = "info", format: str = "logfmt") -> str:
    out = io.StringIO()
    configure(level, format, out)
    say()
    return out.getvalue()


def after_logger(line: str) -> str:
    return line.split(" logger=exporter.watch ", 1)[1].removesuffix("\n")


@pytest.mark.parametrize(
    ("message", "extra", "expected"),
    [
        pytest.param("done", {}, "msg=done", id="one word needs no quotes"),
        pytest.param("cycle done", {}, 'msg="cycle done"', id="a space does"),
        pytest.param("", {}, 'msg=""', id="nothing is quoted"),
        pytest.param("a=b", {}, 'msg="a=b"', id="so is an equals sign"),
        pytest.param('say "x" \\', {}, r'msg="say \"x\" \\"', id="quotes and backslashes are escaped"),
        pytest.param("a\nlevel=error", {}, r'msg="a\nlevel=error"', id="a line break cannot forge a line"),
        pytest.param("a\u2028b\x85c\x9bd\x7f", {}, r'msg="a\u2028b\u0085c\u009bd\u007f"', id="nor can rarer ones"),
        pytest.param("Größe", {}, "msg=Größe", id="letters of any script stay"),
        pytest.param("x", {"cluster": "prod", "n": 3}, "msg=x cluster=prod n=3", id="extras follow in order"),
        pytest.param(
            "x",
            {"a": True, "b": None, "c": 0.25, "d": float("nan")},
            "msg=x a=true b=null c=0.25 d=nan",
            id="kinds",
        ),
        pytest.param("x", {"a b": 1, "time": 2}, "msg=x a_b=1 time_=2", id="a key is one word and its own"),
        pytest.param("x", {"t": SecretStr("hunter2")}, "msg=x t=**********", id="a secret stays one"),
    ],
)
def test_logfmt(message: str, extra: dict[str, object], expected: str) -> None:
    line = said(lambda: log.info(message, extra=extra))
    assert after_logger(line) == expected
    assert len(line.splitlines()) == 1


def record(**attributes: object) -> logging.LogRecord:
    plain = {
        "name": "exporter.watch",
        "levelname": "WARNING",
        "levelno": 30,
        "msg": "slow: %s",
        "args": ("a b",),
    }
    return logging.makeLogRecord({**plain, "created": AT, **attributes})


def test_a_whole_logfmt_line() -> None:
    assert said(lambda: log.handle(record(cluster="prod"))) == (
        'time=2026-01-02T03:04:05.678Z level=warn logger=exporter.watch msg="slow: a b" cluster=prod\n'
    )


def test_a_whole_json_line() -> None:
    line = said(lambda: log.handle(record(cluster="pröd", n=3, nan=float("nan"), text="a\u2028b\n")), format="json")
    assert line == (
        '{"time": "2026-01-02T03:04:05.678Z", "level": "warn", "logger": "exporter.watch", '
        '"msg": "slow: a b", "cluster": "pr\\u00f6d", "n": 3, "nan": "nan", "text": "a\\u2028b\\n"}\n'
    )


def fail() -> None:
    try:
        raise ValueError("bad\nthing")
    except ValueError:
        log.exception("cycle failed", extra={"cluster": "prod"})


def test_an_exception_is_its_type_and_message() -> None:
    assert after_logger(said(fail)) == r'msg="cycle failed" error="ValueError: bad\nthing" cluster=prod'
    assert "traceback" not in json.loads(said(fail, format="json"))


def test_an_exception_has_its_traceback_at_debug() -> None:
    line = said(fail, level="debug")
    assert len(line.splitlines()) == 1
    assert r'traceback="Traceback (most recent call last):\n' in line
    assert json.loads(said(fail, "debug", "json"))["traceback"].endswith("ValueError: bad\nthing")


def test_an_exception_without_words() -> None:
    assert after_logger(said(lambda: log.error("x", exc_info=TimeoutError()))) == "msg=x error=TimeoutError"


def test_a_level_silences_what_is_below() -> None:
    def speak() -> None:
        for level in (log.debug, log.info, log.warning, log.error, log.critical):
            level("x")

    words = [line.split()[1] for line in said(speak, level="warn").splitlines()]
    assert words == ["level=warn", "level=error", "level=error"]


def test_a_wrong_placeholder_costs_only_itself() -> None:
    assert after_logger(said(lambda: log.info("%d jobs", "two"))) == '''msg="%d jobs ('two',)"'''


def test_configured_twice_a_record_is_still_one_line() -> None:
    configure("debug", "json", io.StringIO())
    assert said(lambda: log.info("x")).count("\n") == 1


def test_a_warning_is_a_record_too() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        line = said(lambda: warnings.warn("old", stacklevel=1))
    assert line.count("\n") == 1
    assert "logger=py.warnings" in line


def test_stderr_is_where_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "logfmt")
    log.info("x")
    assert capsys.readouterr().err.endswith("msg=x\n")
