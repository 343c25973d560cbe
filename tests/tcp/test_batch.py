"""Batches at their limits. Fields and refusals of items are in the transcripts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.tcp.client import Answer, Client, check_refusal
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import Connect

MOST = 100_000
MOST_PULLED = 10_000


def send_batch(client: Client, line: str) -> Answer:
    sender = client.send_in_background(line.encode() + b"\n")
    answer = client.receive()
    sender.join()
    return answer


def test_a_push_of_100_000_jobs_is_accepted_and_of_one_more_refused(client: Client, queue: str) -> None:
    items = ",".join('{"data":%d}' % n for n in range(MOST))
    answer = send_batch(client, f'{{"cmd":"PUSHB","queue":"{queue}","jobs":[{items}]}}')
    assert set(answer) == {"ok", "ids"}
    assert len(set(answer["ids"])) == MOST
    assert answer["ids"] == sorted(answer["ids"])
    assert client.counts(queue)["pending"] == MOST
    answer = send_batch(client, f'{{"cmd":"PUSHB","queue":"{queue}","jobs":[{items},{{"data":0}}]}}')
    assert check_refusal(answer)["code"] in {"invalid", "payload_too_large"}
    assert client.counts(queue)["pending"] == MOST
    taken = 0
    while jobs := client.ok("PULLB", queue=queue, count=MOST_PULLED, timeout=0)["jobs"]:
        assert [job["data"] for job in jobs] == list(range(taken, taken + len(jobs)))
        taken += len(jobs)
        assert client.ok("ACKB", ids=[job["id"] for job in jobs])["count"] == len(jobs)
    assert taken == MOST


def test_a_batch_pull_gives_at_most_10_000(client: Client, queue: str) -> None:
    client.ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(MOST_PULLED + 1)])
    jobs = client.ok("PULLB", queue=queue, count=50_000)["jobs"]
    assert [job["data"] for job in jobs] == list(range(MOST_PULLED))
    assert len({job["token"] for job in jobs}) == MOST_PULLED
    assert client.pull(queue)["data"] == MOST_PULLED


def test_an_ack_of_100_000_ids_is_answered_and_of_one_more_refused(client: Client, queue: str) -> None:
    held = client.push(queue)
    client.pull(queue)
    ids = [held, *range(2**52, 2**52 + MOST - 1)]
    text = ",".join(map(str, ids))
    assert check_refusal(send_batch(client, f'{{"cmd":"ACKB","ids":[{text},7]}}'))["code"] in {
        "invalid",
        "payload_too_large",
    }
    assert client.counts(queue)["processing"] == 1
    assert send_batch(client, f'{{"cmd":"ACKB","ids":[{text}]}}') == {"ok": True, "ids": [1], "count": 1}


def test_a_batch_with_large_jobs_comes_back_whole(client: Client, queue: str) -> None:
    texts = [chr(97 + n) * 400_000 for n in range(20)]
    for text in texts:
        client.push(queue, text)
    jobs: list[Answer] = []
    while len(jobs) < 20:
        part = client.ok("PULLB", queue=queue, count=20, timeout=0)["jobs"]
        assert part, "a batch pull may give less than there is, but not nothing"
        jobs += part
    assert [job["data"] for job in jobs] == texts


def test_items_refused_at_random_leave_the_others_in_their_order(client: Client, queue: str) -> None:
    good = {"data": 1}
    bad: list[object] = [{}, {"data": 1, "delay": -1}, None, 5, {"data": 1, "priority": "x"}]
    items = [bad[n // 3 % 5] if n % 3 == 0 else good for n in range(3000)]
    answer = client.ok("PUSHB", queue=queue, jobs=items)
    assert [n for n, job_id in enumerate(answer["ids"]) if job_id == 0] == list(range(0, 3000, 3))
    assert [row["index"] for row in answer["errors"]] == list(range(0, 3000, 3))
    assert all(set(row) == {"index", "code", "error"} for row in answer["errors"])
    assert client.counts(queue)["pending"] == 2000


def test_batch_pulls_at_once_share_the_jobs(daemon: Daemon, queue: str) -> None:
    with daemon.connect() as client:
        client.ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(20_000)])

        def drain(worker: int) -> list[int]:
            got: list[int] = []
            with daemon.connect("unix" if worker % 2 else "tcp") as puller:
                while jobs := puller.ok("PULLB", queue=queue, count=137, timeout=0)["jobs"]:
                    data = [job["data"] for job in jobs]
                    assert data == sorted(data)
                    got += data
                    assert puller.ok("ACKB", ids=[job["id"] for job in jobs])["count"] == len(jobs)
            return got

        with ThreadPoolExecutor(6) as pool:
            got = [number for part in pool.map(drain, range(6)) for number in part]
        assert sorted(got) == list(range(20_000))
        assert client.counts(queue) == {"pending": 0, "processing": 0, "delayed": 0, "dlq": 0, "completed": 20_000}


def test_acks_of_jobs_in_many_queues_are_counted_exactly(client: Client, queue: str) -> None:
    ids = [client.push(f"{queue}-{n % 97}", n) for n in range(970)]
    for n in range(97):
        assert len(client.ok("PULLB", queue=f"{queue}-{n}", count=10)["jobs"]) == 10
    assert client.ok("ACKB", ids=ids[::2])["count"] == 485
    assert client.ok("ACKB", ids=ids)["count"] == 485
    assert client.ok("ACKB", ids=ids) == {"ok": True, "ids": [0], "count": 0}


def test_a_batch_answered_to_a_broken_connection_is_held_by_nobody(connect: Connect, queue: str) -> None:
    gone, other = connect(), connect()
    other.ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(500)])
    gone.send("PULLB", queue=queue, count=500)
    gone.reset()
    got = 0
    while got < 500:
        got += len(other.ok("PULLB", queue=queue, count=500, timeout=10_000)["jobs"])
    assert other.counts(queue)["processing"] == 500
