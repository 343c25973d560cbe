"""Every transcript of tests/conformance, over TCP and over a Unix socket."""

from __future__ import annotations

import json

import pytest

from tests.conformance.transcript import Mismatch, Player, Scenario, load_all
from tests.tcp.client import Answer
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import StartDaemon, unique_name

SCENARIOS = load_all()


def flags_of(scenario: Scenario) -> list[str]:
    """The settings of a scenario as flags of the daemon."""
    return [part for name, value in scenario.settings.items() for part in ("--" + name.replace("_", "-"), str(value))]


@pytest.mark.parametrize("transport", ["tcp", "unix"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.title for scenario in SCENARIOS])
def test_the_daemon_answers_as_the_transcript_says(
    scenario: Scenario, transport: str, daemon: Daemon, daemon_with: StartDaemon
) -> None:
    place = daemon_with(*flags_of(scenario)) if scenario.settings else daemon
    with place.connect(transport) as client:

        def exchange(request: object) -> Answer:
            return client.call_line(request if isinstance(request, str) else json.dumps(request))

        Player(unique_name("c")).play(scenario, exchange)
        assert not client.has_answer(), "an answer that nothing asked for"


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ({"a": 1}, {"a": 1}),
        ({"a": 1, "...": True}, {"a": 1, "b": 2}),
        ({"$type": "int", "$range": [1, 2]}, 2),
        ({"$once": {"n": "x", "...": True}}, [{"n": "x", "m": 1}, {"n": "y"}]),
        ({"$refused": "invalid"}, {"ok": False, "code": "invalid", "error": "Invalid: x", "retryable": False}),
        ([{"$in": [1, 2]}, {"$not": 3}], [2, 4]),
    ],
)
def test_matchers_hold_for_what_they_describe(expected: object, value: object) -> None:
    Player("q").match(expected, value)


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "...": True}, {"b": 2}),
        (1, True),
        (1, 1.0),
        ([1], [1, 1]),
        ({"$type": "int"}, True),
        ({"$once": 1}, [1, 1]),
        ({"$never": 1}, [1]),
        ({"$refused": "invalid"}, {"ok": False, "code": "invalid", "error": "Bad", "retryable": False}),
        ({"$refused": "failed"}, {"ok": False, "code": "failed", "error": "x"}),
    ],
)
def test_matchers_refuse_what_they_do_not_describe(expected: object, value: object) -> None:
    with pytest.raises(Mismatch):
        Player("q").match(expected, value)
