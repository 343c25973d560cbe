"""Every transcript of tests/conformance, with REST for what REST offers."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from mqfast.commands import COMMANDS
from tests.conformance.transcript import Player, Scenario, load_all
from tests.http.client import HttpClient
from tests.http.conftest import HTTP, http_of
from tests.http.mapping import Exchange, call_of
from tests.tcp.fixtures import StartDaemon, unique_name

SCENARIOS = load_all()


def flags_of(scenario: Scenario) -> list[str]:
    return [part for name, value in scenario.settings.items() for part in ("--" + name.replace("_", "-"), str(value))]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.title for scenario in SCENARIOS])
def test_rest_answers_as_the_transcript_says(scenario: Scenario, daemon_with: StartDaemon) -> None:
    daemon = daemon_with(*HTTP, *flags_of(scenario))
    with daemon.connect() as tcp, HttpClient(http_of(daemon)) as web:
        Player(unique_name("c")).play(scenario, Exchange(web, tcp))


def test_the_transcripts_reach_every_route() -> None:
    reached: Counter[str] = Counter()
    for scenario in SCENARIOS:
        for step in scenario.steps:
            call = call_of(Player("q", defaultdict(lambda: 1)).fill(step.send))
            if call is not None:
                reached[call.command.name] += 1
    assert {row.name for row in COMMANDS if row.http_path} | {"PUSHB"} <= set(reached)
