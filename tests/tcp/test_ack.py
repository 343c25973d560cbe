"""ACK and ACKB from several connections. Fields and refusals are in the transcripts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.tcp.client import check_refusal
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import Connect
from tests.tcp.waiting import until_counts


def test_any_connection_may_acknowledge_a_held_job(connect: Connect, queue: str) -> None:
    holder, other = connect(), connect()
    job_id = other.push(queue)
    job = holder.pull(queue)
    other.ok("ACK", id=job_id, token=job["token"])
    assert check_refusal(holder.call("ACK", id=job_id))["error"] == f"Job {job_id} not found"
    assert other.counts(queue) == {"pending": 0, "processing": 0, "delayed": 0, "dlq": 0, "completed": 1}


def test_a_job_acknowledged_elsewhere_does_not_return_with_its_holders_end(connect: Connect, queue: str) -> None:
    holder, other = connect(), connect()
    ids = [other.push(queue, n) for n in range(3)]
    holder.ok("PULLB", queue=queue, count=3)
    other.ok("ACK", id=ids[1])
    holder.close()
    until_counts(other, queue, pending=2, processing=0)
    assert [job["id"] for job in other.ok("PULLB", queue=queue, count=5)["jobs"]] == [ids[0], ids[2]]


def test_of_many_acks_at_once_exactly_one_succeeds(daemon: Daemon, queue: str) -> None:
    with daemon.connect() as producer, daemon.connect() as holder:
        ids = [producer.push(queue, n) for n in range(100)]
        assert len(holder.ok("PULLB", queue=queue, count=100)["jobs"]) == 100

        def acknowledge_all(worker: int) -> int:
            with daemon.connect("unix" if worker % 2 else "tcp") as client:
                return sum(client.call("ACK", id=job_id)["ok"] for job_id in ids)

        def acknowledge_as_batch(worker: int) -> int:
            with daemon.connect("unix" if worker % 2 else "tcp") as client:
                return int(client.ok("ACKB", ids=ids)["count"])

        with ThreadPoolExecutor(8) as pool:
            single = [pool.submit(acknowledge_all, worker) for worker in range(4)]
            batch = [pool.submit(acknowledge_as_batch, worker) for worker in range(4)]
            assert sum(future.result() for future in single + batch) == 100
        assert producer.counts(queue)["completed"] == 100


def test_the_token_of_an_old_delivery_is_lease_lost_while_a_new_one_runs(connect: Connect, queue: str) -> None:
    first, second = connect(), connect()
    job_id = second.push(queue)
    old = first.pull(queue)
    first.close()
    new = second.pull(queue, timeout=10_000)
    assert new["token"] != old["token"]
    for cmd in ("ACK", "FAIL", "RELEASE"):
        check_refusal(second.call(cmd, id=job_id, token=old["token"]), "lease_lost")
    assert second.ok("ACKB", ids=[job_id], tokens=[old["token"]])["count"] == 0
    assert second.ok("RELEASE", ids=[job_id], tokens=[old["token"]])["count"] == 0
    second.ok("ACK", id=job_id, token=new["token"])
    check_refusal(second.call("ACK", id=job_id, token=old["token"]), "not_found")


def test_a_lost_job_that_is_pending_again_is_lease_lost_by_token_and_not_found_without(
    connect: Connect, queue: str
) -> None:
    holder, other = connect(), connect()
    job_id = other.push(queue)
    old = holder.pull(queue)
    holder.close()
    until_counts(other, queue, pending=1)
    check_refusal(other.call("ACK", id=job_id, token=old["token"]), "lease_lost")
    assert check_refusal(other.call("ACK", id=job_id), "not_found")["error"] == f"Job {job_id} not found in processing"
