"""Engine and model side by side: random commands, moving time, every answer compared.

MQFAST_MODEL_STEPS and MQFAST_MODEL_SEED make a long run of the random test. The other test takes far fewer steps, and
shrinks what it finds more cleverly.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.model.commands import Chance
from tests.model.search import run_random, short
from tests.model.side_by_side import SideBySide

STEPS = int(os.environ.get("MQFAST_MODEL_STEPS", "30000"))
SEED = int(os.environ.get("MQFAST_MODEL_SEED", "1"))
SETTINGS: list[dict[str, Any]] = [
    {"max_deliveries": 3},
    {},
    {"max_deliveries": 1, "lease_ms": 100, "result_ttl_ms": 1000},
    {"max_deliveries": 2, "result_max": 0},
]


@pytest.mark.parametrize("number", range(len(SETTINGS)))
def test_the_engine_does_what_the_model_does(number: int) -> None:
    share = STEPS // 2 if number == 0 else STEPS // 6
    run_random(share, SEED * len(SETTINGS) + number, **SETTINGS[number])


class Both(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.both = SideBySide(max_deliveries=2)
        self.both.thorough, self.both.check_every = True, 10**9  # a failed check would end this process
        self.chance = Chance(self.both, even=True)
        self.count = 0

    @rule(seed=st.integers(0, 2**32 - 1))
    def step(self, seed: int) -> None:
        step = self.chance.step(self.count, random.Random(seed))
        self.count += 1
        try:
            self.both.run(step)
        finally:
            note(short("\n".join(self.both.lines[:1])))

    def teardown(self) -> None:
        self.both.close()


Both.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=100,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestShrinking = Both.TestCase
