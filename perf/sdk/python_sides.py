"""The three job queues that compare_py.py compares: how each pushes, and how its worker counts what it does.

RQ gets its fastest worker, which runs jobs in its own process instead of forking for each, and Celery its solo pool:
one job at a time in one process, as mqfast's. All three keep what a handler returns.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import celery
import redis
import rq

from magicqueue import Queue, Worker

HOST = "127.0.0.1"
Data = dict[str, str]


class Tally:
    """What a worker's process has done; says how long the jobs after the first tenth took, and ends it."""

    def __init__(self) -> None:
        self.total = 0
        self._count = 0
        self._from = 0.0

    def add(self) -> int:
        self._count += 1
        if self._count == self.total // 10:
            self._from = time.perf_counter()
        elif self._count == self.total:
            took = time.perf_counter() - self._from
            # Celery takes sys.stdout for its log.
            os.write(1, b"%g\n" % ((self.total - self.total // 10) / took))
            os._exit(0)
        return self._count


tally = Tally()


def handle(data: Data) -> int:
    """The job: nothing, so that what is measured is the queue."""
    return tally.add()


class Producer(Protocol):
    """Pushes to one queue."""

    def push(self, data: Data) -> object: ...

    def push_batch(self, data: Sequence[Data]) -> object: ...

    def close(self) -> None:
        """Empty the queue and leave."""


class MqfastProducer:
    def __init__(self, port: int, name: str) -> None:
        self._queue = Queue(name, HOST, port)
        self.push: Callable[[Data], object] = self._queue.push
        self.push_batch: Callable[[Sequence[Data]], object] = self._queue.push_many

    def close(self) -> None:
        self._queue.obliterate()
        self._queue.close()


def mqfast_worker(port: int, name: str) -> None:
    Worker(name, lambda job, _: handle(job.data), HOST, port, batch_size=50).start()


class RqProducer:
    def __init__(self, port: int, name: str) -> None:
        self._redis: Any = redis.Redis(HOST, port)
        self._queue: Any = rq.Queue(name, connection=self._redis)

    def push(self, data: Data) -> object:
        return self._queue.enqueue(handle, data)

    def push_batch(self, data: Sequence[Data]) -> object:
        return self._queue.enqueue_many([self._queue.prepare_data(handle, (one,)) for one in data])

    def close(self) -> None:
        self._redis.flushall()
        self._redis.close()


def rq_worker(port: int, name: str) -> None:
    connection: Any = redis.Redis(HOST, port)
    worker: Any = rq.SimpleWorker([rq.Queue(name, connection=connection)], connection=connection)
    worker.work(logging_level="ERROR")


def celery_app(port: int, name: str) -> tuple[Any, Any]:
    """An application for one queue, and its task."""
    place = f"redis://{HOST}:{port}/0"
    app: Any = celery.Celery(name, broker=place, backend=place)
    app.conf.update(task_default_queue=name, worker_prefetch_multiplier=50, worker_hijack_root_logger=False)
    return app, app.task(handle, name="handle")


class CeleryProducer:
    def __init__(self, port: int, name: str) -> None:
        self._app, self._task = celery_app(port, name)
        self._redis: Any = redis.Redis(HOST, port)
        self._producer: Any = self._app.amqp.producer_pool.acquire(block=True)

    def push(self, data: Data) -> object:
        return self._task.apply_async((data,), producer=self._producer)

    def push_batch(self, data: Sequence[Data]) -> object:
        # It has no batches: a group would be as many messages, and more.
        return [self.push(one) for one in data]

    def close(self) -> None:
        self._producer.release()
        self._app.close()
        self._redis.flushall()
        self._redis.close()


def celery_worker(port: int, name: str) -> None:
    app, _ = celery_app(port, name)
    app.worker_main(["--quiet", "worker", "--pool=solo", "--without-gossip", "--without-mingle", "--without-heartbeat"])


SIDES: dict[str, tuple[Callable[[int, str], Producer], Callable[[int, str], None], int]] = {
    "mqfast": (MqfastProducer, mqfast_worker, 20_000),
    "RQ": (RqProducer, rq_worker, 1_000),
    "Celery": (CeleryProducer, celery_worker, 1_500),
}
"""Of each: its producer, its worker, and how many jobs a worker is measured with."""


def work(side: str, port: str, name: str, total: str) -> None:
    """Work until so many jobs are done, and say how many a second that were."""
    logging.disable(logging.WARNING)
    tally.total = int(total)
    SIDES[side][1](int(port), name)
