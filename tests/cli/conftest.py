"""Fixtures of the command line's tests: a daemon, and the command that talks to it."""

import signal
from collections.abc import Callable, Iterator

import pytest

from tests.cli.program import Ended, run, url_of
from tests.tcp.client import Client
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import daemon, queue, start_daemon

__all__ = ["daemon", "env", "mq", "queue", "start_daemon", "wire"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
"""Of tests started in the background of a script, whose children would ignore Ctrl-C."""

Mq = Callable[..., Ended]


@pytest.fixture
def env(daemon: Daemon) -> dict[str, str]:
    """What a command needs in its environment to find the daemon."""
    return {"MQ_URL": url_of(daemon)}


@pytest.fixture
def mq(env: dict[str, str]) -> Mq:
    """mq("push", "q", "1", stdin=…) runs the command against the daemon; its exit status must be `status`."""

    def call(*arguments: str, status: int = 0, stdin: str | bytes = b"") -> Ended:
        ended = run(*arguments, env=env, stdin=stdin)
        assert ended.status == status, ended
        return ended

    return call


@pytest.fixture
def wire(daemon: Daemon) -> Iterator[Client]:
    """A plain connection, to see what the daemon has."""
    with daemon.connect() as client:
        yield client
