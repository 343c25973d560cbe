"""The engine over real sockets beside the model: random commands, sent as badly as the protocol allows.

MQFAST_SOCKET_STEPS and MQFAST_SOCKET_SEED make a long run.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.model.over_sockets import OverSockets
from tests.model.search import run_random

STEPS = int(os.environ.get("MQFAST_SOCKET_STEPS", "12000"))
SEED = int(os.environ.get("MQFAST_SOCKET_SEED", "1"))
SETTINGS: list[dict[str, Any]] = [
    {"transport": "tcp", "max_deliveries": 3},
    {"transport": "unix"},
    {"transport": "tcp", "max_deliveries": 1, "lease_ms": 100, "result_ttl_ms": 1000},
    {"transport": "unix", "max_deliveries": 2, "result_max": 0},
]


@pytest.mark.parametrize("number", range(len(SETTINGS)))
def test_over_sockets_the_engine_does_what_the_model_does(number: int) -> None:
    seed = SEED * len(SETTINGS) + number
    run_random(STEPS // len(SETTINGS), seed, OverSockets, wire_seed=seed, **SETTINGS[number])
