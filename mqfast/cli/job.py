"""mqfast job, wait, cancel: one job, by its id."""

from typing import Any

import click

from mqfast.cli.connection import Answer, Connection
from mqfast.cli.errors import REFUSED, NothingThereError, RefusedError
from mqfast.cli.options import Daemon, talks_to_daemon
from mqfast.cli.text import DURATION, now_ms, show_ago, show_duration, show_instant
from mqfast.cli.verbatim import Raw

STATE_STYLES = {
    "waiting": "yellow",
    "delayed": "blue",
    "waitingparent": "magenta",
    "active": "cyan",
    "completed": "green",
    "failed": "red",
}
"""A colour for each state, the same everywhere."""

_id = click.argument("id", type=click.IntRange(1, 2**53 - 1))


@click.command()
@_id
@talks_to_daemon
def job(daemon: Daemon, id: int) -> None:
    """Show the job ID: its state, payload, result, and how its attempts failed."""
    with daemon.connect() as connection:
        answer = connection.ask("GETJOB", id=id)
        if answer["job"] is None:
            raise NothingThereError(f"there is no job {id}: it was never pushed, or its record is no longer kept")
        found = {**answer["job"], "state": answer["state"]}
        if found["state"] == "completed":
            found["result"] = connection.ask("GETRESULT", id=id)["result"]
    if daemon.output.as_json:
        daemon.output.document(found)
    elif daemon.output.on_terminal:
        _show(daemon, found)
    else:
        for name, value in _facts(found):
            daemon.output.fields(name, value)
        for name in ("data", "result"):
            if name in found:
                daemon.output.fields(name, found[name])


def _facts(found: Answer) -> list[tuple[str, str]]:
    """What is worth telling of a job, in the order to tell it in."""
    now = now_ms()
    tries = f"{found['attempts']:,}" + (f" of {found['max_attempts']:,}" if found["max_attempts"] else "") + " failed"
    facts: list[tuple[str, Any]] = [
        ("id", found["id"]),
        ("queue", found["queue"]),
        ("state", found["state"]),
        ("reason", found.get("reason")),
        ("priority", found["priority"]),
        ("pushed", _when(found["created_at"], now)),
        ("runs", _when(found["run_at"], now) if found["state"] == "delayed" else None),
        ("pulled", _when(found["started_at"], now) if found["started_at"] else None),
        ("ended", _when(found["ended_at"], now) if found.get("ended_at") else None),
        ("attempts", tries),
        ("deliveries", found["deliveries"]),
        ("backoff", show_duration(found["backoff"]) if found["backoff"] else None),
        ("timeout", show_duration(found["timeout"]) if found["timeout"] else None),
        ("ttl", show_duration(found["ttl"]) if found["ttl"] else None),
        ("unique key", found["unique_key"]),
        ("depends on", ", ".join(map(str, found["depends_on"])) or None),
        ("waits for", ", ".join(f"{d['id']} ({d['state']})" for d in found.get("waits_for", ())) or None),
        ("progress", _progress(found)),
        ("last error", found["last_error"]),
    ]
    return [(name, str(value)) for name, value in facts if value is not None]


def _when(ms: int, now: int) -> str:
    return f"{show_instant(ms)}  ({show_ago(ms, now)})"


def _progress(found: Answer) -> str | None:
    if not found["progress"] and not found["progress_msg"]:
        return None
    return f"{found['progress']}%  {found['progress_msg'] or ''}".strip()


def _show(daemon: Daemon, found: Answer) -> None:
    from rich.table import Table
    from rich.text import Text

    from mqfast.cli.payload import payload

    console = daemon.output.console()
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="cyan", justify="right")
    facts.add_column(overflow="fold")
    for name, value in _facts(found):
        style = STATE_STYLES.get(value, "") if name == "state" else "red" if name in ("last error", "reason") else ""
        facts.add_row(name, Text(_shown(value), style=style))
    console.print(facts)
    for name in ("data", "result"):
        if name in found:
            console.print(Text(f"\n{name}", style="bold"))
            console.print(payload(found[name]))
    if found.get("errors"):
        console.print(Text("\nfailed attempts", style="bold"))
        for error in found["errors"]:
            ran = show_duration(error["ended_at"] - error["started_at"])
            told = f"{error['reason']} after {ran}, {show_ago(error['ended_at'], now_ms())}: {error['error'] or '-'}"
            console.print(Text(f"  {error['n']}. {_shown(told)}"))


def _shown(text: str) -> str:
    from mqfast.cli.text import clean

    return clean(text)


@click.command()
@_id
@click.option("--timeout", type=DURATION, help="Wait at most so long.  [default: for ever]")
@talks_to_daemon
def wait(daemon: Daemon, id: int, timeout: int | None) -> int:
    """Wait until the job ID has ended, and print its result."""
    with daemon.connect() as connection:
        return wait_for(daemon, connection, id, timeout)


_FOR_EVER_MS = 2**53 - 1


def wait_for(daemon: Daemon, connection: Connection, id: int, timeout: int | None) -> int:
    """Print the result of a job once it has it; None waits for ever. Raises RefusedError if it failed or is gone."""
    try:
        answer = connection.wait("WAITJOB", id=id, timeout=_FOR_EVER_MS if timeout is None else timeout)
    except RefusedError as refusal:
        if refusal.code != "failed":
            raise
        daemon.output.flush()
        raise RefusedError(f"job {id} failed: {refusal}", "failed") from None
    result = answer["result"]
    if daemon.output.as_json:
        daemon.output.document({"id": id, "state": answer["state"], "result": result})
    elif isinstance(result, Raw):
        daemon.output.fields(result)
    return 0


@click.command()
@click.argument("ids", type=click.IntRange(1, 2**53 - 1), nargs=-1, required=True, metavar="ID...")
@talks_to_daemon
def cancel(daemon: Daemon, ids: tuple[int, ...]) -> int:
    """Remove jobs that have not ended, held by a worker or not."""
    from mqfast.cli.output import tell

    cancelled: list[int] = []
    status = 0
    with daemon.connect() as connection:
        for number in ids:
            try:
                connection.ask("CANCEL", id=number)
                cancelled.append(number)
            except RefusedError as refusal:
                tell(f"mqfast: {refusal}")
                status = max(status, refusal.exit_status, REFUSED)
    if daemon.output.as_json:
        daemon.output.document({"cancelled": cancelled})
    else:
        for number in cancelled:
            daemon.output.line(f"job {number} is cancelled")
    return status
