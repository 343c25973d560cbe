"""Handlers in processes: each child is a worker of its own, with a connection of its own, and one handler at a time.

A child that dies gives its jobs back by the end of its connection, and is replaced.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing import connection as pipes
from time import monotonic
from typing import TYPE_CHECKING, Any

from ._core import Backoff
from ._worker import Run, Worker, logger

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

GRACE_S = 5.0
"""What a child has to end, beyond its time to drain, before it is killed."""

HEALTHY_S = 5.0
"""A child that has lived so long is replaced at once; one that dies sooner after a wait that grows."""

REFUSED = 3
"""Exit status of a child that the daemon has refused for good."""


class ProcessRun(Run):
    """Starts the children, replaces those that die, stops them."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._context = multiprocessing.get_context("spawn")
        self._children: dict[int, tuple[SpawnProcess, float]] = {}
        self._failures = 0
        self._stop_at: float | None = None
        self._bell, self._clapper = self._context.Pipe(duplex=False)
        self._lock = threading.Lock()

    def ask_to_stop(self, drain_s: float) -> None:
        with self._lock:
            until = monotonic() + drain_s
            self._stop_at = until if self._stop_at is None else min(self._stop_at, until)
            if not self._clapper.closed:
                self._clapper.send_bytes(b"!")

    def run(self) -> None:
        try:
            missing_at = 0.0
            while self._stop_at is None:
                now = monotonic()
                if len(self._children) < self._worker.concurrency and now >= missing_at:
                    self._spawn()
                    continue
                is_full = len(self._children) >= self._worker.concurrency
                self._wait(None if is_full else missing_at - now)
                missing_at = self._reap()
            self._stop()
        finally:
            for process, _ in self._children.values():
                process.kill()
                process.join()
            with self._lock:
                self._bell.close()
                self._clapper.close()

    def _spawn(self) -> None:
        worker = self._worker
        options: dict[str, Any] = {
            **worker.place,
            "batch_size": worker.batch_size,
            "lease_ms": worker.lease_ms,
            "drain_s": worker.drain_s,
            "middleware": worker.middleware,
            **{f"on_{kind}": listener for kind, listener in worker.listeners.items()},
        }
        process = self._context.Process(target=_run_child, args=(worker.name, worker.handler, options))
        process.start()
        self._children[process.sentinel] = (process, monotonic())

    def _wait(self, timeout_s: float | None) -> None:
        if self._bell in pipes.wait([self._bell, *self._children], timeout_s):
            self._bell.recv_bytes()

    def _reap(self) -> float:
        """Forget the children that have ended; when they may be replaced. Raises RuntimeError if that is no use."""
        replace_at = 0.0
        for sentinel, (process, started_at) in list(self._children.items()):
            if process.is_alive():
                continue
            process.join()
            del self._children[sentinel]
            if self._stop_at is not None:
                continue
            if process.exitcode == REFUSED:
                raise RuntimeError(f"the daemon has refused the workers of {self._worker.name}: see their log")
            self._failures = 0 if monotonic() - started_at >= HEALTHY_S else self._failures + 1
            logger.warning("worker process %s of %s ended with %s", process.pid, self._worker.name, process.exitcode)
            if self._failures > 0:
                replace_at = monotonic() + Backoff(0.1, 5.0).wait_s(self._failures)
        return replace_at

    def _stop(self) -> None:
        signalled: float | None = None
        while self._children and self._stop_at is not None:
            if signalled != self._stop_at:
                # The first signal makes a child drain, a second one ends that.
                is_sooner = signalled is not None
                signalled = self._stop_at
                for process, _ in self._children.values():
                    if not is_sooner or signalled <= monotonic():
                        process.terminate()
            left_s = self._stop_at + GRACE_S - monotonic()
            if left_s <= 0:
                return
            until_drained_s = self._stop_at - monotonic()
            self._wait(until_drained_s if until_drained_s > 0 else left_s)
            if until_drained_s > 0 and monotonic() >= self._stop_at:
                for process, _ in self._children.values():
                    process.terminate()
            self._reap()


def _run_child(name: str, handler: Any, options: dict[str, Any]) -> None:
    """The whole of a child. Ends when its parent does, whatever became of that."""
    from .errors import MagicQueueError

    worker = Worker(name, handler, **options)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_stop_with_parent, args=(parent.sentinel, worker), daemon=True).start()
    try:
        worker.start()
    except MagicQueueError as error:
        logger.error("worker process of %s: %s", name, error)
        os._exit(REFUSED)


def _stop_with_parent(sentinel: int, worker: Worker) -> None:
    pipes.wait([sentinel])
    worker.stop()
