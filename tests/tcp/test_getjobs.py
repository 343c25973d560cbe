"""GETJOBS: walks by cursor over many jobs while others come and go. Fields and refusals are in the transcripts."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.tcp.client import Answer, Client, check_refusal, encode
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import Connect, StartDaemon, unique_name
from tests.tcp.waiting import until_counts

HOUR_MS = 3_600_000
STATES = ("waiting", "delayed", "waitingparent", "active", "completed", "failed")


def pages(
    client: Client, queue: str, state: str, cursor: str | None = None, **fields: object
) -> Iterator[list[Answer]]:
    """Every page to the null cursor: none longer than asked for, ids in order over all of them."""
    limit = fields.get("limit", 100)
    assert isinstance(limit, int)
    last, step = None, -1 if fields.get("dir") == "desc" else 1
    while True:
        answer = client.ok("GETJOBS", queue=queue, state=state, cursor=cursor, **fields)
        assert set(answer) == {"ok", "jobs", "cursor"}
        assert len(answer["jobs"]) <= limit
        for job in answer["jobs"]:
            assert last is None or (job["id"] - last) * step > 0, "not in order of ids"
            last = job["id"]
        yield answer["jobs"]
        cursor = answer["cursor"]
        if cursor is None:
            return
        assert isinstance(cursor, str)


def walk(client: Client, queue: str, state: str, cursor: str | None = None, **fields: object) -> list[Answer]:
    return [job for page in pages(client, queue, state, cursor, **fields) for job in page]


def ids_of(jobs: list[Answer]) -> list[int]:
    return [job["id"] for job in jobs]


def fill(client: Client, queue: str, state: str, count: int) -> list[int]:
    """Bring `count` jobs of the queue, which has no others, into the state; their ids."""
    options: dict[str, object] = {}
    if state == "delayed":
        options = {"delay": HOUR_MS}
    elif state == "waitingparent":
        options = {"depends_on": [client.push(unique_name("parent"), delay=HOUR_MS)]}
    ids: list[int] = client.ok("PUSHB", queue=queue, jobs=[{"data": n, **options} for n in range(count)])["ids"]
    if state in ("active", "completed", "failed"):
        assert len(client.ok("PULLB", queue=queue, count=count)["jobs"]) == count
    if state == "completed":
        client.ok("ACKB", ids=ids)
    elif state == "failed":
        client.send_bytes(b"".join(encode("FAIL", id=job_id, unrecoverable=True) for job_id in ids))
        assert all(client.receive() == {"ok": True} for _ in ids)
    return ids


# Walks


@pytest.mark.parametrize("state", STATES)
def test_a_walk_lists_every_job_of_the_state_once_in_either_direction(connect: Connect, queue: str, state: str) -> None:
    client = connect()
    ids = fill(client, queue, state, 250)
    for limit in (1, 7, 250, 1000):
        assert ids_of(walk(client, queue, state, limit=limit)) == ids
        assert ids_of(walk(client, queue, state, limit=limit, dir="desc")) == ids[::-1]
    assert ids_of(walk(client, queue, state)) == ids
    for other in STATES:
        if other != state:
            assert walk(client, queue, other) == []


def test_a_page_has_at_most_a_thousand_jobs(connect: Connect, queue: str) -> None:
    client = connect()
    ids = fill(client, queue, "waiting", 2500)
    assert max(len(page) for page in pages(client, queue, "waiting", limit=1000)) <= 1000
    for limit in (1001, 100_000, 2**64 - 1):
        assert len(client.ok("GETJOBS", queue=queue, state="waiting", limit=limit)["jobs"]) <= 1000
        assert ids_of(walk(client, queue, "waiting", limit=limit)) == ids


def test_a_page_without_limit_has_at_most_a_hundred_jobs(connect: Connect, queue: str) -> None:
    client = connect()
    ids = fill(client, queue, "waiting", 250)
    found = [len(page) for page in pages(client, queue, "waiting")]
    assert max(found) <= 100
    assert sum(found) == len(ids)


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("state", STATES)
def test_what_stays_in_a_state_is_listed_exactly_once_while_others_come_and_go(
    daemon: Daemon, queue: str, state: str, direction: str
) -> None:
    with daemon.connect() as client, daemon.connect() as holder:
        ids = fill(holder, queue, state, 300)
        stay, go = ids[::2], ids[1::2]
        known = set(stay)
        with others_come_and_go(daemon, queue, state, go):
            for _ in range(4):
                found = ids_of(walk(client, queue, state, limit=13, dir=direction))
                staying = [job_id for job_id in found if job_id in known]
                assert staying == (stay if direction == "asc" else stay[::-1])


@contextmanager
def others_come_and_go(daemon: Daemon, queue: str, state: str, go: list[int]) -> Iterator[None]:
    """Until the block ends, a thread takes the oldest of these out of the state and brings a new job into it."""
    done, problems = threading.Event(), list[str]()

    def come_and_go() -> None:
        try:
            with daemon.connect() as client:
                inside = deque(go)
                while not done.is_set():
                    leave(client, queue, state, inside.popleft())
                    inside.append(enter(client, queue, state))
        except Exception as problem:  # told to the test's thread, whatever it is
            problems.append(f"{type(problem).__name__}: {problem}")

    thread = threading.Thread(target=come_and_go, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(30)
    assert not problems


def enter(client: Client, queue: str, state: str) -> int:
    """A new job in the state. No other job of the queue may be waiting, if it has to be pulled."""
    if state == "waitingparent":
        return client.push(queue, depends_on=[client.push(f"{queue}-parents", delay=HOUR_MS)])
    job_id = client.push(queue, delay=HOUR_MS if state == "delayed" else 0)
    if state in ("active", "completed", "failed"):
        assert client.pull(queue)["id"] == job_id
    if state == "completed":
        client.ok("ACK", id=job_id)
    elif state == "failed":
        client.ok("FAIL", id=job_id, unrecoverable=True)
    return job_id


def leave(client: Client, queue: str, state: str, job_id: int) -> None:
    if state == "completed":
        return  # nothing but time ends that
    if state == "failed":
        client.ok("RETRYDLQ", queue=queue, id=job_id)
    client.ok("CANCEL", id=job_id)


def test_jobs_that_move_between_states_are_listed_where_they_are(connect: Connect, queue: str) -> None:
    client, worker = connect(), connect()
    ids = fill(client, queue, "waiting", 60)
    worker.ok("PULLB", queue=queue, count=40)
    for job_id in ids[:10]:
        worker.ok("ACK", id=job_id)
    for job_id in ids[10:20]:
        worker.ok("FAIL", id=job_id, unrecoverable=True)
    for job_id in ids[20:30]:
        worker.ok("RELEASE", id=job_id, delay=HOUR_MS)
    where = {"completed": ids[:10], "failed": ids[10:20], "delayed": ids[20:30], "active": ids[30:40]}
    where |= {"waiting": ids[40:], "waitingparent": []}
    for state, expected in where.items():
        assert ids_of(walk(client, queue, state, limit=3)) == expected
    worker.close()
    until_counts(client, queue, pending=30, processing=0)
    client.ok("PAUSE", queue=queue)
    assert ids_of(walk(client, queue, "waiting", limit=4, dir="desc")) == ids[30:][::-1]
    assert walk(client, queue, "active") == []


def test_a_cursor_may_be_used_on_another_connection_and_again(connect: Connect, queue: str) -> None:
    client, other = connect(), connect()
    ids = fill(client, queue, "waiting", 30)
    answer = client.ok("GETJOBS", queue=queue, state="waiting", limit=10)
    cursor, seen = answer["cursor"], len(answer["jobs"])
    for _ in range(2):
        assert ids_of(walk(other, queue, "waiting", cursor, limit=10)) == ids[seen:]
    client.ok("DRAIN", queue=queue)
    assert walk(other, queue, "waiting", cursor, limit=10) == []


def test_cursors_with_a_byte_changed_are_refused_or_lead_somewhere_but_do_no_harm(connect: Connect, queue: str) -> None:
    client = connect()
    fill(client, queue, "waiting", 30)
    cursor = client.ok("GETJOBS", queue=queue, state="waiting", limit=10)["cursor"]
    for at in range(len(cursor)):
        for byte in ("x", "0", "-", "\\", "é", "\x00", ""):
            changed = cursor[:at] + byte + cursor[at + 1 :]
            answer = client.call("GETJOBS", queue=queue, state="waiting", limit=10, cursor=changed)
            assert answer["ok"] is True or check_refusal(answer)["code"] in ("invalid", "payload_too_large")
    client.ping()


# Pages of large jobs


def test_large_jobs_are_all_listed_however_large_the_page(daemon_with: StartDaemon, queue: str) -> None:
    daemon = daemon_with("--max-output", "1MiB")
    with daemon.connect() as client:
        texts = [str(number % 10) * 400_000 for number in range(12)]
        ids = [client.push(queue, text) for text in texts]
        for direction in (1, -1):
            jobs = walk(client, queue, "waiting", limit=1000, dir="asc" if direction > 0 else "desc")
            assert ids_of(jobs) == ids[::direction]
            assert [job["data"] for job in jobs] == texts[::direction]
        jobs = walk(client, queue, "waiting", limit=1000, preview=10)
        assert [(job["data"], job["data_size"]) for job in jobs] == [('"' + text[:9], 400_002) for text in texts]
        client.ok("DRAIN", queue=queue)


def test_a_preview_ends_behind_a_whole_character(connect: Connect, queue: str) -> None:
    client = connect()
    text = '{ "k":"aé😀\\u00e9\\n" , "n":1.50}'
    size = len(text.encode())
    client.call_line(f'{{"cmd":"PUSH","queue":"{queue}","data":{text}}}')
    for length in range(1, size + 3):
        (job,) = walk(client, queue, "waiting", preview=length)
        assert job["data_size"] == size
        assert job["data"] == text.encode()[:length].decode("utf-8", "ignore")
    (job,) = walk(client, queue, "waiting")
    assert job["data"] == json.loads(text)
    assert "data_size" not in job


def test_whole_data_is_listed_as_it_was_written(connect: Connect, queue: str) -> None:
    client = connect()
    text = '{ "n" : 1.00e+2, "big":123456789012345678901234567890, "s":"\\u00e9\\/\\ud800" }'
    client.call_line(f'{{"cmd":"PUSH","queue":"{queue}","data":{text}}}')
    cursor: str | None = None
    while True:  # the first pages may hold nothing
        client.send("GETJOBS", queue=queue, state="waiting", cursor=cursor)
        line = client.receive_line()
        cursor = json.loads(line)["cursor"]
        if b'"jobs":[]' not in line:
            break
        assert cursor is not None
    assert text.encode() in line


# Reasons


def test_dead_jobs_are_chosen_by_each_reason(daemon_with: StartDaemon, queue: str) -> None:
    daemon = daemon_with("--max-deliveries", "1")
    with daemon.connect() as client:
        expected: dict[str, list[int]] = {}

        def dies(reason: str, end: Callable[[int], object], **options: object) -> None:
            for _ in range(3):
                parents = {"depends_on": [client.push(f"{queue}-parents")]} if reason == "dependency_failed" else {}
                job_id = client.push(queue, **options, **parents)
                end(job_id)
                expected.setdefault(reason, []).append(job_id)
                until_counts(client, queue, dlq=sum(map(len, expected.values())))

        def fail(job_id: int) -> None:
            client.pull(queue)
            client.ok("FAIL", id=job_id, unrecoverable=True)

        def lose(_: int) -> None:
            with daemon.connect() as worker:
                worker.pull(queue)

        for _ in range(2):
            dies("failed", fail)
            dies("timeout", lambda _: client.pull(queue), timeout=10, max_attempts=1)
            dies("worker_lost", lose)
            dies("expired_lease", lambda _: client.pull(queue, lease=10))
            dies("dependency_failed", lambda _: client.ok("DRAIN", queue=f"{queue}-parents"))
        for reason, ids in expected.items():
            for limit in (1, 2, 100):
                jobs = walk(client, queue, "failed", reason=reason, limit=limit)
                assert ids_of(jobs) == ids
                assert {job["reason"] for job in jobs} == {reason}
            assert ids_of(walk(client, queue, "failed", reason=reason, limit=4, dir="desc")) == ids[::-1]
        everything = sorted(job_id for ids in expected.values() for job_id in ids)
        assert ids_of(walk(client, queue, "failed", limit=7)) == everything


# Two queues in one slot


def two_queues_of_one_slot(client: Client) -> tuple[str, str]:
    """Names whose ids tell that they share a slot: one of 1,024, so some forty names are enough."""
    slots: dict[int, str] = {}
    for _ in range(5000):
        name = unique_name("slot")
        job_id = client.push(name)
        client.ok("CANCEL", id=job_id)
        if (job_id & 1023) in slots:
            return slots[job_id & 1023], name
        slots[job_id & 1023] = name
    raise AssertionError("5,000 names without two of one slot")


@pytest.mark.parametrize("state", STATES)
def test_a_queue_is_listed_without_its_neighbour_in_the_slot(connect: Connect, state: str) -> None:
    client = connect()
    one, two = two_queues_of_one_slot(client)
    ids: dict[str, list[int]] = {one: [], two: []}
    for _ in range(4):
        for name, count in ((one, 30), (two, 3)):
            ids[name] += fill(client, name, state, count)
    assert len({job_id & 1023 for found in ids.values() for job_id in found}) == 1
    for name, expected in ids.items():
        for limit in (1, 5, 1000):
            jobs = walk(client, name, state, limit=limit)
            assert ids_of(jobs) == expected
            assert {job["queue"] for job in jobs} == {name}
            assert ids_of(walk(client, name, state, limit=limit, dir="desc")) == expected[::-1]
    client.ok("OBLITERATE", queue=one)
    assert walk(client, one, state) == []
    assert ids_of(walk(client, two, state, limit=2)) == ids[two]


def test_the_slot_of_a_queue_is_in_all_its_ids(connect: Connect, queue: str) -> None:
    client = connect()
    ids = fill(client, queue, "waiting", 200) + [client.push(queue, priority=n) for n in range(5)]
    assert len({job_id & 1023 for job_id in ids}) == 1
    assert ids == sorted(set(ids))
