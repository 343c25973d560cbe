"""Cron jobs with time passed in: what fires, what is left out, what a change of the definition keeps."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from mqfast._engine import Engine
from mqfast.control.cron import Cron, Step, first_run, step

START = 1_800_000_000_000
DAY = 86_400_000


class Clocked:
    """An engine whose clock stands still until it is moved, and its cron loop."""

    def __init__(self, **settings: Any) -> None:
        self.engine = Engine(manual_time_ms=START, judge=first_run, **settings)
        self.now = START
        self.loop = Cron(self.engine)

    def __call__(self, cmd: str, **fields: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.engine.execute(json.dumps({"cmd": cmd, **fields}).encode()))
        self.engine.check()
        return answer

    def cron(self, schedule: str, **fields: Any) -> None:
        assert self("CRON", name="c", queue="q", data={"n": 1}, schedule=schedule, **fields) == {"ok": True}

    def row(self) -> dict[str, Any]:
        rows: list[dict[str, Any]] = self("CRONLIST")["crons"]
        assert len(rows) == 1
        return rows[0]

    def forward(self, ms: int) -> None:
        self.now += ms
        self.engine.set_time(self.now)
        self.loop.run()

    def pulled(self) -> list[dict[str, Any]]:
        jobs: list[dict[str, Any]] = self("PULLB", queue="q", count=1000)["jobs"]
        return jobs


class Wall:
    """The machine's clock, which somebody sets."""

    ahead_ms = 0

    def __init__(self, clocked: Clocked) -> None:
        self._clocked = clocked

    def __call__(self) -> int:
        return self._clocked.now + self.ahead_ms


@pytest.fixture
def mq() -> Iterator[Clocked]:
    clocked = Clocked()
    yield clocked
    clocked.engine.close()


def test_every_n_seconds_fires_from_its_definition_without_drift(mq: Clocked) -> None:
    mq.cron("*/10")
    for _ in range(50):
        mq.forward(10_000)
    assert [job["run_at"] - START for job in mq.pulled()] == [10_000 * i for i in range(1, 51)]


def test_lateness_does_not_shift_the_next_times(mq: Clocked) -> None:
    mq.cron("*/10")
    mq.forward(10_700)
    assert mq.row()["next_run"] == START + 20_000
    assert mq.row()["last_run"] == START + 10_000
    assert [job["run_at"] for job in mq.pulled()] == [START + 10_000]


def test_what_was_missed_fires_once(mq: Clocked) -> None:
    mq.cron("*/10")
    mq.forward(DAY)
    jobs = mq.pulled()
    assert [job["run_at"] for job in jobs] == [START + 10_000]
    assert mq.row()["next_run"] == START + DAY + 10_000


def test_what_was_missed_is_left_out_if_so_wanted(mq: Clocked) -> None:
    mq.cron("*/10", misfire="skip")
    mq.forward(10_000 + 1_001)
    assert mq.pulled() == []
    mq.forward(9_000)  # 20,001: a millisecond late is not missed
    assert [job["run_at"] for job in mq.pulled()] == [START + 20_000]


def test_an_overlapping_time_is_left_out_until_the_last_job_has_ended(mq: Clocked) -> None:
    mq.cron("*/10", overlap="skip", max_attempts=1)
    mq.forward(10_000)
    (job,) = mq.pulled()
    mq.forward(10_000)
    assert mq.pulled() == []
    assert mq.row()["last_run"] == START + 10_000
    mq("FAIL", id=job["id"], error="x")  # in the dead-letter queue: it has ended
    mq.forward(10_000)
    assert len(mq.pulled()) == 1


def test_overlapping_jobs_are_allowed_by_default(mq: Clocked) -> None:
    mq.cron("*/10")
    for _ in range(3):
        mq.forward(10_000)
    assert len(mq.pulled()) == 3


def test_an_equal_definition_changes_nothing_and_another_keeps_last_run(mq: Clocked) -> None:
    mq.cron("*/10")
    mq.forward(13_000)
    before = mq.row()
    mq.cron("*/10")
    assert mq.row() == before
    mq.cron("*/30")
    row = mq.row()
    assert row["next_run"] == mq.now + 30_000
    assert row["last_run"] == before["last_run"]


def test_paused_fires_nothing_and_resumed_counts_from_then(mq: Clocked) -> None:
    mq.cron("*/10")
    mq("CRONPAUSE", name="c")
    assert mq.row()["next_run"] is None
    mq.forward(DAY)
    assert mq.pulled() == []
    mq("CRONRESUME", name="c")
    assert mq.row()["next_run"] == mq.now + 10_000


def test_a_held_unique_key_leaves_the_time_out(mq: Clocked) -> None:
    mq.cron("*/10", unique_key="only")
    for _ in range(3):
        mq.forward(10_000)
    assert len(mq.pulled()) == 1


def test_local_times_of_a_day_with_a_gap(mq: Clocked) -> None:
    mq.cron("30 2 * * *", timezone="America/New_York")
    fired = []
    for _ in range(70):  # from January on: the gap is on 14 March 2027
        mq.forward(mq.row()["next_run"] - mq.now)
        fired.append(mq.row()["last_run"])
    steps = [later - earlier for earlier, later in itertools.pairwise(fired)]
    assert sorted(set(steps)) == [DAY - 1_800_000, DAY]  # it ran at 03:00, the end of the gap
    assert steps.count(DAY - 1_800_000) == 2


def test_without_memory_a_time_waits_and_fires_later() -> None:
    mq = Clocked(max_memory=3000)
    mq.cron("*/10")
    ids = []
    while (answer := mq("PUSH", queue="full", data="x" * 200))["ok"]:
        ids.append(answer["id"])
    mq.forward(10_000)
    assert mq.pulled() == []
    for id in ids:
        mq("CANCEL", id=id)
    mq.forward(1_000)
    assert [job["run_at"] for job in mq.pulled()] == [START + 10_000]
    mq.engine.close()


def test_a_year_of_a_cron_leaves_one_definition(mq: Clocked) -> None:
    mq.cron("0 * * * *", ttl=1000)
    for _ in range(24 * 365):
        mq.now += 3_600_000
        mq.engine.set_time(mq.now)
        mq.loop.run()
        mq.engine.tick()
    assert mq("METRICS")["metrics"]["total_pushed"] in (24 * 365, 24 * 365 + 1)
    assert mq("STATS")["queued"] <= 1


def test_a_schedule_that_ends_has_no_next_run(mq: Clocked) -> None:
    assert step("*/10", "UTC", "once", 253_402_300_790_000, 253_402_300_795_000) == Step(True, None)
    mq.cron("*/10")
    assert mq.engine.fire("c", START + 10_000, None, True) is False, "not due yet"
    mq.engine.set_time(START + 10_000)
    assert mq.engine.fire("c", START + 10_000, None, True) is True
    assert mq.row()["next_run"] is None


def test_a_stale_fire_does_nothing(mq: Clocked) -> None:
    mq.cron("*/10")
    mq.forward(10_000)
    assert mq.engine.fire("c", START + 10_000, START + 20_000, True) is False
    assert mq.engine.fire("nobody", START, START, True) is False
    assert len(mq.pulled()) == 1


@pytest.mark.parametrize("late, fires", [(0, True), (1000, True), (1001, False)])
def test_skip_counts_more_than_a_second_as_missed(late: int, fires: bool) -> None:
    assert step("*/10", "UTC", "skip", START, START + late).fire is fires


def test_a_clock_that_was_set_is_told_once_and_moves_nothing(mq: Clocked, caplog: pytest.LogCaptureFixture) -> None:
    wall = Wall(mq)
    mq.loop = Cron(mq.engine, wall)
    mq.cron("*/10")

    def told_after(ahead_ms: int) -> list[str]:
        wall.ahead_ms = ahead_ms
        caplog.clear()
        mq.forward(10_000)
        return [record.getMessage() for record in caplog.records]

    assert told_after(0) == told_after(4_999) == []
    assert told_after(3_600_000) == [
        "the machine's clock was set: crons run 3600 s later than it says; a restart of the daemon takes it over"
    ]
    assert told_after(3_601_000) == []
    (message,) = told_after(-3_600_000)
    assert "3600 s earlier" in message
    assert told_after(0) == []
    assert [job["run_at"] - START for job in mq.pulled()] == [10_000 * i for i in range(1, 7)]
