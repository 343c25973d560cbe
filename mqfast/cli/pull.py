"""mqfast pull, ack, fail, release: a job taken by hand, and what became of it."""

import click

from mqfast.cli.completion import QUEUE
from mqfast.cli.connection import Answer
from mqfast.cli.errors import NOT_FOUND, InputError
from mqfast.cli.options import Daemon, talks_to_daemon
from mqfast.cli.output import tell
from mqfast.cli.text import DURATION, show_duration
from mqfast.cli.verbatim import Raw, dumps

LEASE_MS = 300_000

_id = click.argument("id", type=click.IntRange(1, 2**53 - 1))
_token = click.option(
    "--token-of-delivery", "delivery", help="The token that the pull showed: refuse if it is another's."
)


@click.command()
@click.argument("queue", type=QUEUE)
@click.option("--count", "-n", type=click.IntRange(1, 10_000), default=1, show_default=True, help="Jobs at most.")
@click.option("--wait", type=DURATION, default="0", help="Wait so long for the first one.  [default: not at all]")
@click.option("--lease", type=DURATION, default="5m", show_default=True, help="Time until they go back if nobody acks.")
@click.option("--ack", "acknowledge", is_flag=True, help="Acknowledge at once: take them out of the queue for good.")
@talks_to_daemon
def pull(daemon: Daemon, queue: str, count: int, wait: int, lease: int, acknowledge: bool) -> int:
    """Take jobs from QUEUE and print their payloads, a line each; with --json all that is known of each.

    They are held for --lease: within that time ack, fail or release them by their id, or they go back.
    """
    if lease < 1:
        raise click.UsageError("--lease must be at least 1ms")
    with daemon.connect() as connection:
        jobs = connection.wait("PULLB", queue=queue, count=count, timeout=wait, lease=lease)["jobs"]
        for job in jobs:
            _show(daemon, job)
        daemon.output.flush()  # before the ack: what could not be written is not lost
        if acknowledge and jobs:
            connection.ask("ACKB", ids=[job["id"] for job in jobs], tokens=[job["token"] for job in jobs])
    if not jobs:
        tell(f"no job came from {queue}")
        return NOT_FOUND
    if daemon.output.on_terminal and not (daemon.output.as_json or acknowledge):
        many = "the jobs are" if len(jobs) > 1 else "the job is"
        tell(f"{many} held for {show_duration(lease)}: mqfast ack {jobs[-1]['id']}, or fail, or release")
    return 0


def _show(daemon: Daemon, job: Answer) -> None:
    if daemon.output.as_json:
        daemon.output.document(job)
    else:
        daemon.output.fields(job["id"], job["data"])


@click.command()
@_id
@click.option("--result", help="What its handler returned, as JSON.")
@_token
@talks_to_daemon
def ack(daemon: Daemon, id: int, result: str | None, delivery: str | None) -> None:
    """Say that the held job ID is done."""
    try:
        raw = None if result is None else Raw.parse(result)
    except ValueError as error:
        raise InputError(
            f"--result is not JSON: {error}; text has to be quoted twice: {dumps(dumps(result))}"
        ) from None
    daemon.ask("ACK", id=id, result=raw, token=delivery)
    daemon.output.done(f"job {id} is done", {"id": id, "state": "completed"})


@click.command()
@_id
@click.argument("error", default="")
@click.option("--unrecoverable", is_flag=True, help="Do not retry: to the dead letters at once.")
@_token
@talks_to_daemon
def fail(daemon: Daemon, id: int, error: str, unrecoverable: bool, delivery: str | None) -> None:
    """Say that the held job ID failed, and why: it is retried, or goes to the dead letters."""
    with daemon.connect() as connection:
        connection.ask("FAIL", id=id, error=error or None, unrecoverable=unrecoverable or None, token=delivery)
        state = connection.ask("GETJOB", id=id)["state"]
    where = "is among the dead letters" if state == "failed" else "will be retried"
    daemon.output.done(f"job {id} failed and {where}", {"id": id, "state": state})


@click.command()
@_id
@click.option("--delay", type=DURATION, help="Not before this time from now.")
@_token
@talks_to_daemon
def release(daemon: Daemon, id: int, delay: int | None, delivery: str | None) -> None:
    """Give the held job ID back to its queue; no attempt is spent."""
    daemon.ask("RELEASE", id=id, delay=delay, token=delivery)
    daemon.output.done(f"job {id} is back in its queue", {"id": id})
