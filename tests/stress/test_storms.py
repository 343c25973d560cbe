"""Bad days: storms of clients that die in the middle of a line, a daemon that is stopped and goes on.

Afterwards all is as before. MQFAST_STORMS sets how many storms there are; 200 is the long form. Latencies of an honest
client are printed (pytest -s), not judged: a speed belongs in a benchmark.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import statistics
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.tcp.client import Address, Client, encode
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import StartDaemon
from tests.tcp.waiting import eventually

STORMS = int(os.environ.get("MQFAST_STORMS", "4"))
CLIENTS = 500
"""Connections of one storm; four threads open them as fast as they can."""
THREADS = 4
CALM = 300
PATIENCE = 120
GROWTH = 64 << 20
"""Resident memory that a storm may leave behind: freed blocks of the allocator, spare rings."""
LINGER_NONE = struct.pack("ii", 1, 0)


def die_somewhere(address: Address, chance: random.Random, queue: str) -> int:
    """One client of a storm: how many jobs it was told are pushed. It ends by a reset or by closing, often in the
    middle of a line."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as plain:
        plain.settimeout(30)
        plain.connect(address)
        kind = chance.randrange(5)
        push = encode("PUSH", queue=queue, data="x" * chance.randrange(2000))
        told = 0
        if kind == 0:  # nothing at all
            pass
        elif kind == 1:  # a part of a line
            plain.sendall(push[: chance.randrange(1, len(push) - 1)])
        elif kind == 2:  # a job, and then a part of another
            plain.sendall(push + push[:-3])
            told = b'"ok":true' in plain.recv(1000)
        elif kind == 3:  # dies with jobs in its hands, and while it waits
            pull = encode("PULLB", queue=queue, count=chance.randrange(1, 20), timeout=0)
            plain.sendall(pull + encode("PULL", queue="nobody"))
            plain.recv(100)
        else:  # never reads what it asked for
            plain.sendall(encode("LISTQUEUES") * 50)
        if chance.random() < 0.5:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
        return int(told)


def storm(address: Address, queue: str, seed: int) -> tuple[int, float]:
    """A storm: jobs pushed, and how many clients came a second."""
    pushed: list[int] = []

    def some(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        pushed.append(sum(die_somewhere(address, chance, queue) for _ in range(CLIENTS // THREADS)))

    begun = time.monotonic()
    threads = [threading.Thread(target=some, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(pushed), CLIENTS / (time.monotonic() - begun)


class Honest:
    """A client that goes on, and how long its answers took."""

    def __init__(self, client: Client, queue: str) -> None:
        self._client, self._queue = client, queue
        self._over = threading.Event()
        self.enough = threading.Event()  # it has done CALM rounds
        self.ms: list[float] = []
        self.done = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            begun = time.monotonic()
            id = self._client.push(self._queue, self.done)
            job = self._client.pull(self._queue)
            assert (job["id"], job["data"]) == (id, self.done), "the only one who works at this queue"
            self._client.ok("ACK", id=id)
            self.ms.append((time.monotonic() - begun) * 1000)
            self.done += 1
            if self.done == CALM:
                self.enough.set()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.ms, n=100)[98]


def measured(daemon: Daemon, queue: str, seed: int | None) -> tuple[Honest, int, float]:
    """An honest client for as long as a storm (seed None: for CALM rounds)."""
    with daemon.connect() as client:
        honest = Honest(client, f"{queue}-honest")
        pushed, rate = 0, 0.0
        if seed is None:
            assert honest.enough.wait(PATIENCE)
        else:
            pushed, rate = storm(daemon.address(), queue, seed)
        honest.stop()
    return honest, pushed, rate


@contextlib.contextmanager
def snapshots_without_end(daemon: Daemon, folder: Path, queue: str) -> Iterator[None]:
    """Meanwhile so much is logged that one snapshot follows the other; at least two in all."""
    over = threading.Event()
    numbers: set[str] = set()

    def fill() -> None:
        with daemon.connect() as client:
            while not over.is_set() or len(numbers) < 2:
                client.ok("PUSHB", queue=queue, jobs=[{"data": "x" * 10_000}] * 100)
                client.ok("DRAIN", queue=queue)
                numbers.update(path.name for path in folder.glob("*.snap"))

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_storms_of_dying_clients_lose_nothing_and_leave_nothing(start_daemon: StartDaemon, queue: str) -> None:
    check_storms(start_daemon("--max-deliveries", "1000000"), queue)


def test_storms_while_snapshots_are_written(start_daemon: StartDaemon, queue: str, tmp_path: Path) -> None:
    daemon = start_daemon("--max-deliveries", "1000000", "--persist", str(tmp_path), "--fsync", "everysec")
    with snapshots_without_end(daemon, tmp_path, f"{queue}-ballast"):
        check_storms(daemon, queue)


def check_storms(daemon: Daemon, queue: str) -> None:
    storm(daemon.address(), queue, -1)  # so that every thread has its rings and the allocator its arenas
    with daemon.connect() as client:
        eventually(lambda: client.counts(queue)["processing"], lambda held: held == 0)
        client.ok("DRAIN", queue=queue)
        calm, _, _ = measured(daemon, queue, None)
        descriptors, memory = len(daemon.descriptors()), daemon.resident_bytes()
        pushed, rates, stormy = 0, [], []
        for number in range(STORMS):
            honest, told, rate = measured(daemon, queue, number)
            pushed += told
            rates.append(rate)
            stormy += honest.ms
        # what was pushed by a line that came whole counts, told or not: at least what was told
        eventually(lambda: len(daemon.descriptors()), lambda count: count <= descriptors)
        counts = eventually(lambda: client.counts(queue), lambda counts: counts["processing"] == 0)
        assert counts["pending"] >= pushed and counts["dlq"] == 0
        ids = [job["id"] for job in client.ok("PULLB", queue=queue, count=10_000)["jobs"]]
        assert len(ids) == len(set(ids)) == min(10_000, counts["pending"])
        client.ok("ACKB", ids=ids)
        assert daemon.resident_bytes() < memory + GROWTH
        p99 = statistics.quantiles(stormy, n=100)[98] if len(stormy) > 1 else 0.0
    print(f"\n{STORMS} storms of {CLIENTS} clients, {statistics.median(rates):.0f} clients/s;", end=" ")
    print(f"push, pull and ack of an honest client, p99: calm {calm.p99:.1f} ms, in storms {p99:.1f} ms")


def test_a_daemon_that_was_stopped_goes_on_where_it_was(start_daemon: StartDaemon, queue: str) -> None:
    daemon = start_daemon()
    with daemon.connect() as client, daemon.connect() as other:
        held = client.push(queue, 1)
        assert client.pull(queue)["id"] == held
        other.park(f"{queue}-2", "waits", timeout=60_000)
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            for number in range(200):
                client.send("PUSH", queue=f"{queue}-2", data=number)
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        assert all(client.receive()["ok"] for _ in range(200))
        assert other.receive()["job"]["data"] == 0
        assert client.counts(f"{queue}-2") == {"pending": 199, "processing": 1, "delayed": 0, "dlq": 0, "completed": 0}
        client.ok("ACK", id=held)
