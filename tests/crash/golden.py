"""Makes tests/data/golden-log-1: a log of format 1 with every type of record, and the state that it leads to.

    python -m tests.crash.golden FOLDER

Checked in once: what was written then must be read for ever, so a change of the engine is no reason to make it anew. A
format 2 gets a folder of its own beside it. The engine stood at END when it told the state.
"""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mqfast._engine import Engine
from mqfast.control.cron import Cron, first_run
from tests.crash.running import running

START = 1_800_000_000_000
END = START + 3_000_000
LEASE = 100_000_000
SETTINGS: dict[str, Any] = {"result_ttl_ms": 10_000_000, "result_max": 4, "max_deliveries": 2}
EXPECTED = "expected.json"

QUEUES = tuple(f"{name}{part}" for part in range(3) for name in ("work", "dead", "cron", "child", "set"))
JOB_DEFAULTS: dict[str, Any] = {
    "priority": 0,
    "started_at": 0,
    "attempts": 0,
    "max_attempts": 0,
    "backoff": 0,
    "max_backoff": 3_600_000,
    "ttl": 0,
    "timeout": 0,
    "unique_key": None,
    "depends_on": [],
    "progress": 0,
    "progress_msg": None,
    "deliveries": 0,
    "token": None,
    "last_error": None,
    "ended_at": None,
    "errors": [],
}
"""What is not written of a job in expected.json."""


def engine_at(folder: Path, now: int) -> AbstractContextManager[Engine]:
    """An engine on the folder, its clock at `now`, with the settings that the golden log was made with."""
    return running(Engine(folder=str(folder), manual_time_ms=now, judge=first_run, **SETTINGS))


def ask(engine: Engine, cmd: str, **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(engine.execute(json.dumps({"cmd": cmd, **fields}).encode()))
    return answer


def state_of(engine: Engine, ids: list[int]) -> dict[str, Any]:
    """All that commands tell: of these jobs, the queues, the crons, the order of the dead letters, the sums."""
    totals = {name: n for name, n in ask(engine, "METRICS")["metrics"].items() if name.startswith("total_")}
    return {
        "jobs": [ask(engine, "GETJOB", id=id) for id in ids],
        "results": {
            str(id): result for id in ids if (result := ask(engine, "GETRESULT", id=id)).get("result") is not None
        },
        "stats": ask(engine, "STATS"),
        "totals": totals,
        "queues": sorted(ask(engine, "LISTQUEUES")["queues"], key=lambda row: str(row["name"])),
        "crons": ask(engine, "CRONLIST")["crons"],
        "dlq": {queue: [job["id"] for job in ask(engine, "DLQ", queue=queue)["jobs"]] for queue in QUEUES},
        "dlq_counts": ask(engine, "GETDLQCOUNTS")["counts"],
    }


def shortened(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer of GETJOB without what JOB_DEFAULTS says."""
    job = answer["job"] or {}
    kept = {name: value for name, value in job.items() if name not in JOB_DEFAULTS or value != JOB_DEFAULTS[name]}
    return {**answer, "job": kept or None}


def in_full(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer that was shortened."""
    return {**answer, "job": {**JOB_DEFAULTS, **answer["job"]} if answer["job"] else None}


class Session:
    """Fixed requests. part: 0 before the first snapshot, 1 between the two, 2 after them; 1 and 2 have all types of
    records."""

    def __init__(self) -> None:
        self.now = START
        self.ids: list[int] = []

    def go_on(self, engine: Engine) -> None:
        self.engine = engine
        self.cron = Cron(engine)

    def ask(self, cmd: str, **fields: Any) -> dict[str, Any]:
        answer = ask(self.engine, cmd, **fields)
        assert answer["ok"], (cmd, fields, answer)
        return answer

    def push(self, queue: str, data: Any, **options: Any) -> int:
        id = int(self.ask("PUSH", queue=queue, data=data, **options)["id"])
        self.ids.append(id)
        return id

    def pull(self, queue: str, lease: int = LEASE) -> int:
        job = self.ask("PULL", queue=queue, timeout=0, lease=lease)["job"]
        assert job is not None, queue
        return int(job["id"])

    def until(self, now: int) -> None:
        self.now = now
        self.engine.set_time(now)
        self.engine.tick()
        self.cron.run()

    def part(self, part: int) -> None:
        begin = START + part * 1_000_000
        self.until(begin)
        self.set_queues(part)
        self.make_families(f"child{part}")
        if part:
            self.make_jobs(f"work{part}", part)
            self.kill_jobs(f"dead{part}", begin)
            self.run_crons(part, begin)

    def set_queues(self, part: int) -> None:
        name = f"set{part}"
        self.ask("PAUSE", queue=name)
        self.ask("RATELIMIT", queue=name, limit=50 + part, duration=2000)
        self.ask("SETCONCURRENCY", queue=name, limit=3)
        self.ask("PAUSE", queue="gone")
        self.ask("OBLITERATE", queue="gone")

    def make_jobs(self, queue: str, part: int) -> None:
        for number in range(2):
            self.push(
                queue, {"part": part, "text": 'Größe \u2603 \\ " \n', "number": number, "big": 12345678901234567890.25}
            )
            done = self.pull(queue)
            self.ask("ACK", id=done, **({"result": {"of": number}} if number % 2 else {}))
        held = self.push(queue, "held", timeout=LEASE)
        assert self.pull(queue) == held
        self.ask("HEARTBEAT", id=held, lease=LEASE + 1)
        self.ask("PROGRESS", id=held, progress=30 + part, message="some way")
        self.push(queue, "bare")
        self.push(
            queue,
            ["all"],
            priority=-7,
            delay=LEASE,
            ttl=LEASE,
            timeout=5000,
            max_attempts=9,
            backoff=11,
            max_backoff=13,
            unique_key=f"key of {queue}",
        )
        batch = self.ask("PUSHB", queue=queue, jobs=[{"data": i, "priority": i} for i in range(-1, 2)])["ids"]
        self.ids.extend(batch)
        self.ask("CANCEL", id=batch[1])
        self.ask("RELEASE", id=self.pull(queue), delay=LEASE)

    def kill_jobs(self, queue: str, begin: int) -> None:
        """Of every reason that there is without connections; the last one is in backoff."""
        for number in range(2):
            self.push(queue, number, max_attempts=2, backoff=10)
            failing = self.pull(queue)
            self.ask("FAIL", id=failing, error="first")
            self.until(self.now + 10)
            assert self.pull(queue) == failing
            self.ask("FAIL", id=failing, **({"error": "second"} if number else {}))
        again = self.push(queue, "again")
        self.pull(queue)
        self.ask("FAIL", id=again, error="at once", unrecoverable=True)
        self.ask("RETRYDLQ", queue=queue, id=again)
        purged = self.push(queue, "purged", max_attempts=1, priority=1)
        assert self.pull(queue) == purged
        self.ask("FAIL", id=purged)
        self.ask("PURGEDLQ", queue=queue, ids=[purged])
        slow = self.push(queue, "slow", timeout=1000, max_attempts=1, priority=1)
        assert self.pull(queue) == slow
        lost = self.push(queue, "lost", priority=1)
        self.push(queue, "expired", ttl=500)
        assert self.pull(queue, lease=1000) == lost
        self.until(begin + 10_000)
        assert self.pull(queue, lease=1000) == lost
        self.until(begin + 20_000)
        self.push(queue, "in backoff", backoff=LEASE, max_backoff=LEASE, priority=5)
        self.ask("FAIL", id=self.pull(queue), error="x" * 10)

    def make_families(self, queue: str) -> None:
        parents = [self.push(queue, f"parent {n}") for n in range(3)]
        self.push(queue, "child of one that is done", depends_on=parents[:1])
        self.push(queue, "child of two that are open", depends_on=parents[1:])
        cancelled = self.push(queue, "cancelled", priority=-1)
        self.push(queue, "child of one that is cancelled", depends_on=[cancelled])
        assert self.pull(queue) == parents[0]
        self.ask("ACK", id=parents[0])
        self.ask("CANCEL", id=cancelled)
        self.engine.tick()

    def run_crons(self, part: int, begin: int) -> None:
        queue = f"cron{part}"
        self.ask("CRON", name=f"every {part}", queue=queue, data=[part], schedule="*/60", unique_key="once", ttl=LEASE)
        self.ask(
            "CRON",
            name=f"yearly {part}",
            queue=queue,
            data=0,
            schedule="@yearly",
            timezone="Europe/Berlin",
            overlap="skip",
        )
        self.ask(
            "CRON", name=f"paused {part}", queue=queue, data=0, schedule="0 5 * * MON", paused=True, misfire="skip"
        )
        self.ask("CRON", name="forgotten", queue=queue, data=0, schedule="@hourly")
        self.ask("CRONDELETE", name="forgotten")
        self.until(begin + 90_000)
        for job in self.ask("GETJOBS", queue=queue, state="waiting")["jobs"]:
            self.ids.append(job["id"])


def as_lines(state: dict[str, Any]) -> str:
    """JSON with a line for each job, queue and cron, so that a difference can be read."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def block(value: Any) -> str:
        return "[\n" + ",\n".join(map(line, value)) + "\n]" if isinstance(value, list) else line(value)

    return "{\n" + ",\n".join(f"{line(name)}: {block(value)}" for name, value in state.items()) + "\n}\n"


def make(folder: Path) -> None:
    session = Session()
    with engine_at(folder, START) as engine:
        session.go_on(engine)
        session.part(0)
        engine.snapshot()
    with engine_at(folder, session.now) as engine:
        session.go_on(engine)
        session.part(1)
        engine.snapshot()
        session.part(2)
        session.until(END)
        expected = state_of(engine, sorted(set(session.ids)))
        engine.check()
    (folder / "lock").unlink()
    expected["jobs"] = [shortened(answer) for answer in expected["jobs"]]
    (folder / EXPECTED).write_text(as_lines(expected), encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
