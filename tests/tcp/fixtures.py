"""Fixtures that give tests a running daemon; a conftest takes what it needs from here."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tcp.client import Client
from tests.tcp.daemon_process import Daemon

StartDaemon = Callable[..., Daemon]
"""start_daemon(*flags) -> Daemon, stopped and checked when the test ends."""

Connect = Callable[[], Client]

_numbers = itertools.count(1)


def unique_name(prefix: str = "q") -> str:
    """A queue name that no other test of this run uses."""
    return f"{prefix}-{next(_numbers)}"


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    """The daemon that most tests share, with default settings and a Unix socket besides TCP."""
    with tempfile.TemporaryDirectory(prefix="mq") as folder:
        running = Daemon("--unix-socket", str(Path(folder, "s")))
        yield running
        running.stop()


@pytest.fixture
def start_daemon() -> Iterator[StartDaemon]:
    """Start daemons of the test's own: start_daemon("--max-deliveries", "3")."""
    running: list[Daemon] = []

    def start(*flags: str) -> Daemon:
        running.append(Daemon(*flags))
        return running[-1]

    yield start
    _stop_all(running)


@pytest.fixture(params=["tcp", "unix"])
def connect(request: pytest.FixtureRequest, daemon: Daemon) -> Iterator[Connect]:
    """Open connections to the shared daemon, over TCP and, in a second run of the test, over its Unix socket."""
    clients: list[Client] = []

    def open_connection() -> Client:
        clients.append(daemon.connect(str(request.param)))
        return clients[-1]

    yield open_connection
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Connect) -> Client:
    return connect()


@pytest.fixture
def queue() -> str:
    return unique_name()


@pytest.fixture(scope="session")
def daemon_with() -> Iterator[StartDaemon]:
    """A daemon with these flags that the whole run shares: for tests that only need another limit."""
    running: dict[tuple[str, ...], Daemon] = {}
    with tempfile.TemporaryDirectory(prefix="mq") as folder:

        def get(*flags: str) -> Daemon:
            if flags not in running:
                socket_file = str(Path(folder, str(len(running))))
                running[flags] = Daemon(*flags, "--unix-socket", socket_file)
            return running[flags]

        yield get
        _stop_all(list(running.values()))


def _stop_all(running: list[Daemon]) -> None:
    """Stop every one, then report the first that ended badly."""
    problems: list[Exception] = []
    for one in running:
        try:
            one.stop()
        except (AssertionError, OSError) as problem:
            problems.append(problem)
    if problems:
        raise problems[0]
