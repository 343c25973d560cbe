"""mqfast events: what happens to jobs, as it happens."""

import time
from typing import TYPE_CHECKING

import click

from mqfast.cli.completion import QUEUE
from mqfast.cli.connection import Answer
from mqfast.cli.errors import UnreachableError
from mqfast.cli.options import Daemon, talks_to_daemon
from mqfast.cli.output import tell
from mqfast.cli.text import clean

if TYPE_CHECKING:
    from rich.console import Console

EVENTS = (
    "pushed", "active", "completed", "failed", "retrying", "timeout", "expired", "cancelled", "progress", "stalled",
)  # fmt: skip
STYLES = {
    "pushed": "yellow",
    "active": "cyan",
    "completed": "green",
    "failed": "bold red",
    "retrying": "magenta",
    "timeout": "red",
    "stalled": "red",
    "expired": "dim",
    "cancelled": "dim",
    "progress": "blue",
}
_AGAIN_SECONDS = 1.0


@click.command()
@click.argument("queue", type=QUEUE, default="*")
@click.option("--event", "-e", "names", type=click.Choice(EVENTS), multiple=True, help="Only these; several times.")
@click.option("--count", "-n", type=click.IntRange(1), help="End after so many.")
@click.option("--follow", "-f", is_flag=True, help="Go on when the daemon is started again, until Ctrl-C.")
@talks_to_daemon
def events(daemon: Daemon, queue: str, names: tuple[str, ...], count: int | None, follow: bool) -> None:
    """Print what happens to the jobs of QUEUE (all queues without it) until Ctrl-C or the daemon ends."""
    printer = _Printer(daemon)
    first = True
    while True:
        try:
            with daemon.connect() as connection:
                connection.ask("SUBSCRIBE", queue=queue, events=list(names))
                if not first:
                    tell("connected again")
                first = False
                while count is None or printer.printed < count:
                    printer.show(connection.receive(None))
                return
        except UnreachableError as error:
            if first or not follow:
                raise
            tell(f"{error}; trying again")
            time.sleep(_AGAIN_SECONDS)


class _Printer:
    def __init__(self, daemon: Daemon) -> None:
        self._output = daemon.output
        self._console: Console | None = None
        if self._output.on_terminal and not self._output.as_json:
            self._console = self._output.console()
        self.printed = 0

    def show(self, event: Answer) -> None:
        if self._output.as_json:
            self._output.document(event)
        elif event["event"] == "dropped":
            tell(f"{event['count']:,} events are missing: they came faster than they were read")
            return
        else:
            self._line(event)
        self.printed += 1
        self._output.flush()

    def _line(self, event: Answer) -> None:
        name, queue = str(event["event"]), str(event["queue"])
        now = time.time()
        clock = time.strftime("%H:%M:%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03}"
        if self._console is None:
            self._output.line(clean(f"{clock} {name} {event['job']} {queue}"))
            return
        from rich.text import Text

        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"{clock} ", style="dim")
        line.append(f"{name:<10}", style=STYLES.get(name, ""))
        line.append(f"{event['job']:>12}  ")
        line.append(clean(queue), style="bold")
        self._console.print(line)
