"""Fixtures of the HTTP tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.http.client import HttpClient
from tests.tcp.client import Client
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import StartDaemon, daemon_with, queue, start_daemon

__all__ = ["daemon_with", "queue", "start_daemon"]

HTTP = ("--http", "1", "--http-port", "0")
"""The flags of a daemon that serves HTTP."""

OpenHttp = Callable[..., HttpClient]


def http_of(daemon: Daemon) -> tuple[str, int]:
    assert daemon.http is not None, "the daemon does not serve HTTP"
    return daemon.http


@pytest.fixture
def server(daemon_with: StartDaemon) -> Daemon:
    """The daemon that most tests share, with default settings."""
    return daemon_with(*HTTP)


@pytest.fixture
def open_http(server: Daemon) -> Iterator[OpenHttp]:
    """Open connections to the shared daemon, or to another: open_http(daemon, token="t")."""
    clients: list[HttpClient] = []

    def open_connection(daemon: Daemon = server, token: str | None = None) -> HttpClient:
        clients.append(HttpClient(http_of(daemon), token))
        return clients[-1]

    yield open_connection
    for client in clients:
        client.close()


@pytest.fixture
def web(open_http: OpenHttp) -> HttpClient:
    """A connection to the shared daemon."""
    return open_http()


@pytest.fixture
def tcp(server: Daemon) -> Iterator[Client]:
    """A connection to the shared daemon's other side."""
    with server.connect() as client:
        yield client
