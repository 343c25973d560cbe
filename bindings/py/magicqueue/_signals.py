"""SIGTERM and SIGINT stop a worker that runs in the main thread."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def stopping_on_signals(stop: Callable[[bool], None]) -> Iterator[None]:
    """Call ``stop`` when a signal comes, with True if it is not the first. Does nothing outside the main thread.

    A handler of a signal interrupts the main thread anywhere, with any lock held: it only writes to a pipe, and a
    thread that reads from that calls.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def on_signal(_number: int, _frame: object) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(writer, b"s")

    def watch() -> None:
        is_again = False
        while os.read(reader, 1) == b"s":
            stop(is_again)
            is_again = True

    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    watcher = threading.Thread(target=watch, name="magicqueue-signals", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.set_blocking(writer, True)
        os.write(writer, b"e")
        watcher.join()
        os.close(reader)
        os.close(writer)
