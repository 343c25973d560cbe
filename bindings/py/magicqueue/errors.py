"""What can go wrong. A refusal of the daemon has a class for each code (``_commands``); the rest is here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class MagicQueueError(Exception):
    """The parent of every error this package makes."""

    code: str = "error"
    retryable: bool = False


class RefusedError(MagicQueueError):
    """The daemon has refused a request.

    Each code has a class of its own (``NotFoundError``, ``DuplicateError``, …); a code that this version does not know
    is a plain ``RefusedError``. ``answer`` is the refusal as it came. ``maybe_done`` is true if the request had been
    sent once before, on a connection that was lost: what is refused now may be what was done then. A
    ``DuplicateError`` with it is most likely the push's own first sending.
    """

    def __init__(self, answer: Mapping[str, Any], maybe_done: bool = False) -> None:
        super().__init__(str(answer.get("error", "Refused")))
        self.answer = dict(answer)
        self.code = str(answer.get("code", self.code))
        self.retryable = bool(answer.get("retryable", self.retryable))
        self.maybe_done = maybe_done

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.answer, self.maybe_done)


class ConnectionLostError(MagicQueueError, ConnectionError):
    """A connection could not be made, or was lost before the answer came.

    ``maybe_done`` true: the request was sent, and nobody knows whether the daemon has carried it out; false: it was
    never sent.
    """

    code = "connection_lost"

    def __init__(self, message: str, maybe_done: bool = False) -> None:
        super().__init__(message)
        self.maybe_done = maybe_done

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.maybe_done)


class ConfigurationError(ConnectionLostError):
    """Client and daemon are set up differently, which trying again does not mend: the message says what to change.

    One of them speaks TLS and the other does not, the port is that of HTTP, or the daemon's certificate is not trusted
    or for another name.
    """

    code = "configuration"


class NotConnectedError(MagicQueueError, ConnectionError):
    """A request on a client that is closed, or was never connected."""

    code = "not_connected"


class BatchRefusedError(MagicQueueError):
    """Some jobs of a batch were refused; the others were accepted.

    ``ids`` has an id for each job in the order of the batch, 0 where it was refused; ``errors`` why, by index.
    """

    code = "batch_refused"

    def __init__(self, ids: Sequence[int], errors: Mapping[int, MagicQueueError]) -> None:
        index: int | None = next(iter(errors), None)
        example = "" if index is None else f"; job {index}: {errors[index]}"
        super().__init__(f"{len(errors)} of {len(ids)} jobs were refused{example}")
        self.ids = list(ids)
        self.errors = dict(errors)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.ids, self.errors)


class UnrecoverableError(MagicQueueError):
    """Raised by a handler: the job is not to be tried again, it goes to the dead-letter queue at once."""

    code = "unrecoverable"


class JobLostError(MagicQueueError):
    """The job is no longer this worker's: its result will not count."""

    code = "job_lost"


class JobTimeoutError(JobLostError):
    """The job's ``timeout`` has passed while its handler ran."""

    code = "job_timeout"


class WorkerStoppedError(JobLostError):
    """The worker stops and the time to drain is over; the job has been given back."""

    code = "worker_stopped"
