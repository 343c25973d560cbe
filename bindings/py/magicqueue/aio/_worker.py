"""The worker for asyncio: each job is a task of the event loop."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from .._acknowledging import done
from .._client import OnConnection, Place
from .._commands import NotFoundError
from .._core import ConnectionOptions, Entry
from .._flow import Flow, check_count, progress_text, release_text
from .._held import BaseContext, HeldJob, current
from .._jobs import Job
from .._middleware import Middleware, around_process
from .._queue import queue_named_by
from .._signals import SIGNALS
from .._worker import SETTLE_S, Handler, Teller
from ..errors import JobLostError
from ._client import MagicQueueClient
from ._connection import AsyncConnection
from ._threads import Threads


class JobContext(BaseContext):
    """What a handler knows besides its job; each job has its own."""

    def __init__(self, held: HeldJob, connection: AsyncConnection, threads: Threads) -> None:
        super().__init__(held)
        self._connection = connection
        self._threads = threads

    async def to_thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a function that blocks in one of the worker's own threads; returns or raises what it does."""
        return await self._threads.run(function, *args, **kwargs)

    async def update_progress(self, progress: float, message: str | None = None) -> None:
        """Note how far the handler is (0 to 100), and what it is doing. Raises JobLostError if the job is not held."""
        self.raise_if_lost()
        try:
            await self._connection.request(Entry(progress_text(self.job, progress, message), resend=True))
        except NotFoundError as error:
            raise JobLostError(f"Job {self.job.id} was lost: {error}") from error


class Worker:
    """Works on the jobs of a queue; arguments as of `magicqueue.Worker`.

    A handler is ``async def``, or a plain function, which runs in a thread. One whose job is lost, has timed out, or
    has been given back by a worker that stops, is cancelled. Listeners may be coroutine functions.
    """

    def __init__(
        self,
        queue_name: str,
        handler: Handler,
        host: str | None = None,
        port: int | None = None,
        unix_socket: str | None = None,
        concurrency: int = 1,
        batch_size: int = 10,
        *,
        token: str | None = None,
        url: str | None = None,
        tls: bool | str | None = None,
        lease_ms: int | None = None,
        drain_s: float = 30.0,
        signals: bool = True,
        middleware: Sequence[Middleware] = (),
        connection: ConnectionOptions | None = None,
        on_connection: OnConnection | None = None,
        client: MagicQueueClient | None = None,
        on_completed: Callable[[Job, Any], object] | None = None,
        on_failed: Callable[[Job, BaseException], object] | None = None,
        on_lost: Callable[[Job, Exception], object] | None = None,
        on_error: Callable[[Exception], object] | None = None,
    ) -> None:
        self.name = queue_name
        self.handler = handler
        self.concurrency = check_count("concurrency", concurrency)
        self.batch_size = check_count("batch_size", batch_size)
        self.lease_ms = None if lease_ms is None else check_count("lease_ms", lease_ms)
        self.drain_s = drain_s
        self.signals = signals
        self.middleware = tuple(middleware)
        self._place = Place(host, port, unix_socket, token, url, tls, connection, on_connection)
        self._listeners: dict[str, Callable[..., object] | None] = {
            "completed": on_completed,
            "failed": on_failed,
            "lost": on_lost,
            "error": on_error,
        }
        self.client = client or MagicQueueClient(**self._place.arguments())
        self._owns_client = client is None
        self._run: TaskRun | None = None
        self._drain_asked: float | None = None

    @classmethod
    def from_url(cls, url: str, handler: Handler, **options: Any) -> Worker:
        """A worker of the queue that ``mq://token@host:port/queue`` names. Raises MagicQueueError if it names none."""
        return cls(queue_named_by(url), handler, url=url, **options)

    async def start(self) -> None:
        """Work until `stop`, or until cancelled. Waits for a daemon that is not there yet.

        Raises as `magicqueue.Worker.start`.
        """
        if self._run is not None:
            raise RuntimeError("the worker runs already")
        run = self._run = TaskRun(self)
        if self._drain_asked is not None:
            run.ask_to_stop(self._drain_asked)
        try:
            await run.run()
        finally:
            self._run = self._drain_asked = None

    def stop(self, drain_s: float | None = None) -> None:
        """Ask the worker to stop, in its loop's thread; `start` returns when it has. As `magicqueue.Worker.stop`."""
        drain_s = self.drain_s if drain_s is None else drain_s
        if self._run is None:
            self._drain_asked = drain_s
        else:
            self._run.ask_to_stop(drain_s)


class TaskRun:
    """One run of a worker, from start() to its end: handlers are tasks of the running loop."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._connection = worker.client._connection
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._teller = Teller(worker.name, worker._listeners)
        self._notices: deque[tuple[str, tuple[Any, ...]]] = deque()
        self._tasks: dict[HeldJob, asyncio.Task[None]] = {}
        self._threads = Threads()
        self._is_async = inspect.iscoroutinefunction(inspect.unwrap(worker.handler))
        self._stop_at: float | None = None
        self._flow = Flow(
            self,
            self._connection.core,
            self._connection.submit,
            worker.name,
            worker.concurrency,
            worker.batch_size,
            worker.lease_ms,
        )

    def ask_to_stop(self, drain_s: float) -> None:
        until = self.now() + drain_s
        self._stop_at = until if self._stop_at is None else min(self._stop_at, until)
        self._flow.stop()
        self.wake()

    async def run(self) -> None:
        flow = self._flow
        watched = self._watch_signals()
        try:
            self._connection.start()
            flow.begin(self.now())
            await self._look_after(lambda: self._stop_at is not None or flow.failure is not None, None)
            if flow.failure is None:
                await self._drain()
        finally:
            for number in watched:
                self._loop.remove_signal_handler(number)
            await self._end()
        if flow.failure is not None:
            raise flow.failure

    # For the flow

    def launch(self, held: HeldJob) -> None:
        task = self._tasks[held] = _task_of(self._loop, self._handle(held))
        task.add_done_callback(lambda task: self._ended(held, task))

    def _ended(self, held: HeldJob, task: asyncio.Task[None]) -> None:
        del self._tasks[held]
        if task.cancelled():
            # It was cancelled before it began: nothing of it has run, not even what says that it has ended.
            self._flow.given_up(held)

    def give_up(self, held: HeldJob) -> None:
        task = self._tasks.get(held)
        if task is not None:
            task.cancel()

    def tell(self, kind: str, *arguments: Any) -> None:
        if self._teller.is_wanted(kind):
            self._notices.append((kind, arguments))
            self.wake()

    def wake(self) -> None:
        self._changed.set()

    def now(self) -> float:
        return self._loop.time()

    # The task of start()

    def _watch_signals(self) -> Sequence[int]:
        if not self._worker.signals or threading.current_thread() is not threading.main_thread():
            return ()
        for number in SIGNALS:
            self._loop.add_signal_handler(number, self._on_signal)
        return SIGNALS

    def _on_signal(self) -> None:
        self.ask_to_stop(self._worker.drain_s if self._stop_at is None else 0)

    async def _look_after(self, is_over: Callable[[], bool], until: float | None) -> None:
        """Send heartbeats, call listeners, until it is over or the time is."""
        while True:
            await self._tell_all()
            self._changed.clear()
            now = self.now()
            self._flow.tick(now)
            if is_over() or (until is not None and now >= until):
                return
            times = [time for time in (until, self._flow.next_due()) if time is not None]
            try:
                await asyncio.wait_for(self._changed.wait(), max(0.0, min(times) - now) if times else None)
            except asyncio.TimeoutError:
                continue

    async def _tell_all(self) -> None:
        while self._notices:
            kind, arguments = self._notices.popleft()
            told = self._teller.tell(kind, arguments)
            if inspect.isawaitable(told):
                await told

    async def _drain(self) -> None:
        flow, core = self._flow, self._connection.core
        while flow.running > 0 and self._stop_at is not None and self.now() < self._stop_at:
            before = self._stop_at
            await self._look_after(lambda: flow.running == 0 or self._stop_at != before, before)  # noqa: B023
        flow.give_back_rest()
        await self._look_after(lambda: flow.is_settled or not core.is_open, self.now() + SETTLE_S)

    async def _end(self) -> None:
        flow, worker = self._flow, self._worker
        if not flow.is_stopping:
            flow.stop()
            flow.give_back_rest()
        count = len(flow.late)
        await worker.client.close()
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=SETTLE_S)
        flow.leave()
        self._threads.end()
        await self._tell_all()
        late = flow.late[count:]
        if late and worker.lease_ms is not None and worker._owns_client:
            async with MagicQueueClient(**worker._place.arguments()) as client:
                await client._connection.request(Entry(release_text(late), resend=True))

    async def _handle(self, held: HeldJob) -> None:
        flow, worker = self._flow, self._worker
        context = JobContext(held, self._connection, self._threads)
        current.set(context)
        try:
            with around_process(worker.middleware, held.job, context):
                if self._is_async:
                    result = await worker.handler(held.job, context)
                else:
                    result = await context.to_thread(worker.handler, held.job, context)
            one = done(held, result)
        except BaseException as error:
            if _is_cancelled_from_outside(error):
                flow.given_up(held)
            else:
                flow.raised(held, error)
        else:
            flow.returned(one)


if sys.version_info >= (3, 11):

    def _task_of(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return loop.create_task(coroutine)

else:

    class _CountingTask(asyncio.Task[None]):
        """Counts how often it was cancelled, as every task does since Python 3.11."""

        _cancels = 0

        def cancel(self, msg: Any = None) -> bool:
            self._cancels += 1
            return super().cancel(msg)

        def cancelling(self) -> int:
            return self._cancels

    def _task_of(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return _CountingTask(coroutine, loop=loop)


def _is_cancelled_from_outside(error: BaseException) -> bool:
    """Whether a handler's task is cancelled, as by the end of the loop, and not only something that it waited for."""
    task: Any = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task.cancelling() > 0
