"""mqfast cron: jobs that are pushed again and again."""

from typing import Any

import click

from mqfast.cli.completion import QUEUE
from mqfast.cli.errors import InputError
from mqfast.cli.group import GroupWithDefault
from mqfast.cli.options import Daemon, job_options, talks_to_daemon
from mqfast.cli.output import Column
from mqfast.cli.text import now_ms, show_ago
from mqfast.cli.verbatim import Raw

_name = click.argument("name")


@click.group(cls=GroupWithDefault, default="list")
def cron() -> None:
    """Jobs pushed by a schedule. Without a command: list them."""


@cron.command("list")
@talks_to_daemon
def list_command(daemon: Daemon) -> None:
    """List the crons, and when each runs next."""
    now = now_ms()
    columns = [
        Column("NAME", "name", style=lambda row: "bold"),
        Column("SCHEDULE", "schedule"),
        Column("ZONE", "timezone", style=lambda row: "dim" if row["timezone"] == "UTC" else ""),
        Column("NEXT", "next_run", show=lambda value: show_ago(value, now), style=lambda row: "cyan"),
        Column("LAST", "last_run", show=lambda value: show_ago(value, now)),
        Column("QUEUE", "queue"),
        Column("PAUSED", "paused", show=lambda paused: "paused" if paused else "", style=lambda row: "bold yellow"),
        Column("DATA", "data", grow=True, style=lambda row: "dim"),
    ]
    daemon.output.table(columns, daemon.ask("CRONLIST")["crons"], empty="no crons: mqfast cron add --help says how")


@cron.command()
@_name
@click.argument("schedule")
@click.argument("queue", type=QUEUE)
@click.argument("data", default="null")
@click.option("--timezone", metavar="ZONE", help="An IANA time zone such as Europe/Vienna.  [default: UTC]")
@click.option(
    "--overlap", type=click.Choice(["allow", "skip"]), help="skip: not while the last one's job has not ended."
)
@click.option("--misfire", type=click.Choice(["once", "skip"]), help="What was missed: fire once, late; or skip it.")
@click.option("--paused", is_flag=True, help="Set it, but do not fire it yet.")
@job_options
@talks_to_daemon
def add(
    daemon: Daemon, name: str, schedule: str, queue: str, data: str, paused: bool, options: dict[str, Any], **more: Any
) -> None:
    """Push DATA (JSON) to QUEUE by SCHEDULE, under NAME; a cron of that name is changed.

    SCHEDULE: 5 fields, or 6 with seconds first; */N alone for every N seconds; @hourly, @daily, @weekly, @monthly.

    \b
    mqfast cron add report '0 7 * * MON-FRI' reports '{"kind":"daily"}' --timezone Europe/Vienna
    """
    try:
        payload = Raw.parse(data)
    except ValueError as error:
        raise InputError(f"DATA is not JSON: {error}") from None
    with daemon.connect() as connection:
        connection.ask(
            "CRON", name=name, schedule=schedule, queue=queue, data=payload, paused=paused or None, **more, **options
        )
        made = next(row for row in connection.ask("CRONLIST")["crons"] if row["name"] == name)
    when = f"runs {show_ago(made['next_run'], now_ms())}" if made["next_run"] else "is paused"
    daemon.output.done(f"{name} {when}", {"name": name, "next_run": made["next_run"]})


def _by_name(name: str, cmd: str, done: str, text: str) -> None:
    @cron.command(name, help=text)
    @click.argument("names", nargs=-1, required=True, metavar="NAME...")
    @talks_to_daemon
    def each(daemon: Daemon, names: tuple[str, ...]) -> None:
        with daemon.connect() as connection:
            for one in names:
                connection.ask(cmd, name=one)
                daemon.output.done(f"{one} {done}", {"name": one, "done": name})


_by_name("rm", "CRONDELETE", "is forgotten", "Forget crons; jobs that they pushed stay.")
_by_name("run", "CRONRUN", "has pushed its job", "Push the jobs of crons now, whatever their schedules.")
_by_name("pause", "CRONPAUSE", "is paused", "Fire crons no more for now.")
_by_name("resume", "CRONRESUME", "fires again", "Fire crons again, from their next times on.")
