"""Acknowledgements of a worker: those that come while one is on its way share the next line. Nothing here locks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from ._batching import cut
from ._core import Entry, encode_json
from ._held import HeldJob, failure_text, is_unrecoverable
from .errors import JobLostError, RefusedError, UnrecoverableError


class Outcomes(Protocol):
    """What the daemon has made of a job's end."""

    def completed(self, held: HeldJob, result: Any) -> None: ...

    def failed(self, held: HeldJob, error: BaseException) -> None: ...

    def lost(self, held: HeldJob, error: JobLostError) -> None:
        """It was not this worker's any more, or the daemon could not be told."""

    def settled(self) -> None:
        """The daemon has been told everything."""


class Done(NamedTuple):
    """A job whose handler has returned. text: its result as JSON."""

    held: HeldJob
    result: Any
    text: str


def done(held: HeldJob, result: Any) -> Done:
    """Raises UnrecoverableError if the result is no JSON: run again it would be none either."""
    try:
        return Done(held, result, encode_json(result))
    except (TypeError, ValueError, RecursionError) as error:
        raise UnrecoverableError(f"The result is no JSON: {error}") from error


class Acknowledger:
    """Tells the daemon how jobs ended. are_leased: a job outlives its connection, its end is told on the next one."""

    def __init__(self, submit: Callable[[Entry], None], outcomes: Outcomes, are_leased: bool) -> None:
        self._submit = submit
        self._outcomes = outcomes
        self._are_leased = are_leased
        self._waiting: list[Done] = []
        self._in_flight = 0

    @property
    def is_settled(self) -> bool:
        """The daemon has been told everything."""
        return self._in_flight == 0 and not self._waiting

    def complete(self, one: Done) -> None:
        """The handler has returned."""
        self._waiting.append(one)
        if self._in_flight == 0:
            self._flush()

    def fail(self, held: HeldJob, error: BaseException) -> None:
        """The handler has raised."""
        row = {"cmd": "FAIL", "id": held.job.id, "token": held.job.token, "error": failure_text(error)}
        text = encode_json({**row, "unrecoverable": is_unrecoverable(error)})
        self._tell(text, held, lambda: self._outcomes.failed(held, error))

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for batch in cut(waiting, lambda one: len(one.text)):
            if len(batch) == 1:
                self._ack_one(batch[0])
            else:
                self._ack_many(batch)

    def _ack_one(self, one: Done) -> None:
        self._tell(_ack_text(one), one.held, lambda: self._outcomes.completed(one.held, one.result))

    def _ack_many(self, batch: list[Done]) -> None:
        def settled(entry: Entry) -> None:
            if entry.error is not None:
                self._batch_failed(batch, entry.error)
            elif entry.result()["count"] == len(batch):
                for one in batch:
                    self._outcomes.completed(one.held, one.result)
            else:
                for one in batch:
                    self._ack_again(one)

        ids = ",".join([str(one.held.job.id) for one in batch])
        tokens = encode_json([one.held.job.token for one in batch])
        results = ",".join([one.text for one in batch])
        self._send(f'{{"cmd":"ACKB","ids":[{ids}],"tokens":{tokens},"results":[{results}]}}', settled)

    def _batch_failed(self, batch: list[Done], error: Exception) -> None:
        for one in batch:
            if isinstance(error, RefusedError) and error.code == "line_too_long":
                self._ack_one(one)
            else:
                self._lose(one.held, error)

    def _ack_again(self, one: Done) -> None:
        """ACKB has skipped some and does not say which: asked alone, each says what it is. Most are done by now."""

        def settled(entry: Entry) -> None:
            error = entry.error
            if error is None or (isinstance(error, RefusedError) and error.code == "not_found"):
                self._outcomes.completed(one.held, one.result)
            else:
                self._refused(one.held, error)

        self._send(_ack_text(one), settled)

    def _tell(self, text: str, held: HeldJob, on_done: Callable[[], None]) -> None:
        def settled(entry: Entry) -> None:
            if entry.error is None:
                on_done()
            else:
                self._refused(held, entry.error)

        self._send(text, settled)

    def _send(self, text: str, on_settled: Callable[[Entry], None]) -> None:
        def settled(entry: Entry) -> None:
            on_settled(entry)
            self._in_flight -= 1
            if self._in_flight == 0 and self._waiting:
                self._flush()
            if self.is_settled:
                self._outcomes.settled()

        self._in_flight += 1
        # A full disk keeps the daemon from taking note: the job is held meanwhile.
        again = self._are_leased
        self._submit(Entry(text, resend=again, patient=again, retries=float("inf"), on_settled=settled))

    def _refused(self, held: HeldJob, error: Exception) -> None:
        if isinstance(error, RefusedError) and error.code == "payload_too_large":
            # Run again it would be as large: let somebody see it.
            self.fail(held, UnrecoverableError(f"The result is too large: {error}"))
        else:
            self._lose(held, error)

    def _lose(self, held: HeldJob, cause: Exception) -> None:
        error = JobLostError(f"Job {held.job.id} was lost: {cause}")
        error.__cause__ = cause
        self._outcomes.lost(held, error)


def _ack_text(one: Done) -> str:
    job = one.held.job
    return f'{{"cmd":"ACK","id":{job.id},"token":{encode_json(job.token)},"result":{one.text}}}'
