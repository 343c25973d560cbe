"""A subscriber that does not read loses events and is told exactly which; the others lose none; memory is bounded."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.tcp.client import Answer, Client, encode
from tests.tcp.daemon_process import Daemon
from tests.tcp.ear import Ear
from tests.tcp.fixtures import StartDaemon, unique_name

MIB = 1 << 20
MAX_OUTPUT = ("--max-output", "256KiB")
CHUNK = 100
"""Events that a reading subscriber is given at once: with names as below well under MAX_OUTPUT, so it may lose none."""

ENOUGH = {"unix": 3_000, "tcp": 10_000}
"""More events than kernel buffers and MAX_OUTPUT hold, at 1,500 bytes each: some 200 KB and at most 5 MB."""

PONG = {"ok": True, "pong": True}


def long_name() -> str:
    """255 bytes, each escaped by six in JSON."""
    name = unique_name()
    return name + "\x01" * (255 - len(name))


@dataclass
class Ledger:
    """Every seq of a subscriber that lost events: told, or counted in a `dropped` line."""

    client: Client
    seq: int = 0
    told: dict[int, int] = field(default_factory=dict)
    """seq -> job"""
    lost: int = 0
    answers: list[Answer] = field(default_factory=list)

    def read_through(self, last: int) -> None:
        """Read until all seqs up to `last` are accounted for, and none beyond."""
        self.read_past(last)
        assert self.seq == last

    def read_past(self, seq: int) -> None:
        """Read until all seqs up to this one are accounted for, each exactly once, in order; maybe some more."""
        while self.seq < seq:
            line = self.client.receive()
            if "ok" in line:
                self.answers.append(line)
            elif line["event"] == "dropped":
                assert set(line) == {"event", "count", "seq"}
                assert type(line["count"]) is int
                assert line["count"] > 0
                assert line["seq"] == self.seq + 1
                self.seq += line["count"]
                self.lost += line["count"]
            else:
                assert set(line) == {"event", "queue", "job", "seq"}
                assert line["seq"] == self.seq + 1
                self.seq += 1
                self.told[self.seq] = line["job"]


def push_while_one_listens(producer: Client, ear: Ear, queue: str, count: int) -> list[int]:
    """Push in chunks, each heard by `ear` before the next is pushed; all ids."""
    ids: list[int] = []
    for _ in range(count // CHUNK):
        chunk = producer.ok("PUSHB", queue=queue, jobs=[{"data": 1}] * CHUNK)["ids"]
        ear.hears(*(("pushed", job_id) for job_id in chunk))
        ids += chunk
    return ids


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_a_deaf_subscriber_loses_what_it_is_told_it_lost_and_the_others_nothing(
    daemon_with: StartDaemon, transport: str
) -> None:
    daemon: Daemon = daemon_with(*MAX_OUTPUT)
    queue, count = long_name(), ENOUGH[transport]
    with daemon.connect(transport) as deaf, daemon.connect(transport) as listener, daemon.connect() as producer:
        deaf.ok("SUBSCRIBE", queue=queue, events=["pushed"])
        ear = Ear(listener).subscribe(queue, "pushed")
        ledger = Ledger(deaf)
        ids = push_while_one_listens(producer, ear, queue, count)
        ledger.read_through(count)
        assert ledger.lost > 0
        assert len(ledger.told) + ledger.lost == count
        assert all(ids[seq - 1] == job_id for seq, job_id in ledger.told.items())
        ids += push_while_one_listens(producer, ear, queue, CHUNK)
        ledger.read_through(count + CHUNK)
        assert [ledger.told[seq] for seq in range(count + 1, count + CHUNK + 1)] == ids[count:]
        producer.ok("OBLITERATE", queue=queue)


def test_losing_happens_again_and_again(daemon_with: StartDaemon) -> None:
    daemon, queue, count = daemon_with(*MAX_OUTPUT), long_name(), ENOUGH["unix"]
    with daemon.connect("unix") as deaf, daemon.connect("unix") as listener, daemon.connect() as producer:
        ear = Ear(listener).subscribe(queue, "pushed")
        deaf.ok("SUBSCRIBE", queue=queue, events=["pushed"])
        ledger, ids = Ledger(deaf), []
        for turn in range(1, 4):
            lost = ledger.lost
            ids += push_while_one_listens(producer, ear, queue, count)
            ledger.read_through(turn * count)
            assert ledger.lost > lost
        assert all(ids[seq - 1] == job_id for seq, job_id in ledger.told.items())
        producer.ok("OBLITERATE", queue=queue)


def test_a_loss_is_told_although_nothing_more_happens_and_commands_are_answered(daemon_with: StartDaemon) -> None:
    daemon, queue, count = daemon_with(*MAX_OUTPUT), long_name(), ENOUGH["unix"]
    with daemon.connect("unix") as deaf, daemon.connect("unix") as listener, daemon.connect() as producer:
        ear = Ear(listener).subscribe(queue, "pushed")
        deaf.ok("SUBSCRIBE", queue=queue, events=["pushed"])
        push_while_one_listens(producer, ear, queue, count)
        for number in range(10):
            deaf.send("PING", reqId=str(number))
        deaf.send("UNSUBSCRIBE", queue=queue, reqId="end")
        ledger = Ledger(deaf)
        ledger.read_through(count)
        assert ledger.lost > 0
        while len(ledger.answers) < 11:
            ledger.answers.append(deaf.receive())
        assert ledger.answers[:10] == [PONG | {"reqId": str(number)} for number in range(10)]
        assert ledger.answers[10] == {"ok": True, "reqId": "end"}
        producer.ok("PUSHB", queue=queue, jobs=[{"data": 1}] * CHUNK)
        deaf.ping()
        assert not deaf.has_answer(0.02)
        producer.ok("OBLITERATE", queue=queue)


def test_twenty_deaf_subscribers_hold_up_nobody_take_little_memory_and_may_go(daemon_with: StartDaemon) -> None:
    daemon, queue, count = daemon_with(*MAX_OUTPUT), long_name(), ENOUGH["unix"]
    with daemon.connect() as client:
        for end in ("close", "reset"):
            deaf = [daemon.connect("unix") for _ in range(20)]
            for listener in deaf:
                listener.ok("SUBSCRIBE", queue=queue, events=[])
            before = daemon.resident_bytes()
            ids = client.ok("PUSHB", queue=queue, jobs=[{"data": 1}] * count)["ids"]
            given: list[int] = []
            while len(given) < count:
                given += [job["id"] for job in client.ok("PULLB", queue=queue, count=count)["jobs"]]
            assert given == ids
            assert client.ok("ACKB", ids=ids)["count"] == count
            assert daemon.resident_bytes() - before < 40 * MIB, "of 270 MB told to them"
            for listener in deaf:
                getattr(listener, end)()
            client.ping()
        assert client.counts(queue)["completed"] == 2 * count


def test_a_subscriber_that_reads_now_and_then_can_account_for_everything(daemon_with: StartDaemon) -> None:
    daemon, queue = daemon_with(*MAX_OUTPUT), long_name()
    with daemon.connect("unix") as slow, daemon.connect() as client:
        slow.ok("SUBSCRIBE", queue=queue, events=["pushed", "cancelled"])
        ledger, last = Ledger(slow), 0
        for size in (10, 1000, 50, 700, 1, 400, 2000, 3):
            for job_id in client.ok("PUSHB", queue=queue, jobs=[{"data": 1}] * size)["ids"][::2]:
                client.ok("CANCEL", id=job_id)
            last += size + (size + 1) // 2
            if size % 20 == 0:
                ledger.read_past(last - size // 2)
        ledger.read_through(last)
        assert len(ledger.told) + ledger.lost == last
        client.ok("OBLITERATE", queue=queue)


def test_a_burst_is_told_or_counted_to_the_last_event(daemon_with: StartDaemon) -> None:
    daemon, queue = daemon_with(*MAX_OUTPUT), unique_name()
    with daemon.connect("unix") as listener, daemon.connect() as client:
        listener.ok("SUBSCRIBE", queue=queue, events=["pushed"])
        sender = client.send_in_background(encode("PUSHB", queue=queue, jobs=[{"data": 1}] * 100_000))
        ledger = Ledger(listener)
        ledger.read_through(100_000)
        sender.join()
        ids = client.receive()["ids"]
        assert all(ids[seq - 1] == job_id for seq, job_id in ledger.told.items())
        listener.ping()
        client.ok("OBLITERATE", queue=queue)
