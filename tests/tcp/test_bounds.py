"""What one client can make the daemon hold is bounded, and the next honest command works."""

import json

import pytest

from mqfast._engine import Engine
from tests.tcp.client import Client
from tests.tcp.fixtures import Connect, StartDaemon

MIB = 1 << 20


def test_a_connection_may_have_ten_thousand_pulls_waiting_and_not_one_more(connect: Connect, queue: str) -> None:
    worker, other = connect(), connect()
    lines = [json.dumps({"cmd": "PULL", "queue": queue, "reqId": str(n)}) for n in range(10_001)]
    worker.send_bytes("\n".join(lines).encode() + b"\n")
    refusal = worker.receive()
    assert refusal["reqId"] == "10000"
    assert (refusal["code"], refusal["retryable"]) == ("unavailable", True)
    other.ok("PUSH", queue=queue, data="first")
    assert worker.receive()["job"]["data"] == "first"


def test_answers_of_waiting_pulls_that_nobody_reads_are_bounded_and_their_jobs_go_back(
    start_daemon: StartDaemon,
) -> None:
    daemon = start_daemon("--max-output", "1MiB")
    with daemon.connect() as deaf, daemon.connect() as producer:
        for n in range(200):
            deaf.send("PULL", queue="q", reqId=str(n))
        deaf.send("PING")
        assert deaf.receive()["pong"]
        before = daemon.resident_bytes()
        for n in range(200):
            producer.ok("PUSH", queue="q", data=str(n) + "x" * 1_000_000)
        # of 200 MB the kernel's buffers (some MiB) and MAX_OUTPUT hold a little; the rest went back to the queue
        pending = producer.ok("LISTQUEUES")["queues"][0]["pending"]
        assert pending > 150
        assert daemon.resident_bytes() - before < 300 * MIB
        answers = [deaf.receive() for _ in range(200)]
    given = [answer["job"]["data"] for answer in answers if answer["ok"]]
    assert len(given) == 200 - pending
    assert {answer["code"] for answer in answers if not answer["ok"]} == {"unavailable"}


def test_a_batch_that_is_far_too_large_is_refused_and_leaves_no_memory_behind(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with daemon.connect() as client:
        client.ok("PING")
        before = daemon.resident_bytes()
        for _ in range(3):
            client.send_line(b'{"cmd":"PUSHB","queue":"q","jobs":[' + b"1," * 8_000_000 + b"1]}")
            assert client.receive()["code"] == "payload_too_large"
        client.send_line(b'{"cmd":"PUSHB","queue":"q","jobs":[{' + b'"data":1,' * 1_000_000 + b'"data":2}]}')
        assert len(client.receive()["ids"]) == 1
        assert daemon.resident_bytes() - before < 64 * MIB
        assert client.ok("PULL", queue="q")["job"]["data"] == 2


def test_many_waiting_pulls_served_at_once_take_little_memory(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with daemon.connect() as worker, daemon.connect() as producer:
        for n in range(9_000):
            worker.send("PULL", queue="q", reqId=str(n))
        worker.send("PING")
        assert worker.receive()["pong"]
        before = daemon.resident_bytes()
        producer.ok("PUSHB", queue="q", jobs=[{"data": n} for n in range(9_000)])
        assert {worker.receive()["job"]["data"] for _ in range(9_000)} == set(range(9_000))
        assert daemon.resident_bytes() - before < 40 * MIB


def test_a_queue_that_only_a_waiting_pull_names_is_not_known(client: Client, connect: Connect, queue: str) -> None:
    worker = connect()
    worker.send("PULL", queue=queue, reqId="w")
    worker.send("PING")
    assert worker.receive()["pong"]
    assert queue not in {row["name"] for row in client.ok("LISTQUEUES")["queues"]}


@pytest.fixture
def small() -> Engine:
    return Engine(max_memory=MIB)


def run(engine: Engine, cmd: str, **fields: object) -> dict[str, object]:
    answer: dict[str, object] = json.loads(engine.execute(json.dumps({"cmd": cmd, **fields}).encode()))
    engine.check()
    return answer


def test_errors_progress_and_results_count_as_memory(small: Engine) -> None:
    codes = []
    for n in range(12):
        answer = run(small, "PUSH", queue="q", data=n)
        codes.append(answer.get("code"))
        if answer["ok"]:
            run(small, "PULL", queue="q", timeout=0)
            run(small, "FAIL", id=answer["id"], error="x" * 200_000, unrecoverable=True)
    assert codes[:3] == [None] * 3
    assert codes[-1] == "out_of_memory"
    run(small, "PURGEDLQ", queue="q")
    assert run(small, "PUSH", queue="q", data=1)["ok"]


def test_a_batch_into_full_memory_is_refused_job_by_job(small: Engine) -> None:
    answer = run(small, "PUSHB", queue="q", jobs=[{"data": "x" * 100_000}] * 20)
    ids, errors = answer["ids"], answer["errors"]
    assert isinstance(ids, list)
    assert isinstance(errors, list)
    accepted = [id for id in ids if id]
    assert 8 <= len(accepted) <= 11
    assert ids[len(accepted) :] == [0] * (20 - len(accepted))
    assert {row["code"] for row in errors} == {"out_of_memory"}
    full = run(small, "PUSHB", queue="q", jobs=[{"data": 1}, {"data": 2}])
    assert full["ids"] == [0, 0]


def test_new_names_are_refused_when_memory_is_full_and_known_queues_still_pause(small: Engine) -> None:
    run(small, "PUSHB", queue="q", jobs=[{"data": "x" * 100_000}] * 20)
    assert run(small, "PAUSE", queue="new")["code"] == "out_of_memory"
    assert run(small, "PAUSE", queue="q")["ok"]
    assert run(small, "RESUME", queue="q")["ok"]
