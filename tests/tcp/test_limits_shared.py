"""Rate and concurrency limits that many connections share, over real time. Exact instants are in tests/unit."""

from __future__ import annotations

import random
import threading

from tests.tcp.client import Client, encode
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import Connect, StartDaemon
from tests.tcp.waiting import Stopwatch, until_counts

RATE = 200
"""Jobs a second."""

CONNECTIONS = 8
PULLS = 75
"""For each connection, sent at once, so that demand is there whatever the client's threads are doing."""


def check_windows(times_ms: list[int], limit: int, duration_ms: int) -> None:
    """No window, from any delivery to any later one, holds more than limit x length / duration + limit deliveries."""
    for first, begin in enumerate(times_ms):
        for last in range(first, len(times_ms)):
            length_ms = times_ms[last] - begin + 1  # the times are whole milliseconds: both ends may be cut
            assert last - first + 1 <= limit * length_ms / duration_ms + limit, (first, last)


def pull_at_the_limit(clients: list[Client], queue: str) -> list[int]:
    """Pulls of both kinds over all connections, all waiting at once; `started_at` of each job, in order."""
    for number, client in enumerate(clients):
        lines = []
        for pull in range(PULLS):
            batch = (number + pull) % 2 == 1
            more: dict[str, object] = {"count": 2} if batch else {}
            lines.append(encode("PULLB" if batch else "PULL", queue=queue, reqId=str(pull), **more))
        client.send_bytes(b"".join(lines))
    started: list[int] = []
    for client in clients:
        for _ in range(PULLS):
            answer = client.receive(timeout_s=30)
            jobs = answer["jobs"] if "jobs" in answer else [answer["job"]]
            assert 1 <= len(jobs) <= 2
            started += [job["started_at"] for job in jobs]
    return sorted(started)


def test_a_rate_limit_holds_over_all_connections_and_is_used_up(connect: Connect, queue: str) -> None:
    clients, producer = [connect() for _ in range(CONNECTIONS)], connect()
    producer.ok("RATELIMIT", queue=queue, limit=RATE)
    pushed = 2 * CONNECTIONS * PULLS
    producer.ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(pushed)])
    watch = Stopwatch()
    started = pull_at_the_limit(clients, queue)
    passed_ms = watch.ms + 1  # the limit counts whole milliseconds: the first one may have been all but over
    assert len(started) <= RATE * passed_ms / 1000 + RATE, "the client's own clock says so too"
    check_windows(started, RATE, 1000)
    # The first RATE deliveries are the full bucket. How late the very last ones are is the machine's affair: at
    # some moment near the end the rate has to be used up.
    flow = started[RATE:]
    assert flow[-1] - started[0] > 1_800, "not the window of about two seconds that this is about"
    used = [count / (time_ms - started[0]) for count, time_ms in enumerate(flow, 1) if count > len(flow) - 50]
    assert max(used) * 1000 >= 0.98 * RATE
    producer.ok("DRAIN", queue=queue)


def test_pulls_that_get_nothing_spend_no_token(connect: Connect, queue: str) -> None:
    client, producer = connect(), connect()
    producer.ok("RATELIMIT", queue=queue, limit=50, duration=3_600_000)
    for _ in range(200):
        assert client.nothing_to_pull(queue)
        assert client.ok("PULLB", queue=queue, count=10, timeout=0)["jobs"] == []
    assert client.ok("PULL", queue=queue, timeout=5)["job"] is None
    producer.ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(60)])
    assert len(client.ok("PULLB", queue=queue, count=100, timeout=0)["jobs"]) == 50
    assert client.nothing_to_pull(queue)


def test_a_small_rate_wakes_waiting_pullers_one_by_one(connect: Connect, queue: str) -> None:
    workers, producer = [connect() for _ in range(6)], connect()
    producer.ok("RATELIMIT", queue=queue, limit=2, duration=200)
    for worker in workers:
        worker.park(queue, "r")
    producer.ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(10)])
    jobs = [worker.receive()["job"] for worker in workers]
    assert [job["data"] for job in jobs] == list(range(6))
    check_windows([job["started_at"] for job in jobs], 2, 200)
    producer.ok("DRAIN", queue=queue)


# Concurrency


LIMIT = 7
JOBS = 400
WORKERS = 50


class Held:
    """How many jobs the workers know that they hold: raised after a pull's answer, lowered before the job is let go.

    So it is never above what the daemon counts as held.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._now = 0
        self.most = 0
        self.ended = 0
        self.problems: list[str] = []

    def take(self) -> None:
        """Count one more; the first LIMIT wait for each other, which shows that so many are given at once."""
        with self._condition:
            self._now += 1
            self.most = max(self.most, self._now)
            self._condition.notify_all()
            if not self._condition.wait_for(lambda: self.most >= LIMIT, timeout=20):
                self.problems.append(f"never more than {self.most} jobs at once")

    def let_go(self, ended: bool) -> None:
        with self._condition:
            self._now -= 1
            self.ended += ended


def work_and_sometimes_die(daemon: Daemon, queue: str, held: Held, chance: random.Random, number: int) -> None:
    """Hold one job after the other and let it go in any of the ways there are, until all have ended."""
    while held.ended < JOBS and not held.problems:
        with daemon.connect("unix" if number % 2 else "tcp") as client:
            while held.ended < JOBS and not held.problems:
                job = client.ok("PULL", queue=queue, timeout=100)["job"]
                if job is None:
                    continue
                held.take()
                for _ in range(chance.randrange(3)):
                    client.ping()
                way = chance.choice(("ACK", "ACK", "ACK", "ACK", "ACKB", "CANCEL", "FAIL", "RELEASE", "close", "reset"))
                held.let_go(way in ("ACK", "ACKB", "CANCEL"))
                if way in ("close", "reset"):
                    getattr(client, way)()
                    break
                client.ok(way, **({"ids": [job["id"]]} if way == "ACKB" else {"id": job["id"]}))


def test_fifty_workers_some_of_them_killed_never_hold_more_than_the_limit(daemon_with: StartDaemon, queue: str) -> None:
    daemon = daemon_with("--max-deliveries", "1000")
    held = Held()

    def run(number: int) -> None:
        try:
            work_and_sometimes_die(daemon, queue, held, random.Random(number), number)
        except Exception as problem:  # told to the test's thread, whatever it is
            held.problems.append(f"{type(problem).__name__}: {problem}")

    with daemon.connect() as client:
        client.ok("SETCONCURRENCY", queue=queue, limit=LIMIT)
        client.ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(JOBS)])
        threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(WORKERS)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads) and not held.problems:
            assert client.counts(queue)["processing"] <= LIMIT
        for thread in threads:
            thread.join(30)
        assert not held.problems
        assert held.most == LIMIT
        until_counts(client, queue, pending=0, processing=0, dlq=0, delayed=0)


def test_a_batch_pull_takes_no_more_than_the_places_left(connect: Connect, queue: str) -> None:
    workers, producer = [connect() for _ in range(4)], connect()
    producer.ok("SETCONCURRENCY", queue=queue, limit=LIMIT)
    producer.ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(30)])
    given = [len(worker.ok("PULLB", queue=queue, count=3, timeout=0)["jobs"]) for worker in workers]
    assert given == [3, 3, 1, 0]
    workers[3].park(queue, "r", cmd="PULLB", count=5)
    workers[0].reset()
    jobs = workers[3].receive()["jobs"]
    assert 1 <= len(jobs) <= 3
    assert [job["data"] for job in jobs] == list(range(len(jobs)))
