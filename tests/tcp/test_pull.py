"""PULL and PULLB that wait: who is served, when, and what ends the wait."""

from __future__ import annotations

import pytest

from tests.tcp.client import Client, check_refusal, encode
from tests.tcp.fixtures import Connect, StartDaemon, unique_name
from tests.tcp.waiting import Stopwatch, until_counts

LATE_MS = 2000
"""How late an answer may be on a busy machine without its being a fault of the daemon's logic."""


@pytest.mark.parametrize(("cmd", "fields"), [("PULL", {}), ("PULLB", {"count": 3})])
def test_a_wait_ends_after_its_timeout_with_nothing(
    client: Client, queue: str, cmd: str, fields: dict[str, int]
) -> None:
    for timeout in (1, 50, 120):
        watch = Stopwatch()
        answer = client.ok(cmd, queue=queue, timeout=timeout, **fields)
        assert not answer.get("job") and not answer.get("jobs")
        assert timeout - 1 <= watch.ms <= timeout + LATE_MS


def test_waits_end_in_the_order_of_their_timeouts(client: Client, queue: str) -> None:
    timeouts = (150, 10, 90, 50, 130)
    client.send_bytes(b"".join(encode("PULL", queue=queue, timeout=ms, reqId=str(ms)) for ms in timeouts))
    assert [client.receive()["reqId"] for _ in range(5)] == ["10", "50", "90", "130", "150"]


def test_a_pull_without_timeout_waits_for_its_job(connect: Connect, queue: str) -> None:
    worker, producer = connect(), connect()
    worker.send("PULL", queue=queue)
    producer.ping()
    assert not worker.has_answer(0.05)
    job_id = producer.push(queue, "late")
    job = worker.receive()["job"]
    assert (job["id"], job["data"], job["deliveries"], job["attempts"]) == (job_id, "late", 1, 0)


def test_a_huge_timeout_waits_like_none(connect: Connect, queue: str) -> None:
    worker, producer = connect(), connect()
    for number, timeout in enumerate((2**64 - 1, 2**63, 2**53, None)):
        worker.park(queue, "r", timeout=timeout)
        assert not worker.has_answer(0.02)
        producer.push(queue, number)
        assert worker.receive()["job"]["data"] == number


def test_parked_pullers_are_served_in_order_of_arrival(connect: Connect, queue: str) -> None:
    workers = [connect() for _ in range(20)]
    for worker in workers:
        worker.park(queue, "r")
    producer = connect()
    for number in range(20):
        producer.push(queue, number)
    assert [worker.receive()["job"]["data"] for worker in workers] == list(range(20))


def test_no_job_stays_while_a_puller_waits(connect: Connect, queue: str) -> None:
    worker, producer = connect(), connect()
    for number in range(300):
        worker.send("PULL", queue=queue)
        producer.push(queue, number)
        assert worker.receive()["job"]["data"] == number
    assert producer.counts(queue)["pending"] == 0


def test_a_batch_of_pushes_wakes_as_many_pullers(connect: Connect, queue: str) -> None:
    workers = [connect() for _ in range(8)]
    for worker in workers:
        worker.park(queue, "r")
    connect().ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(8)])
    assert sorted(worker.receive()["job"]["data"] for worker in workers) == list(range(8))


def test_a_waiting_batch_pull_takes_the_first_job_and_what_is_there_with_it(connect: Connect, queue: str) -> None:
    worker, producer = connect(), connect()
    worker.park(queue, "r", cmd="PULLB", count=3)
    producer.push(queue, "only")
    jobs = worker.receive()["jobs"]
    assert [job["data"] for job in jobs] == ["only"]
    worker.park(queue, "r", cmd="PULLB", count=3)
    producer.ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(5)])
    taken = [job["data"] for job in worker.receive()["jobs"]]
    assert 1 <= len(taken) <= 3
    assert taken == list(range(len(taken)))
    rest = producer.ok("PULLB", queue=queue, count=10, timeout=0)["jobs"]
    assert [job["data"] for job in rest] == list(range(len(taken), 5))


def test_a_puller_of_another_queue_is_not_woken(connect: Connect, queue: str) -> None:
    worker, producer = connect(), connect()
    worker.park(unique_name(), "r")
    producer.push(queue, 1)
    worker.ping()
    assert not worker.has_answer(0.02)
    assert producer.pull(queue)["data"] == 1


def test_one_connection_may_wait_on_several_queues(connect: Connect) -> None:
    worker, producer = connect(), connect()
    names = [unique_name() for _ in range(50)]
    for name in names:
        worker.park(name, name)
    for name in reversed(names):
        producer.push(name, name)
        answer = worker.receive()
        assert (answer["reqId"], answer["job"]["queue"], answer["job"]["data"]) == (name, name, name)


def test_a_puller_that_has_gone_takes_no_job(connect: Connect, queue: str) -> None:
    for end in ("close", "reset"):
        gone, worker, producer = connect(), connect(), connect()
        gone.park(queue, "gone")
        getattr(gone, end)()
        worker.park(queue, "stays")
        producer.push(queue, end)
        answer = worker.receive()
        assert (answer["reqId"], answer["job"]["data"]) == ("stays", end)
        worker.ok("ACK", id=answer["job"]["id"])
        until_counts(producer, queue, pending=0, processing=0)


def test_a_puller_whose_wait_ended_takes_no_later_job(connect: Connect, queue: str) -> None:
    worker, producer = connect(), connect()
    assert worker.ok("PULL", queue=queue, timeout=5)["job"] is None
    producer.push(queue, 1)
    worker.ping()
    assert not worker.has_answer(0.02)
    assert producer.counts(queue)["pending"] == 1


def test_a_job_and_a_timeout_at_the_same_moment_lose_nothing(connect: Connect, queue: str) -> None:
    worker, producer = connect(), connect()
    taken = 0
    for number in range(150):
        worker.send("PULL", queue=queue, timeout=1)
        for _ in range(number % 15):
            producer.ping()  # lets the push meet the end of the wait sooner or later; either may come first
        producer.push(queue, number)
        taken += worker.receive()["job"] is not None
    counts = producer.counts(queue)
    assert (counts["processing"], counts["pending"]) == (taken, 150 - taken)


def test_released_and_failed_jobs_reach_a_parked_puller_a_cancelled_one_does_not(connect: Connect, queue: str) -> None:
    holder, worker = connect(), connect()
    first = holder.push(queue, 1)
    holder.pull(queue)
    worker.park(queue, "r")
    holder.ok("RELEASE", id=first)
    assert worker.receive()["job"]["id"] == first
    worker.park(queue, "r")
    holder.ok("FAIL", id=first)
    assert worker.receive()["job"]["attempts"] == 1
    worker.park(queue, "r")
    holder.ok("CANCEL", id=first)
    worker.ping()
    assert not worker.has_answer(0.02)


def test_a_retried_dead_job_reaches_a_parked_puller(connect: Connect, queue: str) -> None:
    holder, worker = connect(), connect()
    job_id = holder.push(queue, 1)
    holder.pull(queue)
    holder.ok("FAIL", id=job_id, unrecoverable=True)
    worker.park(queue, "r")
    holder.ok("RETRYDLQ", queue=queue, id=job_id)
    assert worker.receive()["job"]["id"] == job_id


def test_two_pullers_never_get_the_same_job(connect: Connect, queue: str) -> None:
    workers, producer = [connect() for _ in range(6)], connect()
    for worker in workers:
        for _ in range(50):
            worker.send("PULL", queue=queue)
    for number in range(300):
        producer.push(queue, number)
    got = [worker.receive()["job"]["data"] for worker in workers for _ in range(50)]
    assert sorted(got) == list(range(300))


def test_stopping_answers_parked_pulls_and_ends_the_connection(start_daemon: StartDaemon, queue: str) -> None:
    daemon = start_daemon()
    with daemon.connect() as with_id, daemon.connect() as without, daemon.connect() as batch, daemon.connect() as idle:
        without.ping()
        without.send("PULL", queue=queue)
        without.send("PING", reqId="behind")
        with_id.park(queue, "r")
        batch.park(queue, "b", cmd="PULLB", count=5, timeout=60_000)
        idle.ping()
        daemon.send_stop()
        (answer,) = with_id.receive_to_end()
        assert check_refusal(answer, "shutting_down")["reqId"] == "r"
        assert answer["retryable"] is True
        first, *rest = without.receive_to_end()
        check_refusal(first, "shutting_down")
        assert rest in ([], [{"ok": True, "pong": True, "reqId": "behind"}]) or check_refusal(rest[0], "shutting_down")
        (answer,) = batch.receive_to_end()
        assert check_refusal(answer, "shutting_down")["reqId"] == "b"
        assert idle.receive_to_end() == []


def test_no_connection_is_accepted_after_the_stop(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    address = daemon.address()
    with daemon.connect() as client:
        client.ping()
        daemon.stop()
    with pytest.raises(OSError):
        Client(address)
