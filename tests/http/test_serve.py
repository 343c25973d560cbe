"""The server by itself, with applications made for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mqfast.http import serve
from mqfast.http.serve import HttpServer
from tests.http.client import HttpClient, Raw
from tests.tcp.waiting import DEADLINE_S

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterator[bytes] | list[bytes]]
HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@contextmanager
def serving(application: Application, **options: Any) -> Iterator[tuple[str, int]]:
    """Where it is served, until the block ends. No thread may be left over, nothing may have failed."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    failures: list[str] = []
    given = {"threads": 2, "max_body": 1000, "max_header": 1000, "failed": failures.append, **options}
    server = HttpServer(application, [listener], **given)
    server.start()
    try:
        yield address
    finally:
        assert server.stop(1.0), "a thread is left over"
        assert not failures


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


class Endless:
    """A body that never ends; closed tells that it was given up."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return self

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    def close(self) -> None:
        self.closed.set()


def test_a_client_that_does_not_read_is_given_up_and_its_thread_is_free() -> None:
    endless = Endless()
    with serving(endless, stalled_seconds=0.3) as address, Raw(address) as raw:
        raw.send(HEAD)
        assert endless.closed.wait(DEADLINE_S)
        assert raw.read_all().startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_goes_ends_its_body() -> None:
    endless = Endless()
    with serving(endless) as address:
        with Raw(address) as raw:
            raw.send(HEAD)
            raw.read_until(b"xxx")
        assert endless.closed.wait(DEADLINE_S)


def test_a_request_that_does_not_become_complete_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "REQUEST_SECONDS", 0.2)
    with serving(hello, stalled_seconds=0.3) as address:
        for part in (b"GET / HT", HEAD[:-2], b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx"):
            with Raw(address) as raw:
                raw.send(part)
                answer = raw.read_all()
            assert answer.startswith((b"HTTP/1.0 408 ", b"HTTP/1.1 408 ")), answer
            assert b'"code":"timeout","retryable":true' in answer


def test_a_stop_ends_threads_that_wait_for_a_client_to_read() -> None:
    endless = Endless()
    with serving(endless) as address, Raw(address) as raw:
        raw.send(HEAD)
        raw.read_until(b"xxx")
    assert endless.closed.is_set()


def test_a_stop_lets_the_request_in_flight_end() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        begun.set()
        assert go_on.wait(DEADLINE_S)
        return hello(environ, start_response)

    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(slow, [listener], threads=1, max_body=9, max_header=999, failed=print)
    server.start()
    with HttpClient(listener.getsockname()) as web:
        web.send("GET", "/")
        assert begun.wait(DEADLINE_S)
        stopping = threading.Thread(target=server.stop, args=(DEADLINE_S,))
        stopping.start()
        go_on.set()
        assert web.receive().body == b"hello"
        stopping.join(DEADLINE_S)
        assert not stopping.is_alive()


def test_an_application_that_fails_is_a_500_and_the_next_request_is_served(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []

    def fails_once(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        calls.append(environ["PATH_INFO"])
        if len(calls) == 1:
            raise RuntimeError("planned")
        return hello(environ, start_response)

    with serving(fails_once) as address, HttpClient(address) as web:
        failed = web.get("/")
        assert failed.status == 500 and b"planned" not in failed.body
        assert web.get("/").body == b"hello"
    assert "planned" in caplog.text


def test_an_answer_held_is_lost_if_another_is_given(caplog: pytest.LogCaptureFixture) -> None:
    lost = threading.Event()

    def holds(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        assert environ[serve.CHANNEL].hold(lost.set)
        environ[serve.CHANNEL].give_up()
        return hello(environ, start_response)

    with serving(holds) as address, HttpClient(address) as web:
        assert web.get("/").body == b"hello"
        assert lost.is_set()


def test_an_answer_held_is_not_lost_when_it_is_sent() -> None:
    lost = threading.Event()

    def holds(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        assert environ[serve.CHANNEL].hold(lost.set)
        return hello(environ, start_response)

    with serving(holds) as address, HttpClient(address) as web:
        assert web.get("/").body == web.get("/").body == b"hello"
    assert not lost.is_set()
