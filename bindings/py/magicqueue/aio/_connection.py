"""The connection of the asyncio client. It belongs to the event loop that it was first used in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from .._address import Address
from .._core import Answer, BadLine, ConnectionOptions, Core, Entry, closed_error, is_final
from .._diagnosis import ANSWERS_OF_TLS, client_hello, dial_error, may_speak_tls, speaks_tls_error
from .._link import END_SENDING, context_for
from ..errors import ConfigurationError, ConnectionLostError


class AsyncLink(Protocol):
    """What carries the bytes of one connection. None of these blocks."""

    def write(self, data: bytes) -> None: ...

    def shut(self) -> None:
        """Nothing more will be sent; answers still come."""

    def close(self) -> None:
        """End it at once."""


class Receiver(Protocol):
    """Who reads a link; called in the loop."""

    def received(self, data: bytes) -> None: ...

    def ended(self, why: str) -> None: ...


Dial = Callable[[Receiver], Awaitable[AsyncLink]]
"""Makes a link. Raises OSError or ConnectionLostError."""


class _SocketLink(asyncio.Protocol):
    """A link over TCP or a Unix socket."""

    _transport: asyncio.Transport

    def __init__(self, receiver: Receiver) -> None:
        self._receiver: Receiver | None = receiver

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._receiver is not None:
            self._receiver.received(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._receiver is not None:
            self._receiver.ended("the daemon has closed it" if exc is None else str(exc))

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def shut(self) -> None:
        if self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        elif self._transport.get_write_buffer_size() == 0:
            with contextlib.suppress(OSError):
                self._transport.get_extra_info("socket").shutdown(END_SENDING)

    def close(self) -> None:
        self._receiver = None
        self._transport.abort()


def dialer(address: Address) -> Dial:
    """How to connect to an address."""

    async def dial(receiver: Receiver) -> AsyncLink:
        loop = asyncio.get_running_loop()
        if address.unix_socket is not None:
            _, link = await loop.create_unix_connection(lambda: _SocketLink(receiver), address.unix_socket)
        else:
            context = context_for(address) if address.tls else None
            _, link = await loop.create_connection(
                lambda: _SocketLink(receiver), address.host, address.port, ssl=context
            )
        return link

    return dial


async def speaks_tls(address: Address, timeout_s: float) -> bool:
    """Ask a port; False if it does not say."""

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            writer.write(client_hello())
            return await reader.read(1)
        finally:
            writer.transport.abort()

    with contextlib.suppress(OSError, asyncio.TimeoutError):
        return await asyncio.wait_for(ask(), timeout_s) in ANSWERS_OF_TLS
    return False


class AsyncConnection:
    """A connection to the daemon that comes back when it is lost. dial: where links come from; default: sockets."""

    def __init__(self, address: Address, options: ConnectionOptions, dial: Dial | None = None) -> None:
        self.core = Core(str(address), options, address.token)
        self._dial = dial if dial is not None else dialer(address)
        self._asked_about_tls = address if dial is None and may_speak_tls(address) else None
        self._is_in_doubt = False
        self._mistake: ConfigurationError | None = None
        self._link: AsyncLink | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._trying: asyncio.Task[None] | None = None
        self._is_flushing = False
        self._timer: asyncio.TimerHandle | None = None
        self._ended: asyncio.Event | None = None

    # For the client

    async def connect(self) -> None:
        """Return when requests can be sent. Raises as `magicqueue.MagicQueueClient.connect`."""
        if self.core.is_open:
            return
        if self.core.is_closed:
            self._begin(is_patient=False)
        await self.request(Entry('{"cmd":"PING"}', resend=True))

    async def ensure(self) -> None:
        """Connect if nobody has; does not wait for a lost connection to come back."""
        if self.core.is_closed:
            await self.connect()

    def start(self) -> None:
        """Connect, with any number of tries."""
        if self.core.is_closed:
            self._begin(is_patient=True)

    def submit(self, entry: Entry) -> None:
        """Send a request."""
        self.core.submit(entry, self._now())
        self._flush_soon()
        self._set_timer()

    async def request(self, entry: Entry) -> Answer:
        """Send a request and wait for its answer. Raises what it ends with."""
        future = future_of(entry)
        self.submit(entry)
        await future
        return entry.result()

    async def close(self) -> None:
        """Wait for the answers to what was sent, then end."""
        if self.core.is_closed:
            return
        self.core.is_closed = True
        self.core.fail_waiting(closed_error())
        if self._trying is not None:
            self._trying.cancel()
        if self._link is not None:
            self._ended = asyncio.Event()
            self._flush()
            self._link.shut()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ended.wait(), self.core.options.close_timeout_s)
            self._drop_link()
        self.core.lost("closed", self._now())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # For the link

    def received(self, data: bytes) -> None:
        try:
            self.core.receive(data, self._now())
        except ConfigurationError as error:
            self._mistake = error
            self.ended(str(error))
            return
        except BadLine as error:
            self.ended(str(error))
            return
        self._flush_soon()
        self._set_timer()

    def ended(self, why: str) -> None:
        """The link has ended, or is of no more use."""
        was_open = self.core.is_open
        self._is_in_doubt = not self.core.was_heard
        self._drop_link()
        self.core.lost(why, self._now())
        if self._ended is not None:
            self._ended.set()
        if was_open and not self.core.is_closed:
            self._try(self.core.options.reconnect.wait_s(0), is_patient=True)
        self._set_timer()

    # Connecting

    def _begin(self, is_patient: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = None
        self._is_in_doubt = False
        self._mistake = None
        self.core.start()
        self._try(0.0, is_patient)

    def _try(self, wait_s: float, is_patient: bool) -> None:
        assert self._loop is not None
        self._trying = self._loop.create_task(self._keep_trying(wait_s, is_patient))

    async def _keep_trying(self, wait_s: float, is_patient: bool) -> None:
        options = self.core.options.reconnect
        failures = 0
        while not self.core.is_closed:
            await asyncio.sleep(wait_s)
            try:
                await self._open()
                return
            except Exception as error:
                self._drop_link()
                failures += 1
                if not is_patient or is_final(error) or failures >= options.attempts:
                    self.core.give_up(error)
                    return
                self.core.tell_trouble(error, False)
                wait_s = options.wait_s(failures)

    async def _open(self) -> None:
        """One try. Raises ConnectionLostError, or what the daemon has refused the token with."""
        await self._look_into_last_end()
        try:
            link = await asyncio.wait_for(self._dialled(), self.core.options.connect_timeout_s)
        except asyncio.TimeoutError:
            raise ConnectionLostError(f"Cannot connect to {self.core.place}: timed out") from None
        except ConnectionLostError:
            raise
        except OSError as error:
            raise dial_error(self.core.place, error) from error
        self._link = link
        greeting = self.core.opened(self._now())
        if greeting is not None:
            future = future_of(greeting)
            self._flush()
            self._set_timer()
            await future
            if isinstance(greeting.error, ConnectionLostError):
                await self._look_into_last_end()
            greeting.result()
            self.core.ready(self._now())
        self._flush()
        self._set_timer()

    async def _look_into_last_end(self) -> None:
        """Raises ConfigurationError if the last link has shown that none will do, or has ended without a word, as it
        does where the port speaks TLS, and it does.
        """
        if self._mistake is not None:
            raise self._mistake
        asked = self._asked_about_tls if self._is_in_doubt else None
        self._is_in_doubt = False
        if asked is not None and await speaks_tls(asked, self.core.options.connect_timeout_s):
            raise speaks_tls_error(self.core.place)

    async def _dialled(self) -> AsyncLink:
        return await self._dial(self)

    def _drop_link(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

    # Sending

    def _now(self) -> float:
        return self._loop.time() if self._loop is not None else 0.0

    def _flush_soon(self) -> None:
        """What is sent in one turn of the loop shares a write."""
        if not self._is_flushing and self._loop is not None:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        if self._link is not None:
            data = self.core.take_output()
            if data:
                self._link.write(data)

    def _set_timer(self) -> None:
        due = self.core.next_due()
        if due is None or self._loop is None or (self._timer is not None and self._timer.when() <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        try:
            self.core.tick(self._now())
        except BadLine as error:
            self.ended(str(error))
        self._flush_soon()
        self._set_timer()


def future_of(entry: Entry) -> asyncio.Future[None]:
    """Is done when the entry is settled."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settled(_entry: Entry) -> None:
        if not future.done():
            future.set_result(None)

    entry.on_settled = settled
    return future
