"""RELEASE among several connections. Fields and refusals are in the transcripts."""

from __future__ import annotations

import random

import pytest

from tests.tcp.client import Client
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import Connect, StartDaemon
from tests.tcp.waiting import Stopwatch, now_ms


def test_releases_count_neither_as_attempts_nor_as_losses(daemon_with: StartDaemon, queue: str) -> None:
    with daemon_with("--max-deliveries", "3").connect() as client:
        job_id = client.push(queue, max_attempts=1)
        for delivery in range(1, 20):
            job = client.pull(queue)
            assert (job["id"], job["attempts"], job["deliveries"]) == (job_id, 0, delivery)
            client.ok("RELEASE", id=job_id)
        assert client.ok("DLQ", queue=queue)["jobs"] == []


def test_any_connection_may_release_a_held_job(connect: Connect, queue: str) -> None:
    holder, other = connect(), connect()
    job_id = other.push(queue)
    token = holder.pull(queue)["token"]
    assert other.ok("RELEASE", id=job_id, token=token) == {"ok": True, "count": 1}
    assert other.pull(queue)["id"] == job_id
    holder.close()
    other.ping()
    assert other.counts(queue)["processing"] == 1


def test_a_released_job_goes_before_later_ones_of_its_priority(client: Client, queue: str) -> None:
    ids = [client.push(queue, n, priority=n % 3) for n in range(60)]
    jobs = client.ok("PULLB", queue=queue, count=40)["jobs"]
    order = [job["id"] for job in jobs]
    client.ok("RELEASE", ids=list(reversed(order[10:])))
    again = [job["id"] for job in client.ok("PULLB", queue=queue, count=60)["jobs"]]
    assert order[:10] + again == sorted(ids, key=lambda job_id: (-(ids.index(job_id) % 3), job_id))


@pytest.mark.parametrize("priorities", [1, 50])
def test_jobs_that_return_in_any_order_go_back_to_their_places(client: Client, queue: str, priorities: int) -> None:
    jobs = [{"data": n, "priority": n % priorities} for n in range(500)]
    client.ok("PUSHB", queue=queue, jobs=jobs)
    first = [job["id"] for job in client.ok("PULLB", queue=queue, count=500)["jobs"]]
    for seed in range(3):
        shuffled = random.Random(seed).sample(first, len(first))
        assert client.ok("RELEASE", ids=shuffled)["count"] == 500
        assert [job["id"] for job in client.ok("PULLB", queue=queue, count=500)["jobs"]] == first


def test_a_release_with_delay_comes_back_when_the_delay_is_over(client: Client, queue: str) -> None:
    job_id = client.push(queue)
    client.pull(queue)
    before = now_ms()
    watch = Stopwatch()
    client.ok("RELEASE", id=job_id, delay=80)
    after = now_ms()
    job = client.pull(queue, timeout=10_000)
    assert watch.ms >= 79
    assert (job["id"], job["attempts"], job["deliveries"]) == (job_id, 0, 2)
    assert before + 80 - 5 <= job["run_at"] <= after + 80 + 5


def test_releases_of_several_queues_go_in_one_batch(daemon: Daemon, queue: str) -> None:
    with daemon.connect() as client:
        names = [f"{queue}-{n}" for n in range(40)]
        ids = [client.push(name, name) for name in names]
        for name in names:
            client.pull(name)
        assert client.ok("RELEASE", ids=ids + ids)["count"] == 40
        assert [client.pull(name)["data"] for name in names] == names
