"""The command line's commands by name, each loaded only when it is used or asked about."""

import importlib

import click

from mqfast.cli.errors import STATUSES

Place = tuple[str, str]
"""Where a command is (module of mqfast.cli, name there), and what it does in a few words."""

SECTIONS: dict[str, dict[str, Place]] = {
    "Daemon": {
        "serve": ("serve:serve", "serve: what mqfast does without a command"),
        "config": ("config:config", "show the settings, and where each came from"),
    },
    "Jobs": {
        "push": ("push:push", "push jobs: arguments, stdin, or a file of JSON lines"),
        "pull": ("pull:pull", "take jobs and print them"),
        "ack": ("pull:ack", "a held job is done"),
        "fail": ("pull:fail", "a held job failed"),
        "release": ("pull:release", "give a held job back"),
        "work": ("work:work", "run a shell command for each job"),
        "job": ("job:job", "show one job"),
        "jobs": ("jobs:jobs", "list the jobs of a queue"),
        "wait": ("job:wait", "wait for a job's end and print its result"),
        "cancel": ("job:cancel", "remove jobs that have not ended"),
    },
    "Queues": {
        "queues": ("queues:queues", "list the queues with their counts"),
        "pause": ("queues:pause", "stop the deliveries of queues"),
        "resume": ("queues:resume", "start them again"),
        "limits": ("limits:limits", "show or set rate and concurrency limits"),
        "drain": ("queues:drain", "drop the jobs that wait"),
        "obliterate": ("queues:obliterate", "drop everything of a queue"),
        "dlq": ("dlq:dlq", "dead letters: list, retry, purge"),
        "cron": ("cron:cron", "jobs by a schedule: list, add, rm, run, pause, resume"),
    },
    "Watching": {
        "stats": ("stats:stats", "counts, rates, latencies; --watch for a live screen"),
        "events": ("events:events", "what happens to jobs, as it happens"),
        "clients": ("clients:clients", "who is connected"),
        "bench": ("bench:bench", "load the daemon and measure it"),
    },
    "Moving and keeping": {
        "export": ("export:export", "write jobs as JSON lines"),
        "import": ("importing:import_command", "push the jobs of an export"),
        "check": ("folder:check", "is a log folder whole"),
        "repair": ("folder:repair_command", "make a damaged log folder usable"),
        "backup": ("backup:backup", "copy a log folder"),
        "restore": ("backup:restore", "put a copy back"),
    },
    "Shell": {"completion": ("completion:completion", "the script that completes mqfast in a shell")},
}

_PLACES = {name: place for commands in SECTIONS.values() for name, (place, _) in commands.items()}


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
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])
        click.Command.format_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit status"):
            formatter.write_dl([(str(status), meaning) for status, meaning in STATUSES.items()])
