"""Pages of LISTQUEUES against the whole list, sorted and filtered here."""

from __future__ import annotations

import fnmatch
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from mqfast._engine import Engine

Row = dict[str, Any]
SORTS = ("name", "pending", "processing", "delayed", "waiting", "dlq", "completed", "in", "out", "head_age")
FILTERS: dict[str, Callable[[Row], bool]] = {
    "all": lambda row: True,
    "paused": lambda row: row["paused"],
    "failed": lambda row: row["dlq"] > 0,
    "busy": lambda row: row["processing"] > 0 or row["in"] > 0 or row["out"] > 0,
    "idle": lambda row: row["pending"] > 0 and not row["paused"] and not row["processing"] and not row["out"],
}


def ask(engine: Engine, cmd: str, **fields: Any) -> Row:
    answer: Row = json.loads(engine.execute(json.dumps({"cmd": cmd, **fields}).encode()))
    assert answer["ok"], answer
    return answer


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Some hundred queues in every condition."""
    chance = random.Random(7)
    engine = Engine(manual_time_ms=1_000_000)
    for number in range(300):
        queue = chance.choice(("Mail", "mail", "web", "é")) + f"-{chance.randrange(10**6)}"
        jobs = [
            {"data": 1, "max_attempts": 1, "delay": chance.choice((0, 0, 60_000))} for _ in range(chance.randrange(6))
        ]
        ask(engine, "PUSHB", queue=queue, jobs=jobs)
        for job in ask(engine, "PULLB", queue=queue, count=chance.randrange(3), timeout=0)["jobs"]:
            ask(engine, **chance.choice(({"cmd": "ACK"}, {"cmd": "FAIL"}, {"cmd": "GETJOB"})), id=job["id"])
        if chance.random() < 0.2:
            ask(engine, chance.choice(("PAUSE", "RESUME")), queue=queue)
        if number % 50 == 0:
            engine.set_time(1_000_000 + number * 40)
    engine.set_time(1_016_000)
    return engine


def pages(engine: Engine, limit: int, **fields: Any) -> list[Row]:
    rows: list[Row] = []
    cursor = None
    while True:
        answer = ask(engine, "LISTQUEUES", limit=limit, **fields, **({"cursor": cursor} if cursor else {}))
        rows += answer["queues"]
        cursor = answer["cursor"]
        assert len(answer["queues"]) == limit or cursor is None
        if cursor is None:
            assert answer["total"] == len(rows)
            return rows


def place(row: Row, sort: str, sign: int) -> tuple[Any, ...]:
    value = -1 if row.get(sort) is None else row[sort]
    return (row["name"].encode(),) if sort == "name" else (sign * value, row["name"].encode())


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("dir", ["asc", "desc"])
def test_pages_are_the_whole_list_in_order(engine: Engine, sort: str, dir: str) -> None:
    whole = pages(engine, 500)
    assert len(whole) > 200 and len({row["name"] for row in whole}) == len(whole)
    for limit in (1, 7, 100, 500):
        rows = pages(engine, limit, sort=sort, dir=dir)
        expected = sorted(whole, key=lambda row: place(row, sort, -1 if dir == "desc" else 1))
        if sort == "name" and dir == "desc":
            expected.reverse()
        assert rows == expected


@pytest.mark.parametrize("filter", FILTERS)
def test_filters(engine: Engine, filter: str) -> None:
    expected = [row for row in pages(engine, 500) if FILTERS[filter](row)]
    assert pages(engine, 9, filter=filter) == expected
    assert expected


@pytest.mark.parametrize("search", ["mail", "MAIL-1", "é", "*-1*", "m*-*9", "*", "none", "w*b-*", "**1**"])
def test_search(engine: Engine, search: str) -> None:
    pattern = search if "*" in search else f"*{search}*"
    lower = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
    expected = [
        row["name"]
        for row in pages(engine, 500)
        if fnmatch.fnmatchcase(row["name"].translate(lower), pattern.translate(lower))
    ]
    assert [row["name"] for row in pages(engine, 5, search=search)] == expected


def test_metrics_list_at_most_as_many_queues_as_asked_for(engine: Engine) -> None:
    assert len(ask(engine, "METRICS", limit=3)["metrics"]["queues"]) == 3
    assert len(ask(engine, "METRICS")["metrics"]["queues"]) == len(pages(engine, 500))
