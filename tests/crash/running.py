"""An engine whose log is written, for as long as a block lasts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mqfast._engine import Engine


@contextmanager
def running(engine: Engine) -> Iterator[Engine]:
    """The engine; in the end all that was done is on the disk, and it is closed."""
    log = threading.Thread(target=engine.run_log)
    log.start()
    try:
        yield engine
    finally:
        engine.stop_log()
        log.join()
        engine.close()
