"""LISTQUEUES, STATS, PING and HELLO on daemons of their own, where counts over all queues are known."""

from __future__ import annotations

import random

from tests.tcp.client import Answer, Client
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import StartDaemon
from tests.tcp.waiting import until_counts

NAMES = {
    "name",
    "pending",
    "processing",
    "dlq",
    "paused",
    "rate_limit",
    "concurrency_limit",
    "delayed",
    "completed",
    "rate_duration",
}

WORK = ["PUSH", "PUSH", "PUSH", "PULL", "PULL", "ACK", "FAIL", "RELEASE", "CANCEL", "RETRYDLQ"]


def stats(client: Client) -> Answer:
    answer = client.ok("STATS")
    del answer["ok"]
    return answer


def expected(**counts: int) -> dict[str, int]:
    none = {"queued": 0, "processing": 0, "delayed": 0, "dlq": 0, "completed": 0, "waiting": 0}
    return none | counts


def test_a_new_daemon_knows_no_queue_and_counts_nothing(start_daemon: StartDaemon) -> None:
    with start_daemon().connect() as client:
        assert client.ok("LISTQUEUES") == {"ok": True, "queues": []}
        assert stats(client) == expected()


def test_counts_follow_a_job_through_its_states(start_daemon: StartDaemon) -> None:
    with start_daemon().connect() as client:
        ids = [client.push("a", n, max_attempts=2, backoff=3_600_000) for n in range(6)]
        assert stats(client) == expected(queued=6)
        client.ok("PULLB", queue="a", count=5)
        assert stats(client) == expected(queued=1, processing=5)
        client.ok("ACK", id=ids[0])
        assert stats(client) == expected(queued=1, processing=4, completed=1)
        client.ok("FAIL", id=ids[1])
        assert stats(client) == expected(queued=1, processing=3, completed=1, delayed=1)
        client.ok("FAIL", id=ids[2], unrecoverable=True)
        assert stats(client) == expected(queued=1, processing=2, completed=1, delayed=1, dlq=1)
        client.ok("RELEASE", id=ids[3])
        assert stats(client) == expected(queued=2, processing=1, completed=1, delayed=1, dlq=1)
        client.ok("CANCEL", id=ids[4])
        assert stats(client) == expected(queued=2, completed=1, delayed=1, dlq=1)
        client.ok("CANCEL", id=ids[1])
        assert stats(client) == expected(queued=2, completed=1, dlq=1)
        client.ok("RETRYDLQ", queue="a")
        assert stats(client) == expected(queued=3, completed=1)
        client.push("b", delay=3_600_000)
        assert stats(client) == expected(queued=3, completed=1, delayed=1)


def test_a_delayed_job_moves_from_delayed_to_pending_when_it_is_due(start_daemon: StartDaemon) -> None:
    with start_daemon().connect() as client:
        client.push("a", delay=40)
        assert client.counts("a") == {"pending": 0, "processing": 0, "delayed": 1, "dlq": 0, "completed": 0}
        until_counts(client, "a", pending=1, delayed=0)
        assert stats(client) == expected(queued=1)


def test_refused_requests_change_no_count(start_daemon: StartDaemon) -> None:
    with start_daemon().connect() as client:
        client.push("a", unique_key="k")
        before = client.ok("LISTQUEUES")
        client.refusal("PUSH", queue="a", data=1, unique_key="k")
        client.refusal("PUSH", queue="b", data=1, priority="x")
        client.refusal("ACK", id=5)
        client.refusal("PULL", queue="c", timeout=-1)
        client.call_line("nonsense")
        assert client.ok("LISTQUEUES") == before


def test_every_known_queue_is_listed_once_with_the_same_members(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with daemon.connect() as client:
        names = [f"queue {n} é\n" for n in range(3000)]  # more than there are slots
        for name in names:
            client.push(name)
        rows = client.ok("LISTQUEUES")["queues"]
        assert sorted(row["name"] for row in rows) == sorted(names)
        assert all(set(row) == NAMES and row["pending"] == 1 and row["paused"] is False for row in rows)
        assert stats(client) == expected(queued=3000)
        for name in names:
            client.ok("ACK", id=client.pull(name)["id"])
        assert {row["name"] for row in client.ok("LISTQUEUES")["queues"]} == set(names)
        assert stats(client) == expected(completed=3000)


def test_a_queue_that_is_only_paused_is_known(start_daemon: StartDaemon) -> None:
    with start_daemon().connect() as client:
        client.ok("PAUSE", queue="a")
        (row,) = client.ok("LISTQUEUES")["queues"]
        assert (row["name"], row["paused"], row["pending"]) == ("a", True, 0)


def test_stats_are_the_sum_of_the_queues_after_random_work(start_daemon: StartDaemon) -> None:
    with start_daemon().connect() as client:
        chance = random.Random(3)
        ids: list[int] = []
        for _ in range(3000):
            name = f"q{chance.randint(0, 40)}"
            cmd = chance.choice(
                ["PUSH", "PUSH", "PUSH", "PULL", "PULL", "ACK", "FAIL", "RELEASE", "CANCEL", "RETRYDLQ"]
            )
            if cmd == "PUSH":
                delay = chance.choice([0, 0, 3_600_000])
                ids.append(client.push(name, delay=delay, max_attempts=chance.randint(0, 2)))
            elif cmd == "PULL":
                client.ok("PULL", queue=name, timeout=0)
            elif cmd == "RETRYDLQ":
                client.ok("RETRYDLQ", queue=name)
            elif ids:
                client.call(cmd, id=chance.choice(ids))
        rows = client.ok("LISTQUEUES")["queues"]
        names = {"queued": "pending", "processing": "processing", "delayed": "delayed", "dlq": "dlq"}
        totals = {total: sum(row[name] for row in rows) for total, name in names.items()}
        totals["completed"] = sum(row["completed"] for row in rows)
        assert stats(client) == expected(**totals)
        held = sum(len(client.ok("PULLB", queue=row["name"], count=10_000, timeout=0)["jobs"]) for row in rows)
        assert held == totals["queued"]


def test_hello_tells_the_version_of_the_start_up_line_and_the_limits(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--max-line", "65536", "--max-job-bytes", "1000")
    with daemon.connect() as client:
        hello = client.ok("HELLO")
        assert set(hello) == {"ok", "server", "version", "protocol", "limits"}
        assert hello["version"] == daemon.version
        assert {65536, 1000} <= set(hello["limits"].values())


def test_the_daemon_says_how_many_reactors_it_has_and_serves_with_each_number(start_daemon: StartDaemon) -> None:
    for number in (1, 2, 5):
        daemon: Daemon = start_daemon("--reactors", str(number))
        assert daemon.reactors == number
        clients = [daemon.connect() for _ in range(20)]
        for index, client in enumerate(clients):
            client.push("a", index)
        assert clients[0].counts("a")["pending"] == 20
        assert [client.pull("a")["data"] for client in reversed(clients)] == list(range(20))
        for client in clients:
            client.close()
        with daemon.connect() as client:
            until_counts(client, "a", pending=20, processing=0)
