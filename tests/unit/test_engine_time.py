"""What depends on time, with time passed in: limits, leases, time-outs, time to live, delays, backoff."""

import json
import random
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mqfast._engine import Engine, Reactors

START = 1_800_000_000_000


class Clocked:
    """An engine whose clock stands still until it is moved."""

    def __init__(self, **settings: Any) -> None:
        self.engine = Engine(manual_time_ms=START, **settings)
        self.now = START

    def __call__(self, cmd: str, **fields: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.engine.execute(json.dumps({"cmd": cmd, **fields}).encode()))
        self.engine.check()
        return answer

    def ok(self, cmd: str, **fields: Any) -> dict[str, Any]:
        answer = self(cmd, **fields)
        assert answer["ok"], answer
        return answer

    def pull(self, queue: str = "q", **fields: Any) -> dict[str, Any] | None:
        job: dict[str, Any] | None = self.ok("PULL", queue=queue, timeout=0, **fields)["job"]
        return job

    def state(self, id: int) -> str:
        return str(self.ok("GETJOB", id=id)["state"])

    def forward(self, ms: int) -> None:
        self.now += ms
        self.engine.set_time(self.now)


@pytest.fixture
def mq() -> Iterator[Clocked]:
    clocked = Clocked()
    yield clocked
    clocked.engine.close()


def test_a_delayed_job_is_ready_at_its_millisecond_and_not_before(mq: Clocked) -> None:
    id = mq.ok("PUSH", queue="q", data=1, delay=1000)["id"]
    mq.forward(999)
    assert mq.pull() is None
    assert mq.state(id) == "delayed"
    mq.forward(1)
    assert mq.state(id) == "waiting"
    assert mq.pull() is not None


def test_backoff_doubles_up_to_its_bound(mq: Clocked) -> None:
    id = mq.ok("PUSH", queue="q", data=1, backoff=1000, max_backoff=3000)["id"]
    for wait in (1000, 2000, 3000, 3000):
        assert mq.pull() is not None
        mq.ok("FAIL", id=id, error="no")
        mq.forward(wait - 1)
        assert mq.pull() is None
        mq.forward(1)
    assert mq.pull() is not None


def test_time_to_live_ends_jobs_never_pulled_and_frees_their_keys(mq: Clocked) -> None:
    id = mq.ok("PUSH", queue="q", data=1, ttl=500, unique_key="k")["id"]
    mq.forward(499)
    assert mq.state(id) == "waiting"
    mq.forward(1)
    assert mq.state(id) == "unknown"
    assert mq.ok("STATS")["queued"] == 0
    mq.ok("PUSH", queue="q", data=2, unique_key="k")


def test_time_to_live_does_not_end_a_job_that_was_pulled(mq: Clocked) -> None:
    id = mq.ok("PUSH", queue="q", data=1, ttl=500)["id"]
    assert mq.pull() is not None
    mq.ok("RELEASE", id=id)
    mq.forward(1000)
    assert mq.state(id) == "waiting"


def test_expired_jobs_are_never_given_however_many_expire_at_once(mq: Clocked) -> None:
    for _ in range(30):
        mq.ok("PUSHB", queue="q", jobs=[{"data": 1, "ttl": 10}] * 200)
    last = mq.ok("PUSH", queue="q", data="stays")["id"]
    mq.forward(10)
    job = mq.pull()  # clears away some thousand by itself; of more, the sweep must come first
    if job is None:
        mq.engine.tick()
        job = mq.pull()
    assert job is not None
    assert job["id"] == last


def test_a_lease_ends_and_counts_a_delivery_but_no_attempt(mq: Clocked) -> None:
    id = mq.ok("PUSH", queue="q", data=1)["id"]
    mq.pull(lease=1000)
    mq.forward(999)
    assert mq.state(id) == "active"
    mq.forward(1)
    job = mq.pull()
    assert job is not None
    assert (job["deliveries"], job["attempts"]) == (2, 0)


def test_losses_by_lease_end_in_the_dead_letter_queue_with_their_reason() -> None:
    mq = Clocked(max_deliveries=3)
    id = mq.ok("PUSH", queue="q", data=1)["id"]
    for _ in range(3):
        assert mq.pull(lease=10) is not None
        mq.forward(10)
    assert mq.state(id) == "failed"
    (job,) = mq.ok("DLQ", queue="q")["jobs"]
    assert (job["reason"], job["deliveries"], job["attempts"]) == ("expired_lease", 3, 0)
    assert mq.ok("RETRYDLQ", queue="q")["count"] == 1
    job = mq.pull()
    assert job is not None
    assert (job["deliveries"], job["attempts"]) == (1, 0)


def test_a_heartbeat_starts_the_lease_again(mq: Clocked) -> None:
    id = mq.ok("PUSH", queue="q", data=1)["id"]
    job = mq.pull(lease=1000)
    assert job is not None
    mq.forward(900)
    mq.ok("HEARTBEAT", id=id, token=job["token"])
    mq.forward(999)
    assert mq.state(id) == "active"
    mq.ok("HEARTBEAT", id=id, lease=5000)
    mq.forward(4999)
    assert mq.state(id) == "active"
    mq.forward(1)
    assert mq.state(id) == "waiting"
    assert mq("HEARTBEAT", id=id)["error"] == f"Job {id} not found in processing"
    assert mq("HEARTBEAT", id=id, token=job["token"])["code"] == "lease_lost"


def test_a_timeout_counts_from_the_pull_and_is_an_attempt(mq: Clocked) -> None:
    id = mq.ok("PUSH", queue="q", data=1, timeout=100, max_attempts=2)["id"]
    mq.forward(1000)
    assert mq.pull() is not None
    mq.forward(100)
    job = mq.pull()
    assert job is not None
    assert (job["attempts"], job["last_error"]) == (1, "Timed out")
    mq.forward(99)
    mq.ok("HEARTBEAT", id=id)
    mq.forward(99)
    assert mq.state(id) == "active"
    mq.forward(1)
    assert mq.state(id) == "failed"
    assert mq.ok("DLQ", queue="q")["jobs"][0]["reason"] == "timeout"


def test_a_rate_limit_holds_over_every_window_and_is_used_up(mq: Clocked) -> None:
    limit, duration, seconds = 7, 300, 30
    mq.ok("RATELIMIT", queue="q", limit=limit, duration=duration)
    mq.ok("PUSHB", queue="q", jobs=[{"data": n} for n in range(2000)])
    chance = random.Random(1)
    given: list[int] = []
    while mq.now < START + seconds * 1000:
        if chance.random() < 0.5:
            given += [mq.now] * len(mq.ok("PULLB", queue="q", count=chance.randrange(1, 5), timeout=0)["jobs"])
        elif mq.pull() is not None:
            given.append(mq.now)
        if chance.random() < 0.6:
            mq.forward(chance.randrange(1, 20))
    for i, begin in enumerate(given):
        for j in range(i, len(given), 5):
            allowed = limit * (given[j] - begin) / duration + limit
            assert j - i + 1 <= allowed + 1e-9, (i, j)
    assert len(given) >= 0.98 * limit * seconds * 1000 / duration


def test_a_rate_limit_of_any_size_is_accepted_and_clearing_it_frees_the_queue(mq: Clocked) -> None:
    mq.ok("PUSHB", queue="q", jobs=[{"data": n} for n in range(10)])
    mq.ok("RATELIMIT", queue="q", limit=2**64 - 1, duration=2**64 - 1)
    assert len(mq.ok("PULLB", queue="q", count=3, timeout=0)["jobs"]) == 3
    mq.ok("RATELIMIT", queue="q", limit=1, duration=2**64 - 1)
    assert mq.pull() is not None
    mq.forward(10**6)
    assert mq.pull() is None
    mq.ok("RATELIMITCLEAR", queue="q")
    assert len(mq.ok("PULLB", queue="q", count=10, timeout=0)["jobs"]) == 6


def test_concurrency_counts_what_is_held_already_and_is_freed_by_every_end(mq: Clocked) -> None:
    ids = mq.ok("PUSHB", queue="q", jobs=[{"data": n, "timeout": 50} for n in range(20)])["ids"]
    assert mq.pull() is not None
    mq.ok("SETCONCURRENCY", queue="q", limit=2)
    assert len(mq.ok("PULLB", queue="q", count=10, timeout=0)["jobs"]) == 1
    assert mq.pull() is None
    mq.ok("ACK", id=ids[0])
    assert mq.pull() is not None
    mq.ok("FAIL", id=ids[1], unrecoverable=True)
    assert mq.pull() is not None
    mq.ok("CANCEL", id=ids[2])
    assert mq.pull() is not None
    mq.ok("RELEASE", id=ids[3], delay=10**6)
    assert mq.pull() is not None
    assert mq.pull() is None
    mq.forward(50)
    assert len(mq.ok("PULLB", queue="q", count=10, timeout=0)["jobs"]) == 2
    mq.ok("CLEARCONCURRENCY", queue="q")
    assert len(mq.ok("PULLB", queue="q", count=5, timeout=0)["jobs"]) == 5


def test_a_completed_job_is_kept_for_its_time_with_its_result(mq: Clocked) -> None:
    id = mq.ok("PUSH", queue="q", data={"n": 1}, unique_key="k")["id"]
    assert mq.pull() is not None
    mq.ok("PROGRESS", id=id, progress=90, message="nearly")
    mq.ok("ACK", id=id, result={"sum": [1, 2]})
    mq.ok("PUSH", queue="q", data=2, unique_key="k")
    assert mq("ACK", id=id)["error"] == f"Job {id} not found"
    assert mq("CANCEL", id=id)["error"] == f"Job {id} not found"
    mq.forward(3_599_999)
    assert mq.state(id) == "completed"
    assert mq.ok("GETRESULT", id=id)["result"] == {"sum": [1, 2]}
    assert mq.ok("GETPROGRESS", id=id)["progress"] == {"id": id, "progress": 90, "message": "nearly"}
    mq.forward(1)
    assert mq.state(id) == "unknown"
    assert mq.ok("GETRESULT", id=id)["result"] is None
    assert mq.ok("STATS")["completed"] == 1


def test_completed_jobs_are_kept_up_to_a_number_the_oldest_going_first() -> None:
    mq = Clocked(result_max=3)
    ids = mq.ok("PUSHB", queue="q", jobs=[{"data": n} for n in range(10)])["ids"]
    mq.ok("PULLB", queue="q", count=10)
    mq.ok("ACKB", ids=ids, results=[{"r": n} if n % 2 else None for n in range(10)])
    assert [mq.state(id) for id in ids] == ["unknown"] * 7 + ["completed"] * 3
    assert [mq.ok("GETRESULT", id=id)["result"] for id in ids[6:]] == [None, {"r": 7}, None, {"r": 9}]
    assert mq.ok("LISTQUEUES")["queues"][0]["completed"] == 10


def test_no_completed_job_is_kept_when_none_may_be() -> None:
    mq = Clocked(result_max=0)
    id = mq.ok("PUSH", queue="q", data=1)["id"]
    mq.pull()
    mq.ok("ACK", id=id, result=5)
    assert mq.state(id) == "unknown"


def test_kept_jobs_give_way_when_memory_is_full() -> None:
    mq = Clocked(max_memory=100_000)
    for _ in range(300):
        id = mq.ok("PUSH", queue="q", data="x" * 1000)["id"]
        mq.pull()
        mq.ok("ACK", id=id)
    waiting = 0
    while (answer := mq("PUSH", queue="q", data="x" * 1000))["ok"]:
        waiting += 1
    assert waiting > 80
    assert answer["code"] == "out_of_memory"
    assert answer["retryable"]
    job = mq.pull()
    assert job is not None
    mq.ok("ACK", id=job["id"])
    mq.ok("PUSH", queue="q", data="x" * 1000)


class Worker:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.lines = self.socket.makefile("rb")

    def send(self, cmd: str, **fields: Any) -> None:
        self.socket.sendall(json.dumps({"cmd": cmd, **fields}).encode() + b"\n")

    def receive(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.lines.readline())
        return answer

    def is_parked(self) -> None:
        """Returns once the pull sent before was seen: the answer to a later command overtakes it."""
        self.send("PING", reqId="p")
        assert self.receive()["reqId"] == "p"


@pytest.fixture
def port(mq: Clocked) -> Iterator[int]:
    reactors = Reactors(mq.engine, 2)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    number: int = listener.getsockname()[1]
    reactors.listen(listener.detach())
    threads = [threading.Thread(target=reactors.run, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    yield number
    reactors.stop(force=True)
    for thread in threads:
        thread.join()
    reactors.close()


def test_waiting_pulls_are_woken_by_the_next_token(mq: Clocked, port: int) -> None:
    mq.ok("RATELIMIT", queue="q", limit=1, duration=1000)
    mq.ok("PUSHB", queue="q", jobs=[{"data": n} for n in range(3)])
    workers = [Worker(port) for _ in range(3)]
    workers[0].send("PULL", queue="q")
    assert workers[0].receive()["job"]["data"] == 0
    for worker in workers[1:]:
        worker.send("PULL", queue="q", reqId="job")
        worker.is_parked()
    mq.forward(1000)
    assert workers[1].receive()["job"]["data"] == 1
    mq.forward(1000)
    assert workers[2].receive()["job"]["data"] == 2


def test_waiting_pulls_are_woken_by_a_freed_place(mq: Clocked, port: int) -> None:
    mq.ok("SETCONCURRENCY", queue="q", limit=1)
    ids = mq.ok("PUSHB", queue="q", jobs=[{"data": n} for n in range(3)])["ids"]
    holder, waiter = Worker(port), Worker(port)
    holder.send("PULL", queue="q")
    assert holder.receive()["job"]["id"] == ids[0]
    waiter.send("PULL", queue="q", reqId="job")
    waiter.is_parked()
    holder.socket.close()
    holder.lines.close()
    job = waiter.receive()["job"]
    assert (job["id"], job["deliveries"]) == (ids[0], 2)
    waiter.send("PULL", queue="q", reqId="job")
    waiter.is_parked()
    mq.ok("ACK", id=ids[0])
    assert waiter.receive()["job"]["id"] == ids[1]


def test_waiting_pulls_get_delayed_jobs_when_they_are_due(mq: Clocked, port: int) -> None:
    worker = Worker(port)
    worker.send("PULL", queue="q", reqId="job")
    worker.is_parked()
    mq.ok("PUSH", queue="q", data="later", delay=60_000)
    worker.is_parked()
    mq.forward(60_000)
    assert worker.receive()["job"]["data"] == "later"


def test_a_wait_ends_at_its_time(mq: Clocked, port: int) -> None:
    worker = Worker(port)
    worker.send("PULL", queue="q", timeout=5000, reqId="a")
    worker.send("PULLB", queue="q", count=3, timeout=9000, reqId="b")
    worker.is_parked()
    mq.forward(5000)
    assert worker.receive() == {"ok": True, "job": None, "reqId": "a"}
    mq.forward(4000)
    assert worker.receive() == {"ok": True, "jobs": [], "reqId": "b"}
