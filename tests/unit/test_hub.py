"""The dashboard's hub over a real engine: messages, views, streams, and that nobody is starved or left behind."""

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from mqfast._engine import Engine
from mqfast.http.hub import Hub, StreamsFull
from mqfast.http.source import Query, Source
from mqfast.http.views import View, parse

OVERVIEW = View()


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.close()


@pytest.fixture
def hub(engine: Engine) -> Iterator[Hub]:
    hub = Hub(Source(engine.execute), streams=2)
    yield hub
    hub.stop()


def ask(engine: Engine, command: str, **fields: object) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(engine.execute(json.dumps({"cmd": command, **fields}).encode()))
    assert answer["ok"], answer
    return answer


def push(engine: Engine, queue: str, n: int = 1, **fields: object) -> list[int]:
    return [ask(engine, "PUSH", queue=queue, data={"n": i}, **fields)["id"] for i in range(n)]


def told(hub: Hub, view: View = OVERVIEW) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(hub.message(view))
    return message


def event(text: bytes) -> tuple[str, dict[str, Any]]:
    lines = dict(line.split(": ", 1) for line in text.decode().strip().split("\n"))
    return lines["event"], json.loads(lines["data"])


# Messages


def test_a_message_counts_every_state(engine: Engine, hub: Hub) -> None:
    push(engine, "q", 3)
    push(engine, "q", 2, delay=60_000)
    parent = push(engine, "other")[0]
    ask(engine, "PUSH", queue="q", data=1, depends_on=[parent])
    held = ask(engine, "PULL", queue="q", timeout=0, lease=60_000)["job"]["id"]
    message = told(hub)
    assert message["v"] == 1
    assert message["counts"] == {
        "waiting": 3,
        "active": 1,
        "delayed": 2,
        "waitingparent": 1,
        "completed": 0,
        "failed": 0,
    }
    ask(engine, "ACK", id=held)
    hub.look()
    assert told(hub)["counts"]["completed"] == 1
    assert told(hub)["kept"] == 1


def test_rates_are_of_the_time_between_two_looks(engine: Engine) -> None:
    clock = iter([0, 1000, 3000, 4000, 5000, 6000, 7000])
    hub = Hub(Source(engine.execute), now_ms=lambda: 1_766_500_000_000 + next(clock))
    hub.look()
    push(engine, "q", 10)
    hub.look()
    shown = hub.history.window("5m", 1_766_500_003_000)
    assert shown["pushed"] == [None, 5]
    assert shown["waiting"] == [0, 10]
    assert shown["wait_p50"] == [None, None], "nothing was completed: there is no percentile"


def test_the_queues_view_searches_sorts_and_pages(engine: Engine, hub: Hub) -> None:
    for n in range(25):
        push(engine, f"q{n:02}", n + 1)
    push(engine, "Other")
    first = told(hub, parse({"view": "queues", "search": "q", "sort": "pending", "dir": "desc", "limit": "10"}))["view"]
    assert [row["waiting"] for row in first["rows"]] == list(range(25, 15, -1))
    assert first["total"] == 25
    names = [row["name"] for row in first["rows"]]
    cursor = first["cursor"]
    while cursor:
        query = {"view": "queues", "search": "q", "sort": "pending", "dir": "desc", "limit": "10", "cursor": cursor}
        page = told(hub, parse(query))["view"]
        names += [row["name"] for row in page["rows"]]
        cursor = page["cursor"]
    assert names == [f"q{n:02}" for n in range(24, -1, -1)]
    globbed = told(hub, parse({"view": "queues", "search": "Q1*"}))["view"]
    assert [row["name"] for row in globbed["rows"]] == [f"q{n}" for n in range(10, 20)]
    any_case = told(hub, parse({"view": "queues", "search": "OTH"}))["view"]
    assert [row["name"] for row in any_case["rows"]] == ["Other"]


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_pages_by_name_hold_each_queue_once(engine: Engine, hub: Hub, direction: str) -> None:
    for n in range(7):
        push(engine, f"q{n}")
    seen: list[str] = []
    cursor = ""
    while True:
        query = {"view": "queues", "dir": direction, "limit": "3", "cursor": cursor}
        page = told(hub, parse(query))["view"]
        seen += [row["name"] for row in page["rows"]]
        cursor = page["cursor"]
        if not cursor:
            break
    assert seen == sorted((f"q{n}" for n in range(7)), reverse=direction == "desc")


@pytest.mark.parametrize(("which", "names"), [("paused", ["a"]), ("failed", ["b"]), ("busy", ["c"])])
def test_filters(engine: Engine, hub: Hub, which: str, names: list[str]) -> None:
    for queue in "abc":
        push(engine, queue, max_attempts=1)
    ask(engine, "PAUSE", queue="a")
    dead = ask(engine, "PULL", queue="b", timeout=0, lease=1000)["job"]["id"]
    ask(engine, "FAIL", id=dead)
    ask(engine, "PULL", queue="c", timeout=0, lease=60_000)
    assert [row["name"] for row in told(hub, parse({"view": "queues", "filter": which}))["view"]["rows"]] == names


def test_one_queue_whatever_its_name(engine: Engine, hub: Hub) -> None:
    for name in ("plain", "a*b", "naïve/…", "[x]"):
        push(engine, name, 2)
        assert told(hub, View(kind="queue", name=name))["view"]["row"]["waiting"] == 2
    assert told(hub, View(kind="queue", name="none"))["view"] == {"row": None}


def test_a_job_s_state_and_progress(engine: Engine, hub: Hub) -> None:
    (job,) = push(engine, "q")
    view = View(kind="job", id=job)
    assert told(hub, view)["view"]["state"] == "waiting"
    ask(engine, "PULL", queue="q", timeout=0, lease=60_000)
    ask(engine, "PROGRESS", id=job, progress=40, message="page 4")
    hub.look()
    assert told(hub, view)["view"] == {"state": "active", "progress": 40, "message": "page 4"}
    assert told(hub, View(kind="job", id=9_999_999))["view"]["state"] == "unknown"


def test_a_state_in_a_payload_is_not_the_job_s(engine: Engine, hub: Hub) -> None:
    job = ask(engine, "PUSH", queue="q", data={"state": "failed"})["id"]
    assert told(hub, View(kind="job", id=job))["view"]["state"] == "waiting"


def test_a_bad_cursor_is_refused(hub: Hub) -> None:
    with pytest.raises(ValueError, match="cursor"):
        hub.message(View(kind="queues", cursor="nonsense"))
    with pytest.raises(ValueError, match="cursor"):
        hub.stream(View(kind="queues", cursor="nonsense"))
    hub.stream(OVERVIEW).close()


@pytest.mark.parametrize(
    "query",
    [
        {"view": "nothing"},
        {"view": "queue"},
        {"view": "job"},
        {"view": "job", "id": "0"},
        {"view": "job", "id": "9007199254740992"},
        {"view": "queues", "limit": "501"},
        {"view": "queues", "sort": "size"},
        {"view": "queues", "dir": "up"},
        {"view": "queues", "search": "x" * 256},
    ],
)
def test_views_that_are_none_are_refused(query: Mapping[str, str]) -> None:
    with pytest.raises(ValueError):
        parse(query)


def test_selections_that_the_engine_would_ignore_are_not_offered(hub: Hub) -> None:
    from mqfast.commands import COMMANDS

    optional = {command.name: command.optional for command in COMMANDS}
    for selection in told(hub)["server"]["can"]:
        command, field = selection.split(".")
        assert field in optional[command]


# Streams


def test_a_stream_begins_at_once_and_goes_on_with_each_look(engine: Engine, hub: Hub) -> None:
    with hub.stream(OVERVIEW) as stream:
        assert event(next(stream))[1]["counts"]["waiting"] == 0
        push(engine, "q", 4)
        hub.look()
        kind, message = event(next(stream))
        assert kind == "snapshot"
        assert message["counts"]["waiting"] == 4
        assert message["server"]["streams"] == [1, 2]


def test_a_slow_reader_gets_the_newest_message_only(engine: Engine, hub: Hub) -> None:
    with hub.stream(OVERVIEW) as stream:
        next(stream)
        for _ in range(5):
            push(engine, "q")
            hub.look()
        assert event(next(stream))[1]["counts"]["waiting"] == 5


def test_viewers_of_one_view_get_one_encoding(hub: Hub) -> None:
    with hub.stream(OVERVIEW) as first, hub.stream(OVERVIEW) as second:
        next(first), next(second)
        hub.look()
        assert next(first) == next(second)


def test_past_the_cap_a_stream_is_refused_and_a_closed_one_makes_room(hub: Hub) -> None:
    streams = [hub.stream(OVERVIEW), hub.stream(View(kind="crons"))]
    with pytest.raises(StreamsFull):
        hub.stream(OVERVIEW)
    streams[0].close()
    streams[0].close()
    hub.stream(OVERVIEW).close()
    streams[1].close()
    assert told(hub)["server"]["streams"] == [0, 2]


def test_a_stream_that_was_never_read_gives_its_place_back(hub: Hub) -> None:
    for _ in range(5):
        hub.stream(OVERVIEW).close()
    assert told(hub)["server"]["streams"] == [0, 2]


def test_a_stream_closed_by_another_thread_ends(hub: Hub) -> None:
    stream = hub.stream(OVERVIEW)
    next(stream)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.extend(stream))
    reader.start()
    stream.close()
    reader.join(20)
    assert not reader.is_alive()
    assert got == []
    assert told(hub)["server"]["streams"] == [0, 2]


def test_no_slot_no_stream(engine: Engine) -> None:
    class None_:
        released = 0

        def acquire(self) -> bool:
            return False

        def release(self) -> None:
            self.released += 1

    slots = None_()
    hub = Hub(Source(engine.execute), slots=slots)
    with pytest.raises(StreamsFull):
        hub.stream(OVERVIEW)
    assert slots.released == 0
    assert told(hub)["server"]["streams"][0] == 0


def test_stop_ends_every_stream_with_bye(hub: Hub) -> None:
    stream = hub.stream(OVERVIEW)
    next(stream)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.extend(stream))
    reader.start()
    hub.stop()
    reader.join(20)
    assert not reader.is_alive()
    assert got[-1] == b"event: bye\ndata: {}\n\n"
    stream.close()
    with pytest.raises(StreamsFull):
        hub.stream(OVERVIEW)


def test_the_thread_looks_by_itself(engine: Engine, hub: Hub) -> None:
    hub.start()
    with hub.stream(OVERVIEW) as stream:
        next(stream)
        push(engine, "q", 2)
        assert any(event(next(stream))[1]["counts"]["waiting"] == 2 for _ in range(20))
    hub.stop()
    hub.stop()


def test_problems_are_found_while_nobody_watches(engine: Engine) -> None:
    now = [1_766_500_000_000]
    hub = Hub(Source(engine.execute), now_ms=lambda: now[0])
    push(engine, "q")
    for _ in range(8):
        hub.look()
        now[0] += 10_000
    (problem,) = told(hub)["problems"]
    assert (problem["kind"], problem["queue"], problem["since"]) == ("no_worker", "q", 1_766_500_000_000)
    names = [row["name"] for row in told(hub, View(kind="queues", filter="problems"))["view"]["rows"]]
    assert names == ["q"]


def test_an_engine_that_sorts_is_asked_to() -> None:
    """The shapes of an engine whose LISTQUEUES searches, sorts and pages."""
    asked: list[dict[str, Any]] = []

    def execute(line: bytes) -> bytes:
        asked.append(json.loads(line))
        return b'{"ok":true,"queues":[{"name":"q","pending":1}],"total":7,"cursor":"next"}'

    page = Source(execute).queues(Query(search="q", sort="in", dir="desc", limit=1))
    assert (page.rows[0]["name"], page.total, page.cursor) == ("q", 7, "next")
    assert asked == [
        {
            "cmd": "LISTQUEUES",
            "search": "q",
            "cursor": None,
            "filter": "all",
            "sort": "in",
            "dir": "desc",
            "limit": 1,
        }
    ]
