"""GET /events: what happens to jobs, as server-sent events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.client import HttpClient, Raw, name
from tests.http.conftest import HTTP, OpenHttp, http_of
from tests.http.gauges import until_waiting
from tests.tcp.client import Client
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import StartDaemon


class Stream:
    """Reads events off a chunked response."""

    def __init__(self, server: Daemon, path: str) -> None:
        self._raw = Raw(http_of(server))
        self._raw.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        self.head = self._raw.read_until(b"events follow\n\n")
        self._text = b""

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._raw.socket.close()

    def take(self, count: int) -> list[tuple[str, dict[str, Any]]]:
        """The next events: the id and the data of each."""
        while len(found := self._complete()) < count:
            chunk = self._raw.socket.recv(65536)
            assert chunk, f"the stream has ended after {self._text!r}"
            self._text += chunk
        for _ in range(count):
            self._text = self._text.partition(b"\n\n")[2]
        return found[:count]

    def _complete(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (number.decode(), json.loads(data))
            for number, data in re.findall(rb"id: (\d+)\ndata: ([^\n]*)\n\n", self._text)
        ]


@pytest.fixture
def own(start_daemon: StartDaemon) -> Daemon:
    return start_daemon(*HTTP, "--http-threads", "6")


@pytest.fixture
def watcher(own: Daemon) -> Iterator[HttpClient]:
    with HttpClient(http_of(own)) as web:
        yield web


def test_a_stream_tells_what_happens_with_seqs_as_ids(server: Daemon, tcp: Client, queue: str) -> None:
    with Stream(server, f"/events?queue={queue}") as stream:
        head = stream.head.decode().lower()
        assert head.startswith("http/1.1 200 ok")
        assert "content-type: text/event-stream" in head and "cache-control: no-store" in head
        job_id = tcp.call("PUSH", queue=queue, data=1)["id"]
        tcp.call("PULL", queue=queue)
        tcp.call("ACK", id=job_id)
        events = stream.take(3)
    assert [event for _, event in events] == [
        {"event": kind, "queue": queue, "job": job_id, "seq": seq}
        for seq, kind in enumerate(("pushed", "active", "completed"), 1)
    ]
    assert [number for number, _ in events] == ["1", "2", "3"]


def test_a_stream_tells_only_what_was_asked_for(server: Daemon, tcp: Client, queue: str) -> None:
    odd = queue + "/ü"
    with Stream(server, f"/events?queue={name(odd)}&events=active,completed") as stream:
        tcp.call("PUSH", queue=queue, data=1)
        job_id = tcp.call("PUSH", queue=odd, data=1)["id"]
        tcp.call("PULL", queue=odd)
        ((_, event),) = stream.take(1)
    assert (event["event"], event["queue"], event["job"]) == ("active", odd, job_id)


def test_a_stream_without_a_queue_tells_of_all(own: Daemon, watcher: HttpClient) -> None:
    with Stream(own, "/events") as stream:
        for queue in ("a", "b"):
            watcher.post(f"/queues/{queue}/jobs", {"data": 1})
        assert [event["queue"] for _, event in stream.take(2)] == ["a", "b"]


def test_a_great_number_of_events_comes_whole_and_in_order(own: Daemon, watcher: HttpClient) -> None:
    with Stream(own, "/events?events=pushed") as stream:
        watcher.post("/queues/q/jobs", {"jobs": [{"data": n} for n in range(5000)]})
        events = stream.take(5000)
    assert [event["seq"] for _, event in events] == list(range(1, 5001))


@pytest.mark.parametrize("query", ["events=nonsense", "queue=", "queue=" + "x" * 256, "queue=%ff"])
def test_what_cannot_be_subscribed_to_is_refused(web: HttpClient, query: str) -> None:
    answer = web.get(f"/events?{query}")
    assert answer.status in (400, 413)
    answer.refused(answer.status, "invalid" if answer.status == 400 else "payload_too_large")


def test_a_stream_whose_client_goes_is_given_up_at_once(own: Daemon, watcher: HttpClient) -> None:
    streams = [Stream(own, "/events") for _ in range(2)]
    until_waiting(watcher, 2)
    watcher.get("/events").refused(503, "unavailable")
    for stream in streams:
        stream.close()
    until_waiting(watcher, 0)
    with Stream(own, "/events") as stream:
        watcher.post("/queues/q/jobs", {"data": 1})
        assert stream.take(1)


def test_head_opens_no_stream(open_http: OpenHttp) -> None:
    answer = open_http().ask("HEAD", "/events")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, OPTIONS")
