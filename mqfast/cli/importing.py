"""mqfast import: jobs from the JSON lines of mqfast export, or of one's own making."""

from typing import IO, Any

import click

from mqfast.cli.batches import BatchPusher, Job, Refusals, read_lines, resumable
from mqfast.cli.completion import QUEUE
from mqfast.cli.errors import REFUSED
from mqfast.cli.options import Daemon, talks_to_daemon
from mqfast.cli.progress import progress_bar
from mqfast.cli.text import now_ms, plural
from mqfast.cli.verbatim import Raw, loads

COPIED = ("priority", "ttl", "timeout", "max_attempts", "backoff", "max_backoff", "unique_key")
"""Fields that are pushed as they stand, where they stand."""


@click.command("import")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--queue", type=QUEUE, help="Push all jobs to this queue, whatever the lines say.")
@click.option("--from-line", type=click.IntRange(1), default=1, help="Begin at this line.")
@click.option("--dry-run", is_flag=True, help="Only read the lines and say which are wrong.")
@talks_to_daemon
def import_command(daemon: Daemon, file: IO[bytes], queue: str | None, from_line: int, dry_run: bool) -> int:
    """Push the jobs of FILE (stdin without one): a JSON object a line, with queue, data and any other field of a push.

    Jobs get new ids, and dependencies between jobs of the file are kept; attempts start again from 0. Lines with
    "state":"completed" are left out. A line that is wrong is named and skipped; the rest goes on.
    """
    refusals = Refusals()
    with daemon.connect() as connection, progress_bar("importing", file) as advance:
        importer = Importer(refusals)
        pusher = BatchPusher(connection, refusals, importer.note_pushed)
        with resumable(pusher):
            for line, text, size in read_lines(file, refusals, from_line):
                job = importer.read(line, text, queue)
                before = pusher.pushed
                if job is not None and not dry_run:
                    importer.push(job, pusher)
                advance(size, pusher.pushed - before)
            pusher.flush()
            importer.push_deferred(pusher)
    _tell(daemon, importer, pusher.pushed, refusals.count, dry_run)
    return REFUSED if refusals.count else 0


def _tell(daemon: Daemon, importer: "Importer", pushed: int, refused: int, dry_run: bool) -> None:
    facts = {"pushed": pushed, "refused": refused, "completed": importer.completed}
    parts = [
        f"{plural(importer.read_count, 'line')} can be imported" if dry_run else f"imported {plural(pushed, 'job')}"
    ]
    if importer.completed:
        parts.append(f"left out {plural(importer.completed, 'completed job')}")
    if refused:
        parts.append(f"refused {plural(refused, 'line')}")
    daemon.output.done("; ".join(parts), facts)


class Importer:
    """Turns lines into jobs and holds back those whose dependencies are yet to come."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._ids: dict[int, int] = {}  # the new id of each job by the one that it had
        self._deferred: list[Job] = []
        self.completed = 0
        self.read_count = 0

    def read(self, line: int, text: str, queue: str | None) -> Job | None:
        """The job of a line; None if there is none in it, which is told or counted."""
        try:
            values = loads(text)
            if values.get("state") == "completed":
                self.completed += 1
                return None
            job = _job(line, values, queue)
        except ValueError as error:
            self._refusals.add(line, str(error))
            return None
        self.read_count += 1
        return job

    def push(self, job: Job, pusher: BatchPusher) -> None:
        """Push it now, or later if it waits for jobs that have not been pushed yet."""
        dependencies = job.fields.get("depends_on", ())
        if all(number in self._ids for number in dependencies):
            pusher.add(self._resolved(job))
        else:
            self._deferred.append(job)

    def push_deferred(self, pusher: BatchPusher) -> None:
        """Push those held back, each after what it waits for; what waits for a job that never came is refused."""
        while self._deferred:
            waiting, self._deferred = self._deferred, []
            for job in waiting:
                if all(number in self._ids for number in job.fields["depends_on"]):
                    pusher.add(self._resolved(job))
                else:
                    self._deferred.append(job)
            pusher.flush()
            if len(self._deferred) == len(waiting):
                for job in waiting:
                    missing = next(number for number in job.fields["depends_on"] if number not in self._ids)
                    self._refusals.add(job.line, f"it waits for job {missing}, which was not imported from this file")
                return

    def note_pushed(self, job: Job, number: int) -> None:
        if job.origin is not None:
            self._ids[job.origin] = number

    def _resolved(self, job: Job) -> Job:
        dependencies = job.fields.get("depends_on")
        if not dependencies:
            return job
        fields = {**job.fields, "depends_on": [self._ids[number] for number in dependencies]}
        return Job(job.line, job.queue, fields, job.origin)


def _job(line: int, values: dict[str, Any], queue: str | None) -> Job:
    """Raises ValueError with what is wrong with the line."""
    data = values.get("data")
    if not isinstance(data, Raw):
        raise ValueError("it has no data")
    name = values.get("queue") if queue is None else queue
    if not isinstance(name, str) or not name:
        raise ValueError("it has no queue; --queue can say one")
    fields: dict[str, Any] = {"data": Raw.parse(data)}
    fields.update({key: values[key] for key in COPIED if values.get(key) is not None})
    delay, run_at = values.get("delay"), values.get("run_at")
    if isinstance(delay, int):
        fields["delay"] = delay
    elif isinstance(run_at, int) and run_at > now_ms():
        fields["delay"] = run_at - now_ms()
    dependencies = values.get("depends_on")
    if dependencies:
        if not isinstance(dependencies, list) or not all(isinstance(number, int) for number in dependencies):
            raise ValueError("depends_on is no list of ids")
        fields["depends_on"] = dependencies
    origin = values.get("id")
    return Job(line, name, fields, origin if isinstance(origin, int) else None)
