"""mqfast check and repair: what they say of a log folder is what the daemon does with it, and nothing is deleted."""

from __future__ import annotations

import json
import random
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mqfast.__main__ import main
from mqfast._engine import Engine, EngineError
from mqfast.folder import FolderError, Report, examine, locked, repair
from tests.crash.running import running

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def engine_on(folder: Path) -> AbstractContextManager[Engine]:
    return running(Engine(folder=str(folder), fsync="always"))


def ask(engine: Engine, **request: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(engine.execute(json.dumps(request).encode()))
    assert answer["ok"], answer
    return answer


def push(engine: Engine, count: int) -> None:
    for number in range(count):
        ask(engine, cmd="PUSH", queue="q", data=number)


def queued(folder: Path) -> int:
    with engine_on(folder) as engine:
        return int(ask(engine, cmd="STATS")["queued"])


def starts(folder: Path) -> bool:
    try:
        Engine(folder=str(folder)).close()
    except EngineError:
        return False
    return True


def look(folder: Path) -> Report:
    with locked(folder):
        return examine(folder)


def mend(folder: Path) -> Path | None:
    with locked(folder):
        return repair(examine(folder), NOW)


def spoil(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x40
    path.write_bytes(content)


def segment(folder: Path, at: int = 0) -> Path:
    return sorted(folder.glob("*.log"))[at]


def snapshots(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.snap"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """30 pushes, no snapshot."""
    path = tmp_path / "log"
    with engine_on(path) as engine:
        push(engine, 30)
    return path


@pytest.fixture
def snapped(tmp_path: Path) -> Path:
    """Three times 10 pushes and a snapshot, then 10 pushes."""
    path = tmp_path / "log"
    with engine_on(path) as engine:
        for _ in range(3):
            push(engine, 10)
            engine.snapshot()
        push(engine, 10)
    return path


def test_a_whole_folder_is_told_to_be_whole(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(folder)]) == 0
    assert capsys.readouterr().out == (
        "log: 30 frames with 30 records, up to frame 30\nwhole: the daemon starts with all of it\n"
    )
    assert main(["repair", str(folder)]) == 0
    assert not list(folder.glob("damaged-*"))
    assert queued(folder) == 30


def test_a_whole_folder_with_snapshots(snapped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", str(snapped)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["whole"] and facts["last_frame"] == 40 and facts["frames"] == 10
    assert facts["snapshot"] == snapshots(snapped)[-1].name


def test_a_torn_tail_is_no_damage(folder: Path) -> None:
    with open(segment(folder), "ab") as file:
        file.write(b"MQF1 and so on")
    report = look(folder)
    assert report.whole and report.torn == 14 and report.last == 30
    assert mend(folder) is None
    assert queued(folder) == 30


def test_damage_in_the_middle_is_located_and_cut_out_with_what_follows(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = segment(folder).stat().st_size
    before = segment(folder).read_bytes()
    frame = size // 30
    spoil(segment(folder), frame * 12 + 70)
    damaged = segment(folder).read_bytes()
    assert not starts(folder)
    assert main(["check", str(folder)]) == 1
    said = capsys.readouterr().out
    assert f"damaged: {segment(folder).name} at byte {frame * 12:,}" in said and "mqfast repair --dry-run" in said
    assert main(["repair", "--dry-run", str(folder)]) == 0
    assert "17 good frames behind them" in capsys.readouterr().out
    assert segment(folder).read_bytes() == damaged, "a dry run changes nothing"
    assert main(["repair", "--yes", str(folder)]) == 0
    (aside,) = folder.glob("damaged-*")
    assert (aside / segment(folder).name).read_bytes() == damaged, "what was there is kept"
    assert segment(folder).read_bytes() == before[: frame * 12]
    assert queued(folder) == 12
    assert look(folder).whole


def test_nothing_is_done_without_a_yes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(segment(folder), 500)
    damaged = segment(folder).read_bytes()
    monkeypatch.setattr("click.confirm", lambda *_: False)
    assert main(["repair", str(folder)]) == 1
    assert segment(folder).read_bytes() == damaged and not list(folder.glob("damaged-*"))


def test_damage_that_a_snapshot_covers_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    with engine_on(folder) as engine:
        push(engine, 10)
        engine.snapshot()
        push(engine, 10)
    # As after a crash between the snapshot and the end of the segment: one segment holds both sides of it.
    first, second = segment(folder), segment(folder, 1)
    first.write_bytes(first.read_bytes() + second.read_bytes())
    second.unlink()
    spoil(first, 100)
    report = look(folder)
    assert not report.starts and not starts(folder) and report.lost == 0 and report.last == 20
    mend(folder)
    assert queued(folder) == 20 and look(folder).whole


def test_a_spoiled_snapshot_costs_nothing(snapped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(snapshots(snapped)[-1], 90)
    assert starts(snapped)
    assert main(["check", str(snapped)]) == 1
    assert "the daemon starts with all of it all the same" in capsys.readouterr().out
    mend(snapped)
    assert len(snapshots(snapped)) == 1 and look(snapped).whole and queued(snapped) == 40


def test_both_snapshots_spoiled(snapped: Path) -> None:
    for path in snapshots(snapped):
        spoil(path, 90)
    report = look(snapped)
    assert not starts(snapped) and not report.starts and report.last == 0 and report.lost == 20
    mend(snapped)
    assert starts(snapped)


def test_a_missing_segment_is_told(snapped: Path) -> None:
    for path in snapshots(snapped):
        path.unlink()
    segment(snapped).unlink()
    report = look(snapped)
    assert report.missing == 1 and not report.starts and not starts(snapped)


def test_a_folder_in_use_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with engine_on(folder):
        assert main(["check", str(folder)]) == 2
        assert "stop it first" in capsys.readouterr().err
        with pytest.raises(FolderError), locked(folder):
            pass


@pytest.mark.parametrize("name", ["nowhere", "file", "empty"])
def test_what_is_no_log_folder_is_refused(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    assert main(["check", str(tmp_path / name)]) == 2
    assert "not a" in capsys.readouterr().err
    assert not list((tmp_path / "empty").iterdir()), "looking leaves nothing behind"


def test_settings_of_the_daemon_do_not_go_with_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "0", "check", str(folder)]) == 2
    assert "after the command" in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(40))
def test_check_says_what_the_daemon_does_and_repair_makes_it_start(snapped: Path, seed: int) -> None:
    """Damage of any kind, anywhere: `starts` is the truth, and after repair the daemon starts, with nothing deleted."""
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 3)):
        path = chance.choice([*snapped.glob("*.log"), *snapshots(snapped)])
        size = path.stat().st_size
        kind = chance.choice(["flip", "cut", "insert", "gone", "zeros"])
        if kind == "gone":
            path.unlink()
        elif size:
            content = bytearray(path.read_bytes())
            at = chance.randrange(size)
            if kind == "flip":
                content[at] ^= 1 << chance.randrange(8)
            elif kind == "cut":
                del content[at:]
            elif kind == "insert":
                content[at:at] = chance.randbytes(chance.choice([3, 8, 64]))
            else:
                content[at : at + 600] = bytes(len(content[at : at + 600]))
            path.write_bytes(content)
    if not any((*snapped.glob("*.log"), *snapshots(snapped))):
        return
    before = {path.name: path.read_bytes() for path in (*snapped.glob("*.log"), *snapshots(snapped))}
    report = look(snapped)
    if report.starts:
        mend(snapped)
        assert starts(snapped), (report, "said to start")
    else:
        assert not starts(snapped), (report, "said not to start")
        aside = mend(snapped)
        assert aside
        for name, was in before.items():
            assert was == ((aside if (aside / name).exists() else snapped) / name).read_bytes()
        assert starts(snapped)
    assert report.last == 0 or look(snapped).whole
