"""The connection of the threaded client.

It has no thread of its own: of the threads that wait for an answer one is the leader, which reads for all of them and
makes the connection again when it is lost; the others sleep until their answer is there or until it is their turn to
lead. So a program of one thread pays for no hand-over. Requests that nobody waits for (`push_soon`) have an attendant,
a thread that leads while nobody else does.

One lock guards everything but the leader's wait.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from ._address import Address
from ._core import Answer, BadLine, ConnectionOptions, Core, Entry, closed_error, is_final
from ._diagnosis import may_speak_tls, speaks_tls_error
from ._link import Link, SocketLink, dial, speaks_tls
from .errors import ConfigurationError, ConnectionLostError

Dial = Callable[[float], Link]
"""Makes a link, in so many seconds at most. Raises ConnectionLostError."""


@dataclass(frozen=True)
class SilentEnd:
    """A link has ended before anything had come on it, as it does where the port speaks TLS."""

    error: ConnectionLostError
    was_greeting: bool


class Connection:
    """A connection to the daemon that comes back when it is lost. dialer: where links come from; default: sockets."""

    def __init__(self, address: Address, options: ConnectionOptions, dialer: Dial | None = None) -> None:
        self.core = Core(str(address), options, address.token)
        self.lock = threading.RLock()
        self._dial: Dial = dialer if dialer is not None else lambda timeout_s: dial(address, timeout_s)
        self._asked_about_tls = address if dialer is None and may_speak_tls(address) else None
        self._link: Link | None = None
        self._greeting: Entry | None = None
        self._pending = b""
        self._is_led = False
        self._followers: dict[Entry, None] = {}
        self._nap = threading.Event()
        self._end: Entry | None = None
        self._is_patient = False
        self._failures = 0
        self._try_at = 0.0
        self._silent_end: SilentEnd | None = None
        self._attendant: threading.Thread | None = None
        self._has_work = threading.Event()
        _connections.add(self)

    # For the client

    @property
    def is_open(self) -> bool:
        """Requests can be sent. A connection that was lost while nobody used it is noticed here."""
        with self.lock:
            self._look()
            return self.core.is_open

    def connect(self, patient: bool = False) -> None:
        """Return when requests can be sent. patient: keep trying, from the first time on.

        Raises ConnectionLostError; ConfigurationError or AuthFailedError where trying again is of no use.
        """
        with self.lock:
            self._look()
            if self.core.is_open:
                return
            if self._end is not None:
                raise closed_error()
            self._begin(patient)
        self.request(Entry('{"cmd":"PING"}', resend=True, patient=patient))

    def start(self) -> None:
        """From now on whoever waits makes the connection, with any number of tries."""
        with self.lock:
            self._begin(patient=True)

    def _begin(self, patient: bool) -> None:
        if self.core.is_closed:
            self.core.start()
            self._is_patient = patient
            self._failures = 0
            self._try_at = 0.0
            self._silent_end = None

    def ensure(self) -> None:
        """Connect if nobody has; does not wait for a lost connection to come back."""
        if self.core.is_closed:
            self.connect()

    def submit(self, entry: Entry) -> None:
        """Send a request; whoever waits next will read its answer."""
        with self.lock:
            self._look()
            self.core.submit(entry, monotonic())
            self._flush()

    def submit_unattended(self, entry: Entry) -> None:
        """Send a request that nobody may wait for."""
        self.submit(entry)
        self.attend()

    def request(self, entry: Entry) -> Answer:
        """Send a request and wait for its answer. Raises what it ends with."""
        self.submit(entry)
        self.wait(entry)
        return entry.result()

    def wait(self, entry: Entry, timeout_s: float | None = None) -> bool:
        """Wait until an entry is settled, be it one that was never submitted. False: the time has passed, or there is
        no connection any more that could settle it.
        """
        until = None if timeout_s is None else monotonic() + timeout_s
        while not entry.is_settled and not self.is_over:
            waker = self._become_leader_or_follower(entry)
            if waker is None:
                try:
                    self._lead(entry, until)
                finally:
                    self._hand_over()
            else:
                self._follow(entry, waker, until)
            if until is not None and monotonic() >= until:
                break
        return entry.is_settled

    def close(self) -> None:
        """Wait for the answers to what was sent, then end."""
        with self.lock:
            if self.core.is_closed:
                return
            self.core.is_closed = True
            self.core.fail_waiting(closed_error())
            self.wake()
            if self._link is None:
                return
            self._end = Entry("")
            self._flush()
            end = self._end
        self.wait(end, self.core.options.close_timeout_s)
        with self.lock:
            self._end = None
            self._drop_link()
            self.core.lost("closed", monotonic())
            end.settle({})
            self.wake()

    # Waiting

    @property
    def is_over(self) -> bool:
        """Nothing will happen any more."""
        return self.core.is_closed and self._link is None

    def _become_leader_or_follower(self, entry: Entry) -> threading.Lock | None:
        """None: this thread leads now; else what it has to wait for."""
        with self.lock:
            if not self._is_led:
                self._is_led = True
                return None
            waker = threading.Lock()
            waker.acquire()
            if entry.is_settled:
                waker.release()
            else:
                entry.waker = waker
                self._followers[entry] = None
            return waker

    def _follow(self, entry: Entry, waker: threading.Lock, until: float | None) -> None:
        """Sleep until the entry is settled or the leader has left. The caller looks which."""
        try:
            waker.acquire(timeout=-1 if until is None else max(0.0, until - monotonic()))
        finally:
            with self.lock:
                self._followers.pop(entry, None)
                entry.waker = None
                if not self._is_led and self._followers:
                    self._wake_follower()

    def _hand_over(self) -> None:
        with self.lock:
            self._is_led = False
            if self._followers:
                self._wake_follower()
            elif self._attendant is not None and not self.core.is_idle:
                self._has_work.set()

    def _wake_follower(self) -> None:
        entry = next(iter(self._followers))
        del self._followers[entry]
        waker, entry.waker = entry.waker, None
        if waker is not None:
            waker.release()

    def _lead(self, entry: Entry, until: float | None) -> None:
        while not entry.is_settled and not self.is_over:
            timeout_s = None if until is None else until - monotonic()
            if timeout_s is not None and timeout_s <= 0:
                return
            self._step(timeout_s)

    def attend(self) -> None:
        """See to it that answers are read, and lost connections made again, though nobody waits."""
        with self.lock:
            if self._attendant is None:
                self._attendant = threading.Thread(target=_attend, args=(weakref.ref(self),), daemon=True)
                self._attendant.name = "magicqueue-attendant"
                self._attendant.start()
            if not self._is_led and not self._has_work.is_set():
                self._has_work.set()

    # The leader's work

    def _step(self, timeout_s: float | None) -> None:
        """Wait for one thing to happen, so long at most, and do what follows from it."""
        with self.lock:
            now = monotonic()
            self._tick(now)
            link = self._link
            due = self.core.next_due()
            wait_s = None if due is None else max(0.0, due - now)
            if link is None and not self.core.is_closed:
                nap_s = self._try_at - now
                wait_s = nap_s if wait_s is None else min(wait_s, nap_s)
            if timeout_s is not None:
                wait_s = timeout_s if wait_s is None else min(wait_s, timeout_s)
            for_writing = bool(self._pending)
        if link is None:
            if self._silent_end is not None and not self.core.is_closed:
                self._look_into(self._silent_end, self._patience_s(due))
            elif self._try_at <= now and not self.core.is_closed:
                self._open(self._patience_s(due))
            elif self._nap.wait(wait_s):
                self._nap.clear()
            return
        link.wait(wait_s, for_writing)
        with self.lock:
            if self._link is link:
                self._receive()
                self._flush()

    def _tick(self, now: float) -> None:
        due = self.core.next_due()
        if due is not None and due <= now and self._link is not None:
            # What came while nobody read is a sign of life too.
            self._receive()
        try:
            self.core.tick(now)
        except BadLine as error:
            self._lose(str(error))
        self._flush()

    def _receive(self) -> None:
        assert self._link is not None
        try:
            chunk = self._link.receive()
            if chunk is None:
                return
            if chunk == b"":
                self._lose("the daemon has closed it")
                return
            self.core.receive(chunk, monotonic())
        except ConfigurationError as error:
            self._lose(str(error), error)
            return
        except OSError as error:
            self._lose(error.strerror or str(error))
            return
        except BadLine as error:
            self._lose(str(error))
            return
        if self._greeting is not None and self._greeting.is_settled:
            self._greeted(self._greeting)

    def _flush(self) -> None:
        if self._link is None:
            return
        data = self.core.take_output()
        if self._pending:
            data = self._pending + data
        if data:
            try:
                sent = self._link.send(data)
            except OSError:
                # The reader will find the end, behind the answers that have come before it.
                self._pending = b""
                return
            self._pending = data[sent:] if sent < len(data) else b""
            if self._pending and self._is_led:
                self._link.wake()
        if self._end is not None and not self._pending:
            self._link.shut()

    def _look(self) -> None:
        """Notice a connection that was lost while nobody read from it, before something is sent on it."""
        if isinstance(self._link, SocketLink) and not self._is_led and self.core.is_idle and self._link.has_news():
            self._receive()

    # The link

    def _patience_s(self, due: float | None) -> float:
        """How long a try to connect may take, where something else is due then."""
        timeout_s = self.core.options.connect_timeout_s
        return timeout_s if due is None else max(0.001, min(timeout_s, due - monotonic()))

    def _open(self, timeout_s: float) -> None:
        """One try to connect; the lock is not held meanwhile."""
        try:
            link = self._dial(timeout_s)
        except ConnectionLostError as error:
            with self.lock:
                self._failed(error)
            return
        with self.lock:
            if self.core.is_closed:
                link.close()
                return
            self._link = link
            self._pending = b""
            self._greeting = self.core.opened(monotonic())
            if self._greeting is None:
                self._failures = 0
            self._flush()

    def _greeted(self, greeting: Entry) -> None:
        self._greeting = None
        if greeting.error is None:
            self._failures = 0
            self.core.ready(monotonic())
            return
        self._drop_link()
        self._failed(greeting.error)

    def _failed(self, error: Exception) -> None:
        """A try to connect was of no use. Decides on a further one."""
        if self.core.is_closed:
            return
        self._failures += 1
        options = self.core.options.reconnect
        is_first = not self.core.was_open and not self._is_patient
        if is_first or is_final(error) or self._failures >= options.attempts:
            self.core.give_up(error)
            return
        self._try_at = monotonic() + options.wait_s(self._failures)
        self.core.tell_trouble(error, False)

    def _look_into(self, end: SilentEnd, timeout_s: float) -> None:
        """Ask whether the port speaks TLS; the lock is not held meanwhile."""
        assert self._asked_about_tls is not None
        is_tls = speaks_tls(self._asked_about_tls, timeout_s)
        with self.lock:
            if self._silent_end is not end:
                return
            self._silent_end = None
            if is_tls:
                self._failed(speaks_tls_error(self.core.place))
            elif end.was_greeting:
                self._failed(end.error)

    def _lose(self, why: str, mistake: ConfigurationError | None = None) -> None:
        """The link has ended. mistake: it has shown that none will do."""
        was_greeting, self._greeting = self._greeting is not None, None
        self._drop_link()
        now = monotonic()
        self._try_at = now + self.core.options.reconnect.wait_s(0)
        error = self.core.lost(why, now)
        if self._end is not None:
            self._end.settle({})
        if mistake is not None:
            self._failed(mistake)
        elif self._asked_about_tls is not None and not self.core.was_heard:
            self._silent_end = SilentEnd(error, was_greeting)
        elif was_greeting:
            self._failed(error)

    def _drop_link(self) -> None:
        self._pending = b""
        if self._link is not None:
            self._link.close()
            self._link = None

    def wake(self) -> None:
        """Have the leader look again at what it waits for."""
        self._nap.set()
        if self._link is not None:
            self._link.wake()

    def reset_after_fork(self) -> None:
        """In a forked child: the parent's socket is not ours, nor are its threads."""
        self.lock = threading.RLock()
        self._has_work = threading.Event()
        self._nap = threading.Event()
        self._attendant = None
        self._is_led = False
        self._followers.clear()
        self._end = None
        self._greeting = None
        self._try_at = 0.0
        self._silent_end = None
        self._drop_link()
        self.core.reset()


def _attend(reference: weakref.ref[Connection]) -> None:
    """Lead while answers are due and nobody waits for one."""
    while True:
        connection = reference()
        if connection is None:
            return
        has_work = connection._has_work
        del connection
        # A connection that nobody has any more is noticed with the next look.
        if not has_work.wait(timeout=5.0):
            continue
        has_work.clear()
        connection = reference()
        if connection is None:
            return
        with connection.lock:
            if connection._is_led or connection.core.is_idle:
                continue
            connection._is_led = True
        try:
            while not connection.core.is_idle and not connection.is_over:
                connection._step(None)
        finally:
            connection._hand_over()


_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


def _reset_all() -> None:
    for connection in list(_connections):
        connection.reset_after_fork()


os.register_at_fork(after_in_child=_reset_all)
