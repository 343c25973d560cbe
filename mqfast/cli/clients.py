"""mqfast clients: who is connected."""

import click

from mqfast.cli.options import Daemon, talks_to_daemon
from mqfast.cli.output import Column
from mqfast.cli.text import now_ms, show_ago, show_bytes, show_count

_PAGE = 1000


@click.command()
@talks_to_daemon
def clients(daemon: Daemon) -> None:
    """List who is connected, what each holds, and what it waits for."""
    with daemon.connect() as connection:
        rows = list(connection.pages("CLIENTS", "connections", limit=_PAGE))
    now = now_ms()
    columns = [
        Column("ID", "id", right=True),
        Column("PEER", "peer", style=lambda row: "bold"),
        Column("KIND", "kind"),
        Column("SINCE", "since", show=lambda value: show_ago(value, now)),
        Column("COMMANDS", "commands", show=show_count, right=True),
        Column("HOLDS", "holds", right=True),
        Column("UNSENT", "unsent", show=_show_unsent, right=True, style=lambda row: "red"),
        Column("WAITS FOR", "waits_for", grow=True),
    ]
    daemon.output.table(columns, rows, empty="nobody is connected")


def _show_unsent(size: int) -> str:
    return show_bytes(size) if size else ""
