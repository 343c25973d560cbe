"""PAUSE and RESUME against parked pullers and jobs that become ready. Fields and refusals are in the transcripts."""

from __future__ import annotations

from tests.tcp.client import Client
from tests.tcp.fixtures import Connect
from tests.tcp.waiting import until_counts


def test_a_parked_puller_gets_nothing_while_the_queue_is_paused(connect: Connect, queue: str) -> None:
    worker, other = connect(), connect()
    other.ok("PAUSE", queue=queue)
    worker.park(queue, "r")
    job_id = other.push(queue, 1)
    worker.ping()
    assert not worker.has_answer(0.03)
    assert other.counts(queue)["pending"] == 1
    other.ok("RESUME", queue=queue)
    assert worker.receive()["job"]["id"] == job_id


def test_pausing_after_pullers_parked_holds_deliveries_too(connect: Connect, queue: str) -> None:
    worker, batch, other = connect(), connect(), connect()
    worker.park(queue, "r")
    batch.park(queue, "b", cmd="PULLB", count=10)
    other.ok("PAUSE", queue=queue)
    other.ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(5)])
    worker.ping()
    batch.ping()
    assert not worker.has_answer(0.03)
    assert not batch.has_answer()
    other.ok("RESUME", queue=queue)
    assert worker.receive()["job"]["data"] == 0
    assert [job["data"] for job in batch.receive()["jobs"]] == [1, 2, 3, 4]


def test_resume_serves_as_many_parked_pullers_as_there_are_jobs(connect: Connect, queue: str) -> None:
    workers, other = [connect() for _ in range(6)], connect()
    other.ok("PAUSE", queue=queue)
    for worker in workers:
        worker.park(queue, "r")
    for number in range(4):
        other.push(queue, number)
    other.ok("RESUME", queue=queue)
    assert [worker.receive()["job"]["data"] for worker in workers[:4]] == [0, 1, 2, 3]
    for worker in workers[4:]:
        worker.ping()
        assert not worker.has_answer(0.02)


def test_a_wait_ends_in_a_paused_queue_as_in_any(client: Client, queue: str) -> None:
    client.ok("PAUSE", queue=queue)
    client.push(queue, 1)
    assert client.ok("PULL", queue=queue, timeout=30)["job"] is None
    assert client.ok("PULLB", queue=queue, count=2, timeout=30)["jobs"] == []


def test_delays_run_on_while_the_queue_is_paused(connect: Connect, queue: str) -> None:
    worker, other = connect(), connect()
    other.ok("PAUSE", queue=queue)
    worker.park(queue, "r")
    job_id = other.push(queue, 1, delay=30)
    until_counts(other, queue, delayed=0, pending=1)
    worker.ping()
    assert not worker.has_answer()
    other.ok("RESUME", queue=queue)
    assert worker.receive()["job"]["id"] == job_id


def test_lost_and_failed_jobs_return_to_a_paused_queue_and_wait_there(connect: Connect, queue: str) -> None:
    worker, holder, other = connect(), connect(), connect()
    ids = [other.push(queue, n) for n in range(3)]
    holder.ok("PULLB", queue=queue, count=3)
    other.ok("PAUSE", queue=queue)
    worker.park(queue, "r")
    other.ok("FAIL", id=ids[0])
    other.ok("RELEASE", id=ids[1])
    holder.close()
    until_counts(other, queue, pending=3, processing=0)
    worker.ping()
    assert not worker.has_answer(0.02)
    other.ok("RESUME", queue=queue)
    assert worker.receive()["job"]["id"] in ids


def test_held_jobs_may_end_in_a_paused_queue(client: Client, queue: str) -> None:
    ids = [client.push(queue, n, max_attempts=1) for n in range(4)]
    client.ok("PULLB", queue=queue, count=4)
    client.ok("PAUSE", queue=queue)
    client.ok("ACK", id=ids[0])
    client.ok("FAIL", id=ids[1])
    client.ok("CANCEL", id=ids[2])
    assert client.ok("ACKB", ids=[ids[3]])["count"] == 1
    assert client.counts(queue) == {"pending": 0, "processing": 0, "delayed": 0, "dlq": 1, "completed": 2}


def test_the_pause_is_seen_by_every_connection_and_outlives_its_own(connect: Connect, queue: str) -> None:
    first = connect()
    first.ok("PAUSE", queue=queue)
    first.close()
    second = connect()
    assert second.ok("ISPAUSED", queue=queue)["paused"] is True
    second.ok("RESUME", queue=queue)
    assert connect().ok("ISPAUSED", queue=queue)["paused"] is False
