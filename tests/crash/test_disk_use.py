"""The log's folder takes at most three times what a snapshot does and 128 MiB, however long a cron has run."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

from mqfast._engine import Engine

MINUTE_MS = 60_000
MINUTES = int(os.environ.get("MQFAST_CRON_MINUTES", "4000"))
"""How long the cron runs, in the daemon's time; a year is 525,600."""
PAYLOAD = "x" * (10_000 if MINUTES < 100_000 else 100)
"""Large where time is short, so that there are snapshots, too."""
START_MS = 1_700_000_000_000 // MINUTE_MS * MINUTE_MS


def next_minute(schedule: str, timezone: str, now_ms: int) -> int:
    return now_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS


def used(folder: Path) -> tuple[int, int]:
    """Bytes on the disk, and of the largest snapshot."""
    files = [path.stat() for path in folder.iterdir()]
    snapshots = [path.stat().st_size for path in folder.glob("*.snap")]
    return sum(status.st_blocks * 512 for status in files), max(snapshots, default=0)


def test_a_cron_that_runs_for_ever_does_not_fill_the_disk(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    engine = Engine(folder=str(folder), fsync="none", manual_time_ms=START_MS, judge=next_minute, result_max=100)
    log = threading.Thread(target=engine.run_log)
    log.start()

    def ask(cmd: str, **fields: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(engine.execute(json.dumps({"cmd": cmd, **fields}).encode()))
        assert answer["ok"], answer
        return answer

    try:
        ask("PUSH", queue="old", data=0, delay=10 * 365 * 86_400_000)
        ask("CRON", name="tick", queue="ticks", schedule="* * * * *", data=PAYLOAD)
        written = 0
        for minute in range(1, MINUTES + 1):
            now = START_MS + minute * MINUTE_MS
            engine.set_time(now)
            assert engine.fire("tick", now, now + MINUTE_MS, True)
            job = ask("PULL", queue="ticks", timeout=0)["job"]
            # Now and then one is given up: its id is remembered for ever.
            ask("ACK" if minute % 10 else "CANCEL", id=job["id"])
            written += len(PAYLOAD) + 300
            if written > 32 << 20:
                engine.snapshot()
                written = 0
                disk, snapshot = used(folder)
                assert disk <= 3 * snapshot + (128 << 20), f"minute {minute}: {disk} bytes, a snapshot has {snapshot}"
        disk, snapshot = used(folder)
        assert disk <= 3 * snapshot + (128 << 20)
    finally:
        engine.stop_log()
        log.join()
        engine.close()
    again = Engine(
        folder=str(folder), fsync="none", manual_time_ms=START_MS + (MINUTES + 1) * MINUTE_MS, judge=next_minute
    )
    answer = json.loads(again.execute(b'{"cmd":"CRONLIST"}'))
    assert answer["crons"][0]["last_run"] == START_MS + MINUTES * MINUTE_MS
    stats = json.loads(again.execute(b'{"cmd":"STATS"}'))
    assert stats["delayed"] == 1 and stats["completed"] == MINUTES - MINUTES // 10
    again.close()
