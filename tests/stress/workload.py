"""Producers and workers that keep books: every job is pushed once, and who confirmed it is written down.

Threads are enough: nearly all of a worker's time is spent in the socket and in the JSON parser, and batches keep the
work for each job to a few microseconds. A worker sends the acknowledgements of one batch and the pull of the next in a
single write.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.tcp.client import Answer, Client, encode

PUSH_BATCH = 500
PUSHES_AHEAD = 4
"""Batches a producer sends before it reads the first answer."""
PULL_BATCH = 50
IDLE_MS = 100
"""How long a pull waits before its worker looks whether all is done."""

Connect = Callable[[int], Client]
"""connect(number) -> Client"""


@dataclass
class Books:
    """What is known of each job; index = the job's number. Shared by all threads under `lock`."""

    jobs: int
    deadline: float
    """time.monotonic() after which every thread gives up."""
    confirmed: bytearray = field(init=False)
    losses: bytearray = field(init=False)
    """Deliveries that were read and then lost on purpose; the daemon may know of more."""
    unknown: set[int] = field(default_factory=set)
    """Acknowledged on a connection that was broken before the answer could be read."""
    pushed: int = 0
    """Answered pushes; `sent` runs ahead of it."""
    sent: int = 0
    producers_left: int = 0
    problems: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.confirmed = bytearray(self.jobs)
        self.losses = bytearray(self.jobs)

    def confirm(self, batch: list[Answer], count: int, strict: bool) -> None:
        """The daemon says that it took `count` of the acknowledgements of this batch."""
        if count != len(batch):
            self.problem(f"{count} of {len(batch)} acknowledgements were taken")
            return
        with self.lock:
            for job in batch:
                number = job["data"]
                self.confirmed[number] += 1
                least = 1 + self.losses[number]
                deliveries = job["deliveries"]
                if deliveries < least or (strict and deliveries != least) or job["attempts"] != 0:
                    self.problems.append(f"job {number}: {deliveries} deliveries, {least - 1} known losses")

    def problem(self, text: str) -> None:
        with self.lock:
            self.problems.append(text)

    def check_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise TimeoutError("not done in time")

    def give_up(self) -> bool:
        return bool(self.problems) or time.monotonic() > self.deadline


def run_all(books: Books, targets: list[Callable[[], None]]) -> None:
    """Run each in a thread; what one raises becomes a problem in the books, which ends the others."""

    def guarded(target: Callable[[], None]) -> None:
        try:
            target()
        except Exception as error:  # into the books, whatever it is
            books.problem(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=guarded, args=(target,), daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, books.deadline + 30 - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        books.problem("a thread does not end")


def produce(books: Books, connect: Connect, queue: str, numbers: range, worker: int) -> None:
    """Push jobs whose data is their number, several batches ahead of the answers."""
    with connect(worker) as client:
        waiting: list[int] = []

        def read_one() -> None:
            ids = client.receive()["ids"]
            if len(ids) != waiting.pop(0) or 0 in ids:
                books.problem("a push was refused")
            with books.lock:
                books.pushed += len(ids)

        for start in range(numbers.start, numbers.stop, PUSH_BATCH):
            chunk = range(start, min(start + PUSH_BATCH, numbers.stop))
            items = ",".join([f'{{"data":{number}}}' for number in chunk])
            with books.lock:
                books.sent += len(chunk)
            client.send_line(f'{{"cmd":"PUSHB","queue":"{queue}","jobs":[{items}]}}')
            waiting.append(len(chunk))
            if len(waiting) >= PUSHES_AHEAD:
                read_one()
            if books.give_up():
                return
        while waiting:
            read_one()
    with books.lock:
        books.producers_left -= 1


def all_done(books: Books, client: Client, queue: str) -> bool:
    if books.producers_left:
        return False
    counts = client.counts(queue)
    return counts["pending"] + counts["processing"] + counts["delayed"] == 0


def ack_line(batch: list[Answer]) -> bytes:
    return encode("ACKB", ids=[job["id"] for job in batch], tokens=[job["token"] for job in batch])


def work(books: Books, connect: Connect, queue: str, worker: int) -> None:
    """Pull and acknowledge until every job has ended."""
    pull = encode("PULLB", queue=queue, count=PULL_BATCH, timeout=IDLE_MS)
    with connect(worker) as client:
        client.send_bytes(pull)
        while True:
            batch = client.receive()["jobs"]
            if batch:
                client.send_bytes(ack_line(batch) + pull)
                books.confirm(batch, client.receive()["count"], strict=True)
            elif books.give_up() or all_done(books, client, queue):
                return
            else:
                client.send_bytes(pull)


def work_and_die(books: Books, connect: Connect, queue: str, worker: int, chance: random.Random) -> None:
    """The same with one batch at a time, and a sudden end of the connection every few batches."""
    while not books.give_up():
        with connect(worker) as client:
            for _ in range(chance.randint(1, 8)):
                batch = client.ok("PULLB", queue=queue, count=chance.randint(1, PULL_BATCH), timeout=IDLE_MS)["jobs"]
                if batch:
                    client.send_bytes(ack_line(batch))
                    books.confirm(batch, client.receive()["count"], strict=False)
                elif all_done(books, client, queue):
                    return
            _die(books, client, queue, chance)


def _die(books: Books, client: Client, queue: str, chance: random.Random) -> None:
    """End the connection with work in hand, at one of the moments at which a worker can be killed."""
    moment = chance.randrange(4)
    client.send("PULLB", queue=queue, count=chance.randint(1, PULL_BATCH), timeout=IDLE_MS)
    if moment > 0:  # else: before the jobs have been read
        batch = client.receive()["jobs"]
        if moment == 1:  # with all of them unfinished
            _lose(books, batch)
        elif moment == 2:  # after the first half
            half = len(batch) // 2
            client.send_bytes(ack_line(batch[:half]))
            books.confirm(batch[:half], client.receive()["count"], strict=False)
            _lose(books, batch[half:])
        else:  # before the answer to the acknowledgement
            with books.lock:
                books.unknown.update(job["data"] for job in batch)
            client.send_bytes(ack_line(batch))
    if chance.random() < 0.5:
        client.reset()
    else:
        client.close()


def _lose(books: Books, batch: list[Answer]) -> None:
    with books.lock:
        for job in batch:
            books.losses[job["data"]] += 1


def watch_counts(books: Books, connect: Connect, queue: str, worker: int) -> None:
    """Until all is done: the queue's counts add up to what has been pushed, at every moment one looks."""
    with connect(worker) as client:
        while not books.give_up():
            at_least = books.pushed
            client.send("LISTQUEUES")
            rows = [row for row in json.loads(client.receive_line())["queues"] if row["name"] == queue]
            at_most = books.sent
            total = sum(sum(row[name] for name in ("pending", "processing", "completed")) for row in rows)
            if not at_least <= total <= at_most:
                books.problem(f"the counts add up to {total}, but {at_least} to {at_most} jobs were pushed")
            if not books.producers_left and all_done(books, client, queue):
                return
