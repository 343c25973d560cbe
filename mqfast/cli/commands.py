"""The command line's commands by name, each loaded only when it is used or asked about."""

import importlib
from collections.abc import Iterator, Sequence

import click

from mqfast.cli.errors import STATUSES

Names = dict[str, str]

SECTIONS: dict[str, Names] = {
    "Daemon": {"serve": "serve:serve", "config": "config:config"},
    "Jobs": {
        "push": "push:push",
        "pull": "pull:pull",
        "ack": "pull:ack",
        "fail": "pull:fail",
        "release": "pull:release",
        "work": "work:work",
        "job": "job:job",
        "jobs": "jobs:jobs",
        "wait": "job:wait",
        "cancel": "job:cancel",
    },
    "Queues": {
        "queues": "queues:queues",
        "pause": "queues:pause",
        "resume": "queues:resume",
        "limits": "limits:limits",
        "drain": "queues:drain",
        "obliterate": "queues:obliterate",
        "dlq": "dlq:dlq",
        "cron": "cron:cron",
    },
    "Watching": {
        "stats": "stats:stats",
        "events": "events:events",
        "clients": "clients:clients",
        "bench": "bench:bench",
    },
    "Moving and keeping": {
        "export": "export:export",
        "import": "importing:import_command",
        "check": "folder:check",
        "repair": "folder:repair_command",
        "backup": "backup:backup",
        "restore": "backup:restore",
    },
    "Shell": {"completion": "completion:completion"},
}
"""Command by command: the module of mqfast.cli that has it, and its name there."""

_PLACES = {name: place for names in SECTIONS.values() for name, place in names.items()}


class Commands(click.Group):
    """A group whose commands are loaded late and listed by what they are for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _PLACES.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command = getattr(importlib.import_module(f"mqfast.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands first: they are what one looks for."""
        for section, names in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl(list(self._described(ctx, names)))
        click.Command.format_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit status"):
            formatter.write_dl([(str(status), meaning) for status, meaning in STATUSES.items()])

    def _described(self, ctx: click.Context, names: Sequence[str] | Names) -> Iterator[tuple[str, str]]:
        for name in names:
            command = self.get_command(ctx, name)
            yield name, "" if command is None else command.get_short_help_str(limit=70)
