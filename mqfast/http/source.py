"""What the dashboard knows of the engine: every question that it asks, in one place.

Answers are read with as little work as each needs.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mqfast.commands import COMMANDS

Row = dict[str, Any]

_PAGES = 20  # of a search for one name
_MOST = 500
_OPTIONAL = {command.name: command.optional for command in COMMANDS}
_SELECTIONS = (("RETRYDLQ", "ids"), ("RETRYDLQ", "reason"), ("PURGEDLQ", "ids"))
"""What the page must not send unless it is known: a field that is ignored would retry or purge all."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list; total: how many there are in all; cursor: where the next page begins, None at the end."""

    rows: list[Row]
    total: int
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Query:
    """Which queues, in which order. search: a part of the name, or a pattern with * for all of it."""

    search: str = ""
    filter: str = "all"
    sort: str = "name"
    dir: str = "asc"
    cursor: str = ""
    limit: int = 100


class Source:
    """Questions to the engine. Safe for any number of threads.

    execute: Engine.execute. connections: how many connections there are. fsync: how the log is kept, None: nothing is
    kept. max_memory: bytes, 0: no limit. result_ttl_ms, result_max: how long and how many completed jobs are kept.
    """

    def __init__(
        self,
        execute: Callable[[bytes], bytes],
        *,
        connections: Callable[[], int] = lambda: 0,
        fsync: str | None = None,
        max_memory: int = 0,
        result_ttl_ms: int = 3_600_000,
        result_max: int = 100_000,
    ) -> None:
        self._execute = execute
        self._connections = connections
        self._fsync = fsync
        self._max_memory = max_memory
        self._keep = [result_ttl_ms, result_max]
        self._can = [f"{name}.{field}" for name, field in _SELECTIONS if field in _OPTIONAL.get(name, ())]
        self._memory: list[int] | None = None  # as the engine counts it
        self._hello: Row | None = None

    def _raw(self, command: str, **fields: object) -> bytes:
        return self._execute(json.dumps({"cmd": command, **fields}).encode())

    def _ask(self, command: str, **fields: object) -> Row | None:
        """The answer; None if the engine refuses."""
        answer: Row = json.loads(self._raw(command, **fields))
        return answer if answer["ok"] else None

    def server(self) -> Row:
        """Version, fsync mode, memory [used, limit] in bytes, number of connections, and what is set about jobs."""
        if self._hello is None:
            self._hello = self._ask("HELLO") or {}
        return {
            "version": self._hello.get("version", ""),
            "fsync": self._fsync,
            "memory": self._memory or [_resident(), self._max_memory],
            "connections": self._connections(),
            "keep": self._keep,
            "can": self._can,
        }

    def stats(self) -> Row:
        return self._ask("STATS") or {}

    def metrics(self) -> Row:
        """Totals, rates and percentiles. The list of queues is not asked for."""
        metrics: Row = (self._ask("METRICS", limit=1) or {})["metrics"]
        if memory := metrics.get("memory"):
            self._memory = [memory["used"], memory["limit"] or 0]
        return metrics

    def queues(self, query: Query) -> Page:
        """Queues with their counts, `waiting` (blocked), `head_age`, `in` and `out`. ValueError: a bad cursor."""
        answer: Row = json.loads(
            self._raw(
                "LISTQUEUES",
                search=query.search or None,
                cursor=query.cursor or None,
                filter=query.filter,
                sort=query.sort,
                dir=query.dir,
                limit=query.limit,
            )
        )
        if not answer["ok"]:
            raise ValueError(str(answer["error"]))
        return Page(answer["queues"], answer["total"], answer["cursor"])

    def queue(self, name: str) -> Row | None:
        """One queue's row; None: there is no such queue."""
        query = Query(search="" if "*" in name else name, limit=_MOST)
        for _ in range(_PAGES):
            page = self.queues(query)
            for row in page.rows:
                if row["name"] == name:
                    return row
            if page.cursor is None:
                return None
            query = Query(search=query.search, cursor=page.cursor, limit=_MOST)
        return None

    def crons(self) -> list[Row]:
        """Crons without their data."""
        answer = self._ask("CRONLIST")
        return (
            [{key: value for key, value in cron.items() if key != "data"} for cron in answer["crons"]] if answer else []
        )

    def job(self, job_id: int) -> Row:
        """What changes about a job: {"state", "progress", "message"}. Its payload is not read."""
        answer = self._raw("GETJOB", id=job_id)
        _, _, tail = answer.rpartition(b'"state":"')
        progress = (self._ask("GETPROGRESS", id=job_id) or {}).get("progress") or {}
        return {
            "state": tail.partition(b'"')[0].decode(),
            "progress": progress.get("progress"),
            "message": progress.get("message"),
        }

    def failed(self) -> dict[str, dict[str, int]] | None:
        """Failed jobs by queue and reason; None: the engine does not count them so."""
        answer = self._ask("GETDLQCOUNTS")
        return answer["counts"] if answer else None

    def clients(self, cursor: str, limit: int) -> Row | None:
        """A page of connections; None: the engine does not list them. ValueError: a bad cursor."""
        answer: Row = json.loads(self._raw("CLIENTS", cursor=cursor or None, limit=limit))
        if answer["ok"]:
            return {"rows": answer["connections"], "cursor": answer["cursor"]}
        if answer["code"] == "invalid":
            raise ValueError(str(answer["error"]))
        return None


def _resident() -> int:
    """Bytes of memory of this process."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
