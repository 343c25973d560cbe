"""Composition root: makes the parts of the daemon from its settings, starts them, and takes them down again.

The main thread opens the sockets, starts a thread for each reactor and each control loop, and then sleeps until a
signal comes or one of them ends; both arrive as a byte on one socket pair. The other threads have every signal blocked.
Under a watchdog it wakes now and then to see that the reactors answer.
"""

import contextlib
import logging
import os
import resource
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

from mqfast import __version__, tokens
from mqfast._engine import Engine, EngineError, Reactors
from mqfast.control.cron import Cron, first_run
from mqfast.control.keeper import Keeper
from mqfast.control.reports import Reports
from mqfast.control.sweeps import sweeps
from mqfast.control.ticker import Loop, Tickers
from mqfast.errors import ServerError, SettingsError
from mqfast.settings import Settings
from mqfast.sockets import Listeners
from mqfast.systemd import Supervisor, Watchdog

if TYPE_CHECKING:
    from mqfast.http.service import Http

GRACE_SECONDS = 1.5  # the engine promises 1; then the reactors are told again, by force
HTTP_SECONDS = 0.3  # for requests over HTTP to end, before the reactors are told
FORCE_SECONDS = 0.15  # from there to leaving without them
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
RELOAD_SIGNAL = signal.SIGHUP

_THREAD_ENDED = 0  # the byte that a thread sends; a signal's byte is its number
_log = logging.getLogger("mqfast")


def serve(settings: Settings, announce: Callable[[str], None], supervisor: Supervisor) -> None:
    """Serve until a stop signal. announce gets the start-up line once everything listens, supervisor how it goes on.

    Raises ServerError if it cannot listen, if a reactor or a control loop dies, or if output was given up because a
    second signal or the end of the grace period forced the stop. Must be called on the main thread, once in a process.
    """
    _raise_descriptor_limit()
    with contextlib.ExitStack() as stack:
        wakeups = stack.enter_context(_stop_signals())
        listeners = stack.enter_context(Listeners())
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
        try:
            _use_tls(settings, reactors)
        except EngineError as error:
            raise ServerError(str(error)) from None
        listeners.hand_to(reactors)
        watchdog = _watchdog(supervisor, settings, reactors, stack)
        threads = _Threads(engine, reactors, settings, wakeups, listeners.http)
        try:
            threads.start()
            plural = "" if settings.reactors == 1 else "s"
            where = f"listening on {listeners} ({settings.reactors} reactor{plural})"
            announce(f"mqfast {__version__} {where}")
            supervisor.ready(where)

            def reload() -> None:
                supervisor.reloading()
                _reload(settings, engine, reactors, threads.http)
                supervisor.ready(where)

            _wait_for_stop(wakeups, reload, watchdog)
        finally:
            supervisor.stopping()
            if not _stop(threads, wakeups):
                threads.log_failures()
                listeners.close()
                os._exit(1)
        threads.check()


def _grants(settings: Settings) -> list[tokens.Grant]:
    """Raises SettingsError."""
    path = settings.tokens_file
    found = tokens.grants(settings.auth_tokens, path)
    if path is not None and tokens.is_open_to_others(path):
        _log.warning("others may read or write the tokens file %s: chmod 600 it", path)
    return found


def _use_tls(settings: Settings, reactors: Reactors) -> None:
    """Raises SettingsError and EngineError."""
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise SettingsError(["TLS_CERT and TLS_KEY go together: one is set and the other is not"])
    if settings.tls_cert is not None and settings.tls_key is not None:
        reactors.use_tls(settings.tls_cert, settings.tls_key)


def _reload(settings: Settings, engine: Engine, reactors: Reactors, http: "Http | None") -> None:
    """SIGHUP: the tokens file and the certificate count as they are now. What is wrong is logged, and stays."""
    done = []
    if settings.tokens_file is not None:
        try:
            found = _grants(settings)
            engine.set_grants(found)
            if http is not None:
                http.renew()
            done.append(f"{len(found)} tokens are valid now")
        except SettingsError as error:
            for line in error.lines:
                _log.error("SIGHUP: %s; the tokens stay as they were", line)
    if settings.tls_cert is not None:
        try:
            _use_tls(settings, reactors)
            if http is not None:
                http.reload()
            done.append("new connections get the certificate as it is now")
        except (EngineError, OSError) as error:
            _log.error("SIGHUP: %s; the certificate stays as it was", error)
    if settings.tokens_file is None and settings.tls_cert is None:
        done.append("there is nothing to read again (neither TOKENS_FILE nor TLS_CERT is set)")
    for line in done:
        _log.warning("SIGHUP: %s", line)


def _watchdog(
    supervisor: Supervisor, settings: Settings, reactors: Reactors, stack: contextlib.ExitStack
) -> Watchdog | None:
    """None if nobody wants one. Raises ServerError."""
    if supervisor.watchdog_seconds is None:
        return None
    try:
        watchdog = Watchdog(supervisor, reactors.connect, settings.reactors)
    except OSError as error:
        raise ServerError(f"no connection to the reactors for the watchdog: {error.strerror}") from None
    stack.callback(watchdog.close)
    return watchdog


def _engine(settings: Settings) -> Engine:
    return Engine(
        grants=_grants(settings),
        max_line=settings.max_line,
        max_job_bytes=settings.max_job_bytes,
        max_output=settings.max_output,
        max_deliveries=settings.max_deliveries,
        lease_ms=settings.lease_ms,
        result_ttl_ms=settings.result_ttl_ms,
        result_max=settings.result_max,
        max_memory=settings.max_memory,
        max_connections=settings.max_connections,
        max_connections_per_address=settings.max_connections_per_address,
        max_batch=settings.max_batch,
        max_parked=settings.max_parked,
        max_subscribers=settings.max_subscribers,
        auth_timeout_ms=settings.auth_timeout_ms,
        line_timeout_ms=settings.line_timeout_ms,
        judge=first_run,
        folder=settings.persist,
        fsync=settings.fsync,
    )


def _http(
    settings: Settings, engine: Engine, reactors: Reactors, sockets: list[socket.socket], failed: Callable[[str], None]
) -> "Http":
    from mqfast.http.service import Http  # only now: a daemon without HTTP need not read its packages

    taken = sockets.copy()
    sockets.clear()
    return Http(settings, engine, reactors, taken, failed)


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
    """Stop signals and SIGHUP become bytes. They stay caught afterwards: one that comes as the process exits changes
    nothing."""
    wakeups = _Wakeups()
    previous_fd = signal.set_wakeup_fd(wakeups.sender.fileno(), warn_on_full_buffer=False)
    caught = (*STOP_SIGNALS, RELOAD_SIGNAL)
    for number in caught:
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, caught)  # whatever the parent process left blocked
    try:
        yield wakeups
    finally:
        signal.set_wakeup_fd(previous_fd)
        wakeups.close()


def _wait_for_stop(wakeups: _Wakeups, reload: Callable[[], None], watchdog: Watchdog | None) -> None:
    """Return when a stop signal has come or a thread has ended. Other signals that wake it are waited through."""

    def beat() -> float | None:
        return None if watchdog is None else watchdog.beat(time.monotonic())

    while (byte := wakeups.wait(beat())) != _THREAD_ENDED:
        if byte in STOP_SIGNALS:
            _log.info("stopping on %s", signal.Signals(byte).name)
            return
        if byte == RELOAD_SIGNAL:
            reload()


# The reactors' threads and the control loops'


class _Threads:
    """A thread for each reactor and each control loop, and those of HTTP. They run until stop(); one that ends sooner
    is a failure of the daemon. The loops outlive the reactors, so that what is due is done as long as somebody is
    served; the reactors outlive HTTP, whose pulls wait at them."""

    def __init__(
        self,
        engine: Engine,
        reactors: Reactors,
        settings: Settings,
        wakeups: _Wakeups,
        http_sockets: list[socket.socket],
    ) -> None:
        cron = Cron(engine, wall_ms=lambda: time.time_ns() // 1_000_000)
        loops: list[Loop] = [*sweeps(engine), cron, Reports(reactors, settings)]
        self._tickers = Tickers(engine, loops, self._loop_failed)
        self._keeper = Keeper(engine, self._loop_failed)
        self.http = _http(settings, engine, reactors, http_sockets, self._loop_failed) if settings.http else None
        self._reactors = reactors
        self._count = settings.reactors
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
            if self.http is not None:
                self.http.start()
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
        if self.http is not None and not self._stopping:
            self.http.stop(HTTP_SECONDS)
        self._stopping = True
        self._forced = force
        self._reactors.stop(force)

    def join(self) -> bool:
        """Wait for what was told to end. False if a request over HTTP does not."""
        for thread in self._started:
            thread.join()
        if self.http is not None and not self.http.stop(FORCE_SECONDS):
            return False
        self._tickers.stop()
        self._keeper.stop()
        return True

    def log_failures(self) -> None:
        """For an end at which nothing can be raised any more."""
        for failure in self._failures:
            _log.error("%s", failure)

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
            _log.error("the reactors do not end; leaving without them")
            return False
    if not threads.join():
        _log.error("a request over HTTP does not end; leaving without it")
        return False
    return True


def _wait_for_end(threads: _Threads, wakeups: _Wakeups, seconds: float, *, until: Collection[signal.Signals]) -> bool:
    """Wait for the reactors to end. False if the time is over or one of the signals in until comes first."""
    deadline = time.monotonic() + seconds
    while threads.running:
        left = deadline - time.monotonic()
        if left <= 0 or wakeups.wait(left) in until:
            return False
    return True
