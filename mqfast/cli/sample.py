"""What the daemon says of itself at one instant, and how it went on from the one before."""

from collections import deque
from dataclasses import dataclass, field

from mqfast.cli.connection import Answer, Connection

HISTORY = 600
RATES = {"pushed": "total_pushed", "completed": "total_completed", "failed": "total_failed"}
"""Rates by the totals that they are the growth of."""


@dataclass(frozen=True, slots=True)
class Sample:
    """at: seconds of a monotonic clock. queues: a page of LISTQUEUES, matching: how many there are of them in all."""

    at: float
    version: str
    stats: Answer
    metrics: Answer
    queues: list[Answer]
    matching: int


def take_sample(connection: Connection, at: float, *, version: str, rows: int, sort: str) -> Sample:
    """Ask for everything at once; queues are sorted by `sort`, names upwards, numbers downwards, at most `rows`."""
    connection.send("STATS")
    connection.send("METRICS", limit=1)
    connection.send("LISTQUEUES", limit=min(500, max(1, rows)), sort=sort, dir="asc" if sort == "name" else "desc")
    stats = connection.receive()
    metrics = connection.receive()["metrics"]
    page = connection.receive()
    return Sample(at, version, stats, metrics, page["queues"], page["total"])


@dataclass(slots=True)
class History:
    """Rates (a second) from sample to sample, the newest last; None where there was no connection."""

    rates: dict[str, deque[float | None]] = field(
        default_factory=lambda: {name: deque(maxlen=HISTORY) for name in RATES}
    )
    _last: Sample | None = None

    def add(self, sample: Sample) -> None:
        last, self._last = self._last, sample
        for name, total in RATES.items():
            grown = sample.metrics[total] - last.metrics[total] if last is not None else -1
            if last is None or grown < 0 or sample.at <= last.at:
                # The first one, or the daemon was started again: its own last second is all that is known.
                self.rates[name].append(float(sample.metrics["rates"][name]["1s"]))
            else:
                self.rates[name].append(grown / (sample.at - last.at))

    def add_gap(self) -> None:
        self._last = None
        for values in self.rates.values():
            values.append(None)

    def now(self, name: str) -> float:
        values = self.rates[name]
        return (values[-1] or 0.0) if values else 0.0

    def peak(self, name: str, last: int) -> float:
        """The highest of the last so many."""
        return max((value for value in list(self.rates[name])[-last:] if value is not None), default=0.0)
