"""What strangers are refused: too many connections, too slow lines, no token; and what the operator is told of it."""

from __future__ import annotations

import contextlib
import re
import resource
import socket
from collections.abc import Iterator

import pytest

from tests.tcp.client import check_refusal
from tests.tcp.daemon_process import Daemon
from tests.tcp.waiting import eventually


@pytest.fixture
def noisy() -> Iterator[list[Daemon]]:
    """Daemons that may write to stderr: started by the test, ended here."""
    daemons: list[Daemon] = []
    yield daemons
    for daemon in daemons:
        with contextlib.suppress(AssertionError):  # what it wrote was looked at by the test
            daemon.stop()


def start(noisy: list[Daemon], *flags: str) -> Daemon:
    noisy.append(Daemon(*flags))
    return noisy[-1]


def logged(daemon: Daemon, pattern: str) -> None:
    eventually(daemon.stderr_text, lambda text: re.search(pattern, text) is not None)


def test_one_connection_too_many_is_told_so_and_closed(noisy: list[Daemon]) -> None:
    daemon = start(noisy, "--max-connections", "2")
    with daemon.connect() as first, daemon.connect() as second:
        first.ping()
        second.ping()
        with daemon.connect() as third:
            (answer,) = third.receive_to_end()
            check_refusal(answer, "unavailable")
            assert answer["retryable"] is True
            assert answer["error"] == "Unavailable: this server takes no more connections"
        first.ping()
        logged(
            daemon, r"WARNING 1 connections refused: there are 2 \(MAX_CONNECTIONS\), the last from 127\.0\.0\.1:\d+"
        )
    eventually(lambda: can_ping(daemon), bool)


def can_ping(daemon: Daemon) -> bool:
    with daemon.connect() as client, contextlib.suppress(AssertionError, OSError):
        return client.call("PING").get("ok") is True
    return False


def test_an_address_has_its_share(noisy: list[Daemon]) -> None:
    daemon = start(noisy, "--max-connections-per-address", "2", "--host", "127.0.0.1,127.0.0.2", "--log-level", "error")
    assert daemon.tcp is not None
    with daemon.connect() as first, daemon.connect() as second:
        first.ping()
        second.ping()
        with daemon.connect() as third:
            check_refusal(third.receive_to_end()[0], "unavailable")
        with socket.create_connection(("127.0.0.2", daemon.tcp[1]), source_address=("127.0.0.2", 0)) as other:
            other.sendall(b'{"cmd":"PING"}\n')
            assert other.recv(100) == b'{"ok":true,"pong":true}\n'
    eventually(lambda: can_ping(daemon), bool)


def test_a_line_that_is_not_finished_ends_its_connection_alone(noisy: list[Daemon]) -> None:
    daemon = start(noisy, "--line-timeout", "300")
    with daemon.connect() as slow, daemon.connect() as honest:
        honest.push("q", 1)
        assert slow.pull("q")
        slow.send_bytes(b'{"cmd":"PING"')
        (answer,) = slow.receive_to_end()
        check_refusal(answer, "timeout")
        assert honest.pull("q", timeout=10_000)["data"] == 1  # what the slow one held is back
    logged(daemon, r"WARNING 1 connections closed: a line was not finished within 300 ms \(LINE_TIMEOUT\)")


def test_who_gives_no_token_is_closed(noisy: list[Daemon]) -> None:
    daemon = start(noisy, "--auth-tokens", "t", "--auth-timeout", "300")
    with daemon.connect() as idle, daemon.connect() as known:
        known.ok("AUTH", token="t")
        (answer,) = idle.receive_to_end()
        check_refusal(answer, "auth_required")
        known.ok("STATS")
    logged(daemon, r"WARNING 1 connections closed: no token came within 300 ms \(AUTH_TIMEOUT\)")


def test_wrong_tokens_are_logged_but_not_what_they_were(noisy: list[Daemon]) -> None:
    daemon = start(noisy, "--auth-tokens", "right")
    with daemon.connect() as client:
        for _ in range(5):
            check_refusal(client.call("AUTH", token="s3cret-guess"), "auth_failed")
    logged(daemon, r"WARNING [1-5] wrong tokens, the last from 127\.0\.0\.1:\d+")
    assert "s3cret" not in daemon.stderr_text() and "right" not in daemon.stderr_text()


def test_before_the_token_a_line_is_short(noisy: list[Daemon]) -> None:
    daemon = start(noisy, "--auth-tokens", "t")
    with daemon.connect() as client:
        check_refusal(client.call_line(b'{"cmd":"PUSH","queue":"q","data":"%s"}' % (b"x" * 100_000)), "line_too_long")
        client.ok("AUTH", token="t")
        client.push("q", "x" * 100_000)


def test_a_batch_and_what_waits_and_listens_are_bounded(noisy: list[Daemon]) -> None:
    daemon = start(noisy, "--max-batch", "3", "--max-parked", "2", "--max-subscribers", "1")
    with daemon.connect() as client, daemon.connect() as other:
        assert client.ok("HELLO")["limits"]["max_batch"] == 3
        check_refusal(client.call("PUSHB", queue="q", jobs=[{"data": 1}] * 4), "invalid")
        assert len(client.ok("PUSHB", queue="q", jobs=[{"data": 1}] * 3)["ids"]) == 3
        for number in range(2):
            client.park("empty", str(number))
        check_refusal(client.call("PULL", queue="empty", reqId="3"), "unavailable")
        other.ok("SUBSCRIBE", queue="*", events=[])
        other.ok("SUBSCRIBE", queue="q", events=[])
        check_refusal(client.call("SUBSCRIBE", queue="*", events=[]), "unavailable")
        other.close()
        eventually(lambda: client.call("SUBSCRIBE", queue="*", events=[])["ok"], bool)


def test_out_of_descriptors_the_connected_are_served_and_accepting_resumes(noisy: list[Daemon]) -> None:
    daemon = start(noisy)
    with daemon.connect() as honest:
        honest.ping()
        now = len(daemon.descriptors())
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (now + 5, now + 5))
        clients = [daemon.connect() for _ in range(20)]
        logged(daemon, r"WARNING \d+ times no connection could be accepted: no descriptors")
        honest.push("q", 1)
        assert honest.pull("q")["data"] == 1
        for client in clients[:10]:
            client.close()
        waiting = clients[19]
        waiting.send("PING")  # it is in the system's queue, and its turn comes when others have gone
        for client in clients[10:19]:
            client.close()
        assert waiting.receive() == {"ok": True, "pong": True}
        waiting.close()
    lines = daemon.stderr_text().count("no connection could be accepted")
    assert lines <= 30, "a line a second at most"
