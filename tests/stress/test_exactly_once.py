"""20 workers and 4 producers: every job is acknowledged exactly once, nothing is lost, the counts are exact.

MQFAST_STRESS_JOBS sets the number of jobs; 1000000 is the long form.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.stress.workload import Books, Connect, produce, run_all, watch_counts, work, work_and_die
from tests.tcp.client import Client
from tests.tcp.daemon_process import Daemon

JOBS = int(os.environ.get("MQFAST_STRESS_JOBS", "20000"))
WORKERS = 20
PRODUCERS = 4
KEPT_RECORDS = 100_000
"""Completed jobs that a daemon keeps on record by default."""
SECONDS = 60 + JOBS / 1500
"""Far above what a run takes; so that a hang ends as a failure."""


@pytest.fixture(params=["memory", "log"])
def daemon(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """Not one job may die of losses here: the killed workers' jobs have to be acknowledged in the end."""
    with tempfile.TemporaryDirectory(prefix="mq") as folder:
        log = ["--persist", str(Path(folder, "log"))] if request.param == "log" else []
        running = Daemon("--max-deliveries", "100000", "--unix-socket", str(Path(folder, "s")), *log)
        yield running
        running.stop()


@pytest.fixture
def connect(daemon: Daemon) -> Connect:
    """Every third connection is over the Unix socket."""
    addresses = [daemon.address("tcp"), daemon.address("tcp"), daemon.address("unix")]
    return lambda number: Client(addresses[number % 3], timeout_s=60)


def producers(books: Books, connect: Connect, queue: str) -> list[partial[None]]:
    books.producers_left = PRODUCERS
    shares = [range(JOBS * n // PRODUCERS, JOBS * (n + 1) // PRODUCERS) for n in range(PRODUCERS)]
    return [partial(produce, books, connect, queue, share, n) for n, share in enumerate(shares)]


def check_final_counts(connect: Connect, queue: str) -> None:
    with connect(0) as client:
        counts = client.counts(queue)
        stats = client.ok("STATS")
        assert client.ok("DLQ", queue=queue)["jobs"] == []
    completed = counts.pop("completed")
    assert counts == {"pending": 0, "processing": 0, "delayed": 0, "dlq": 0}
    assert min(JOBS, KEPT_RECORDS) <= completed <= JOBS
    assert stats["completed"] == completed
    assert {stats[name] for name in ("queued", "processing", "delayed", "dlq", "waiting")} == {0}


def test_every_job_is_acknowledged_exactly_once(connect: Connect, queue: str) -> None:
    books = Books(JOBS, time.monotonic() + SECONDS)
    workers = [partial(work, books, connect, queue, n) for n in range(WORKERS)]
    watcher = [partial(watch_counts, books, connect, queue, 0)] if JOBS <= KEPT_RECORDS else []
    run_all(books, [*producers(books, connect, queue), *workers, *watcher])
    assert books.problems == []
    assert books.pushed == JOBS
    assert books.confirmed == bytearray(b"\x01") * JOBS
    check_final_counts(connect, queue)


def test_jobs_of_killed_workers_are_delivered_again_and_acknowledged_once(connect: Connect, queue: str) -> None:
    books = Books(JOBS, time.monotonic() + SECONDS)
    workers = [partial(work_and_die, books, connect, queue, n, random.Random(n)) for n in range(WORKERS)]
    run_all(books, [*producers(books, connect, queue), *workers])
    assert books.problems == []
    assert books.pushed == JOBS
    twice = [number for number in range(JOBS) if books.confirmed[number] > 1]
    never = [number for number in range(JOBS) if books.confirmed[number] == 0 and number not in books.unknown]
    assert (twice, never) == ([], [])
    assert any(books.losses), "no worker was killed with jobs in its hands"
    check_final_counts(connect, queue)
