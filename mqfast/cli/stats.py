"""mqfast stats: counts, rates and latencies, once or as a live screen."""

import time
from typing import Any

import click

from mqfast.cli.connection import Connection
from mqfast.cli.errors import UnreachableError
from mqfast.cli.options import Daemon, talks_to_daemon
from mqfast.cli.text import DURATION, show_bytes, show_count, show_duration

_QUEUES = 200


@click.command()
@click.option("--watch", "-w", is_flag=True, help="A live screen; in a pipe, lines, without end.")
@click.option("--interval", type=DURATION, default="1s", show_default=True, help="Time between two looks of --watch.")
@talks_to_daemon
def stats(daemon: Daemon, watch: bool, interval: int) -> None:
    """Show how many jobs there are, how fast they come and go, and how long they take."""
    if not watch:
        _print(daemon, _facts(daemon))
    elif daemon.output.on_terminal and not daemon.output.as_json:
        _watch(daemon, max(100, interval) / 1000)
    else:
        while True:
            _print(daemon, _facts(daemon), line=True)
            daemon.output.flush()
            time.sleep(max(100, interval) / 1000)


def _facts(daemon: Daemon) -> dict[str, Any]:
    with daemon.connect() as connection:
        counts = connection.ask("STATS")
        metrics = connection.ask("METRICS", limit=1)["metrics"]
    del counts["ok"], metrics["queues"]
    return {**counts, "metrics": metrics}


def _print(daemon: Daemon, facts: dict[str, Any], *, line: bool = False) -> None:
    if daemon.output.as_json:
        daemon.output.document(facts)
        return
    rows = _rows(facts)
    if line:
        daemon.output.line(" ".join(f"{name.replace(' ', '_')}={_quoted(value)}" for name, value in rows))
    elif not daemon.output.on_terminal:
        for name, value in rows:
            daemon.output.fields(name, value)
    else:
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        table.add_column(style="cyan", justify="right")
        table.add_column()
        for name, value in rows:
            table.add_row(name, value)
        daemon.output.console().print(table)


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value else value


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    metrics = facts["metrics"]
    rates = metrics["rates"]
    log = metrics["log"]
    return [
        ("ready", f"{facts['queued']:,}"),
        ("active", f"{facts['processing']:,}"),
        ("delayed", f"{facts['delayed']:,}"),
        ("waiting", f"{facts['waiting']:,}"),
        ("dead", f"{facts['dlq']:,}"),
        ("done", f"{facts['completed']:,}"),
        *(
            (name, f"{show_count(rate['1s'])}/s now, {show_count(rate['1m'])}/s over a minute")
            for name, rate in rates.items()
        ),
        *((name, _percentiles(metrics[key])) for name, key in (("in queue", "wait_ms"), ("running", "run_ms"))),
        ("memory", show_bytes(metrics["memory"]["used"])),
        ("log", "off" if log is None else f"{show_bytes(log['bytes'])} written, fsync {log['fsync']}"),
    ]


def _percentiles(values: dict[str, float | None]) -> str:
    known = [f"{name} {show_duration(ms)}" for name, ms in values.items() if ms is not None]
    return ", ".join(known) or "-"


def _watch(daemon: Daemon, interval: float) -> None:
    """The live screen. Raises UnreachableError if there is no daemon to begin with; later it waits for one."""
    from mqfast.cli.watch import Watcher

    connection = daemon.connect()
    try:
        version = str(connection.ask("HELLO")["version"])
    except UnreachableError:
        connection.close()
        raise
    Watcher(lambda: Connection(daemon.address), connection, str(daemon.address), version, interval).run()
