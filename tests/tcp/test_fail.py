"""FAIL over many tries and connections. Fields and refusals are in the transcripts, waits in test_delay.py."""

from __future__ import annotations

from tests.tcp.client import Client, check_refusal
from tests.tcp.fixtures import Connect
from tests.tcp.waiting import until_counts


def test_fail_moves_a_job_to_the_dlq_after_max_attempts(client: Client, queue: str) -> None:
    job_id = client.push(queue, "d", max_attempts=25)
    for attempt in range(25):
        job = client.pull(queue)
        assert (job["id"], job["attempts"], job["deliveries"]) == (job_id, attempt, attempt + 1)
        client.ok("FAIL", id=job_id, error=f"error {attempt}")
    assert client.nothing_to_pull(queue)
    (dead,) = client.ok("DLQ", queue=queue)["jobs"]
    assert (dead["attempts"], dead["deliveries"], dead["last_error"], dead["reason"]) == (25, 25, "error 24", "failed")


def test_any_connection_may_fail_a_held_job(connect: Connect, queue: str) -> None:
    holder, other = connect(), connect()
    job_id = other.push(queue)
    token = holder.pull(queue)["token"]
    other.ok("FAIL", id=job_id, token=token, error="seen from elsewhere")
    job = other.pull(queue)
    assert (job["id"], job["attempts"], job["last_error"]) == (job_id, 1, "seen from elsewhere")
    holder.close()
    other.ping()
    assert other.counts(queue)["processing"] == 1, "the end of its former holder does not concern the job"
    check_refusal(other.call("FAIL", id=job_id, token=token), "lease_lost")
    other.ok("ACK", id=job_id)


def test_a_failed_job_does_not_count_as_lost_when_its_worker_ends(connect: Connect, queue: str) -> None:
    worker, other = connect(), connect()
    job_id = worker.push(queue, backoff=3_600_000)
    worker.pull(queue)
    worker.ok("FAIL", id=job_id)
    worker.close()
    until_counts(other, queue, delayed=1, processing=0, pending=0)
    other.ok("CANCEL", id=job_id)


def test_a_long_error_is_kept_whole(client: Client, queue: str) -> None:
    error = 'Traceback \u00e9 \U0001f600 \\ " \n' * 500
    job_id = client.push(queue)
    client.pull(queue)
    client.ok("FAIL", id=job_id, error=error)
    assert client.pull(queue)["last_error"] == error


def test_a_failed_job_keeps_its_place_by_priority(client: Client, queue: str) -> None:
    high = client.push(queue, "high", priority=5)
    client.push(queue, "low")
    assert client.pull(queue)["id"] == high
    client.ok("FAIL", id=high)
    assert client.pull(queue, timeout=5000)["id"] == high
