"""TLS for HTTP, by Python's ssl: a socket that waitress takes for a plain one.

What waitress does not know is kept from it here: that one read may have to be followed by others since the rest lies
decrypted inside, that reading may need the socket to take something and the other way round, and that a connection must
not be used by two threads at once (its loop reads while a worker sends).
"""

import contextlib
import socket
import ssl
import threading
from typing import Any


def make_context(certificate: str, key: str) -> ssl.SSLContext:
    """For a server. Raises OSError (ssl.SSLError is one) for files that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    load(context, certificate, key)
    return context


def load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Show new connections this certificate. Raises OSError (ssl.SSLError is one) for files that cannot be used."""
    context.load_cert_chain(certificate, key, password=b"")  # nobody is there to be asked for one


class NothingYet(Exception):
    """Bytes came, but no whole record: nothing can be read of it. No OSError, which waitress takes for the end."""


class TlsSocket:
    """An accepted, non-blocking socket. The handshake happens in the first reads."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext) -> None:
        plain.setblocking(False)
        self._ssl = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ssl, name)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Bytes, perhaps more than size; b"" at the end. With flags: of the bytes on the wire, which only tell whether
        there are any. Raises NothingYet, and OSError as a plain socket would."""
        if flags:
            return bytes(socket.socket.recv(self._ssl, size, flags))
        with self._lock:
            try:
                data = self._call(self._ssl.recv, size)
            except BlockingIOError:
                raise NothingYet from None
            except BrokenPipeError:
                return b""
            while data and (pending := self._ssl.pending()):
                data += self._call(self._ssl.recv, pending)
            return bytes(data)

    def send(self, data: bytes) -> int:
        """How many of them were taken. Raises OSError as a plain socket would."""
        with self._lock:
            return int(self._call(self._ssl.send, data))

    @staticmethod
    def _call(function: Any, argument: Any) -> Any:
        try:
            return function(argument)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError(11, "the other side must act first") from None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            raise BrokenPipeError(32, "the other side has ended") from None
        except ssl.SSLError as error:
            raise ConnectionResetError(104, error.reason or "TLS failed") from None

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._ssl.unwrap()  # says that nothing more comes; an answer is not waited for
        self._ssl.close()
