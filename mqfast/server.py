"""Composition root: makes the parts of the daemon from its settings, starts them, and takes them down again.

The main thread opens the sockets, starts a thread for each reactor and each control loop, and then sleeps until a
signal comes or one of them ends; both arrive as a byte on one socket pair. The other threads have every signal blocked.
"""

import contextlib
import errno
import logging
import os
import resource
import select
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from mqfast import __version__
from mqfast._engine import Engine, EngineError, Reactors
from mqfast.control.cron import Cron, first_run
from mqfast.control.dependencies import Dependencies
from mqfast.control.keeper import Keeper
from mqfast.control.ticker import Tickers
from mqfast.control.timeouts import Timeouts
from mqfast.errors import ServerError
from mqfast.settings import Settings

BACKLOG = 4096  # the kernel cuts it to net.core.somaxconn
GRACE_SECONDS = 1.5  # the engine promises 1; then the reactors are told again, by force
FORCE_SECONDS = 0.15  # from there to leaving without them
ANY_PORT_TRIES = 16
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_THREAD_ENDED = 0  # the byte that a thread sends; a signal's byte is its number
_log = logging.getLogger("mqfast")


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until a stop signal. announce gets the start-up line once everything listens.

    Raises ServerError if it cannot listen, if a reactor or a control loop dies, or if output was given up because a
    second signal or the end of the grace period forced the stop. Must be called on the main thread, once in a process.
    """
    _raise_descriptor_limit()
    with contextlib.ExitStack() as stack:
        wakeups = stack.enter_context(_stop_signals())
        listeners = stack.enter_context(_Listeners())
        listeners.open(settings)
        try:
            engine = _engine(settings)
        except EngineError as error:
            raise ServerError(str(error)) from None
        stack.callback(engine.close)
        if engine.log_cut:
            _log.warning("cut %d bytes of a torn tail off the log: nobody was answered about them", engine.log_cut)
        reactors = Reactors(engine, settings.reactors)
        stack.callback(reactors.close)
        listeners.hand_to(reactors)
        threads = _Threads(engine, reactors, settings.reactors, wakeups)
        try:
            threads.start()
            plural = "" if settings.reactors == 1 else "s"
            announce(f"mqfast {__version__} listening on {listeners} ({settings.reactors} reactor{plural})")
            _wait_for_stop(wakeups)
        finally:
            if not _stop(threads, wakeups):
                _log.error("the reactors do not end; leaving without them")
                listeners.close()
                os._exit(1)
        threads.check()


def _engine(settings: Settings) -> Engine:
    return Engine(
        auth_tokens=settings.auth_tokens,
        max_line=settings.max_line,
        max_job_bytes=settings.max_job_bytes,
        max_output=settings.max_output,
        max_deliveries=settings.max_deliveries,
        lease_ms=settings.lease_ms,
        result_ttl_ms=settings.result_ttl_ms,
        result_max=settings.result_max,
        max_memory=settings.max_memory,
        judge=first_run,
        folder=settings.persist,
        fsync=settings.fsync,
    )


def _raise_descriptor_limit() -> None:
    """As many connections as the machine's owner allows: the soft limit goes up to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        _log.warning("at most %d open files: the limit cannot be raised to %d: %s", soft, hard, error)


# Signals and waking the main thread


class _Wakeups:
    """A byte stream to the main thread: numbers of signals from the C signal handler, _THREAD_ENDED from threads."""

    def __init__(self) -> None:
        self.receiver, self.sender = socket.socketpair()
        self.receiver.setblocking(False)
        self.sender.setblocking(False)

    def send(self, byte: int) -> None:
        with contextlib.suppress(BlockingIOError):  # full: the main thread is about to wake anyway
            self.sender.send(bytes([byte]))

    def wait(self, timeout: float | None) -> int | None:
        """The next byte, None if there is none within timeout seconds (None: for ever)."""
        if not select.select([self.receiver], [], [], timeout)[0]:
            return None
        return self.receiver.recv(1)[0]

    def close(self) -> None:
        self.receiver.close()
        self.sender.close()


@contextlib.contextmanager
def _stop_signals() -> Iterator[_Wakeups]:
    """Stop signals become bytes. They stay caught afterwards: one that comes as the process exits changes nothing."""
    wakeups = _Wakeups()
    previous_fd = signal.set_wakeup_fd(wakeups.sender.fileno(), warn_on_full_buffer=False)
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # whatever the parent process left blocked
    try:
        yield wakeups
    finally:
        signal.set_wakeup_fd(previous_fd)
        wakeups.close()


def _wait_for_stop(wakeups: _Wakeups) -> None:
    """Return when a stop signal has come or a thread has ended. Other signals that wake it are waited through."""
    while (byte := wakeups.wait(None)) != _THREAD_ENDED:
        if byte in STOP_SIGNALS:
            _log.info("stopping on %s", signal.Signals(byte).name)
            return


# The reactors' threads and the control loops'


class _Threads:
    """A thread for each reactor and each control loop. They run until stop(); one that ends sooner is a failure of the
    daemon. The loops outlive the reactors, so that what is due is done as long as somebody is served."""

    def __init__(self, engine: Engine, reactors: Reactors, count: int, wakeups: _Wakeups) -> None:
        self._tickers = Tickers(engine, [Timeouts(engine), Dependencies(engine), Cron(engine)], self._loop_failed)
        self._keeper = Keeper(engine, self._loop_failed)
        self._reactors = reactors
        self._count = count
        self._wakeups = wakeups
        self._started: list[threading.Thread] = []
        self._ended: list[int] = []
        self._failures: list[str] = []
        self._stopping = False
        self._forced = False

    def start(self) -> None:
        # A thread inherits the mask of the one that starts it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            for index in range(self._count):
                thread = threading.Thread(target=self._run, args=(index,), name=f"reactor-{index}", daemon=True)
                thread.start()
                self._started.append(thread)
            self._tickers.start()
            self._keeper.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _run(self, index: int) -> None:
        try:
            self._reactors.run(index)
            if not self._stopping:
                self._failures.append(f"reactor-{index} ended without being told to")
        except Exception as error:
            self._failures.append(f"reactor-{index} failed: {str(error) or type(error).__name__}")
            _log.debug("reactor-%d failed", index, exc_info=True)
        finally:
            self._ended.append(index)
            self._wakeups.send(_THREAD_ENDED)

    def _loop_failed(self, failure: str) -> None:
        self._failures.append(failure)
        self._wakeups.send(_THREAD_ENDED)

    @property
    def running(self) -> bool:
        return len(self._ended) < len(self._started)

    def stop(self, *, force: bool = False) -> None:
        self._stopping = True
        self._forced = force
        self._reactors.stop(force)

    def join(self) -> None:
        for thread in self._started:
            thread.join()
        self._tickers.stop()
        self._keeper.stop()

    def check(self) -> None:
        """Raise ServerError if a thread failed, or had to be forced."""
        if self._failures:
            raise ServerError("; ".join(self._failures))
        if self._forced:
            raise ServerError("stopped by force: some answers may not have been sent")


def _stop(threads: _Threads, wakeups: _Wakeups) -> bool:
    """Stop the reactors and join their threads: gracefully, then on a second stop signal or after GRACE_SECONDS by
    force. False if some do not end all the same."""
    threads.stop()
    if not _wait_for_end(threads, wakeups, GRACE_SECONDS, until=STOP_SIGNALS):
        _log.warning("stopping by force")
        threads.stop(force=True)
        if not _wait_for_end(threads, wakeups, FORCE_SECONDS, until=()):
            return False
    threads.join()
    return True


def _wait_for_end(threads: _Threads, wakeups: _Wakeups, seconds: float, *, until: Collection[signal.Signals]) -> bool:
    """Wait for the reactors to end. False if the time is over or one of the signals in until comes first."""
    deadline = time.monotonic() + seconds
    while threads.running:
        left = deadline - time.monotonic()
        if left <= 0 or wakeups.wait(left) in until:
            return False
    return True


# Sockets


class _Listeners:
    """The listening sockets, until the reactors own them, and the Unix socket's file until the end."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._names: list[str] = []
        self._file: _UnixFile | None = None

    def __enter__(self) -> "_Listeners":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        return ", ".join(self._names)

    def open(self, settings: Settings) -> None:
        """TCP first: of two daemons started together the port lets one through, before either touches the file."""
        for tcp in _open_tcp(settings.hosts, settings.port):
            self._sockets.append(tcp)
            self._names.append(_tcp_name(*tcp.getsockname()[:2]))
        if settings.unix_socket is not None:
            unix = _open_unix(settings.unix_socket, settings.unix_socket_mode)
            self._file = _UnixFile.of(settings.unix_socket)
            self._sockets.append(unix)
            self._names.append(_unix_name(settings.unix_socket))

    def hand_to(self, reactors: Reactors) -> None:
        while self._sockets:
            reactors.listen(self._sockets.pop(0).detach())

    def close(self) -> None:
        while self._sockets:
            self._sockets.pop().close()
        if self._file is not None:
            self._file.remove()
            self._file = None


def _cannot_listen(name: str, reason: str) -> ServerError:
    return ServerError(f"cannot listen on {name}: {reason}")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _tcp_name(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _open_tcp(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """A listening socket for each address of the hosts, all with one port. Raises ServerError."""
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
                raise _cannot_listen(_tcp_name(address.host, chosen), _tcp_reason(error)) from None
            if not opened:
                raise _cannot_listen(_tcp_name(addresses[0].host, port), "the machine has no such address")
            stack.pop_all()
            return opened


def _tcp_reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "address already in use (another mqfast? choose another with --port)"
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
