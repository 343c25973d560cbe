"""The protocol without a socket: requests in, bytes out; bytes in, answers out.

Requests are written ahead without waiting. Answers come in the order of the requests, but for those that park (PULL,
PULLB, WAITJOB): they have a ``reqId`` on the wire and are found by it. What is sent again after a lost connection, and
what after a refusal, is decided here, so that every flavour of the client does the same.

A request is in exactly one place: ``_unsent`` (no connection), ``_in_order`` or ``_by_id`` (sent), ``_delayed``
(refused for now, sent again after a wait); or it is settled. Nothing here locks or reads a clock: the caller does both.
Times are seconds of a monotonic clock.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ._commands import REFUSALS, RETRYABLE_CODES
from ._diagnosis import ALERT, http_error, speaks_tls_error
from .errors import ConfigurationError, ConnectionLostError, MagicQueueError, NotConnectedError, RefusedError

Answer = dict[str, Any]

_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False)
_decoder = json.JSONDecoder()
_ascii_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def encode_json(value: object) -> str:
    """JSON as it goes on the wire. Raises TypeError or ValueError for what is no JSON."""
    text = _encoder.encode(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            # Half of a pair has no form in UTF-8, but one as an escape.
            return _ascii_encoder.encode(value)
    return text


def decode_json(line: bytes) -> Any:
    """JSON as it comes from the wire. Raises ValueError.

    A whole number with more digits than Python's int reads (``sys.set_int_max_str_digits``) becomes a Decimal: one job
    with such a number must not end the connection, again and again, of every worker that gets it.
    """
    text = line.decode()
    try:
        return _decoder.decode(text)
    except ValueError:
        return json.loads(text, parse_int=_whole_number)


def _whole_number(digits: str) -> int | Decimal:
    try:
        return int(digits)
    except ValueError:
        return Decimal(digits)


@dataclass(frozen=True)
class Backoff:
    """Waits that grow: evenly between 0 and ``base_s``, doubled each time up to ``cap_s``; ``attempts`` of them.

    Full jitter: clients that lost the daemon together do not come back together.
    """

    base_s: float = 0.05
    cap_s: float = 5.0
    attempts: float = float("inf")

    def wait_s(self, failures: int) -> float:
        """Seconds to wait before a further try, after so many failures before the last one (from 0)."""
        return random.random() * min(self.cap_s, self.base_s * 2.0 ** min(failures, 60))


@dataclass(frozen=True)
class ConnectionOptions:
    """How patient a connection is, in seconds.

    connect_timeout_s: how long making a connection may take. offline_timeout_s: how long a request waits for a lost
    connection to come back. ping_interval_s: silence, while answers are due, after which the daemon is asked whether it
    is there; after as long again the connection counts as lost. close_timeout_s: how long ``close`` waits for the last
    answers. reconnect: waits between tries to connect again. retry: waits before a request that was refused as
    retryable is sent again.
    """

    connect_timeout_s: float = 10.0
    offline_timeout_s: float = 30.0
    ping_interval_s: float = 15.0
    close_timeout_s: float = 2.0
    reconnect: Backoff = field(default_factory=Backoff)
    retry: Backoff = field(default_factory=lambda: Backoff(0.05, 2.0, 6))


class Listener:
    """What a connection tells whoever uses it; it must not block. All do nothing here."""

    def on_event(self, event: Answer) -> None:
        """A line about an event has come."""

    def on_open(self, is_again: bool) -> None:
        """Requests can be sent, for the first time or again."""

    def on_trouble(self, error: Exception, is_loss: bool) -> None:
        """The connection was lost, or a try to make it again has failed."""

    def on_reset(self) -> None:
        """The process is a fork of the one that had the connection: what was on its way belongs to the other."""


class Entry:
    """A request on its way.

    text: its JSON object. parks: its answer may have to wait. resend: it may be sent again after a lost connection.
    patient: it waits for a connection however long. retries: how often it is sent again after a retryable refusal
    (None: as often as the options say). on_settled: called once, without answers being read meanwhile. waker: a lock
    that a thread waits for. An entry that is never submitted stands for anything else that can be waited for.
    """

    __slots__ = (
        "answer",
        "deadline",
        "error",
        "is_settled",
        "on_settled",
        "parks",
        "patient",
        "refusals",
        "resend",
        "retries",
        "sent_before",
        "text",
        "waker",
    )

    def __init__(
        self,
        text: str,
        *,
        parks: bool = False,
        resend: bool = False,
        patient: bool = False,
        retries: float | None = None,
        on_settled: Callable[[Entry], None] | None = None,
    ) -> None:
        self.text = text
        self.parks = parks
        self.resend = resend
        self.patient = patient
        self.retries = retries
        self.on_settled = on_settled
        self.answer: Answer | None = None
        self.error: Exception | None = None
        self.is_settled = False
        self.sent_before = False
        self.refusals = 0
        self.deadline: float | None = None
        self.waker: threading.Lock | None = None

    def settle(self, answer: Answer | None, error: Exception | None = None) -> None:
        """End the request, once."""
        if self.is_settled:
            return
        self.answer, self.error = answer, error
        self.is_settled = True
        if self.waker is not None:
            self.waker.release()
            self.waker = None
        if self.on_settled is not None:
            self.on_settled(self)

    def result(self) -> Answer:
        """The answer. Raises what the request ended with."""
        if self.error is not None:
            raise self.error
        assert self.answer is not None
        return self.answer


def refusal(answer: Mapping[str, Any], maybe_done: bool = False) -> RefusedError:
    """The error of a refusal, of the class of its code."""
    row = dict(answer)
    row.setdefault("retryable", row.get("code") in RETRYABLE_CODES)
    return REFUSALS.get(str(row.get("code")), RefusedError)(row, maybe_done)


class BadLine(Exception):
    """The daemon sent what is no answer: the connection is of no more use."""


class Core:
    """One client's requests and their answers. place: the daemon's address in words, for messages. is_listening: events
    are awaited, though no answer is due.
    """

    def __init__(self, place: str, options: ConnectionOptions, token: str | None = None) -> None:
        self.place = place
        self.options = options
        self.is_open = False
        self.is_closed = True
        self.was_open = False
        self.was_heard = False
        self.listeners: list[Listener] = []
        self._token = token
        self._in_order: deque[Entry] = deque()
        self._by_id: dict[str, Entry] = {}
        self._delayed: list[tuple[float, int, Entry]] = []
        self._unsent: deque[Entry] = deque()
        self._outgoing: list[str] = []
        self._pieces: list[bytes] = []
        self.is_listening = False
        self._numbers = itertools.count(1)
        self._heard_at = 0.0
        self._pinged_at: float | None = None

    # Sending

    def submit(self, entry: Entry, now: float) -> None:
        """Send a request as soon as there is a connection. Settles it with NotConnectedError on a closed client."""
        if self.is_closed:
            text = "The client is closed" if self.was_open else "Not connected: call connect() first"
            entry.settle(None, NotConnectedError(text))
        elif self.is_open:
            if not self._expects_lines:
                self._heard_at = now
            self._write(entry)
        else:
            if not entry.patient and entry.deadline is None:
                entry.deadline = now + self.options.offline_timeout_s
            self._unsent.append(entry)

    def _write(self, entry: Entry) -> None:
        entry.deadline = None
        if entry.parks:
            number = f"m{next(self._numbers)}"
            self._by_id[number] = entry
            self._outgoing.append(f'{entry.text[:-1]},"reqId":"{number}"}}\n')
        else:
            self._in_order.append(entry)
            self._outgoing.append(entry.text + "\n")

    def take_output(self) -> bytes:
        """What is to be written to the socket now; each byte is given once."""
        if not self._outgoing:
            return b""
        text = self._outgoing[0] if len(self._outgoing) == 1 else "".join(self._outgoing)
        self._outgoing.clear()
        return text.encode()

    @property
    def is_idle(self) -> bool:
        """No answer is due."""
        return not (self._in_order or self._by_id or self._unsent or self._delayed)

    # Receiving

    def receive(self, chunk: bytes, now: float) -> None:
        """Take bytes from the socket and settle what they answer. Raises BadLine, or ConfigurationError if these are
        no daemon's of this protocol.
        """
        if not self.was_heard:
            self.was_heard = True
            if chunk.startswith(ALERT):
                raise speaks_tls_error(self.place)
        self._heard_at = now
        self._pinged_at = None
        lines = chunk.split(b"\n")
        if len(lines) > 1 and self._pieces:
            # Joined once, when the end is there: a line of N bytes costs N, in however many pieces it comes.
            self._pieces.append(lines[0])
            lines[0] = b"".join(self._pieces)
            self._pieces = []
        last = lines.pop()
        if last:
            self._pieces.append(last)
        for line in lines:
            try:
                answer = decode_json(line)
            except (ValueError, RecursionError) as error:
                if line.startswith(b"HTTP/"):
                    raise http_error(self.place) from None
                raise BadLine("the daemon sent a line that is no JSON") from error
            if not isinstance(answer, dict):
                raise BadLine("the daemon sent a line that is no object")
            self._take(answer, now)

    def _take(self, answer: Answer, now: float) -> None:
        if "ok" not in answer and "event" in answer:
            for listener in list(self.listeners):
                listener.on_event(answer)
            return
        number = answer.get("reqId")
        entry = self._by_id.pop(number, None) if isinstance(number, str) else None
        if entry is not None:
            del answer["reqId"]
        elif self._in_order:
            entry = self._in_order.popleft()
        else:
            raise BadLine(str(answer.get("error", "the daemon sent an answer that nothing asked for")))
        if answer.get("ok") is not False:
            entry.settle(answer)
        elif not self._retry(entry, answer, now):
            entry.settle(None, refusal(answer, entry.sent_before))

    def _retry(self, entry: Entry, answer: Answer, now: float) -> bool:
        """Put a refused request aside to be sent again, if that may help. A timeout is the end of a caller's wait."""
        code = answer.get("code")
        limit = self.options.retry.attempts if entry.retries is None else entry.retries
        if code not in RETRYABLE_CODES or code == "timeout" or entry.refusals >= limit or self.is_closed:
            return False
        due = now + self.options.retry.wait_s(entry.refusals)
        entry.refusals += 1
        heapq.heappush(self._delayed, (due, next(self._numbers), entry))
        return True

    # The connection

    def start(self) -> None:
        """From now on requests wait for the connection that is being made."""
        self.is_closed = False
        self.was_open = False

    def opened(self, now: float) -> Entry | None:
        """There is a socket. With a token the request that gives it, which has to succeed before anything is sent."""
        self._pieces = []
        self.was_heard = False
        self._heard_at = now
        self._pinged_at = None
        if self._token is None:
            self.ready(now)
            return None
        greeting = Entry(encode_json({"cmd": "AUTH", "token": self._token}), retries=0)
        self._write(greeting)
        return greeting

    def ready(self, now: float) -> None:
        """Requests can be sent."""
        is_again, self.was_open = self.was_open, True
        self.is_open = True
        unsent, self._unsent = self._unsent, deque()
        for listener in list(self.listeners):
            listener.on_open(is_again)
        for entry in unsent:
            self.submit(entry, now)

    def lost(self, why: str, now: float) -> ConnectionLostError:
        """The connection has ended: keep what may be sent again, end the rest. Returns what they end with."""
        was_open, self.is_open = self.is_open, False
        self._outgoing.clear()
        self._pieces = []
        sent = [*self._in_order, *self._by_id.values()]
        self._in_order.clear()
        self._by_id.clear()
        error = ConnectionLostError(f"Connection to {self.place} lost: {why}", True)
        kept: list[Entry] = []
        for entry in sent:
            entry.sent_before = True
            if was_open and entry.resend and not self.is_closed:
                kept.append(entry)
            else:
                entry.settle(None, error)
        waiting, self._unsent = self._unsent, deque()
        for entry in (*kept, *waiting):
            self.submit(entry, now)
        if not self.is_closed:
            self.tell_trouble(error, was_open)
        return error

    def tell_trouble(self, error: Exception, is_loss: bool) -> None:
        for listener in list(self.listeners):
            listener.on_trouble(error, is_loss)

    def reset(self) -> None:
        """Forget everything that is on its way, without a word: it belongs to another process."""
        self.is_open = False
        self._in_order.clear()
        self._by_id.clear()
        self._unsent.clear()
        self._delayed.clear()
        self._outgoing.clear()
        self._pieces.clear()
        for listener in list(self.listeners):
            listener.on_reset()

    def give_up(self, error: Exception) -> None:
        """There will be no connection."""
        self.is_open = False
        self.is_closed = True
        self.fail_all(error)
        self.tell_trouble(error, False)

    def fail_all(self, error: Exception) -> None:
        """End whatever has not been answered."""
        entries = [*self._in_order, *self._by_id.values()]
        self._in_order.clear()
        self._by_id.clear()
        self.fail_waiting(error)
        for entry in entries:
            entry.settle(None, error)

    def fail_waiting(self, error: Exception) -> None:
        """End what is not on its way."""
        waiting = [*self._unsent, *(entry for _, _, entry in self._delayed)]
        self._unsent.clear()
        self._delayed.clear()
        for entry in waiting:
            entry.settle(None, _end_of(entry, error))

    # Time

    @property
    def _expects_lines(self) -> bool:
        """Something has to come: silence may be a lost connection."""
        return self.is_open and bool(self._in_order or self._by_id or self.is_listening)

    @property
    def _is_greeting(self) -> bool:
        """The token has been given and is not answered yet."""
        return not self.is_open and bool(self._in_order)

    def next_due(self) -> float | None:
        """When `tick` has something to do; None: not before something else happens."""
        times = [self._delayed[0][0]] if self._delayed else []
        if self._unsent:
            times += [entry.deadline for entry in self._unsent if entry.deadline is not None]
        if self._expects_lines:
            times.append(self._silent_since + self.options.ping_interval_s)
        if self._is_greeting:
            times.append(self._heard_at + self.options.connect_timeout_s)
        return min(times) if times else None

    def tick(self, now: float) -> None:
        """Do what is due. Raises BadLine if the daemon has been silent for too long."""
        while self._delayed and self._delayed[0][0] <= now:
            self.submit(heapq.heappop(self._delayed)[2], now)
        if self._unsent:
            self._expire(now)
        if self._is_greeting and now - self._heard_at >= self.options.connect_timeout_s:
            raise BadLine(f"no answer for {now - self._heard_at:.3g} s")
        if self._expects_lines and now - self._silent_since >= self.options.ping_interval_s:
            if self._pinged_at is not None:
                raise BadLine(f"no answer for {now - self._heard_at:.3g} s")
            self._pinged_at = now
            self._write(Entry('{"cmd":"PING"}', retries=0))

    @property
    def _silent_since(self) -> float:
        """When the daemon was last heard, or asked whether it is there."""
        return self._heard_at if self._pinged_at is None else self._pinged_at

    def _expire(self, now: float) -> None:
        kept: deque[Entry] = deque()
        for entry in self._unsent:
            if entry.deadline is not None and entry.deadline <= now:
                text = f"No connection to {self.place} for {self.options.offline_timeout_s:g} s"
                entry.settle(None, ConnectionLostError(text, entry.sent_before))
            else:
                kept.append(entry)
        self._unsent = kept


def _end_of(entry: Entry, error: Exception) -> Exception:
    """What an entry that waits ends with: the error of a connection does not know whether this one was ever sent."""
    if not isinstance(error, ConnectionLostError) or error.maybe_done == entry.sent_before:
        return error
    return type(error)(str(error), entry.sent_before)


def is_final(error: Exception) -> bool:
    """Whether connecting again is of no use: the daemon has refused the token, or is set up differently."""
    if isinstance(error, RefusedError):
        return error.code in ("auth_failed", "invalid", "payload_too_large")
    return isinstance(error, ConfigurationError)


def closed_error() -> MagicQueueError:
    return NotConnectedError("The client was closed")
