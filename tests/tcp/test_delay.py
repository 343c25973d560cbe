"""Delays and backoff, watched by pulls that wait: never early, and not unreasonably late."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tcp.client import Client
from tests.tcp.fixtures import Connect
from tests.tcp.waiting import Stopwatch, now_ms, until_counts

Job = dict[str, Any]

WAIT_MS = 10_000
CLOCK_MS = 5
"""Two readings of the system's clock may differ by so much; a coarse one ticks every 4 ms."""
LATE_MS = 1500
"""A bound for a loaded machine; lateness itself is measured elsewhere."""


@pytest.mark.parametrize("delay", [1, 20, 100])
def test_a_delayed_job_is_given_when_its_delay_is_over(client: Client, queue: str, delay: int) -> None:
    watch = Stopwatch()
    job_id = client.push(queue, "d", delay=delay)
    job = client.pull(queue, timeout=WAIT_MS)
    assert delay - 1 <= watch.ms <= delay + LATE_MS
    assert job["id"] == job_id
    assert job["run_at"] == job["created_at"] + delay
    assert job["started_at"] >= job["run_at"]
    assert (job["attempts"], job["deliveries"]) == (0, 1)


def test_delayed_jobs_become_ready_in_the_order_of_their_times(client: Client, queue: str) -> None:
    delays = [90, 10, 50, 30, 70]
    client.ok("PUSHB", queue=queue, jobs=[{"data": delay, "delay": delay} for delay in delays])
    assert client.counts(queue)["delayed"] >= 1
    assert [client.pull(queue, timeout=WAIT_MS)["data"] for _ in delays] == sorted(delays)


def test_a_delayed_job_wakes_a_puller_that_parked_before_it_was_pushed(connect: Connect, queue: str) -> None:
    worker, producer = connect(), connect()
    worker.park(queue, "r")
    watch = Stopwatch()
    producer.push(queue, 1, delay=60)
    job = worker.receive()["job"]
    assert 59 <= watch.ms <= 60 + LATE_MS
    assert job["deliveries"] == 1


def test_a_nearer_delay_is_not_held_up_by_a_farther_one(client: Client, queue: str) -> None:
    far = client.push(queue, "far", delay=3_600_000, priority=9)
    client.push(queue, "near", delay=30)
    watch = Stopwatch()
    assert client.pull(queue, timeout=WAIT_MS)["data"] == "near"
    assert watch.ms <= 30 + LATE_MS
    client.ok("CANCEL", id=far)


def test_a_delay_of_zero_is_none(client: Client, queue: str) -> None:
    client.push(queue, delay=0)
    assert client.counts(queue) == {"pending": 1, "processing": 0, "delayed": 0, "dlq": 0, "completed": 0}


def test_a_thousand_delayed_jobs_are_each_given_once(client: Client, queue: str) -> None:
    client.ok("PUSHB", queue=queue, jobs=[{"data": n, "delay": n * 7 % 200} for n in range(1000)])
    got: list[int] = []
    while len(got) < 1000:
        jobs = client.ok("PULLB", queue=queue, count=1000, timeout=WAIT_MS)["jobs"]
        assert jobs, f"only {len(got)} came"
        assert all(job["started_at"] >= job["run_at"] for job in jobs)
        got += [job["data"] for job in jobs]
    assert sorted(got) == list(range(1000))
    assert client.counts(queue)["delayed"] == 0


def fail_and_check_wait(client: Client, queue: str, job_id: int, wait: int) -> Job:
    """Fail the held job; its next delivery, which has to be due `wait` ms after the failure."""
    before = now_ms()
    watch = Stopwatch()
    client.ok("FAIL", id=job_id)
    after = now_ms()
    job = client.pull(queue, timeout=WAIT_MS)
    assert before + wait - CLOCK_MS <= job["run_at"] <= after + wait + CLOCK_MS
    assert wait - 1 <= watch.ms <= wait + LATE_MS
    return job


def test_backoff_doubles_with_each_failure(client: Client, queue: str) -> None:
    job_id = client.push(queue, backoff=40)
    client.pull(queue)
    for attempt, wait in enumerate((40, 80, 160), 1):
        assert fail_and_check_wait(client, queue, job_id, wait)["attempts"] == attempt


def test_backoff_is_cut_at_max_backoff(client: Client, queue: str) -> None:
    job_id = client.push(queue, backoff=30, max_backoff=50)
    client.pull(queue)
    for wait in (30, 50, 50, 50):
        fail_and_check_wait(client, queue, job_id, wait)


@pytest.mark.parametrize("backoff", [3_600_000, 2**53, 2**63, 2**64 - 1])
def test_a_backoff_above_max_backoff_waits_max_backoff_every_time(client: Client, queue: str, backoff: int) -> None:
    job_id = client.push(queue, backoff=backoff, max_backoff=30)
    client.pull(queue)
    for _ in range(3):
        fail_and_check_wait(client, queue, job_id, 30)


def test_many_failures_keep_the_wait_at_max_backoff(client: Client, queue: str) -> None:
    # 2^(attempts - 1) passes 2^64 on the way.
    job_id = client.push(queue, backoff=1, max_backoff=10)
    client.pull(queue)
    for attempt in range(1, 71):
        fail_and_check_wait(client, queue, job_id, min(2 ** (attempt - 1), 10))


def test_without_backoff_a_failed_job_is_ready_at_once(client: Client, queue: str) -> None:
    job_id = client.push(queue)
    client.pull(queue)
    client.ok("FAIL", id=job_id)
    assert client.counts(queue)["pending"] == 1
    assert client.pull(queue)["id"] == job_id


def test_a_job_in_backoff_wakes_a_parked_puller(connect: Connect, queue: str) -> None:
    worker, other = connect(), connect()
    job_id = other.push(queue, backoff=50)
    other.pull(queue)
    worker.park(queue, "r")
    watch = Stopwatch()
    other.ok("FAIL", id=job_id)
    assert worker.receive()["job"]["attempts"] == 1
    assert 49 <= watch.ms <= 50 + LATE_MS


def test_a_retry_from_the_dlq_does_not_wait_for_a_backoff(client: Client, queue: str) -> None:
    job_id = client.push(queue, backoff=3_600_000, max_attempts=1)
    client.pull(queue)
    client.ok("FAIL", id=job_id)
    client.ok("RETRYDLQ", queue=queue, id=job_id)
    assert client.pull(queue)["id"] == job_id


def test_delayed_jobs_outlive_the_connection_that_pushed_them(connect: Connect, queue: str) -> None:
    producer, other = connect(), connect()
    producer.push(queue, 1, delay=50)
    producer.close()
    assert other.pull(queue, timeout=WAIT_MS)["data"] == 1
    until_counts(other, queue, delayed=0, processing=1)
