"""What systemd is told of the daemon, and the proof of life behind its watchdog.

The words are those of sd_notify(3): datagrams to the Unix socket that NOTIFY_SOCKET names. Without one nothing happens.

Life is proved by asking the reactors themselves, each over a connection of its own from inside the process: an answer
to a PING has passed the reactor's epoll loop, its parser and its output, so a reactor that spins, waits for a lock or
has ended does not give one. The main thread asks, on its way from one sleep to the next, so it lives as well. Whether
HTTP answers is for a probe of /health to find out.
"""

import contextlib
import logging
import socket
import time
from collections.abc import Callable, Mapping
from typing import Self

SEND_SECONDS = 1.0  # for systemd to make room in its queue
PARTS = 4  # beats within the watchdog's time: an answer that took one is still told within half of it
PING = b'{"cmd":"PING"}\n'

_READ_BYTES = 4096
_log = logging.getLogger("mqfast")


class Supervisor:
    """Whoever started the daemon and wants to know how it does, or nobody.

    address: of its datagram socket, a path or, with @ in front, an abstract name; None: nobody. watchdog_seconds: how
    long it may go without alive(); None: for ever.
    """

    def __init__(self, address: str | None = None, watchdog_seconds: float | None = None) -> None:
        self._address = "\0" + address[1:] if address and address.startswith("@") else address
        self.watchdog_seconds = watchdog_seconds if address else None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], pid: int) -> Self:
        """By NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. What cannot be used is logged, and counts as not given."""
        address = environ.get("NOTIFY_SOCKET") or None
        if address is not None and not (address[0] in "/@" and len(address) > 1):
            _log.warning("NOTIFY_SOCKET is neither a path nor an abstract name: %s; nobody is notified", address)
            return cls()
        if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
            return cls(address)
        usec = environ.get("WATCHDOG_USEC", "")
        if usec.isascii() and usec.isdigit() and 0 < len(usec.lstrip("0")) <= 18:
            return cls(address, int(usec) / 1e6)
        if usec:
            _log.warning("WATCHDOG_USEC is not a number of microseconds: %s; the watchdog is not fed", usec)
        return cls(address)

    def ready(self, status: str) -> None:
        """It serves, for the first time or again; status: a line that says how."""
        self._tell(f"READY=1\nSTATUS={' '.join(status.split())}")

    def reloading(self) -> None:
        """It reads its files anew; ready() must follow."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._tell("STOPPING=1\nSTATUS=stopping")

    def alive(self) -> None:
        self._tell("WATCHDOG=1")

    def _tell(self, words: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(SEND_SECONDS)
                sender.sendto(words.encode("utf-8", "replace"), self._address)
        except OSError as error:
            _log.warning("cannot notify the supervisor of %s: %s", words.partition("\n")[0], error)


class Watchdog:
    """Tells the supervisor that the daemon lives, as long as every reactor answers. Used by one thread; never waits.

    connect: gives the descriptor of a new connection to the reactors, of which there are count. They must not run yet:
    connections go to them in turn, so that only then, when nobody else takes a turn, each gets one. Raises OSError.
    """

    def __init__(self, supervisor: Supervisor, connect: Callable[[], int], count: int) -> None:
        assert supervisor.watchdog_seconds is not None
        self._supervisor = supervisor
        self._period = supervisor.watchdog_seconds / PARTS
        self._due = 0.0  # monotonic seconds; the first is at once
        self._asked = False
        self._links: list[_Link] = []
        with contextlib.ExitStack() as stack:
            for index in range(count):
                link = _Link(socket.socket(fileno=connect()), index)
                stack.callback(link.close)
                self._links.append(link)
            self._stack = stack.pop_all()

    def beat(self, now: float) -> float:
        """Do what is due now (monotonic seconds). Returns in how many seconds something will be again."""
        if now >= self._due:
            answered = [link.has_answered(now) for link in self._links]  # of all: each that is late is logged
            if self._asked and all(answered):
                self._supervisor.alive()
            self._asked = True
            for link in self._links:
                link.ask(now)
            self._due = now + self._period
        return self._due - now

    def close(self) -> None:
        self._stack.close()


class _Link:
    """A connection to one reactor, and whether a question is open on it."""

    def __init__(self, connection: socket.socket, index: int) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._index = index
        self._open_since: float | None = None
        self._told = False

    def ask(self, now: float) -> None:
        """Ask, unless the last question is still open: one is enough to see the answer when it comes at last."""
        if self._open_since is None:
            self._open_since = now
            with contextlib.suppress(OSError):  # closed: then there is no answer
                self._socket.send(PING)

    def has_answered(self, now: float) -> bool:
        if self._open_since is None:
            return True
        try:
            answered = self._socket.recv(_READ_BYTES).endswith(b"\n")  # an answer is shorter than what is read at once
        except OSError:
            answered = False
        if answered:
            self._open_since = None
            self._told = False
        elif not self._told:
            self._told = True
            late = now - self._open_since
            _log.error("reactor-%d has not answered for %.1f s: the watchdog is not told we live", self._index, late)
        return answered

    def close(self) -> None:
        self._socket.close()
