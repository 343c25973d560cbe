"""The order of delivery: priority down, then run_at up, then id up; and nothing that is not ready is in the way."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.tcp.client import Client
from tests.tcp.fixtures import Connect
from tests.tcp.waiting import until_counts

Job = dict[str, Any]


def in_order(jobs: list[Job]) -> list[Job]:
    return sorted(jobs, key=lambda job: (-job["priority"], job["run_at"], job["id"]))


def test_equal_jobs_are_first_in_first_out(client: Client, queue: str) -> None:
    for number in range(1000):
        client.push(queue, number)
    assert [client.pull(queue)["data"] for _ in range(1000)] == list(range(1000))


def test_a_batch_is_delivered_in_its_order(client: Client, queue: str) -> None:
    client.ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(5000)])
    assert [job["data"] for job in client.ok("PULLB", queue=queue, count=10_000)["jobs"]] == list(range(5000))


@pytest.mark.parametrize("seed", range(4))
def test_random_priorities_are_delivered_highest_first(client: Client, queue: str, seed: int) -> None:
    chance = random.Random(seed)
    spread = chance.choice([2, 10, 2**31 - 1])
    priorities = [chance.randint(-spread, spread) for _ in range(1000)]
    for number in range(0, 1000, 10):
        chunk = range(number, number + 10)
        client.ok("PUSHB", queue=queue, jobs=[{"data": n, "priority": priorities[n]} for n in chunk])
    expected = sorted(range(1000), key=lambda n: (-priorities[n], n))
    got: list[int] = []
    while len(got) < 1000:
        if chance.random() < 0.5:
            got.append(client.pull(queue)["data"])
        else:
            got += [job["data"] for job in client.ok("PULLB", queue=queue, count=chance.randint(1, 50))["jobs"]]
    assert got == expected


def test_extreme_priorities_are_ordered(client: Client, queue: str) -> None:
    values = [0, -(2**31), 2**31 - 1, -1, 1, 2**31 - 2, -(2**31) + 1]
    for value in values:
        client.push(queue, value, priority=value)
    assert [client.pull(queue)["data"] for _ in values] == sorted(values, reverse=True)


@pytest.mark.parametrize("seed", range(4))
def test_random_work_keeps_the_order(client: Client, queue: str, seed: int) -> None:
    """Against a model: a list of what is ready, sorted by the rule."""
    chance = random.Random(100 + seed)
    ready: dict[int, tuple[int, int, int]] = {}
    held: list[Job] = []
    for _ in range(1500):
        action = chance.random()
        if action < 0.45:
            priority = chance.randint(-3, 3)
            job_id = client.push(queue, 0, priority=priority)
            ready[job_id] = (-priority, 0, job_id)  # one queue's ids grow with its clock: run_at adds nothing
        elif action < 0.75:
            job = client.ok("PULL", queue=queue, timeout=0)["job"]
            assert (job and job["id"]) == min(ready, key=lambda job_id: ready[job_id], default=None)
            if job:
                del ready[job["id"]]
                held.append(job)
        elif action < 0.85 and held:
            job = held.pop(chance.randrange(len(held)))
            client.ok("RELEASE", id=job["id"])
            ready[job["id"]] = (-job["priority"], 0, job["id"])
        elif action < 0.95 and held:
            client.ok("ACK", id=held.pop(chance.randrange(len(held)))["id"])
        elif ready:
            job_id = chance.choice(list(ready))
            client.ok("CANCEL", id=job_id)
            del ready[job_id]
    counts = client.counts(queue)
    assert (counts["pending"], counts["processing"]) == (len(ready), len(held))


def test_a_delayed_job_of_high_priority_does_not_block_a_ready_one(client: Client, queue: str) -> None:
    blocked = [client.push(queue, "delayed", priority=9, delay=3_600_000) for _ in range(20)]
    client.push(queue, "ready")
    assert client.pull(queue)["data"] == "ready"
    assert client.nothing_to_pull(queue)
    assert client.counts(queue)["delayed"] == 20
    for job_id in blocked:
        client.ok("CANCEL", id=job_id)


def test_a_job_in_backoff_does_not_block_a_ready_one(client: Client, queue: str) -> None:
    failed = client.push(queue, "failed", priority=9, backoff=3_600_000)
    client.pull(queue)
    client.ok("FAIL", id=failed)
    client.push(queue, "ready")
    assert client.pull(queue)["data"] == "ready"
    client.ok("CANCEL", id=failed)


def test_jobs_that_became_ready_are_ordered_by_run_at(client: Client, queue: str) -> None:
    client.ok("PAUSE", queue=queue)
    for data, delay in (("third", 60), ("second", 30), ("now", 0), ("high", 45)):
        client.push(queue, data, delay=delay, priority=int(data == "high"))
    until_counts(client, queue, pending=4, delayed=0)
    client.ok("RESUME", queue=queue)
    jobs = client.ok("PULLB", queue=queue, count=4)["jobs"]
    assert [job["data"] for job in jobs] == ["high", "now", "second", "third"]
    assert jobs == in_order(jobs)


def test_a_job_that_was_due_earlier_goes_before_one_pushed_later(client: Client, queue: str) -> None:
    client.ok("PAUSE", queue=queue)
    client.push(queue, "due", delay=20)
    until_counts(client, queue, pending=1)
    client.push(queue, "pushed later")
    client.ok("RESUME", queue=queue)
    jobs = client.ok("PULLB", queue=queue, count=2)["jobs"]
    assert jobs == in_order(jobs)
    assert [job["data"] for job in jobs] == ["due", "pushed later"]


def test_a_lost_job_returns_to_its_place(connect: Connect, queue: str) -> None:
    worker, other = connect(), connect()
    for number in range(6):
        other.push(queue, number, priority=number % 2)
    assert [job["data"] for job in worker.ok("PULLB", queue=queue, count=4)["jobs"]] == [1, 3, 5, 0]
    worker.close()
    until_counts(other, queue, pending=6, processing=0)
    assert [job["data"] for job in other.ok("PULLB", queue=queue, count=6)["jobs"]] == [1, 3, 5, 0, 2, 4]


def test_queues_do_not_wait_for_one_another(client: Client, queue: str) -> None:
    for number in range(200):
        client.push(f"{queue}-{number % 20}", number)
    for number in range(20):
        jobs = client.ok("PULLB", queue=f"{queue}-{number}", count=100)["jobs"]
        assert [job["data"] for job in jobs] == list(range(number, 200, 20))
