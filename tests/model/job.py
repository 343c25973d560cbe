"""What the model knows of a job and of a queue."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import Any

from tests.model.requests import SHOWN

NEVER = 2**64 - 1  # times and durations saturate here; it never comes


def later(now: int, by: int) -> int:
    return min(now + by, NEVER)


@cache
def loaded(text: str) -> Any:
    """A JSON value; a number with a fraction or exponent is its text: none of its digits may get lost."""
    return json.loads(text, parse_float=str)


@dataclass(slots=True, eq=False)
class Job:
    id: int
    queue: str
    data: str
    priority: int
    created_at: int
    run_at: int
    max_attempts: int
    backoff: int
    max_backoff: int
    ttl: int
    timeout: int
    unique_key: str | None
    depends_on: list[int]
    state: str = ""
    started_at: int = 0
    attempts: int = 0
    deliveries: int = 0
    losses: int = 0
    was_pulled: bool = False
    last_error: Any = None
    reason: str | None = None
    progress: int = 0
    progress_msg: str | None = None
    token: str | None = None
    holder: str | None = None  # the connection that holds it; None: by lease
    lease: int = 0  # as it was pulled
    lease_ends: int = NEVER
    times_out: int = NEVER
    kept_until: int = NEVER
    result: Any = None
    ended_at: int | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)  # how its attempts failed
    open: list[int] = field(default_factory=list)  # dependencies that are neither completed nor given up
    died: tuple[int, int] = (0, 0)  # by what, and its place among those: its place in the dead-letter queue

    def expires(self) -> int:
        """When its TTL ends it, as long as it is not pulled and has not ended."""
        if self.ttl and not self.was_pulled and self.state in ("waiting", "delayed", "waitingparent"):
            return later(self.created_at, self.ttl)
        return NEVER

    def due(self) -> int:
        """When time next does something to it."""
        if self.state == "active":
            return min(self.lease_ends, self.times_out)
        if self.state == "delayed":
            return min(self.run_at, self.expires())
        if self.state == "completed":
            return self.kept_until
        return self.expires()

    def place(self) -> tuple[int, int, int]:
        """The order of delivery."""
        return (-self.priority, self.run_at, self.id)

    def retry_delay(self) -> int:
        return min(self.backoff * 2 ** (self.attempts - 1) if self.attempts < 100 else NEVER, self.max_backoff)

    def attempt_ended(self, now: int, reason: str, error: Any) -> None:
        """An attempt has failed: the last five are remembered, and the first bytes of what was said."""
        entry = {"n": self.deliveries, "started_at": self.started_at, "ended_at": now, "reason": reason, "error": error}
        self.errors = [*self.errors, entry][-5:]

    def past(self) -> dict[str, Any]:
        """What only a job that is looked at tells."""
        return {"ended_at": self.ended_at, "errors": self.errors}

    def shown(self) -> dict[str, Any]:
        job = {
            "id": self.id,
            "queue": self.queue,
            "data": loaded(self.data),
            "priority": self.priority,
            "created_at": self.created_at,
            "run_at": min(self.run_at, SHOWN),
            "started_at": self.started_at,
            "attempts": self.attempts,
            "max_attempts": min(self.max_attempts, SHOWN),
            "backoff": min(self.backoff, SHOWN),
            "max_backoff": min(self.max_backoff, SHOWN),
            "ttl": min(self.ttl, SHOWN),
            "timeout": min(self.timeout, SHOWN),
            "unique_key": self.unique_key,
            "depends_on": self.depends_on,
            "progress": self.progress,
            "progress_msg": self.progress_msg,
            "deliveries": self.deliveries,
            "token": self.token,
            "last_error": self.last_error,
        }
        if self.state == "failed":
            job["reason"] = self.reason
        return job


@dataclass(slots=True, eq=False)
class Bucket:
    """A rate limit: `limit` tokens that come back at `limit` each `duration`. Full at first."""

    limit: int
    duration: int
    tokens: Fraction
    at: int

    def fill(self, now: int) -> None:
        gained = Fraction((now - self.at) * self.limit, self.duration)
        self.tokens = min(Fraction(self.limit), self.tokens + gained)
        self.at = now

    def next_token(self) -> int:
        """When there will be a whole token."""
        missing = max(Fraction(0), 1 - self.tokens)
        return self.at + -(-missing * self.duration // self.limit)


@dataclass(slots=True, eq=False)
class Queue:
    name: str
    paused: bool = False
    bucket: Bucket | None = None
    concurrency: int | None = None
    max_length: int = 0
    completed: int = 0
