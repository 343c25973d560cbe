"""What a viewer of the dashboard looks at: the query of /dashboard/snapshot and /dashboard/stream, checked.

Two viewers with equal queries have equal views; the hub encodes a message once for each of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

VIEWS = ("overview", "queues", "queue", "job", "failed", "crons", "workers")
FILTERS = ("all", "problems", "paused", "failed", "busy")
SORTS = ("name", "pending", "processing", "delayed", "dlq", "in", "out", "head_age")
LIMIT = 100
MOST = 500
_NAME_BYTES = 255
_CURSOR_BYTES = 1024
_MAX_ID = (1 << 53) - 1


@dataclass(frozen=True, slots=True)
class View:
    """kind: one of VIEWS. name: the queue of a queue's view. id: the job of a job's. The rest: which rows of a list."""

    kind: str = "overview"
    name: str = ""
    id: int = 0
    search: str = ""
    filter: str = "all"
    sort: str = "name"
    dir: str = "asc"
    cursor: str = ""
    limit: int = LIMIT


def parse(query: Mapping[str, str]) -> View:
    """The view that a query string asks for. Raises ValueError, which says what is wrong; unknown keys are ignored."""
    kind = _choice(query, "view", VIEWS, "overview")
    name, job = "", 0
    if kind == "queue":
        name = _text(query, "name", _NAME_BYTES)
        if not name:
            raise ValueError("view=queue needs a name")
    if kind == "job":
        job = _integer(query, "id", 0, 1, _MAX_ID)
    if kind not in ("queues", "workers"):
        return View(kind=kind, name=name, id=job)
    limit = _integer(query, "limit", LIMIT, 1, MOST)
    cursor = _text(query, "cursor", _CURSOR_BYTES)
    if kind == "workers":
        return View(kind=kind, cursor=cursor, limit=limit)
    return View(
        kind=kind,
        search=_text(query, "search", _NAME_BYTES),
        filter=_choice(query, "filter", FILTERS, "all"),
        sort=_choice(query, "sort", SORTS, "name"),
        dir=_choice(query, "dir", ("asc", "desc"), "asc"),
        cursor=cursor,
        limit=limit,
    )


def _choice(query: Mapping[str, str], key: str, known: tuple[str, ...], default: str) -> str:
    value = query.get(key) or default
    if value not in known:
        raise ValueError(f"{key} must be one of {', '.join(known)}")
    return value


def _text(query: Mapping[str, str], key: str, most: int) -> str:
    value = query.get(key, "")
    if len(value.encode("utf-8", "surrogatepass")) > most:
        raise ValueError(f"{key} must have at most {most} bytes")
    return value


def _integer(query: Mapping[str, str], key: str, default: int, low: int, high: int) -> int:
    text = query.get(key, "")
    if not text and default:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and low <= int(text) <= high):
        raise ValueError(f"{key} must be a whole number from {low} to {high}")
    return int(text)
