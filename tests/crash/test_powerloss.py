"""The power fails at any moment: what was not synced is on the disk, or not, or in part, and the daemon starts on that.

A process works on a folder under powerloss.c; of its journal disk.py makes what the disk may have had at some moments,
a second process opens that, and ledger.py says whether what it shows agrees with what clients were told by then.
MQFAST_POWERCUTS=200 makes the long run, MQFAST_CRASH_SEED another one; a failure names its seed.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.disk import Disk, Fate, Op, Record, read_journal
from tests.crash.ledger import History, Note, State
from tests.crash.load import THREADS

CUTS = int(os.environ.get("MQFAST_POWERCUTS", "24"))
SEED = int(os.environ.get("MQFAST_CRASH_SEED", "1"))
CUTS_A_LIFE = 4
CUTS_A_STORY = 24  # then with a new folder: looking through many jobs takes long
PATIENCE = 120
EVER = 2**63
STATS = {
    "queued": "waiting",
    "processing": "active",
    "delayed": "delayed",
    "dlq": "failed",
    "completed": "completed",
}
WRITES_A_GROUP = 2  # at most: the log cuts a group in two where a segment ends


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """powerloss.c as a library."""
    source, made = Path(__file__).parent / "powerloss.c", tmp_path_factory.mktemp("layer") / "powerloss.so"
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]
    subprocess.run(["gcc", *flags, "-o", made, source, "-ldl"], check=True)
    return made


class Inspector:
    """The process of inspector.py."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.inspector"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, folder: Path) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            return {"error": f"the process has ended with {self.process.wait(PATIENCE)}"}
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        self.process.communicate(timeout=PATIENCE)


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    process = Inspector()
    yield process
    process.close()


class Synced:
    """How much of what was answered is surely on the disk with less than FSYNC=always: what was answered before the
    last group but one that a sync of the log covers. What was answered later may have been in a later group."""

    def __init__(self) -> None:
        self.until = 0  # what was answered before this place in the journal
        self._logs: set[int] = set()
        self._writes: list[int] = []
        self._running: dict[int, int] = {}

    def take(self, record: Record, at: int) -> None:
        if record.op in (Op.CREATE, Op.OPEN):
            self._logs.discard(record.inode)
            if record.name.endswith(".log"):
                self._logs.add(record.inode)
        elif record.inode not in self._logs:
            return
        elif record.op is Op.WRITE:
            self._writes.append(at)
        elif record.op is Op.SYNC_BEGIN and len(self._writes) >= 2 * WRITES_A_GROUP:
            self._running[record.offset] = self._writes[-2 * WRITES_A_GROUP]
        elif record.op is Op.SYNC_END:
            self.until = max(self.until, self._running.pop(record.offset, 0))


class Story:
    """What happens to one folder, and what its clients know."""

    def __init__(self, place: Path, layer: Path, inspector: Inspector, fsync: str, seed: int) -> None:
        self.place, self.layer, self.inspector = place, layer, inspector
        self.folder = place / "log"
        self.fsync = fsync
        self.seed = seed
        self.rng = random.Random(f"{seed} {fsync}")
        self.disk = Disk({})
        self.histories = {f"q{number}": History() for number in range(THREADS)}
        self.told: set[int] = set()
        self.synced = Synced()
        self.lives = 0
        self.cuts = 0
        self.at = 0  # of the journals
        self.life_at = 0  # where this life began
        self.folder.mkdir()

    def run(self, operations: int, kill_at: int = 0, *, kill_at_names: int = 0, snapshots: bool = True) -> list[Record]:
        """A process works until its end or its kill, at an operation or a sync of the folder; what it did."""
        journal = self.place / "journal"
        journal.unlink(missing_ok=True)
        self.lives += 1
        self.life_at = self.at
        preload = f"{os.environ.get('LD_PRELOAD', '')} {self.layer}".strip()
        environment = os.environ | {
            "LD_PRELOAD": preload,
            "POWERLOSS_FOLDER": str(self.folder),
            "POWERLOSS_JOURNAL": str(journal),
            "POWERLOSS_KILL_AT": str(kill_at),
            "POWERLOSS_KILL_AT_NAMES": str(kill_at_names),
        }
        command = [sys.executable, "-m", "tests.crash.load", str(self.folder), self.fsync]
        command += map(str, (self.lives, operations, int(snapshots)))
        done = subprocess.run(
            command,
            env=environment,
            start_new_session=True,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            text=True,
            check=False,
        )
        if done.returncode not in (0, -9) or done.stderr:
            self.fail(f"the process ended with {done.returncode}: {done.stderr}")
        self.disk.begin_process()
        return read_journal(journal)

    def play(self, records: list[Record], cuts: int = 0) -> None:
        """What a process did, in this folder's books; on the way the power fails so often in copies of it."""
        moments = Counter(self.rng.randrange(len(records)) for _ in range(cuts if records else 0))
        for place, record in enumerate(records):
            for _ in range(moments[place]):
                self.examine(self.disk.cut(Fate.any(self.rng)))
            self.play_one(record)
        there = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        assert self.disk.cached() == there, "the journal is not what happened"

    def play_one(self, record: Record) -> None:
        self.at += 1
        self.disk.play(record)
        self.synced.take(record, self.at)
        if record.op is Op.NOTE:
            self.take(Note.of(record.data))

    def take(self, note: Note) -> None:
        if note.thread < 0:
            self.synced.until = EVER
            return
        self.histories[f"q{note.thread}"].take(note, self.at)
        answer = note.answer or {}
        self.told.update(answer.get("ids", ()) if "jobs" not in answer else ())
        if "id" in answer:
            self.told.add(answer["id"])

    def fail_power(self, fate: Fate) -> None:
        """This time in the folder itself; the next process works on what is left."""
        files = self.disk.cut(fate)
        found = self.examine(files)
        for queue, history in self.histories.items():
            history.begin, history.exchanges = State.seen(found["queues"][queue]), []
        shutil.rmtree(self.folder)
        fill(self.folder, files or {})
        self.disk = Disk(files)
        self.synced = Synced()

    def examine(self, files: dict[str, bytes] | None) -> dict[str, Any]:
        """Start on these files and hold what is there against what clients were told. What the inspector found."""
        copy = self.place / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        self.cuts += 1
        if files is not None:
            fill(copy, files)
        found = self.inspector(copy)
        if "error" in found:
            self.fail(f"the start is refused: {found['error']}", files)
        seen = {queue: State.seen(look) for queue, look in found["queues"].items()}
        spans = {}
        for queue, history in self.histories.items():
            fits = history.fits(seen[queue], self.least(history))
            if not fits:
                differences = history.after(history.answered).differences(seen[queue])
                known = f"at least {self.least(history)} of {history.answered}; {history.exchanges[-3:]}"
                self.fail(f"{queue}: {differences[:10]}; {known}", files)
            spans[queue] = min(fits), max(fits)
        if not self.is_beginning(spans):
            self.fail(f"what is there is no beginning of what was done: {spans}", files)
        self.check_counts(found, files)
        return found

    def least(self, history: History) -> int:
        """After so many exchanges, or more, the queue must be."""
        if self.fsync == "always":
            answered = history.answered
            return answered - (answered > 0 and not history.exchanges[answered - 1].is_awaited)
        until = self.synced.until if self.fsync == "everysec" or self.synced.until == EVER else 0
        return history.answered_before(until)

    def is_beginning(self, spans: dict[str, tuple[int, int]]) -> bool:
        """Is everything there that was answered before something was asked that is there? Of an earlier life nothing is
        said: what was not awaited was lost when it was killed, and clients do not know yet."""
        spans = {queue: span for queue, span in spans.items() if self.histories[queue].begun_at > self.life_at}
        for queue, (least, _) in spans.items():
            if least:
                asked_at = self.histories[queue].exchanges[least - 1].asked_at
                for other, (_, most) in spans.items():
                    if self.histories[other].answered_before(asked_at) > most:
                        return False
        return True

    def check_counts(self, found: dict[str, Any], files: dict[str, bytes] | None) -> None:
        jobs = [job for look in found["queues"].values() for job in look["jobs"]]
        states = Counter(job["state"] for job in jobs)
        for name, state in STATS.items():
            if found["stats"][name] != states[state]:
                self.fail(f"{name} of STATS is {found['stats'][name]}, but there are {states[state]}", files)
        known = {job["id"] for job in jobs} | (self.told if self.fsync == "always" else set())
        if repeated := known & set(found["ids"]):
            self.fail(f"ids are given out again: {repeated}", files)
        for queue, look in found["queues"].items():
            again = found["again"][queue]
            again["jobs"] = [job for job in again["jobs"] if job["data"] != "new"]
            if again != look:
                self.fail(f"{queue} is another after the second start: {look}, {again}", files)

    def fail(self, why: str, files: dict[str, bytes] | None = None) -> None:
        """With what it takes to look at it: the files as the power cut left them stay in `cut`."""
        if files:
            fill(self.place / "cut", files)
        where = f"MQFAST_CRASH_SEED={self.seed} FSYNC={self.fsync}, life {self.lives}, cut {self.cuts}, {self.place}"
        pytest.fail(f"{where}: {why}")


def fill(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


@pytest.fixture
def begin(tmp_path: Path, layer: Path, inspector: Inspector) -> Callable[[str, int], Story]:
    """A story from its fsync and its seed; a test may tell several."""

    def story(fsync: str, seed: int) -> Story:
        place = tmp_path / f"{fsync}-{seed}"
        place.mkdir()
        return Story(place, layer, inspector, fsync, seed)

    return story


@pytest.mark.parametrize("fsync", ["always", "everysec", "none"])
def test_the_power_fails_at_any_moment(begin: Callable[[str, int], Story], fsync: str) -> None:
    """always: nothing answered is lost, nothing acknowledged comes back. everysec, none: what is there is all that was
    done up to some moment; everysec: no moment before the last sync. In each: the daemon starts, counts are right, no
    id is given out again."""
    left = CUTS if fsync == "always" else (CUTS + 1) // 2
    for seed in itertools.count(SEED):
        story = begin(fsync, seed)
        while story.cuts < min(left, CUTS_A_STORY):
            kill_at = story.rng.choice([0, story.rng.randrange(1, 30), story.rng.randrange(1, 400)])
            story.play(story.run(story.rng.choice([10, 40, 100]), kill_at), CUTS_A_LIFE - 1)
            if fsync != "always" or story.rng.random() < 0.7:
                story.fail_power(Fate.any(story.rng))
        left -= story.cuts
        if left <= 0:
            return


@pytest.mark.parametrize("kill_at_names", range(1, 7))
def test_a_process_is_killed_before_a_sync_of_the_folder_and_the_power_fails_on_the_next(
    begin: Callable[[str, int], Story], kill_at_names: int
) -> None:
    """The names that the first has left unsynced must be on the disk before the next one answers, or relies on them."""
    story = begin("always", SEED)
    story.play(story.run(20, kill_at_names=kill_at_names))
    story.play(story.run(20, snapshots=kill_at_names % 2 == 0), CUTS_A_LIFE)
    story.fail_power(Fate(story.rng, files=0, names=0))


def test_the_folders_own_name_is_on_the_disk(begin: Callable[[str, int], Story]) -> None:
    story = begin("always", SEED)
    story.folder.rmdir()
    story.disk = Disk(None)
    story.play(story.run(1))
    assert story.disk.cut(Fate(story.rng, files=0, names=0)) is not None


@pytest.mark.parametrize("which", [0, 1, 2])
def test_what_is_given_up_for_a_snapshot_goes_after_its_name_has_come(
    begin: Callable[[str, int], Story], which: int
) -> None:
    """The child that made it is killed between the renaming and the sync; the next process goes on from it."""
    story = begin("always", SEED)
    records = story.run(40)
    renames = [place for place, record in enumerate(records) if record.op is Op.RENAME]
    for record in records[: renames[which] + 1]:
        story.play_one(record)
    shutil.rmtree(story.folder)
    fill(story.folder, story.disk.cached())
    unlinks = 0
    for record in story.run(10):
        story.play_one(record)
        if record.op is Op.UNLINK and unlinks < 3:
            unlinks += 1
            for _ in range(8):
                story.examine(story.disk.cut(Fate(story.rng, files=0, names=0.5)))
    assert unlinks
