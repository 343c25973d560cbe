"""A process that works with an engine on a folder until it is killed; test_powerloss.py runs it under powerloss.c.

Arguments: folder, fsync, seed, operations of each thread, and whether snapshots are made meanwhile (0, 1). Each of its
threads has a queue to itself, so that what a client was told says all of that queue's state; together they make the log
write groups. What is asked and what is answered goes into the journal, in its place among what happens to the files.
"""

from __future__ import annotations

import ctypes
import json
import random
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from mqfast._engine import Engine
from mqfast.control.cron import first_run
from tests.crash.ledger import FIRE, SECOND, Note, State

THREADS = 3
START = 1_800_000_000_000
HOUR = 3_600_000
SNAPSHOTS = 3  # at least, if any: the third gives up the first

NOW = [START]  # the engine's clock, moved by crons only; under the lock
CLOCK = threading.Lock()


Way = tuple[int, bool, Callable[[], None]]
"""Weight, is it possible now, and what it does."""


class Worker:
    """Does random commands to one queue, of the kinds that leave something behind."""

    def __init__(self, engine: Engine, number: int, seed: int) -> None:
        self.engine = engine
        self.thread = number
        self.queue = f"q{number}"
        self.rng = random.Random(f"{seed} {number}")
        self.state = State()
        self.count = 0
        self.fresh = 0
        self.note = ctypes.CDLL(None).powerloss_note
        self.seed = seed

    def run(self, operations: int) -> None:
        self.recall()
        for _ in range(operations):
            self.one()

    def recall(self) -> None:
        """What is there of an earlier process, told as answers to the one who keeps the ledger."""
        seen = look(self.engine, self.queue)
        self.put(Note(self.thread, 0, state=seen))
        self.state = State.seen(seen)

    def put(self, note: Note) -> None:
        text = note.text()
        self.note(text, len(text))

    def ask(self, cmd: str, **fields: Any) -> None:
        self.count += 1
        request = {"cmd": cmd, **fields}
        self.put(Note(self.thread, self.count, request=request))
        answer = fire(self.engine, request) if cmd == FIRE else execute(self.engine, request)
        self.put(Note(self.thread, self.count, answer=answer))
        self.state.foresee(request)
        self.state.apply(request, answer)

    def text(self) -> str:
        """Data of a job or a cron that nothing else has."""
        self.fresh += 1
        return f"{self.queue} {self.seed} {self.fresh}"

    def new(self) -> dict[str, Any]:
        """The fields of a push."""
        fields: dict[str, Any] = {"data": self.text(), "max_attempts": 2}
        if self.rng.random() < 0.4:
            fields["priority"] = self.rng.choice([-1, 1, 5])
        if self.rng.random() < 0.2:
            fields["delay"] = HOUR
        if self.rng.random() < 0.1:
            fields["data"] += " " + "x" * self.rng.choice([500, 3000, 20_000])
        return fields

    def one(self) -> None:
        """One command, of those that the queue's state allows."""
        ways = [*self.pushes(), *self.works(), *self.settings()]
        weights, actions = zip(*((weight, action) for weight, is_possible, action in ways if is_possible), strict=True)
        (action,) = self.rng.choices(actions, weights)
        action()

    def several(self) -> list[dict[str, Any]]:
        return [self.new() for _ in range(self.rng.randint(1, 40))]

    def pushes(self) -> Iterator[Way]:
        yield 8, True, lambda: self.ask("PUSH", queue=self.queue, **self.new())
        yield 3, True, lambda: self.ask("PUSHB", queue=self.queue, jobs=self.several())

    def works(self) -> Iterator[Way]:
        """On one of the jobs that are in the state for it."""
        held, dead, delayed = self.state.ids("active"), self.state.ids("failed"), self.state.ids("delayed")
        choose, queue = self.rng.choice, self.queue
        waits = bool(self.state.ids("waiting")) and not self.state.paused
        yield 8, waits, lambda: self.ask("PULL", queue=queue, timeout=0, lease=HOUR)
        yield 5, bool(held), lambda: self.ask("ACK", id=choose(held))
        yield 2, bool(held), lambda: self.ask("ACKB", ids=held[:5])
        yield 4, bool(held), lambda: self.ask("FAIL", id=choose(held), error="so it goes")
        yield 1, bool(held), lambda: self.ask("PROGRESS", id=choose(held), progress=self.rng.randint(1, 99))
        yield 1, bool(delayed), lambda: self.ask("CANCEL", id=choose(delayed))
        yield 1, bool(dead), lambda: self.ask("RETRYDLQ", queue=queue, id=choose(dead))

    def settings(self) -> Iterator[Way]:
        """The queue's pause and its cron, which has the queue's name."""
        has_cron = self.state.cron is not None
        cron = {"name": self.queue, "queue": self.queue, "schedule": "*/1"}
        yield 1, True, lambda: self.ask("RESUME" if self.state.paused else "PAUSE", queue=self.queue)
        yield 1, not has_cron, lambda: self.ask("CRON", **cron, data=self.text())
        yield 2, has_cron, lambda: self.ask(FIRE, name=self.queue, slot=next_run(self.engine, self.queue))
        yield 1, has_cron, lambda: self.ask("CRONDELETE", name=self.queue)


def execute(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(engine.execute(json.dumps(request).encode()))
    assert answer["ok"], (request, answer)
    return answer


def next_run(engine: Engine, name: str) -> int:
    (row,) = (row for row in execute(engine, {"cmd": "CRONLIST"})["crons"] if row["name"] == name)
    return int(row["next_run"])


def fire(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    """The cron's time has come: it moves on and its job is pushed."""
    with CLOCK:
        NOW[0] = max(NOW[0], request["slot"])
        engine.set_time(NOW[0])
    assert engine.fire(request["name"], request["slot"], request["slot"] + SECOND, True)
    return {}


def look(engine: Engine, queue: str) -> dict[str, Any]:
    """All that a queue has, as State.seen takes it."""
    jobs = []
    for state in ("waiting", "delayed", "waitingparent", "active", "completed", "failed"):
        cursor = None
        while True:
            page = execute(engine, {"cmd": "GETJOBS", "queue": queue, "state": state, "limit": 1000, "cursor": cursor})
            wanted = ("id", "data", "priority", "attempts", "progress")
            jobs += [{"state": state, **{key: job[key] for key in wanted}} for job in page["jobs"]]
            cursor = page["cursor"]
            if cursor is None:
                break
    crons = [row for row in execute(engine, {"cmd": "CRONLIST"})["crons"] if row["name"] == queue]
    return {
        "jobs": jobs,
        "paused": execute(engine, {"cmd": "ISPAUSED", "queue": queue})["paused"],
        "cron": {key: crons[0][key] for key in ("data", "priority", "next_run")} if crons else None,
    }


def main() -> None:
    folder, fsync = sys.argv[1:3]
    seed, operations, has_snapshots = map(int, sys.argv[3:])
    engine = Engine(folder=folder, fsync=fsync, judge=first_run, manual_time_ms=START)
    log = threading.Thread(target=engine.run_log)
    log.start()
    workers = [Worker(engine, number, seed) for number in range(THREADS)]
    threads = [threading.Thread(target=worker.run, args=(operations,)) for worker in workers]
    for thread in threads:
        thread.start()
    made = 0
    while has_snapshots and (made < SNAPSHOTS or any(thread.is_alive() for thread in threads)):
        engine.snapshot()
        made += 1
        threads[made % THREADS].join(0.02)
    for thread in threads:
        thread.join()
    engine.stop_log()
    log.join()
    engine.close()
    note = Note(-1, 0, answer={"ended": True}).text()
    ctypes.CDLL(None).powerloss_note(note, len(note))


if __name__ == "__main__":
    main()
