"""Threads for plain functions among the handlers of a worker for asyncio.

Not those of the event loop: these are as many as the worker has handlers, and one that never returns keeps neither the
loop nor the interpreter from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any


class Threads:
    """Runs functions; starts a thread only when all it has are busy."""

    def __init__(self) -> None:
        self._todo: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._count = 0
        self._busy = 0

    async def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What the function returns or raises. Cancelling this does not end the function."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        context = contextvars.copy_context()

        def call() -> None:
            result, error = None, None
            try:
                result = context.run(function, *args, **kwargs)
            except BaseException as raised:
                error = raised
            # The loop may have ended meanwhile.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(ended, result, error)

        def ended(result: Any, error: BaseException | None) -> None:
            self._busy -= 1
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                # A future cannot hold StopIteration, and SystemExit would end the loop.
                future.set_exception(error if _can_be_held(error) else RuntimeError(f"{error!r} in a handler"))

        self._busy += 1
        if self._busy > self._count:
            self._count += 1
            threading.Thread(target=self._work, name="magicqueue-handler", daemon=True).start()
        self._todo.put(call)
        return await future

    def end(self) -> None:
        """No more functions; those that run go on."""
        for _ in range(self._count):
            self._todo.put(None)

    def _work(self) -> None:
        while True:
            call = self._todo.get()
            if call is None:
                return
            call()
            del call


def _can_be_held(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, StopIteration)
