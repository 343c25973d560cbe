"""AUTH among connections. What one connection sees is in the transcripts."""

from __future__ import annotations

import pytest

from tests.tcp.client import check_refusal, encode
from tests.tcp.fixtures import StartDaemon

FLAGS = ("--auth-tokens", "alpha,beta")


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_a_token_counts_for_its_connection_only(daemon_with: StartDaemon, transport: str, queue: str) -> None:
    daemon = daemon_with(*FLAGS)
    with daemon.connect(transport) as first, daemon.connect(transport) as second:
        first.ok("AUTH", token="alpha")
        first.push(queue, 1)
        check_refusal(second.call("PULL", queue=queue, timeout=0), "auth_required")
        second.ok("AUTH", token="beta")
        assert second.pull(queue)["deliveries"] == 1
    with daemon.connect(transport) as third:
        check_refusal(third.call("STATS"), "auth_required")


def test_a_token_counts_for_the_lines_behind_it_in_the_same_write(daemon_with: StartDaemon, queue: str) -> None:
    with daemon_with(*FLAGS).connect() as client:
        push = encode("PUSH", queue=queue, data=1)
        client.send_bytes(push + encode("AUTH", token="no") + push + encode("AUTH", token="beta") + push)
        check_refusal(client.receive(), "auth_required")
        check_refusal(client.receive(), "auth_failed")
        check_refusal(client.receive(), "auth_required")
        assert client.receive() == {"ok": True}
        assert client.receive()["ok"] is True
        assert client.counts(queue)["pending"] == 1


def test_a_pull_without_a_token_is_refused_at_once_and_never_parks(daemon_with: StartDaemon, queue: str) -> None:
    with daemon_with(*FLAGS).connect() as client, daemon_with(*FLAGS).connect() as producer:
        check_refusal(client.call("PULL", queue=queue, reqId="r"), "auth_required")
        producer.ok("AUTH", token="alpha")
        producer.push(queue, 1)
        client.ping()
        assert producer.counts(queue)["pending"] == 1


def test_lines_that_cannot_be_read_are_invalid_with_or_without_a_token(daemon_with: StartDaemon) -> None:
    with daemon_with(*FLAGS).connect() as client:
        check_refusal(client.call_line("nonsense"), "invalid")
        check_refusal(client.call_line(""), "invalid")
        check_refusal(client.call_line(b'{"cmd":"PING","x":"\xff"}'), "invalid")
        client.ping()


def test_some_wrong_tokens_leave_the_connection_usable_and_many_end_it(daemon_with: StartDaemon) -> None:
    daemon = daemon_with(*FLAGS)
    with daemon.connect() as client:
        for length in range(9):
            check_refusal(client.call("AUTH", token="a" * length), "auth_failed")
        client.ok("AUTH", token="alpha")
        client.ok("STATS")
    for _ in range(4):  # of one machine: it is not shut out by its own
        with daemon.connect() as client:
            for length in range(10):
                check_refusal(client.call("AUTH", token="a" * length), "auth_failed")
            assert client.receive_to_end() == []
