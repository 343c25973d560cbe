"""A job of the daemon in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HOUR_MS = 3_600_000
MAX_SHOWN = 2**53 - 1
"""Larger numbers are taken, and shown as this."""

MAX_ATTEMPTS_KEPT = 5
MAX_ERROR_BYTES = 510


@dataclass
class Hold:
    """Who has pulled a job: a connection, unless a lease holds it. Times are the server's, in milliseconds."""

    peer: object | None
    token: str
    lease: int | None
    lease_ends: float = math.inf
    timeout_at: float = math.inf


class FakeJob:
    """row: the job as it is sent, but for its token."""

    def __init__(self, job_id: int, queue: str, item: Mapping[str, Any], now: int) -> None:
        self.row: dict[str, Any] = {
            "id": job_id,
            "queue": queue,
            "data": item["data"],
            "priority": item.get("priority", 0),
            "created_at": now,
            "run_at": now + item.get("delay", 0),
            "started_at": 0,
            "attempts": 0,
            "max_attempts": min(MAX_SHOWN, item.get("max_attempts", 0)),
            "backoff": min(MAX_SHOWN, item.get("backoff", 0)),
            "max_backoff": min(MAX_SHOWN, item.get("max_backoff", HOUR_MS)),
            "ttl": min(MAX_SHOWN, item.get("ttl", 0)),
            "timeout": min(MAX_SHOWN, item.get("timeout", 0)),
            "unique_key": item.get("unique_key"),
            "depends_on": list(item.get("depends_on", ())),
            "progress": 0,
            "progress_msg": None,
            "deliveries": 0,
            "last_error": None,
        }
        self.id = job_id
        self.queue = queue
        self.state = "waiting"
        self.hold: Hold | None = None
        self.result: Any = None
        self.reason: str | None = None
        self.losses = 0
        self.ended_at: int | None = None
        self.errors: list[dict[str, Any]] = []
        self.waits_for = set(self.row["depends_on"])

    @property
    def has_ended(self) -> bool:
        return self.state in ("completed", "failed")

    @property
    def expires_at(self) -> float:
        """When it ends if it has not been pulled by then."""
        row = self.row
        may_expire = row["ttl"] > 0 and row["deliveries"] == 0 and not self.has_ended
        return row["created_at"] + row["ttl"] if may_expire else math.inf

    @property
    def next_due(self) -> float:
        """When something happens to it by itself."""
        times = [self.expires_at, self.row["run_at"] if self.state == "delayed" else math.inf]
        if self.hold is not None:
            times += [self.hold.lease_ends, self.hold.timeout_at]
        return min(times)

    @property
    def order(self) -> tuple[int, int, int]:
        """Higher priority first, then earlier run_at, then lower id."""
        return (-self.row["priority"], self.row["run_at"], self.id)

    def note_failure(self, error: str | None, reason: str, now: int) -> None:
        """Another attempt has failed."""
        row = self.row
        row["attempts"] += 1
        if error is not None or reason == "timeout":
            row["last_error"] = error
        shown = None if error is None else error.encode("utf-8", "replace")[:MAX_ERROR_BYTES].decode(errors="ignore")
        past = {"started_at": row["started_at"], "ended_at": now, "reason": reason, "error": shown}
        self.errors = [*self.errors, {"n": row["deliveries"], **past}][-MAX_ATTEMPTS_KEPT:]

    def to_wire(self) -> dict[str, Any]:
        """The job as it is sent."""
        wire = {**self.row, "token": self.hold.token if self.hold is not None else None}
        return wire if self.reason is None else {**wire, "reason": self.reason}
