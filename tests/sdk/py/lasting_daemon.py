"""A daemon that keeps its jobs, is killed, and comes back at the same place."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.tcp.daemon_process import Daemon


class LastingDaemon:
    """Started, killed with SIGKILL and started again at will, on one port and one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: Daemon | None = Daemon("--persist", str(folder))
        address = self._running.address()
        assert isinstance(address, tuple)
        self.port = int(address[1])

    def kill(self) -> None:
        """At once, with whatever it was doing."""
        assert self._running is not None
        os.kill(self._running.pid, signal.SIGKILL)
        self._running._close()
        self._running = None

    def start(self) -> None:
        self._running = Daemon("--port", str(self.port), "--persist", str(self._folder))

    def end(self) -> None:
        if self._running is not None:
            self._running.stop()
