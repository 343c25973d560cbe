"""unique_key among connections. One connection's view is in the transcripts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.tcp.client import Client, check_refusal
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import Connect, StartDaemon
from tests.tcp.waiting import until_counts


def is_free(client: Client, queue: str, key: str) -> bool:
    """Whether the key can be taken; it is given back."""
    answer = client.call("PUSH", queue=queue, data="probe", unique_key=key)
    if answer["ok"] is True:
        client.ok("CANCEL", id=answer["id"])
        return True
    assert check_refusal(answer, "duplicate")["error"] == f"Duplicate job with key: {key}"
    return False


def test_of_many_pushes_with_one_key_at_once_exactly_one_is_accepted(daemon: Daemon, queue: str) -> None:
    def push_each(worker: int) -> list[str]:
        with daemon.connect("unix" if worker % 2 else "tcp") as client:
            return [
                key
                for key in map(str, range(100))
                if client.call("PUSH", queue=queue, data=worker, unique_key=key)["ok"] is True
            ]

    with ThreadPoolExecutor(8) as pool:
        accepted = [key for keys in pool.map(push_each, range(8)) for key in keys]
    assert sorted(accepted, key=int) == [str(n) for n in range(100)]
    with daemon.connect() as client:
        assert client.counts(queue)["pending"] == 100


def test_a_key_is_held_while_its_job_is_pending_delayed_held_lost_or_in_backoff(connect: Connect, queue: str) -> None:
    holder, other = connect(), connect()
    job_id = other.push(queue, unique_key="k", delay=20, backoff=20)
    assert not is_free(other, queue, "k")
    holder.pull(queue, timeout=10_000)
    assert not is_free(other, queue, "k")
    holder.close()
    until_counts(other, queue, processing=0, pending=1)
    assert not is_free(other, queue, "k")
    other.pull(queue)
    other.ok("FAIL", id=job_id)
    assert not is_free(other, queue, "k")
    other.pull(queue, timeout=10_000)
    other.ok("RELEASE", id=job_id)
    assert not is_free(other, queue, "k")
    other.pull(queue)
    other.ok("ACK", id=job_id)
    assert is_free(other, queue, "k")


def test_a_key_is_free_once_its_job_is_dead_by_losses(daemon_with: StartDaemon, queue: str) -> None:
    daemon = daemon_with("--max-deliveries", "3")
    with daemon.connect() as client:
        client.push(queue, unique_key="k")
        for _ in range(3):
            with daemon.connect() as worker:
                worker.pull(queue, timeout=10_000)
        until_counts(client, queue, dlq=1, processing=0)
        assert is_free(client, queue, "k")


def test_the_same_key_in_other_queues_is_another_key(client: Client, queue: str) -> None:
    for number in range(50):
        client.push(f"{queue}-{number}", unique_key="k")
    assert not is_free(client, f"{queue}-49", "k")
    assert is_free(client, f"{queue}-50", "k")


def test_keys_that_share_a_beginning_are_different(client: Client, queue: str) -> None:
    for key in ("a", "aa", "a\x00", "a\x00b", "", " a", "A", "\u00e9", "e\u0301"):
        client.push(queue, unique_key=key)
        assert not is_free(client, queue, key) or key == ""


def test_ten_thousand_keys_are_kept_apart_and_freed(client: Client, queue: str) -> None:
    jobs = [{"data": n, "unique_key": f"key {n}"} for n in range(10_000)]
    ids = client.ok("PUSHB", queue=queue, jobs=jobs)["ids"]
    answer = client.ok("PUSHB", queue=queue, jobs=jobs)
    assert answer["ids"] == [0] * 10_000
    assert [row["index"] for row in answer["errors"]] == list(range(10_000))
    assert {row["code"] for row in answer["errors"]} == {"duplicate"}
    assert len(client.ok("PULLB", queue=queue, count=10_000)["jobs"]) == 10_000
    assert client.ok("ACKB", ids=ids)["count"] == 10_000
    assert 0 not in client.ok("PUSHB", queue=queue, jobs=jobs)["ids"]


def test_at_most_one_live_job_has_a_key_after_a_retry_of_a_dead_one(client: Client, queue: str) -> None:
    # The contract does not say what RETRYDLQ does with a job whose key is taken by now; two live holders are wrong.
    dead = client.push(queue, "dead", unique_key="k")
    client.pull(queue)
    client.ok("FAIL", id=dead, unrecoverable=True)
    client.push(queue, "live", unique_key="k")
    answer = client.call("RETRYDLQ", queue=queue, id=dead)
    if answer["ok"] is not True:
        check_refusal(answer, "duplicate")
    jobs = client.ok("PULLB", queue=queue, count=10)["jobs"]
    assert sum(job["unique_key"] == "k" for job in jobs) == 1
    assert not is_free(client, queue, "k")
