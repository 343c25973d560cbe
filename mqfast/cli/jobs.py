"""mqfast jobs: the jobs of a queue, by state."""

from collections.abc import Iterator
from itertools import islice

import click

from mqfast.cli.completion import QUEUE
from mqfast.cli.connection import Answer, Connection
from mqfast.cli.job import STATE_STYLES
from mqfast.cli.options import Daemon, talks_to_daemon
from mqfast.cli.output import Column, Row, plain, tell
from mqfast.cli.text import now_ms, show_ago
from mqfast.cli.verbatim import previewed

STATES = ("active", "waiting", "delayed", "waitingparent", "failed", "completed")
PREVIEW_BYTES = 200
_PAGE = 500


@click.command()
@click.argument("queue", type=QUEUE)
@click.option("--state", "-s", type=click.Choice(STATES), multiple=True, help="Only these; may be given several times.")
@click.option("--limit", "-n", type=click.IntRange(1), default=50, show_default=True, help="How many at most.")
@click.option("--newest", is_flag=True, help="The newest first.")
@talks_to_daemon
def jobs(daemon: Daemon, queue: str, state: tuple[str, ...], limit: int, newest: bool) -> None:
    """List the jobs of QUEUE: those that workers hold, then those that wait, and so on.

    With --json each has its whole payload; else the payload's beginning is shown.
    """
    with daemon.connect() as connection:
        preview = 0 if daemon.output.as_json else PREVIEW_BYTES
        found = list(islice(_jobs(connection, queue, state or STATES, limit, newest, preview), limit + 1))
    daemon.output.table(columns(now_ms()), found[:limit], empty=f"no jobs in {queue}")
    if len(found) > limit:
        tell(f"… there are more: --limit {limit * 10}, or --state to choose")


def _jobs(
    connection: Connection, queue: str, states: tuple[str, ...], limit: int, newest: bool, preview: int
) -> Iterator[Answer]:
    for state in states:
        fields = {"queue": queue, "state": state, "limit": min(limit + 1, _PAGE), "dir": "desc" if newest else "asc"}
        for row in connection.pages("GETJOBS", "jobs", preview=preview or None, **fields):
            yield {**(previewed(row) if preview else row), "state": state}


def columns(now: int) -> list[Column]:
    """The table of jobs as of an instant (ms since the epoch)."""
    return [
        Column("ID", "id", right=True),
        Column("STATE", "state", style=lambda row: STATE_STYLES.get(str(row["state"]), "")),
        Column("PRIO", "priority", right=True),
        Column("PUSHED", "created_at", show=lambda value: show_ago(value, now)),
        Column("FAILED", "attempts", right=True),
        Column("DATA", "data", grow=True, style=_data_style),
    ]


def _data_style(row: Row) -> str:
    return "dim" if plain(row.get("data")) in ("null", "{}") else ""
