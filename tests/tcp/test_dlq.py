"""DLQ and RETRYDLQ with many jobs. Fields and refusals are in the transcripts."""

from __future__ import annotations

import pytest

from tests.tcp.client import Client
from tests.tcp.fixtures import Connect


def bury(client: Client, queue: str, count: int) -> list[int]:
    """Put `count` jobs into the DLQ; their ids in the order of their burial."""
    ids = list(client.ok("PUSHB", queue=queue, jobs=[{"data": n, "max_attempts": 1} for n in range(count)])["ids"])
    assert len(client.ok("PULLB", queue=queue, count=count)["jobs"]) == count
    for job_id in ids:
        client.ok("FAIL", id=job_id, error=str(job_id))
    return ids


def test_100_jobs_are_shown_unless_a_count_is_given(client: Client, queue: str) -> None:
    ids = bury(client, queue, 130)
    shown = client.ok("DLQ", queue=queue)["jobs"]
    assert len(shown) == 100
    assert {job["id"] for job in shown} <= set(ids)
    everything = client.ok("DLQ", queue=queue, count=1000)["jobs"]
    assert sorted(job["id"] for job in everything) == ids
    assert all(job["last_error"] == str(job["id"]) for job in everything)
    assert client.counts(queue)["dlq"] == 130


def test_the_oldest_dead_jobs_are_shown_first(client: Client, queue: str) -> None:
    ids = bury(client, queue, 10)
    assert [job["id"] for job in client.ok("DLQ", queue=queue, count=4)["jobs"]] == ids[:4]
    client.ok("RETRYDLQ", queue=queue, id=ids[1])
    assert [job["id"] for job in client.ok("DLQ", queue=queue, count=4)["jobs"]] == [ids[0], *ids[2:5]]


def test_all_dead_jobs_are_retried_at_once(client: Client, queue: str) -> None:
    ids = bury(client, queue, 1500)
    assert client.ok("RETRYDLQ", queue=queue) == {"ok": True, "ids": [1500], "count": 1500}
    assert client.counts(queue)["dlq"] == 0
    jobs = client.ok("PULLB", queue=queue, count=10_000)["jobs"]
    assert [job["id"] for job in jobs] == ids
    assert all((job["attempts"], job["deliveries"]) == (0, 1) for job in jobs)


def test_a_retried_job_has_all_its_attempts_again(client: Client, queue: str) -> None:
    job_id = client.push(queue, max_attempts=2)
    for _ in range(3):
        for attempt in range(2):
            assert client.pull(queue)["attempts"] == attempt
            client.ok("FAIL", id=job_id)
        assert client.ok("RETRYDLQ", queue=queue, id=job_id)["count"] == 1
    assert client.pull(queue)["attempts"] == 0


@pytest.mark.parametrize("with_id", [True, False])
def test_retried_jobs_wake_parked_pullers(connect: Connect, queue: str, with_id: bool) -> None:
    worker, other = connect(), connect()
    (job_id,) = bury(other, queue, 1)
    worker.park(queue, "r")
    other.ok("RETRYDLQ", queue=queue, **({"id": job_id} if with_id else {}))
    assert worker.receive()["job"]["id"] == job_id


def test_dead_jobs_of_one_queue_are_not_shown_in_another(client: Client, queue: str) -> None:
    bury(client, queue, 3)
    bury(client, queue + "-2", 2)
    assert len(client.ok("DLQ", queue=queue)["jobs"]) == 3
    assert client.ok("RETRYDLQ", queue=queue + "-2")["count"] == 2
    assert client.counts(queue)["dlq"] == 3


def test_dead_jobs_keep_their_large_data(client: Client, queue: str) -> None:
    text = "x" * 500_000
    job_id = client.push(queue, text)
    client.pull(queue)
    client.ok("FAIL", id=job_id, unrecoverable=True)
    assert client.ok("DLQ", queue=queue)["jobs"][0]["data"] == text
    client.ok("RETRYDLQ", queue=queue)
    assert client.pull(queue)["data"] == text
