"""A process that opens one log folder after the other and says what each holds; run by test_powerloss.py.

A line of input is a folder's path; its line of output {"error"} or what an engine on it shows, as JSON: {"queues":
{NAME: load.look}, "stats", "ids": those of jobs then pushed, "again": the queues after a second start}. An engine that
finds its own counts wrong ends this process.
"""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from typing import Any

from mqfast._engine import Engine, EngineError
from mqfast.control.cron import first_run
from tests.crash.load import START, THREADS, execute, look
from tests.crash.running import running

QUEUES = [f"q{number}" for number in range(THREADS)]


def engine_on(folder: str) -> AbstractContextManager[Engine]:
    return running(Engine(folder=folder, fsync="always", judge=first_run, manual_time_ms=START))


def inspect(folder: str) -> dict[str, Any]:
    with engine_on(folder) as engine:
        engine.check()
        queues = {queue: look(engine, queue) for queue in QUEUES}
        stats = execute(engine, {"cmd": "STATS"})
        push = [{"cmd": "PUSH", "queue": queue, "data": "new"} for queue in QUEUES for _ in range(3)]
        ids = [execute(engine, request)["id"] for request in push]
        engine.snapshot()
    with engine_on(folder) as engine:
        engine.check()
        again = {queue: look(engine, queue) for queue in QUEUES}
    return {"queues": queues, "stats": stats, "ids": ids, "again": again}


def main() -> None:
    for line in sys.stdin:
        try:
            found = inspect(line.rstrip("\n"))
        except EngineError as error:
            found = {"error": str(error)}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
