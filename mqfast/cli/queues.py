"""mqfast queues, pause, resume, drain, obliterate: queues as wholes."""

import sys
from collections.abc import Callable

import click

from mqfast.cli.completion import QUEUE
from mqfast.cli.connection import Answer
from mqfast.cli.errors import REFUSED, InputError
from mqfast.cli.options import Daemon, talks_to_daemon
from mqfast.cli.output import Column, Row
from mqfast.cli.text import plural, show_count, show_duration

SORTS = ("name", "pending", "processing", "delayed", "waiting", "dlq", "completed", "in", "out", "head_age")
FILTERS = ("all", "paused", "failed", "busy", "idle")
_PAGE = 500


@click.command()
@click.argument("search", default="")
@click.option("--sort", type=click.Choice(SORTS), default="name", show_default=True, help="By what to sort.")
@click.option("--filter", "only", type=click.Choice(FILTERS), default="all", help="Which ones to list.")
@click.option("--limit", "-n", type=click.IntRange(1), help="How many at most.  [default: all]")
@talks_to_daemon
def queues(daemon: Daemon, search: str, sort: str, only: str, limit: int | None) -> None:
    """List the queues with their counts; with SEARCH those whose name has it (or fits it, with *)."""
    found: list[Answer] = []
    direction = "asc" if sort == "name" else "desc"
    with daemon.connect() as connection:
        fields = {"sort": sort, "dir": direction, "search": search or None, "filter": only}
        for queue in connection.pages("LISTQUEUES", "queues", limit=min(limit or _PAGE, _PAGE), **fields):
            found.append(queue)
            if len(found) == limit:
                break
    daemon.output.table(COLUMNS, found, empty="no queues: push a job and there is one")


def count(title: str, key: str, style: str = "") -> Column:
    return Column(title, key, show=show_count, right=True, style=lambda row: style if row.get(key) else "dim")


def state_of(queue: Row) -> str:
    """What an operator should know of a queue in a word or two."""
    if queue.get("paused"):
        return "paused"
    limits = []
    if queue.get("rate_limit"):
        limits.append(show_rate(queue))
    if queue.get("concurrency_limit"):
        limits.append(f"≤{queue['concurrency_limit']} held")
    return " ".join(limits)


def show_rate(queue: Row) -> str:
    """A queue's rate limit: ``100/1s``."""
    return f"{queue['rate_limit']:,}/{show_duration(queue['rate_duration'])}"


def show_age(ms: int | None) -> str:
    return "-" if ms is None else show_duration(ms)


def _age_style(row: Row) -> str:
    age = row.get("head_age")
    return "dim" if age is None else "bold red" if age > 600_000 else "yellow" if age > 60_000 else ""


COLUMNS = [
    Column("QUEUE", "name", style=lambda row: "bold yellow" if row.get("paused") else "bold", grow=True),
    count("READY", "pending", "yellow"),
    count("ACTIVE", "processing", "cyan"),
    count("DELAYED", "delayed", "blue"),
    count("WAITING", "waiting", "magenta"),
    count("DEAD", "dlq", "bold red"),
    count("DONE", "completed", "green"),
    Column("OLDEST", "head_age", show=show_age, right=True, style=_age_style),
    Column("PAUSED", "paused", show=lambda paused: "paused" if paused else "", style=lambda row: "bold yellow"),
]


def _for_each(name: str, cmd: str, done: str, text: str) -> click.Command:
    """A command that does one thing to each queue named."""

    @click.command(name, help=text)
    @click.argument("names", type=QUEUE, nargs=-1, required=True, metavar="QUEUE...")
    @talks_to_daemon
    def each(daemon: Daemon, names: tuple[str, ...]) -> None:
        with daemon.connect() as connection:
            for queue in names:
                connection.ask(cmd, queue=queue)
                daemon.output.done(f"{queue} {done}", {"queue": queue, "done": name})

    return each


pause = _for_each("pause", "PAUSE", "is paused: pushes go on, nothing is delivered", "Stop the deliveries of queues.")
resume = _for_each("resume", "RESUME", "delivers again", "Start the deliveries of queues again.")


def _dropping(name: str, cmd: str, what: str, text: str) -> click.Command:
    """A command that drops jobs of a queue, and asks before."""

    @click.command(name, help=text)
    @click.argument("queue", type=QUEUE)
    @click.option("--yes", "-y", is_flag=True, help="Do not ask.")
    @talks_to_daemon
    def drop(daemon: Daemon, queue: str, yes: bool) -> int:
        if not confirmed(yes, lambda: f"Drop {what} of {queue}?"):
            return REFUSED
        dropped = daemon.ask(cmd, queue=queue)["count"]
        daemon.output.done(f"dropped {plural(dropped, 'job')} of {queue}", {"queue": queue, "dropped": dropped})
        return 0

    return drop


def confirmed(yes: bool, question: Callable[[], str]) -> bool:
    """Whether to go on with what cannot be undone. Raises InputError if nobody is there to ask."""
    from mqfast.cli.text import clean

    if yes:
        return True
    if not sys.stdin.isatty():
        raise InputError("this cannot be undone, and nobody is there to ask: say --yes")
    return click.confirm(clean(question()), err=True)


drain = _dropping(
    "drain",
    "DRAIN",
    "all jobs that wait (delayed ones and those waiting for others too)",
    "Drop all jobs of QUEUE that wait, delayed ones included; held ones and dead letters stay.",
)
obliterate = _dropping(
    "obliterate",
    "OBLITERATE",
    "everything (jobs in every state, dead letters, limits, the name)",
    "Drop everything of QUEUE: its jobs in every state, its dead letters, limits and name.",
)
