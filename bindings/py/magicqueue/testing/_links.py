"""Connections to the daemon in memory: the links of the real clients, without a socket."""

from __future__ import annotations

import asyncio
import threading

from .. import aio
from .._address import Address
from .._client import MagicQueueClient
from .._connection import Connection
from .._core import ConnectionOptions
from ..aio._connection import AsyncConnection, AsyncLink, Receiver
from ._memory import MemoryDaemon, Peer


class FakeLink:
    """A link of the threaded client."""

    def __init__(self, server: MemoryDaemon) -> None:
        self._server = server
        self._changed = threading.Condition()
        self._inbox: list[bytes] = []
        self._is_woken = False
        self._peer = Peer(self._deliver)
        server.join(self._peer)

    def _deliver(self, data: bytes) -> None:
        with self._changed:
            self._inbox.append(data)
            self._changed.notify_all()

    def send(self, data: bytes) -> int:
        self._server.feed(self._peer, data)
        return len(data)

    def wait(self, timeout_s: float | None, for_writing: bool) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._inbox or self._is_woken or self._peer.is_gone, timeout_s)
            self._is_woken = False

    def receive(self) -> bytes | None:
        with self._changed:
            if not self._inbox:
                return b"" if self._peer.is_gone else None
            data = b"".join(self._inbox)
            self._inbox.clear()
            return data

    def wake(self) -> None:
        with self._changed:
            self._is_woken = True
            self._changed.notify_all()

    def shut(self) -> None:
        self._server.leave(self._peer)
        self.wake()

    def close(self) -> None:
        self.shut()


class FakeAsyncLink:
    """A link of the asyncio client."""

    def __init__(self, server: MemoryDaemon, receiver: Receiver) -> None:
        self._server = server
        self._receiver: Receiver | None = receiver
        self._loop = asyncio.get_running_loop()
        self._peer = Peer(self._deliver)
        server.join(self._peer)

    def _deliver(self, data: bytes) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._received, data)

    def _received(self, data: bytes) -> None:
        if self._receiver is not None:
            self._receiver.received(data)

    def write(self, data: bytes) -> None:
        self._server.feed(self._peer, data)

    def shut(self) -> None:
        self._server.leave(self._peer)
        self._loop.call_soon(self._ended)

    def _ended(self) -> None:
        if self._receiver is not None:
            self._receiver.ended("the daemon has closed it")

    def close(self) -> None:
        self._receiver = None
        self._server.leave(self._peer)


def threaded_client(server: MemoryDaemon) -> MagicQueueClient:
    connection = Connection(Address("memory"), ConnectionOptions(), lambda _timeout_s: FakeLink(server))
    return MagicQueueClient(_link=connection)


def asyncio_client(server: MemoryDaemon) -> aio.MagicQueueClient:
    async def dial(receiver: Receiver) -> AsyncLink:
        return FakeAsyncLink(server, receiver)

    return aio.MagicQueueClient(_link=AsyncConnection(Address("memory"), ConnectionOptions(), dial))
