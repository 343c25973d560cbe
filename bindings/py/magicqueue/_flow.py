"""What a worker does, without threads and tasks: which jobs to pull, what to do as they end, what to give back.

The worker starts handlers when it is told to (`Crew.launch`) and says how they ended (`Flow.returned`, `Flow.raised`).
Nothing here locks or reads a clock, the worker does; times are seconds of a monotonic clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ._acknowledging import Acknowledger, Done
from ._calls import is_gone
from ._core import Core, Entry, Listener, encode_json
from ._held import HeldJob
from ._jobs import Job, from_wire
from .errors import JobLostError, JobTimeoutError, NotConnectedError, RefusedError, WorkerStoppedError


class Crew(Protocol):
    """The worker, as the flow sees it. None of these may block."""

    def launch(self, held: HeldJob) -> None:
        """Start the handler."""

    def give_up(self, held: HeldJob) -> None:
        """The job is no longer ours: the handler may as well end."""

    def tell(self, kind: str, *arguments: Any) -> None:
        """Something for the listeners: completed, failed, lost, error."""

    def wake(self) -> None:
        """Look at the flow: something has changed."""

    def now(self) -> float: ...


class Flow(Listener):
    """The jobs of one worker."""

    def __init__(
        self,
        crew: Crew,
        core: Core,
        submit: Callable[[Entry], None],
        queue: str,
        concurrency: int,
        batch_size: int,
        lease_ms: int | None,
    ) -> None:
        self._crew = crew
        self._core = core
        self._submit = submit
        self._queue = queue
        self._concurrency = concurrency
        self._batch_size = batch_size
        self.lease_ms = lease_ms
        self._acks = Acknowledger(submit, self, lease_ms is not None)
        self._buffer: deque[HeldJob] = deque()
        self._held: dict[HeldJob, None] = {}
        self._is_pulling = False
        self._beat_at: float | None = None
        self.running = 0
        self.is_stopping = False
        self.failure: Exception | None = None
        self.late: list[Job] = []
        core.listeners.append(self)

    # Pulling and running

    def begin(self, now: float) -> None:
        """Start to work."""
        if self.lease_ms is not None:
            self._beat_at = now + self.lease_ms / 3000
        self.advance()

    def advance(self) -> None:
        """Start what can start, and pull when there is room."""
        while not self.is_stopping and self._buffer and self.running < self._concurrency:
            self.running += 1
            self._start(self._buffer.popleft())
        # Waiting until half of what may be fetched ahead is gone makes few large pulls of many small ones.
        waiting = len(self._buffer)
        count = self._concurrency - self.running + self._batch_size - 1 - waiting
        is_low = waiting * 2 <= self._batch_size - 1
        if is_low and count > 0 and not self._is_pulling and not self.is_stopping and self.failure is None:
            self._pull(count)

    def _pull(self, count: int) -> None:
        self._is_pulling = True
        request: dict[str, Any] = {"cmd": "PULLB", "queue": self._queue, "count": count}
        if self.lease_ms is not None:
            request["lease"] = self.lease_ms
        self._submit(
            Entry(
                encode_json(request),
                parks=True,
                resend=True,
                patient=True,
                retries=float("inf"),
                on_settled=self._pulled,
            )
        )

    def _pulled(self, entry: Entry) -> None:
        self._is_pulling = False
        error = entry.error
        if error is None:
            self._take([from_wire(Job, row) for row in entry.result()["jobs"]])
            self.advance()
        elif self.is_stopping:
            return
        elif isinstance(error, NotConnectedError) or self._core.is_closed or _is_refusal(error):
            self.failure = error
            self._crew.wake()
        else:
            self._crew.tell("error", error)
            self.advance()

    def _take(self, jobs: list[Job]) -> None:
        if self.is_stopping:
            # What was given back may come once more, to the pull that still waited; it is the last one.
            self.late += jobs
            self.release(jobs)
            return
        for job in jobs:
            held = HeldJob(job)
            self._held[held] = None
            self._buffer.append(held)

    def _start(self, held: HeldJob) -> None:
        if held.job.timeout <= 0:
            self._crew.launch(held)
            return

        def restarted(entry: Entry) -> None:
            if entry.error is not None:
                self._lose(held, entry.error)
            if held.is_held:
                held.timeout_at = self._crew.now() + held.job.timeout / 1000
                self._crew.launch(held)
                self._crew.wake()
            else:
                self._gone(held)

        # A job's timeout counts from the pull; time spent in the buffer is not the handler's.
        self._submit(Entry(_request("HEARTBEAT", held.job), on_settled=restarted))

    # How handlers end

    def returned(self, one: Done) -> None:
        """A handler has returned."""
        if one.held.is_held:
            self._acks.complete(one)
        self._gone(one.held)

    def raised(self, held: HeldJob, error: BaseException) -> None:
        """A handler has raised."""
        if held.is_held:
            self._acks.fail(held, error)
        self._gone(held)

    def given_up(self, held: HeldJob) -> None:
        """A handler was ended from outside, or did not begin: its job is given back, with no attempt spent."""
        if held.is_held:
            held.reason = WorkerStoppedError("The handler was cancelled")
            self.release([held.job])
        self._gone(held)

    def _gone(self, held: HeldJob) -> None:
        self.running -= 1
        self._held.pop(held, None)
        if self.is_stopping:
            self._crew.wake()
        else:
            self.advance()

    # Of the acknowledger

    def completed(self, held: HeldJob, result: Any) -> None:
        self._crew.tell("completed", held.job, result)

    def failed(self, held: HeldJob, error: BaseException) -> None:
        self._crew.tell("failed", held.job, error)

    def lost(self, held: HeldJob, error: JobLostError) -> None:
        self._crew.tell("lost", held.job, error)

    def settled(self) -> None:
        if self.is_stopping:
            self._crew.wake()

    # Holding

    def next_due(self) -> float | None:
        """When `tick` has something to do."""
        times = [held.timeout_at for held in self._held if held.timeout_at is not None]
        if self._beat_at is not None:
            times.append(self._beat_at)
        return min(times) if times else None

    def tick(self, now: float) -> None:
        """Send the heartbeats that are due, end what has taken too long."""
        for held in [held for held in self._held if held.timeout_at is not None and held.timeout_at <= now]:
            self._time_out(held)
        if self.lease_ms is not None and self._beat_at is not None and self._beat_at <= now:
            self._beat_at = now + self.lease_ms / 3000
            if self._core.is_open:
                for held in self._held:
                    self._beat(held)

    def _beat(self, held: HeldJob) -> None:
        def answered(entry: Entry) -> None:
            # Anything else, a lost connection say, decides nothing: the next beat comes before the lease ends.
            if entry.error is not None and is_gone(entry.error):
                self._lose(held, entry.error)

        if held.is_held:
            self._submit(Entry(_request("HEARTBEAT", held.job), on_settled=answered))

    def _time_out(self, held: HeldJob) -> None:
        held.timeout_at = None
        if not held.is_held:
            return
        error = JobTimeoutError(f"Timed out after {held.job.timeout} ms")
        if self.lease_ms is not None:
            # The heartbeats keep the daemon's own timeout from coming.
            self._acks.fail(held, error)
        else:
            self._crew.tell("lost", held.job, error)
        held.reason = error
        self._crew.give_up(held)

    def _lose(self, held: HeldJob, cause: Exception) -> None:
        if not held.is_held or held not in self._held:
            return
        error = JobLostError(f"Job {held.job.id} was lost: {cause}")
        error.__cause__ = cause
        held.reason = error
        held.timeout_at = None
        if held in self._buffer:
            self._buffer.remove(held)
            del self._held[held]
        self._crew.give_up(held)
        self._crew.tell("lost", held.job, error)

    def on_trouble(self, error: Exception, is_loss: bool) -> None:
        self._crew.tell("error", error)
        if is_loss and self.lease_ms is None:
            for held in list(self._held):
                self._lose(held, error)

    # Stopping

    def stop(self) -> None:
        """Pull no more, give back what has not started. May be called again."""
        self.is_stopping = True
        waiting, self._buffer = self._buffer, deque()
        for held in waiting:
            self._held.pop(held, None)
        self.release([held.job for held in waiting])

    def give_back_rest(self) -> None:
        """The time to drain is over: give back what still runs."""
        rest = [held for held in self._held if held.is_held]
        for held in rest:
            held.reason = WorkerStoppedError("The worker was stopped")
            held.timeout_at = None
            self._crew.give_up(held)
        self.release([held.job for held in rest])
        self._beat_at = None

    @property
    def is_settled(self) -> bool:
        """The daemon has been told everything."""
        return self._acks.is_settled

    def release(self, jobs: list[Job]) -> None:
        """Give jobs back with no attempt spent. Without a lease the end of the connection would do so too."""

        def answered(entry: Entry) -> None:
            if entry.error is not None:
                self._crew.tell("error", entry.error)

        if jobs and self._core.is_open and not self._core.is_closed:
            self._submit(Entry(release_text(jobs), on_settled=answered))

    def leave(self) -> None:
        """The worker has ended."""
        self._core.listeners.remove(self)


def release_text(jobs: Iterable[Job]) -> str:
    """The request that gives jobs back."""
    rows = [(job.id, job.token) for job in jobs]
    return encode_json({"cmd": "RELEASE", "ids": [id_ for id_, _ in rows], "tokens": [token for _, token in rows]})


def progress_text(job: Job, progress: float, message: str | None) -> str:
    """The request that notes how far a job is."""
    return encode_json({"cmd": "PROGRESS", "id": job.id, "progress": round(progress), "message": message})


def _request(command: str, job: Job) -> str:
    return encode_json({"cmd": command, "id": job.id, "token": job.token})


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, RefusedError) and not error.retryable


def check_count(name: str, value: object) -> int:
    """Raises ValueError for anything but a whole number of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} is a whole number of at least 1, not {value!r}")
    return value
