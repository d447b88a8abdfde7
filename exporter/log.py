"""What does one log record look like on stderr? One line, always: logfmt or a JSON object.

time=2026-01-02T03:04:05.678Z level=info logger=exporter.watch msg="cycle done" cluster=prod seconds=0.21

What is given as `extra` follows as keys of its own. An exception is `error="Type: message"`; its traceback is
one more field, and only where the level is debug.
"""

from __future__ import annotations

import json
import logging
import math
import re
import sys
from datetime import UTC, datetime
from typing import TextIO

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_WORDS = {logging.WARNING: "warn", logging.CRITICAL: "error"}
# What every record has; the rest of a record's attributes came as `extra`.
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
_BARE = re.compile(r'[^\s="\\]+')
_NOT_A_KEY = re.compile(r"[^A-Za-z0-9_.-]")


def configure(level: str, format: str, stream: TextIO | None = None) -> None:
    """Log everything from `level` (debug, info, warn, error) on as `format` (logfmt, json) to stderr.

    May be called again; the last call counts.
    """
    tracebacks = level == "debug"
    output = logging.StreamHandler(stream or sys.stderr)
    output.setFormatter(Json(tracebacks) if format == "json" else Logfmt(tracebacks))
    logging.basicConfig(level=_LEVELS[level], handlers=[output], force=True)
    logging.captureWarnings(True)


class _Lines(logging.Formatter):
    def __init__(self, tracebacks: bool) -> None:
        super().__init__()
        self.tracebacks = tracebacks

    def fields(self, record: logging.LogRecord) -> dict[str, object]:
        """The record as keys and values, in order."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, object] = {
            "time": time.replace("+00:00", "Z"),
            "level": _WORDS.get(record.levelno, record.levelname.lower()),
            "logger": record.name,
            "msg": _message(record),
        }
        extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info and record.exc_info[1]:
            error = record.exc_info[1]
            fields["error"] = f"{type(error).__name__}: {error}".removesuffix(": ")
            if self.tracebacks:
                fields["traceback"] = self.formatException(record.exc_info)
        for key, value in extra.items():
            fields[f"{key}_" if key in fields else key] = value
        return fields


class Logfmt(_Lines):
    """`key=value` pairs, quoted where they must be."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        pairs = self.fields(record).items()
        return " ".join(f"{_NOT_A_KEY.sub('_', key)}={_logfmt(value)}" for key, value in pairs)


class Json(_Lines):
    """One JSON object a record, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        return json.dumps({key: _plain(value) for key, value in self.fields(record).items()})


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # a wrong placeholder costs its own text, not the line
        return f"{record.msg} {record.args!r}"


def _plain(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def _logfmt(value: object) -> str:
    plain = _plain(value)
    text = plain if isinstance(plain, str) else json.dumps(plain)
    if text.isprintable() and _BARE.fullmatch(text):
        return text
    # JSON leaves some characters that end or hide a line for others, U+2028 and C1 controls among them.
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in json.dumps(text, ensure_ascii=False))
