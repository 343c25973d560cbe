"""What an engine writes, read from the outside by the documents alone: reader.py."""

from __future__ import annotations

import json
import struct
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from mqfast._engine import Engine
from mqfast.control.cron import first_run
from tests.crash.reader import SNAPSHOT_END, FormatError, Record, crc32c, read_file, read_segments, read_snapshots
from tests.crash.running import running

START = 1_800_000_000_000
HOUR = 3_600_000


def engine_on(folder: Path) -> AbstractContextManager[Engine]:
    return running(Engine(folder=str(folder), judge=first_run, manual_time_ms=START))


def ask(engine: Engine, cmd: str, **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(engine.execute(json.dumps({"cmd": cmd, **fields}).encode()))
    assert answer["ok"], answer
    return answer


def records_of(folder: Path) -> list[Record]:
    return [record for frame in read_segments(folder) for record in frame.records]


def test_crc32c_is_the_one_of_the_standard() -> None:
    """RFC 3720, B.4, and the check value of the Castagnoli polynomial."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"6789", crc32c(b"12345")) == crc32c(b"123456789")


def test_frames_follow_each_other_over_starts_and_segments(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    with engine_on(folder) as engine:
        ask(engine, "PUSH", queue="q", data=1)
        engine.snapshot()
        ask(engine, "PUSH", queue="q", data=2)
    with engine_on(folder) as engine:
        ask(engine, "PUSH", queue="q", data=3)
    assert len(list(folder.glob("*.log"))) == 2
    frames = read_segments(folder)
    assert [frame.number for frame in frames] == [1, 2, 3]
    assert [frame.epoch for frame in frames] == [1, 1, 2]
    assert [frame.durable for frame in frames] == [0, 1, 2], "each was answered, so synced, before the next"
    assert sorted(frame.time_ms for frame in frames) == [frame.time_ms for frame in frames]
    assert len({frame.shard for frame in frames}) == 1


def test_a_batch_is_one_frame(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    with engine_on(folder) as engine:
        ids = ask(engine, "PUSHB", queue="q", jobs=[{"data": number} for number in range(50)])["ids"]
    (frame,) = read_segments(folder)
    assert [record.fields["id"] for record in frame.records] == ids
    assert [record.fields["data"] for record in frame.records] == [b"%d" % number for number in range(50)]


def test_jobs_of_a_batch_are_what_each_says(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    jobs: list[dict[str, Any]] = [
        {"data": 0},
        {"data": 1},
        {"data": 2, "priority": 5},
        {"data": 3, "unique_key": "k"},
        {"data": 4},
        {"data": 5, "max_attempts": 3},
        {"data": 6, "max_attempts": 3, "delay": 10},
    ]
    with engine_on(folder) as engine:
        ids = ask(engine, "PUSHB", queue="q", jobs=jobs)["ids"]
        ids += ask(engine, "PUSHB", queue="q", jobs=jobs[:3])["ids"]
        engine.snapshot()
        ids += ask(engine, "PUSHB", queue="q", jobs=jobs[:3])["ids"]
    records = records_of(folder)
    assert [record.fields["id"] for record in records] == ids
    for record, job in zip(records, jobs + jobs[:3] * 2, strict=True):
        fields = record.fields
        assert (record.type, fields["data"], fields["queue"]) == ("PUSHED", b"%d" % job["data"], b"q")
        assert fields["priority"] == job.get("priority", 0) and fields.get("max_attempts", 0) == job.get(
            "max_attempts", 0
        )
        assert fields["run_at_ms"] == START + job.get("delay", 0)
        assert fields.get("key") == (b"k" if "unique_key" in job else None)
    with engine_on(folder) as engine:
        for id, job in zip(ids, jobs + jobs[:3] * 2, strict=True):
            assert ask(engine, "GETJOB", id=id)["job"]["data"] == job["data"]


def test_a_pushs_fields(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    with engine_on(folder) as engine:
        plain = ask(engine, "PUSH", queue="q", data={"a": 1})["id"]
        options = {"max_attempts": 2, "backoff": 10, "max_backoff": 20, "ttl": 30, "timeout": 40}
        full = ask(
            engine, "PUSH", queue="q", data=None, priority=-3, delay=500, unique_key="k", depends_on=[plain], **options
        )["id"]
    first, second = records_of(folder)
    assert (first.type, second.type) == ("PUSHED", "PUSHED")
    flags = {"paused": False, "skip_overlap": False, "skip_misfire": False, "ttl_runs": False, "pulled": False}
    base = {"at_ms": START, "run_at_ms": START, "priority": 0, "queue": b"q"}
    assert first.fields == flags | base | {"id": plain, "data": b'{"a": 1}'}
    assert second.fields == flags | base | {
        "id": full,
        "run_at_ms": START + 500,
        "priority": -3,
        "data": b"null",
        "key": b"k",
        "max_attempts": 2,
        "backoff_ms": 10,
        "max_backoff_ms": 20,
        "ttl_ms": 30,
        "timeout_ms": 40,
        "parents": struct.pack("<Q", plain),
    }
    assert first.slot == second.slot == plain % 1024 == full % 1024


def test_a_jobs_life(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    with engine_on(folder) as engine:
        id = ask(engine, "PUSH", queue="q", data=0, max_attempts=2, backoff=100)["id"]
        ask(engine, "PULL", queue="q", timeout=0, lease=HOUR)
        ask(engine, "PROGRESS", id=id, progress=42, message="on it")
        ask(engine, "HEARTBEAT", id=id, lease=2 * HOUR)
        ask(engine, "RELEASE", id=id)
        ask(engine, "PULL", queue="q", timeout=0, lease=HOUR)
        ask(engine, "FAIL", id=id, error="why")
        engine.set_time(START + 100)
        engine.tick()
        ask(engine, "PULL", queue="q", timeout=0, lease=HOUR)
        ask(engine, "FAIL", id=id)
        ask(engine, "RETRYDLQ", queue="q", id=id)
        ask(engine, "PULL", queue="q", timeout=0, lease=HOUR)
        ask(engine, "ACK", id=id, result=[1])
        gone = ask(engine, "PUSH", queue="q", data=0)["id"]
        ask(engine, "CANCEL", id=gone)
    records = records_of(folder)
    assert [record.type for record in records] == [
        *("PUSHED", "LEASED", "PROGRESS", "EXTENDED", "RELEASED", "LEASED", "RETRIED", "LEASED", "DEAD"),
        *("DLQ_RETRIED", "LEASED", "ACKED", "PUSHED", "CANCELLED"),
    ]
    at = {"at_ms": START, "id": id}
    later = {"at_ms": START + 100, "id": id}
    fields = [record.fields for record in records]
    assert fields[1] == at | {"token": fields[1]["token"], "lease_ms": HOUR}
    assert fields[2] == at | {"progress": 42, "text": b'"on it"'}
    assert fields[3] == at | {"lease_ms": 2 * HOUR}
    assert fields[4] == at | {"run_at_ms": START, "lost": False, "unsent": False}
    assert fields[6] == at | {"run_at_ms": START + 100, "reason": 1, "text": b'"why"'}
    assert fields[8] == later | {"reason": 1}
    assert fields[9] == later | {"run_at_ms": START + 100}
    assert fields[11] == later | {"keep": True, "text": b"[1]"}
    assert fields[13] == {"at_ms": START + 100, "id": gone}
    assert len({fields[at]["token"] for at in (1, 5, 7, 10)}) == 4


def test_settings_of_queues_and_crons(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    with engine_on(folder) as engine:
        ask(engine, "RATELIMIT", queue="q", limit=5, duration=60)
        ask(engine, "SETCONCURRENCY", queue="q", limit=7)
        ask(engine, "PAUSE", queue="q")
        ask(engine, "CRON", name="c", queue="q", data="d", schedule="*/10", overlap="skip", misfire="skip", priority=2)
        engine.set_time(START + 10_000)
        assert engine.fire("c", START + 10_000, START + 20_000, True)
        ask(engine, "CRONDELETE", name="c")
    records = records_of(folder)
    limits = {"at_ms": START, "queue": b"q", "rate_limit": 5, "rate_duration_ms": 60, "concurrency": 0, "length": 0}
    limits["paused"] = False
    assert [record.fields for record in records if record.type == "QUEUE_SET"] == [
        limits,
        limits | {"concurrency": 7},
        limits | {"concurrency": 7, "paused": True},
    ]
    (cron,) = (record.fields for record in records if record.type == "CRON_SET")
    assert (cron["name"], cron["queue"], cron["schedule"], cron["timezone"]) == (b"c", b"q", b"*/10", b"UTC")
    assert (cron["data"], cron["priority"], cron["run_at_ms"]) == (b'"d"', 2, START + 10_000)
    assert cron["skip_overlap"] and cron["skip_misfire"] and not cron["paused"]
    (fired,) = (frame for frame in read_segments(folder) if any(one.type == "CRON_FIRED" for one in frame.records))
    job = next(record.fields["id"] for record in fired.records if record.type == "PUSHED")
    (moved,) = (record.fields for record in fired.records if record.type == "CRON_FIRED")
    times = {"at_ms": START + 10_000, "run_at_ms": START + 20_000, "last_run_ms": START + 10_000}
    assert moved == times | {"cron_job": job, "name": b"c"}
    assert records[-1].type == "CRON_DEL" and records[-1].fields["name"] == b"c"


def test_a_snapshot_holds_what_the_engine_shows(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    with engine_on(folder) as engine:
        held = ask(engine, "PUSH", queue="q", data="held", priority=9)["id"]
        parent = ask(engine, "PUSH", queue="q", data="waits")["id"]
        child = ask(engine, "PUSH", queue="q", data="child", depends_on=[parent])["id"]
        ask(engine, "PULL", queue="q", timeout=0, lease=HOUR)
        ask(engine, "PAUSE", queue="other")
        engine.snapshot()
        jobs = {id: ask(engine, "GETJOB", id=id) for id in (held, parent, child)}
    ((number, frames),) = read_snapshots(folder).items()
    assert number == 5 and frames[-1].shard == SNAPSHOT_END and not any(frame.durable for frame in frames)
    records = [record for frame in frames for record in frame.records]
    found = {record.fields["id"]: record for record in records if record.type == "STATE_JOB"}
    assert set(found) == set(jobs)
    for id, answer in jobs.items():
        record, job = found[id], answer["job"]
        assert record.fields["queue"] == b"q" and json.loads(record.fields["data"]) == job["data"]
        assert record.fields["priority"] == job["priority"] and record.fields["at_ms"] == job["created_at"]
        assert record.fields["deliveries"] == job["deliveries"]
    assert found[held].fields["lease_until_ms"] == START + HOUR
    assert found[child].fields["parents"] == struct.pack("<Q", parent) and len(found[child].fields["outcomes"]) == 1
    last = {record.slot: record.fields["id"] for record in records if record.type == "STATE_SLOT"}
    assert last[child % 1024] == child, "the last id given out"
    queues = {record.fields["queue"]: record.fields["paused"] for record in records if record.type == "STATE_QUEUE"}
    assert queues == {b"q": False, b"other": True}


@pytest.mark.parametrize("place", [0, 4, 16, 24, 40, 44, 48, 52, 60, 64, 70])
def test_a_changed_byte_is_seen(tmp_path: Path, place: int) -> None:
    with engine_on(tmp_path / "log") as engine:
        ask(engine, "PUSH", queue="q", data=1)
        ask(engine, "PUSH", queue="q", data=2)
    (path,) = (tmp_path / "log").glob("*.log")
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)
    with pytest.raises(FormatError):
        read_file(path)
