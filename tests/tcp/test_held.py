"""Jobs are held by the connection that pulled them: its end, of any kind, gives them back, and losses are counted."""

from __future__ import annotations

import pytest

from tests.tcp.client import Client, check_refusal, encode
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import Connect, StartDaemon, unique_name
from tests.tcp.waiting import until_counts


def lose(daemon: Daemon, queue: str, times: int, end: str = "close") -> None:
    """Pull the queue's one job and end the connection, several times."""
    for _ in range(times):
        worker = daemon.connect()
        worker.pull(queue, timeout=10_000)
        getattr(worker, end)()


@pytest.mark.parametrize("end", ["close", "reset", "end_input"])
def test_a_held_job_returns_when_its_connection_ends(connect: Connect, queue: str, end: str) -> None:
    worker, other = connect(), connect()
    job_id = other.push(queue, "d", max_attempts=1)
    first = worker.pull(queue)
    assert other.counts(queue)["processing"] == 1
    getattr(worker, end)()
    second = other.pull(queue, timeout=10_000)
    assert second["id"] == job_id
    assert (first["deliveries"], second["deliveries"]) == (1, 2)
    assert (second["attempts"], second["data"], second["last_error"]) == (0, "d", None)
    assert second["token"] != first["token"]
    assert second["run_at"] == first["run_at"]


def test_a_parked_puller_gets_a_lost_job_at_once(connect: Connect, queue: str) -> None:
    worker, waiting = connect(), connect()
    worker.push(queue, 1)
    worker.pull(queue)
    waiting.park(queue, "r")
    worker.reset()
    assert waiting.receive()["job"]["deliveries"] == 2


def test_every_job_of_a_connection_returns_from_every_queue(connect: Connect) -> None:
    worker, other = connect(), connect()
    names = [unique_name() for _ in range(60)]
    for name in names:
        for number in range(5):
            other.push(name, number)
        worker.ok("PULLB", queue=name, count=4)
    worker.reset()
    for name in names:
        until_counts(other, name, pending=5, processing=0)
        jobs = other.ok("PULLB", queue=name, count=5)["jobs"]
        assert [job["data"] for job in jobs] == [0, 1, 2, 3, 4]
        assert [job["deliveries"] for job in jobs] == [2, 2, 2, 2, 1]


def test_ten_thousand_held_jobs_return(connect: Connect, queue: str) -> None:
    worker, other = connect(), connect()
    other.ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(10_000)])
    assert len(worker.ok("PULLB", queue=queue, count=10_000)["jobs"]) == 10_000
    worker.reset()
    until_counts(other, queue, pending=10_000, processing=0)
    jobs = other.ok("PULLB", queue=queue, count=10_000)["jobs"]
    assert [job["data"] for job in jobs] == list(range(10_000))


def test_only_what_is_still_held_returns(connect: Connect, queue: str) -> None:
    worker, other = connect(), connect()
    ids = [other.push(queue, n, backoff=3_600_000) for n in range(6)]
    worker.ok("PULLB", queue=queue, count=6)
    worker.ok("ACK", id=ids[0])
    worker.ok("FAIL", id=ids[1])
    worker.ok("FAIL", id=ids[2], unrecoverable=True)
    worker.ok("CANCEL", id=ids[3])
    worker.ok("RELEASE", id=ids[4], delay=3_600_000)
    worker.close()
    until_counts(other, queue, pending=1, processing=0, delayed=2, dlq=1, completed=1)
    assert other.pull(queue)["id"] == ids[5]
    for job_id in (ids[1], ids[4]):
        other.ok("CANCEL", id=job_id)


def test_a_job_released_and_pulled_by_another_does_not_return_with_the_first(connect: Connect, queue: str) -> None:
    first, second, other = connect(), connect(), connect()
    job_id = other.push(queue)
    first.pull(queue)
    first.ok("RELEASE", id=job_id)
    token = second.pull(queue)["token"]
    first.close()
    other.ping()
    assert other.counts(queue)["processing"] == 1
    second.ok("ACK", id=job_id, token=token)


def test_a_connection_may_end_in_the_middle_of_a_line_or_behind_it(connect: Connect, queue: str) -> None:
    other = connect()
    job_id = other.push(queue)
    for tail in (b"", b'{"cmd":"ACK","id":', encode("PING") * 500, encode("ACK", id=job_id)[:-1], b"\xff"):
        worker = connect()
        worker.pull(queue, timeout=10_000)
        worker.send_bytes(tail)
        worker.close()
    assert other.pull(queue, timeout=10_000)["deliveries"] == 6


def test_an_ack_sent_just_before_the_end_counts(connect: Connect, queue: str) -> None:
    other = connect()
    for _ in range(50):
        job_id = other.push(queue)
        worker = connect()
        worker.pull(queue)
        worker.send("ACK", id=job_id)
        worker.end_input()
        assert worker.receive_to_end() == [{"ok": True}]
    until_counts(other, queue, completed=50, processing=0, pending=0)


def test_a_job_pulled_in_the_last_line_before_a_half_close_is_given_and_returns(connect: Connect, queue: str) -> None:
    worker, other = connect(), connect()
    other.push(queue, 1)
    worker.send("PULL", queue=queue)
    worker.end_input()
    (answer,) = worker.receive_to_end()
    assert answer["job"]["data"] == 1
    assert other.pull(queue, timeout=10_000)["deliveries"] == 2


@pytest.mark.parametrize("end", ["close", "reset"])
def test_after_max_deliveries_losses_a_job_is_in_the_dlq(daemon_with: StartDaemon, queue: str, end: str) -> None:
    daemon = daemon_with("--max-deliveries", "3")
    with daemon.connect() as client:
        job_id = client.push(queue, "d", priority=2, max_attempts=9)
        for losses in range(3):
            assert client.counts(queue)["dlq"] == 0
            worker = daemon.connect()
            job = worker.pull(queue, timeout=10_000)
            assert (job["deliveries"], job["attempts"]) == (losses + 1, 0)
            getattr(worker, end)()
        until_counts(client, queue, dlq=1, pending=0, processing=0)
        (dead,) = client.ok("DLQ", queue=queue)["jobs"]
        assert dead["id"] == job_id
        assert (dead["reason"], dead["deliveries"], dead["attempts"], dead["data"]) == ("worker_lost", 3, 0, "d")
        check_refusal(client.call("ACK", id=job_id), "not_found")


def test_ten_losses_are_the_default(daemon: Daemon, queue: str) -> None:
    with daemon.connect() as client:
        client.push(queue)
        lose(daemon, queue, 9)
        job = client.pull(queue, timeout=10_000)
        assert (job["deliveries"], client.counts(queue)["dlq"]) == (10, 0)
        client.ok("RELEASE", id=job["id"])
        lose(daemon, queue, 1)
        until_counts(client, queue, dlq=1)
        assert client.ok("DLQ", queue=queue)["jobs"][0]["reason"] == "worker_lost"


def test_losses_are_counted_apart_from_failures_and_releases(daemon_with: StartDaemon, queue: str) -> None:
    daemon = daemon_with("--max-deliveries", "3")
    with daemon.connect() as client:
        job_id = client.push(queue)
        lose(daemon, queue, 2)
        for _ in range(5):
            client.pull(queue, timeout=10_000)
            client.ok("FAIL", id=job_id)
            client.pull(queue)
            client.ok("RELEASE", id=job_id)
        job = client.pull(queue)
        assert (job["attempts"], job["deliveries"]) == (5, 13)
        client.ok("RELEASE", id=job_id)
        lose(daemon, queue, 1)
        until_counts(client, queue, dlq=1)
        (dead,) = client.ok("DLQ", queue=queue)["jobs"]
        assert (dead["reason"], dead["attempts"], dead["deliveries"]) == ("worker_lost", 5, 14)


def test_a_retried_lost_job_has_all_its_deliveries_again(daemon_with: StartDaemon, queue: str) -> None:
    daemon = daemon_with("--max-deliveries", "3")
    with daemon.connect() as client:
        job_id = client.push(queue)
        for _ in range(2):
            lose(daemon, queue, 3)
            until_counts(client, queue, dlq=1)
            assert client.ok("RETRYDLQ", queue=queue, id=job_id)["count"] == 1
        lose(daemon, queue, 2)
        job = client.pull(queue, timeout=10_000)
        assert (job["deliveries"], job["attempts"]) == (3, 0)


def test_a_dead_letter_by_failure_after_losses_has_the_reason_of_its_end(daemon: Daemon, queue: str) -> None:
    with daemon.connect() as client:
        job_id = client.push(queue, max_attempts=1)
        lose(daemon, queue, 2)
        client.pull(queue, timeout=10_000)
        client.ok("FAIL", id=job_id)
        (dead,) = client.ok("DLQ", queue=queue)["jobs"]
        assert (dead["reason"], dead["attempts"], dead["deliveries"]) == ("failed", 1, 3)


def test_connections_that_come_and_go_leave_nothing_held(daemon_with: StartDaemon, queue: str) -> None:
    daemon = daemon_with("--max-deliveries", "1000")
    with daemon.connect() as client:
        ids = [client.push(queue, n) for n in range(20)]
        for number in range(100):
            worker: Client = daemon.connect("unix" if number % 2 else "tcp")
            worker.send("PULLB", queue=queue, count=1, timeout=0)
            if number % 3 == 0:
                worker.reset()
                continue
            for job in worker.receive()["jobs"]:
                worker.ok("RELEASE", id=job["id"])
            worker.close()
        until_counts(client, queue, pending=20, processing=0, dlq=0)
        assert [job["id"] for job in client.ok("PULLB", queue=queue, count=20)["jobs"]] == ids
