"""Fills a daemon with realistic data over its socket: queues of a shop, with workers that complete and fail jobs.

python tests/browser/seed.py PORT [--queues N] [--run]. Without --run it leaves a still picture behind and ends; with it
pushes and works on until it is stopped.
"""

import argparse
import json
import random
import socket
import time
from typing import Any

QUEUES = ("emails", "webhooks", "thumbnails", "invoices", "search-index", "exports", "billing/retry", "notifications")
ERRORS = (
    "SMTP 550: no such mailbox\n  at deliver (mail.py:118)",
    "ReadTimeout: https://hooks.example.org/in did not answer within 10 s",
    "ValueError: not a PNG file: header is 47 49 46 38",
    "ConnectionRefusedError: [Errno 111] 10.0.4.17:5432",
)


class Daemon:
    """A connection: call() sends a command and gives its answer."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._lines = self._socket.makefile("rwb")

    def call(self, command: str, **fields: object) -> dict[str, Any]:
        self._lines.write(json.dumps({"cmd": command, **fields}).encode() + b"\n")
        self._lines.flush()
        answer: dict[str, Any] = json.loads(self._lines.readline())
        if not answer["ok"]:
            raise RuntimeError(f"{command}: {answer['error']}")
        return answer

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def payload(queue: str, n: int, random_: random.Random) -> object:
    if queue == "emails":
        template = random_.choice(["welcome", "receipt", "reset"])
        return {"to": f"user{n}@example.org", "template": template, "locale": "en"}
    if queue == "webhooks":
        return {
            "url": "https://hooks.example.org/in",
            "event": "order.paid",
            "order": {"id": 9_007_199_254_740_993 + n, "total": "149.90", "lines": [{"sku": "A-12", "n": 2}]},
        }
    return {"id": n, "source": f"s3://assets/{queue}/{n:06d}.png", "sizes": [64, 256, 1024], "force": False}


def seed(daemon: Daemon, more_queues: int = 0) -> None:
    """Jobs in every state, paused and limited queues, crons. Every number is the same each time but the ids."""
    random_ = random.Random(6)
    for i, queue in enumerate(QUEUES):
        jobs = [{"data": payload(queue, n, random_), "max_attempts": 1, "priority": n % 3} for n in range(400 - 40 * i)]
        daemon.call("PUSHB", queue=queue, jobs=jobs)
    for queue, failures in (("webhooks", 60), ("emails", 9), ("thumbnails", 23)):
        for n in range(failures):
            job = daemon.call("PULL", queue=queue, timeout=0, lease=600_000)["job"]
            daemon.call("FAIL", id=job["id"], error=ERRORS[n % len(ERRORS)])
    for queue in ("emails", "invoices", "search-index"):
        for _ in range(120):
            job = daemon.call("PULL", queue=queue, timeout=0, lease=600_000)["job"]
            daemon.call("ACK", id=job["id"], result={"sent": True, "message_id": f"<{job['id']}@mail.example.org>"})
    held = [daemon.call("PULL", queue="exports", timeout=0, lease=1_800_000)["job"] for _ in range(6)]
    for n, job in enumerate(held):
        daemon.call("PROGRESS", id=job["id"], progress=n * 17, message=f"page {n} of 6")
    later = [{"data": {"n": n}, "delay": 3_600_000 + n * 60_000} for n in range(120)]
    daemon.call("PUSHB", queue="emails", jobs=later)
    retry = {"max_attempts": 3, "backoff": 600_000, "priority": 9}
    retried = daemon.call("PUSH", queue="billing/retry", data={"invoice": 1041}, **retry)
    daemon.call("PULL", queue="billing/retry", timeout=0, lease=600_000)
    daemon.call("FAIL", id=retried["id"], error="card declined")
    parents = [daemon.call("PUSH", queue="exports", data={"part": n})["id"] for n in range(3)]
    daemon.call("PUSH", queue="exports", data={"merge": parents}, depends_on=parents)
    daemon.call("PAUSE", queue="invoices")
    daemon.call("RATELIMIT", queue="webhooks", limit=100, duration=1000)
    daemon.call("SETCONCURRENCY", queue="exports", limit=6)
    for name, queue, schedule, zone in (
        ("nightly-report", "exports", "30 2 * * *", "Europe/Paris"),
        ("digest", "emails", "0 7 * * MON-FRI", "Europe/Paris"),
        ("heartbeat", "notifications", "*/30", "UTC"),
        ("month-end", "invoices", "0 6 1 * *", "UTC"),
        ("reindex", "search-index", "@hourly", "UTC"),
    ):
        daemon.call("CRON", name=name, queue=queue, schedule=schedule, timezone=zone, data={"cron": name})
    daemon.call("CRONPAUSE", name="month-end")
    for n in range(more_queues):
        daemon.call("PUSHB", queue=f"tenant-{n:04d}/events", jobs=[{"data": {"n": i}} for i in range(n % 7 + 1)])


def work(daemon: Daemon) -> None:
    """Push and work on, about a hundred jobs a second with ups and downs, until interrupted."""
    random_ = random.Random(7)
    n = 0
    while True:
        n += 1
        for queue in QUEUES[:5]:
            burst = random_.randint(1, 6 if n % 60 < 40 else 12)
            jobs = [{"data": payload(queue, n, random_), "max_attempts": 1} for _ in range(burst)]
            daemon.call("PUSHB", queue=queue, jobs=jobs)
            if queue == "invoices":
                continue
            taken = daemon.call("PULLB", queue=queue, count=random_.randint(1, 8), timeout=0, lease=60_000)["jobs"]
            time.sleep(random_.random() / 50)
            for job in taken:
                if random_.random() < (0.08 if queue == "webhooks" else 0.002):
                    daemon.call("FAIL", id=job["id"], error=random_.choice(ERRORS))
                else:
                    daemon.call("ACK", id=job["id"], result={"ok": True})
        time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--queues", type=int, default=0)
    parser.add_argument("--run", action="store_true")
    options = parser.parse_args()
    daemon = Daemon(options.port)
    seed(daemon, options.queues)
    if options.run:
        work(daemon)


if __name__ == "__main__":
    main()
