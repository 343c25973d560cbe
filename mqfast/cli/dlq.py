"""mqfast dlq: the dead letters, looked at, retried or dropped."""

from itertools import islice
from typing import Any

import click

from mqfast.cli.completion import QUEUE
from mqfast.cli.errors import NOT_FOUND, REFUSED
from mqfast.cli.group import GroupWithDefault
from mqfast.cli.options import Daemon, talks_to_daemon
from mqfast.cli.output import Column, tell
from mqfast.cli.queues import confirmed
from mqfast.cli.text import now_ms, plural, show_ago
from mqfast.cli.verbatim import previewed

REASONS = ("failed", "timeout", "worker_lost", "expired_lease", "dependency_failed")
PREVIEW_BYTES = 120
_PAGE = 500

_reason = click.option("--reason", type=click.Choice(REASONS), help="Only those that failed for this reason.")
_ids = click.argument("ids", type=click.IntRange(1, 2**53 - 1), nargs=-1, metavar="[ID]...")


@click.group(cls=GroupWithDefault, default="counts")
def dlq() -> None:
    """Dead letters: jobs that failed for good. Without a command: how many each queue has."""


@dlq.command()
@talks_to_daemon
def counts(daemon: Daemon) -> None:
    """Count the dead letters of each queue by their reasons."""
    found = daemon.ask("GETDLQCOUNTS")["counts"]
    rows = [
        {"name": name, "total": sum(reasons.values()), **{reason: reasons.get(reason, 0) for reason in REASONS}}
        for name, reasons in sorted(found.items())
    ]
    columns = [
        Column("QUEUE", "name", style=lambda row: "bold", grow=True),
        Column("DEAD", "total", right=True, style=lambda row: "bold red"),
        *(
            Column(reason.split("_")[-1 if reason.startswith("worker") else 0].upper(), reason, right=True)
            for reason in REASONS
        ),
    ]
    daemon.output.table(columns, rows, empty="no dead letters")


@dlq.command("list")
@click.argument("queue", type=QUEUE)
@_reason
@click.option("--limit", "-n", type=click.IntRange(1), default=50, show_default=True, help="How many at most.")
@talks_to_daemon
def list_command(daemon: Daemon, queue: str, reason: str | None, limit: int) -> None:
    """List the dead letters of QUEUE, oldest first, and why each failed."""
    fields: dict[str, Any] = {"queue": queue, "state": "failed", "reason": reason}
    fields["preview"] = None if daemon.output.as_json else PREVIEW_BYTES
    with daemon.connect() as connection:
        pages = connection.pages("GETJOBS", "jobs", limit=min(limit + 1, _PAGE), **fields)
        found = [previewed(job) if fields["preview"] else job for job in islice(pages, limit + 1)]
    now = now_ms()
    columns = [
        Column("ID", "id", right=True),
        Column("DIED", "ended_at", show=lambda value: show_ago(value, now)),
        Column("REASON", "reason", style=lambda row: "red"),
        Column("LAST ERROR", "last_error", grow=True),
        Column("DATA", "data", grow=True, style=lambda row: "dim"),
    ]
    daemon.output.table(columns, found[:limit], empty=f"no dead letters in {queue}")
    if len(found) > limit:
        tell(f"… there are more: --limit {limit * 10}")


@dlq.command()
@click.argument("queue", type=QUEUE)
@_ids
@_reason
@click.option("--all", "everything", is_flag=True, help="All of them.")
@talks_to_daemon
def retry(daemon: Daemon, queue: str, ids: tuple[int, ...], reason: str | None, everything: bool) -> int:
    """Put dead letters back into QUEUE, with all attempts before them again: some, those of a reason, or --all."""
    answer = daemon.ask("RETRYDLQ", queue=queue, **_selection(ids, reason, everything))
    daemon.output.done(
        f"put {plural(answer['count'], 'job')} back into {queue}", {"queue": queue, "retried": answer["count"]}
    )
    return NOT_FOUND if ids and not answer["count"] else 0


@dlq.command()
@click.argument("queue", type=QUEUE)
@_ids
@_reason
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@talks_to_daemon
def purge(daemon: Daemon, queue: str, ids: tuple[int, ...], reason: str | None, everything: bool, yes: bool) -> int:
    """Drop dead letters of QUEUE for good: some, those of a reason, or --all."""
    selection = _selection(ids, reason, everything)
    what = (
        plural(len(ids), "dead letter")
        if ids
        else f"all dead letters with reason {reason}"
        if reason
        else "all dead letters"
    )
    if not confirmed(yes, lambda: f"Drop {what} of {queue}?"):
        return REFUSED
    dropped = daemon.ask("PURGEDLQ", queue=queue, **selection)["count"]
    daemon.output.done(f"dropped {plural(dropped, 'dead letter')} of {queue}", {"queue": queue, "dropped": dropped})
    return NOT_FOUND if ids and not dropped else 0


def _selection(ids: tuple[int, ...], reason: str | None, everything: bool) -> dict[str, Any]:
    if [bool(ids), reason is not None, everything].count(True) != 1:
        raise click.UsageError("say which: some IDs, --reason REASON, or --all")
    return {"ids": list(ids) or None, "reason": reason}
