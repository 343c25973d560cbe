"""The producer's side for threads: one queue by name."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypedDict

from . import _calls
from ._batching import Push, PushBatcher
from ._calls import Call
from ._client import EventStream, MagicQueueClient, OnConnection, Place
from ._core import ConnectionOptions, Entry, encode_json
from ._jobs import CronJob, Job, Metrics, Progress, QueueMetrics, Stats
from ._middleware import Middleware, PushCall, around_push
from ._tasks import TaskBook

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._commands import PushOptions
    from ._worker import Worker

MAX_SOON = 10_000
"""Pushes of `push_soon` without an answer; a further one waits for the oldest of them."""


class ListOptions(TypedDict, total=False):
    """How a listing is made.

    newest_first: by id, the last first. reason: only jobs that failed for it. page_size: jobs fetched with one request
    (100); the listing has all of them. preview: ``data`` is the text of its first so many bytes.
    """

    newest_first: bool
    reason: str
    page_size: int
    preview: int


class Queue(TaskBook):
    """A queue: pushes jobs and looks after them. Threads may share it.

    It connects by itself with the first call. What the daemon refuses is raised, as the class of its code. Where the
    daemon is: see `MagicQueueClient`. client: one to share, which `close` leaves open. middleware: hooks around pushes.
    batching: pushes that are made together share a line. In jobs' options times are milliseconds, as on the wire.
    """

    def __init__(
        self,
        name: str,
        host: str | None = None,
        port: int | None = None,
        unix_socket: str | None = None,
        *,
        token: str | None = None,
        url: str | None = None,
        tls: bool | str | None = None,
        connection: ConnectionOptions | None = None,
        on_connection: OnConnection | None = None,
        client: MagicQueueClient | None = None,
        middleware: Sequence[Middleware] = (),
        batching: bool = True,
    ) -> None:
        super().__init__()
        self.name = name
        place = Place(host, port, unix_socket, token, url, tls, connection, on_connection)
        self.client = client or MagicQueueClient(**place.arguments())
        self._owns_client = client is None
        self._connection = self.client._connection
        self._name_json = encode_json(name)
        self._middleware = tuple(middleware)
        self._batcher = PushBatcher(self._connection.core, name, self._connection.submit) if batching else None
        self._soon: deque[Future[int]] = deque()

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Queue:
        """The queue that ``mq://token@host:port/queue`` names. Raises MagicQueueError if it names none."""
        return cls(queue_named_by(url), url=url, **options)

    def connect(self) -> None:
        """Connect now instead of with the first call."""
        self.client.connect()

    def close(self) -> None:
        """Wait for the answers to pushes that were begun, then end the connection. The next call makes a new one."""
        for future in list(self._soon):
            future.exception()
        self._soon.clear()
        if self._owns_client:
            self.client.close()

    def __enter__(self) -> Queue:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Pushing

    def push(
        self,
        data: Any,
        priority: int | None = None,
        delay: int | None = None,
        ttl: int | None = None,
        max_attempts: int | None = None,
        backoff: int | None = None,
        unique_key: str | None = None,
        depends_on: list[int] | None = None,
        *,
        timeout: int | None = None,
        max_backoff: int | None = None,
    ) -> int:
        """Add a job and return its id.

        data: anything that is JSON. What the options mean is said at `PushOptions`; times are milliseconds.
        Raises DuplicateError if the unique key is in use; ConnectionLostError (``maybe_done`` true) if the connection
        was lost before the answer: without a unique key the job is not pushed a second time.
        """
        options = options_of(priority, delay, ttl, max_attempts, backoff, unique_key, depends_on, timeout, max_backoff)
        if self._middleware:
            return self._push_hooked({"data": data, **options})
        push = Push(self._name_json, _calls.item_text(data, options), unique_key is not None)
        self._start(push)
        return self._id_of(push)

    def push_soon(self, data: Any, **options: Unpack[PushOptions]) -> Future[int]:
        """Add a job without waiting; the future has its id, or what `push` would raise. Options: those of `push`.

        Waits only while 10,000 such pushes have no answer yet. `close` waits for all of them.
        """
        future: Future[int] = Future()
        future.set_running_or_notify_cancel()
        job = {"data": data, **options}
        if self._middleware:
            call = PushCall(self.name, [job], future=future)
            with around_push(self._middleware, call):
                self._push_soon(call.jobs[0], future)
        else:
            self._push_soon(job, future)
        return future

    def push_batch(self, jobs: Iterable[Mapping[str, Any]]) -> list[int]:
        """Add many jobs and return their ids, in order. Each is a mapping with ``data`` and any of `push`'s options.

        Raises BatchRefusedError if some of them were refused; it has the ids of the others.
        """
        if not self._middleware:
            return self._push_batch(jobs)
        call = PushCall(self.name, [dict(job) for job in jobs])
        with around_push(self._middleware, call):
            call.ids = self._push_batch(call.jobs)
        return call.ids

    def push_many(
        self,
        items: Iterable[Any],
        priority: int | None = None,
        delay: int | None = None,
        ttl: int | None = None,
        max_attempts: int | None = None,
        backoff: int | None = None,
        depends_on: list[int] | None = None,
        *,
        timeout: int | None = None,
        max_backoff: int | None = None,
    ) -> list[int]:
        """Add a job for each payload, all with the same options; returns their ids. Raises as `push_batch`."""
        options = options_of(priority, delay, ttl, max_attempts, backoff, None, depends_on, timeout, max_backoff)
        return self.push_batch([{"data": data, **options} for data in items])

    def push_and_wait(self, data: Any, *, wait_s: float = 30.0, **options: Unpack[PushOptions]) -> Any:
        """Add a job, wait for its end, and return its handler's result.

        wait_s: seconds to wait. Options: those of `push`. Raises as `push` and `wait_job`.
        """
        return self.wait_job(self.push(data, **options), wait_s)

    def _push_hooked(self, job: dict[str, Any]) -> int:
        call = PushCall(self.name, [job])
        with around_push(self._middleware, call):
            push = _calls.push_of(self._name_json, call.jobs[0])
            self._start(push)
            call.ids = [self._id_of(push)]
        return call.ids[0]

    def _start(self, push: Push) -> None:
        connection = self._connection
        if connection.core.is_closed:
            connection.ensure()
        with connection.lock:
            if self._batcher is None:
                connection.submit(push)
            else:
                self._batcher.push(push)

    def _id_of(self, push: Push) -> int:
        self._connection.wait(push)
        id_: int = push.result()["id"]
        return id_

    def _push_soon(self, job: Mapping[str, Any], future: Future[int]) -> None:
        def settled(entry: Entry) -> None:
            if entry.error is None:
                future.set_result(entry.result()["id"])
            else:
                future.set_exception(entry.error)

        push = _calls.push_of(self._name_json, job)
        push.notify = settled
        soon = self._soon
        while soon and soon[0].done():
            soon.popleft()
        if len(soon) >= MAX_SOON:
            soon.popleft().exception()
        soon.append(future)
        self._start(push)
        self._connection.attend()

    def _push_batch(self, jobs: Iterable[Mapping[str, Any]]) -> list[int]:
        batches = _calls.batches_of(self._name_json, jobs)
        self._connection.ensure()
        for entry, _ in batches:
            self._connection.submit(entry)
        for entry, _ in batches:
            self._connection.wait(entry)
        return _calls.read_batches(batches)

    # Single jobs

    def wait_job(self, job_id: int, timeout_s: float = 30.0) -> Any:
        """Wait for a job's end and return its result.

        Raises FailedError if it is in the dead-letter queue (with its last error), NotFoundError if it is gone,
        WaitTimeoutError if it has not ended in time. A failure that is retried does not end the wait.
        """
        return self._do(_calls.wait_job(job_id, timeout_s))

    def get_job(self, job_id: int) -> Job | None:
        """A job with its ``state``: waiting, delayed, waitingparent, active, completed or failed; None: unknown."""
        job: Job | None = self._do(_calls.get_job(job_id))
        return job

    def get_jobs(self, state: str, **options: Unpack[ListOptions]) -> Iterator[Job]:
        """The queue's jobs in one state, as they are listed page by page. Options: `ListOptions`."""
        cursor: str | None = None
        while True:
            jobs, cursor = self._do(_calls.jobs_page(self.name, state, options, cursor))
            yield from jobs
            if cursor is None:
                return

    def get_result(self, job_id: int) -> Any:
        """What a completed job's handler returned; None if nothing, or not kept any more."""
        return self._do(_calls.get_result(job_id))

    def get_progress(self, job_id: int) -> Progress:
        """How far a held or completed job is: ``{"progress": 0..100, "message": text or None}``."""
        progress: Progress = self._do(_calls.get_progress(job_id))
        return progress

    def cancel(self, job_id: int) -> None:
        """Remove a job that has not ended, held or not. Raises NotFoundError if there is none."""
        self._do(_calls.simple("CANCEL", id=job_id))

    # The dead-letter queue

    def get_dlq(self, count: int | None = None) -> list[Job]:
        """Jobs of the dead-letter queue, oldest first; default 100 at most."""
        jobs: list[Job] = self._do(_calls.get_dlq(self.name, count))
        return jobs

    def retry_dlq(self, job_id: int | None = None) -> int:
        """Put one job, or all, of the dead-letter queue back; returns how many."""
        return self._count("RETRYDLQ", id=job_id)

    def purge_dlq(self) -> int:
        """Empty the dead-letter queue; returns how many jobs it had."""
        return self._count("PURGEDLQ")

    # The queue as a whole

    def pause(self) -> None:
        """Stop deliveries; pushes and acknowledgements go on."""
        self._do(_calls.simple("PAUSE", queue=self.name))

    def resume(self) -> None:
        """Start deliveries again."""
        self._do(_calls.simple("RESUME", queue=self.name))

    def is_paused(self) -> bool:
        """Whether deliveries are stopped."""
        return bool(self._do(_calls.is_paused(self.name)))

    def set_rate_limit(self, limit: int, duration: int | None = None) -> None:
        """Give at most ``limit`` jobs each ``duration`` milliseconds (1000)."""
        self._do(_calls.simple("RATELIMIT", queue=self.name, limit=limit, duration=duration))

    def clear_rate_limit(self) -> None:
        """Take the rate limit away."""
        self._do(_calls.simple("RATELIMITCLEAR", queue=self.name))

    def set_concurrency(self, limit: int) -> None:
        """At most ``limit`` jobs are held at once, by all workers together."""
        self._do(_calls.simple("SETCONCURRENCY", queue=self.name, limit=limit))

    def clear_concurrency(self) -> None:
        """Take that bound away."""
        self._do(_calls.simple("CLEARCONCURRENCY", queue=self.name))

    def set_max_length(self, length: int) -> None:
        """Refuse pushes (QueueFullError, retryable) while ``length`` jobs wait, for whatever; 0 is no bound."""
        self._do(_calls.simple("SETQUEUE", queue=self.name, max_length=length))

    def drain(self) -> int:
        """Drop all jobs that wait, delayed ones included; returns how many."""
        return self._count("DRAIN")

    def obliterate(self) -> int:
        """Drop everything: jobs in every state, limits, the name; returns how many jobs."""
        return self._count("OBLITERATE")

    def counts(self) -> QueueMetrics | None:
        """The queue's own counts; None if the daemon does not know the queue."""
        counts: QueueMetrics | None = self._do(_calls.counts(self.name))
        return counts

    def stats(self) -> Stats:
        """Counts over all queues."""
        stats: Stats = self._do(_calls.stats())
        return stats

    def metrics(self) -> Metrics:
        """Totals, rates, latencies, and the counts of each queue."""
        metrics: Metrics = self._do(_calls.metrics())
        return metrics

    def events(self, *names: str) -> EventStream:
        """What happens to the queue's jobs, as it happens: an iterator of `Event`. No names: everything."""
        return self.client.events(self.name, names)

    # Crons

    def add_cron(self, name: str, schedule: str, data: Any, priority: int | None = None, **options: Any) -> None:
        """Push a job again and again. Setting an equal cron again changes nothing.

        schedule: 5 fields, or 6 with seconds first, or ``@hourly`` and the like; ``*/N`` alone: every N seconds.
        Options: `CronOptions`.
        """
        self._do(_calls.add_cron(name, self.name, schedule, data, {"priority": priority, **options}))

    def delete_cron(self, name: str) -> None:
        """Forget a cron. Raises NotFoundError if there is none, as the next three do."""
        self._do(_calls.simple("CRONDELETE", name=name))

    def run_cron(self, name: str) -> None:
        """Push a cron's job now, whatever its schedule."""
        self._do(_calls.simple("CRONRUN", name=name))

    def pause_cron(self, name: str) -> None:
        """Fire a cron no more for now."""
        self._do(_calls.simple("CRONPAUSE", name=name))

    def resume_cron(self, name: str) -> None:
        """Fire a cron again, from its next time on."""
        self._do(_calls.simple("CRONRESUME", name=name))

    def list_crons(self) -> list[CronJob]:
        """The crons of all queues."""
        crons: list[CronJob] = self._do(_calls.list_crons())
        return crons

    # Tasks

    def worker(self, **options: Any) -> Worker:
        """A worker for this queue's tasks, at the same daemon, with the same middleware. Options: those of `Worker`.

        Raises ValueError if the queue's client is one of a `FakeServer` and none is given for the worker.
        """
        from ._worker import Worker

        return Worker(self.name, self.run_task, **worker_options(self.client._place, self._middleware, options))

    def _do(self, call: Call) -> Any:
        self._connection.ensure()
        return call.read(self.client.send(call.request))

    def _count(self, command: str, **fields: Any) -> int:
        count: int = self._do(_calls.counting(command, queue=self.name, **fields))
        return count


def queue_named_by(url: str) -> str:
    """The queue that a URL names. Raises MagicQueueError if it names none."""
    from ._address import parse_url, queue_of

    return queue_of(parse_url(url))


def worker_options(place: Place | None, middleware: Sequence[Middleware], options: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a worker for the tasks of a queue: what is given, else as the queue's own."""
    if place is None and options.get("client") is None:
        raise ValueError("a worker beside a client in memory needs a client of its own: client=server.client()")
    return {**(place.arguments() if place is not None else {}), "middleware": middleware, **options}


def options_of(
    priority: int | None,
    delay: int | None,
    ttl: int | None,
    max_attempts: int | None,
    backoff: int | None,
    unique_key: str | None,
    depends_on: list[int] | None,
    timeout: int | None,
    max_backoff: int | None,
) -> dict[str, Any]:
    """The options that were given, by name."""
    options = {
        "priority": priority,
        "delay": delay,
        "ttl": ttl,
        "max_attempts": max_attempts,
        "backoff": backoff,
        "unique_key": unique_key,
        "depends_on": depends_on,
        "timeout": timeout,
        "max_backoff": max_backoff,
    }
    return _calls.given(options)
