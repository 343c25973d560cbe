"""Values as people read them, and text that is safe to show on a terminal.

Names, payloads and errors come from whoever pushed them: what could move a terminal's cursor, hide text or turn it
around is shown as an escape instead.
"""

import re
import time

import click

from mqfast.cli.errors import InputError

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufff9-\ufffb]"
)
_UNITS_MS = {"": 1, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_STEPS = ((86_400_000, "d", 3_600_000, "h"), (3_600_000, "h", 60_000, "m"), (60_000, "m", 1000, "s"))


def clean(text: str) -> str:
    """The text without what could act on a terminal: control and invisible characters become ``\\x1b``, ``\\u202e``."""
    return _UNSAFE.sub(_escape, text)


def clean_json(text: str) -> str:
    """The same for JSON text, in escapes that mean what the characters did."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def shorten(text: str, width: int) -> str:
    """The text, or its beginning with an ellipsis, at most width characters."""
    return text if len(text) <= width else text[: width - 1] + "…"


def parse_duration(text: str) -> int:
    """Milliseconds of ``250``, ``250ms``, ``1.5s``, ``10m``, ``2h``, ``1d``. Raises ValueError."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)\s*(ms|s|m|h|d|)", text.strip().lower())
    if match is None:
        raise ValueError(text)
    return round(float(match[1]) * _UNITS_MS[match[2]])


class DurationParameter(click.ParamType[int]):
    """A duration as people write it; the value is in milliseconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_duration(str(value))
        except ValueError:
            self.fail(f"{str(value)!r} is no duration; say 500ms, 10s, 5m, 2h or 1d", param, ctx)


DURATION = DurationParameter()


def parse_rate(text: str) -> tuple[int, int]:
    """Jobs and milliseconds of ``100/s``, ``5/10m``, ``100`` (a second). Raises InputError."""
    count, _, duration = text.partition("/")
    try:
        return int(count), parse_duration(duration if duration[:1].isdigit() else f"1{duration or 's'}")
    except ValueError:
        raise InputError(f"{text!r} is no rate; say 100/s, 5/10s or 30/1m") from None


def show_duration(ms: float) -> str:
    """``850 ms``, ``12 s``, ``3m20s``, ``5h10m``, ``2d3h``."""
    if ms < 1000:
        return f"{ms:.0f}ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f}s" if ms < 10_000 and ms % 1000 else f"{ms / 1000:.0f}s"
    for size, unit, part, part_unit in _STEPS:
        if ms >= size:
            whole, rest = int(ms // size), int(ms % size // part)
            return f"{whole}{unit}{rest}{part_unit}" if rest else f"{whole}{unit}"
    raise AssertionError(ms)


def show_ago(ms: int | None, now_ms: int) -> str:
    """An instant (ms since the epoch; None or 0: never) as seen from now: ``3m20s ago``, ``in 5s``, ``-``."""
    if not ms:
        return "-"
    return f"in {show_duration(ms - now_ms)}" if ms > now_ms else f"{show_duration(now_ms - ms)} ago"


def show_instant(ms: int | None) -> str:
    """An instant (ms since the epoch) in local time, to the millisecond."""
    if not ms:
        return "-"
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ms // 1000)) + f".{ms % 1000:03}"
    except (OverflowError, ValueError, OSError):
        return "never"


def show_bytes(size: float) -> str:
    """``812 B``, ``1.2 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def show_count(number: float) -> str:
    """A count in at most six characters: ``1,234``, ``56.7k``, ``1.23M``."""
    if number < 10_000:
        return f"{number:,.0f}"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            value = number / size
            return f"{value:.2f}{unit}" if value < 10 else f"{value:.1f}{unit}" if value < 100 else f"{value:.0f}{unit}"
    raise AssertionError(number)


def plural(number: int, noun: str) -> str:
    """``1 job``, ``2,000 jobs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def now_ms() -> int:
    return time.time_ns() // 1_000_000
