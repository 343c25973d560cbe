"""Waiting for what the daemon does by itself: asked again and again, with a deadline, never slept for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tests.tcp.client import Client

T = TypeVar("T")

DEADLINE_S = 15.0


def eventually(ask: Callable[[], T], is_right: Callable[[T], bool]) -> T:
    """Ask until the answer is right; that answer. `ask` makes a round trip, which is pause enough."""
    deadline = time.monotonic() + DEADLINE_S
    while not is_right(value := ask()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {DEADLINE_S} s; last seen: {value!r}")
    return value


def until_counts(client: Client, queue: str, **expected: int) -> None:
    """Wait until the queue's row shows these counts."""
    eventually(lambda: client.counts(queue), lambda counts: expected.items() <= counts.items())


class Stopwatch:
    """Milliseconds since it was made."""

    def __init__(self) -> None:
        self._start_s = time.monotonic()

    @property
    def ms(self) -> float:
        return (time.monotonic() - self._start_s) * 1000


def now_ms() -> int:
    return time.time_ns() // 1_000_000
