"""The threads that answer requests over HTTP.

The thread that has worked last works next, so under little load few of them run, and what they use stays in the
processor's caches; waitress's own pool wakes the one that has slept longest.
"""

import logging
import threading
import time
from collections import deque
from typing import Protocol

_log = logging.getLogger("mqfast.http")


class Task(Protocol):
    """A channel with a request."""

    def service(self) -> None: ...


class _Worker:
    """A thread's bell and what it is to do when it rings; None: to end."""

    def __init__(self) -> None:
        self.bell = threading.Lock()
        self.bell.acquire()
        self.task: Task | None = None


class Pool:
    """Threads that work on tasks in the order in which they come. start() and stop() once, on one thread."""

    def __init__(self, count: int) -> None:
        self._workers = [_Worker() for _ in range(count)]
        self._threads = [
            threading.Thread(target=self._run, args=(worker,), name=f"http-{number}", daemon=True)
            for number, worker in enumerate(self._workers)
        ]
        self._lock = threading.Lock()  # all below
        self._tasks: deque[Task] = deque()
        self._idle: list[_Worker] = []
        self._stopping = False

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def add_task(self, task: Task) -> None:
        """Have a thread work on it. From any thread; waitress calls it."""
        with self._lock:
            if not self._idle:
                self._tasks.append(task)
                return
            worker = self._idle.pop()
            worker.task = task
        worker.bell.release()

    def stop(self) -> None:
        """Have the threads end when they have done what they are at."""
        with self._lock:
            self._stopping = True
            self._tasks.clear()
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.bell.release()

    def join(self, seconds: float) -> bool:
        """Wait for the threads to end. False if some do not in time."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, worker: _Worker) -> None:
        while (task := self._next(worker)) is not None:
            try:
                task.service()
            except Exception:
                _log.exception("a request was given up")

    def _next(self, worker: _Worker) -> Task | None:
        with self._lock:
            if self._stopping:
                return None
            if self._tasks:
                return self._tasks.popleft()
            worker.task = None
            self._idle.append(worker)
        worker.bell.acquire()
        return worker.task
