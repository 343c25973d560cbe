"""A blocking connection to the daemon: a line out, a line in, over TCP, TLS or a Unix socket."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mqfast.cli.address import DEFAULT_PORT, Address
from mqfast.cli.diagnosis import certificate_error, check_first_bytes, may_speak_tls, speaks_tls_error
from mqfast.cli.errors import MismatchError, RefusedError, UnreachableError
from mqfast.cli.verbatim import dumps, loads

if TYPE_CHECKING:
    import ssl

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
"""Longest wait for an answer that the daemon gives at once; what waits for jobs waits for ever."""

_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 6))  # a host that vanished

Answer = dict[str, Any]


class Connection:
    """A connection, authenticated if its address has a token. Use as a context manager; not for several threads.

    Raises UnreachableError when there is no connection (any more), MismatchError when there will be none, RefusedError
    when the daemon refuses.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._socket = _connect(address)
        self._reader = self._socket.makefile("rb")
        self._was_heard = False
        if address.token is not None:
            try:
                self.ask("AUTH", token=address.token)
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def ask(self, command: str, /, **fields: object) -> Answer:
        """Send a command (fields that are None are left out) and return its answer."""
        self.send(command, **fields)
        return self.receive()

    def wait(self, command: str, /, **fields: object) -> Answer:
        """The same for a command whose answer may take for ever."""
        self.send(command, **fields)
        return self.receive(None)

    def send(self, command: str, /, **fields: object) -> None:
        request = {"cmd": command, **{name: value for name, value in fields.items() if value is not None}}
        with self._losing():
            self._socket.settimeout(ANSWER_SECONDS)
            self._socket.sendall(dumps(request).encode() + b"\n")

    def receive(self, seconds: float | None = ANSWER_SECONDS) -> Answer:
        """The next line, which is an answer (or, after SUBSCRIBE, an event)."""
        with self._losing():
            self._socket.settimeout(seconds)
            line = self._reader.readline()
        self._hear(line)
        if not line.endswith(b"\n"):
            raise self._lost("it was closed by the daemon")
        try:
            answer = loads(line.decode())
        except ValueError:
            raise MismatchError(
                f"what listens at {self.address} is no mqfast: it does not speak its protocol"
            ) from None
        if answer.get("code") == "shutting_down":
            raise self._lost("the daemon is shutting down")
        if answer.get("ok") is False:
            raise RefusedError(str(answer.get("error")), str(answer.get("code")))
        return answer

    def send_bytes(self, lines: bytes) -> None:
        """Send lines as they are. Their answers are read by receive_bytes, and by nothing else."""
        with self._losing():
            self._socket.settimeout(ANSWER_SECONDS)
            self._socket.sendall(lines)

    def receive_bytes(self, most: int) -> bytes:
        """What has come of the answers, at least a byte."""
        with self._losing():
            received = self._socket.recv(most)
            while received and self._pending():
                received += self._socket.recv(most)
        self._hear(received)
        if not received:
            raise self._lost("it was closed by the daemon")
        return received

    def _hear(self, received: bytes) -> None:
        """Raises MismatchError if what came first is no daemon's."""
        if received and not self._was_heard:
            self._was_heard = True
            check_first_bytes(self.address, received)

    def _pending(self) -> int:
        """Bytes that TLS has decrypted already: the descriptor does not tell of them."""
        return int(self._socket.pending()) if hasattr(self._socket, "pending") else 0

    def end_sending(self) -> None:
        """Send no more: the daemon ends what waits, answers all that was sent, and closes. Not for TLS."""
        with self._losing():
            self._socket.shutdown(socket.SHUT_WR)

    def pages(self, command: str, rows: str, /, **fields: object) -> Iterator[Answer]:
        """The rows of all pages of a listing, read as they are wanted."""
        cursor = None
        while True:
            answer = self.ask(command, cursor=cursor, **fields)
            yield from answer[rows]
            cursor = answer["cursor"]
            if cursor is None:
                return

    @contextmanager
    def _losing(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise UnreachableError(f"no answer from {self.address} within {ANSWER_SECONDS:.0f} s") from None
        except (OSError, ValueError) as error:  # ValueError: the file was closed meanwhile
            raise self._lost(_reason(error)) from None

    def _lost(self, why: str) -> UnreachableError | MismatchError:
        if not self._was_heard and may_speak_tls(self.address):
            return speaks_tls_error(self.address)
        return UnreachableError(f"the connection to {self.address} was lost: {why}")


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text or type(error).__name__).lower()


def _connect(address: Address) -> socket.socket:
    try:
        if address.path is not None:
            plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            plain.settimeout(CONNECT_SECONDS)
            try:
                plain.connect(address.path)
            except BaseException:
                plain.close()
                raise
            return plain
        plain = socket.create_connection((address.host, address.port), CONNECT_SECONDS)
    except (ConnectionRefusedError, FileNotFoundError):
        raise UnreachableError(f"nothing listens at {address}; start it with: {_start(address)}") from None
    except TimeoutError:
        raise UnreachableError(
            f"no answer from {address} within {CONNECT_SECONDS:.0f} s: is it the right host?"
        ) from None
    except (OSError, UnicodeError) as error:
        raise UnreachableError(f"cannot connect to {address}: {_reason(error)}") from None
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        plain.setsockopt(socket.IPPROTO_TCP, option, value)
    return _secured(plain, address) if address.tls else plain


def _secured(plain: socket.socket, address: Address) -> "ssl.SSLSocket":
    import ssl  # only now: it takes longer to load than most commands to run

    try:
        context = ssl.create_default_context(cafile=address.ca)
    except FileNotFoundError:
        plain.close()
        raise MismatchError(f"there is no file {address.ca} of certificates") from None
    except OSError as error:
        plain.close()
        raise MismatchError(f"{address.ca} cannot be used as a file of certificates: {_reason(error)}") from None
    try:
        return context.wrap_socket(plain, server_hostname=address.host)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise certificate_error(address, error) from None
    except ssl.SSLError as error:
        plain.close()
        if error.reason == "WRONG_VERSION_NUMBER":
            raise MismatchError(f"{address} does not speak TLS: use mq://… as its URL, and no --tls") from None
        raise UnreachableError(f"{address} does not speak TLS with us: {_reason(error)}") from None
    except (OSError, ValueError) as error:
        plain.close()
        raise UnreachableError(f"{address} does not speak TLS with us: {_reason(error)}") from None


def _start(address: Address) -> str:
    if address.path is not None:
        return f"mqfast serve --unix-socket {address.path}"
    return "mqfast serve" if address.port == DEFAULT_PORT else f"mqfast serve --port {address.port}"
