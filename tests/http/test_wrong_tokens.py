"""Wrong tokens over HTTP: an address that tries many must wait, and every one is told to the operator's log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mqfast._engine import Engine, Reactors
from mqfast.http.auth import Tokens
from mqfast.http.errors import Refusal

NOW = 1_000_000


class Door:
    """Tokens of an engine whose clock the test moves."""

    def __init__(self) -> None:
        self.engine = Engine(grants=[("right", 8, ())], manual_time_ms=NOW)
        self.reactors = Reactors(self.engine, 1)
        self.tokens = Tokens(self.engine.may, True, self.reactors)

    def attempt(self, peer: str, token: str) -> str:
        """The code of the refusal, or "ok"."""
        try:
            self.tokens.check({"HTTP_AUTHORIZATION": f"Bearer {token}", "REMOTE_ADDR": peer})
        except Refusal as refusal:
            return refusal.code
        return "ok"


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.reactors.close()
    door.engine.close()


def test_twenty_wrong_ones_in_a_minute_are_enough(door: Door) -> None:
    for _ in range(20):
        assert door.attempt("192.0.2.1", "wrong") == "auth_failed"
    assert door.attempt("192.0.2.1", "right") == "rate_limited"
    assert door.attempt("192.0.2.2", "right") == "ok"
    assert door.reactors.take_report() == {"token": (20, "192.0.2.1")}
    door.engine.set_time(NOW + 59_999)
    assert door.attempt("192.0.2.1", "right") == "rate_limited"
    door.engine.set_time(NOW + 60_000)
    assert door.attempt("192.0.2.1", "right") == "ok"


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1", "", "unix:", "192.0.2.1:80"])
def test_this_machine_and_nobody_are_never_shut_out(door: Door, peer: str) -> None:
    for _ in range(50):
        assert door.attempt(peer, "wrong") == "auth_failed"
    assert door.attempt(peer, "right") == "ok"


def test_a_network_of_ipv6_is_one_address(door: Door) -> None:
    for number in range(20):
        assert door.attempt(f"2001:db8::{number:x}", "wrong") == "auth_failed"
    assert door.attempt("2001:db8::ffff", "right") == "rate_limited"
    assert door.attempt("2001:db8:0:1::1", "right") == "ok"


def test_an_ipv4_address_is_one_however_it_is_written(door: Door) -> None:
    for _ in range(20):
        assert door.attempt("::ffff:192.0.2.1", "wrong") == "auth_failed"
    assert door.attempt("192.0.2.1", "right") == "rate_limited"


def test_it_says_how_long_to_wait(door: Door) -> None:
    for _ in range(20):
        door.attempt("192.0.2.1", "wrong")
    door.engine.set_time(NOW + 30_500)
    with pytest.raises(Refusal) as caught:
        door.tokens.check({"HTTP_AUTHORIZATION": "Bearer right", "REMOTE_ADDR": "192.0.2.1"})
    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "30"})
