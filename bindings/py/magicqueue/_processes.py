"""Handlers in processes: each child is a worker of its own, with a connection of its own, and one handler at a time.

A child that dies gives its jobs back by the end of its connection, and is replaced. It is told to stop over a pipe,
with the time that it has; when the pipe ends, its parent has died, and it stops too. Signals are often sent to the
whole group (Ctrl-C, a service manager): they make a child drain, and never end that sooner; that is for the parent.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from dataclasses import dataclass
from multiprocessing import connection as pipes
from time import monotonic
from typing import TYPE_CHECKING, Any

from ._core import Backoff
from ._signals import stopping_on_signals
from ._worker import Run, Worker, logger
from .errors import MagicQueueError

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    Pipe = pipes.Connection[Any, Any]

GRACE_S = 5.0
"""What a child has to end, beyond its time to drain, before it is killed."""

HEALTHY_S = 5.0
"""A child that has lived so long is replaced at once; one that dies sooner after a wait that grows."""

REFUSED = 3
"""Exit status of a child that the daemon has refused for good; the error is in its pipe."""


@dataclass(frozen=True)
class Child:
    """A process, when it was started, and the pipe to it."""

    process: SpawnProcess
    started_at: float
    pipe: Pipe

    def stop(self, drain_s: float) -> None:
        """Ask it to stop, again with less time if need be."""
        try:
            self.pipe.send(drain_s)
        except OSError:
            # It has ended: the next look finds that.
            return

    def failure(self) -> MagicQueueError | None:
        """What the daemon has refused it with, if that was its end."""
        if self.process.exitcode != REFUSED or not self.pipe.poll():
            return None
        error: MagicQueueError = self.pipe.recv()
        return error

    def close(self) -> None:
        self.process.join()
        self.pipe.close()


class ProcessRun(Run):
    """Starts the children, replaces those that die, stops them."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._context = multiprocessing.get_context("spawn")
        self._children: dict[int, Child] = {}
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
                missing_at = max(missing_at, self._reap())
            self._stop()
        finally:
            for child in self._children.values():
                child.process.kill()
                child.close()
            with self._lock:
                self._bell.close()
                self._clapper.close()

    def _spawn(self) -> None:
        worker = self._worker
        options: dict[str, Any] = {
            **worker._place.arguments(),
            "batch_size": worker.batch_size,
            "lease_ms": worker.lease_ms,
            "drain_s": worker.drain_s,
            "middleware": worker.middleware,
            **{f"on_{kind}": listener for kind, listener in worker._listeners.items()},
        }
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_run_child, args=(worker.name, worker.handler, options, theirs))
        try:
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._children[process.sentinel] = Child(process, monotonic(), ours)

    def _wait(self, timeout_s: float | None) -> None:
        if self._bell in pipes.wait([self._bell, *self._children], timeout_s):
            self._bell.recv_bytes()

    def _reap(self) -> float:
        """Forget the children that have ended; when they may be replaced. Raises the refusal of one."""
        replace_at = 0.0
        for sentinel, child in list(self._children.items()):
            process = child.process
            if process.is_alive():
                continue
            del self._children[sentinel]
            failure = child.failure()
            child.close()
            if self._stop_at is not None:
                continue
            if failure is not None:
                raise failure
            self._failures = 0 if monotonic() - child.started_at >= HEALTHY_S else self._failures + 1
            logger.warning("worker process %s of %s ended with %s", process.pid, self._worker.name, process.exitcode)
            if self._failures > 0:
                replace_at = monotonic() + Backoff(0.1, 5.0).wait_s(self._failures)
        return replace_at

    def _stop(self) -> None:
        told: float | None = None
        while self._children and self._stop_at is not None:
            if told != self._stop_at:
                told = self._stop_at
                for child in self._children.values():
                    child.stop(max(0.0, told - monotonic()))
            left_s = told + GRACE_S - monotonic()
            if left_s <= 0:
                return
            self._wait(left_s)
            self._reap()


def _run_child(name: str, handler: Any, options: dict[str, Any], pipe: Pipe) -> None:
    """The whole of a child."""
    worker = Worker(name, handler, signals=False, **options)
    threading.Thread(target=_stop_when_told, args=(pipe, worker), daemon=True).start()
    try:
        with stopping_on_signals(lambda _is_again: worker.stop()):
            worker.start()
    except MagicQueueError as error:
        pipe.send(error)
        os._exit(REFUSED)


def _stop_when_told(pipe: Pipe, worker: Worker) -> None:
    while True:
        try:
            worker.stop(pipe.recv())
        except (EOFError, OSError):
            # The parent has died, whatever of.
            worker.stop()
            return
