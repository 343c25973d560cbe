"""A client that is set up differently from its daemon is told what is wrong, at once, and does not try for ever."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from magicqueue import ConfigurationError, ConnectionLostError, MagicQueueClient, Queue, Worker, aio
from tests.sdk.py.package import WAIT_S
from tests.tcp.daemon_process import Daemon

DATA = Path(__file__).parents[2] / "data" / "tls"
CERTIFICATE = str(DATA / "certificate.pem")
TLS_FLAGS = ("--tls-cert", CERTIFICATE, "--tls-key", str(DATA / "key.pem"))

ALERT = b"\x15\x03\x01\x00\x02\x02\x0a"
"""What many servers of TLS (not the daemon) answer to what is not TLS; its last byte is a line's end."""


@dataclass(frozen=True)
class Ports:
    """Of a daemon with TLS and of one without, each with HTTP. That with TLS listens on 127.0.0.2 too."""

    tls: int
    https: int
    plain: int
    http: int


@pytest.fixture(scope="module")
def ports() -> Iterator[Ports]:
    secure = Daemon(*TLS_FLAGS, "--host", "127.0.0.1,127.0.0.2", "--http", "1", "--http-port", "0")
    plain = Daemon("--http", "1", "--http-port", "0")
    assert secure.tcp and secure.http and plain.tcp and plain.http
    yield Ports(secure.tcp[1], secure.http[1], plain.tcp[1], plain.http[1])
    secure.stop()
    plain.stop()


CASES: dict[str, tuple[Callable[[Ports], dict[str, Any]], str]] = {
    "plain to TLS": (lambda p: {"port": p.tls}, r"this port speaks TLS: use mqs:// or tls="),
    "plain with a token to TLS": (lambda p: {"port": p.tls, "token": "x"}, r"this port speaks TLS: use mqs:// or tls="),
    "TLS to plain": (lambda p: {"port": p.plain, "tls": CERTIFICATE}, "this port does not speak TLS: use mq://"),
    "plain to HTTP": (lambda p: {"port": p.http}, r"this is an HTTP port"),
    "plain with a token to HTTP": (lambda p: {"port": p.http, "token": "x"}, r"this is an HTTP port"),
    "TLS to HTTPS": (lambda p: {"port": p.https, "tls": CERTIFICATE}, r"this is an HTTP port"),
    "not trusted": (
        lambda p: {"port": p.tls, "tls": True},
        r"certificate verify failed: self.signed certificate.*tls=",
    ),
    "another name": (
        lambda p: {"host": "127.0.0.2", "port": p.tls, "tls": CERTIFICATE},
        r"certificate verify failed: .*127\.0\.0\.2.*a name that the certificate has",
    ),
    "no such file": (lambda p: {"port": p.tls, "tls": "/nowhere.pem"}, r"/nowhere\.pem.*No such file"),
    "no certificates": (lambda p: {"port": p.tls, "tls": __file__}, r"test_configuration\.py"),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, ports: Ports) -> tuple[dict[str, Any], str]:
    place, text = CASES[request.param]
    return {"host": "127.0.0.1", **place(ports)}, text


def noted(errors: list[Exception]) -> Callable[[str, Exception | None], None]:
    return lambda _state, error: errors.append(error) if error is not None else None


def counted(stop: Callable[[], None]) -> Callable[[], None]:
    """Stops a worker that goes on trying, so that a test of it fails and does not run for ever."""
    calls = itertools.count(1)
    return lambda: stop() if next(calls) >= 10 else None


def test_threads_are_told(case: tuple[dict[str, Any], str]) -> None:
    place, text = case
    errors: list[Exception] = []
    client = MagicQueueClient(**place, on_connection=noted(errors))
    with pytest.raises(ConfigurationError, match=text) as told:
        client.connect()
    assert str(errors[-1]) == str(told.value)
    assert not client.is_connected()
    with pytest.raises(ConfigurationError, match=text), Queue("q", **place) as queue:
        queue.push(1)
    with pytest.raises(ConfigurationError, match=text):
        Queue("q", **place).push_soon(1).result(WAIT_S)


def test_a_worker_of_threads_ends(case: tuple[dict[str, Any], str]) -> None:
    place, text = case
    worker = Worker("q", print, **place, signals=False, on_error=lambda _error: stop_in_the_end())
    stop_in_the_end = counted(worker.stop)
    with pytest.raises(ConfigurationError, match=text):
        worker.start()


def test_asyncio_is_told_and_its_worker_ends(case: tuple[dict[str, Any], str]) -> None:
    place, text = case

    async def program() -> None:
        errors: list[Exception] = []
        client = aio.MagicQueueClient(**place, on_connection=noted(errors))
        with pytest.raises(ConfigurationError, match=text) as told:
            await client.connect()
        assert str(errors[-1]) == str(told.value)
        assert not client.is_connected()
        with pytest.raises(ConfigurationError, match=text):
            await aio.Queue("q", **place).push(1)
        worker = aio.Worker("q", print, **place, signals=False, on_error=lambda _error: stop_in_the_end())
        stop_in_the_end = counted(worker.stop)
        with pytest.raises(ConfigurationError, match=text):
            await worker.start()

    asyncio.run(program())


def test_a_daemon_that_comes_back_with_tls_ends_its_clients() -> None:
    daemon = Daemon()
    assert daemon.tcp is not None
    port = daemon.tcp[1]
    is_open = threading.Event()
    worker = Worker(
        "q",
        print,
        "127.0.0.1",
        port,
        signals=False,
        on_error=lambda _error: None,
        on_connection=lambda state, _: is_open.set() if state == "open" else None,
    )
    ended: list[BaseException] = []

    def work() -> None:
        try:
            worker.start()
        except BaseException as error:
            ended.append(error)

    working = threading.Thread(target=work)
    working.start()
    assert is_open.wait(WAIT_S)
    daemon.stop()
    daemon = Daemon("--port", str(port), *TLS_FLAGS)
    working.join(WAIT_S)
    worker.stop()
    daemon.stop()
    assert [type(error) for error in ended] == [ConfigurationError]


def test_an_alert_of_tls_says_it_even_in_pieces() -> None:
    def answer(number: int, connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(ALERT[:1])
        connection.sendall(ALERT[1:])

    with serving(answer) as port:
        with pytest.raises(ConfigurationError, match="this port speaks TLS"):
            MagicQueueClient("127.0.0.1", port).connect()
        with pytest.raises(ConfigurationError, match="this port speaks TLS"):
            asyncio.run(aio.MagicQueueClient("127.0.0.1", port).connect())


def test_a_daemon_that_hangs_up_without_a_word_is_tried_again() -> None:
    def answer(number: int, connection: socket.socket) -> None:
        line = connection.recv(4096)
        if line[:1] != b"{":
            connection.sendall(b'{"ok":false,"error":"Invalid: no JSON","code":"invalid"}\n')
        elif number % 3 == 2:
            connection.sendall(b'{"ok":true,"pong":true}\n')
            connection.recv(4096)

    with serving(answer) as port:
        with MagicQueueClient("127.0.0.1", port) as client:
            assert client.is_connected()

        async def program() -> None:
            async with aio.MagicQueueClient("127.0.0.1", port) as client:
                assert client.is_connected()

        asyncio.run(program())


def test_the_error_is_a_lost_connection_that_was_never_used_and_can_be_sent_to_another_process() -> None:
    error = ConfigurationError("wrong")
    assert isinstance(error, ConnectionLostError)
    assert (error.code, error.maybe_done) == ("configuration", False)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (ConfigurationError, "wrong")


@contextlib.contextmanager
def serving(answer: Callable[[int, socket.socket], None]) -> Iterator[int]:
    """A port whose connections, counted from 0, are answered so and closed then."""

    def serve() -> None:
        number = 0
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                answer(number, connection)
            number += 1

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
