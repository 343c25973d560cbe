"""A client for threads: requests as dicts over a connection. Queue and Worker are made of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType
from typing import Any

from ._address import Address, resolve_address
from ._calls import entry_of
from ._connection import Connection
from ._core import ConnectionOptions, Listener
from ._events import EventBuffer, Subscriptions
from ._jobs import Event
from .errors import RefusedError

OnConnection = Callable[[str, "Exception | None"], None]
"""Is told what becomes of a connection: ``open``, ``lost`` or ``retrying``, and the error. It must not block."""


class EventStream(Iterator[Event]):
    """What happens to jobs, as it happens; ends with `close` or with the client. A context manager.

    Threads may share it: each event is given to one of them.
    """

    def __init__(self, connection: Connection, subscriptions: Subscriptions, buffer: EventBuffer) -> None:
        self._connection = connection
        self._subscriptions = subscriptions
        self._buffer = buffer

    def __iter__(self) -> EventStream:
        return self

    def __next__(self) -> Event:
        event = self.next(None)
        if event is None:
            raise StopIteration
        return event

    def next(self, timeout_s: float | None) -> Event | None:
        """The next event; None if there is none in so many seconds (None: for ever), or no more."""
        until = None if timeout_s is None else monotonic() + timeout_s
        buffer, connection = self._buffer, self._connection
        while True:
            with connection.lock:
                event = buffer.take()
                if event is not None:
                    return event
                if buffer.has_ended:
                    failure, buffer.failure = buffer.failure, None
                    if failure is not None:
                        raise failure
                    return None
                arrival = buffer.arrival()
            # Of several threads that wait another may take the event.
            has_come = connection.wait(arrival, None if until is None else max(0.0, until - monotonic()))
            with connection.lock:
                buffer.forget(arrival)
                if not has_come and not buffer.has_ended:
                    return buffer.take()

    def close(self) -> None:
        """End the subscription; may be called by any thread."""
        with self._connection.lock:
            self._subscriptions.remove(self._buffer)
            self._connection.wake()

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class StateTeller(Listener):
    """Tells a function what becomes of the connection."""

    def __init__(self, tell: OnConnection) -> None:
        self._tell = tell

    def on_open(self, is_again: bool) -> None:
        self._tell("open", None)

    def on_trouble(self, error: Exception, is_loss: bool) -> None:
        self._tell("lost" if is_loss else "retrying", error)


@dataclass(frozen=True)
class Place:
    """The arguments that queues, workers and clients share: where the daemon is, and how to hold on to it."""

    host: str | None
    port: int | None
    unix_socket: str | None
    token: str | None = field(repr=False)
    url: str | None = field(repr=False)
    tls: bool | str | None
    connection: ConnectionOptions | None
    on_connection: OnConnection | None

    def address(self) -> Address:
        """By what is given or, if no place is, by the variable MQ_URL. Raises MagicQueueError."""
        given = self.host, self.port, self.unix_socket, self.token, self.url
        return resolve_address(*given, os.environ.get("MQ_URL"), self.tls)

    def options(self) -> ConnectionOptions:
        return self.connection or ConnectionOptions()

    def arguments(self) -> dict[str, Any]:
        """Of a constructor, to make another one like it."""
        return dict(vars(self))


class MagicQueueClient:
    """A connection to the daemon for any command. Threads may share it.

    host, port: default localhost, 6789; unix_socket: its path, instead of these; token: one of the daemon's; url:
    ``mq://token@host:port/queue`` or ``mq+unix:///path?queue=name&token=token``; tls: True, or a PEM file with who
    vouches for the daemon (default: True if the URL begins with ``mqs://``). What is given by itself counts before the
    URL. If no place is given, the variable MQ_URL counts. Does not connect yet. Raises MagicQueueError if an
    argument has not the form of an address.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        unix_socket: str | None = None,
        *,
        token: str | None = None,
        url: str | None = None,
        tls: bool | str | None = None,
        connection: ConnectionOptions | None = None,
        on_connection: OnConnection | None = None,
        _link: Connection | None = None,
    ) -> None:
        place = Place(host, port, unix_socket, token, url, tls, connection, on_connection)
        self._place = place if _link is None else None
        link = self._connection = _link or Connection(place.address(), place.options())
        self._subscriptions = Subscriptions(link.core, link.submit)
        if on_connection is not None:
            link.core.listeners.append(StateTeller(on_connection))

    def connect(self) -> None:
        """Return when requests can be sent. Raises ConnectionLostError or, where trying again is of no use,
        ConfigurationError or AuthFailedError.
        """
        self._connection.connect()

    def send(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send one request, a mapping with ``cmd``, and return its answer.

        Raises the class of the refusal's code; ConnectionLostError if the connection was lost and the request may not
        be sent twice; NotConnectedError before `connect`; TypeError or ValueError for what is no JSON.
        """
        entry, request_id = entry_of(request)
        try:
            answer = self._connection.request(entry)
        except RefusedError as error:
            if request_id is not None:
                error.answer["reqId"] = request_id
            raise
        return answer if request_id is None else {**answer, "reqId": request_id}

    def events(self, queue: str, names: Iterable[str] = ()) -> EventStream:
        """Events of a queue (``*``: of all); returns when the daemon tells them. No names: all."""
        self._connection.ensure()
        buffer = EventBuffer(queue, names)
        with self._connection.lock:
            entry = self._subscriptions.add(buffer)
        self._connection.wait(entry)
        if entry.error is not None:
            with self._connection.lock:
                self._subscriptions.remove(buffer)
            raise entry.error
        return EventStream(self._connection, self._subscriptions, buffer)

    def close(self) -> None:
        """Wait for the answers to what was sent, then end. `connect` makes a new connection."""
        with self._connection.lock:
            self._subscriptions.end()
        self._connection.close()

    def is_connected(self) -> bool:
        """Whether requests can be sent now."""
        return self._connection.is_open

    def __enter__(self) -> MagicQueueClient:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
