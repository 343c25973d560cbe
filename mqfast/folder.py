"""A log folder seen from outside the daemon: is what is in it whole, and, if not, what of it can still be used?

`examine` reads and changes nothing. `repair` makes the folder one that the daemon starts on, by moving what is damaged
aside, never by deleting it. The format is docs/durability.md's; the reading is the C library's.
"""

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mqfast._engine import EngineError, scan_log
from mqfast.errors import MqfastError

SEGMENT = re.compile(r"[0-9]{20}\.log")
SNAPSHOT = re.compile(r"[0-9]{20}\.snap")


class FolderError(MqfastError):
    """The folder cannot be looked at: it is not there, in use, or not a log folder."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class Stretch:
    """Good frames that follow each other in one file. offset and size: bytes; first and last: numbers of frames.

    durable: frames up to here are known to have been on the disk.
    """

    offset: int
    size: int
    first: int
    last: int
    records: int
    chain_before: int
    chain_after: int
    durable: int
    ends_snapshot: bool

    @property
    def end(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class LogFile:
    """A segment or a snapshot. number: of its name, which is a segment's first frame, a snapshot's last."""

    path: Path
    number: int
    size: int
    stretches: tuple[Stretch, ...]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def bad_offset(self) -> int | None:
        """Where the first byte stands that is part of no good frame; None: there is none."""
        end = 0
        for stretch in self.stretches:
            if stretch.offset != end:
                return end
            end = stretch.end
        return None if end == self.size else end

    @property
    def is_whole_snapshot(self) -> bool:
        return len(self.stretches) == 1 and self.bad_offset is None and self.stretches[0].ends_snapshot


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a segment that is to be used, from where to where in the file."""

    file: LogFile
    stretch: Stretch


@dataclass(frozen=True, slots=True)
class Damage:
    file: str
    offset: int
    """Of the first byte that is part of no good frame."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a folder holds. The daemon starts on it if `starts`; else `repair` makes it so, with what `lost` says.

    damages: of segments that the daemon would read. spoiled: snapshots that it would pass over.
    last: the number of the last frame that can be used. torn: bytes at the end of the log that were being written when
    the machine or the daemon went down; the daemon cuts them off itself. lost: good frames behind the damage, which
    repair has to leave out; what the damaged bytes themselves held nobody knows.
    """

    folder: Path
    snapshot: LogFile | None
    pieces: tuple[Piece, ...]
    segments: tuple[LogFile, ...]
    snapshots: tuple[LogFile, ...]
    damages: tuple[Damage, ...]
    spoiled: tuple[Damage, ...]
    missing: int | None
    torn: int
    last: int
    lost: int

    @property
    def starts(self) -> bool:
        return not self.damages and self.missing is None

    @property
    def whole(self) -> bool:
        return self.starts and not self.spoiled

    @property
    def frames(self) -> int:
        return sum(piece.stretch.last - piece.stretch.first + 1 for piece in self.pieces)

    @property
    def records(self) -> int:
        return sum(piece.stretch.records for piece in self.pieces)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, as a daemon does. Raises FolderError if one has it, or there is no such folder."""
    try:
        if not folder.is_dir():
            raise FolderError(f"{folder} is not a folder")
        if not any(SEGMENT.fullmatch(name) or SNAPSHOT.fullmatch(name) for name in os.listdir(folder)):
            raise FolderError(f"{folder} is not a log folder: it has neither segments nor snapshots")
        with open(folder / "lock", "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FolderError(f"a daemon uses the folder {folder}: stop it first, or look at a copy") from None
            yield
    except OSError as error:
        raise FolderError(f"{error.filename or folder} cannot be used: {error.strerror}") from None


def examine(folder: Path) -> Report:
    """Read the whole folder, whose lock the caller holds. Raises FolderError if a file cannot be read at all."""
    segments = _files(folder, SEGMENT)
    snapshots = _files(folder, SNAPSHOT)
    torn = 0
    if segments:
        segments[-1], torn = _without_torn_end(segments[-1])
    usable = [file for file in reversed(snapshots) if file.is_whole_snapshot]
    snapshot, pieces = _furthest(segments, usable)
    last = _reach(snapshot, pieces)
    damages = _damages(segments, usable[0].number if usable else 0)
    left_out = [stretch for file in segments for stretch in file.stretches if stretch.last > last]
    return Report(
        folder=folder,
        snapshot=snapshot,
        pieces=tuple(pieces),
        segments=tuple(segments),
        snapshots=tuple(snapshots),
        damages=tuple(damages),
        spoiled=tuple(Damage(file.name, file.bad_offset or 0) for file in snapshots if not file.is_whole_snapshot),
        missing=last + 1 if left_out else None,
        torn=torn,
        last=last,
        lost=sum(stretch.last - max(stretch.first, last + 1) + 1 for stretch in left_out),
    )


def _furthest(segments: list[LogFile], usable: list[LogFile]) -> tuple[LogFile | None, list[Piece]]:
    """The snapshot that reaches furthest with the frames behind it; of those that reach as far, the newest."""
    choices: list[tuple[LogFile | None, list[Piece]]] = [(file, _follow(segments, file.number)) for file in usable]
    choices.append((None, _follow(segments, 0)))
    return max(choices, key=lambda choice: _reach(*choice))


def _without_torn_end(file: LogFile) -> tuple[LogFile, int]:
    """The last segment without what was being written when it went down, and how many bytes that is.

    What is written between two syncs may reach the disk in any order: a bad frame is damage only if a good one behind
    it knows that it was on the disk.
    """
    bad = file.bad_offset
    if bad is None:
        return file, 0
    good = tuple(stretch for stretch in file.stretches if stretch.offset < bad)
    expected = good[-1].last + 1 if good else file.number
    if any(stretch.durable >= expected for stretch in file.stretches[len(good) :]):
        return file, 0
    return LogFile(file.path, file.number, bad, good), file.size - bad


def _damages(segments: list[LogFile], known: int) -> list[Damage]:
    """What is damaged of the segments that hold frames later than `known`."""
    starts = [file.number for file in segments[1:]]
    following = zip(segments, [*starts, None], strict=False)
    needed = [file for file, start in following if start is None or start > known + 1]
    return [Damage(file.name, file.bad_offset) for file in needed if file.bad_offset is not None]


def repair(report: Report, now: datetime) -> Path | None:
    """Make the daemon start on the folder, with the frames up to report.last. The caller holds the lock.

    What is damaged or cannot be used goes to a folder `damaged-…` beside the files, whole and unchanged: its path is
    returned, None if nothing had to be done. Interrupted, it leaves every byte in one of the two places.
    Raises FolderError if the disk does not let it.
    """
    if report.whole:
        return None
    aside = report.folder / f"damaged-{now:%Y%m%dT%H%M%S}"
    try:
        aside.mkdir()
        kept = {piece.file.name for piece in report.pieces}
        for piece in report.pieces:
            if piece.stretch.offset or piece.file.size != piece.stretch.size:
                _rewrite(piece, report.folder, aside)
        for file in report.segments:
            if file.name not in kept and file.path.exists():
                file.path.rename(aside / file.name)
        for file in report.snapshots:
            if not file.is_whole_snapshot or (report.snapshot and file.number > report.snapshot.number):
                file.path.rename(aside / file.name)
        sync_folder(aside)
        sync_folder(report.folder)
    except OSError as error:
        raise FolderError(f"{error.filename or report.folder} cannot be repaired: {error.strerror}") from None
    return aside


def _files(folder: Path, pattern: re.Pattern[str]) -> list[LogFile]:
    found = []
    for name in sorted(os.listdir(folder)):
        if not pattern.fullmatch(name):
            continue
        path = folder / name
        try:
            size, rows = scan_log(str(path))
        except EngineError as error:
            raise FolderError(str(error)) from None
        found.append(LogFile(path, int(path.stem), size, tuple(Stretch(*row) for row in rows)))
    return found


def _follow(segments: list[LogFile], known: int) -> list[Piece]:
    """The stretches that lead on from the frame `known` without a gap."""
    pieces: list[Piece] = []
    last, chain = known, None
    for file in segments:
        for stretch in file.stretches:
            if stretch.last <= last:
                continue
            if stretch.first > last + 1 or (chain is not None and stretch.chain_before != chain):
                return pieces
            pieces.append(Piece(file, stretch))
            last, chain = stretch.last, stretch.chain_after
    return pieces


def _reach(snapshot: LogFile | None, pieces: list[Piece]) -> int:
    return pieces[-1].stretch.last if pieces else snapshot.number if snapshot else 0


def _rewrite(piece: Piece, folder: Path, aside: Path) -> None:
    """The stretch alone as a segment; the file that it was in goes aside."""
    made, moved = folder / "repaired.tmp", aside / piece.file.name
    if not moved.exists():  # else another stretch of it was taken before
        piece.file.path.rename(moved)
    with open(moved, "rb") as source, open(made, "wb") as target:
        source.seek(piece.stretch.offset)
        left = piece.stretch.size
        while left:
            block = source.read(min(left, 1 << 20))
            left -= len(block)
            target.write(block)
        target.flush()
        os.fsync(target.fileno())
    shutil.copymode(moved, made)
    made.rename(folder / f"{piece.stretch.first:020}.log")


def sync_folder(folder: Path) -> None:
    """Put the names of its files on the disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
