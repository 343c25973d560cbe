"""mqfast check and mqfast repair: a log folder looked at, and made usable again, while no daemon runs on it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from mqfast.folder import Damage, Report, examine, locked, repair

DAMAGED = 1
"""Exit status of check when the folder is not whole."""

_FOLDER = click.argument("folder", type=click.Path(path_type=Path))
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


@click.command("check")
@_FOLDER
@_JSON
def check(folder: Path, as_json: bool) -> int:
    """Read the log in FOLDER through and say whether it is whole. Changes nothing.

    Exit status: 0 whole, 1 damaged, 2 it cannot be looked at (in use, not a log folder).
    """
    with locked(folder):
        report = examine(folder)
    click.echo(json.dumps(_facts(report)) if as_json else "\n".join(_lines(report)))
    return 0 if report.whole else DAMAGED


@click.command("repair")
@_FOLDER
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def repair_command(folder: Path, dry_run: bool, yes: bool) -> int:
    """Make the daemon start on FOLDER again, with as much of its log as can be used.

    What is damaged is moved to a folder damaged-… inside, never deleted. Keep a backup of FOLDER all the same.

    Exit status: 0 done or nothing to do, 1 not wanted, 2 it cannot be done.
    """
    with locked(folder):
        report = examine(folder)
        click.echo("\n".join(_lines(report)))
        if report.whole:
            return 0
        click.echo(_plan(report))
        if dry_run:
            return 0
        if not yes and not click.confirm("Go on?"):
            return 1
        aside = repair(report, datetime.now(UTC))
    click.echo(f"Repaired. What could not be used is in {aside}")
    return 0


def _lines(report: Report) -> list[str]:
    lines = []
    if report.snapshot:
        lines.append(f"snapshot {report.snapshot.name}: the state as of frame {report.snapshot.number:,}")
    lines.append(f"log: {report.frames:,} frames with {report.records:,} records, up to frame {report.last:,}")
    if report.torn:
        lines.append(f"torn end of {report.torn:,} bytes: was being written when it went down; the daemon cuts it off")
    lines += [f"damaged: {_place(damage)}" for damage in report.damages]
    lines += [f"damaged: {_place(damage)}; the daemon would use an older snapshot" for damage in report.spoiled]
    if report.missing is not None:
        lines.append(f"missing: frame {report.missing:,}, though later ones are there")
    if report.whole:
        lines.append("whole: the daemon starts with all of it")
    elif report.starts:
        lines.append("the daemon starts with all of it all the same; repair moves the damaged file away")
    else:
        advice = f"restore it from a backup, or see: mqfast repair --dry-run {report.folder}"
        lines.append(f"the daemon does not start on it: {advice}")
    return lines


def _place(damage: Damage) -> str:
    return f"{damage.file} at byte {damage.offset:,}"


def _plan(report: Report) -> str:
    if not report.damages and report.missing is None:
        return "Repair loses nothing."
    kept = f"Repair keeps everything up to frame {report.last:,}"
    if not report.lost:
        return f"{kept} and leaves out what the damaged bytes held."
    return (
        f"{kept}. It leaves out what the damaged bytes held and {report.lost:,} good frames behind them, which may not "
        "be used without them; ids that were given out there may be given again."
    )


def _facts(report: Report) -> dict[str, object]:
    return {
        "whole": report.whole,
        "starts": report.starts,
        "snapshot": report.snapshot.name if report.snapshot else None,
        "last_frame": report.last,
        "frames": report.frames,
        "records": report.records,
        "torn_bytes": report.torn,
        "damaged": [{"file": d.file, "offset": d.offset} for d in (*report.damages, *report.spoiled)],
        "missing_frame": report.missing,
        "lost_frames": report.lost,
    }
