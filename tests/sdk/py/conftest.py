"""A daemon for the tests of the Python client."""

from tests.tcp.fixtures import daemon, daemon_with, queue, start_daemon

__all__ = ["daemon", "daemon_with", "queue", "start_daemon"]
