"""Every transcript of tests/conformance holds through MagicQueueClient.send, of threads and of asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from magicqueue import Backoff, ConnectionOptions, MagicQueueClient, RefusedError, aio
from tests.conformance.transcript import Player, Scenario, load_all
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import StartDaemon, unique_name
from tests.tcp.test_conformance import flags_of

NO_RETRY = ConnectionOptions(retry=Backoff(attempts=0))

# A raw line is not something that send() can send: those scenarios are about lines, not about clients.
SCENARIOS = [one for one in load_all() if all(isinstance(step.send, dict) for step in one.steps)]


def refused(error: RefusedError) -> dict[str, Any]:
    return error.answer


class Loop:
    """The asyncio client, called from outside its loop."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = aio.MagicQueueClient("127.0.0.1", port, connection=NO_RETRY)
        self._loop.run_until_complete(self._client.connect())

    def send(self, request: Any) -> dict[str, Any]:
        return self._loop.run_until_complete(self._client.send(request))

    def close(self) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()


def threaded(port: int) -> MagicQueueClient:
    client = MagicQueueClient("127.0.0.1", port, connection=NO_RETRY)
    client.connect()
    return client


@pytest.fixture(params=[threaded, Loop], ids=["threads", "asyncio"])
def open_client(request: pytest.FixtureRequest) -> Iterator[Callable[[int], Any]]:
    opened: list[Any] = []

    def open_one(port: int) -> Any:
        opened.append(request.param(port))
        return opened[-1]

    yield open_one
    for client in opened:
        client.close()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.title for scenario in SCENARIOS])
def test_the_transcript_holds(
    scenario: Scenario, open_client: Callable[[int], Any], daemon: Daemon, daemon_with: StartDaemon
) -> None:
    place = daemon_with(*flags_of(scenario)) if scenario.settings else daemon
    assert place.tcp is not None
    client = open_client(place.tcp[1])

    def exchange(request: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = client.send(request)
        except RefusedError as error:
            return refused(error)
        return answer

    Player(unique_name("c")).play(scenario, exchange)
