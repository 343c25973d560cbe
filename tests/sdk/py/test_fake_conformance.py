"""The daemon in memory answers as the transcripts of the real one say, but for what it says it does not do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from magicqueue.testing._memory import MemoryDaemon, Peer
from magicqueue.testing._server import START_MS
from tests.conformance.transcript import Player, Scenario, load_all

LEFT_OUT_FILES = {"clients.jsonl", "cron.jsonl", "hello.jsonl", "metrics.jsonl", "topology.jsonl", "framing.jsonl"}
LEFT_OUT = {
    "a rate limit is listed, changed and taken away",
    "a page is searched, filtered and sorted, and has more to tell",
    "nonsense in a page is refused",
}


def is_played(scenario: Scenario) -> bool:
    is_special = bool(scenario.settings) or any(isinstance(step.send, str) for step in scenario.steps)
    return not is_special and scenario.file not in LEFT_OUT_FILES and scenario.name not in LEFT_OUT


SCENARIOS = [one for one in load_all() if is_played(one)]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.title for scenario in SCENARIOS])
def test_the_daemon_in_memory_answers_as_the_transcript_says(scenario: Scenario) -> None:
    server = MemoryDaemon(START_MS)
    lines: list[bytes] = []
    peer = Peer(lines.append)
    server.join(peer)

    def exchange(request: Any) -> Any:
        lines.clear()
        server.feed(peer, json.dumps(request).encode() + b"\n")
        if not lines and isinstance(request.get("timeout"), int):
            # Only the test moves time.
            server.advance(request["timeout"])
        # An event may come before the answer it belongs to.
        (answer,) = [row for row in map(json.loads, lines) if "ok" in row]
        return answer

    Player("q").play(scenario, exchange)
