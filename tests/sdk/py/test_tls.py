"""A daemon that speaks TLS: threads, asyncio and processes work with it, and who does not trust it is told so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from magicqueue import ConnectionLostError, Job, MagicQueueClient, Queue, Worker, aio
from tests.tcp.daemon_process import Daemon

DATA = Path(__file__).parents[2] / "data" / "tls"
CERTIFICATE = str(DATA / "certificate.pem")


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    running = Daemon("--tls-cert", CERTIFICATE, "--tls-key", str(DATA / "key.pem"))
    yield running
    running.stop()


@pytest.fixture
def port(daemon: Daemon) -> int:
    assert daemon.tcp is not None
    return daemon.tcp[1]


def test_threads_push_and_work(port: int) -> None:
    worker = Worker("q", lambda job, _: len(job.data), "localhost", port, concurrency=4, tls=CERTIFICATE)
    working = threading.Thread(target=worker.start)
    working.start()
    with Queue("q", "localhost", port, tls=CERTIFICATE) as queue:
        assert queue.push_and_wait("x" * 300_000) == 300_000
        results: list[int] = []
        threads = [
            threading.Thread(target=lambda: results.extend(queue.push_and_wait("y" * n) for n in range(30)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == sorted([*range(30)] * 8)
        assert len(set(queue.push_many([str(n) for n in range(500)]))) == 500
    worker.stop()
    working.join()


def test_asyncio_pushes_and_works(port: int) -> None:
    async def all_of_it() -> None:
        async def handler(job: Job, _: object) -> int:
            return len(job.data)

        worker = aio.Worker("a", handler, "localhost", port, concurrency=4, tls=CERTIFICATE, signals=False)
        working = asyncio.ensure_future(worker.start())
        async with aio.Queue("a", "localhost", port, tls=CERTIFICATE) as queue:
            assert await asyncio.gather(*(queue.push_and_wait("z" * n) for n in range(50))) == [*range(50)]
        worker.stop()
        await working

    asyncio.run(all_of_it())


def test_a_url_asks_for_it_and_trust_is_needed(port: int) -> None:
    client = MagicQueueClient(url=f"mqs://localhost:{port}", tls=CERTIFICATE)
    client.connect()
    assert client.send({"cmd": "PING"})["pong"]
    client.close()
    stranger = MagicQueueClient(url=f"mqs://localhost:{port}")
    with pytest.raises(ConnectionLostError, match="certificate verify failed"):
        stranger.connect()
    stranger.close()
    with pytest.raises(ConnectionLostError):
        MagicQueueClient("localhost", port, tls=str(DATA / "none")).connect()
