"""mqfast backup and mqfast restore: a copy of a log folder, and back."""

from pathlib import Path

import click

from mqfast.backup import back_up, put_back
from mqfast.cli.options import json_option
from mqfast.cli.output import Output
from mqfast.folder import Report

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("folder", type=_PATH)
@click.argument("target", type=_PATH)
@json_option
def backup(folder: Path, target: Path, as_json: bool) -> None:
    """Copy the log in FOLDER to the new folder TARGET, and check the copy. The daemon must be stopped.

    While a daemon runs, mqfast export writes its jobs instead, as JSON lines.
    """
    report = back_up(folder, target)
    _tell(Output(as_json), report, target, f"backed up {folder} to {target}")


@click.command()
@click.argument("backup", type=_PATH)
@click.argument("folder", type=_PATH)
@json_option
def restore(backup: Path, folder: Path, as_json: bool) -> None:
    """Check BACKUP, and copy it to FOLDER, which must be absent or empty. The backup stays as it is."""
    report = put_back(backup, folder)
    _tell(Output(as_json), report, folder, f"restored {folder}; start with it: mqfast serve --persist {folder}")


def _tell(output: Output, report: Report, target: Path, done: str) -> None:
    size = sum(file.size for file in (*report.segments, *report.snapshots))
    files = len(report.segments) + len(report.snapshots)
    facts = {"folder": str(target), "files": files, "bytes": size, "last_frame": report.last, "whole": report.whole}
    output.done(f"{done} ({files} files, {size:,} bytes, up to frame {report.last:,})", facts)
