"""When a cron job runs next: arithmetic only, the clock is the caller's.

A schedule is */N for every N seconds, or a cron expression of 5 fields, or 6 with seconds first, or a name such as
@daily. The fields are cronsim's; it only ever sees naive local times, and they are mapped to instants here by one rule:
a slot runs at the first instant at which the local clock shows it or a later time. So what falls into a gap runs when
the gap ends, and what the clock shows twice runs the first time.
"""

import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

MAX_TEXT = 256  # characters
MAX_EVERY = 31_536_000  # seconds, which is 365 days
LAST_MS = 253_402_300_799_999  # the end of the year 9999, as far as Python's dates go

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_TRIAL_START = datetime(2000, 1, 1)  # every date and weekday there is comes within the 50 years cronsim looks ahead
_NAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = {  # by cronsim's names: how many values there are, and which
    "second": (60, "0-59"),
    "minute": (60, "0-59"),
    "hour": (24, "0-23"),
    "day-of-month": (31, "1-31"),
    "month": (12, "1-12 or JAN-DEC"),
    "day-of-week": (7, "0-7 or SUN-SAT"),
}


class ScheduleError(ValueError):
    """A schedule or a time zone cannot be used; the text is one line for the client and says what to do."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something runs, again and again, on the clock of a time zone. Made by parse()."""

    text: str
    timezone: str
    _zone: ZoneInfo = field(repr=False)
    _every_ms: int = field(default=0, repr=False)  # 0: the expression counts
    _expression: str = field(default="", repr=False)

    @staticmethod
    def parse(text: str, timezone: str = "UTC") -> "Schedule":
        """The schedule that text and the IANA name of a time zone stand for; raises ScheduleError."""
        return _parse(text, timezone)

    def next(self, after_ms: int, anchor_ms: int) -> int:
        """The first time to run strictly after after_ms; all times are in ms since the epoch.

        */N counts from anchor_ms: its times are anchor_ms + k * N * 1000 with k >= 1. Others ignore anchor_ms.
        after_ms before 1970 counts as the last moment of 1969. Raises ScheduleError if there is no time up to the end
        of the year 9999.
        """
        after_ms = max(after_ms, -1)
        try:
            at = self._next_step(after_ms, anchor_ms) if self._every_ms else self._next_slot(after_ms // 1000) * 1000
        except OverflowError:  # from datetime, at the end of its years
            at = LAST_MS + 1
        if at > LAST_MS:
            raise ScheduleError("this schedule does not run again before the year 10000: set an earlier one")
        return at

    def _next_step(self, after_ms: int, anchor_ms: int) -> int:
        steps = max((after_ms - anchor_ms) // self._every_ms + 1, 1)
        return anchor_ms + steps * self._every_ms

    def _next_slot(self, after: int) -> int:
        """The first second after the second after at which the expression runs."""
        local = self._local(after)
        if local.fold:
            # The clock shows this time again, so its slots have run: begin at the last second that is shown again.
            repeated = ((local - _EPOCH) - (local.replace(fold=0) - _EPOCH)) // _SECOND
            local = self._local(self._first_second(range(after, after + repeated), lambda time: not time.fold) - 1)
        for slot in CronSim(self._expression, local.replace(tzinfo=None, fold=0)):
            at = self._first_shown(slot)
            if at > after:
                return at
        raise OverflowError("cronsim looks 50 years ahead")  # not seen: what parse() let through runs within 40

    def _first_shown(self, slot: datetime) -> int:
        """The first second at which the local clock shows slot or a later time."""
        at = (slot.replace(tzinfo=self._zone) - _EPOCH) // _SECOND
        other = (slot.replace(tzinfo=self._zone, fold=1) - _EPOCH) // _SECOND
        if other >= at:
            return at  # shown once, or twice and this is the first
        # In a gap, which ends between the two: at is slot by the clock before the gap, other by the one after it.
        return self._first_second(range(other, at), lambda time: time.replace(tzinfo=None) >= slot)

    def _first_second(self, seconds: range, holds: Callable[[datetime], bool]) -> int:
        """The first of seconds whose local time holds; from there on all must. If none does, the end of the range."""
        return seconds.start + bisect_left(seconds, True, key=lambda second: holds(self._local(second)))

    def _local(self, second: int) -> datetime:
        return (_EPOCH + timedelta(seconds=second)).astimezone(self._zone)


@lru_cache(maxsize=1024)
def _parse(text: str, timezone: str) -> Schedule:
    if len(text) > MAX_TEXT:
        raise ScheduleError(f"a schedule has at most {MAX_TEXT} characters: shorten it")
    if not (text.isascii() and text.isprintable()):
        raise ScheduleError("a schedule is one line of ASCII letters, digits, signs and spaces: remove anything else")
    zone = _zone(timezone)
    words = text.upper().split()
    if len(words) == 1 and words[0].startswith("*/"):
        return Schedule(text, timezone, zone, _every_ms=_every(words[0][2:]) * 1000)
    if words and words[0].startswith("@"):
        words = _named(" ".join(words).lower())
    _check_fields(words)
    return Schedule(text, timezone, zone, _expression=" ".join(words))


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    """What may be named: no path of a client's making is ever opened. localtime is this machine's, not a zone."""
    return frozenset(available_timezones() - {"localtime"})


def _zone(timezone: str) -> ZoneInfo:
    if timezone not in _zone_names():
        raise ScheduleError("unknown timezone: use an IANA name such as Europe/Berlin, or UTC")
    return ZoneInfo(timezone)


def _every(number: str) -> int:
    if not re.fullmatch("[0-9]+", number) or not 1 <= int(number) <= MAX_EVERY:
        raise ScheduleError(f"*/N alone runs every N seconds: use a whole number from 1 to {MAX_EVERY} for N")
    return int(number)


def _named(name: str) -> list[str]:
    if name == "@reboot":
        raise ScheduleError("@reboot is not supported, a schedule is about times: push a job when your machine starts")
    if name not in _NAMES:
        raise ScheduleError(f"unknown name of a schedule: use one of {', '.join(_NAMES)}")
    return _NAMES[name].split()


def _check_fields(words: list[str]) -> None:
    """Raise ScheduleError unless the words, in capitals, are the fields of an expression that runs at some time."""
    if len(words) not in (5, 6):
        raise ScheduleError(
            "use 5 fields (minute hour day-of-month month day-of-week), or 6 with seconds first,"
            " or */N for every N seconds, or a name such as @daily"
        )
    for name, word in zip(list(_FIELDS)[-len(words) :], words, strict=True):
        for term in word.split(","):
            start, slash, step = term.partition("/")
            # cronsim takes these, but they do not run as they read: */90 minutes would be once an hour.
            if slash and (start in ("L", "LW") or (step.isdigit() and int(step) > _FIELDS[name][0])):
                raise _bad_field(name)
    try:
        next(CronSim(" ".join(words), _TRIAL_START))
    except CronSimError as error:
        name = str(error).removeprefix("Bad ")
        # So it says for the 32nd, and also for a 30th in February, which is a day in other months.
        if name == "day-of-month" and _accepts([*words[:-2], "*", words[-1]]):
            raise _never_runs() from None
        raise _bad_field(name) from None
    except StopIteration:
        raise _never_runs() from None


def _accepts(words: list[str]) -> bool:
    try:
        CronSim(" ".join(words), _TRIAL_START)
    except CronSimError:
        return False
    return True


def _never_runs() -> ScheduleError:
    return ScheduleError(
        "this schedule never runs, because no date has its month, day-of-month and day-of-week: change one of them"
    )


def _bad_field(name: str) -> ScheduleError:
    count, values = _FIELDS[name]
    return ScheduleError(
        f"bad {name}: use * or {values}, upward ranges such as 1-5, steps such as */2 (at most {count}),"
        " and commas between them"
    )
