"""Wrong tokens over HTTP: an address that tries many must wait, and every one is told to the operator's log."""

from __future__ import annotations

import pytest

from mqfast._engine import Engine
from mqfast.http.auth import Tokens, WrongTokens
from mqfast.http.errors import Refusal


class Clock:
    """Seconds, moved by the test."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def tokens_with(wrong: WrongTokens) -> Tokens:
    engine = Engine(grants=[("right", 8, ())])
    return Tokens(engine.may, True, wrong)


def attempt(tokens: Tokens, peer: str, token: str) -> str:
    """The code of the refusal, or "ok"."""
    try:
        tokens.check({"HTTP_AUTHORIZATION": f"Bearer {token}", "REMOTE_ADDR": peer})
    except Refusal as refusal:
        return refusal.code
    return "ok"


def test_twenty_wrong_ones_in_a_minute_are_enough() -> None:
    clock, noted = Clock(), list[str]()
    tokens = tokens_with(WrongTokens(noted.append, clock))
    for _ in range(20):
        assert attempt(tokens, "192.0.2.1", "wrong") == "auth_failed"
    assert attempt(tokens, "192.0.2.1", "right") == "rate_limited"
    assert attempt(tokens, "192.0.2.2", "right") == "ok"
    clock.now += 59.9
    assert attempt(tokens, "192.0.2.1", "right") == "rate_limited"
    clock.now += 0.1
    assert attempt(tokens, "192.0.2.1", "right") == "ok"
    assert noted == ["192.0.2.1"] * 20


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1", ""])
def test_this_machine_is_never_shut_out(peer: str) -> None:
    tokens = tokens_with(WrongTokens(lambda peer: None, Clock()))
    for _ in range(50):
        assert attempt(tokens, peer, "wrong") == "auth_failed"
    assert attempt(tokens, peer, "right") == "ok"


def test_a_network_of_ipv6_is_one_address() -> None:
    tokens = tokens_with(WrongTokens(lambda peer: None, Clock()))
    for number in range(20):
        assert attempt(tokens, f"2001:db8::{number:x}", "wrong") == "auth_failed"
    assert attempt(tokens, "2001:db8::ffff", "right") == "rate_limited"
    assert attempt(tokens, "2001:db8:0:1::1", "right") == "ok"


def test_it_says_how_long_to_wait() -> None:
    tokens = tokens_with(WrongTokens(lambda peer: None, Clock()))
    for _ in range(20):
        attempt(tokens, "192.0.2.1", "wrong")
    with pytest.raises(Refusal) as caught:
        tokens.check({"HTTP_AUTHORIZATION": "Bearer right", "REMOTE_ADDR": "192.0.2.1"})
    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "60"})


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WrongTokens, "REMEMBERED", 10)
    wrong = WrongTokens(lambda peer: None, Clock())
    for number in range(100):
        for _ in range(20):
            wrong.add(f"192.0.2.{number}")
    assert wrong.must_wait("192.0.2.99") and not wrong.must_wait("192.0.2.1")
