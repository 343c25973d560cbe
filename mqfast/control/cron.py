"""The cron loop: works out when schedules run, and has the engine fire what is due.

The engine keeps the definitions and wakes the loop at the next time of any; all arithmetic is in schedule.py.
"""

import json
import logging
from collections.abc import Callable
from typing import NamedTuple

from mqfast._engine import CRON, Engine
from mqfast.control.schedule import Schedule, ScheduleError

MISFIRE_MS = 1_000
"""A cron that is looked at later than this after its time has missed it."""

CLOCK_SET_MS = 5_000
"""The machine's clock is that far from the engine's only if somebody has set it."""

_log = logging.getLogger("mqfast")


def first_run(schedule: str, timezone: str, now_ms: int) -> int:
    """When a cron defined at now_ms runs first, in ms since the epoch. Raises ScheduleError, a ValueError."""
    return Schedule.parse(schedule, timezone).next(now_ms, anchor_ms=now_ms)


class Step(NamedTuple):
    """What becomes of a cron whose time has come."""

    fire: bool
    next_run_ms: int | None  # None: never again


def step(schedule: str, timezone: str, misfire: str, slot_ms: int, now_ms: int) -> Step:
    """What to do at now_ms with a cron whose time was slot_ms.

    Everything missed up to now is one fire, or none if the policy is ``skip`` and the time is missed.
    """
    fire = misfire == "once" or now_ms - slot_ms <= MISFIRE_MS
    try:
        return Step(fire, Schedule.parse(schedule, timezone).next(now_ms, anchor_ms=slot_ms))
    except ScheduleError:  # there is no time left, or the zone is gone from this machine
        return Step(fire, None)


class Cron:
    """Answers the engine's questions about schedules, and fires.

    wall_ms: the machine's clock, ms since the epoch. The engine's does not follow when it is set, so that no timeout
    does; that crons then run at another time of day than they say is logged. None: not looked at.
    """

    name = "cron"
    work = CRON

    def __init__(self, engine: Engine, wall_ms: Callable[[], int] | None = None) -> None:
        self._engine = engine
        self._wall_ms = wall_ms
        self._told_ms = 0  # how far apart the clocks were when it was last logged

    def run(self) -> None:
        control = json.loads(self._engine.take_control())
        if control["due"] and self._wall_ms is not None:
            self._compare_clocks(self._wall_ms() - control["now"])
        for question in control["questions"]:
            self._engine.answer(question)
        for cron in control["due"]:
            fire, next_run = step(cron["schedule"], cron["timezone"], cron["misfire"], cron["slot"], control["now"])
            if next_run is None:
                _log.warning("cron %s has no next run: %s in %s", cron["name"], cron["schedule"], cron["timezone"])
            self._engine.fire(cron["name"], cron["slot"], next_run, fire)

    def _compare_clocks(self, apart_ms: int) -> None:
        if abs(apart_ms - self._told_ms) < CLOCK_SET_MS:
            return
        self._told_ms = apart_ms
        if abs(apart_ms) >= CLOCK_SET_MS:
            late = "later" if apart_ms > 0 else "earlier"
            _log.warning(
                "the machine's clock was set: crons run %d s %s than it says; a restart of the daemon takes it over",
                round(abs(apart_ms) / 1000),
                late,
            )
