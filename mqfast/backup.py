"""A consistent copy of a log folder, made while no daemon runs on it, and put back.

A copy is made under another name, synced, read through, and only then renamed: a folder of the name asked for is
always a whole one.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mqfast.folder import FolderError, Report, examine, locked, sync_folder

UNFINISHED = ".unfinished"


def back_up(folder: Path, target: Path) -> Report:
    """Copy the log in `folder`, which must be whole, to the new folder `target`; the report of the copy.

    Raises FolderError if a daemon uses the folder, if it is damaged, or if target exists or cannot be written.
    """
    if target.exists():
        raise FolderError(f"{target} exists: a backup is made in a new folder")
    with _refusing(f"a backup cannot be made in {target}"), locked(folder):
        report = examine(folder)
        if not report.whole:
            raise FolderError(
                f"the log in {folder} is damaged: mqfast check {folder} says where, and cp -a keeps a copy as it is"
            )
        return _copy(report, target)


def put_back(backup: Path, folder: Path) -> Report:
    """Copy a backup, which must be whole, to `folder`, which must be absent or empty; the report of the copy.

    Raises FolderError if the backup is damaged or in use, or if there is anything in the folder.
    """
    with _refusing(f"{folder} cannot be restored"):
        if folder.exists():
            if not folder.is_dir():
                raise FolderError(f"{folder} is not a folder")
            if any(folder.iterdir()):
                raise FolderError(f"{folder} is not empty: move away what is in it, or restore to a new folder")
        with _locked_if_writable(backup):
            report = examine(backup)
            if not report.whole:
                raise FolderError(f"the backup {backup} is damaged: mqfast check {backup} says where")
            if folder.exists():
                folder.rmdir()
            return _copy(report, folder)


@contextlib.contextmanager
def _locked_if_writable(backup: Path) -> Iterator[None]:
    """A backup may lie where nothing can be written, not even a lock: no daemon runs there then."""
    if backup.is_dir() and not os.access(backup, os.W_OK):
        yield
    else:
        with locked(backup):
            yield


@contextlib.contextmanager
def _refusing(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FolderError(f"{what}: {(error.strerror or str(error)).lower()}") from None


def _copy(report: Report, target: Path) -> Report:
    """The files of the log alone: no lock, nothing that a repair moved aside."""
    unfinished = target.with_name(target.name + UNFINISHED)
    if unfinished.exists():
        shutil.rmtree(unfinished)  # of a backup that was cut short
    unfinished.mkdir(parents=True)
    try:
        for file in (*report.segments, *report.snapshots):
            _copy_file(file.path, unfinished / file.name)
        sync_folder(unfinished)
        copied = examine(unfinished)
        if not copied.whole or (copied.last, copied.records) != (report.last, report.records):
            raise FolderError(f"the copy is not what {report.folder} holds: is something writing there?")
        unfinished.rename(target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    sync_folder(target.parent)
    return copied


def _copy_file(source: Path, target: Path) -> None:
    with open(source, "rb") as read, open(target, "xb") as written:
        shutil.copyfileobj(read, written, 1 << 20)
        written.flush()
        os.fsync(written.fileno())
    shutil.copystat(source, target)
