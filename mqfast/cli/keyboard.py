"""Keys as they are pressed, and changes of the terminal's size, while a screen is shown."""

import contextlib
import os
import re
import select
import signal
import sys
import termios
import time
import tty
from types import FrameType

_NAMES = {"[A": "up", "[B": "down", "OA": "up", "OB": "down", "[5~": "page up", "[6~": "page down", "": "escape"}
_KEY = re.compile("\x1b((?:\\[[0-9;]*[A-Za-z~]|O[A-Za-z])?)|(.)", re.DOTALL)
_LONGEST = 64


class Keyboard:
    """The terminal's keys, without Enter and without echo, until the end of the with block.

    Where stdin is no terminal there are no keys, only time passes. SIGTERM ends as Ctrl-C does, so that the terminal
    is put back.
    """

    def __init__(self) -> None:
        self._terminal = sys.stdin.fileno() if sys.stdin.isatty() else None
        self._before: list[object] | None = None
        self._typed: list[str] = []
        self._resized, self._told = os.pipe()

    def __enter__(self) -> "Keyboard":
        os.set_blocking(self._told, False)
        if self._terminal is not None:
            self._before = termios.tcgetattr(self._terminal)
            tty.setcbreak(self._terminal)
        signal.signal(signal.SIGWINCH, self._note_size)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)
        if self._terminal is not None and self._before is not None:
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)  # type: ignore[arg-type]
        os.close(self._resized)
        os.close(self._told)

    def wait(self, until: float) -> str | None:
        """The next key (a character, "up", "down", …), "resized", or None at the instant `until` (monotonic)."""
        if self._typed:
            return self._typed.pop(0)
        watched = [self._resized, *([] if self._terminal is None else [self._terminal])]
        ready, _, _ = select.select(watched, [], [], max(0.0, until - time.monotonic()))
        if self._resized in ready:
            os.read(self._resized, _LONGEST)
            return "resized"
        if self._terminal is None or self._terminal not in ready:
            return None
        typed = os.read(self._terminal, _LONGEST).decode(errors="replace")
        if not typed:
            self._terminal = None  # it was closed
            return "q"
        self._typed = [match[2] or _NAMES.get(match[1], "unknown") for match in _KEY.finditer(typed)]
        return self._typed.pop(0)

    def _note_size(self, number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):  # full: there are some that have not been read
            os.write(self._told, b"r")
