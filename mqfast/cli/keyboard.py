"""Keys as they are pressed, and changes of the terminal's size, while a screen is shown."""

import contextlib
import os
import select
import signal
import sys
import termios
import time
import tty
from types import FrameType

_SEQUENCES = {"[A": "up", "[B": "down", "OA": "up", "OB": "down", "[5~": "page up", "[6~": "page down"}
_LONGEST = 64


class Keyboard:
    """The terminal's keys, without Enter and without echo, until the end of the with block.

    Where stdin is no terminal there are no keys, only time passes. SIGTERM ends as Ctrl-C does, so that the terminal
    is put back.
    """

    def __init__(self) -> None:
        self._terminal = sys.stdin.fileno() if sys.stdin.isatty() else None
        self._before: list[object] | None = None
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
        return _SEQUENCES.get(typed[1:], "escape") if typed[0] == "\x1b" else typed[0]

    def _note_size(self, number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):  # full: there are some that have not been read
            os.write(self._told, b"r")
