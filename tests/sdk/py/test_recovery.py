"""The daemon is killed with SIGKILL and comes back: nothing is lost, and nobody has to do anything."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from magicqueue import MagicQueueClient, Queue, Worker, aio
from tests.sdk.py.lasting_daemon import LastingDaemon
from tests.sdk.py.ledger import Ledger, quiet
from tests.sdk.py.package import WAIT_S

KILLS = 3


@pytest.fixture
def lasting(tmp_path: Path) -> Iterator[LastingDaemon]:
    daemon = LastingDaemon(tmp_path / "log")
    yield daemon
    daemon.end()


@pytest.mark.parametrize("lease_ms", [None, 1000], ids=["held by connection", "held by lease"])
def test_workers_and_pushers_go_on_and_no_accepted_job_is_lost(lasting: LastingDaemon, lease_ms: int | None) -> None:
    ledger, over = Ledger(), threading.Event()
    queue = Queue("q", "127.0.0.1", lasting.port)
    workers = [
        Worker(
            "q",
            ledger.handle,
            "127.0.0.1",
            lasting.port,
            concurrency=2,
            lease_ms=lease_ms,
            on_lost=quiet,
            on_error=quiet,
        )
        for _ in range(2)
    ]
    threads = [threading.Thread(target=worker.start) for worker in workers]
    threads += [threading.Thread(target=ledger.push_until, args=(queue.push, over, str(n))) for n in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(KILLS):
        ledger.wait_for_more(200)
        lasting.kill()
        lasting.start()
    ledger.wait_for_more(200)
    over.set()
    for thread in threads[2:]:
        thread.join(WAIT_S)
    ledger.check()
    for worker in workers:
        worker.stop()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    queue.close()


def test_a_push_with_a_key_is_sent_again_and_counts_once(lasting: LastingDaemon) -> None:
    queue = Queue("q", "127.0.0.1", lasting.port)
    queue.push("a", unique_key="a")
    lasting.kill()
    threading.Timer(0.2, lasting.start).start()
    queue.push("b", unique_key="b")
    assert [job.data for job in queue.get_jobs("waiting")] == ["a", "b"]
    queue.close()


def test_a_parked_pull_is_made_again(lasting: LastingDaemon) -> None:
    client = MagicQueueClient("127.0.0.1", lasting.port)
    client.connect()
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(client.send({"cmd": "PULL", "queue": "q"})))
    thread.start()
    lasting.kill()
    lasting.start()
    with Queue("q", "127.0.0.1", lasting.port) as queue:
        queue.push("late")
        thread.join(WAIT_S)
        assert answers[0]["job"]["data"] == "late"
    client.close()


def test_events_go_on_and_say_that_some_may_be_missing(lasting: LastingDaemon) -> None:
    queue = Queue("q", "127.0.0.1", lasting.port)
    with queue.events("pushed") as events:
        first = queue.push(1)
        told = events.next(WAIT_S)
        assert told is not None and told.job == first
        lasting.kill()
        lasting.start()
        again = events.next(WAIT_S)
        assert again is not None and again.event == "reconnected"
        second = queue.push(2)
        told = events.next(WAIT_S)
        assert told is not None and told.job == second
    queue.close()


def test_the_asyncio_worker_goes_on(lasting: LastingDaemon) -> None:
    async def program() -> None:
        done: set[int] = set()

        async def handler(job: Any, _context: Any) -> None:
            done.add(job.data)
            if len(done) == 600:
                worker.stop()

        worker = aio.Worker("q", handler, "127.0.0.1", lasting.port, concurrency=4, on_lost=quiet, on_error=quiet)
        running = asyncio.ensure_future(worker.start())
        queue = aio.Queue("q", "127.0.0.1", lasting.port)
        loop = asyncio.get_running_loop()
        for start in (0, 300):
            await queue.push_many(range(start, start + 300))
            await loop.run_in_executor(None, lasting.kill)
            await loop.run_in_executor(None, lasting.start)
        await asyncio.wait_for(running, WAIT_S)
        assert done == set(range(600))
        await queue.close()

    asyncio.run(program())


def test_a_worker_waits_for_a_daemon_that_is_not_there_yet(lasting: LastingDaemon) -> None:
    lasting.kill()
    done = threading.Event()
    worker = Worker("q", lambda *_: done.set(), "127.0.0.1", lasting.port, on_error=quiet)
    thread = threading.Thread(target=worker.start)
    thread.start()
    lasting.start()
    with Queue("q", "127.0.0.1", lasting.port) as queue:
        queue.push(1)
        assert done.wait(WAIT_S)
    worker.stop()
    thread.join(WAIT_S)
    assert not thread.is_alive()
