"""Fixtures of the socket tests."""

from tests.tcp.fixtures import client, connect, daemon, daemon_with, queue, start_daemon

__all__ = ["client", "connect", "daemon", "daemon_with", "queue", "start_daemon"]
