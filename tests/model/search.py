"""Long random runs, and what makes a short sequence of steps of one that failed.

The engine ends the process where its own checks fail, so every run has a process of its own.
"""

from __future__ import annotations

import mmap
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TextIO

from tests.model.commands import LARGEST, LONG, Chance, Send, Step
from tests.model.requests import Raw
from tests.model.side_by_side import SideBySide
from tests.model.state import Mismatch

Settings = dict[str, Any]


class Progress:
    """A number that outlives the process that counts it."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 8)

    def set(self, count: int) -> None:
        self.memory[:] = count.to_bytes(8, "little")

    def get(self) -> int:
        return int.from_bytes(self.memory[:], "little")


def apart(task: Callable[[Progress], bool]) -> int | None:
    """Do it in a process of its own: None if all went well, else how far it came."""
    progress = Progress()
    child = os.fork()
    if child == 0:
        well = False
        try:
            well = task(progress)
        except BaseException:
            traceback.print_exc(file=sys.stdout)
        finally:
            sys.stdout.flush()
            os._exit(0 if well else 1)
    _, status = os.waitpid(child, 0)
    return None if status == 0 else progress.get()


def failure(
    steps: Sequence[Step], settings: Settings, *, thorough: bool, world: type[SideBySide] = SideBySide
) -> int | None:
    """How many of the steps it takes, played from the beginning, until the two differ; None if they never do."""

    def play(progress: Progress) -> bool:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        both = world(**settings)
        if thorough:
            both.thorough, both.check_every = True, 1
        try:
            for count, step in enumerate(steps):
                progress.set(count + 1)
                both.run(step)
            both.finish()
        except Mismatch:
            return False
        return True

    return apart(play)


def minimised(
    steps: list[Step], settings: Settings, seconds: float = 60, world: type[SideBySide] = SideBySide
) -> list[Step]:
    """Without the steps, and parts of them, that are not needed for the two to differ, as long as there is time."""
    fails = partial(failure, settings=settings, world=world)
    end = time.monotonic() + seconds
    thorough = False
    last = 50
    while last < len(steps) and fails(steps[-last:], thorough=False) is None:
        last *= 2
    steps = steps[-last:]
    size = len(steps) // 2
    while size and time.monotonic() < end:
        if not thorough and len(steps) <= 300 and (count := fails(steps, thorough=True)) is not None:
            thorough = True
            steps = steps[:count]
        before = len(steps)
        at = 0
        while at < len(steps) and time.monotonic() < end:
            shorter = steps[:at] + steps[at + size :]
            count = fails(shorter, thorough=thorough)
            if count is None:
                at += size
            else:
                steps = shorter[:count]
        size = max(1, size // 2) if size > 1 or len(steps) < before else 0
    for at in range(len(steps)):
        for simpler in simplifications(steps[at]):
            step = steps[at]
            if time.monotonic() < end and isinstance(step, Send):
                other = [*steps[:at], Send(step.step, simpler(step.request)), *steps[at + 1 :]]
                if fails(other, thorough=thorough) == len(steps):
                    steps = other
    return steps


def without(name: str, request: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in request.items() if key != name}


def with_item(index: int, change: Callable[[Any], Any], request: dict[str, Any]) -> dict[str, Any]:
    jobs = list(request["jobs"])
    jobs[index] = change(jobs[index])
    return request | {"jobs": jobs}


def simplifications(step: Step) -> Iterator[Callable[[dict[str, Any]], dict[str, Any]]]:
    if isinstance(step, Send):
        for name in step.request:
            if name not in ("cmd", "queue", "data", "jobs", "id", "ids", "count"):
                yield partial(without, name)
        jobs = step.request.get("jobs")
        for index, item in enumerate(jobs if isinstance(jobs, list) else []):
            for name in item if isinstance(item, dict) else []:
                if name != "data":
                    yield partial(with_item, index, partial(without, name))
        if "queue" in step.request:
            yield lambda request: request | {"queue": "q"}
        if "data" in step.request:
            yield lambda request: request | {"data": Raw("1")}


def tell(steps: Sequence[Step], settings: Settings, world: type[SideBySide], out: TextIO, progress: Progress) -> bool:
    """The steps as lines sent and answered, and what was expected at last."""
    both = world(**settings)
    both.thorough, both.check_every = True, 1
    for step in steps:
        try:
            both.run(step)
        except Mismatch as mismatch:
            print(*both.lines[:1], *both.lines[1:][-1:], f"!!! {mismatch}", sep="\n", file=out, flush=True)
            return False
        told = both.lines[:1] if isinstance(step, Send) else [line for line in both.lines if line[:5] == "time "]
        print(*told, sep="\n", file=out, flush=True)
    return True


def short(text: str) -> str:
    """What the long values of commands.py are called, in place of them."""
    return text.replace(repr(LONG), "LONG").replace(repr(LARGEST), "LARGEST").replace(LONG, "xx…").replace("y" * 99, "")


def run_random(count: int, seed: int, world: type[SideBySide] = SideBySide, **settings: Any) -> None:
    """Raises AssertionError with what is needed to find the cause."""
    steps: list[Step] = []

    def play(progress: Progress, last: int = count) -> bool:
        both = world(**settings)
        chance, source = Chance(both), random.Random(seed)
        for number in range(last):
            progress.set(number + 1)
            step = chance.step(number, source)
            steps.append(step)
            if number + 1 < last or last == count:
                try:
                    both.run(step)
                except Mismatch as mismatch:
                    print(short(f"{mismatch}\nafter {both.lines}"))
                    return False
        try:
            both.finish()
        except Mismatch as mismatch:
            print(short(f"{mismatch}\nin the end, after {both.lines}"))
            return False
        finally:
            both.close()
        return True

    failed = apart(play)
    if failed is not None:
        play(Progress(), failed)
        last_steps = "\n".join(repr(step) for step in steps[-30:])
        least = minimised(steps, settings, world=world)
        with tempfile.TemporaryFile("w+") as out:
            apart(partial(tell, least, settings, world, out))
            out.seek(0)
            story = out.read()
        raise AssertionError(
            short(
                f"seed {seed}, settings {settings}, step {failed}. The last steps:\n{last_steps}\n\n"
                f"Minimised to {len(least)}:\n{least!r}\n\n{story}"
            )
        )
