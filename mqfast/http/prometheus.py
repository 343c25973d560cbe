"""Metrics in the formats of Prometheus: what METRICS says, and what this process knows of itself.

Names end in their unit, counters in _total; times are seconds. Everything is collected when it is asked for.
"""

import heapq
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import falcon
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from mqfast import __version__

Row = dict[str, Any]

PATH = "/metrics/prometheus"
OTHER = "other"  # the queue label of all queues that have none of their own
_TEXT = frozenset({"text/plain", "application/openmetrics-text"})

COUNTERS = {
    "total_pushed": ("mqfast_jobs_pushed", "Jobs pushed"),
    "total_completed": ("mqfast_jobs_completed", "Jobs acknowledged"),
    "total_failed": ("mqfast_jobs_failed", "Failures that workers reported"),
    "total_timed_out": ("mqfast_jobs_timed_out", "Jobs that took longer than their timeout"),
    "total_expired": ("mqfast_jobs_expired", "Jobs whose time to live ended before they were pulled"),
    "total_cancelled": ("mqfast_jobs_cancelled", "Jobs cancelled or dropped"),
    "total_retried": ("mqfast_jobs_retried", "Jobs that were put back for another attempt"),
    "total_stalled": ("mqfast_jobs_stalled", "Held jobs that were lost by their worker"),
}
QUANTILES = {
    "wait_ms": ("mqfast_job_wait_seconds", "From when a job could run to its first pull, last one to two minutes"),
    "run_ms": ("mqfast_job_run_seconds", "From the pull to completion, last one to two minutes"),
    "latency_ms": ("mqfast_job_latency_seconds", "From when a job could run to completion, last one to two minutes"),
}
_QUANTILE_LABELS = {"p50": "0.5", "p90": "0.9", "p95": "0.95", "p99": "0.99", "max": "1"}
QUEUE_GAUGES = {
    "pending": ("mqfast_queue_ready_jobs", "Jobs that can be pulled now"),
    "processing": ("mqfast_queue_active_jobs", "Jobs held by workers"),
    "delayed": ("mqfast_queue_delayed_jobs", "Jobs that wait for their time, those in backoff too"),
    "waiting": ("mqfast_queue_blocked_jobs", "Jobs that wait for other jobs"),
    "dlq": ("mqfast_queue_dead_jobs", "Jobs in the dead-letter queue"),
    "completed": ("mqfast_queue_completed_jobs", "Completed jobs still kept"),
    "paused": ("mqfast_queue_paused", "1 if deliveries are stopped (of other: how many queues)"),
}
OLDEST = ("mqfast_queue_oldest_ready_seconds", "How long the oldest job that can be pulled has waited")


@dataclass(frozen=True, slots=True)
class Process:
    """What this process knows of itself, as functions: connections of all kinds, requests over HTTP that wait."""

    connections: Callable[[], int]
    waiting: Callable[[], int]
    max_memory: int  # bytes; 0: no limit


class EngineCollector(Collector):
    """Asks the engine anew each time. queues: how many of them have a label of their own, the fullest first."""

    def __init__(self, execute: Callable[[bytes], bytes], process: Process, queues: int) -> None:
        self._execute = execute
        self._process = process
        self._queues = queues

    def collect(self) -> Iterator[Metric]:
        metrics: Row = json.loads(self._execute(b'{"cmd":"METRICS"}'))["metrics"]
        for key, (name, text) in COUNTERS.items():
            if key in metrics:
                yield CounterMetricFamily(name, text, value=metrics[key])
        for key, (name, text) in QUANTILES.items():
            if key in metrics:
                yield _quantiles(name, text, metrics[key])
        rows: list[Row] = metrics["queues"]
        yield GaugeMetricFamily("mqfast_queues", "Queues that are known", value=len(rows))
        own, rest = _split(rows, self._queues)
        yield from _by_queue(own, rest)
        yield self._oldest(own)
        yield from self._of_process()

    def _oldest(self, own: Sequence[Row]) -> Metric:
        """Of queues with a label of their own: it takes a look at each."""
        family = GaugeMetricFamily(*OLDEST, labels=["queue"])
        now_ms = time.time_ns() // 1_000_000
        for row in own:
            request = {"cmd": "GETJOBS", "queue": row["name"], "state": "waiting", "limit": 1, "preview": 1}
            jobs = json.loads(self._execute(json.dumps(request).encode())).get("jobs") if row["pending"] else None
            family.add_metric([row["name"]], max(0, now_ms - jobs[0]["run_at"]) / 1000 if jobs else 0)
        return family

    def _of_process(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("mqfast_connections", "Open connections of clients", value=self._process.connections())
        yield GaugeMetricFamily(
            "mqfast_http_waiting_requests",
            "Pulls and streams that hold a thread of HTTP",
            value=self._process.waiting(),
        )
        yield GaugeMetricFamily("mqfast_memory_resident_bytes", "Memory of the process", value=_resident())
        yield GaugeMetricFamily(
            "mqfast_memory_limit_bytes",
            "Memory for jobs past which pushes are refused, 0 if unlimited",
            value=self._process.max_memory,
        )
        info = GaugeMetricFamily("mqfast_info", "Always 1", labels=["version"])
        info.add_metric([__version__], 1)
        yield info


def _quantiles(name: str, text: str, values: Row) -> Metric:
    """A quantile of nothing has no sample."""
    family = GaugeMetricFamily(name, text, labels=["quantile"])
    for key, label in _QUANTILE_LABELS.items():
        if values.get(key) is not None:
            family.add_metric([label], values[key] / 1000)
    return family


def _split(rows: Sequence[Row], most: int) -> tuple[list[Row], list[Row]]:
    """The queues with a label of their own, and the rest. One that is called as the rest is belongs to it."""
    named = [row for row in rows if row["name"] != OTHER]
    own = heapq.nlargest(most, named, key=_fullness)
    chosen = {row["name"] for row in own}
    return own, [row for row in rows if row["name"] not in chosen]


def _fullness(row: Row) -> tuple[int, int]:
    return row["pending"] + row["processing"] + row["delayed"] + row["waiting"] + row["dlq"], row["completed"]


def _by_queue(own: Sequence[Row], rest: Sequence[Row]) -> Iterable[Metric]:
    for key, (name, text) in QUEUE_GAUGES.items():
        family = GaugeMetricFamily(name, text, labels=["queue"])
        for row in own:
            family.add_metric([row["name"]], row[key])
        if rest:
            family.add_metric([OTHER], sum(row[key] for row in rest))
        yield family


def _resident() -> int:
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Prometheus:
    """Answers with all metrics as text, in OpenMetrics for those who prefer it."""

    def __init__(self, collector: Collector) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(collector)

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        encode, response.content_type = choose_encoder(request.get_header("Accept") or "")
        response.data = encode(self._registry)

    on_head = on_get


def wants_text(accept: str) -> bool:
    """Whether an Accept header prefers the text to JSON, which is what the rest of the world gets."""
    text = json_ = 0.0
    for item in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        quality = next((_quality(part[2:]) for part in parameters if part.startswith("q=")), 1.0)
        if kind in _TEXT:
            text = max(text, quality)
        elif kind == "application/json":
            json_ = max(json_, quality)
    return text > json_


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
