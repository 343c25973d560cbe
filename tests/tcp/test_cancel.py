"""CANCEL against what happens at the same time. Fields and refusals are in the transcripts."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

from tests.tcp.client import Client
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import Connect
from tests.tcp.waiting import until_counts


def test_a_job_cancelled_while_held_does_not_return_with_its_holders_end(connect: Connect, queue: str) -> None:
    holder, other = connect(), connect()
    job_id = other.push(queue, 1)
    kept = other.push(queue, 2)
    holder.ok("PULLB", queue=queue, count=2)
    other.ok("CANCEL", id=job_id)
    holder.close()
    until_counts(other, queue, processing=0, pending=1)
    assert other.pull(queue)["id"] == kept
    assert other.nothing_to_pull(queue)


def test_a_delayed_job_that_is_cancelled_never_becomes_ready(client: Client, queue: str) -> None:
    cancelled = client.push(queue, "cancelled", delay=30)
    client.push(queue, "later", delay=60)
    client.ok("CANCEL", id=cancelled)
    assert client.pull(queue, timeout=10_000)["data"] == "later"
    assert client.nothing_to_pull(queue)


def test_random_cancels_leave_the_rest_in_order(client: Client, queue: str) -> None:
    chance = random.Random(5)
    jobs = [{"data": n, "priority": chance.randint(-2, 2)} for n in range(1000)]
    ids = client.ok("PUSHB", queue=queue, jobs=jobs)["ids"]
    cancelled = set(chance.sample(range(1000), 600))
    for n in sorted(cancelled, key=lambda n: n * 7919 % 1000):
        client.ok("CANCEL", id=ids[n])
    left = sorted(set(range(1000)) - cancelled, key=lambda n: (-int(str(jobs[n]["priority"])), n))
    assert client.counts(queue)["pending"] == 400
    assert [job["data"] for job in client.ok("PULLB", queue=queue, count=10_000)["jobs"]] == left


def test_of_a_cancel_and_an_ack_at_once_exactly_one_succeeds(daemon: Daemon, queue: str) -> None:
    with daemon.connect() as first, daemon.connect("unix") as second:
        for _ in range(100):
            job_id = first.push(queue)
            first.pull(queue)
            with ThreadPoolExecutor(2) as pool:
                cancel = pool.submit(first.call, "CANCEL", id=job_id)
                ack = pool.submit(second.call, "ACK", id=job_id)
            assert sorted([cancel.result()["ok"], ack.result()["ok"]]) == [False, True]
        counts = first.counts(queue)
        assert (counts["pending"], counts["processing"]) == (0, 0)
