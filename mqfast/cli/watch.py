"""The live screen of mqfast stats --watch: samples, keys, and what they change."""

import time
from collections.abc import Callable
from dataclasses import replace

from rich.console import Console
from rich.live import Live

from mqfast.cli.connection import Connection
from mqfast.cli.dashboard import View, draw, queue_rows
from mqfast.cli.errors import UnreachableError
from mqfast.cli.keyboard import Keyboard
from mqfast.cli.sample import History, Sample, take_sample

SORTS = ("pending", "in", "out", "processing", "dlq", "delayed", "head_age", "name")
_AHEAD = 200
"""Queues asked for beyond the first screen, so that scrolling has something to show."""


class Watcher:
    """Draws what the daemon says each `interval` seconds, until q or Ctrl-C. It connects again by itself."""

    def __init__(
        self, connect: Callable[[], Connection], connection: Connection, address: str, version: str, interval: float
    ) -> None:
        self._connect = connect
        self._connection: Connection | None = connection
        self._version = version
        self._interval = interval
        self._view = View(address)
        self._sample: Sample | None = None
        self._history = History()

    def run(self) -> None:
        console = Console(highlight=False)
        try:
            with Keyboard() as keyboard, Live(console=console, screen=True, auto_refresh=False) as live:
                due = time.monotonic()
                while True:
                    if time.monotonic() >= due:
                        if not self._view.frozen:
                            self._look(console.height)
                        due = max(due + self._interval, time.monotonic())
                    live.update(
                        draw(self._sample, self._history, self._view, console.width, console.height), refresh=True
                    )
                    key = keyboard.wait(due)
                    if key is not None and not self._press(key, console.height):
                        return
        except KeyboardInterrupt:
            return
        finally:
            if self._connection is not None:
                self._connection.close()

    def _look(self, height: int) -> None:
        try:
            if self._connection is None:
                self._connection = self._connect()
                self._version = str(self._connection.ask("HELLO")["version"])
            self._sample = take_sample(
                self._connection,
                time.monotonic(),
                version=self._version,
                rows=self._view.first + queue_rows(height) + _AHEAD,
                sort=self._view.sort,
            )
        except UnreachableError as error:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            self._history.add_gap()
            self._view = replace(self._view, trouble=str(error))
        else:
            self._history.add(self._sample)
            self._view = replace(self._view, trouble="", first=self._within(self._view.first, height))

    def _press(self, key: str, height: int) -> bool:
        """What a key changes. False: it ends the screen."""
        rows = queue_rows(height)
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -rows, "page down": rows}
        if key in ("q", "Q", "escape"):
            return False
        if key == "s":
            following = SORTS[(SORTS.index(self._view.sort) + 1) % len(SORTS)]
            self._view = replace(self._view, sort=following, first=0)
            if not self._view.frozen:
                self._resort(height)
        elif key == " ":
            self._view = replace(self._view, frozen=not self._view.frozen)
        elif key in steps:
            self._view = replace(self._view, first=self._within(self._view.first + steps[key], height))
        return True

    def _resort(self, height: int) -> None:
        """The queues in their new order at once, and the rest as it was, for the rates go by the clock."""
        if self._connection is None or self._sample is None:
            return
        try:
            newer = take_sample(
                self._connection,
                self._sample.at,
                version=self._version,
                rows=queue_rows(height) + _AHEAD,
                sort=self._view.sort,
            )
        except UnreachableError:
            return  # the next look tells
        self._sample = replace(self._sample, queues=newer.queues, matching=newer.matching)

    def _within(self, first: int, height: int) -> int:
        count = len(self._sample.queues) if self._sample is not None else 0
        return max(0, min(first, count - queue_rows(height)))
