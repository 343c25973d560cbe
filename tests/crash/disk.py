"""A folder as the disk has it: played from the journal of powerloss.c, cut off at any moment.

The rules are those that POSIX leaves a file system, not those of a particular one:

- What was written to a file before an fsync or fdatasync of it began is on the disk from the sync's end on, with the
  size.
- What was written since is there or not for each sector of 512 bytes by itself; a sector that is there is as it was
  after one of the writes to it. Likewise a truncation.
- A file's name is on the disk when the folder was synced after it was made, renamed or unlinked; until then each such
  change is there or not, whatever became of the others. A rename is one change. The folder's own name needs a sync of
  the folder that it is in.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

SECTOR = 512
RECORD = struct.Struct("=BxHIQQQ")
FOLDER, PARENT = 0, 2**64 - 1


class Op(Enum):
    CREATE = ord("C")
    OPEN = ord("O")
    WRITE = ord("W")
    TRUNCATE = ord("T")
    ALLOCATE = ord("A")
    SYNC_BEGIN = ord("S")
    SYNC_END = ord("E")
    RENAME = ord("R")
    UNLINK = ord("U")
    MKDIR = ord("M")
    NOTE = ord("N")


@dataclass(frozen=True, slots=True)
class Record:
    """An operation as powerloss.c wrote it down; inode, offset and size as there."""

    op: Op
    inode: int = 0
    offset: int = 0
    size: int = 0
    name: str = ""
    data: bytes = b""


def read_journal(path: Path) -> list[Record]:
    """All records, in order. Raises ValueError if the journal does not end with a whole one."""
    content = path.read_bytes()
    records, at = [], 0
    while at < len(content):
        if len(content) - at < RECORD.size:
            raise ValueError(f"{path}: a record is cut off at byte {at}")
        op, name_n, data_n, inode, offset, size = RECORD.unpack_from(content, at)
        name_at = at + RECORD.size
        data_at = name_at + name_n
        at = data_at + data_n
        if at > len(content):
            raise ValueError(f"{path}: a record is cut off at byte {name_at}")
        records.append(Record(Op(op), inode, offset, size, content[name_at:data_at].decode(), content[data_at:at]))
    return records


@dataclass(frozen=True, slots=True)
class Change:
    """Of a file since its last sync. size: the new one of a truncation, else None."""

    offset: int
    data: bytes
    size: int | None = None

    def apply(self, content: bytearray) -> None:
        if self.size is not None:
            _resize(content, self.size)
            return
        _resize(content, max(len(content), self.offset + len(self.data)))
        content[self.offset : self.offset + len(self.data)] = self.data


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


@dataclass(slots=True, eq=False)
class File:
    """synced: what is surely on the disk; changes: what was done since, in order."""

    synced: bytearray = field(default_factory=bytearray)
    changes: list[Change] = field(default_factory=list)

    def cached(self) -> bytes:
        """As a process sees it."""
        content = bytearray(self.synced)
        for change in self.changes:
            change.apply(content)
        return bytes(content)

    def sync(self, changes: int) -> None:
        """The first of the changes are on the disk."""
        for change in self.changes[:changes]:
            change.apply(self.synced)
        del self.changes[:changes]

    def cut(self, fate: Fate) -> bytes:
        """As the disk has it after a power cut."""
        disk, cache = bytearray(self.synced), bytearray(self.synced)
        for change in self.changes:
            change.apply(cache)
            if change.size is not None:
                if fate.keeps_change():
                    _resize(disk, change.size)
                continue
            end = change.offset + len(change.data)
            first, after = change.offset // SECTOR, (end + SECTOR - 1) // SECTOR
            for sector in fate.kept_sectors(range(first, after)):
                bytes_of = slice(sector * SECTOR, min((sector + 1) * SECTOR, len(cache)))
                _resize(disk, max(len(disk), bytes_of.stop))
                disk[bytes_of] = cache[bytes_of]
        return bytes(disk)


class Fate:
    """Decides of each unsynced change whether it is on the disk: of files and of names with this probability."""

    def __init__(self, rng: random.Random, files: float, names: float) -> None:
        self._rng = rng
        self._files = files
        self._names = names

    @classmethod
    def any(cls, rng: random.Random) -> Fate:
        """Of any kind; that all or nothing is there is a kind too."""
        return cls(rng, rng.choice([0.0, 0.2, 0.5, 0.8, 1.0]), rng.choice([0.0, 0.5, 0.5, 1.0]))

    def keeps_change(self) -> bool:
        return self._rng.random() < self._files

    def keeps_name(self) -> bool:
        return self._rng.random() < self._names

    def kept_sectors(self, sectors: range) -> Iterator[int]:
        """Of one write: none, all, or any of them."""
        if self._rng.random() < 0.5:
            return (sector for sector in sectors if self.keeps_change())
        return iter(sectors if self.keeps_change() else ())


@dataclass(frozen=True, slots=True)
class NameChange:
    """Of the folder since its last sync: `gone` is no name any more, and `made` is one of the file."""

    gone: str | None = None
    made: str | None = None
    file: File | None = None

    def apply(self, names: dict[str, File]) -> None:
        if self.gone is not None:
            names.pop(self.gone, None)
        if self.made is not None and self.file is not None:
            names[self.made] = self.file


@dataclass(slots=True)
class Sync:
    """One that has begun. covers: how many of the changes that there are, from the first on."""

    inode: int
    covers: int


class Disk:
    """The folder. Begins with the files that there are, all synced; None: there is no folder yet."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.names = {name: File(bytearray(content)) for name, content in (files or {}).items()}
        self._synced_names = dict(self.names)
        self._name_changes: list[NameChange] = []
        self._inodes: dict[int, File] = {}
        self._syncs: dict[int, Sync] = {}  # by number
        self._is_named = files is not None

    def begin_process(self) -> None:
        """The records from here on are those of a new process: syncs that were under way have not ended."""
        self._inodes.clear()
        self._syncs.clear()

    def play(self, record: Record) -> None:
        match record.op:
            case Op.CREATE:
                file = self._inodes[record.inode] = File()
                self._rename(NameChange(made=record.name, file=file))
            case Op.OPEN:
                self._inodes[record.inode] = self.names[record.name]
            case Op.WRITE:
                self._inodes[record.inode].changes.append(Change(record.offset, record.data))
            case Op.TRUNCATE:
                self._inodes[record.inode].changes.append(Change(0, b"", record.size))
            case Op.RENAME:
                old, _, new = record.name.partition("\0")
                self._rename(NameChange(gone=old, made=new, file=self.names[old]))
            case Op.UNLINK:
                self._rename(NameChange(gone=record.name))
            case Op.SYNC_BEGIN:
                self._syncs[record.offset] = Sync(record.inode, len(self._changes_of(record.inode)))
            case Op.SYNC_END:
                self._end_sync(self._syncs.pop(record.offset))
            case Op.ALLOCATE | Op.MKDIR | Op.NOTE:
                pass

    def cached(self) -> dict[str, bytes]:
        """The files as processes see them, and as they stay when only the process is killed."""
        return {name: file.cached() for name, file in self.names.items()}

    def cut(self, fate: Fate) -> dict[str, bytes] | None:
        """The files after a power cut; None: the folder itself is gone."""
        if not self._is_named and not fate.keeps_name():
            return None
        names = dict(self._synced_names)
        for change in self._name_changes:
            if fate.keeps_name():
                change.apply(names)
        return {name: file.cut(fate) for name, file in sorted(names.items())}

    def _rename(self, change: NameChange) -> None:
        change.apply(self.names)
        self._name_changes.append(change)

    def _changes_of(self, inode: int) -> list[Change] | list[NameChange]:
        if inode == PARENT:
            return []
        return self._name_changes if inode == FOLDER else self._inodes[inode].changes

    def _end_sync(self, sync: Sync) -> None:
        if sync.inode == PARENT:
            self._is_named = True
        elif sync.inode == FOLDER:
            for change in self._name_changes[: sync.covers]:
                change.apply(self._synced_names)
            del self._name_changes[: sync.covers]
        else:
            self._inodes[sync.inode].sync(sync.covers)
        for other in self._syncs.values():  # what this one has covered is no change any more
            if other.inode == sync.inode:
                other.covers = max(0, other.covers - sync.covers)
