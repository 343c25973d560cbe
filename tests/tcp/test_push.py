"""PUSH beyond single requests: limits in bytes, times, ids, many connections. The rest is in the transcripts."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from tests.tcp.client import Client, check_refusal
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import Connect, unique_name
from tests.tcp.waiting import now_ms

MAX_JOB_BYTES = 1 << 20
MAX_SAFE = 2**53 - 1


def push_text(client: Client, queue: str, text: str) -> dict[str, object]:
    sender = client.send_in_background(f'{{"cmd":"PUSH","queue":"{queue}","data":{text}}}\n'.encode())
    answer = client.receive()
    sender.join()
    return answer


def test_data_of_1_mib_is_accepted_and_one_byte_more_is_refused(client: Client, queue: str) -> None:
    text = json.dumps("x" * (MAX_JOB_BYTES - 2))
    assert len(text) == MAX_JOB_BYTES
    assert push_text(client, queue, text)["ok"] is True
    check_refusal(push_text(client, queue, text[:-1] + 'y"'), "payload_too_large")
    assert client.counts(queue)["pending"] == 1
    client.send("PULL", queue=queue)
    assert f'"data":{text}'.encode() in client.receive_line()


def test_data_is_measured_as_received_white_space_within_it_included(client: Client, queue: str) -> None:
    room = MAX_JOB_BYTES - 2
    assert push_text(client, queue, "[" + " " * room + "]")["ok"] is True
    check_refusal(push_text(client, queue, "[" + " " * (room + 1) + "]"), "payload_too_large")
    assert push_text(client, queue, " " * 2000 + "[" + " " * room + "]" + " " * 2000)["ok"] is True


def test_escapes_count_as_they_are_written(client: Client, queue: str) -> None:
    check_refusal(push_text(client, queue, '"' + "\\u0041" * (MAX_JOB_BYTES // 6 + 1) + '"'), "payload_too_large")


def test_times_are_milliseconds_since_the_epoch(client: Client, queue: str) -> None:
    before = now_ms()
    client.push(queue)
    between = now_ms()
    job = client.pull(queue)
    after = now_ms()
    assert before - 1 <= job["created_at"] <= between + 1
    assert job["run_at"] == job["created_at"]
    assert job["created_at"] <= job["started_at"] <= after + 1
    assert job["started_at"] >= between - 1


def test_ids_grow_within_a_queue_and_are_never_used_again(client: Client, queue: str) -> None:
    ids = []
    for _ in range(50):
        ids.append(client.push(queue))
        client.ok("CANCEL", id=ids[-1])
        ids.append(client.push(queue))
        client.ok("ACK", id=client.pull(queue)["id"])
    assert ids == sorted(set(ids))
    assert 1 <= ids[0] <= ids[-1] <= MAX_SAFE


def test_ids_differ_between_queues(client: Client) -> None:
    ids = [client.push(unique_name()) for _ in range(1500)]
    assert len(set(ids)) == len(ids)


def test_many_connections_push_at_once_and_nothing_is_lost(daemon: Daemon, queue: str) -> None:
    def push_some(worker: int) -> list[int]:
        with daemon.connect("unix" if worker % 2 else "tcp") as client:
            return [client.push(queue, [worker, n]) for n in range(200)]

    with ThreadPoolExecutor(16) as pool:
        ids = [job_id for part in pool.map(push_some, range(16)) for job_id in part]
    assert len(set(ids)) == 16 * 200
    with daemon.connect() as client:
        assert client.counts(queue)["pending"] == 16 * 200
        jobs = client.ok("PULLB", queue=queue, count=10_000)["jobs"]
        assert {job["id"] for job in jobs} == set(ids)
        for worker in range(16):
            own = [job["data"][1] for job in jobs if job["data"][0] == worker]
            assert own == list(range(200)), "jobs of one connection keep their order"


def test_jobs_outlive_the_connection_that_pushed_them(connect: Connect, queue: str) -> None:
    producer = connect()
    job_id = producer.push(queue, "kept")
    producer.close()
    job = connect().pull(queue)
    assert (job["id"], job["data"], job["deliveries"]) == (job_id, "kept", 1)


def test_a_push_is_carried_out_even_if_its_client_resets_after_the_answer(connect: Connect, queue: str) -> None:
    producer = connect()
    producer.push(queue, 1)
    producer.reset()
    assert connect().pull(queue)["data"] == 1


def test_the_daemon_serves_ipv4_ipv6_and_the_unix_socket_as_one(daemon: Daemon, queue: str) -> None:
    transports = ["tcp", "unix"] + (["tcp6"] if daemon.tcp6 else [])
    for transport in transports:
        with daemon.connect(transport) as client:
            client.push(queue, transport)
    with daemon.connect("unix") as client:
        jobs = client.ok("PULLB", queue=queue, count=10)["jobs"]
        assert [job["data"] for job in jobs] == transports


def test_queue_names_are_measured_in_decoded_bytes(client: Client) -> None:
    name = unique_name()
    name += "é" * ((255 - len(name)) // 2)
    name += "x" * (255 - len(name.encode()))
    escaped = json.dumps(name)  # far over 255 bytes as written
    assert len(name.encode()) == 255
    assert client.call_line(f'{{"cmd":"PUSH","queue":{escaped},"data":1}}')["ok"] is True
    assert client.pull(name)["queue"] == name
    too_long = json.dumps(name + "y")
    answer = client.call_line(f'{{"cmd":"PUSH","queue":{too_long},"data":1}}')
    assert check_refusal(answer)["code"] in {"invalid", "payload_too_large"}
