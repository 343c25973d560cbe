"""What is wrong now: rules over one look at the daemon, and for how long each has held.

A rule is pure: it sees facts and the time that is given to it. Problems remembers since when each condition holds; it
is reported when it has held long enough, and stays for ten minutes as resolved when it is over.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

RESOLVED_MS = 600_000
GROWTH_MS = 300_000  # over which growth and failures are looked at
NO_WORKER_MS = 60_000
AT_LIMIT_MS = 60_000
OLD_HEAD_MS = 60_000
CRON_LATE_MS = 10_000
FAILING_SHARE = 0.01
FAILING_CRITICAL = 0.10
FAILING_LEAST = 5  # failures below which a share says nothing
MEMORY_WARNING = 0.80
MEMORY_CRITICAL = 0.95
MOST = 50  # problems shown; the worst and the oldest first
_LEVELS = {"critical": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """A queue now, and as it was GROWTH_MS ago (None: not known). Rates are jobs a second, head_age is ms."""

    name: str
    waiting: int
    active: int
    failed: int
    paused: bool = False
    rate_limit: int | None = None
    concurrency_limit: int | None = None
    rate_in: float | None = None
    rate_out: float | None = None
    head_age: int | None = None
    parked: bool = False  # a pull waits for a job
    waiting_before: float | None = None
    failed_before: float | None = None
    completed_since: float | None = None  # ends that were no failures within GROWTH_MS


@dataclass(frozen=True, slots=True)
class CronFacts:
    """next_run: ms since the epoch, None: paused, or it never runs again."""

    name: str
    next_run: int | None
    paused: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """One look at the daemon. memory: bytes used and allowed (0: no limit). storage: None, ``refused`` (full) or
    ``failed``. stalled: leases and connections lost within GROWTH_MS. slow: subscribers that lost events."""

    queues: Sequence[QueueFacts] = ()
    crons: Sequence[CronFacts] = ()
    memory: tuple[int, int] = (0, 0)
    storage: str | None = None
    stalled: int = 0
    slow: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition that holds now. hold_ms: how long it must hold to be a problem. n: the figure in its sentence."""

    kind: str
    level: str  # critical, warning, note
    subject: str = ""  # a queue's or a cron's name
    n: float = 0
    share: float | None = None
    hold_ms: int = 0

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.subject}" if self.subject else self.kind


@dataclass(frozen=True, slots=True)
class Problem:
    """since, resolved_at: ms since the epoch; resolved_at is None while it lasts."""

    finding: Finding
    since: int
    resolved_at: int | None = None

    def as_json(self) -> dict[str, object]:
        shown: dict[str, object] = {
            "id": self.finding.id,
            "level": self.finding.level,
            "kind": self.finding.kind,
            "since": self.since,
            "n": self.finding.n,
        }
        if self.finding.subject:
            shown["cron" if self.finding.kind == "cron_overdue" else "queue"] = self.finding.subject
        if self.finding.share is not None:
            shown["share"] = round(self.finding.share, 3)
        if self.resolved_at is not None:
            shown["resolved_at"] = self.resolved_at
        return shown


def find(facts: Facts, now_ms: int) -> Iterator[Finding]:
    """Every condition that holds at now_ms."""
    if facts.storage == "failed":
        yield Finding("storage_failed", "critical")
    if facts.storage == "refused":
        yield Finding("storage_full", "critical")
    used, allowed = facts.memory
    if allowed and used > MEMORY_WARNING * allowed:
        share = used / allowed
        yield Finding("memory", "critical" if share > MEMORY_CRITICAL else "warning", n=used, share=share)
    for queue in facts.queues:
        yield from _of_queue(queue)
    for cron in facts.crons:
        if cron.next_run is not None and not cron.paused and now_ms - cron.next_run > CRON_LATE_MS:
            yield Finding("cron_overdue", "warning", cron.name, now_ms - cron.next_run)
    if facts.stalled:
        yield Finding("leases_lost", "warning", n=facts.stalled)
    if facts.slow:
        yield Finding("slow_subscribers", "warning", n=facts.slow)


def _of_queue(queue: QueueFacts) -> Iterator[Finding]:
    if queue.waiting and queue.paused:
        yield Finding("paused", "note", queue.name, queue.waiting)
    elif queue.waiting and _full(queue):
        yield Finding("at_limit", "note", queue.name, queue.waiting, hold_ms=AT_LIMIT_MS)
    elif queue.waiting and not (queue.active or queue.rate_out or queue.parked):
        yield Finding("no_worker", "critical", queue.name, queue.waiting, hold_ms=NO_WORKER_MS)
    elif (
        queue.waiting_before is not None
        and queue.waiting > queue.waiting_before
        and (queue.head_age or 0) > OLD_HEAD_MS
    ):
        yield Finding("growing", "warning", queue.name, queue.waiting)
    yield from _failing(queue)


def _full(queue: QueueFacts) -> bool:
    """Whether the queue's own limits, not a lack of workers, keep its jobs waiting."""
    if queue.concurrency_limit is not None and queue.active >= queue.concurrency_limit:
        return True
    return queue.rate_limit is not None and bool(queue.rate_out)


def _failing(queue: QueueFacts) -> Iterator[Finding]:
    if queue.failed_before is None:
        return
    failed = queue.failed - queue.failed_before
    ends = failed + (queue.completed_since or 0)
    if failed >= FAILING_LEAST and failed >= FAILING_SHARE * ends:
        share = failed / ends
        yield Finding("failing", "critical" if share >= FAILING_CRITICAL else "warning", queue.name, failed, share)


@dataclass(slots=True)
class Problems:
    """Which conditions hold since when. Not safe for threads."""

    _since: dict[str, int] = field(default_factory=dict)
    _open: dict[str, Problem] = field(default_factory=dict)
    _resolved: dict[str, Problem] = field(default_factory=dict)

    def update(self, findings: Iterable[Finding], now_ms: int) -> list[Problem]:
        """Take in what holds at now_ms; the problems to show, the worst and then the oldest first, resolved ones last.

        What is worse now than before keeps its since. Calls must come often enough that nothing which ended and came
        back in between matters; the hub calls each 10 s at least."""
        held = {finding.id: finding for finding in findings}
        self._since = {name: self._since.get(name, now_ms) for name in held}
        for name in list(self._open):
            if name not in held:
                over = self._open.pop(name)
                self._resolved[name] = Problem(over.finding, over.since, now_ms)
        for name, finding in held.items():
            if now_ms - self._since[name] >= finding.hold_ms:
                self._open[name] = Problem(finding, self._since[name])
                self._resolved.pop(name, None)
            elif name in self._open:
                self._open[name] = Problem(finding, self._open[name].since)
        self._resolved = {
            name: problem
            for name, problem in self._resolved.items()
            if now_ms - (problem.resolved_at or 0) < RESOLVED_MS
        }
        return self.current()

    def current(self) -> list[Problem]:
        lasting = sorted(self._open.values(), key=lambda p: (_LEVELS[p.finding.level], p.since, p.finding.id))
        over = sorted(self._resolved.values(), key=lambda p: -(p.resolved_at or 0))
        return [*lasting, *over][:MOST]

    def open_subjects(self) -> frozenset[str]:
        """The names of queues that have a problem now."""
        return frozenset(problem.finding.subject for problem in self._open.values() if problem.finding.subject)
