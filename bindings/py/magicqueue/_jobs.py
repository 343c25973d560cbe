"""What the daemon tells about jobs, queues and crons. Times are milliseconds since the Unix epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict, TypeVar


@dataclass
class Job:
    """A job, as it is pulled and listed.

    Durations (backoff, max_backoff, ttl, timeout) are milliseconds, 0 for none. started_at: when it was last pulled, 0
    if never. attempts: failures and timeouts so far; max_attempts: how many send it to the dead-letter queue, 0 for no
    limit. deliveries: how often it was given to a worker, this time included. token stands for this delivery, None
    while nobody holds the job. state: as of `Queue.get_job`. reason: why it is in the dead-letter queue. waits_for: the
    jobs that it still waits for. errors: how its last attempts failed. data_size: in a listing with a preview, the size
    of ``data`` in bytes.
    """

    id: int
    queue: str
    data: Any
    priority: int = 0
    created_at: int = 0
    run_at: int = 0
    attempts: int = 0
    max_attempts: int = 0
    progress: int = 0
    started_at: int = 0
    backoff: int = 0
    max_backoff: int = 0
    ttl: int = 0
    timeout: int = 0
    unique_key: str | None = None
    depends_on: list[int] = field(default_factory=list)
    progress_msg: str | None = None
    deliveries: int = 0
    token: str | None = None
    last_error: str | None = None
    state: str | None = None
    reason: str | None = None
    ended_at: int | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    waits_for: list[dict[str, Any]] = field(default_factory=list)
    data_size: int | None = None


class Progress(TypedDict):
    """How far a job is: 0 to 100, and what its handler is doing."""

    progress: int
    message: str | None


@dataclass(frozen=True)
class Stats:
    """Counts over all queues. waiting: jobs that wait for other jobs."""

    queued: int
    processing: int
    delayed: int
    dlq: int
    completed: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class QueueMetrics:
    """The counts of a queue. pending: what could be pulled now; waiting: jobs that wait for other jobs."""

    name: str
    pending: int
    processing: int
    dlq: int
    rate_limit: int | None = None
    rate_duration: int | None = None
    concurrency_limit: int | None = None
    delayed: int = 0
    waiting: int = 0
    completed: int = 0
    paused: bool = False


@dataclass(frozen=True)
class Metrics:
    """Totals since the daemon's start, rates, and latencies in milliseconds over the last one to two minutes.

    latency_ms (from run_at to completion), wait_ms (to the first pull) and run_ms (from the pull to completion) have
    p50, p90, p95, p99 and max.
    """

    total_pushed: int
    total_completed: int
    total_failed: int
    jobs_per_second: float
    avg_latency_ms: float
    queues: list[QueueMetrics]
    total_timed_out: int = 0
    total_expired: int = 0
    total_cancelled: int = 0
    total_retried: int = 0
    total_stalled: int = 0
    latency_ms: dict[str, float] = field(default_factory=dict)
    wait_ms: dict[str, float] = field(default_factory=dict)
    run_ms: dict[str, float] = field(default_factory=dict)
    rates: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class CronJob:
    """A job that is pushed again and again. next_run: None while paused; last_run: None before the first."""

    name: str
    queue: str
    data: Any
    schedule: str
    priority: int = 0
    next_run: int | None = None
    timezone: str = "UTC"
    paused: bool = False
    last_run: int | None = None


@dataclass(frozen=True)
class Event:
    """Something has happened to a job, or to the telling of it.

    event: pushed, active, completed, failed (it entered the dead-letter queue), retrying, timeout, expired, cancelled,
    progress, stalled (a held job was lost); ``dropped``: ``count`` events were lost, as they were read too slowly;
    ``reconnected``: what happened while the connection was away was not told. queue and job are of the job; seq counts
    from 1 on each connection.
    """

    event: str
    queue: str | None = None
    job: int | None = None
    seq: int = 0
    count: int = 0


T = TypeVar("T")

_known: dict[type, frozenset[str]] = {}


def from_wire(kind: type[T], row: Mapping[str, Any]) -> T:
    """A value from its JSON object; members that this version does not know are left out."""
    names = _known.get(kind)
    if names is None:
        names = _known[kind] = frozenset(one.name for one in dataclasses.fields(kind))  # type: ignore[arg-type]
    return kind(**{name: value for name, value in row.items() if name in names})
