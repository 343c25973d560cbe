"""A delivery in a worker's hands: the job, its context, and whether it is still this worker's."""

from __future__ import annotations

import contextvars
import traceback
from pathlib import Path
from typing import Any

from ._jobs import Job
from .errors import MagicQueueError, UnrecoverableError

MAX_ERROR = 10_000
"""Characters of a traceback that the daemon is told: the last ones, which say most."""

_PACKAGE = str(Path(__file__).parent)


class HeldJob:
    """One delivery of a job. reason: why it is not this worker's any more; timeout_at: on the monotonic clock."""

    __slots__ = ("job", "reason", "timeout_at")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.reason: MagicQueueError | None = None
        self.timeout_at: float | None = None

    @property
    def is_held(self) -> bool:
        """False once its result does not count any more."""
        return self.reason is None


class BaseContext:
    """What a handler knows besides its job."""

    def __init__(self, held: HeldJob) -> None:
        self._held = held

    @property
    def job(self) -> Job:
        """The job that the handler works on."""
        return self._held.job

    @property
    def is_held(self) -> bool:
        """False once the job is no longer this worker's: what the handler returns then does not count."""
        return self._held.is_held

    def raise_if_lost(self) -> None:
        """For handlers that take long.

        Raises JobLostError, JobTimeoutError or WorkerStoppedError if the job is not held any more.
        """
        if self._held.reason is not None:
            raise self._held.reason


current: contextvars.ContextVar[BaseContext] = contextvars.ContextVar("magicqueue_context")


def current_context() -> Any:
    """The context of the job whose handler this is called in. Raises LookupError outside a handler."""
    return current.get()


def failure_text(error: BaseException) -> str:
    """The traceback of a handler's exception, without this package's frames."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace)).rstrip("\n")[-MAX_ERROR:]


def is_unrecoverable(error: BaseException) -> bool:
    return isinstance(error, UnrecoverableError)
