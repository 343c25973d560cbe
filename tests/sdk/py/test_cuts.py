"""Connections are cut at any byte, many times: no accepted job is lost, none is invented, and nothing gets stuck."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest

from magicqueue import ConnectionLostError, Job, Queue, Worker, aio
from tests.sdk.py.cutting_proxy import CuttingProxy
from tests.sdk.py.ledger import Ledger, quiet
from tests.sdk.py.package import WAIT_S, port_of
from tests.tcp.fixtures import StartDaemon

CUTS = 30


@pytest.fixture
def proxy(start_daemon: StartDaemon) -> Iterator[CuttingProxy]:
    # A job may be lost with its connection more often than usual here.
    proxy = CuttingProxy(("127.0.0.1", port_of(start_daemon("--max-deliveries", "1000000"))))
    yield proxy
    proxy.close()


@pytest.mark.parametrize("lease_ms", [None, 1000], ids=["held by connection", "held by lease"])
def test_threads(proxy: CuttingProxy, lease_ms: int | None) -> None:
    ledger, over = Ledger(), threading.Event()
    queue = Queue("q", "127.0.0.1", proxy.port)
    workers = [
        Worker(
            "q", ledger.handle, "127.0.0.1", proxy.port, concurrency=2, lease_ms=lease_ms, on_lost=quiet, on_error=quiet
        )
        for _ in range(2)
    ]

    def listen() -> None:
        with contextlib.suppress(ConnectionLostError), queue.events() as events:
            while not over.is_set():
                events.next(0.05)

    working = [threading.Thread(target=worker.start) for worker in workers]
    pushing = [threading.Thread(target=ledger.push_until, args=(queue.push, over, str(n))) for n in range(3)]
    pushing.append(threading.Thread(target=listen))
    for thread in working + pushing:
        thread.start()
    proxy.wait_for_cuts(CUTS, WAIT_S)
    proxy.calm()
    over.set()
    for thread in pushing:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    ledger.check()
    for worker in workers:
        worker.stop()
    for thread in working:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    queue.close()


@pytest.mark.parametrize("lease_ms", [None, 1000], ids=["held by connection", "held by lease"])
def test_asyncio(proxy: CuttingProxy, lease_ms: int | None) -> None:
    accepted: set[str] = set()
    maybe: set[str] = set()
    done: set[str] = set()

    async def handler(job: Job, _context: object) -> None:
        done.add(job.data)

    async def push(queue: aio.Queue, name: str, over: asyncio.Event) -> None:
        number = 0
        while not over.is_set():
            number += 1
            key = f"{name}-{number}"
            try:
                await queue.push(key)
            except ConnectionLostError as error:
                if error.maybe_done:
                    maybe.add(key)
            else:
                accepted.add(key)

    async def program() -> None:
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        place = ("127.0.0.1", proxy.port)
        queue = aio.Queue("q", *place)
        workers = [
            aio.Worker("q", handler, *place, concurrency=2, lease_ms=lease_ms, on_lost=quiet, on_error=quiet)
            for _ in range(2)
        ]
        working = [asyncio.ensure_future(worker.start()) for worker in workers]
        pushing = [asyncio.ensure_future(push(queue, str(number), over)) for number in range(3)]
        await loop.run_in_executor(None, proxy.wait_for_cuts, CUTS, WAIT_S)
        proxy.calm()
        over.set()
        await asyncio.wait_for(asyncio.gather(*pushing), WAIT_S)
        async with await queue.events("completed") as events:
            while not accepted <= done:
                assert await events.next(WAIT_S) is not None, "accepted jobs are lost"
        assert done <= accepted | maybe, "jobs that nobody pushed"
        for worker in workers:
            worker.stop()
        await asyncio.wait_for(asyncio.gather(*working), WAIT_S)
        await queue.close()

    asyncio.run(program())
