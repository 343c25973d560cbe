"""The last minutes and hours, for the charts: rings of samples in memory, all of them of a fixed size.

Two rings hold the whole daemon: a sample a second for 15 minutes, one each 10 seconds for 6 hours. Of queues, those
last active have a ring of 30 minutes each. A second that was not sampled is not there: nothing is interpolated, the
reader sees it by the gap between two times. Safe for any number of threads.
"""

import math
import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

SECONDS = 900  # samples of one second
TENS = 2160  # samples of ten seconds
QUEUE_TENS = 180  # the same, of a queue
QUEUES = 512
STEP_MS = 1000
TENS_MS = 10_000
WINDOWS = {"5m": 300_000, "15m": 900_000, "30m": 1_800_000, "1h": 3_600_000, "6h": 21_600_000}
SPARK_POINTS = 30
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_NONE = math.nan


@dataclass(frozen=True, slots=True)
class Sample:
    """One second of the daemon. Rates are jobs a second; percentiles are ms, None when nothing completed; the rest are
    jobs now."""

    pushed: float | None = None
    completed: float | None = None
    failed: float | None = None
    retried: float | None = None
    wait_p50: float | None = None
    wait_p95: float | None = None
    wait_p99: float | None = None
    run_p50: float | None = None
    run_p95: float | None = None
    run_p99: float | None = None
    waiting: float | None = None
    active: float | None = None
    delayed: float | None = None
    blocked: float | None = None
    dead: float | None = None


COLUMNS = tuple(field.name for field in fields(Sample))
_MEANS = frozenset(("pushed", "completed", "retried"))
_LASTS = frozenset(("waiting", "active", "delayed", "blocked", "dead"))  # the others: the worst of the ten seconds
QUEUE_COLUMNS = ("in", "out", "waiting", "active", "dead", "head_age")


class Ring:
    """The newest rows of numbers, each with its time. None is kept as NaN. Not safe for threads."""

    def __init__(self, columns: int, rows: int, kind: Literal["d", "f"] = "d") -> None:
        self._times = array("q", bytes(8 * rows))
        width = array(kind).itemsize
        self._columns: list[array[float]] = [array(kind, bytes(width * rows)) for _ in range(columns)]
        self._rows = rows
        self._next = 0
        self._used = 0

    def append(self, time_ms: int, values: Iterable[float | None]) -> None:
        self._times[self._next] = time_ms
        for column, value in zip(self._columns, values, strict=True):
            column[self._next] = _NONE if value is None else value
        self._next = (self._next + 1) % self._rows
        self._used = min(self._used + 1, self._rows)

    def after(self, since_ms: int) -> tuple[list[int], list[list[float | None]]]:
        """Times later than since_ms, oldest first, and the columns at these times."""
        first = self._next - self._used
        order = [i % self._rows for i in range(first, self._next) if self._times[i % self._rows] > since_ms]
        return [self._times[i] for i in order], [[_number(column[i]) for i in order] for column in self._columns]

    def at_or_before(self, time_ms: int, column: int) -> float | None:
        """The column's value at the last row not later than time_ms; None: there is no such row, or no value in it."""
        for back in range(1, self._used + 1):
            i = (self._next - back) % self._rows
            if self._times[i] <= time_ms:
                return _number(self._columns[column][i])
        return None


def _number(value: float) -> float | None:
    if math.isnan(value):
        return None
    return int(value) if value.is_integer() else round(value, 3)


class History:
    """The rings. Times are ms since the epoch and only ever grow; a sample that is not later than the last is left out
    (the machine's clock was put back)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds = Ring(len(COLUMNS), SECONDS)
        self._tens = Ring(len(COLUMNS), TENS)
        self._pending: list[Sample] = []
        self._bucket = 0
        self._last = 0
        self._queues: OrderedDict[str, Ring] = OrderedDict()  # the one longest without activity first

    def add(self, now_ms: int, sample: Sample) -> None:
        with self._lock:
            if now_ms <= self._last:
                return
            self._last = now_ms
            self._seconds.append(now_ms, (getattr(sample, name) for name in COLUMNS))
            bucket = now_ms // TENS_MS
            if self._pending and bucket != self._bucket:
                self._tens.append((self._bucket + 1) * TENS_MS, _together(self._pending))
                self._pending = []
            self._bucket = bucket
            self._pending.append(sample)

    def add_queues(self, now_ms: int, rows: Iterable[tuple[str, Sequence[float | None], bool]]) -> None:
        """A sample of queues: (name, values of QUEUE_COLUMNS, whether the queue was active). At most QUEUES queues are
        remembered; one that is not active is dropped first, then the one that was active longest ago."""
        with self._lock:
            for name, values, active in rows:
                ring = self._queues.get(name)
                if ring is None:
                    if not active and len(self._queues) >= QUEUES:
                        continue
                    ring = self._queues[name] = Ring(len(QUEUE_COLUMNS), QUEUE_TENS, "f")
                    self._queues.move_to_end(name, last=active)
                elif active:
                    self._queues.move_to_end(name)
                ring.append(now_ms, values)
                if len(self._queues) > QUEUES:
                    self._queues.popitem(last=False)

    def window(self, window: str, now_ms: int, since_ms: int = 0) -> dict[str, Any]:
        """The samples of a window of WINDOWS that are later than since_ms: {"step", "t": [ms], column: [value]}."""
        length = WINDOWS[window]
        fine = length <= SECONDS * STEP_MS
        with self._lock:
            times, columns = (self._seconds if fine else self._tens).after(max(since_ms, now_ms - length))
        return {"step": STEP_MS if fine else TENS_MS, "t": times, **dict(zip(COLUMNS, columns, strict=True))}

    def queue(self, name: str, now_ms: int, since_ms: int = 0) -> dict[str, Any]:
        """The same of one queue, each 10 s; empty if it is not among those remembered."""
        with self._lock:
            ring = self._queues.get(name)
            times, columns = (
                ring.after(max(since_ms, now_ms - QUEUE_TENS * TENS_MS)) if ring else ([], [[] for _ in QUEUE_COLUMNS])
            )
        return {"step": TENS_MS, "t": times, **dict(zip(QUEUE_COLUMNS, columns, strict=True))}

    def queue_before(self, name: str, time_ms: int, column: str) -> float | None:
        """A queue's value at time_ms, or as near before it as there is one."""
        with self._lock:
            ring = self._queues.get(name)
            return ring.at_or_before(time_ms, QUEUE_COLUMNS.index(column)) if ring else None

    def total_before(self, time_ms: int, column: str) -> float | None:
        with self._lock:
            return self._seconds.at_or_before(time_ms, COLUMNS.index(column))

    def spark(self, name: str, now_ms: int) -> str:
        """What waited in a queue in each of the last 30 minutes, for a line the size of a word: a digit of base 36 a
        minute, the highest minute as z; a space where nothing is known. Empty if the queue is not remembered."""
        with self._lock:
            ring = self._queues.get(name)
            if ring is None:
                return ""
            length = SPARK_POINTS * 60_000
            times, columns = ring.after(now_ms - length)
        most: list[float | None] = [None] * SPARK_POINTS
        for time_ms, value in zip(times, columns[QUEUE_COLUMNS.index("waiting")], strict=True):
            place = min((time_ms - (now_ms - length)) // 60_000, SPARK_POINTS - 1)
            if value is not None and (most[place] is None or value > (most[place] or 0)):
                most[place] = value
        top = max((value for value in most if value is not None), default=0)
        return "".join(" " if value is None else _DIGITS[round(35 * value / top) if top else 0] for value in most)


def _together(samples: Sequence[Sample]) -> list[float | None]:
    """Ten samples of a second as one of ten seconds."""
    row: list[float | None] = []
    for name in COLUMNS:
        values: list[float] = [value for sample in samples if (value := getattr(sample, name)) is not None]
        if not values:
            row.append(None)
        elif name in _MEANS:
            row.append(sum(values) / len(values))
        else:
            row.append(values[-1] if name in _LASTS else max(values))
    return row


def is_window(name: str) -> bool:
    return name in WINDOWS


def merged(row: Mapping[str, Any]) -> tuple[float | None, ...]:
    """A queue's row of LISTQUEUES as the values of QUEUE_COLUMNS."""
    return (
        row.get("in"),
        row.get("out"),
        row["pending"],
        row["processing"],
        row["dlq"],
        row.get("head_age"),
    )
