"""The daemon's memory does not grow with what it has been through.

Each round does the same things to the same queues and takes every job away again. The first rounds fill the allocator's
and the daemon's pools; after them the resident size may grow by the bound below and no more.
"""

from __future__ import annotations

import os

import pytest

from tests.tcp.client import Client, encode
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import StartDaemon
from tests.tcp.mutations import mutated, valid_lines
from tests.tcp.waiting import eventually

WARM_UP = 3
ROUNDS = 6
ACKED = 1000
CANCELLED = 10_000
MUTATED = 1500
CONNECTIONS = 200
MAX_LINE = 2 << 20

NOISE = 2 << 20
"""Page-wise growth of heaps and thread stacks that no leak explains: a few pages for each thread and arena."""
KEPT = 500
"""Completed jobs that stay on record: fewer than a round has, so that they are as many after each."""
BOUND = NOISE
"""Losing 32 bytes for each job (69,000 of them), 250 for each mutated line (9,000) or 2 KiB for each connection (1,200)
would pass it."""


@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="a sanitizer keeps freed memory on purpose")
def test_memory_is_flat_over_rounds_of_abuse(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--max-line", str(MAX_LINE), "--result-max", str(KEPT))
    sizes = []
    with daemon.connect() as client:
        for number in range(WARM_UP + ROUNDS):
            come_and_go(daemon)
            send_mutated_lines(daemon)
            exceed_limits(daemon)
            push_and_end_jobs(client)
            lose_jobs(daemon, client)
            if number >= WARM_UP - 1:
                sizes.append(daemon.resident_bytes())
        counts = client.ok("STATS")
        assert {counts[name] for name in ("queued", "processing", "delayed", "dlq")} == {0}
    growth = sizes[-1] - sizes[0]
    assert growth <= BOUND, f"resident sizes after each round: {[size >> 10 for size in sizes]} KiB"


def come_and_go(daemon: Daemon) -> None:
    """Connections that end at every possible moment, some with parked pulls, partial lines or unread answers."""
    for number in range(CONNECTIONS):
        client = daemon.connect()
        match number % 5:
            case 0:
                client.ping()
            case 1:
                client.park("memory-parked", "r")
            case 2:
                client.send_bytes(b'{"cmd":"PUSH","queue":"memory","data":"' + b"x" * (number * 997 % 200_000))
            case 3:
                client.send_bytes(encode("LISTQUEUES") * 50)
            case _:
                pass
        if number % 2:
            client.reset()
        else:
            client.close()


def send_mutated_lines(daemon: Daemon) -> None:
    """The same lines in every round, so that the names they make up are known after the first one."""
    with daemon.connect() as client:
        lines = [
            line for line in mutated(valid_lines("memory-mutated"), MUTATED, seed=1) if b"pull" not in line.lower()
        ]
        sender = client.send_in_background(b"".join(line + b"\n" for line in lines))
        answers = [client.receive() for _ in lines]
        sender.join()
        ids = [answer["id"] for answer in answers if "id" in answer]
        ids += [job_id for answer in answers for job_id in answer.get("ids", []) if job_id]
        for job_id in ids:
            client.call("CANCEL", id=job_id)  # refused for an answer that is the count of an ACKB


def exceed_limits(daemon: Daemon) -> None:
    with daemon.connect() as client:
        for _ in range(3):
            sender = client.send_in_background(b'{"cmd":"PING","x":"' + b"x" * (2 * MAX_LINE) + b'"}\n')
            assert client.receive()["code"] == "line_too_long"
            sender.join()
        client.refusal("PUSHB", queue="memory", jobs="x" * (MAX_LINE // 2))
        sender = client.send_in_background(b"[" * (MAX_LINE // 2) + b"\n")
        assert client.receive()["ok"] is False
        sender.join()
        client.send_bytes(b"\n" * 5000)
        for _ in range(5000):
            client.receive_line()


def push_and_end_jobs(client: Client) -> None:
    """Jobs that end in every way: acknowledged, cancelled while pending, delayed or held, dead and retried."""
    queue = "memory-jobs"
    jobs = [{"data": "x" * (n % 100), "unique_key": str(n), "delay": n % 2 * 3_600_000} for n in range(CANCELLED)]
    ids = client.ok("PUSHB", queue=queue, jobs=jobs)["ids"]
    client.ok("PULLB", queue=queue, count=500)
    client.send_bytes(b"".join(encode("CANCEL", id=job_id) for job_id in ids))
    for _ in ids:
        assert client.receive() == {"ok": True}
    jobs = [{"data": "y" * 100, "max_attempts": 1} for _ in range(ACKED)]
    ids = client.ok("PUSHB", queue=queue, jobs=jobs)["ids"]
    client.ok("PULLB", queue=queue, count=ACKED)
    for job_id in ids:
        client.ok("FAIL", id=job_id, error="e" * 100)
    client.ok("RETRYDLQ", queue=queue)
    client.ok("PULLB", queue=queue, count=ACKED)
    assert client.ok("ACKB", ids=ids)["count"] == ACKED


def lose_jobs(daemon: Daemon, client: Client) -> None:
    """Jobs of workers that are killed, then cancelled."""
    queue = "memory-lost"
    ids = client.ok("PUSHB", queue=queue, jobs=[{"data": "z" * 200} for _ in range(500)])["ids"]
    for _ in range(3):
        worker = daemon.connect()
        worker.ok("PULLB", queue=queue, count=500, timeout=5000)
        worker.reset()
        eventually(lambda: client.counts(queue)["pending"], lambda pending: pending == 500)
    for job_id in ids:
        client.ok("CANCEL", id=job_id)
