"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from .._calls import entry_of
from .._client import OnConnection, Place, StateTeller
from .._core import ConnectionOptions
from .._events import EventBuffer, Subscriptions
from .._jobs import Event
from ..errors import RefusedError
from ._connection import AsyncConnection, future_of


class EventStream(AsyncIterator[Event]):
    """What happens to jobs, as it happens; ends with `close` or with the client. An asynchronous context manager.

    Tasks may share it: each event is given to one of them.
    """

    def __init__(self, subscriptions: Subscriptions, buffer: EventBuffer) -> None:
        self._subscriptions = subscriptions
        self._buffer = buffer

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        event = await self.next(None)
        if event is None:
            raise StopAsyncIteration
        return event

    async def next(self, timeout_s: float | None) -> Event | None:
        """The next event; None if there is none in so many seconds (None: for ever), or no more."""
        loop, buffer = asyncio.get_running_loop(), self._buffer
        until = None if timeout_s is None else loop.time() + timeout_s
        while True:
            event = buffer.take()
            if event is not None:
                return event
            if buffer.has_ended:
                failure, buffer.failure = buffer.failure, None
                if failure is not None:
                    raise failure
                return None
            arrival = buffer.arrival()
            try:
                # Of several tasks that wait another may take the event.
                await asyncio.wait_for(future_of(arrival), None if until is None else max(0.0, until - loop.time()))
            except asyncio.TimeoutError:
                return buffer.take()
            finally:
                buffer.forget(arrival)

    async def close(self) -> None:
        """End the subscription."""
        self._subscriptions.remove(self._buffer)

    async def __aenter__(self) -> EventStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class MagicQueueClient:
    """A connection to the daemon for any command; arguments as of `magicqueue.MagicQueueClient`."""

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
        _link: AsyncConnection | None = None,
    ) -> None:
        place = Place(host, port, unix_socket, token, url, tls, connection, on_connection)
        self._place = place if _link is None else None
        link = self._connection = _link or AsyncConnection(place.address(), place.options())
        self._subscriptions = Subscriptions(link.core, link.submit)
        if on_connection is not None:
            link.core.listeners.append(StateTeller(on_connection))

    async def connect(self) -> None:
        """Return when requests can be sent. Raises as `magicqueue.MagicQueueClient.connect`."""
        await self._connection.connect()

    async def send(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send one request and return its answer. Raises as `magicqueue.MagicQueueClient.send`."""
        entry, request_id = entry_of(request)
        try:
            answer = await self._connection.request(entry)
        except RefusedError as error:
            if request_id is not None:
                error.answer["reqId"] = request_id
            raise
        return answer if request_id is None else {**answer, "reqId": request_id}

    async def events(self, queue: str, names: Iterable[str] = ()) -> EventStream:
        """Events of a queue (``*``: of all); returns when the daemon tells them. No names: all."""
        await self._connection.ensure()
        buffer = EventBuffer(queue, names)
        entry = self._subscriptions.add(buffer)
        await future_of(entry)
        if entry.error is not None:
            self._subscriptions.remove(buffer)
            raise entry.error
        return EventStream(self._subscriptions, buffer)

    async def close(self) -> None:
        """Wait for the answers to what was sent, then end. `connect` makes a new connection."""
        self._subscriptions.end()
        await self._connection.close()

    def is_connected(self) -> bool:
        """Whether requests can be sent now."""
        return self._connection.core.is_open

    async def __aenter__(self) -> MagicQueueClient:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
