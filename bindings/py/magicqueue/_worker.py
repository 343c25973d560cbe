"""The worker for threads: start() blocks, leads the connection, and looks after a crew of threads for the handlers."""

from __future__ import annotations

import inspect
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from time import monotonic
from typing import Any

from ._acknowledging import done
from ._client import MagicQueueClient, OnConnection, Place
from ._commands import NotFoundError
from ._connection import Connection
from ._core import ConnectionOptions, Entry
from ._flow import Flow, check_count, progress_text, release_text
from ._held import BaseContext, HeldJob, current
from ._jobs import Job
from ._middleware import Middleware, around_process
from ._queue import queue_named_by
from ._signals import stopping_on_signals
from .errors import JobLostError

SETTLE_S = 2.0
"""How long a stopping worker waits for the daemon to take note of what was done."""

Handler = Callable[[Job, Any], Any]
logger = logging.getLogger("magicqueue")


class JobContext(BaseContext):
    """What a handler knows besides its job; each job has its own."""

    def __init__(self, held: HeldJob, connection: Connection) -> None:
        super().__init__(held)
        self._connection = connection

    def update_progress(self, progress: float, message: str | None = None) -> None:
        """Note how far the handler is (0 to 100), and what it is doing. Raises JobLostError if the job is not held."""
        self.raise_if_lost()
        try:
            self._connection.request(Entry(progress_text(self.job, progress, message), resend=True))
        except NotFoundError as error:
            raise JobLostError(f"Job {self.job.id} was lost: {error}") from error


class Worker:
    """Works on the jobs of a queue.

    handler(job, context): what it returns is stored as the job's result; what it raises makes the job fail (it is
    retried, or goes to the dead-letter queue after ``max_attempts``), `UnrecoverableError` sends it there at once. A
    handler that is ``async def`` runs in an event loop, ``concurrency`` of them at once.

    concurrency: handlers that run at once. batch_size: jobs fetched ahead, the next one included; with 1 none waits
    here while another worker is idle. executor: ``threads``, or ``processes``, where each handler has a process of its
    own (started anew: the handler must be importable). lease_ms: holds jobs for so long, whatever becomes of the
    connection, and renews that by heartbeats while they run. drain_s: how long stopping waits for running handlers.
    signals: SIGTERM and SIGINT stop a worker that was started in the main thread; a second one does not wait for
    handlers. middleware: hooks around the handler. client: one for this worker alone.

    on_completed(job, result), on_failed(job, error), on_lost(job, error: somebody else will run it) and on_error(error:
    the connection is in trouble, the worker goes on) are called in the thread of start(); without the latter three it
    is logged, by the logger ``magicqueue``. The rest is as of `MagicQueueClient`.
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
        executor: str = "threads",
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
        if executor not in ("threads", "processes"):
            raise ValueError(f"executor is threads or processes, not {executor!r}")
        if executor == "processes" and client is not None:
            raise ValueError("processes cannot share a client")
        self.name = queue_name
        self.handler = handler
        self.concurrency = check_count("concurrency", concurrency)
        self.batch_size = check_count("batch_size", batch_size)
        self.lease_ms = None if lease_ms is None else check_count("lease_ms", lease_ms)
        self.executor = executor
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
        self._stop_lock = threading.Lock()
        self._run: Run | None = None
        self._was_stopped = False

    @classmethod
    def from_url(cls, url: str, handler: Handler, **options: Any) -> Worker:
        """A worker of the queue that ``mq://token@host:port/queue`` names. Raises MagicQueueError if it names none."""
        return cls(queue_named_by(url), handler, url=url, **options)

    def start(self) -> None:
        """Work until `stop`. Waits for a daemon that is not there yet.

        Raises RefusedError if the daemon refuses the worker for good: a wrong token, a bad queue name;
        ConfigurationError if the two are set up differently; RuntimeError if it runs already.
        """
        run = self._new_run()
        with self._stop_lock:
            if self._run is not None:
                raise RuntimeError("the worker runs already")
            self._run = run
            if self._was_stopped:
                run.ask_to_stop(self.drain_s)
        try:
            if self.signals:
                with stopping_on_signals(self._on_signal):
                    run.run()
            else:
                run.run()
        finally:
            with self._stop_lock:
                self._run = None
                self._was_stopped = False

    def stop(self, drain_s: float | None = None) -> None:
        """Ask the worker to stop, from any thread; `start` returns when it has.

        It pulls no more, gives back the jobs that have not started, waits so many seconds for running handlers
        (default: as constructed), and gives back their jobs then, with no attempt spent. Asked before it has begun it
        stops as soon as it does.
        """
        with self._stop_lock:
            if self._run is None:
                self._was_stopped = True
            else:
                self._run.ask_to_stop(self.drain_s if drain_s is None else drain_s)

    def _on_signal(self, is_again: bool) -> None:
        self.stop(0 if is_again else None)

    def _new_run(self) -> Run:
        if self.executor == "processes":
            from ._processes import ProcessRun

            return ProcessRun(self)
        if inspect.iscoroutinefunction(inspect.unwrap(self.handler)):
            from .aio._threaded import LoopRun

            return LoopRun(self)
        return ThreadRun(self)


class Run:
    """One run of a worker, from start() to its end."""

    def run(self) -> None:
        """Work until asked to stop."""
        raise NotImplementedError

    def ask_to_stop(self, drain_s: float) -> None:
        """May be called by any thread, and again with less time."""
        raise NotImplementedError


class Teller:
    """Passes what happens on to a worker's listeners, or to the log."""

    def __init__(self, queue: str, listeners: dict[str, Callable[..., object] | None]) -> None:
        self._queue = queue
        self._listeners = listeners

    def is_wanted(self, kind: str) -> bool:
        return kind != "completed" or self._listeners["completed"] is not None

    def tell(self, kind: str, arguments: tuple[Any, ...]) -> object:
        """What the listener returns."""
        listener = self._listeners[kind]
        if listener is not None:
            try:
                return listener(*arguments)
            except Exception:
                logger.exception("the listener on_%s of a worker of %s has failed", kind, self._queue)
        elif kind == "error":
            logger.warning("worker of %s: %s", self._queue, arguments[0])
        elif kind == "failed":
            logger.warning("job %d of %s has failed", arguments[0].id, self._queue, exc_info=arguments[1])
        elif kind == "lost":
            logger.warning("worker of %s: %s", self._queue, arguments[1])
        return None


class ThreadRun(Run):
    """Handlers in threads."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._connection = worker.client._connection
        self._teller = Teller(worker.name, worker._listeners)
        self._todo: SimpleQueue[HeldJob | None] = SimpleQueue()
        self._notices: deque[tuple[str, tuple[Any, ...]]] = deque()
        self._alarm = Entry("")
        self._pulse = threading.Event()
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
        with self._connection.lock:
            until = monotonic() + drain_s
            self._stop_at = until if self._stop_at is None else min(self._stop_at, until)
            self._flow.stop()
            self.wake()

    def run(self) -> None:
        threads = [
            threading.Thread(target=self._work, name=f"magicqueue-{self._worker.name}-{number}", daemon=True)
            for number in range(self._worker.concurrency)
        ]
        for thread in threads:
            thread.start()
        try:
            self._connection.start()
            with self._connection.lock:
                self._flow.begin(monotonic())
            self._look_after(lambda: self._stop_at is not None or self._flow.failure is not None, None)
            if self._flow.failure is None:
                self._drain()
        finally:
            self._end(threads)
        if self._flow.failure is not None:
            raise self._flow.failure

    # For the flow: called with the lock held

    def launch(self, held: HeldJob) -> None:
        self._todo.put(held)

    def give_up(self, held: HeldJob) -> None:
        """A thread cannot be ended from outside: its handler may look at its context."""

    def tell(self, kind: str, *arguments: Any) -> None:
        if self._teller.is_wanted(kind):
            self._notices.append((kind, arguments))
            self.wake()

    def wake(self) -> None:
        if not self._alarm.is_settled:
            self._alarm.settle({})
            self._pulse.set()
            self._connection.wake()

    def now(self) -> float:
        return monotonic()

    # The thread of start()

    def _look_after(self, is_over: Callable[[], bool], until: float | None) -> None:
        """Lead the connection, send heartbeats, call listeners, until it is over or the time is."""
        while True:
            while self._notices:
                kind, arguments = self._notices.popleft()
                self._teller.tell(kind, arguments)
            with self._connection.lock:
                now = monotonic()
                self._flow.tick(now)
                if is_over() or (until is not None and now >= until):
                    return
                if not self._notices:
                    self._alarm = Entry("")
                    self._pulse.clear()
                alarm = self._alarm
                times = [time for time in (until, self._flow.next_due()) if time is not None]
                wait_s = max(0.0, min(times) - now) if times else None
            if not self._connection.wait(alarm, wait_s) and self._connection.is_over:
                self._pulse.wait(wait_s)

    def _drain(self) -> None:
        flow, connection = self._flow, self._connection
        while flow.running > 0 and self._stop_at is not None and monotonic() < self._stop_at:
            before = self._stop_at
            self._look_after(lambda: flow.running == 0 or self._stop_at != before, before)  # noqa: B023
        with connection.lock:
            flow.give_back_rest()
        self._look_after(lambda: flow.is_settled or not connection.core.is_open, monotonic() + SETTLE_S)

    def _end(self, threads: Sequence[threading.Thread]) -> None:
        flow = self._flow
        with self._connection.lock:
            if not flow.is_stopping:
                # Something was raised in the thread of start().
                flow.stop()
                flow.give_back_rest()
        for _ in threads:
            self._todo.put(None)
        count = len(flow.late)
        self._worker.client.close()
        with self._connection.lock:
            flow.is_stopping = True
            flow.leave()
        while self._notices:
            kind, arguments = self._notices.popleft()
            self._teller.tell(kind, arguments)
        self._release_late(flow.late[count:])

    def _release_late(self, jobs: list[Job]) -> None:
        """Leased jobs that came while the connection was closing, which could not be given back on it."""
        if jobs and self._worker.lease_ms is not None and self._worker._owns_client:
            with MagicQueueClient(**self._worker._place.arguments()) as client:
                client._connection.request(Entry(release_text(jobs), resend=True))

    # The threads of the handlers

    def _work(self) -> None:
        while True:
            held = self._todo.get()
            if held is None:
                return
            self._handle(held)
            del held

    def _handle(self, held: HeldJob) -> None:
        if not held.is_held:
            # It was lost before its handler began.
            with self._connection.lock:
                self._flow.given_up(held)
            return
        context = JobContext(held, self._connection)
        worker = self._worker
        current.set(context)
        try:
            if worker.middleware:
                with around_process(worker.middleware, held.job, context):
                    result = worker.handler(held.job, context)
            else:
                result = worker.handler(held.job, context)
            one = done(held, result)
        except BaseException as error:
            with self._connection.lock:
                self._flow.raised(held, error)
        else:
            with self._connection.lock:
                self._flow.returned(one)
