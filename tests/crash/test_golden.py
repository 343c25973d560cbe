"""A log of format 1 that was checked in is read for ever: today's engine comes back with exactly the state of then."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mqfast.folder import examine, locked
from tests.crash.golden import END, EXPECTED, as_lines, ask, engine_at, in_full, make, state_of
from tests.crash.reader import TYPES, read_segments, read_snapshots, records_of

GOLDEN = Path(__file__).parents[1] / "data" / "golden-log-1"


def as_it_is(folder: Path) -> None:
    pass


def without_newest_snapshot(folder: Path) -> None:
    max(folder.glob("*.snap")).unlink()


def torn_in_the_next_frame(folder: Path) -> None:
    with max(folder.glob("*.log")).open("ab") as file:
        file.write(b"MQF1 and so on")


def ended_by_zeros(folder: Path) -> None:
    with max(folder.glob("*.log")).open("ab") as file:
        file.write(bytes(100_000))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy, as a daemon may change it."""
    copy = tmp_path / "log"
    shutil.copytree(GOLDEN, copy, ignore=shutil.ignore_patterns(EXPECTED))
    return copy


def expected() -> dict[str, Any]:
    state: dict[str, Any] = json.loads((GOLDEN / EXPECTED).read_text(encoding="utf-8"))
    return {**state, "jobs": [in_full(answer) for answer in state["jobs"]]}


def as_known(found: Any, wanted: Any) -> Any:
    """What is found, without members that answers did not have yet when the golden log was made."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return {name: as_known(found[name], value) for name, value in wanted.items() if name in found}
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [as_known(*pair) for pair in zip(found, wanted, strict=True)]
    return found


def ids_of(folder: Path) -> list[int]:
    """Of all jobs that were ever pushed, as far as the log has them."""
    found = records_of(read_segments(folder))
    for frames in read_snapshots(folder).values():
        found += records_of(frames)
    return sorted({int(record.fields["id"]) for record in found if record.type in ("PUSHED", "STATE_JOB")})


@pytest.mark.parametrize("change", [as_it_is, without_newest_snapshot, torn_in_the_next_frame, ended_by_zeros])
def test_the_engine_comes_back_as_it_was(folder: Path, change: Callable[[Path], None]) -> None:
    ids = ids_of(GOLDEN)
    change(folder)
    with engine_at(folder, END) as engine:
        state = state_of(engine, ids)
        engine.check()
        assert (engine.log_cut > 0) == (change is torn_in_the_next_frame)
    wanted = expected()
    for name, value in wanted.items():
        assert as_known(state[name], value) == value, name
    for name in ("results", "dlq", "dlq_counts"):  # their members are jobs and queues: none may be there besides
        assert state[name].keys() == wanted[name].keys()


def test_new_ids_come_after_the_old_ones(folder: Path) -> None:
    ids = ids_of(GOLDEN)
    with engine_at(folder, END) as engine:
        fresh = [
            ask(engine, "PUSH", queue=f"{name}{part}", data=0)["id"] for name in ("work", "dead") for part in (1, 2)
        ]
    assert all(id > max(old for old in ids if old % 1024 == id % 1024) for id in fresh)


def test_data_is_kept_byte_for_byte(folder: Path) -> None:
    with engine_at(folder, END) as engine:
        (line,) = {
            line
            for id in ids_of(GOLDEN)
            if b'"number": 1' in (line := engine.execute(b'{"cmd":"GETJOB","id":%d}' % id)) and b'"part": 2' in line
        }
    assert b'"big": 1.2345678901234567e+19' in line and b"Gr\\u00f6\\u00dfe" in line


def test_it_has_every_type_of_record_after_a_snapshot_and_in_it() -> None:
    snapshots = read_snapshots(GOLDEN)
    assert len(snapshots) == 2
    newest = max(snapshots)
    after = records_of([frame for frame in read_segments(GOLDEN) if frame.number > newest])
    inside = records_of(snapshots[newest])
    types = {name for name, _, _ in TYPES.values()}
    of_state = {name for name in types if name.startswith("STATE_")}
    assert {record.type for record in after} == types - of_state
    assert {record.type for record in inside} == of_state | {"CRON_SET", "CRON_FIRED"}
    assert {record.fields["state"] for record in inside if record.type == "STATE_JOB"} == {1, 2, 3, 4, 5, 6}


def test_it_is_whole_and_small() -> None:
    assert sum(path.stat().st_size for path in GOLDEN.iterdir()) < 50_000
    assert {path.suffix for path in GOLDEN.iterdir()} == {".log", ".snap", ".json"}


def test_check_calls_it_whole(folder: Path) -> None:
    with locked(folder):
        report = examine(folder)
    assert report.whole and report.last == read_segments(GOLDEN)[-1].number


def test_the_script_that_made_it_still_makes_one(tmp_path: Path) -> None:
    """Not the same bytes: tokens are chance. What it says of its own log is so."""
    folder = tmp_path / "log"
    make(folder)
    told = json.loads((folder / EXPECTED).read_text(encoding="utf-8"))
    assert len(told["jobs"]) == len(expected()["jobs"])
    assert as_lines(told) == (folder / EXPECTED).read_text(encoding="utf-8")
    with engine_at(folder, END) as engine:
        assert as_known(state_of(engine, ids_of(folder))["jobs"], told["jobs"]) == told["jobs"]
