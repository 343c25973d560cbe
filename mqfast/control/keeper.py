"""The threads that keep the log: one writes it, one makes snapshots when enough has been logged."""

import logging
import threading
from collections.abc import Callable

from mqfast._engine import SNAPSHOT, Engine

RETRY_SECONDS = 30.0
"""After a snapshot that failed, as on a full disk."""

_log = logging.getLogger("mqfast")


class Keeper:
    """Both threads. Without a folder the writing thread ends at once, and no snapshot is ever wanted.

    on_failure is called from the writing thread when the disk fails, with a line for the operator.
    """

    def __init__(self, engine: Engine, on_failure: Callable[[str], None]) -> None:
        self._engine = engine
        self._on_failure = on_failure
        self._stopping = threading.Event()
        self._writer = threading.Thread(target=self._write, name="log", daemon=True)
        self._snapshots = threading.Thread(target=self._make_snapshots, name="snapshots", daemon=True)

    def start(self) -> None:
        """Start them, with the signal mask of the calling thread."""
        self._writer.start()
        self._snapshots.start()

    def _write(self) -> None:
        try:
            self._engine.run_log()
        except Exception as error:
            _log.debug("the log failed", exc_info=True)
            self._on_failure(str(error) or type(error).__name__)

    def _make_snapshots(self) -> None:
        while self._engine.wait(SNAPSHOT):
            try:
                self._engine.snapshot()
            except OSError as error:  # the log alone still has everything
                _log.warning("no snapshot could be made, the log grows: %s", error)
                if self._stopping.wait(RETRY_SECONDS):
                    return

    def stop(self) -> None:
        """End them, after the engine's stop_waiting(); returns when all that was done is on the disk."""
        self._stopping.set()
        self._engine.stop_log()
        for thread in (self._snapshots, self._writer):
            if thread.ident is not None:
                thread.join()
