"""mqfast limits: how fast, and how many at once, the jobs of a queue are given out."""

from typing import Any

import click

from mqfast.cli.completion import QUEUE
from mqfast.cli.connection import Connection
from mqfast.cli.options import Daemon, talks_to_daemon
from mqfast.cli.output import Column, Row
from mqfast.cli.queues import show_rate
from mqfast.cli.text import parse_rate

_PAGE = 500
COLUMNS = [
    Column("QUEUE", "name", style=lambda row: "bold", grow=True),
    Column("RATE", "rate", right=True),
    Column("AT ONCE", "concurrency_limit", right=True),
    Column("LENGTH", "max_length", right=True),
    Column("ACTIVE", "processing", right=True),
    Column("READY", "pending", right=True),
]


@click.command()
@click.argument("queue", type=QUEUE, required=False)
@click.option("--rate", metavar="N/TIME", help="Give out at most so many jobs a time: 100/s, 5/10m, or none.")
@click.option("--concurrency", metavar="N", help="Let at most so many be held at once, or none.")
@click.option("--length", metavar="N", help="Refuse pushes while so many jobs wait, or none.")
@talks_to_daemon
def limits(daemon: Daemon, queue: str | None, rate: str | None, concurrency: str | None, length: str | None) -> None:
    """Show the limits of QUEUE, or of every queue that has some; with --rate, --concurrency or --length set them first.

    \b
    mqfast limits emails --rate 100/s --concurrency 8 --length 100000
    mqfast limits emails --rate none
    """
    if queue is None and (rate or concurrency or length):
        raise click.UsageError("say which queue: mqfast limits QUEUE --rate N/TIME")
    with daemon.connect() as connection:
        if queue is not None:
            for command, fields in _changes(rate, concurrency, length):
                connection.ask(command, queue=queue, **fields)
        rows = [_with_rate(row) for row in _limited(connection, queue)]
    daemon.output.table(COLUMNS, rows, empty=f"{queue} has no limits" if queue else "no queue has limits")


def _changes(rate: str | None, concurrency: str | None, length: str | None) -> list[tuple[str, dict[str, Any]]]:
    """The commands that set what was asked for; nothing is sent before all of it is understood."""
    changes: list[tuple[str, dict[str, Any]]] = []
    if rate == "none":
        changes.append(("RATELIMITCLEAR", {}))
    elif rate is not None:
        limit, duration = parse_rate(rate)
        changes.append(("RATELIMIT", {"limit": limit, "duration": duration}))
    if concurrency == "none":
        changes.append(("CLEARCONCURRENCY", {}))
    elif concurrency is not None:
        changes.append(("SETCONCURRENCY", {"limit": _number("--concurrency", concurrency)}))
    if length is not None:
        changes.append(("SETQUEUE", {"max_length": 0 if length == "none" else _number("--length", length)}))
    return changes


def _number(option: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal()):
        raise click.UsageError(f"{option}: {value!r} is neither a number nor none")
    return int(value)


def _limited(connection: Connection, queue: str | None) -> list[Row]:
    narrowed = {"search": queue} if queue is not None else {}  # which may find more, as a name may have a star
    rows = connection.pages("LISTQUEUES", "queues", limit=_PAGE, **narrowed)
    if queue is not None:
        return [row for row in rows if row["name"] == queue]
    return [row for row in rows if row["rate_limit"] or row["concurrency_limit"] or row["max_length"]]


def _with_rate(row: Row) -> Row:
    return {**row, "rate": show_rate(row) if row["rate_limit"] else None}
