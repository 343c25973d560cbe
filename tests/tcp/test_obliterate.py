"""OBLITERATE among several connections. Counts, settings and refusals are in the transcripts."""

from __future__ import annotations

import threading

import pytest

from tests.tcp.client import check_refusal
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import Connect, StartDaemon
from tests.tcp.waiting import until_counts


def test_parked_pulls_stay_parked_and_are_served_by_later_pushes(connect: Connect, queue: str) -> None:
    workers, client = [connect() for _ in range(4)], connect()
    for number, worker in enumerate(workers):
        if number % 2:
            worker.park(queue, "r", cmd="PULLB", count=1)
        else:
            worker.park(queue, "r")
    client.ok("PAUSE", queue=queue)
    client.push(queue, "dropped")
    assert client.ok("OBLITERATE", queue=queue)["count"] == 1
    client.ping()
    assert not any(worker.has_answer() for worker in workers)
    for number, worker in enumerate(workers):
        client.push(queue, number)
        answer = worker.receive()
        assert [job["data"] for job in answer.get("jobs", [answer.get("job")])] == [number]


def test_a_held_job_does_not_come_back_by_any_way(connect: Connect, queue: str) -> None:
    holder, client = connect(), connect()
    ids = [client.push(queue, n, timeout=50) for n in range(3)]
    token = holder.pull(queue)["token"]
    holder.pull(queue, lease=30)
    holder.pull(queue)
    assert client.ok("OBLITERATE", queue=queue)["count"] == 3
    check_refusal(holder.call("ACK", id=ids[0], token=token), "not_found")
    assert holder.ok("ACKB", ids=ids)["count"] == 0
    holder.reset()
    assert client.ok("PULL", queue=queue, timeout=120)["job"] is None  # longer than the lease and the time-outs
    assert client.ok("DLQ", queue=queue)["jobs"] == []


def test_a_job_of_a_lost_worker_counts_in_the_new_queue_for_nothing(connect: Connect, queue: str) -> None:
    holder, client = connect(), connect()
    client.push(queue, "old")
    holder.pull(queue)
    client.ok("OBLITERATE", queue=queue)
    client.ok("SETCONCURRENCY", queue=queue, limit=1)
    client.push(queue, "new")
    job = client.pull(queue)
    holder.close()
    client.push(queue, "next")
    assert client.nothing_to_pull(queue)
    client.ok("ACK", id=job["id"])
    assert client.pull(queue)["data"] == "next"
    assert client.counts(queue) == {"pending": 0, "processing": 1, "delayed": 0, "dlq": 0, "completed": 1}


@pytest.mark.parametrize("rounds", [30])
def test_ids_only_grow(connect: Connect, queue: str, rounds: int) -> None:
    client, last = connect(), 0
    for _ in range(rounds):
        ids = client.ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(20)])["ids"]
        assert ids == sorted(ids)
        assert ids[0] > last
        last = ids[-1]
        assert client.ok("OBLITERATE", queue=queue)["count"] == 20


def test_every_job_is_dropped_once_or_still_there(daemon: Daemon, queue: str) -> None:
    """Producers push while the queue is obliterated again and again: what was not counted as dropped is there."""
    pushed, problems = [0, 0, 0, 0], list[str]()

    def produce(producer: int) -> None:
        try:
            with daemon.connect("unix" if producer % 2 else "tcp") as client:
                for number in range(400):
                    client.push(queue, number, delay=3_600_000 if number % 3 == 0 else 0)
                    pushed[producer] += 1
        except Exception as problem:  # told to the test's thread, whatever it is
            problems.append(f"{type(problem).__name__}: {problem}")

    threads = [threading.Thread(target=produce, args=(producer,), daemon=True) for producer in range(4)]
    for thread in threads:
        thread.start()
    dropped = 0
    with daemon.connect() as client:
        while any(thread.is_alive() for thread in threads):
            dropped += client.ok("OBLITERATE", queue=queue)["count"]
        assert not problems
        dropped += client.ok("OBLITERATE", queue=queue)["count"]
        assert dropped == sum(pushed) == 1600
        assert client.nothing_to_pull(queue)


def test_counts_over_all_queues_lose_what_the_queue_had(start_daemon: StartDaemon) -> None:
    with start_daemon().connect() as client:
        for name in ("goes", "stays"):
            ids = client.ok("PUSHB", queue=name, jobs=[{"data": n} for n in range(6)])["ids"]
            client.ok("PULLB", queue=name, count=3)
            client.ok("ACK", id=ids[0])
            client.ok("FAIL", id=ids[1], unrecoverable=True)
            client.push(name, delay=3_600_000)
            client.push(name, depends_on=[ids[5]])
        both = {"queued": 6, "processing": 2, "delayed": 2, "dlq": 2, "completed": 2, "waiting": 2}
        assert client.ok("STATS") == {"ok": True} | both
        assert client.ok("OBLITERATE", queue="goes")["count"] == 7
        assert client.ok("STATS") == {"ok": True} | {name: count // 2 for name, count in both.items()}
        assert [row["name"] for row in client.ok("LISTQUEUES")["queues"]] == ["stays"]
        until_counts(client, "stays", pending=3, processing=1, delayed=1, dlq=1, completed=1)
