"""mqfast export: the jobs of queues as JSON lines that mqfast import takes."""

from collections.abc import Iterable, Iterator
from typing import IO, Any

import click

from mqfast.cli.completion import QUEUE
from mqfast.cli.connection import Answer, Connection
from mqfast.cli.errors import InputError, RefusedError
from mqfast.cli.jobs import STATES
from mqfast.cli.options import Daemon, talks_to_daemon
from mqfast.cli.output import tell
from mqfast.cli.progress import Advance, progress_bar
from mqfast.cli.text import plural
from mqfast.cli.verbatim import dumps

TO_BE_DONE = ("active", "waiting", "delayed", "waitingparent")
FIELDS = (
    "id", "queue", "state", "data", "priority", "created_at", "run_at", "attempts", "max_attempts", "backoff",
    "max_backoff", "ttl", "timeout", "unique_key",
)  # fmt: skip
_PAGE = 500
_LISTED = 100  # dependencies that GETJOB lists at most


@click.command()
@click.argument("queues", type=QUEUE, nargs=-1, metavar="[QUEUE]...")
@click.option(
    "--state", "-s", type=click.Choice(STATES), multiple=True, help="Only these.  [default: what is to be done]"
)
@click.option(
    "--output", "-o", "target", type=click.File("wb"), help="File to write, with a progress bar.  [default: stdout]"
)
@talks_to_daemon
def export(daemon: Daemon, queues: tuple[str, ...], state: tuple[str, ...], target: IO[bytes] | None) -> None:
    """Write the jobs of QUEUEs (all queues without any) as JSON lines, payloads byte for byte.

    Nothing is taken out of the queues. Jobs that come, go or change their state meanwhile may be missed or come twice:
    pause the queues first, or stop those who push and pull.

    \b
    mqfast export emails -o emails.jsonl
    mqfast export --state failed | jq -r .last_error | sort | uniq -c
    """
    states = state or TO_BE_DONE
    with daemon.connect() as connection:
        known = connection.ask("LISTQUEUES")["queues"]
        names = [str(row["name"]) for row in known]
        missing = [name for name in queues if name not in names]
        if missing:
            raise InputError(f"there is no queue {missing[0]}; mqfast queues lists them")
        chosen = [row for row in known if not queues or row["name"] in queues]
        lines = _lines(connection, [str(row["name"]) for row in chosen], states)
        if target is None:
            for line in lines:
                daemon.output.document(line)
            return
        with progress_bar("exporting", total_jobs=_expected(chosen, states)) as advance:
            written = _write(lines, target, advance)
    tell(f"exported {plural(written, 'job')} to {target.name}")


def _expected(queues: list[Answer], states: tuple[str, ...]) -> int:
    counts = dict(zip(STATES, ("processing", "pending", "delayed", "waiting", "dlq", "completed"), strict=True))
    return sum(int(row.get(counts[state], 0)) for row in queues for state in states)


def _lines(connection: Connection, queues: list[str], states: tuple[str, ...]) -> Iterator[Answer]:
    """Those that wait for others last, so that an import has mostly seen what they wait for."""
    for state in sorted(states, key=lambda state: state == "waitingparent"):
        for queue in queues:
            for job in connection.pages("GETJOBS", "jobs", queue=queue, state=state, limit=_PAGE):
                line = _line(job, state)
                if state == "waitingparent":
                    line["depends_on"] = _open_dependencies(connection, job)
                yield line


def _write(lines: Iterable[Answer], target: IO[bytes], advance: Advance) -> int:
    """The number of jobs written."""
    written = 0
    for line in lines:
        target.write(dumps(line).encode() + b"\n")
        written += 1
        if written % _PAGE == 0:
            advance(0, _PAGE)
    target.flush()
    return written


def _line(job: Answer, state: str) -> dict[str, Any]:
    line = {name: job[name] for name in FIELDS if name in job}
    line["state"] = state
    for name in ("reason", "last_error", "ended_at", "result"):
        if job.get(name) is not None:
            line[name] = job[name]
    return line


def _open_dependencies(connection: Connection, job: Answer) -> list[int]:
    """The jobs that it still waits for; those that are completed need not be found again by an import."""
    try:
        answer = connection.ask("GETJOB", id=job["id"])
    except RefusedError:
        return list(job["depends_on"])
    rows = (answer["job"] or {}).get("waits_for", ())
    if len(rows) >= _LISTED:
        return list(job["depends_on"])
    return [row["id"] for row in rows]
