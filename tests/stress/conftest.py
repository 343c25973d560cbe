"""Fixtures of the tests under load: each test has a daemon of its own."""

from tests.tcp.fixtures import queue, start_daemon

__all__ = ["queue", "start_daemon"]
