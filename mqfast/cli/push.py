"""mqfast push: jobs from arguments, from stdin, or from a file of JSON lines."""

import sys
from collections.abc import Sequence
from typing import IO, Any

import click

from mqfast.cli.batches import BatchPusher, Job, Refusals, read_lines, resumable
from mqfast.cli.completion import QUEUE
from mqfast.cli.errors import REFUSED, InputError
from mqfast.cli.job import wait_for
from mqfast.cli.options import Daemon, job_options, talks_to_daemon
from mqfast.cli.output import tell
from mqfast.cli.progress import progress_bar
from mqfast.cli.text import plural, shorten
from mqfast.cli.verbatim import Raw, dumps


@click.command()
@click.argument("queue", type=QUEUE)
@click.argument("data", nargs=-1)
@click.option("--file", "-f", type=click.File("rb"), help="Push each line of this file, with a progress bar.")
@click.option("--text", is_flag=True, help="DATA is text, not JSON: push it as a JSON string.")
@click.option("--wait", is_flag=True, help="Wait for the job's end and print its result. For one job.")
@click.option("--from-line", type=click.IntRange(1), default=1, help="Begin at this line of the file.")
@job_options
@talks_to_daemon
def push(
    daemon: Daemon,
    queue: str,
    data: tuple[str, ...],
    file: IO[bytes] | None,
    text: bool,
    wait: bool,
    from_line: int,
    options: dict[str, Any],
) -> int:
    """Push jobs to QUEUE: each DATA is one, as JSON. Without DATA, or with -, each line of stdin is one.

    \b
    mqfast push emails '{"to":"ada@example.org"}'
    mqfast push emails --delay 10m --max-attempts 5 --backoff 1s '{"to":"bob@example.org"}'
    mqfast push emails --file jobs.jsonl
    """
    from_stdin = data == ("-",) or not (data or file)
    if file is not None and data:
        raise click.UsageError("DATA and --file exclude each other")
    if wait and len(data) != 1:
        raise click.UsageError("--wait is for one job, given as DATA")
    if from_stdin or file is not None:
        if from_stdin and sys.stdin.isatty() and not data:
            raise click.UsageError("nothing to push: give DATA, --file FILE, or lines on stdin")
        return _push_lines(daemon, queue, file or sys.stdin.buffer, text, options, from_line)
    payloads = [_payload(item, text) for item in data]
    if len(payloads) == 1:
        return _push_one(daemon, queue, payloads[0], options, wait)
    return _push_some(daemon, queue, payloads, options)


def _payload(item: str, text: bool) -> Raw:
    if text:
        return Raw(dumps(item))
    try:
        return Raw.parse(item)
    except ValueError as error:
        hint = f"for text say --text, or quote it twice: '\"{shorten(item, 40)}\"'"
        raise InputError(f"{shorten(item, 60)} is not JSON ({error}); {hint}") from None


def _push_one(daemon: Daemon, queue: str, payload: Raw, options: dict[str, Any], wait: bool) -> int:
    with daemon.connect() as connection:
        number = connection.ask("PUSH", queue=queue, data=payload, **options)["id"]
        if wait:
            return wait_for(daemon, connection, number, None)
    if daemon.output.as_json or not daemon.output.on_terminal:
        daemon.output.done(str(number), {"id": number})
    else:
        daemon.output.line(f"pushed job {number} to {queue}")
    return 0


def _push_some(daemon: Daemon, queue: str, payloads: Sequence[Raw], options: dict[str, Any]) -> int:
    answer = daemon.ask("PUSHB", queue=queue, jobs=[{"data": payload, **options} for payload in payloads])
    errors = answer.get("errors", [])
    for error in errors:
        tell(f"job {error['index'] + 1}: {error['error']}")
    ids = [number for number in answer["ids"] if number]
    if daemon.output.as_json:
        daemon.output.document({"ids": answer["ids"], "errors": errors})
    elif daemon.output.on_terminal:
        daemon.output.line(f"pushed {plural(len(ids), 'job')} to {queue}: {', '.join(map(str, ids))}")
    else:
        for number in ids:
            daemon.output.line(str(number))
    return REFUSED if errors else 0


def _push_lines(
    daemon: Daemon, queue: str, file: IO[bytes], text: bool, options: dict[str, Any], from_line: int
) -> int:
    refusals = Refusals()
    with daemon.connect() as connection, progress_bar(f"pushing to {shorten(queue, 30)}", file) as advance:
        pusher = BatchPusher(connection, refusals, lambda job, number: None)
        with resumable(pusher):
            for line, content, size in read_lines(file, refusals, from_line):
                try:
                    payload = Raw(dumps(content.rstrip("\r\n"))) if text else Raw.parse(content)
                except ValueError as error:
                    refusals.add(line, f"not JSON: {error}")
                    continue
                before = pusher.pushed
                pusher.add(Job(line, queue, {"data": payload, **options}))
                advance(size, pusher.pushed - before)
            pusher.flush()
    facts = {"pushed": pusher.pushed, "refused": refusals.count}
    refused = f"; refused {plural(refusals.count, 'line')}" if refusals.count else ""
    daemon.output.done(f"pushed {plural(pusher.pushed, 'job')} to {queue}{refused}", facts)
    return REFUSED if refusals.count else 0
