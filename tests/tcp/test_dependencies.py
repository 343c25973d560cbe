"""depends_on over many jobs, queues and connections. Fields, states and refusals are in the transcripts."""

from __future__ import annotations

import random
import threading

import pytest

from tests.tcp.client import Answer, Client, check_refusal
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import Connect, StartDaemon, unique_name
from tests.tcp.waiting import eventually, until_counts


def state(client: Client, job_id: int) -> str:
    return str(client.ok("GETJOB", id=job_id)["state"])


def until_state(client: Client, job_id: int, expected: str) -> None:
    """Wait for what another queue's job has to bring about: a release or a failure is at most some ms away."""
    eventually(lambda: state(client, job_id), lambda now: now == expected)


def shown(client: Client, job_id: int) -> Answer:
    job = client.ok("GETJOB", id=job_id)["job"]
    assert isinstance(job, dict)
    return job


def finish(client: Client, queue: str, job_id: int) -> None:
    """Pull this job, which has to be the queue's next, and acknowledge it."""
    assert client.pull(queue, timeout=10_000)["id"] == job_id
    client.ok("ACK", id=job_id)


def check_failed_for(job: Answer, dependency: int) -> None:
    assert job["reason"] == "dependency_failed"
    assert job["last_error"] == f"Dependency {dependency} was cancelled or dropped"
    assert (job["attempts"], job["deliveries"]) == (0, 0)


# Shapes


def test_a_diamond_runs_from_top_to_bottom(connect: Connect, queue: str) -> None:
    client = connect()
    top = client.push(queue, "top")
    left, right = (client.push(queue, side, depends_on=[top]) for side in ("left", "right"))
    bottom = client.push(queue, "bottom", depends_on=[left, right], priority=100)
    assert [row["id"] for row in shown(client, bottom)["waits_for"]] == [left, right]
    finish(client, queue, top)
    until_counts(client, queue, pending=2)
    jobs = client.ok("PULLB", queue=queue, count=9)["jobs"]
    assert [job["id"] for job in jobs] == [left, right]
    client.ok("ACK", id=right)
    assert client.nothing_to_pull(queue)
    client.ok("ACK", id=left)
    finish(client, queue, bottom)
    assert client.nothing_to_pull(queue)


def test_a_chain_across_five_queues_wakes_one_worker_after_the_other(connect: Connect) -> None:
    producer, names = connect(), [unique_name() for _ in range(5)]
    workers = [connect() for _ in names]
    ids: list[int] = []
    for name in names:
        ids.append(producer.push(name, name, depends_on=ids[-1:]))
    for worker, name in zip(workers[1:], names[1:], strict=True):
        worker.park(name, "r")
    finish(workers[0], names[0], ids[0])
    for number in range(1, 5):
        job = workers[number].receive()["job"]
        assert (job["id"], job["queue"], job["depends_on"]) == (ids[number], names[number], [ids[number - 1]])
        for later in range(number + 1, 5):
            assert state(producer, ids[later]) == "waitingparent"
        workers[number].ok("ACK", id=ids[number])


def test_a_thousand_dependents_are_released_by_one_ack_in_their_order(connect: Connect, queue: str) -> None:
    producer, worker = connect(), connect()
    first = producer.push(queue)
    ids = producer.ok("PUSHB", queue=queue, jobs=[{"data": n, "depends_on": [first]} for n in range(1000)])["ids"]
    assert producer.counts(queue)["pending"] == 1
    finish(worker, queue, first)
    until_counts(producer, queue, pending=1000)
    jobs = worker.ok("PULLB", queue=queue, count=2000)["jobs"]
    assert [job["id"] for job in jobs] == ids
    assert [job["data"] for job in jobs] == list(range(1000))


def test_a_thousand_dependents_in_fifty_queues_are_all_released(connect: Connect, queue: str) -> None:
    producer, names = connect(), [unique_name() for _ in range(50)]
    first = producer.push(queue)
    for name in names:
        producer.ok("PUSHB", queue=name, jobs=[{"data": n, "depends_on": [first]} for n in range(20)])
    finish(producer, queue, first)
    for name in names:
        until_counts(producer, name, pending=20)
        assert [job["data"] for job in producer.ok("PULLB", queue=name, count=99)["jobs"]] == list(range(20))


def test_a_thousand_dependents_fail_together(connect: Connect, queue: str) -> None:
    producer, name = connect(), unique_name()
    first = producer.push(queue)
    ids = producer.ok("PUSHB", queue=name, jobs=[{"data": n, "depends_on": [first]} for n in range(1000)])["ids"]
    producer.ok("CANCEL", id=first)
    until_counts(producer, name, dlq=1000, pending=0)
    dead = producer.ok("DLQ", queue=name, count=2000)["jobs"]
    assert sorted(job["id"] for job in dead) == sorted(ids)
    for job in dead:
        check_failed_for(job, first)
    assert producer.ok("RETRYDLQ", queue=name)["count"] == 1000
    assert [job["id"] for job in producer.ok("PULLB", queue=name, count=2000)["jobs"]] == ids


def test_a_job_may_have_a_thousand_dependencies_and_not_one_more(connect: Connect, queue: str) -> None:
    client, name = connect(), unique_name()
    ids = client.ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(1001)])["ids"]
    check_refusal(client.call("PUSH", queue=name, data=1, depends_on=ids), "payload_too_large")
    check_refusal(client.call("PUSH", queue=name, data=1, depends_on=ids[:1] * 1001), "payload_too_large")
    last = client.push(name, "last", depends_on=ids[:1000])
    job = shown(client, last)
    assert job["depends_on"] == ids[:1000]
    assert job["waits_for"] == [{"id": job_id, "state": "waiting"} for job_id in ids[:100]]
    client.ok("PULLB", queue=queue, count=1001)
    random.Random(1).shuffle(order := ids[:1000])
    client.ok("ACKB", ids=order[:999])
    left = [{"id": order[999], "state": "active"}]
    eventually(lambda: shown(client, last)["waits_for"], lambda rows: rows == left)
    assert client.nothing_to_pull(name)
    client.ok("ACK", id=order[999])
    assert client.pull(name, timeout=10_000)["depends_on"] == ids[:1000]


def test_a_list_as_long_as_it_may_be_with_one_id_is_released_by_that(connect: Connect, queue: str) -> None:
    client = connect()
    first = client.push(queue)
    second = client.push(queue, depends_on=[first] * 1000)
    finish(client, queue, first)
    assert client.pull(queue, timeout=10_000)["depends_on"] == [first] * 1000
    client.ok("ACK", id=second)


def test_a_chain_of_three_hundred_fails_link_by_link(connect: Connect) -> None:
    """A dependent in the DLQ keeps its own dependents waiting: only the first fails, then cancelling goes on."""
    client, names = connect(), [unique_name() for _ in range(7)]
    ids: list[int] = []
    for number in range(300):
        ids.append(client.push(names[number % 7], number, depends_on=ids[-1:]))
    client.ok("CANCEL", id=ids[0])
    until_state(client, ids[1], "failed")
    assert {state(client, job_id) for job_id in ids[2:]} == {"waitingparent"}
    assert client.ok("RETRYDLQ", queue=names[1])["count"] == 1
    for number in range(1, 300):
        finish(client, names[number % 7], ids[number])


def test_a_random_graph_runs_in_an_order_that_its_edges_allow(daemon: Daemon) -> None:
    chance = random.Random(7)
    names = [unique_name() for _ in range(5)]
    ended: list[int] = []
    needs: dict[int, list[int]] = {}
    problems: list[str] = []
    lock = threading.Lock()

    def work(name: str) -> None:
        with daemon.connect() as worker:
            while len(ended) < 400 and not problems:
                job = worker.ok("PULL", queue=name, timeout=200)["job"]
                if job is None:
                    continue
                with lock:
                    if not set(job["depends_on"]) <= set(ended):
                        problems.append(f"{job['id']} was given before {set(job['depends_on']) - set(ended)} ended")
                    ended.append(job["id"])  # before the ack: no dependent can be given earlier
                worker.ok("ACK", id=job["id"])

    threads = [threading.Thread(target=work, args=(names[n % 5],), daemon=True) for n in range(10)]
    for thread in threads:
        thread.start()
    with daemon.connect() as producer:
        for number in range(400):
            known = list(needs)
            wanted = chance.sample(known, min(len(known), chance.choice((0, 1, 1, 2, 3, 10))))
            job_id = producer.push(names[chance.randrange(5)], number, depends_on=wanted, priority=chance.randrange(3))
            needs[job_id] = wanted
    for thread in threads:
        thread.join(60)
    assert not problems
    assert sorted(ended) == sorted(needs)


def test_released_jobs_take_the_places_that_priority_and_push_give_them(connect: Connect, queue: str) -> None:
    client, name = connect(), unique_name()
    first = client.push(name)
    low = client.push(queue, "low", depends_on=[first])
    high = client.push(queue, "high", depends_on=[first], priority=5)
    plain = client.push(queue, "plain")
    middle = client.push(queue, "middle", priority=2)
    finish(client, name, first)
    until_counts(client, queue, pending=4)
    jobs = client.ok("PULLB", queue=queue, count=9)["jobs"]
    assert [job["id"] for job in jobs] == [high, middle, low, plain]


def test_dependents_of_a_paused_queue_are_released_and_kept(connect: Connect, queue: str) -> None:
    client, name = connect(), unique_name()
    first = client.push(name)
    second = client.push(queue, depends_on=[first])
    client.ok("PAUSE", queue=queue)
    finish(client, name, first)
    until_counts(client, queue, pending=1)
    assert state(client, second) == "waiting"
    assert client.nothing_to_pull(queue)
    client.ok("RESUME", queue=queue)
    assert client.pull(queue)["id"] == second


# Ends of a dependency


def test_completed_long_ago_and_trimmed_counts_as_completed(daemon_with: StartDaemon, queue: str) -> None:
    daemon = daemon_with("--result-max", "10")
    with daemon.connect() as client:
        ids = client.ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(1000)])["ids"]
        client.ok("PULLB", queue=queue, count=1000)
        client.ok("ACKB", ids=ids)
        assert [state(client, job_id) for job_id in (ids[0], ids[-1])] == ["unknown", "completed"]
        last = client.push(queue, depends_on=ids)
        job = client.pull(queue, timeout=10_000)
        assert (job["id"], job["depends_on"]) == (last, ids)


def test_what_was_dropped_long_ago_is_told_from_what_was_completed(daemon_with: StartDaemon, queue: str) -> None:
    daemon, name = daemon_with("--result-max", "10"), unique_name()
    with daemon.connect() as client:
        ids = client.ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(600)])["ids"]
        client.ok("PULLB", queue=queue, count=600)
        for job_id in ids[::3]:
            client.ok("CANCEL", id=job_id)
        client.ok("ACKB", ids=ids)
        for number, job_id in enumerate(ids):
            dependent = client.push(name, depends_on=[job_id])
            until_state(client, dependent, "waiting" if number % 3 else "failed")


def test_ids_beyond_the_last_given_out_are_unknown(connect: Connect, queue: str) -> None:
    client = connect()
    job_id = client.push(queue)
    for wrong in (job_id + 1024 * 1000, 2**53 - 1, 2**53 - 1024 + (job_id & 1023)):
        answer = check_refusal(client.call("PUSH", queue=queue, data=1, depends_on=[job_id, wrong]), "not_found")
        assert answer["error"] == f"Job {wrong} not found"
    assert client.counts(queue)["pending"] == 1


def test_a_refused_push_leaves_nothing_that_waits(connect: Connect, queue: str) -> None:
    client = connect()
    first = client.push(queue)
    for _ in range(50):
        client.refusal("PUSH", queue=queue, data=1, depends_on=[first, 2**53 - 1], unique_key="k")
    finish(client, queue, first)
    assert client.nothing_to_pull(queue)
    assert client.ok("GETJOBS", queue=queue, state="waitingparent")["jobs"] == []
    client.push(queue, unique_key="k")


def test_a_dependency_that_expires_sends_its_dependent_to_the_dlq(connect: Connect, queue: str) -> None:
    client, name = connect(), unique_name()
    first = client.push(queue, ttl=60)
    second = client.push(name, depends_on=[first])
    until_counts(client, name, dlq=1)
    check_failed_for(shown(client, second), first)


def test_a_dependent_expires_while_it_waits_and_takes_its_own_with_it(connect: Connect, queue: str) -> None:
    client, name = connect(), unique_name()
    first = client.push(queue)
    second = client.push(queue, depends_on=[first], ttl=60, unique_key="k")
    third = client.push(name, depends_on=[second])
    until_counts(client, name, dlq=1)
    assert state(client, second) == "unknown"
    check_failed_for(shown(client, third), second)
    client.push(queue, "new", unique_key="k")
    finish(client, queue, first)
    assert client.pull(queue)["data"] == "new"


def test_a_ttl_of_a_dependent_that_was_pulled_no_longer_counts(connect: Connect, queue: str) -> None:
    client = connect()
    first = client.push(queue)
    second = client.push(queue, depends_on=[first], ttl=3_600_000)
    finish(client, queue, first)
    job = client.pull(queue, timeout=10_000)
    assert (job["id"], job["ttl"]) == (second, 3_600_000)


def test_a_dependency_in_the_dlq_by_any_reason_keeps_its_dependent_waiting(
    daemon_with: StartDaemon, queue: str
) -> None:
    daemon = daemon_with("--max-deliveries", "1")
    with daemon.connect() as client:
        timed_out = client.push(queue, max_attempts=1, timeout=20)
        client.pull(queue)
        until_counts(client, queue, dlq=1)
        lost = client.push(queue)
        with daemon.connect() as worker:
            worker.pull(queue)
        until_counts(client, queue, dlq=2)
        last = client.push(queue, depends_on=[timed_out, lost])
        assert {row["state"] for row in shown(client, last)["waits_for"]} == {"failed"}
        assert client.ok("RETRYDLQ", queue=queue)["count"] == 2
        for job in client.ok("PULLB", queue=queue, count=9, lease=60_000)["jobs"]:
            client.ok("ACK", id=job["id"])
        assert client.pull(queue, timeout=10_000)["id"] == last


def test_a_dependent_of_two_that_are_dropped_is_ready_after_its_retries(connect: Connect, queue: str) -> None:
    client, name = connect(), unique_name()
    first, second = client.push(queue), client.push(queue)
    last = client.push(name, depends_on=[first, second])
    client.ok("DRAIN", queue=queue)
    until_counts(client, name, dlq=1)
    assert shown(client, last)["last_error"] in {
        f"Dependency {job_id} was cancelled or dropped" for job_id in (first, second)
    }
    client.ok("RETRYDLQ", queue=name, id=last)
    if state(client, last) == "failed":  # the second one may count by itself
        client.ok("RETRYDLQ", queue=name, id=last)
    assert client.pull(name, timeout=10_000)["id"] == last


@pytest.mark.parametrize("cmd", ["DRAIN", "OBLITERATE"])
def test_dropping_a_queue_drops_its_dependents_of_each_other(connect: Connect, queue: str, cmd: str) -> None:
    client = connect()
    ids: list[int] = []
    for number in range(20):
        ids.append(client.push(queue, number, depends_on=ids[-3:]))
    assert client.ok(cmd, queue=queue)["count"] == 20
    assert {state(client, job_id) for job_id in ids} == {"unknown"}
    assert client.ok("DLQ", queue=queue)["jobs"] == []


def test_a_retried_dependent_that_waits_on_fails_again_with_the_next_dependency(connect: Connect, queue: str) -> None:
    client, name = connect(), unique_name()
    first, second = client.push(queue), client.push(queue)
    last = client.push(name, depends_on=[first, second])
    for dependency in (first, second):
        client.ok("CANCEL", id=dependency)
        until_counts(client, name, dlq=1)
        check_failed_for(shown(client, last), dependency)
        client.ok("RETRYDLQ", queue=name, id=last)
    assert client.pull(name)["id"] == last


def test_a_dependent_retried_holds_its_key_again(connect: Connect, queue: str) -> None:
    client, name = connect(), unique_name()
    first, second = client.push(queue), client.push(queue)
    last = client.push(name, depends_on=[first, second], unique_key="k")
    client.ok("CANCEL", id=first)
    until_counts(client, name, dlq=1)
    client.ok("RETRYDLQ", queue=name, id=last)
    assert state(client, last) == "waitingparent"
    check_refusal(client.call("PUSH", queue=name, data=1, unique_key="k"), "duplicate")


# Connections


def test_a_parked_puller_gets_the_dependent_as_soon_as_the_dependency_is_acknowledged(
    connect: Connect, queue: str
) -> None:
    worker, waiting, producer, name = connect(), connect(), connect(), unique_name()
    for number in range(100):
        first = producer.push(queue)
        second = producer.push(name, number, depends_on=[first])
        worker.pull(queue)
        waiting.send("PULL", queue=name)
        worker.ok("ACK", id=first)
        assert waiting.receive()["job"]["id"] == second
        waiting.ok("ACK", id=second)


def test_a_parked_puller_of_the_same_connection_gets_it_too(client: Client, queue: str) -> None:
    first = client.push(queue)
    second = client.push(queue, depends_on=[first])
    client.pull(queue)
    client.park(queue, "r")
    client.send("ACK", id=first)
    answers = [client.receive(), client.receive()]
    assert {"ok": True} in answers
    assert [answer["job"]["id"] for answer in answers if "job" in answer] == [second]


def test_the_dependent_waits_on_when_the_dependencys_worker_is_lost(connect: Connect, queue: str) -> None:
    worker, other, waiting, name = connect(), connect(), connect(), unique_name()
    first = other.push(queue)
    second = other.push(name, depends_on=[first])
    waiting.park(name, "r")
    worker.pull(queue)
    worker.reset()
    assert other.pull(queue, timeout=10_000)["deliveries"] == 2
    assert shown(other, second)["waits_for"] == [{"id": first, "state": "active"}]
    assert not waiting.has_answer(0.02)
    other.ok("ACK", id=first)
    assert waiting.receive()["job"]["id"] == second


def test_an_ack_and_the_push_of_a_dependent_at_the_same_moment_lose_nothing(connect: Connect, queue: str) -> None:
    worker, producer, name = connect(), connect(), unique_name()
    for number in range(300):
        first = worker.push(queue)
        worker.pull(queue)
        worker.send("ACK", id=first)
        producer.send("PUSH", queue=name, data=number, depends_on=[first])
        second = producer.receive()["id"]
        assert worker.receive() == {"ok": True}
        finish(worker, name, second)


def test_a_cancel_and_the_push_of_a_dependent_at_the_same_moment_end_in_the_dlq(connect: Connect, queue: str) -> None:
    other, producer, name = connect(), connect(), unique_name()
    for number in range(200):
        first = other.push(queue)
        other.send("CANCEL", id=first)
        second = producer.push(name, number, depends_on=[first])
        assert other.receive() == {"ok": True}
        until_state(other, second, "failed")
    until_counts(other, name, dlq=200, pending=0)


@pytest.mark.parametrize("delay", [30, 0])
def test_a_delay_that_is_over_does_not_hold_back_the_release(connect: Connect, queue: str, delay: int) -> None:
    worker, other, name = connect(), connect(), unique_name()
    first = other.push(queue, delay=2 * delay)
    second = other.push(name, depends_on=[first], delay=delay)
    finish(worker, queue, first)
    job = other.pull(name, timeout=10_000)
    assert job["id"] == second
    assert delay <= job["run_at"] - job["created_at"] <= delay + 1


# Counts


def test_waiting_jobs_are_counted_by_stats_and_in_no_other_count(start_daemon: StartDaemon) -> None:
    with start_daemon().connect() as client:

        def counted(**expected: int) -> None:
            none = {"queued": 0, "processing": 0, "delayed": 0, "dlq": 0, "completed": 0, "waiting": 0}
            eventually(lambda: client.ok("STATS"), lambda stats: stats == {"ok": True, **none, **expected})

        first, second = client.push("a"), client.push("b")
        ids = [client.push("c", n, depends_on=[first]) for n in range(3)]
        later = client.push("c", depends_on=[first], delay=3_600_000)
        both = client.push("d", depends_on=[first, second])
        counted(queued=2, waiting=5)
        assert client.counts("c") == {"pending": 0, "processing": 0, "delayed": 0, "dlq": 0, "completed": 0}
        client.ok("CANCEL", id=ids[0])
        counted(queued=2, waiting=4)
        finish(client, "a", first)
        counted(queued=3, waiting=1, completed=1, delayed=1)
        client.ok("CANCEL", id=second)
        counted(queued=2, completed=1, delayed=1, dlq=1)
        client.ok("RETRYDLQ", queue="d", id=both)
        counted(queued=3, completed=1, delayed=1)
        client.ok("CANCEL", id=later)
        client.push("e", depends_on=[both])
        client.ok("DRAIN", queue="e")
        counted(queued=3, completed=1)
