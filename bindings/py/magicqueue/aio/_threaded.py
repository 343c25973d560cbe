"""Coroutine handlers in a worker of the threaded client: an event loop for the time of start()."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from .._worker import Run
from .._worker import Worker as ThreadedWorker
from ._worker import Worker


class LoopRun(Run):
    """Runs a worker for asyncio in the calling thread."""

    def __init__(self, worker: ThreadedWorker) -> None:
        if not worker._owns_client:
            raise ValueError("a coroutine handler with a client of its own needs magicqueue.aio.Worker")
        self._worker = worker
        self._lock = threading.Lock()
        self._inner: Worker | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked: float | None = None

    def ask_to_stop(self, drain_s: float) -> None:
        with self._lock:
            if self._inner is None or self._loop is None:
                self._asked = drain_s
            elif not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._inner.stop, drain_s)

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        outer = self._worker
        options: dict[str, Any] = {f"on_{kind}": listener for kind, listener in outer._listeners.items()}
        inner = Worker(
            outer.name,
            outer.handler,
            concurrency=outer.concurrency,
            batch_size=outer.batch_size,
            lease_ms=outer.lease_ms,
            drain_s=outer.drain_s,
            signals=False,
            middleware=outer.middleware,
            **outer._place.arguments(),
            **options,
        )
        with self._lock:
            self._inner, self._loop = inner, asyncio.get_running_loop()
            if self._asked is not None:
                inner.stop(self._asked)
        try:
            await inner.start()
        finally:
            with self._lock:
                self._inner = None
