"""A daemon in memory whose time stands still until the test moves it.

It follows the daemon's contract for jobs: order, delays, retries with backoff, timeouts, time to live, leases, unique
keys, dependencies, the dead-letter queue, pause, concurrency, events. Rate limits and crons are kept and listed, not
enforced or fired (CRONRUN fires one); METRICS, TOPOLOGY and CLIENTS are not there. Threads may share it.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .._commands import RETRYABLE_CODES
from .._core import encode_json
from ._checking import Refusal
from ._job import FakeJob, Hold

MAX_LOSSES = 10
DEFAULT_LEASE_MS = 1_800_000


@dataclass
class QueueSettings:
    """A queue's own settings."""

    is_paused: bool = False
    rate_limit: int | None = None
    rate_duration: int | None = None
    concurrency: int | None = None
    max_length: int = 0


@dataclass(eq=False)
class Peer:
    """A connection. deliver: hands it bytes. subscriptions: names of events by queue, none for all."""

    deliver: Callable[[bytes], None]
    subscriptions: dict[str, list[str]] = field(default_factory=dict)
    seq: int = 0
    partial: bytes = b""
    is_gone: bool = False


@dataclass(eq=False)
class Waiter:
    """Something waits. poll(is_over): whether the wait is over; it has then been answered."""

    poll: Callable[[bool], bool]
    ends_at: float
    peer: Peer


class MemoryDaemon:
    """What the daemon does, for connections that are functions. now: its time at the start, ms since 1970."""

    def __init__(self, now: int) -> None:
        self.lock = threading.RLock()
        self.jobs: dict[int, FakeJob] = {}
        self.queues: dict[str, QueueSettings] = {}
        self.crons: dict[str, dict[str, Any]] = {}
        self._peers: list[Peer] = []
        self._waiters: list[Waiter] = []
        self._now = now
        self._next_id = 1
        self._next_token = 1

    @property
    def now(self) -> int:
        """Milliseconds since the Unix epoch, by the server's own clock."""
        return self._now

    def advance(self, ms: int) -> None:
        """Move the clock. What becomes due on the way happens at its time, in order."""
        with self.lock:
            target = self._now + ms
            while True:
                due = min(
                    [*(job.next_due for job in self.jobs.values()), *(one.ends_at for one in self._waiters)],
                    default=math.inf,
                )
                if due > target:
                    break
                self._now = max(self._now, int(due))
                self.settle()
            self._now = target
            self.settle()

    # Connections

    def join(self, peer: Peer) -> None:
        with self.lock:
            self._peers.append(peer)

    def feed(self, peer: Peer, data: bytes) -> None:
        """Take bytes from a connection, carry out the lines that are complete."""
        with self.lock:
            *lines, peer.partial = (peer.partial + data).split(b"\n")
            for line in lines:
                self._carry_out(peer, line)
                self.settle()

    def leave(self, peer: Peer) -> None:
        """A connection ends: what waits on it is answered, what it holds is back in the queue."""
        with self.lock:
            if peer.is_gone:
                return
            peer.is_gone = True
            own = [one for one in self._waiters if one.peer is peer]
            self._waiters = [one for one in self._waiters if one.peer is not peer]
            for one in own:
                one.poll(True)
            self._peers.remove(peer)
            for job in list(self.jobs.values()):
                if job.hold is not None and job.hold.peer is peer:
                    self._lose(job, "worker_lost")
            self.settle()

    def _carry_out(self, peer: Peer, line: bytes) -> None:
        from ._replies import execute

        request_id: dict[str, str] = {}

        def answer(members: dict[str, Any]) -> None:
            peer.deliver(encode_json({"ok": True, **members, **request_id}).encode() + b"\n")

        def refuse(error: Refusal) -> None:
            row = {"error": str(error), "code": error.code, "retryable": error.code in RETRYABLE_CODES}
            peer.deliver(encode_json({"ok": False, **row, **request_id}).encode() + b"\n")

        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise Refusal("invalid", "Invalid: a request must be an object")
            given = request.get("reqId", request.get("req_id"))
            if isinstance(given, str) and len(given.encode("utf-8", "surrogatepass")) <= 128:
                request_id["reqId"] = given
            execute(self, peer, request, answer, refuse)
        except Refusal as error:
            refuse(error)
        except ValueError:
            refuse(Refusal("invalid", "Invalid: not JSON"))

    # For the commands

    def settings_of(self, queue: str) -> QueueSettings:
        return self.queues.setdefault(queue, QueueSettings())

    def jobs_of(self, queue: str, *states: str) -> list[FakeJob]:
        """The jobs of a queue in one of these states, in the order in which they are to run."""
        jobs = [job for job in self.jobs.values() if job.queue == queue and job.state in states]
        return sorted(jobs, key=lambda job: job.order)

    def to_wire(self, job: FakeJob) -> dict[str, Any]:
        """A job as it is sent to who asks for it, with its past and what it waits for."""
        wire = {**job.to_wire(), "ended_at": job.ended_at, "errors": job.errors}
        if job.state == "waitingparent":
            wire["waits_for"] = [
                {"id": id_, "state": self.jobs[id_].state if id_ in self.jobs else "unknown"}
                for id_ in dict.fromkeys(job.row["depends_on"])
                if id_ in job.waits_for
            ]
        return wire

    def _waiting(self, queue: str) -> int:
        states = ("waiting", "delayed", "waitingparent")
        return sum(job.queue == queue and job.state in states for job in self.jobs.values())

    def push(self, queue: str, item: dict[str, Any]) -> int:
        """Add a job. Raises Refusal for a key in use, an unknown dependency, or a full queue."""
        job = FakeJob(self._next_id, queue, item, self._now)
        key = job.row["unique_key"]
        if key is not None and any(
            other.queue == queue and other.row["unique_key"] == key and not other.has_ended
            for other in self.jobs.values()
        ):
            raise Refusal("duplicate", f"Duplicate job with key: {key}")
        for id_ in list(job.waits_for):
            if id_ >= self._next_id:
                raise Refusal("not_found", f"Job {id_} not found")
            if id_ in self.jobs and self.jobs[id_].state == "completed":
                job.waits_for.discard(id_)
        settings = self.queues.get(queue)
        if settings is not None and 0 < settings.max_length <= self._waiting(queue):
            raise Refusal("queue_full", "Queue full: as many jobs wait as its max_length allows")
        self._next_id += 1
        self.settings_of(queue)
        self.jobs[job.id] = job
        self.tell(job, "pushed")
        gone = next((id_ for id_ in job.waits_for if id_ not in self.jobs), None)
        if gone is None:
            self._make_ready(job)
        else:
            job.waits_for.discard(gone)
            self._bury_dependent(job, gone)
        return job.id

    def pull(self, queue: str, peer: Peer, lease: int | None) -> FakeJob | None:
        """Give the next job to a connection, or for a lease; None if there is none that may be given."""
        settings = self.queues.get(queue, QueueSettings())
        limit = settings.concurrency
        is_full = limit is not None and len(self.jobs_of(queue, "active")) >= limit
        jobs = [] if settings.is_paused or is_full or peer.is_gone else self.jobs_of(queue, "waiting")
        if not jobs:
            return None
        job = jobs[0]
        job.state = "active"
        job.row["deliveries"] += 1
        job.row["started_at"] = self._now
        job.hold = Hold(peer if lease is None else None, f"fake-{self._next_token}", lease)
        self._next_token += 1
        self.touch(job, lease)
        self.tell(job, "active")
        return job

    def touch(self, job: FakeJob, lease: int | None) -> None:
        """Start a held job's lease and timeout again."""
        hold = job.hold
        assert hold is not None
        if hold.peer is None:
            hold.lease_ends = self._now + (lease or hold.lease or DEFAULT_LEASE_MS)
        hold.timeout_at = self._now + job.row["timeout"] if job.row["timeout"] > 0 else math.inf

    def complete(self, job: FakeJob, result: Any) -> None:
        job.state = "completed"
        job.ended_at = self._now
        job.hold = None
        job.result = result
        self.tell(job, "completed")
        for other in self.jobs.values():
            if job.id in other.waits_for:
                other.waits_for.discard(job.id)
                if other.state == "waitingparent":
                    self._make_ready(other)

    def fail(self, job: FakeJob, error: str | None, reason: str, is_unrecoverable: bool = False) -> None:
        row = job.row
        job.hold = None
        job.note_failure(error, reason, self._now)
        if is_unrecoverable or (row["max_attempts"] > 0 and row["attempts"] >= row["max_attempts"]):
            self._bury(job, reason)
            return
        row["run_at"] = self._now + min(row["max_backoff"], row["backoff"] * 2 ** (row["attempts"] - 1))
        self.tell(job, "retrying")
        self._make_ready(job)

    def put_back(self, job: FakeJob, delay: int = 0) -> None:
        """A job can be pulled again: released, or retried from the dead-letter queue."""
        job.hold = None
        job.reason = None
        job.ended_at = None
        if delay > 0:
            job.row["run_at"] = self._now + delay
        self._make_ready(job)

    def drop(self, job: FakeJob, event: str) -> None:
        """Forget a job that has not completed; those that wait for it fail."""
        del self.jobs[job.id]
        self.tell(job, event)
        for other in list(self.jobs.values()):
            if not other.has_ended and job.id in other.waits_for:
                other.waits_for.discard(job.id)
                self._bury_dependent(other, job.id)

    def park(self, waiter: Waiter) -> None:
        if not waiter.poll(waiter.ends_at <= self._now):
            self._waiters.append(waiter)

    def tell(self, job: FakeJob, event: str) -> None:
        """Tell the connections that have subscribed to it."""
        for peer in list(self._peers):
            wanted = [peer.subscriptions[name] for name in (job.queue, "*") if name in peer.subscriptions]
            if any(not names or event in names for names in wanted):
                peer.seq += 1
                row = {"event": event, "queue": job.queue, "job": job.id, "seq": peer.seq}
                peer.deliver(encode_json(row).encode() + b"\n")

    def settle(self) -> None:
        """Let happen what is due now."""
        for job in list(self.jobs.values()):
            self._settle_job(job)
        self._waiters = [one for one in self._waiters if not one.poll(False)]
        self._waiters = [one for one in self._waiters if one.ends_at > self._now or not one.poll(True)]

    # Inside

    def _settle_job(self, job: FakeJob) -> None:
        hold = job.hold
        if hold is not None and hold.timeout_at <= self._now:
            self.tell(job, "timeout")
            self.fail(job, "Timed out", "timeout")
        elif hold is not None and hold.lease_ends <= self._now:
            self._lose(job, "expired_lease")
        elif job.expires_at <= self._now:
            self.drop(job, "expired")
        elif job.state == "delayed" and job.row["run_at"] <= self._now:
            job.state = "waiting"

    def _make_ready(self, job: FakeJob) -> None:
        if job.waits_for:
            job.state = "waitingparent"
        else:
            job.state = "delayed" if job.row["run_at"] > self._now else "waiting"

    def _lose(self, job: FakeJob, reason: str) -> None:
        job.losses += 1
        self.tell(job, "stalled")
        if job.losses >= MAX_LOSSES:
            job.hold = None
            self._bury(job, reason)
        else:
            self.put_back(job)

    def _bury_dependent(self, job: FakeJob, dependency: int) -> None:
        job.row["last_error"] = f"Dependency {dependency} was cancelled or dropped"
        self._bury(job, "dependency_failed")

    def _bury(self, job: FakeJob, reason: str) -> None:
        job.state = "failed"
        job.ended_at = self._now
        job.reason = reason
        self.tell(job, "failed")
