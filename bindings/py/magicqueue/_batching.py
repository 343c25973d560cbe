"""Pushes that are made while one is on its way share a line: PUSHB instead of many PUSH.

A batch is not all or nothing: each job is accepted or refused by itself, so that a caller sees no difference from a
PUSH of its own, except speed. Nothing here locks; the caller does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from ._commands import RETRYABLE_CODES
from ._core import Core, Entry, Listener, encode_json, refusal
from .errors import ConnectionLostError, RefusedError

MAX_JOBS = 1_000
MAX_LENGTH = 1 << 20
"""Jobs and characters of a line at most: far below the daemon's limits, enough to make a line's own cost nothing."""

T = TypeVar("T")


class Push(Entry):
    """A push. item: the job's data and options as a JSON object; has_key: pushed twice it is refused, not doubled."""

    __slots__ = ("has_key", "item", "notify")

    def __init__(self, queue_json: str, item: str, has_key: bool) -> None:
        super().__init__(f'{{"cmd":"PUSH","queue":{queue_json},{item[1:]}', resend=has_key)
        self.item = item
        self.has_key = has_key
        self.notify: Callable[[Entry], None] | None = None

    def settle(self, answer: dict[str, object] | None, error: Exception | None = None) -> None:
        was_settled = self.is_settled
        super().settle(answer, error)
        if not was_settled and self.notify is not None:
            self.notify(self)


class PushBatcher(Listener):
    """The pushes to one queue. submit: hands an entry to the connection, which sends it with what else there is."""

    def __init__(self, core: Core, queue: str, submit: Callable[[Entry], None]) -> None:
        self._core = core
        self._submit = submit
        self._queue = encode_json(queue)
        self._waiting: list[Push] = []
        self._in_flight = 0
        core.listeners.append(self)

    def push(self, push: Push) -> None:
        """Send a push now, or with the next batch."""
        if not self._core.is_open:
            # Behind a batch that waits for the connection it would wait twice.
            self._submit(push)
        elif self._in_flight == 0:
            self._send_one(push)
        else:
            self._waiting.append(push)
            if len(self._waiting) >= MAX_JOBS:
                self._flush()

    def on_reset(self) -> None:
        self._waiting.clear()
        self._in_flight = 0

    def _send_one(self, push: Push) -> None:
        self._in_flight += 1
        push.on_settled = self._landed
        self._submit(push)

    def _landed(self, _entry: Entry) -> None:
        self._in_flight -= 1
        if self._in_flight == 0 and self._waiting:
            self._flush()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for batch in cut(waiting, lambda push: len(push.item)):
            if len(batch) == 1:
                self._send_one(batch[0])
            else:
                self._send_many(batch)

    def _send_many(self, batch: Sequence[Push]) -> None:
        def landed(entry: Entry) -> None:
            if entry.error is None:
                self._spread(batch, entry)
            else:
                self._settle_failed(batch, entry.error)
            self._landed(entry)

        self._in_flight += 1
        self._submit(Entry(batch_line(self._queue, [push.item for push in batch]), on_settled=landed))

    def _spread(self, batch: Sequence[Push], entry: Entry) -> None:
        answer = entry.result()
        errors = {row["index"]: row for row in answer.get("errors") or ()}
        if not errors:
            for push, id_ in zip(batch, answer["ids"]):
                push.settle({"ok": True, "id": id_})
            return
        for index, (push, id_) in enumerate(zip(batch, answer["ids"])):
            row = errors.get(index)
            if row is None:
                push.settle({"ok": True, "id": id_})
            elif row.get("code") in RETRYABLE_CODES:
                # Alone it is tried again as often as any push.
                self._submit(push)
            else:
                push.settle(None, refusal(row))

    def _settle_failed(self, batch: Sequence[Push], error: Exception) -> None:
        """A batch failed as a whole: some of its jobs can go on alone."""
        is_too_long = isinstance(error, RefusedError) and error.code == "line_too_long"
        was_lost = isinstance(error, ConnectionLostError) and error.maybe_done
        for push in batch:
            if is_too_long or (was_lost and push.has_key):
                push.sent_before = was_lost
                self._submit(push)
            else:
                push.settle(None, error)


def batch_line(queue_json: str, items: Iterable[str]) -> str:
    """A PUSHB of jobs that are JSON objects already."""
    return f'{{"cmd":"PUSHB","queue":{queue_json},"jobs":[{",".join(items)}]}}'


def cut(jobs: Iterable[T], length_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Cut jobs into lines of bearable size."""
    batch: list[T] = []
    length = 0
    for job in jobs:
        more = length_of(job)
        if batch and (len(batch) == MAX_JOBS or length + more > MAX_LENGTH):
            yield batch
            batch, length = [], 0
        batch.append(job)
        length += more
    if batch:
        yield batch
