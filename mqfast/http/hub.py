"""The dashboard's live data: one thread looks at the engine once a second, whoever watches gets what it saw.

A message is complete: whoever connects, reconnects or was too slow for some of them needs only the newest, so nothing
is queued and nothing replayed. It is encoded once for each distinct view. While nobody watches, only the whole daemon
is sampled each second, and queues each ten, so that the charts are full and problems known when somebody comes.
"""

import contextlib
import json
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Protocol

from mqfast.http.history import History, Sample, merged
from mqfast.http.problems import GROWTH_MS, CronFacts, Facts, Problems, QueueFacts, find
from mqfast.http.source import Page, Query, Row, Source
from mqfast.http.views import View

STREAM_SECONDS = 300
_WATCHED_ROWS = 500  # queues that are looked at for problems
_BUSIEST = 10
_QUEUES_MS = 10_000
_log = logging.getLogger("mqfast.http")


class StreamsFull(Exception):
    """As many streams as are allowed are open."""


class Slots(Protocol):
    """Who may take a thread for long."""

    def acquire(self) -> bool: ...
    def release(self) -> None: ...


class Hub:
    """Samples, messages and streams. Safe for any number of threads; start() and stop() once, on one thread.

    streams: how many may be open at once. mode: what the page may offer, ``read`` or ``full``. slots: asked for a
    thread before each stream. now_ms: the clock.
    """

    def __init__(
        self,
        source: Source,
        *,
        streams: int = 8,
        mode: str = "full",
        slots: Slots | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.history = History()
        self.streams = streams
        self._source = source
        self._mode = mode
        self._slots = slots
        self.now_ms = now_ms
        self._started_at = now_ms()
        self._changed = threading.Condition()
        self._watchers: Counter[View] = Counter()
        self._streaming = 0
        self._messages: dict[View, tuple[int, bytes]] = {}  # of this tick
        self._tick = 0
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._looking = threading.Lock()  # what follows is one look's
        self._problems = Problems()
        self._totals: tuple[int, Row] | None = None
        self._latest: Row = {}
        self._rows: list[Row] = []
        self._queues_at = 0
        self._stalled: deque[tuple[int, int]] = deque(maxlen=GROWTH_MS // _QUEUES_MS)  # times and totals

    # The thread

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="dashboard", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and every stream; returns when the thread has ended. May be repeated."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            due = max(due + 1, time.monotonic())  # after a stall one look, not one for each second missed
            with self._changed:
                if self._changed.wait_for(lambda: self._stopping, due - time.monotonic()):
                    return
            try:
                self.look()
            except Exception:
                if not self._stopping:
                    _log.exception("the dashboard could not look at the engine")

    def look(self) -> None:
        """Sample now, and give everyone who watches a new message."""
        with self._changed:
            views = list(self._watchers)
        with self._looking:
            now_ms = self.now_ms()
            self._sample(now_ms)
            if views or now_ms - self._queues_at >= _QUEUES_MS:
                self._look_at_queues(now_ms)
            self._tick += 1
            messages = {view: (self._tick, self._encode(view, now_ms)) for view in views}
        with self._changed:
            self._messages = messages
            self._changed.notify_all()

    # One look

    def _sample(self, now_ms: int) -> None:
        stats, metrics = self._source.stats(), self._source.metrics()
        wait, run = metrics.get("wait_ms") or {}, metrics.get("run_ms") or {}
        rates = self._rates(metrics, now_ms)
        if not rates.get("completed"):  # no completions, no percentiles: those of the engine are of the last minute
            wait, run = {}, {}
        sample = Sample(
            pushed=rates.get("pushed"),
            completed=rates.get("completed"),
            failed=rates.get("failed"),
            retried=rates.get("retried"),
            **{f"wait_{p}": wait.get(p) for p in ("p50", "p95", "p99")},
            **{f"run_{p}": run.get(p) for p in ("p50", "p95", "p99")},
            waiting=stats["queued"],
            active=stats["processing"],
            delayed=stats["delayed"],
            blocked=stats["waiting"],
            dead=stats["dlq"],
        )
        self.history.add(now_ms, sample)
        self._totals = (now_ms, metrics)
        self._latest = {
            "counts": {
                "waiting": stats["queued"],
                "active": stats["processing"],
                "delayed": stats["delayed"],
                "waitingparent": stats["waiting"],
                "completed": max(metrics["total_completed"], stats["completed"]),
                "failed": stats["dlq"],
            },
            "kept": stats["completed"],
            "rates": {name: rates.get(name) for name in ("pushed", "completed", "failed", "retried")},
            "wait": [wait.get("p50"), wait.get("p95"), wait.get("p99")],
            "run": [run.get("p50"), run.get("p95"), run.get("p99")],
        }

    def _rates(self, metrics: Row, now_ms: int) -> dict[str, float]:
        """Jobs a second since the last look; empty at the first one."""
        if self._totals is None or now_ms <= self._totals[0]:
            return {}
        then_ms, before = self._totals
        seconds = (now_ms - then_ms) / 1000

        def rate(*names: str) -> float:
            more: int = sum(max(0, metrics[name] - before[name]) for name in names)
            return round(more / seconds, 2)

        return {
            "pushed": rate("total_pushed"),
            "completed": rate("total_completed"),
            "failed": rate("total_failed", "total_timed_out"),
            "retried": rate("total_retried"),
        }

    def _look_at_queues(self, now_ms: int) -> None:
        page = self._source.queues(Query(sort="pending", dir="desc", limit=_WATCHED_ROWS))
        self._rows = page.rows
        if now_ms - self._queues_at >= _QUEUES_MS:
            self._queues_at = now_ms
            self.history.add_queues(now_ms, [(row["name"], merged(row), _is_active(row)) for row in page.rows])
        self._problems.update(find(self._facts(now_ms), now_ms), now_ms)

    def _facts(self, now_ms: int) -> Facts:
        metrics = self._totals[1] if self._totals else {}
        stalled = metrics.get("total_stalled", 0)
        if not self._stalled or now_ms - self._stalled[-1][0] >= _QUEUES_MS:
            self._stalled.append((now_ms, stalled))
        server = self._source.server()
        return Facts(
            queues=[self._queue_facts(row, now_ms) for row in self._rows],
            crons=[CronFacts(cron["name"], cron["next_run"], cron["paused"]) for cron in self._source.crons()],
            memory=(server["memory"][0], server["memory"][1]),
            storage="refused" if (metrics.get("log") or {}).get("full") else None,
            stalled=stalled - self._stalled[0][1],
        )

    def _queue_facts(self, row: Row, now_ms: int) -> QueueFacts:
        name, then_ms = row["name"], now_ms - GROWTH_MS
        out = row.get("out")
        return QueueFacts(
            name=name,
            waiting=row["pending"],
            active=row["processing"],
            failed=row["dlq"],
            paused=row["paused"],
            rate_limit=row["rate_limit"],
            concurrency_limit=row["concurrency_limit"],
            rate_in=row.get("in"),
            rate_out=out,
            head_age=row.get("head_age"),
            parked=bool(row.get("parked")),
            waiting_before=self.history.queue_before(name, then_ms, "waiting"),
            failed_before=self.history.queue_before(name, then_ms, "dead"),
            completed_since=None if out is None else out * GROWTH_MS / 1000,
        )

    # Messages

    def message(self, view: View) -> bytes:
        """The newest message for a view, as JSON. Raises ValueError for a bad cursor."""
        with self._changed:
            known = self._messages.get(view)
        if known is not None:
            return known[1]
        with self._looking:
            if not self._latest:
                self._sample(self.now_ms())
            if not self._rows:
                self._look_at_queues(self.now_ms())
            return self._encode(view, self.now_ms(), strict=True)

    def _encode(self, view: View, now_ms: int, strict: bool = False) -> bytes:
        try:
            shown: Any = self._view(view, now_ms)
        except ValueError as error:
            if strict:
                raise
            shown = {"error": str(error)}
        message = {
            "v": 1,
            "t": now_ms,
            "started_at": self._started_at,
            "mode": self._mode,
            "server": {**self._source.server(), "streams": [self._streaming, self.streams]},
            **self._latest,
            "problems": [problem.as_json() for problem in self._problems.current()],
            "view": shown,
        }
        return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")

    def _view(self, view: View, now_ms: int) -> Row:
        match view.kind:
            case "overview":
                busiest = self._source.queues(Query(sort="in", dir="desc", limit=_BUSIEST))
                return self._list(busiest, now_ms)
            case "queues":
                return self._list(self._queues(view), now_ms)
            case "queue":
                row = self._source.queue(view.name)
                return {"row": _shown(row, self.history.spark(view.name, now_ms))} if row else {"row": None}
            case "job":
                return self._source.job(view.id)
            case "failed":
                rows = self._source.queues(Query(filter="failed", sort="dlq", dir="desc", limit=_WATCHED_ROWS))
                queues = {row["name"]: row["dlq"] for row in rows.rows}
                return {"queues": queues, "total": rows.total, "reasons": self._source.failed()}
            case "crons":
                return {"rows": self._source.crons()}
        clients = self._source.clients(view.cursor, view.limit)
        return clients or {"rows": None, "cursor": None}

    def _queues(self, view: View) -> Page:
        if view.filter != "problems":
            return self._source.queues(Query(view.search, view.filter, view.sort, view.dir, view.cursor, view.limit))
        names = self._problems.open_subjects()
        rows = [row for row in self._rows if row["name"] in names and view.search.lower() in row["name"].lower()]
        rows.sort(key=lambda row: _order(row, view.sort), reverse=view.dir == "desc")
        return Page(rows[: view.limit], len(rows), None)

    def _list(self, page: Page, now_ms: int) -> Row:
        rows = [_shown(row, self.history.spark(row["name"], now_ms)) for row in page.rows]
        return {"rows": rows, "total": page.total, "cursor": page.cursor}

    # Streams

    def stream(self, view: View) -> "Stream":
        """Messages for a view as server-sent events. Raises StreamsFull, and ValueError for a bad cursor."""
        first = self.message(view)
        with self._changed:
            if self._stopping or self._streaming >= self.streams:
                raise StreamsFull
            if self._slots is not None and not self._slots.acquire():
                raise StreamsFull
            self._streaming += 1
            self._watchers[view] += 1
        return Stream(self, view, first)

    def wait_newer(self, stream: "Stream", tick: int, until: float) -> tuple[int, bytes] | None:
        """The message of a later tick than this; None: there is none by then (a monotonic time), the stream was
        closed, or stop()."""
        view = stream.view
        with self._changed:
            while not (self._stopping or stream.closed) and (left := until - time.monotonic()) > 0:
                known = self._messages.get(view)
                if known is not None and known[0] > tick:
                    return known
                self._changed.wait(left)
        return None

    def leave(self, view: View) -> None:
        with self._changed:
            self._changed.notify_all()  # the thread that waits on the stream's behalf
            self._streaming -= 1
            self._watchers[view] -= 1
            if self._watchers[view] <= 0:
                del self._watchers[view]
        if self._slots is not None:
            self._slots.release()


class Stream:
    """One viewer's events, for a WSGI server to iterate over; to be closed, whether or not it was begun.

    close() may come from another thread, when the viewer is gone: it ends the iteration."""

    def __init__(self, hub: Hub, view: View, first: bytes) -> None:
        self._hub = hub
        self.view = view
        self.closed = False
        self._closing = threading.Lock()
        self._first: bytes | None = first
        self._tick = 0
        self._until = time.monotonic() + STREAM_SECONDS
        self._said_bye = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._first is not None and not self.closed:
            message, self._first = self._first, None
            return _event(self._tick, message)
        newer = self._hub.wait_newer(self, self._tick, self._until)
        if newer is not None:
            self._tick = newer[0]
            return _event(*newer)
        if self._said_bye or self.closed:
            raise StopIteration
        self._said_bye = True
        return b"event: bye\ndata: {}\n\n"

    def close(self) -> None:
        with self._closing:
            before, self.closed = self.closed, True
        if not before:
            self._hub.leave(self.view)

    def __enter__(self) -> "Stream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()


def _event(tick: int, message: bytes) -> bytes:
    return b"id: %d\nevent: snapshot\ndata: %s\n\n" % (tick, message)


def _is_active(row: Row) -> bool:
    return bool(row["processing"] or row.get("in") or row.get("out"))


def _order(row: Row, sort: str) -> Any:
    return row["name"] if sort == "name" else (row.get(sort) or 0)


def _shown(row: Row, spark: str) -> Row:
    """A row of LISTQUEUES in the page's words."""
    return {
        "name": row["name"],
        "waiting": row["pending"],
        "active": row["processing"],
        "delayed": row["delayed"],
        "blocked": row.get("waiting"),
        "completed": row["completed"],
        "failed": row["dlq"],
        "in": row.get("in"),
        "out": row.get("out"),
        "head_age": row.get("head_age"),
        "paused": row["paused"],
        "rate_limit": row["rate_limit"],
        "rate_duration": row["rate_duration"],
        "concurrency_limit": row["concurrency_limit"],
        "spark": spark,
    }
