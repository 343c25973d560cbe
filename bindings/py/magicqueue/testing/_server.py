"""What users' tests see of the daemon in memory."""

from __future__ import annotations

from .. import aio
from .._client import MagicQueueClient
from ._links import asyncio_client, threaded_client
from ._memory import MemoryDaemon

START_MS = 1_767_225_600_000
"""2026-01-01."""


class FakeServer:
    """A daemon in memory: ``Queue("emails", client=server.client())``. now: its time at the start, ms since 1970.

    Threads may share it.
    """

    def __init__(self, now: int = START_MS) -> None:
        self._daemon = MemoryDaemon(now)

    @property
    def now(self) -> int:
        """Milliseconds since the Unix epoch, by the server's own clock."""
        return self._daemon.now

    def client(self) -> MagicQueueClient:
        """A client with a connection of its own."""
        return threaded_client(self._daemon)

    def aio_client(self) -> aio.MagicQueueClient:
        """The same for asyncio."""
        return asyncio_client(self._daemon)

    def advance(self, ms: int) -> None:
        """Move the clock. What becomes due on the way happens at its time, in order."""
        self._daemon.advance(ms)
