"""The log's two forms: each record is one line, whatever is in it."""

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from mqfast.logs import FIELDS, ConsoleFormatter, JsonFormatter, configure, json_line

HOSTILE = 'a\nb\r\x1b[2J\x00\x85\u2028\u2029"}\\{\ud800\udc80 é 🐇'


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, hooks = root.handlers[:], root.level, (sys.excepthook, threading.excepthook)
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks


@pytest.fixture
def out() -> io.StringIO:
    stream = io.StringIO()
    configure("info", "json", stream)
    return stream


def only(stream: io.StringIO) -> dict[str, Any]:
    """The one object; it must be one line to whoever splits lines."""
    text = stream.getvalue()
    assert text.endswith("\n")
    (line,) = text.splitlines()
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def test_object_has_time_level_logger_and_message(out: io.StringIO) -> None:
    logging.getLogger("mqfast.part").warning("%d of %s", 3, "four")
    line = only(out)
    assert {name: line[name] for name in ("level", "logger", "message")} == {
        "level": "warning",
        "logger": "mqfast.part",
        "message": "3 of four",
    }
    assert len(line["time"]) == len("2026-05-04T03:02:01.000Z")
    at = datetime.fromisoformat(line["time"])
    assert at.utcoffset() == timedelta(0)
    assert list(line) == ["time", "level", "logger", "message"]


def test_time_is_utc_with_milliseconds() -> None:
    record = logging.makeLogRecord({"msg": "m", "created": 1_777_777_777.0625})
    assert json.loads(JsonFormatter().format(record))["time"] == "2026-05-03T03:09:37.062Z"


def test_fields_are_members_and_cannot_pose_as_others(out: io.StringIO) -> None:
    fields = {"status": 200, "ms": 0.1, "peer": "::1", "level": "fake", "message": "fake", "odd": float("nan")}
    logging.getLogger("mqfast").info("http", extra={FIELDS: fields})
    line = only(out)
    assert (line["status"], line["ms"], line["peer"], line["odd"]) == (200, 0.1, "::1", "nan")
    assert (line["level"], line["message"]) == ("info", "http")


def test_hostile_text_stays_one_line_that_strict_readers_take(out: io.StringIO) -> None:
    logging.getLogger("mqfast").info("%s", HOSTILE, extra={FIELDS: {"target": HOSTILE}})
    line = only(out)
    assert line["message"] == line["target"] == HOSTILE.replace("\ud800\udc80", r"\ud800\udc80")
    line["message"].encode()  # no half of a surrogate pair
    assert out.getvalue().isascii()


def test_exception_is_a_member_with_its_traceback(out: io.StringIO) -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logging.getLogger("mqfast").exception("failed")
    line = only(out)
    assert line["message"] == "failed"
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert "ValueError: a\nb" in line["exception"]


def test_level_bounds_what_is_written(out: io.StringIO) -> None:
    logging.getLogger("mqfast").debug("no")
    assert out.getvalue() == ""


@pytest.mark.parametrize(("message", "arguments"), [("%d", ("x",)), ("%s %s", ("one",)), ("none", (1,))])
def test_message_that_does_not_fit_its_arguments_is_told_all_the_same(
    message: str, arguments: tuple[object, ...]
) -> None:
    record = logging.makeLogRecord({"msg": message, "args": arguments})
    assert json.loads(JsonFormatter().format(record))["message"] == f"{message!r} {arguments!r}"


def test_what_python_would_print_is_logged(out: io.StringIO) -> None:
    def fail() -> None:
        raise RuntimeError("boom")

    thread = threading.Thread(target=fail, name="worker-7")
    thread.start()
    thread.join()
    line = only(out)
    assert (line["level"], line["message"]) == ("critical", "worker-7 ended by RuntimeError")
    assert "RuntimeError: boom" in line["exception"]


def test_warnings_are_logged(out: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("odd\nthing", stacklevel=1)
    assert "odd\nthing" in only(out)["message"]


def test_line_for_elsewhere_has_the_same_form() -> None:
    line = json.loads(json_line(logging.INFO, "here", {"port": 1}))
    assert (line["level"], line["logger"], line["message"], line["port"]) == ("info", "mqfast", "here", 1)


def console(message: str, **fields: object) -> str:
    record = logging.makeLogRecord({"levelname": "INFO", "msg": message, FIELDS: fields})
    return ConsoleFormatter().format(record)


def test_console_shows_fields_after_the_message_quoted_where_needed() -> None:
    line = console("http", id="req-1", target="/a?b=c d", status=404, ms=1.5, peer="::1")
    assert line.endswith(" INFO http id=req-1 target='/a?b=c d' status=404 ms=1.5 peer=::1")


def test_console_keeps_hostile_text_in_its_line_and_off_the_terminal() -> None:
    line = console(HOSTILE, target="x\ny\x1b")
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    assert r"a\x0ab\x0d\x1b[2J" in line
    line.encode()


def test_console_shows_a_traceback_in_lines_below() -> None:
    try:
        raise ValueError("bad")
    except ValueError:
        record = logging.makeLogRecord({"msg": "failed", "exc_info": sys.exc_info()})
    first, *rest = ConsoleFormatter().format(record).splitlines()
    assert first.endswith("failed")
    assert rest[0].startswith("Traceback") and rest[-1] == "ValueError: bad"
