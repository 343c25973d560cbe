"""The producer's side for asyncio: one queue by name. What the methods mean is said at `magicqueue.Queue`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import _calls
from .._batching import PushBatcher
from .._calls import Call
from .._client import OnConnection, Place
from .._core import ConnectionOptions, Entry, encode_json
from .._jobs import CronJob, Job, Metrics, Progress, QueueMetrics, Stats
from .._middleware import Middleware, PushCall, around_push
from .._queue import options_of, queue_named_by, worker_options
from ._client import EventStream, MagicQueueClient
from ._connection import future_of
from ._tasks import AsyncTaskBook

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._commands import PushOptions
    from .._queue import ListOptions
    from ._worker import Worker


class Queue(AsyncTaskBook):
    """A queue: pushes jobs and looks after them; arguments as of `magicqueue.Queue`. The first call connects."""

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
        self._unsettled: set[asyncio.Future[None]] = set()

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Queue:
        """The queue that ``mq://token@host:port/queue`` names. Raises MagicQueueError if it names none."""
        return cls(queue_named_by(url), url=url, **options)

    async def connect(self) -> None:
        """Connect now instead of with the first call."""
        await self.client.connect()

    async def close(self) -> None:
        """Wait for the answers to pushes that were begun, then end the connection. The next call makes a new one."""
        if self._unsettled:
            await asyncio.wait(self._unsettled)
        if self._owns_client:
            await self.client.close()

    async def __aenter__(self) -> Queue:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # Pushing

    async def push(
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
        """Add a job and return its id. Pushes that run together share a line. Raises as `magicqueue.Queue.push`."""
        options = options_of(priority, delay, ttl, max_attempts, backoff, unique_key, depends_on, timeout, max_backoff)
        job = {"data": data, **options}
        if not self._middleware:
            return await self._push_one(job)
        call = PushCall(self.name, [job])
        with around_push(self._middleware, call):
            call.ids = [await self._push_one(call.jobs[0])]
        return call.ids[0]

    async def push_batch(self, jobs: Iterable[Mapping[str, Any]]) -> list[int]:
        """Add many jobs and return their ids, in order. Raises BatchRefusedError if some of them were refused."""
        if not self._middleware:
            return await self._push_batch(jobs)
        call = PushCall(self.name, [dict(job) for job in jobs])
        with around_push(self._middleware, call):
            call.ids = await self._push_batch(call.jobs)
        return call.ids

    async def push_many(
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
        """Add a job for each payload, all with the same options; returns their ids."""
        options = options_of(priority, delay, ttl, max_attempts, backoff, None, depends_on, timeout, max_backoff)
        return await self.push_batch([{"data": data, **options} for data in items])

    async def push_and_wait(self, data: Any, *, wait_s: float = 30.0, **options: Unpack[PushOptions]) -> Any:
        """Add a job, wait for its end, and return its handler's result. Raises as `wait_job`."""
        return await self.wait_job(await self.push(data, **options), wait_s)

    async def _push_one(self, job: Mapping[str, Any]) -> int:
        push = _calls.push_of(self._name_json, job)
        await self._connection.ensure()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settled(_entry: Entry) -> None:
            self._unsettled.discard(future)
            if not future.done():
                future.set_result(None)

        push.notify = settled
        self._unsettled.add(future)
        if self._batcher is None:
            self._connection.submit(push)
        else:
            self._batcher.push(push)
        # A caller that is cancelled does not take the push back: close() still waits for it.
        await asyncio.shield(future)
        id_: int = push.result()["id"]
        return id_

    async def _push_batch(self, jobs: Iterable[Mapping[str, Any]]) -> list[int]:
        batches = _calls.batches_of(self._name_json, jobs)
        await self._connection.ensure()
        futures = [future_of(entry) for entry, _ in batches]
        for entry, _ in batches:
            self._connection.submit(entry)
        for future in futures:
            await future
        return _calls.read_batches(batches)

    # Single jobs

    async def wait_job(self, job_id: int, timeout_s: float = 30.0) -> Any:
        """Wait for a job's end and return its result.

        Raises FailedError if it is in the dead-letter queue (with its last error), NotFoundError if it is gone,
        WaitTimeoutError if it has not ended in time. A failure that is retried does not end the wait.
        """
        return await self._do(_calls.wait_job(job_id, timeout_s))

    async def get_job(self, job_id: int) -> Job | None:
        """A job with its ``state``: waiting, delayed, waitingparent, active, completed or failed; None: unknown."""
        job: Job | None = await self._do(_calls.get_job(job_id))
        return job

    async def get_jobs(self, state: str, **options: Unpack[ListOptions]) -> AsyncIterator[Job]:
        """The queue's jobs in one state, as they are listed page by page. Options: `ListOptions`."""
        cursor: str | None = None
        while True:
            jobs, cursor = await self._do(_calls.jobs_page(self.name, state, options, cursor))
            for job in jobs:
                yield job
            if cursor is None:
                return

    async def get_result(self, job_id: int) -> Any:
        """What a completed job's handler returned; None if nothing, or not kept any more."""
        return await self._do(_calls.get_result(job_id))

    async def get_progress(self, job_id: int) -> Progress:
        """How far a held or completed job is: ``{"progress": 0..100, "message": text or None}``."""
        progress: Progress = await self._do(_calls.get_progress(job_id))
        return progress

    async def cancel(self, job_id: int) -> None:
        """Remove a job that has not ended, held or not. Raises NotFoundError if there is none."""
        await self._do(_calls.simple("CANCEL", id=job_id))

    # The dead-letter queue

    async def get_dlq(self, count: int | None = None) -> list[Job]:
        """Jobs of the dead-letter queue, oldest first; default 100 at most."""
        jobs: list[Job] = await self._do(_calls.get_dlq(self.name, count))
        return jobs

    async def retry_dlq(self, job_id: int | None = None) -> int:
        """Put one job, or all, of the dead-letter queue back; returns how many."""
        return await self._count("RETRYDLQ", id=job_id)

    async def purge_dlq(self) -> int:
        """Empty the dead-letter queue; returns how many jobs it had."""
        return await self._count("PURGEDLQ")

    # The queue as a whole

    async def pause(self) -> None:
        """Stop deliveries; pushes and acknowledgements go on."""
        await self._do(_calls.simple("PAUSE", queue=self.name))

    async def resume(self) -> None:
        """Start deliveries again."""
        await self._do(_calls.simple("RESUME", queue=self.name))

    async def is_paused(self) -> bool:
        """Whether deliveries are stopped."""
        return bool(await self._do(_calls.is_paused(self.name)))

    async def set_rate_limit(self, limit: int, duration: int | None = None) -> None:
        """Give at most ``limit`` jobs each ``duration`` milliseconds (1000)."""
        await self._do(_calls.simple("RATELIMIT", queue=self.name, limit=limit, duration=duration))

    async def clear_rate_limit(self) -> None:
        """Take the rate limit away."""
        await self._do(_calls.simple("RATELIMITCLEAR", queue=self.name))

    async def set_concurrency(self, limit: int) -> None:
        """At most ``limit`` jobs are held at once, by all workers together."""
        await self._do(_calls.simple("SETCONCURRENCY", queue=self.name, limit=limit))

    async def clear_concurrency(self) -> None:
        """Take that bound away."""
        await self._do(_calls.simple("CLEARCONCURRENCY", queue=self.name))

    async def set_max_length(self, length: int) -> None:
        """Refuse pushes (QueueFullError, retryable) while ``length`` jobs wait, for whatever; 0 is no bound."""
        await self._do(_calls.simple("SETQUEUE", queue=self.name, max_length=length))

    async def drain(self) -> int:
        """Drop all jobs that wait, delayed ones included; returns how many."""
        return await self._count("DRAIN")

    async def obliterate(self) -> int:
        """Drop everything: jobs in every state, limits, the name; returns how many jobs."""
        return await self._count("OBLITERATE")

    async def counts(self) -> QueueMetrics | None:
        """The queue's own counts; None if the daemon does not know the queue."""
        counts: QueueMetrics | None = await self._do(_calls.counts(self.name))
        return counts

    async def stats(self) -> Stats:
        """Counts over all queues."""
        stats: Stats = await self._do(_calls.stats())
        return stats

    async def metrics(self) -> Metrics:
        """Totals, rates, latencies, and the counts of each queue."""
        metrics: Metrics = await self._do(_calls.metrics())
        return metrics

    async def events(self, *names: str) -> EventStream:
        """What happens to the queue's jobs, as it happens, by `async for`. No names: everything."""
        return await self.client.events(self.name, names)

    # Crons

    async def add_cron(self, name: str, schedule: str, data: Any, priority: int | None = None, **options: Any) -> None:
        """Push a job again and again. Setting an equal cron again changes nothing.

        schedule: 5 fields, or 6 with seconds first, or ``@hourly`` and the like; ``*/N`` alone: every N seconds.
        Options: `CronOptions`.
        """
        await self._do(_calls.add_cron(name, self.name, schedule, data, {"priority": priority, **options}))

    async def delete_cron(self, name: str) -> None:
        """Forget a cron. Raises NotFoundError if there is none, as the next three do."""
        await self._do(_calls.simple("CRONDELETE", name=name))

    async def run_cron(self, name: str) -> None:
        """Push a cron's job now, whatever its schedule."""
        await self._do(_calls.simple("CRONRUN", name=name))

    async def pause_cron(self, name: str) -> None:
        """Fire a cron no more for now."""
        await self._do(_calls.simple("CRONPAUSE", name=name))

    async def resume_cron(self, name: str) -> None:
        """Fire a cron again, from its next time on."""
        await self._do(_calls.simple("CRONRESUME", name=name))

    async def list_crons(self) -> list[CronJob]:
        """The crons of all queues."""
        crons: list[CronJob] = await self._do(_calls.list_crons())
        return crons

    # Tasks

    def worker(self, **options: Any) -> Worker:
        """A worker for this queue's tasks, as `magicqueue.Queue.worker`. Options: those of `Worker`."""
        from ._worker import Worker

        return Worker(self.name, self.run_task, **worker_options(self.client._place, self._middleware, options))

    async def _do(self, call: Call) -> Any:
        await self._connection.ensure()
        return call.read(await self.client.send(call.request))

    async def _count(self, command: str, **fields: Any) -> int:
        count: int = await self._do(_calls.counting(command, queue=self.name, **fields))
        return count
