"""WAITJOB that waits: what ends the wait, for whom, and in which order. Fields and refusals are in the transcripts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mqfast._engine import Engine
from tests.tcp.client import Answer, Client, check_refusal, encode
from tests.tcp.fixtures import Connect, StartDaemon, unique_name
from tests.tcp.waiting import Stopwatch, until_counts

PONG = {"ok": True, "pong": True}


def park_wait(client: Client, job_id: int, req_id: str = "w", **fields: Any) -> None:
    """Send a WAITJOB with a reqId and return once the daemon has parked it."""
    client.send("WAITJOB", id=job_id, reqId=req_id, **fields)
    client.ping()


def completed(result: object, req_id: str | None = None) -> Answer:
    return {"ok": True, "result": result, "state": "completed"} | ({} if req_id is None else {"reqId": req_id})


def check_late(answer: Answer, job_id: int) -> None:
    """The wait was over before the job."""
    check_refusal(answer, "timeout")
    assert (answer["error"], answer["retryable"]) == (f"Timeout waiting for job {job_id}", True)


def check_gone(answer: Answer, job_id: int) -> None:
    check_refusal(answer, "not_found")
    assert (answer["error"], answer["retryable"]) == (f"Job {job_id} not found", False)


# What ends a wait


def test_an_ack_from_another_connection_ends_the_wait_with_its_result(connect: Connect, queue: str) -> None:
    waiter, worker = connect(), connect()
    job_id = worker.push(queue)
    park_wait(waiter, job_id)
    worker.pull(queue)
    waiter.ping()
    assert not waiter.has_answer(0.02)
    worker.ok("ACK", id=job_id, result={"sum": [1, None]})
    assert waiter.receive() == completed({"sum": [1, None]}, "w")


def test_an_ack_without_result_ends_the_wait_with_null(connect: Connect, queue: str) -> None:
    waiter, worker = connect(), connect()
    job_id = worker.push(queue)
    waiter.send("WAITJOB", id=job_id)
    worker.pull(queue)
    worker.ok("ACK", id=job_id)
    assert waiter.receive() == completed(None)


def test_the_result_comes_as_it_was_written(connect: Connect, queue: str) -> None:
    waiter, worker = connect(), connect()
    job_id = worker.push(queue)
    park_wait(waiter, job_id)
    worker.pull(queue)
    text = b'{ "n" : 1.00e+2, "big":123456789012345678901234567890, "s":"\\u00e9\\/" }'
    worker.call_line(b'{"cmd":"ACK","id":%d,"result":%s}' % (job_id, text))
    assert text in waiter.receive_line()


def test_every_ack_of_a_batch_ends_its_waits(connect: Connect, queue: str) -> None:
    waiter, worker = connect(), connect()
    ids = [worker.push(queue, n) for n in range(50)]
    for n, job_id in enumerate(ids):
        park_wait(waiter, job_id, str(n))
    worker.ok("PULLB", queue=queue, count=50)
    worker.ok("ACKB", ids=ids, results=[n * n for n in range(50)])
    answers = [waiter.receive() for _ in ids]
    assert {answer["reqId"]: answer["result"] for answer in answers} == {str(n): n * n for n in range(50)}


@pytest.mark.parametrize("fields", [{"unrecoverable": True}, {}], ids=["unrecoverable", "attempts used up"])
def test_a_failure_into_the_dlq_ends_the_wait_with_its_error(
    connect: Connect, queue: str, fields: dict[str, object]
) -> None:
    waiter, worker = connect(), connect()
    job_id = worker.push(queue, max_attempts=1)
    park_wait(waiter, job_id)
    worker.pull(queue)
    worker.ok("FAIL", id=job_id, error='no "way"\n é', **fields)
    answer = check_refusal(waiter.receive(), "failed")
    assert (answer["error"], answer["retryable"], answer["reqId"]) == ('no "way"\n é', False, "w")


def test_a_failure_without_a_text_ends_the_wait_as_job_failed(connect: Connect, queue: str) -> None:
    waiter, worker = connect(), connect()
    job_id = worker.push(queue)
    park_wait(waiter, job_id)
    worker.pull(queue)
    worker.ok("FAIL", id=job_id, unrecoverable=True)
    assert check_refusal(waiter.receive(), "failed")["error"] == "Job failed"


def test_failures_that_are_retried_do_not_end_the_wait(connect: Connect, queue: str) -> None:
    waiter, worker = connect(), connect()
    job_id = worker.push(queue, max_attempts=4)
    park_wait(waiter, job_id)
    for _ in range(3):
        worker.pull(queue)
        worker.ok("FAIL", id=job_id, error="again")
    worker.pull(queue)
    worker.ok("RELEASE", id=job_id)
    waiter.ping()
    assert not waiter.has_answer(0.02)
    worker.pull(queue)
    worker.ok("ACK", id=job_id, result="at last")
    assert waiter.receive() == completed("at last", "w")


def test_a_timed_out_job_in_the_dlq_ends_the_wait(connect: Connect, queue: str) -> None:
    waiter, worker = connect(), connect()
    job_id = worker.push(queue, max_attempts=1, timeout=30)
    park_wait(waiter, job_id)
    worker.pull(queue)
    answer = check_refusal(waiter.receive(), "failed")
    (dead,) = worker.ok("DLQ", queue=queue)["jobs"]
    assert dead["reason"] == "timeout"
    assert answer["error"] == (dead["last_error"] or "Job failed")


def test_a_job_lost_into_the_dlq_ends_the_wait(daemon_with: StartDaemon, queue: str) -> None:
    daemon = daemon_with("--max-deliveries", "2")
    with daemon.connect() as waiter:
        job_id = waiter.push(queue)
        park_wait(waiter, job_id)
        for _ in range(2):
            with daemon.connect() as worker:
                worker.pull(queue, timeout=10_000)
        answer = check_refusal(waiter.receive(), "failed")
        (dead,) = waiter.ok("DLQ", queue=queue)["jobs"]
        assert (dead["id"], dead["reason"]) == (job_id, "worker_lost")
        assert answer["error"] == (dead["last_error"] or "Job failed")


@pytest.mark.parametrize("cmd", ["CANCEL", "DRAIN", "OBLITERATE"])
@pytest.mark.parametrize("fields", [{}, {"delay": 3_600_000}], ids=["waiting", "delayed"])
def test_a_job_dropped_ends_the_wait_as_not_found(
    connect: Connect, queue: str, cmd: str, fields: dict[str, object]
) -> None:
    waiter, other = connect(), connect()
    job_id = other.push(queue, **fields)
    park_wait(waiter, job_id)
    other.ok(cmd, **({"id": job_id} if cmd == "CANCEL" else {"queue": queue}))
    answer = waiter.receive()
    check_gone(answer, job_id)
    assert answer["reqId"] == "w"


@pytest.mark.parametrize("cmd", ["CANCEL", "OBLITERATE"])
def test_a_held_job_dropped_ends_the_wait_as_not_found(connect: Connect, queue: str, cmd: str) -> None:
    waiter, worker = connect(), connect()
    job_id = worker.push(queue)
    worker.pull(queue)
    park_wait(waiter, job_id)
    worker.ok(cmd, **({"id": job_id} if cmd == "CANCEL" else {"queue": queue}))
    check_gone(waiter.receive(), job_id)


def test_a_job_that_expires_ends_the_wait_as_not_found(connect: Connect, queue: str) -> None:
    waiter, other = connect(), connect()
    job_id = other.push(queue, ttl=100)
    waiter.send("WAITJOB", id=job_id)
    check_gone(waiter.receive(), job_id)


def test_a_dependency_that_is_dropped_ends_the_wait_for_its_dependent(connect: Connect, queue: str) -> None:
    waiter, other = connect(), connect()
    first = other.push(queue)
    second = other.push(queue, depends_on=[first])
    park_wait(waiter, second)
    other.ok("CANCEL", id=first)
    answer = check_refusal(waiter.receive(), "failed")
    assert answer["error"] == f"Dependency {first} was cancelled or dropped"


def test_a_dependent_is_waited_for_through_its_release(connect: Connect, queue: str) -> None:
    waiter, worker = connect(), connect()
    first = worker.push(queue)
    second = worker.push(queue, depends_on=[first])
    park_wait(waiter, second)
    for job_id in (first, second):
        assert worker.pull(queue, timeout=10_000)["id"] == job_id
        worker.ok("ACK", id=job_id, result=job_id)
    assert waiter.receive() == completed(second, "w")


def test_a_retried_dead_job_is_waited_for(connect: Connect, queue: str) -> None:
    waiter, worker = connect(), connect()
    job_id = worker.push(queue)
    worker.pull(queue)
    worker.ok("FAIL", id=job_id, unrecoverable=True)
    worker.ok("RETRYDLQ", queue=queue, id=job_id)
    park_wait(waiter, job_id)
    worker.pull(queue)
    worker.ok("ACK", id=job_id, result=1)
    assert waiter.receive() == completed(1, "w")


def test_a_completed_job_that_is_not_kept_ends_the_wait_at_once(daemon_with: StartDaemon, queue: str) -> None:
    daemon = daemon_with("--result-max", "0")
    with daemon.connect() as waiter, daemon.connect() as worker:
        job_id = worker.push(queue)
        park_wait(waiter, job_id)
        worker.pull(queue)
        worker.ok("ACK", id=job_id, result=1)
        answer = waiter.receive()
        if answer != completed(1, "w"):  # what counts first, completed or trimmed, the contract leaves open
            check_gone(answer, job_id)


# The end of the time


def test_a_wait_ends_after_its_timeout_and_not_before(client: Client, queue: str) -> None:
    job_id = client.push(queue)
    for timeout in (1, 50, 120):
        watch = Stopwatch()
        check_late(client.call("WAITJOB", id=job_id, timeout=timeout), job_id)
        assert watch.ms >= timeout - 1


def test_waits_end_in_the_order_of_their_timeouts(client: Client, queue: str) -> None:
    job_id = client.push(queue)
    timeouts = (150, 10, 90, 50, 130)
    client.send_bytes(b"".join(encode("WAITJOB", id=job_id, timeout=ms, reqId=str(ms)) for ms in timeouts))
    answers = [client.receive() for _ in timeouts]
    assert [answer["reqId"] for answer in answers] == ["10", "50", "90", "130", "150"]
    for answer in answers:
        check_late(answer, job_id)


@pytest.mark.parametrize("fields", [{}, {"timeout": None}, {"timeout": 2**64 - 1}, {"timeout": 2**53}])
def test_without_timeout_or_with_a_huge_one_the_job_is_waited_for(
    connect: Connect, queue: str, fields: dict[str, Any]
) -> None:
    waiter, worker = connect(), connect()
    job_id = worker.push(queue)
    park_wait(waiter, job_id, **fields)
    assert not waiter.has_answer(0.05)
    worker.pull(queue)
    worker.ok("ACK", id=job_id)
    assert waiter.receive() == completed(None, "w")


def test_a_wait_that_is_over_leaves_the_job_and_later_waits_alone(connect: Connect, queue: str) -> None:
    waiter, worker = connect(), connect()
    job_id = worker.push(queue)
    check_late(waiter.call("WAITJOB", id=job_id, timeout=5), job_id)
    park_wait(waiter, job_id)
    assert worker.pull(queue)["deliveries"] == 1
    worker.ok("ACK", id=job_id, result=7)
    assert waiter.receive() == completed(7, "w")
    waiter.ping()
    assert not waiter.has_answer(0.02)


def test_an_ack_and_the_end_of_the_wait_at_the_same_moment_give_one_answer(connect: Connect, queue: str) -> None:
    waiter, worker = connect(), connect()
    for number in range(150):
        job_id = worker.push(queue)
        worker.pull(queue)
        waiter.send("WAITJOB", id=job_id, timeout=1)
        for _ in range(number % 15):
            worker.ping()  # lets the ack meet the end of the wait sooner or later; either may come first
        worker.ok("ACK", id=job_id, result=number)
        answer = waiter.receive()
        if answer != completed(number):
            check_late(answer, job_id)
        waiter.ping()


def test_no_end_of_a_job_is_missed_by_a_wait_sent_meanwhile(connect: Connect, queue: str) -> None:
    waiter, worker = connect(), connect()
    for number in range(300):
        job_id = worker.push(queue)
        worker.pull(queue)
        waiter.send("WAITJOB", id=job_id)
        worker.send("ACK", id=job_id, result=number)
        assert waiter.receive() == completed(number)
        assert worker.receive() == {"ok": True}


# Answers of one connection


def test_without_req_id_later_answers_are_held_back(connect: Connect, queue: str) -> None:
    waiter, worker = connect(), connect()
    job_id = worker.push(queue)
    waiter.send("WAITJOB", id=job_id)
    waiter.send("PING")
    worker.pull(queue)
    assert not waiter.has_answer(0.05)
    worker.ok("ACK", id=job_id, result=1)
    assert [waiter.receive(), waiter.receive()] == [completed(1), PONG]


def test_with_req_id_no_later_answer_is_held_back(connect: Connect, queue: str) -> None:
    waiter, worker = connect(), connect()
    job_id = worker.push(queue)
    waiter.send("WAITJOB", id=job_id, reqId="w")
    for _ in range(100):
        waiter.ping()
    worker.pull(queue)
    worker.ok("ACK", id=job_id)
    assert waiter.receive() == completed(None, "w")


def test_waits_without_req_id_are_answered_in_their_order(connect: Connect, queue: str) -> None:
    waiter, worker = connect(), connect()
    ids = [worker.push(queue, n) for n in range(30)]
    worker.ok("PULLB", queue=queue, count=30)
    waiter.send_bytes(b"".join(encode("WAITJOB", id=job_id) for job_id in ids) + encode("PING"))
    for job_id in reversed(ids):
        worker.ok("ACK", id=job_id, result=job_id)
    assert [waiter.receive() for _ in ids] == [completed(job_id) for job_id in ids]
    assert waiter.receive() == PONG


def test_waits_with_req_id_are_answered_as_their_jobs_end(connect: Connect, queue: str) -> None:
    waiter, worker = connect(), connect()
    ids = [worker.push(queue, n) for n in range(100)]
    waiter.send_bytes(b"".join(encode("WAITJOB", id=job_id, reqId=str(job_id)) for job_id in ids))
    waiter.ping()
    worker.ok("PULLB", queue=queue, count=100)
    for job_id in reversed(ids):
        worker.ok("ACK", id=job_id, result=job_id)
        assert waiter.receive() == completed(job_id, str(job_id))


def test_a_wait_and_a_pull_of_one_connection_wait_side_by_side(connect: Connect, queue: str) -> None:
    client, other = connect(), connect()
    elsewhere = unique_name()
    job_id = other.push(elsewhere)
    client.park(queue, "pull")
    park_wait(client, job_id, "wait")
    other.pull(elsewhere)
    other.ok("ACK", id=job_id)
    assert client.receive() == completed(None, "wait")
    other.push(queue, "late")
    assert client.receive()["job"]["data"] == "late"


def test_a_connection_may_wait_for_the_job_that_it_completes(client: Client, queue: str) -> None:
    job_id = client.push(queue)
    client.pull(queue)
    park_wait(client, job_id)
    client.send("ACK", id=job_id, result=1)
    answers = [client.receive(), client.receive()]
    assert {"ok": True} in answers
    assert completed(1, "w") in answers


def test_waits_and_other_commands_may_be_sent_ahead_in_one_write(connect: Connect, queue: str) -> None:
    client, worker = connect(), connect()
    ids = [client.push(queue, n) for n in range(200)]
    sender = client.send_in_background(b"".join(encode("WAITJOB", id=job_id) + encode("PING") for job_id in ids))
    jobs = worker.ok("PULLB", queue=queue, count=200)["jobs"]
    worker.ok("ACKB", ids=[job["id"] for job in jobs], results=[job["data"] for job in jobs])
    for number in range(200):
        assert client.receive() == completed(number)
        assert client.receive() == PONG
    sender.join()


# Many waits


def test_all_who_wait_for_a_job_are_answered(connect: Connect, queue: str) -> None:
    waiters, worker = [connect() for _ in range(20)], connect()
    job_id = worker.push(queue)
    for waiter in waiters:
        waiter.send_bytes(b"".join(encode("WAITJOB", id=job_id, reqId=str(n)) for n in range(50)))
        waiter.ping()
    worker.pull(queue)
    worker.ok("ACK", id=job_id, result="for all")
    for waiter in waiters:
        answers = [waiter.receive() for _ in range(50)]
        assert {answer["reqId"] for answer in answers} == {str(n) for n in range(50)}
        assert all(answer["result"] == "for all" for answer in answers)


def test_five_thousand_waits_of_one_connection_for_one_job(connect: Connect, queue: str) -> None:
    waiter, worker = connect(), connect()
    job_id = worker.push(queue)
    waiter.send_bytes(b"".join(encode("WAITJOB", id=job_id, reqId=str(n)) for n in range(5000)))
    waiter.ping()
    worker.ok("CANCEL", id=job_id)
    answers = [waiter.receive() for _ in range(5000)]
    assert {answer["reqId"] for answer in answers} == {str(n) for n in range(5000)}
    for answer in answers:
        check_gone(answer, job_id)


def test_waits_for_a_job_that_some_give_up_reach_the_others(connect: Connect, queue: str) -> None:
    worker = connect()
    job_id = worker.push(queue)
    waiters = [connect() for _ in range(12)]
    for waiter in waiters:
        park_wait(waiter, job_id)
    for number, waiter in enumerate(waiters):
        if number % 3 == 0:
            waiter.close()
        elif number % 3 == 1:
            waiter.reset()
    worker.pull(queue)
    worker.ok("ACK", id=job_id, result=1)
    for waiter in waiters[2::3]:
        assert waiter.receive() == completed(1, "w")


# The end of a connection, and of the daemon


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("req_id", [{}, {"reqId": "w"}], ids=["without reqId", "with reqId"])
def test_a_peer_may_go_while_it_waits(connect: Connect, queue: str, end: str, req_id: dict[str, str]) -> None:
    worker = connect()
    for _ in range(20):
        job_id = worker.push(queue)
        waiter = connect()
        waiter.send_bytes(encode("WAITJOB", id=job_id, **req_id) * 5)
        worker.ping()
        getattr(waiter, end)()
        worker.pull(queue)
        worker.ok("ACK", id=job_id, result=1)
        assert worker.call("WAITJOB", id=job_id) == completed(1)
    until_counts(worker, queue, completed=20, processing=0, pending=0)


def test_a_half_close_ends_the_waits_as_their_time_would(client: Client, queue: str) -> None:
    job_id = client.push(queue)
    park_wait(client, job_id)
    client.send("WAITJOB", id=job_id)
    client.send("PING")
    client.end_input()
    answers = client.receive_to_end()
    with_id = [answer for answer in answers if "reqId" in answer]
    without = [answer for answer in answers if "reqId" not in answer]
    assert (len(with_id), len(without)) == (1, 2)
    check_late(with_id[0], job_id)
    check_late(without[0], job_id)
    assert without[1] == PONG


def test_a_held_job_goes_back_when_its_connection_ends_and_the_wait_goes_on(connect: Connect, queue: str) -> None:
    waiter, worker, other = connect(), connect(), connect()
    job_id = other.push(queue)
    park_wait(waiter, job_id)
    worker.pull(queue)
    worker.reset()
    assert other.pull(queue, timeout=10_000)["deliveries"] == 2
    other.ok("ACK", id=job_id, result=2)
    assert waiter.receive() == completed(2, "w")


def test_stopping_answers_waits_and_ends_the_connection(start_daemon: StartDaemon, queue: str) -> None:
    daemon = start_daemon()
    with daemon.connect() as with_id, daemon.connect() as without:
        job_id = with_id.push(queue)
        park_wait(with_id, job_id)
        lines = encode("PUSH", queue=queue, data=2) + encode("WAITJOB", id=job_id) + encode("PING", reqId="behind")
        without.send_bytes(lines)
        until_counts(with_id, queue, pending=2)  # the push was read, and what came with it
        daemon.send_stop()
        (answer,) = with_id.receive_to_end()
        assert check_refusal(answer, "shutting_down")["reqId"] == "w"
        assert answer["retryable"] is True
        pushed, first, *rest = without.receive_to_end()
        assert pushed["ok"] is True
        check_refusal(first, "shutting_down")
        assert rest in ([], [PONG | {"reqId": "behind"}]) or check_refusal(rest[0], "shutting_down")


def test_called_from_within_the_process_it_never_waits() -> None:
    engine = Engine()

    def run(cmd: str, **fields: object) -> Answer:
        answer: Answer = json.loads(engine.execute(json.dumps({"cmd": cmd, **fields}).encode()))
        engine.check()
        return answer

    job_id = run("PUSH", queue="q", data=1)["id"]
    for fields in ({}, {"timeout": 60_000}, {"timeout": 0}):
        check_late(run("WAITJOB", id=job_id, **fields), job_id)
    run("PULL", queue="q")
    run("ACK", id=job_id, result=5)
    assert run("WAITJOB", id=job_id) == completed(5)
    engine.close()
