"""Requests that take a thread for long: pulls that wait, event streams. How many may, and how they are told to end.

Each has a connection to the reactors of its own, which lies inside the process (a Link): the protocol's own rules then
hold for it. A pull whose client goes is closed on the writing side, so that it ends like any pull whose wait is over.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from mqfast.http.errors import Refusal
from mqfast.http.serve import Channel
from mqfast.http.shapes import OK

SHUTTING_DOWN = b'{"ok":false,"error":"Shutting down","code":"shutting_down","retryable":true}'
_NO_JOBS = OK + b',"jobs":[]}'
_READ_BYTES = 64 << 10
_LINE_BYTES, _JOB_BYTES = 64, 40  # of a RELEASE: its frame, and an id with its token, at most


class Execute(Protocol):
    """Engine.execute."""

    def __call__(self, line: bytes, token: bytes | None = None, /) -> bytes:
        """One line in, its answer out, as for whoever has this token."""


class Slots:
    """Threads that may be taken for long: all but a reserve. Safe for any number of threads."""

    def __init__(self, count: int) -> None:
        self._count = self._free = max(0, count)
        self._lock = threading.Lock()

    def acquire(self) -> bool:
        """Take one. False: there is none left."""
        with self._lock:
            if not self._free:
                return False
            self._free -= 1
            return True

    @property
    def used(self) -> int:
        """How many are taken."""
        return self._count - self._free

    def release(self) -> None:
        with self._lock:
            self._free += 1

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have one. Raises Refusal (unavailable) if there is none."""
        if not self.acquire():
            raise Refusal("unavailable", "Unavailable: too many pulls and streams wait already")
        try:
            yield
        finally:
            self.release()


class Link:
    """A connection to the reactors from inside the process. One thread uses it, any may end it."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._input = bytearray()
        self._lock = threading.Lock()  # closing and ending
        self._closed = False

    def send(self, line: bytes) -> None:
        """Raises OSError if the reactors have closed it."""
        self._socket.sendall(line + b"\n")

    def read(self, timeout: float | None = None) -> bytes | None:
        """One or more whole lines with their newlines; None at the end. Raises TimeoutError after timeout seconds."""
        self._socket.settimeout(timeout)
        while True:
            end = self._input.rfind(b"\n") + 1
            if end:
                lines = bytes(self._input[:end])
                del self._input[:end]
                return lines
            try:
                more = self._socket.recv(_READ_BYTES)
            except ConnectionError:
                return None
            if not more:
                return None
            self._input += more

    def end(self, how: int = socket.SHUT_WR) -> None:
        """Nothing more is asked: what waits is answered as if its time were over, then read() ends.

        With SHUT_RDWR it ends at once.
        """
        with self._lock:
            if not self._closed:
                with suppress(OSError):  # it was closed from the other side
                    self._socket.shutdown(how)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._socket.close()


class Links:
    """The links in use. stop() ends all of them and makes the pulls among them answer that the server shuts down.

    A link asks without a token, for somebody whose token was looked at before; so renew() ends all of them when other
    tokens count. connect: gives the descriptor of a new connection to the reactors; raises OSError.
    """

    def __init__(self, connect: Callable[[], int]) -> None:
        self._connect = connect
        self._open: dict[Link, int] = {}  # with how it is ended
        self._lock = threading.Lock()
        self.stopping = False
        self.era = 0
        """Grows when other tokens count: to be read before a token is looked at."""

    @contextmanager
    def link(self, era: int, how: int = socket.SHUT_WR) -> Iterator[Link]:
        """A link for as long as the block lasts, for a token that was looked at in this era. how: it is ended if other
        tokens count. Raises Refusal."""
        try:
            link = Link(self._connect())
        except OSError as error:
            reason = error.strerror or str(error)
            raise Refusal("unavailable", f"Unavailable: no connection to the queues: {reason}") from None
        try:
            with self._lock:
                if self.stopping:
                    raise Refusal("shutting_down")
                if self.era != era:
                    raise Refusal("unavailable", "Unavailable: the tokens are being read again")
                self._open[link] = how
            yield link
        finally:
            with self._lock:
                self._open.pop(link, None)
            link.close()

    def renew(self) -> None:
        """Other tokens count now. Pulls that wait are answered as if their time were over, streams end: whoever may
        asks again."""
        with self._lock:
            self.era += 1
            links = list(self._open.items())
        for link, how in links:
            link.end(how)

    def stop(self) -> None:
        with self._lock:
            self.stopping = True
            links = list(self._open)
        for link in links:
            link.end()


class Pulls:
    """Pulls for HTTP's clients: they may wait, and what cannot be given to the client goes back at once.

    max_line: bytes of the longest line that the engine takes.
    """

    def __init__(self, execute: Execute, links: Links, slots: Slots, max_line: int) -> None:
        self._execute = execute
        self._at_once = max(1, (max_line - _LINE_BYTES) // _JOB_BYTES)
        self._links = links
        self._slots = slots

    def pull(self, line: bytes, token: bytes | None, wait: bool, channel: Channel) -> bytes:
        """The answer to the PULLB in line. channel: of the client. Raises Refusal if no more may wait."""
        era = self._links.era
        answer = self._execute(line, token)  # which refuses who may not; what waits then need not be asked again
        if wait and answer == _NO_JOBS:
            answer = self._wait(line, channel, era)
        if answer.startswith(OK) and answer != _NO_JOBS and not channel.hold(lambda: self._give_back(answer)):
            self._give_back(answer)
            return _NO_JOBS  # which nobody reads
        return answer

    def _wait(self, line: bytes, channel: Channel, era: int) -> bytes:
        with self._slots.taken(), self._links.link(era) as link:
            if not channel.watch(link.end):
                return _NO_JOBS
            try:
                link.send(line)
                answer = link.read()
            except OSError:
                answer = None
            finally:
                channel.let_go()
        if answer is None or (self._links.stopping and answer.rstrip(b"\n") == _NO_JOBS):
            return SHUTTING_DOWN
        return answer.rstrip(b"\n")

    def _give_back(self, answer: bytes) -> None:
        jobs = json.loads(answer, parse_int=str)["jobs"]  # not int: a payload's numbers may have any length
        for at in range(0, len(jobs), self._at_once):
            some = jobs[at : at + self._at_once]
            request = {
                "cmd": "RELEASE",
                "ids": [int(job["id"]) for job in some],
                "tokens": [job["token"] for job in some],
            }
            self._execute(json.dumps(request, separators=(",", ":")).encode())
