"""A socket that one thread reads while others write, and that can be woken from a wait."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from typing import Protocol

from ._address import Address
from ._diagnosis import ANSWERS_OF_TLS, client_hello, dial_error, file_error
from .errors import ConfigurationError

CHUNK = 1 << 18
"""Bytes of one read."""


END_SENDING = socket.SHUT_WR
"""How a socket under TLS is half-closed: TLS's own farewell would end both ways."""


class Link(Protocol):
    """What carries the bytes of one connection. Only `wait` blocks; `wake` may be called by any thread."""

    def send(self, data: bytes) -> int:
        """Send what fits now; how many bytes did. Raises OSError."""

    def wait(self, timeout_s: float | None, for_writing: bool) -> None:
        """Wait for bytes to read, for room to write if wanted, for `wake`, or for the time to pass."""

    def receive(self) -> bytes | None:
        """What can be read now: b"" at the end, None if nothing. Raises OSError."""

    def wake(self) -> None:
        """End a wait, the present one or the next."""

    def shut(self) -> None:
        """Nothing more will be sent; answers still come."""

    def close(self) -> None:
        """End it at once."""


class SocketLink:
    """A link over TCP or a Unix socket."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._bell, self._clapper = socket.socketpair()
        self._bell.setblocking(False)
        self._clapper.setblocking(False)
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)
        self._poll.register(self._bell, select.POLLIN)
        self._bell_number = self._bell.fileno()
        self._is_for_writing = False

    def send(self, data: bytes) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    def wait(self, timeout_s: float | None, for_writing: bool) -> None:
        if for_writing != self._is_for_writing:
            self._is_for_writing = for_writing
            self._poll.modify(self._socket, select.POLLIN | (select.POLLOUT if for_writing else 0))
        # A millisecond more, so that what is due then is due.
        ready = self._poll.poll(None if timeout_s is None else int(timeout_s * 1000) + 1)
        for number, _ in ready:
            if number == self._bell_number:
                with contextlib.suppress(BlockingIOError):
                    self._bell.recv(4096)

    def receive(self) -> bytes | None:
        try:
            return self._socket.recv(CHUNK)
        except BlockingIOError:
            return None

    def has_news(self) -> bool:
        """Something can be read, be it the end."""
        return bool(self._poll.poll(0))

    def wake(self) -> None:
        with contextlib.suppress(OSError):
            self._clapper.send(b"!")

    def shut(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for one in (self._socket, self._bell, self._clapper):
            one.close()


class TlsLink(SocketLink):
    """A link over TLS. OpenSSL takes one thread at a time, and may hold bytes that the socket does not tell of."""

    def __init__(self, connected: ssl.SSLSocket) -> None:
        super().__init__(connected)
        self._ssl = connected
        self._lock = threading.Lock()

    def send(self, data: bytes) -> int:
        with self._lock:
            try:
                return self._ssl.send(data)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return 0

    def receive(self) -> bytes | None:
        with self._lock:
            try:
                received = self._ssl.recv(CHUNK)
                while received and self._ssl.pending():
                    received += self._ssl.recv(CHUNK)
                return received
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return None

    def shut(self) -> None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._ssl, END_SENDING)


def context_for(address: Address) -> ssl.SSLContext:
    """Trusts whom the address says. Raises ConfigurationError for a file that cannot be used."""
    if address.tls is True:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=str(address.tls))
    except OSError as error:
        raise file_error(str(address), str(address.tls), error) from error


def dial(address: Address, timeout_s: float) -> SocketLink:
    """Connect. Raises ConnectionLostError; ConfigurationError where that is of no use."""
    try:
        if address.unix_socket is not None:
            connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connected.settimeout(timeout_s)
                connected.connect(address.unix_socket)
            except BaseException:
                connected.close()
                raise
        else:
            connected = socket.create_connection((address.host, address.port), timeout_s)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if address.tls:
                try:
                    return TlsLink(context_for(address).wrap_socket(connected, server_hostname=address.host))
                except BaseException:
                    connected.close()
                    raise
    except ConfigurationError:
        raise
    except OSError as error:
        raise dial_error(str(address), error) from error
    return SocketLink(connected)


def speaks_tls(address: Address, timeout_s: float) -> bool:
    """Ask a port; False if it does not say."""
    try:
        with socket.create_connection((address.host, address.port), timeout_s) as asking:
            asking.sendall(client_hello())
            return asking.recv(1) in ANSWERS_OF_TLS
    except OSError:
        return False
