"""What pushers were told, and what handlers did: the daemon's word alone is not enough. Runs under every Python."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from magicqueue import ConnectionLostError

WAIT_S = 60.0


class Ledger:
    """Shared by the threads of pushers and handlers."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.accepted: set[str] = set()
        self.maybe: set[str] = set()
        self.done: set[str] = set()
        self.has_grown = threading.Condition(self.lock)

    def push_until(self, push: Callable[[str], object], over: threading.Event, name: str) -> None:
        """Push until told to stop."""
        number = 0
        while not over.is_set():
            number += 1
            key = f"{name}-{number}"
            try:
                push(key)
            except ConnectionLostError as error:
                if error.maybe_done:
                    with self.lock:
                        self.maybe.add(key)
            else:
                with self.lock:
                    self.accepted.add(key)

    def handle(self, job: Any, _context: Any) -> None:
        """The workers' handler."""
        with self.has_grown:
            self.done.add(job.data)
            self.has_grown.notify_all()

    def wait_for_more(self, count: int) -> None:
        """Wait until so many more jobs are done."""
        with self.has_grown:
            target = len(self.done) + count
            assert self.has_grown.wait_for(lambda: len(self.done) >= target, WAIT_S)

    def check(self) -> None:
        """Every accepted job gets done, and none that nobody has pushed."""
        with self.has_grown:
            assert self.has_grown.wait_for(lambda: self.accepted <= self.done, WAIT_S), "accepted jobs are lost"
            assert self.done <= self.accepted | self.maybe, "jobs that nobody pushed"


def quiet(*_: object) -> None:
    """A listener for what is expected to go wrong."""
