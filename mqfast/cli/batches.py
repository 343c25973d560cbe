"""Many jobs from lines of text into the daemon, in batches; what was refused is told by its line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from mqfast.cli.connection import Connection
from mqfast.cli.errors import RefusedError, UnreachableError
from mqfast.cli.output import tell
from mqfast.cli.text import shorten
from mqfast.cli.verbatim import dumps

BATCH_JOBS = 1000
BATCH_BYTES = 1 << 20
TOLD_AT_MOST = 20
_OF_THE_JOBS = frozenset({"invalid", "payload_too_large", "line_too_long", "not_found", "duplicate"})


@dataclass(frozen=True, slots=True)
class Job:
    """A job to push. fields: those of PUSH but queue; line: where it stands, from 1; origin: its id where it was."""

    line: int
    queue: str
    fields: dict[str, Any]
    origin: int | None = None


class Refusals:
    """Lines that could not be pushed: the first ones are told as they come, all are counted."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, line: int, why: str) -> None:
        self.count += 1
        if self.count <= TOLD_AT_MOST:
            tell(f"line {line}: {shorten(why, 300)}")
        elif self.count == TOLD_AT_MOST + 1:
            tell("… more lines are refused; they are counted, not listed")


class BatchPusher:
    """Pushes what is added, in order, a batch for each run of jobs with one queue.

    pushed: jobs that the daemon has. certain: every line up to this one has been answered for. unsure: the last line
    that has been sent; of those behind `certain` nobody knows if the connection is lost.
    """

    def __init__(self, connection: Connection, refusals: Refusals, on_pushed: Callable[[Job, int], None]) -> None:
        self._connection = connection
        self._refusals = refusals
        self._on_pushed = on_pushed
        self._batch: list[Job] = []
        self._bytes = 0
        self.pushed = 0
        self.certain = 0
        self.unsure = 0

    def add(self, job: Job) -> None:
        size = len(dumps(job.fields))
        if self._batch and (
            job.queue != self._batch[0].queue or len(self._batch) >= BATCH_JOBS or self._bytes + size > BATCH_BYTES
        ):
            self.flush()
        self._batch.append(job)
        self._bytes += size

    def flush(self) -> None:
        """Push what has been added. Raises RefusedError for what has to do with no job of it."""
        batch, self._batch, self._bytes = self._batch, [], 0
        if not batch:
            return
        self.unsure = max(self.unsure, *(job.line for job in batch))
        try:
            answer = self._connection.ask("PUSHB", queue=batch[0].queue, jobs=[job.fields for job in batch])
        except RefusedError as refusal:
            if refusal.code not in _OF_THE_JOBS:
                raise
            for job in batch:
                self._refusals.add(job.line, str(refusal))
        else:
            errors = {error["index"]: error["error"] for error in answer.get("errors", ())}
            for index, (job, number) in enumerate(zip(batch, answer["ids"], strict=True)):
                if index in errors:
                    self._refusals.add(job.line, str(errors[index]))
                else:
                    self.pushed += 1
                    self._on_pushed(job, number)
        self.certain = max(self.certain, *(job.line for job in batch))


def read_lines(file: IO[bytes], refusals: Refusals, first: int = 1) -> Iterator[tuple[int, str, int]]:
    """The lines from number `first` on that are not blank: number, text, bytes. What is no UTF-8 is refused."""
    for number, line in enumerate(file, 1):
        if number < first or not line.strip():
            continue
        try:
            yield number, line.decode(), len(line)
        except UnicodeDecodeError as error:
            refusals.add(number, f"not UTF-8 at byte {error.start + 1}")


@contextmanager
def resumable(pusher: BatchPusher) -> Iterator[None]:
    """Says how to go on when the pushing of lines is cut short."""
    try:
        yield
    except BaseException as error:
        if pusher.unsure > pusher.certain and isinstance(error, UnreachableError | KeyboardInterrupt):
            tell(f"lines {pusher.certain + 1} to {pusher.unsure} were sent but not answered: they may have been pushed")
        tell(f"{pusher.pushed:,} jobs were pushed; to go on: --from-line {pusher.certain + 1}")
        raise
