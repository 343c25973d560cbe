"""SIGTERM and SIGINT stop a worker that runs in the main thread."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGTERM, signal.SIGINT)
END = 0


@contextlib.contextmanager
def stopping_on_signals(stop: Callable[[bool], None]) -> Iterator[None]:
    """Call ``stop`` when a signal comes, with True if it is not the first. Does nothing outside the main thread.

    It is called by a thread that reads what the interpreter writes to the wakeup descriptor. A handler in Python would
    run in the main thread only, with any lock held, and not at all while that waits in a system call which it had begun
    to enter as the signal came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def watch() -> None:
        is_again = False
        while True:
            number = os.read(reader, 1)[0]
            if number == END:
                return
            if number in SIGNALS:
                stop(is_again)
                is_again = True

    wakeup_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
    watcher = threading.Thread(target=watch, name="magicqueue-signals", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        for number, handler in before.items():
            # None: it was not set by Python, and Python cannot set it again.
            if handler is not None:
                signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup_before)
        os.set_blocking(writer, True)
        os.write(writer, bytes([END]))
        watcher.join()
        os.close(reader)
        os.close(writer)
