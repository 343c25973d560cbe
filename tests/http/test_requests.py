"""Requests as bytes: what is too large, cut up, ambiguous, or no HTTP at all."""

from __future__ import annotations

import json

import pytest

from tests.http.client import HttpClient, Raw
from tests.http.conftest import HTTP, OpenHttp, http_of
from tests.tcp.client import Client
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import StartDaemon

END = b"\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def exchange(server: Daemon, *parts: bytes) -> tuple[int, bytes]:
    """Send the parts; the status and the body of the answer, after which the server must close."""
    with Raw(http_of(server)) as raw:
        for part in parts:
            raw.send(part)
        answer = raw.read_all()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1."), answer
    return int(head.split()[1]), body


def code(body: bytes) -> str:
    answer = json.loads(body)
    assert set(answer) == {"ok", "error", "code", "retryable"} and answer["ok"] is False
    return str(answer["code"])


def push_head(queue: str, *headers: str) -> bytes:
    lines = [f"POST /queues/{queue}/jobs HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


# What is no HTTP


@pytest.mark.parametrize(
    "data",
    [
        b'{"cmd":"PING"}\n',
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /stats\r\n",
        b"GET /stats HTTP/1.1\n\n",
        b"GET  /stats HTTP/1.1\r\n",
        b"GET /a b HTTP/1.1\r\n",
        b"hello\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"GET /stats HTTP/3.0\r\n",
    ],
)
def test_what_is_no_http_is_closed_with_a_bare_400(server: Daemon, web: HttpClient, data: bytes) -> None:
    assert exchange(server, data) == (400, b"")
    assert web.get("/health").status == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /stats HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n",
        b"GET /stats HTTP/1.1\r\nHost: a\r\nX\x00: x\r\n\r\n",
        b"GET /stats HTTP/1.1\r\nHost : a\r\n\r\n",
    ],
)
def test_http_that_is_wrong_is_refused_in_the_shape_of_refusals(server: Daemon, head: bytes) -> None:
    status, body = exchange(server, head)
    assert (status, code(body)) == (400, "invalid")


def test_http_1_0_is_served_and_closed(server: Daemon) -> None:
    assert exchange(server, b"GET /health HTTP/1.0\r\n\r\n") == (200, b'{"ok":true}')


def test_a_whole_address_may_stand_for_the_path(server: Daemon) -> None:
    status, body = exchange(server, b"GET http://localhost:6790/stats?x=/a HTTP/1.1" + END)
    assert status == 200 and json.loads(body)["ok"]


def test_an_unknown_method_is_refused(server: Daemon) -> None:
    for method in (b"FOO", b"TRACE", b"CONNECT", b"get"):
        status, body = exchange(server, method + b" /stats HTTP/1.1" + END)
        assert status in (400, 405) and code(body) in ("invalid", "not_supported")


# Lengths


def test_a_head_in_single_bytes_is_understood(server: Daemon) -> None:
    head = b"GET /health HTTP/1.1" + END
    assert exchange(server, *[head[at : at + 1] for at in range(len(head))]) == (200, b'{"ok":true}')


def test_requests_sent_ahead_are_answered_in_order(server: Daemon) -> None:
    with Raw(http_of(server)) as raw:
        raw.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n" * 20 + b"GET /stats HTTP/1.1" + END)
        answers = raw.read_all()
    assert answers.count(b'{"ok":true}') == 20
    assert answers.endswith(b"}}") and answers.rindex(b'{"ok":true,"data"') > answers.rindex(b'{"ok":true}')


def test_chunks_are_put_together(server: Daemon, tcp: Client, queue: str) -> None:
    head = push_head(queue, "Transfer-Encoding: chunked", "Content-Type: application/json")
    status, body = exchange(server, head, b'5\r\n{"dat\r\n', b'5;x=y\r\na":1}\r\n', b"0\r\n\r\n")
    assert status == 200
    assert tcp.call("GETJOB", id=json.loads(body)["data"]["id"])["job"]["data"] == 1


@pytest.mark.parametrize("chunks", [b"x\r\n{}\r\n0\r\n\r\n", b"-1\r\n{}\r\n0\r\n\r\n", b"3\r\n{}\r\n0\r\n\r\n"])
def test_broken_chunks_are_refused(server: Daemon, queue: str, chunks: bytes) -> None:
    status, body = exchange(server, push_head(queue, "Transfer-Encoding: chunked"), chunks)
    assert (status, code(body)) == (400, "invalid")


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 10", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 10"),
        ("Content-Length: 10", "Content-Length: 5"),
        ("Content-Length: 10, 10",),
        ("Content-Length: -1",),
        ("Content-Length: +10",),
        ("Content-Length: 1e1",),
        ("Content-Length: 0x10",),
    ],
)
def test_lengths_that_two_readers_could_understand_differently_are_refused(
    server: Daemon, tcp: Client, queue: str, headers: tuple[str, ...]
) -> None:
    status, body = exchange(server, push_head(queue, *headers), b'{"data":1}')
    assert (status, code(body)) == (400, "invalid")
    assert queue not in [row["name"] for row in tcp.call("LISTQUEUES")["queues"]]


def test_an_unknown_encoding_is_refused(server: Daemon, queue: str) -> None:
    status, body = exchange(server, push_head(queue, "Transfer-Encoding: gzip"), b'{"data":1}')
    assert (status, code(body)) == (501, "not_supported")


def test_a_body_that_ends_early_does_nothing(server: Daemon, tcp: Client, queue: str) -> None:
    with Raw(http_of(server)) as raw:
        raw.send(push_head(queue, "Content-Length: 11") + b'{"data":1}')
    assert queue not in [row["name"] for row in tcp.call("LISTQUEUES")["queues"]]


# Limits


@pytest.fixture
def small(daemon_with: StartDaemon) -> Daemon:
    return daemon_with(*HTTP, "--http-max-body", "2KiB", "--http-max-header", "1KiB")


def test_a_body_over_the_limit_is_refused_before_it_is_read(small: Daemon, queue: str) -> None:
    status, body = exchange(small, push_head(queue, "Content-Length: 2049"))
    assert (status, code(body)) == (413, "payload_too_large")
    status, body = exchange(small, push_head(queue, "Content-Length: 99999999999999999999"))
    assert (status, code(body)) == (413, "payload_too_large")


def test_a_body_at_the_limit_is_taken(small: Daemon, open_http: OpenHttp, queue: str) -> None:
    body = b'{"data":"%s"}' % (b"x" * (2048 - 11))
    assert len(body) == 2048
    assert open_http(small).post(f"/queues/{queue}/jobs", body).data["id"]


def test_chunks_over_the_limit_are_refused(small: Daemon, queue: str) -> None:
    head = push_head(queue, "Transfer-Encoding: chunked")
    status, body = exchange(small, head, b"".join(b"400\r\n%s\r\n" % (b" " * 1024) for _ in range(3)))
    assert (status, code(body)) == (413, "payload_too_large")


def test_a_head_over_the_limit_is_refused(small: Daemon) -> None:
    status, body = exchange(small, b"GET /stats HTTP/1.1\r\nX: " + b"x" * 2000)
    assert (status, code(body)) == (431, "payload_too_large")
    status, body = exchange(small, b"GET /" + b"x" * 2000)
    assert (status, code(body)) == (431, "payload_too_large")


def test_a_large_body_is_taken_and_one_over_max_line_refused(web: HttpClient, tcp: Client, queue: str) -> None:
    jobs = [{"data": "x" * 100_000} for _ in range(100)]
    assert len(web.post(f"/queues/{queue}/jobs", {"jobs": jobs}).data["ids"]) == 100
    assert tcp.counts(queue)["pending"] == 100
    assert web.post(f"/queues/{queue}/jobs", b'{"data":1}' + b" " * ((16 << 20) - 10)).status == 200
    body = b'{"data":1,"x":"%s"}' % (b"x" * ((16 << 20) - 20))
    web.post(f"/queues/{queue}/jobs", body).refused(413, "line_too_long")
    assert web.get("/health").status == 200


def test_a_client_may_ask_before_it_sends_its_body(server: Daemon, queue: str) -> None:
    with Raw(http_of(server)) as raw:
        raw.send(push_head(queue, "Content-Length: 10", "Expect: 100-continue"))
        assert raw.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        raw.send(b'{"data":1}')
        assert raw.read_all().startswith(b"HTTP/1.1 200 ")
