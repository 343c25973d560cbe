"""The worker for asyncio: each job is a task of the event loop."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from .._acknowledging import done
from .._client import OnConnection
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
        self.drain_s = drain_s
        self.signals = signals
        self.middleware = tuple(middleware)
        self._counts = (check_count("concurrency", concurrency), check_count("batch_size", batch_size))
        self._lease_ms = None if lease_ms is None else check_count("lease_ms", lease_ms)
        self._place: dict[str, Any] = {
            "host": host,
            "port": port,
            "unix_socket": unix_socket,
            "token": token,
            "url": url,
            "connection": connection,
            "on_connection": on_connection,
        }
        self.client = client or MagicQueueClient(**self._place)
        self._owns_client = client is None
        self._connection = self.client._connection
        listeners = {"completed": on_completed, "failed": on_failed, "lost": on_lost, "error": on_error}
        self._teller = Teller(queue_name, listeners)
        self._notices: deque[tuple[str, tuple[Any, ...]]] = deque()
        self._tasks: dict[HeldJob, asyncio.Task[None]] = {}
        self._threads = Threads()
        self._is_async = inspect.iscoroutinefunction(inspect.unwrap(handler))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed: asyncio.Event | None = None
        self._flow: Flow | None = None
        self._drain_asked: float | None = None
        self._stop_at: float | None = None

    @classmethod
    def from_url(cls, url: str, handler: Handler, **options: Any) -> Worker:
        """A worker of the queue that ``mq://token@host:port/queue`` names. Raises MagicQueueError if it names none."""
        return cls(queue_named_by(url), handler, url=url, **options)

    async def start(self) -> None:
        """Work until `stop`, or until cancelled. Waits for a daemon that is not there yet.

        Raises RefusedError if the daemon refuses the worker for good; RuntimeError if it runs already.
        """
        if self._flow is not None:
            raise RuntimeError("the worker runs already")
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        flow = self._flow = Flow(
            self, self._connection.core, self._connection.submit, self.name, *self._counts, self._lease_ms
        )
        if self._drain_asked is not None:
            self.stop(self._drain_asked)
        watched = self._watch_signals()
        try:
            self._connection.start()
            flow.begin(self.now())
            await self._look_after(lambda: self._stop_at is not None or flow.failure is not None, None)
            if flow.failure is None:
                await self._drain(flow)
        finally:
            for number in watched:
                self._loop.remove_signal_handler(number)
            await self._end(flow)
        if flow.failure is not None:
            raise flow.failure

    def stop(self, drain_s: float | None = None) -> None:
        """Ask the worker to stop, in its loop's thread; `start` returns when it has. As `magicqueue.Worker.stop`."""
        drain_s = self.drain_s if drain_s is None else drain_s
        if self._flow is None:
            self._drain_asked = drain_s
            return
        until = self.now() + drain_s
        self._stop_at = until if self._stop_at is None else min(self._stop_at, until)
        self._flow.stop()
        self.wake()

    # For the flow

    def launch(self, held: HeldJob) -> None:
        assert self._loop is not None
        task = self._tasks[held] = self._loop.create_task(self._handle(held))
        task.add_done_callback(lambda _task: self._tasks.pop(held, None))

    def give_up(self, held: HeldJob) -> None:
        task = self._tasks.get(held)
        if task is not None:
            task.cancel()

    def tell(self, kind: str, *arguments: Any) -> None:
        if self._teller.is_wanted(kind):
            self._notices.append((kind, arguments))
            self.wake()

    def wake(self) -> None:
        if self._changed is not None:
            self._changed.set()

    def now(self) -> float:
        assert self._loop is not None
        return self._loop.time()

    # The run

    def _watch_signals(self) -> Sequence[int]:
        if not self.signals or threading.current_thread() is not threading.main_thread():
            return ()
        assert self._loop is not None
        for number in SIGNALS:
            self._loop.add_signal_handler(number, self._on_signal)
        return SIGNALS

    def _on_signal(self) -> None:
        self.stop(None if self._stop_at is None else 0)

    async def _look_after(self, is_over: Callable[[], bool], until: float | None) -> None:
        assert self._changed is not None and self._flow is not None
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

    async def _drain(self, flow: Flow) -> None:
        while flow.running > 0 and self._stop_at is not None and self.now() < self._stop_at:
            before = self._stop_at
            await self._look_after(lambda: flow.running == 0 or self._stop_at != before, before)  # noqa: B023
        flow.give_back_rest()
        core = self._connection.core
        await self._look_after(lambda: flow.is_settled or not core.is_open, self.now() + SETTLE_S)

    async def _end(self, flow: Flow) -> None:
        if not flow.is_stopping:
            flow.stop()
            flow.give_back_rest()
        count = len(flow.late)
        await self.client.close()
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=SETTLE_S)
        flow.leave()
        self._threads.end()
        self._threads = Threads()
        await self._tell_all()
        late = flow.late[count:]
        if late and self._lease_ms is not None and self._owns_client:
            async with MagicQueueClient(**self._place) as client:
                await client._connection.request(Entry(release_text(late), resend=True))
        self._flow = self._drain_asked = self._stop_at = None

    async def _handle(self, held: HeldJob) -> None:
        assert self._flow is not None
        flow = self._flow
        context = JobContext(held, self._connection, self._threads)
        current.set(context)
        try:
            with around_process(self.middleware, held.job, context):
                if self._is_async:
                    result = await self.handler(held.job, context)
                else:
                    result = await context.to_thread(self.handler, held.job, context)
            one = done(held, result)
        except BaseException as error:
            if _is_cancelled_from_outside(error):
                flow.given_up(held)
            else:
                flow.raised(held, error)
        else:
            flow.returned(one)


def _is_cancelled_from_outside(error: BaseException) -> bool:
    """Whether a handler's task is cancelled, as by the end of the loop, and not only something that it waited for.

    Before Python 3.11 that cannot be told, and the job fails.
    """
    task: Any = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and hasattr(task, "cancelling") and task.cancelling() > 0
