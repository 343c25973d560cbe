"""The daemon's listening sockets: TCP over IPv4 and IPv6, the Unix socket and its file.

Everything is opened before any thread starts, so that what cannot be had ends the start with one line.
"""

import contextlib
import errno
import logging
import os
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from mqfast._engine import Reactors
from mqfast.errors import ServerError
from mqfast.settings import Settings

BACKLOG = 4096  # the kernel cuts it to net.core.somaxconn
ANY_PORT_TRIES = 16
_log = logging.getLogger("mqfast")


class Listeners:
    """The listening sockets, until the reactors own them, and the Unix socket's file until the end.

    http: the sockets of HTTP, if it is on; whoever serves them takes them out.
    """

    def __init__(self) -> None:
        self._sockets: list[tuple[socket.socket, bool]] = []  # and whether it speaks TLS
        self.http: list[socket.socket] = []
        self._names: list[str] = []
        self._file: _UnixFile | None = None

    def __enter__(self) -> "Listeners":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        return ", ".join(self._names)

    def open(self, settings: Settings) -> None:
        """TCP first: of two daemons started together the port lets one through, before either touches the file."""
        tls = settings.tls_cert is not None
        for tcp in _open_tcp(settings.hosts, settings.port, "--port"):
            self._sockets.append((tcp, tls))
            self._names.append(("tls://" if tls else "") + _tcp_name(*tcp.getsockname()[:2]))
        http = _open_tcp(settings.http_hosts, settings.http_port, "--http-port") if settings.http else []
        self.http.extend(http)
        if settings.unix_socket is not None:
            unix = _open_unix(settings.unix_socket, settings.unix_socket_mode)
            self._file = _UnixFile.of(settings.unix_socket)
            self._sockets.append((unix, False))
            self._names.append(_unix_name(settings.unix_socket))
        scheme = "https://" if tls else "http://"
        self._names.extend(scheme + _tcp_name(*tcp.getsockname()[:2]) for tcp in http)

    def hand_to(self, reactors: Reactors) -> None:
        while self._sockets:
            sock, tls = self._sockets.pop(0)
            reactors.listen(sock.detach(), tls)

    def close(self) -> None:
        while self._sockets:
            self._sockets.pop()[0].close()
        while self.http:
            self.http.pop().close()
        if self._file is not None:
            self._file.remove()
            self._file = None


def _cannot_listen(name: str, reason: str) -> ServerError:
    return ServerError(f"cannot listen on {name}: {reason}")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _tcp_name(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _open_tcp(hosts: Sequence[str], port: int, flag: str) -> list[socket.socket]:
    """A listening socket for each address of the hosts, all with one port; flag sets it. Raises ServerError."""
    addresses = _addresses(hosts)
    tries = ANY_PORT_TRIES if port == 0 else 1
    while True:
        tries -= 1
        with contextlib.ExitStack() as stack:
            opened: list[socket.socket] = []
            chosen = port
            try:
                for address in addresses:
                    tcp = address.listen(chosen)
                    if tcp is not None:
                        opened.append(stack.enter_context(tcp))
                        chosen = tcp.getsockname()[1]
            except OSError as error:
                if error.errno == errno.EADDRINUSE and tries > 0:
                    continue  # the port that the first address was given is taken on another one
                raise _cannot_listen(_tcp_name(address.host, chosen), _tcp_reason(error, flag)) from None
            if not opened:
                raise _cannot_listen(_tcp_name(addresses[0].host, port), "the machine has no such address")
            stack.pop_all()
            return opened


def _tcp_reason(error: OSError, flag: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"address already in use (another mqfast? choose another with {flag})"
    if error.errno == errno.EADDRNOTAVAIL:
        return "not an address of this machine"
    return _reason(error)


@dataclass(frozen=True, slots=True)
class _Address:
    family: socket.AddressFamily
    host: str  # numeric
    scope: int  # the interface of a link-local IPv6 address, else 0
    optional: bool = False  # skipped where the machine does not have it

    def listen(self, port: int) -> socket.socket | None:
        """A non-blocking listening socket, None if the address is optional and missing. Raises OSError."""
        try:
            tcp = socket.socket(self.family, socket.SOCK_STREAM)
        except OSError as error:
            if self.optional and error.errno == errno.EAFNOSUPPORT:
                return None
            raise
        with contextlib.ExitStack() as stack:
            stack.enter_context(tcp)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # not SO_REUSEPORT: a port in use is noticed
            if self.family == socket.AF_INET6:
                tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                tcp.bind((self.host, port, 0, self.scope) if self.family == socket.AF_INET6 else (self.host, port))
            except OSError as error:
                if self.optional and error.errno == errno.EADDRNOTAVAIL:
                    return None
                raise
            tcp.listen(BACKLOG)
            tcp.setblocking(False)
            stack.pop_all()
        return tcp


_LOCALHOST = (
    _Address(socket.AF_INET, "127.0.0.1", 0),
    _Address(socket.AF_INET6, "::1", 0, optional=True),
)


def _addresses(hosts: Sequence[str]) -> list[_Address]:
    """The addresses of the hosts, each once, in their order. localhost is no matter of name servers."""
    found: dict[_Address, None] = {}
    for host in hosts:
        if host.lower() == "localhost":
            found.update(dict.fromkeys(_LOCALHOST))
            continue
        try:
            rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, UnicodeError) as error:
            reason = _reason(error) if isinstance(error, OSError) else "not a host name"
            raise _cannot_listen(host, reason) from None
        for family, _, _, _, address in rows:
            if family in (socket.AF_INET, socket.AF_INET6):
                scope = address[3] if len(address) == 4 else 0
                found[_Address(family, str(address[0]), int(scope))] = None
    return list(found)


# The Unix socket


def _unix_name(path: str) -> str:
    return "unix:" + os.fsencode(path).decode(errors="backslashreplace")


@dataclass(frozen=True, slots=True)
class _UnixFile:
    """The file of the socket that this process has bound, told apart from one that came to its place later."""

    path: str
    identity: tuple[int, int, int]

    @classmethod
    def of(cls, path: str) -> "_UnixFile":
        return cls(path, cls._identity(path))

    @staticmethod
    def _identity(path: str) -> tuple[int, int, int]:
        status = os.lstat(path)
        return status.st_dev, status.st_ino, status.st_mtime_ns

    def remove(self) -> None:
        """Remove the file if it is still this process's. What keeps it from that is logged."""
        try:
            if self._identity(self.path) == self.identity:
                os.unlink(self.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            _log.warning("cannot remove %s: %s", self.path, _reason(error))


def _open_unix(path: str, mode: int) -> socket.socket:
    """A non-blocking listening socket at path, which replaces a socket file that nobody serves. Raises ServerError."""
    with contextlib.ExitStack() as stack:
        try:
            _clear_stale(path)
            unix = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            before = os.umask(0o777 & ~mode)  # so the file has its mode from its first instant; no other thread yet
            try:
                unix.bind(path)
            finally:
                os.umask(before)
            unix.listen(BACKLOG)
        except OSError as error:
            raise _cannot_listen(_unix_name(path), _unix_reason(error)) from None
        unix.setblocking(False)
        stack.pop_all()
    return unix


def _unix_reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program has just taken this path"
    return _reason(error)


def _clear_stale(path: str) -> None:
    """Remove the socket file at path if nobody answers there. Raises ServerError if it must stay, and OSError."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise _cannot_listen(_unix_name(path), "a file that is not a socket is in its place")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full backlog is an answer too
        answer = probe.connect_ex(path)
    if answer == errno.ECONNREFUSED:
        _log.info("replacing %s, which nobody serves", _unix_name(path))
        os.unlink(path)
    elif answer in (0, errno.EAGAIN, errno.EINPROGRESS, errno.EPROTOTYPE):
        raise _cannot_listen(
            _unix_name(path), "a running program answers there (another mqfast? choose another with --unix-socket)"
        )
    elif answer != errno.ENOENT:
        raise OSError(answer, os.strerror(answer))
