"""Every transcript of tests/conformance holds through MagicQueueClient.send, of threads and of asyncio."""

from __future__ import annotations

import pytest

from tests.conformance.transcript import Player, Scenario, load_all
from tests.sdk.py.bridge import FLAVOURS, exchange
from tests.sdk.py.package import port_of
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import StartDaemon, unique_name
from tests.tcp.test_conformance import flags_of

# A raw line is not something that send() can send: those scenarios are about lines, not about clients.
SCENARIOS = [one for one in load_all() if all(isinstance(step.send, dict) for step in one.steps)]


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.title for scenario in SCENARIOS])
def test_the_transcript_holds(scenario: Scenario, flavour: str, daemon: Daemon, daemon_with: StartDaemon) -> None:
    place = daemon_with(*flags_of(scenario)) if scenario.settings else daemon
    client = FLAVOURS[flavour](port_of(place))
    client.connect()
    Player(unique_name("c")).play(scenario, lambda request: exchange(client, request))
    client.close()
