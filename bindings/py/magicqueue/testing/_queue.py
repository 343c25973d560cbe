"""A queue without a daemon, for users' unit tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._held import HeldJob, current, failure_text, is_unrecoverable
from .._jobs import Job, from_wire
from .._middleware import Middleware, around_process
from .._queue import Queue
from .._worker import JobContext, Worker
from ._server import START_MS, FakeServer


class FakeQueue(Queue):
    """A queue of a daemon in memory, its own or a shared one, whose time stands still until `advance`.

    now: the time at the start, in milliseconds since the Unix epoch; default 2026-01-01. Use it where the program
    expects a `Queue`, then `run` its handler.
    """

    def __init__(
        self,
        name: str,
        server: FakeServer | None = None,
        *,
        now: int = START_MS,
        middleware: Sequence[Middleware] = (),
    ) -> None:
        self.server = server if server is not None else FakeServer(now)
        super().__init__(name, client=self.server.client(), middleware=middleware)

    def advance(self, ms: int) -> None:
        """Move the clock: what becomes due on the way happens."""
        self.server.advance(ms)

    def run(self, handler: Callable[[Job, Any], Any] | None = None, limit: int | None = None) -> int:
        """Run the handler (default: this queue's tasks) here and now for each job that is ready, and for those that
        become ready thereby, in order; returns how many it ran, at most ``limit``. Failures are told to the daemon in
        memory, as a worker does, but a job is tried once only: look at `get_dlq` and `get_job`, or run again.
        """
        handler = handler or self.run_task
        tried: set[int] = set()
        again: list[dict[str, Any]] = []
        self._connection.ensure()
        while limit is None or len(tried) < limit:
            row = self.client.send({"cmd": "PULL", "queue": self.name, "timeout": 0})["job"]
            if row is None:
                break
            if row["id"] in tried:
                again.append(row)
            else:
                tried.add(row["id"])
                self._run_one(handler, from_wire(Job, row))
        for row in again:
            self.client.send({"cmd": "RELEASE", "id": row["id"], "token": row["token"]})
        return len(tried)

    def worker(self, **options: Any) -> Worker:
        """A real worker, in threads, for this queue's tasks."""
        return super().worker(**{"client": self.server.client(), **options})

    def _run_one(self, handler: Callable[[Job, Any], Any], job: Job) -> None:
        context = JobContext(HeldJob(job), self._connection)
        token = current.set(context)
        try:
            with around_process(self._middleware, job, context):
                result = handler(job, context)
        except Exception as error:
            row = {"error": failure_text(error), "unrecoverable": is_unrecoverable(error)}
            self.client.send({"cmd": "FAIL", "id": job.id, "token": job.token, **row})
        else:
            self.client.send({"cmd": "ACK", "id": job.id, "token": job.token, "result": result})
        finally:
            current.reset(token)
