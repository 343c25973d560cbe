"""How the daemon's log looks: lines for people, or a JSON object a line for programs.

A record may carry members of its own: ``log.info("http", extra={FIELDS: {"status": 200}})``. People see them as
``status=200`` after the message, programs as members of the object. Whatever a client put into a message, a line stays
one line: only the traceback of an exception, for people, has more.
"""

import json
import logging
import math
import re
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

FIELDS = "fields"
OWN_MEMBERS = ("time", "level", "logger", "message", "exception", "stack")
"""Members that every object may have: a record's field of the same name is left out."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PLAIN = re.compile(r"[A-Za-z0-9._:/\[\]%-]+")
_log = logging.getLogger("mqfast")


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Have every record from this level on written to the stream (stderr) as ``console`` or ``json``.

    As JSON also what Python would print by itself goes through the log: warnings, and what no thread caught.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if form == "json" else ConsoleFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if form == "json":
        logging.captureWarnings(True)
        threading.excepthook = _log_uncaught_in_thread
        sys.excepthook = _log_uncaught


def json_line(level: int, message: str, fields: Mapping[str, object] | None = None) -> str:
    """A line in the JSON form for what is said elsewhere than on the log, without a newline."""
    record = _log.makeRecord(_log.name, level, "", 0, message, (), None, extra={FIELDS: fields or {}})
    return JsonFormatter().format(record)


class ConsoleFormatter(logging.Formatter):
    """``2026-05-04 03:02:01,000 LEVEL message name=value``; control characters are escapes."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_value(value)}" for name, value in _fields(record).items())
        return _CONTROL.sub(_escape, super().formatMessage(record) + fields)


class JsonFormatter(logging.Formatter):
    """One object: time (UTC, ISO 8601 with milliseconds), level, logger, message, the record's fields, exception."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        line |= {name: value for name, value in _fields(record).items() if name not in OWN_MEMBERS}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self.formatException(record.exc_info)
        elif record.exc_text:
            line["exception"] = record.exc_text
        if record.stack_info:
            line["stack"] = record.stack_info
        # ASCII only: whatever a reader takes for the end of a line is an escape
        return json.dumps(
            {name: _scalar(value) for name, value in line.items()}, default=repr, separators=(",", ":"), allow_nan=False
        )


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields: Mapping[str, object] = getattr(record, FIELDS, {})
    return fields


def _message(record: logging.LogRecord) -> str:
    """A message that does not fit its arguments is told as both, rather than by a traceback in the log's place."""
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return f"{record.msg!r} {record.args!r}"


def _scalar(value: object) -> object:
    """Text without halves of surrogate pairs, numbers that JSON has, all else as it is."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _value(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else ascii(text)


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log.critical("uncaught %s", kind.__name__, exc_info=(kind, error, trace))


def _log_uncaught_in_thread(caught: threading.ExceptHookArgs) -> None:
    if caught.exc_value is not None:
        name = caught.thread.name if caught.thread else "a thread"
        _log.critical("%s ended by %s", name, caught.exc_type.__name__, exc_info=caught.exc_value)
