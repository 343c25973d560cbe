"""The state of all queues and how it changes, written from the contract: plain dicts, full scans, nothing clever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.model.job import NEVER, Job, Queue, later
from tests.model.requests import SHOWN, Answer

# Finding M3: a dependency given twice is shown twice in waits_for. False: once.
WAITS_FOR_AS_WRITTEN = False
OPEN = ("waiting", "delayed", "waitingparent", "active")


class Mismatch(AssertionError):
    """The engine did what the contract does not allow."""


class OneOf:
    """Equal to one of some texts; once compared, to that one only."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = set(texts)

    def __eq__(self, other: object) -> bool:
        if other in self.texts:
            self.texts = {str(other)}
            return True
        return False

    def __repr__(self) -> str:
        return " or ".join(sorted(self.texts))


@dataclass(frozen=True, slots=True)
class Listing:
    """What GETJOBS is asked for."""

    queue: str
    state: str
    reason: str | None
    dir: str


@dataclass(slots=True)
class Walk:
    """A listing up to one of its cursors."""

    stayed: set[int]  # what was in the state when the walk began, and ever since
    listed: set[int] = field(default_factory=set)
    last: int | None = None


class State:
    def __init__(
        self,
        now: int,
        *,
        max_deliveries: int = 10,
        lease_ms: int = 1_800_000,
        result_ttl_ms: int = 3_600_000,
        result_max: int = 100_000,
        max_job_bytes: int = 2**20,
    ) -> None:
        self.now = now
        self.max_deliveries = max_deliveries
        self.lease_ms = lease_ms
        self.result_ttl_ms = result_ttl_ms
        self.keeps_results = result_max > 0  # never more of them are kept than result_max allows
        self.max_job_bytes = max_job_bytes
        self.jobs: dict[int, Job] = {}  # all that are there, kept ones too
        self.ended: dict[int, str] = {}  # every id that is gone or kept: "completed" or "dropped"
        self.queues: dict[str, Queue] = {}
        self.last_ids: dict[str, int] = {}  # of each queue, whether it is known or not
        self._given_up: set[int] = set()  # of the batch that is being taken
        self.given: set[int] = set()
        self.tokens: set[str] = set()
        self.walks: dict[tuple[str, Listing], Walk] = {}
        self.deaths = 0
        self.moment = 0  # counts commands and moves of time
        self.totals: Counter[str] = Counter()
        self.heard: Answer = {}
        self.engine_state: Callable[[int], str] = lambda id: "unknown"

    # What time does

    def deadlines(self) -> list[int]:
        """The instants to come at which something happens by itself."""
        times = {job.due() for job in self.jobs.values()}
        times.update(queue.bucket.next_token() for queue in self.queues.values() if queue.bucket)
        return sorted(time for time in times if self.now < time < NEVER)

    def advance(self, now: int, engine_state: Callable[[int], str]) -> None:
        """Do what has come due, in the order of time, as of now: what is late is late.

        A job whose TTL ends in the same move of time as that of a dependency may have gone the one way or the other.
        """
        self.now = now
        self.moment += 1
        self.engine_state = engine_state
        due = [(job.due(), job.id) for job in self.jobs.values() if job.due() <= now]
        for time, id in sorted(due):
            job = self.jobs.get(id)
            if job is not None and job.due() == time:
                self._come_due(job, time)

    def _come_due(self, job: Job, time: int) -> None:
        if job.state == "completed":
            del self.jobs[job.id]
        elif job.state == "active" and job.times_out == time:
            self.totals["timed_out"] += 1
            job.last_error = "Timed out"
            self._attempt_failed(job, "timeout", "Timed out", unrecoverable=False)
        elif job.state == "active":
            self._lost(job, "expired_lease")
        elif job.expires() == time:
            if not self._may_lose_a_dependency(job) or self.engine_state(job.id) == "unknown":
                self._expire(job)
        else:
            job.state = "waiting"
            if job.expires() <= self.now:
                self._come_due(job, job.expires())

    def _expire(self, job: Job) -> None:
        self.totals["expired"] += 1
        self._drop([job])

    def _may_lose_a_dependency(self, job: Job) -> bool:
        return any(self.jobs[id].expires() <= self.now for id in job.open)

    def lose(self, holder: str) -> None:
        """A connection has ended: what it holds goes back."""
        for job in sorted(self.jobs.values(), key=lambda job: job.id):
            if job.state == "active" and job.holder == holder:
                self._lost(job, "worker_lost")

    # Changes of state

    def _lost(self, job: Job, reason: str) -> None:
        self.totals["stalled"] += 1
        job.losses += 1
        if job.losses >= self.max_deliveries:
            job.attempt_ended(self.now, reason, None)
            self._die(job, reason)
        else:
            self._put_back(job)

    def _attempt_failed(self, job: Job, reason: str, error: str | None, *, unrecoverable: bool) -> None:
        job.attempt_ended(self.now, reason, error)
        job.attempts += 1
        if unrecoverable or 0 < job.max_attempts <= job.attempts:
            self._die(job, reason)
        else:
            self.totals["retried"] += 1
            job.run_at = later(self.now, job.retry_delay())
            self._put_back(job)

    def _put_back(self, job: Job) -> None:
        job.state = "waiting" if job.run_at <= self.now else "delayed"
        job.token = job.holder = None

    def _die(self, job: Job, reason: str) -> None:
        job.state, job.reason, job.ended_at = "failed", reason, self.now
        job.token = job.holder = None
        loose = reason == "dependency_failed"
        self.deaths += 1
        job.died = (self.moment, 0 if loose else self.deaths)

    def _complete(self, job: Job, result: Any) -> None:
        job.state, job.ended_at = "completed", self.now
        job.token = job.holder = None
        job.result = result
        job.kept_until = later(self.now, self.result_ttl_ms)
        self.queues[job.queue].completed += 1
        self.totals["completed"] += 1
        self.ended[job.id] = "completed"
        if not self.keeps_results or job.kept_until <= self.now:
            del self.jobs[job.id]
        for dependent in self.jobs.values():
            if job.id in dependent.open:
                dependent.open.remove(job.id)
                if dependent.state == "waitingparent" and not dependent.open:
                    self._put_back(dependent)

    def _drop(self, jobs: list[Job]) -> None:
        """They end without being completed, all at once."""
        for job in jobs:
            del self.jobs[job.id]
            self.ended[job.id] = "dropped"
        dropped = {job.id for job in jobs}
        for dependent in sorted(self.jobs.values(), key=lambda job: job.id):
            gone = [id for id in dependent.open if id in dropped]
            if gone and dependent.id in self.jobs:
                self._give_up(dependent, gone)

    def _give_up(self, dependent: Job, gone: list[int]) -> None:
        """These of its dependencies will never be completed."""
        dependent.open = [id for id in dependent.open if id not in gone]
        errors = {f"Dependency {id} was cancelled or dropped" for id in gone}
        if dependent.state == "failed" and dependent.died == (self.moment, 0):
            dependent.last_error.texts |= errors
        elif dependent.state == "waitingparent":
            if dependent.expires() <= self.now and self.engine_state(dependent.id) == "unknown":
                self._expire(dependent)
            else:
                dependent.last_error = OneOf(errors)
                self._die(dependent, "dependency_failed")

    # Looking

    def of(self, queue: str, *states: str) -> list[Job]:
        return [job for job in self.jobs.values() if job.queue == queue and job.state in states]

    def dead(self, queue: str, heard: list[int] | None = None) -> list[Job]:
        """The dead-letter queue, oldest first. Where jobs that lost a dependency stand among those that died by the
        same command or move of time is left open: they stand as heard."""
        jobs = sorted(self.of(queue, "failed"), key=lambda job: (job.died, job.id))
        if not heard:
            return jobs
        places = {id: place for place, id in enumerate(heard)}
        as_heard = sorted(jobs, key=lambda job: (job.died[0], places.get(job.id, len(places))))
        fixed = [job.died for job in as_heard if job.died[1]]
        return as_heard if fixed == sorted(fixed) else jobs

    def listed(self, listing: Listing) -> list[Job]:
        """All that GETJOBS lists, over all pages."""
        jobs = [job for job in self.of(listing.queue, listing.state) if listing.reason in (None, job.reason)]
        return sorted(jobs, key=lambda job: job.id, reverse=listing.dir == "desc")

    def note_walks(self) -> None:
        """After each step: which jobs of the listings that are under way have stayed. Old ones are forgotten."""
        while len(self.walks) > 5:
            del self.walks[next(iter(self.walks))]
        for (_, listing), walk in self.walks.items():
            walk.stayed &= {job.id for job in self.listed(listing)}

    def state(self, id: int) -> str:
        job = self.jobs.get(id)
        return job.state if job else "unknown"

    def shown(self, job: Job) -> Answer:
        answer = job.shown()
        if job.state == "waitingparent":
            ids = [id for id in job.depends_on if id in job.open] if WAITS_FOR_AS_WRITTEN else job.open
            answer["waits_for"] = [{"id": id, "state": self.state(id)} for id in ids[:100]]
        return answer

    def rows(self) -> dict[str, dict[str, Any]]:
        """LISTQUEUES, by name."""
        counts = Counter([(job.queue, job.state) for job in self.jobs.values()])
        return {
            name: {
                "name": name,
                "pending": counts[name, "waiting"],
                "processing": counts[name, "active"],
                "dlq": counts[name, "failed"],
                "paused": queue.paused,
                "rate_limit": min(queue.bucket.limit, SHOWN) if queue.bucket else None,
                "concurrency_limit": min(queue.concurrency, SHOWN) if queue.concurrency else None,
                "delayed": counts[name, "delayed"],
                "completed": queue.completed,
                "rate_duration": min(queue.bucket.duration, SHOWN) if queue.bucket else None,
            }
            for name, queue in self.queues.items()
        }

    def waiting_for_others(self, queue: str | None = None) -> int:
        return sum(job.state == "waitingparent" and queue in (None, job.queue) for job in self.jobs.values())

    def stats(self) -> dict[str, int]:
        rows = self.rows().values()
        return {
            "queued": sum(row["pending"] for row in rows),
            "processing": sum(row["processing"] for row in rows),
            "delayed": sum(row["delayed"] for row in rows),
            "dlq": sum(row["dlq"] for row in rows),
            "completed": sum(row["completed"] for row in rows),
            "waiting": self.waiting_for_others(),
        }
