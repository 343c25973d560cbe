"""mqfast work: a shell command for each job."""

import contextlib
import os
import signal
import sys
import threading

import click

from mqfast.cli.completion import QUEUE
from mqfast.cli.errors import REFUSED, InputError
from mqfast.cli.options import Daemon, talks_to_daemon
from mqfast.cli.output import tell
from mqfast.cli.running import Stop
from mqfast.cli.text import DURATION, show_duration
from mqfast.cli.worker import Crew, Ended, Plan, Worker

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SETTINGS = {"ignore_unknown_options": True, "allow_interspersed_args": False}  # what follows is the command's


@click.command(context_settings=_SETTINGS)
@click.option("--concurrency", "-c", type=click.IntRange(1, 1000), default=1, show_default=True, help="Jobs at once.")
@click.option("--lease", type=DURATION, default="30s", show_default=True, help="How long a job is held without a sign.")
@click.option("--grace", type=DURATION, default="30s", show_default=True, help="Time for running jobs after a stop.")
@click.option(
    "--fatal", type=click.IntRange(1, 255), multiple=True, help="Exit status not to retry after; several times."
)
@click.option("--until-empty", is_flag=True, help="End when no job is ready.")
@click.option("--no-result", is_flag=True, help="Do not keep what the command writes as the job's result.")
@click.argument("queue", type=QUEUE)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@talks_to_daemon
def work(
    daemon: Daemon,
    queue: str,
    command: tuple[str, ...],
    concurrency: int,
    lease: int,
    grace: int,
    fatal: tuple[int, ...],
    until_empty: bool,
    no_result: bool,
) -> int:
    """Run COMMAND for each job of QUEUE. Options come before QUEUE.

    One word is a line for the shell, several are a program and its arguments. The payload is its stdin, MQ_JOB_ID,
    MQ_JOB_ATTEMPT and others are in its environment. Exit status 0 acknowledges the job, with what was written to
    stdout as its result; any other fails it, with the last of stderr as the error.

    SIGTERM and Ctrl-C stop taking jobs; what runs may end within --grace, or is ended and its job released. A second
    one does so at once.

    \b
    mqfast work emails 'jq -r .to | xargs -n1 ./send-mail'
    mqfast work --concurrency 4 images ./resize.sh --quality 80
    """
    if command[0].startswith("-"):
        raise click.UsageError(f"{command[0]} would be the command: options of work come before QUEUE")
    if lease < 1000:
        raise click.UsageError("--lease must be at least 1s: heartbeats keep it up")
    plan = Plan(
        queue=queue,
        command=("/bin/sh", "-c", command[0]) if len(command) == 1 else command,
        environ=daemon.environ,
        lease_ms=lease,
        grace_s=grace / 1000,
        fatal=frozenset(fatal),
        only_ready=until_empty,
        keeps_results=not no_result,
    )
    told = _Told(daemon)
    stop = Stop()
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(daemon.connect()) for _ in range(concurrency)]
        for connection in connections:
            connection.ask("HELLO")
        workers = [Worker(plan, connection, daemon.connect, stop, told.show) for connection in connections]
        before = {number: signal.signal(number, lambda *_: _request(stop)) for number in _SIGNALS}
        try:
            if not until_empty:
                tell(f"waiting for jobs of {queue}, {concurrency} at once; Ctrl-C stops")
            Crew(workers, stop).run()
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            raise InputError(str(error)) from None
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            stop.close()
    tell(f"{told.completed:,} jobs completed, {told.failed:,} failed, {told.released:,} released")
    return REFUSED if until_empty and told.failed else 0


def _request(stop: Stop) -> None:
    """In a signal's handler, which may have come while a line is being written: sys.stderr cannot be entered again."""
    text = "ending what runs" if stop.is_requested() else "stopping when what runs has ended"
    with contextlib.suppress(OSError):
        os.write(sys.stderr.fileno(), f"{text}\n".encode())
    stop.request()


class _Told:
    """Prints how jobs ended, one line each, from any thread."""

    def __init__(self, daemon: Daemon) -> None:
        self._output = daemon.output
        self._lock = threading.Lock()
        self.completed = self.failed = self.released = 0

    def show(self, ended: Ended) -> None:
        with self._lock:
            setattr(self, ended.state, getattr(self, ended.state) + 1)
            milliseconds = round(ended.outcome.seconds * 1000)
            facts = {
                "id": ended.job["id"],
                "queue": ended.job["queue"],
                "state": ended.state,
                "status": ended.outcome.status,
                "milliseconds": milliseconds,
                "why": ended.why or None,
            }
            why = f": {ended.why}" if ended.why else ""
            self._output.done(f"job {ended.job['id']} {ended.state} in {show_duration(milliseconds)}{why}", facts)
            self._output.flush()
