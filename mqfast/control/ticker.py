"""Threads of the control plane: each does one kind of the engine's work, and sleeps until there is some."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from mqfast._engine import Engine

_log = logging.getLogger("mqfast")


class Loop(Protocol):
    """One kind of work."""

    @property
    def name(self) -> str:
        """What its thread is called."""

    @property
    def work(self) -> int:
        """Which of the engine's kinds of work it does."""

    def run(self) -> None:
        """Do what is due. Called again at once if that was not all."""


class Tickers:
    """A thread for each loop. They run until stop(); one that ends sooner is a failure of the daemon.

    on_failure is called from the thread that failed, with a line for the operator.
    """

    def __init__(self, engine: Engine, loops: list[Loop], on_failure: Callable[[str], None]) -> None:
        self._engine = engine
        self._on_failure = on_failure
        self._threads = [
            threading.Thread(target=self._tick, args=(loop,), name=loop.name, daemon=True) for loop in loops
        ]

    def start(self) -> None:
        """Start them, with the signal mask of the calling thread."""
        for thread in self._threads:
            thread.start()

    def _tick(self, loop: Loop) -> None:
        try:
            while self._engine.wait(loop.work):
                loop.run()
        except Exception as error:
            _log.debug("the %s loop failed", loop.name, exc_info=True)
            self._on_failure(f"the {loop.name} loop failed: {str(error) or type(error).__name__}")

    def stop(self) -> None:
        """End them; returns when all have ended."""
        self._engine.stop_waiting()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
