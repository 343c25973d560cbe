"""The C engine as Python sees it: the queues (Engine) and the threads that serve sockets (Reactors).

Every call leaves the GIL for as long as it is in C. Times are integer milliseconds, absolute ones since the Unix epoch;
sizes are bytes. Source: csrc/include/mqfast.h.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

class EngineError(Exception):
    """The engine cannot begin, or its log cannot go on; the text is one line for the operator."""

TIMEOUTS: int
"""Work: what ends by itself, as timeouts and leases of held jobs, times to live, retention of completed jobs."""
DEPENDENCIES: int
"""Work: jobs that wait for other jobs."""
MEMORY: int
"""Work: queues fill fast, and memory is made ready for them."""
SNAPSHOT: int
"""Work: enough was logged that a snapshot is worth it: snapshot()."""
REPORT: int
"""Work: the reactors have refused something: Reactors.take_report()."""
CRON: int
"""Work: schedules to be worked out and crons whose time has come: take_control(), answer(), fire()."""

@final
class Engine:
    """The queues and their jobs. Safe for any number of threads.

    grants: tokens, each with its roles (mqfast.tokens.ROLES, summed) and patterns of queues (none: all); if any, a
        connection must AUTH with one of them first.
    max_line: longest request line.
    max_job_bytes: longest data or result of a job, as JSON text.
    max_output: unsent answers of a connection past which its commands are not read.
    max_deliveries: lost deliveries after which a job goes to the dead-letter queue.
    lease_ms: how long a leased job is held where the pull does not say.
    result_ttl_ms: how long a completed job is kept to be looked at.
    result_max: how many completed jobs are kept at most; 0 keeps none.
    max_memory: memory for jobs past which pushes are refused; 0 is no limit.
    max_connections: connections at once; 0 is as many as there are descriptors.
    max_connections_per_address: of one IPv4 address or one /64 of IPv6; 0 is no limit.
    max_batch: jobs of one PUSHB, 100,000 at most.
    max_parked: commands of one connection that wait.
    max_subscribers: connections that are told of events.
    auth_timeout_ms: how long a connection may go without a token, where one is needed; 0 is no limit.
    line_timeout_ms: how long a line may take from its first byte, and a second more for each 16,000 bytes; 0 is no
        limit.
    manual_time_ms: the clock stands at this instant until set_time moves it; None: the system's clock.
    judge: (schedule, timezone, now_ms) -> when it runs first after now_ms, or a ValueError that says what is wrong with
        it; None: CRON is refused. On sockets, a thread must do the CRON work too.

    folder: where the log is kept; the engine first comes back as it was. A thread must be in run_log(). None: nothing
        is kept.
    fsync: ``always``, ``everysec`` or ``none``: when what was done reaches the disk.

    Raises EngineError, and ValueError for a value out of range.
    """

    def __init__(
        self,
        *,
        grants: Sequence[tuple[str, int, Sequence[str]]] = (),
        max_line: int = 16777216,
        max_job_bytes: int = 1048576,
        max_output: int = 8388608,
        max_deliveries: int = 10,
        lease_ms: int = 1800000,
        max_memory: int = 0,
        result_ttl_ms: int = 3600000,
        result_max: int = 100000,
        max_connections: int = 0,
        max_connections_per_address: int = 0,
        max_batch: int = 100000,
        max_parked: int = 10000,
        max_subscribers: int = 10000,
        auth_timeout_ms: int = 10000,
        line_timeout_ms: int = 60000,
        manual_time_ms: int | None = None,
        judge: Callable[[str, str, int], int] | None = None,
        folder: str | None = None,
        fsync: str = "always",
    ) -> None: ...
    def execute(self, line: bytes, token: bytes | None = None) -> bytes:
        """One request line in, its one answer line out, both without the newline; the same commands as on a socket.

        Never waits: a pull that would be parked answers as if its timeout were 0. What is wrong with the request is
        an answer with ``"ok":false``, never an exception. token: of whoever asks; None: it is the daemon itself. Raises
        ValueError after close().
        """

    def may(self, token: bytes, command: str) -> int:
        """Whether the token opens this command for all queues: 0, or the number of ``auth_failed`` (it is wrong) or
        ``forbidden``, negated. A command that needs no token, as PING, asks only whether the token is right."""

    def set_grants(self, grants: Sequence[tuple[str, int, Sequence[str]]]) -> None:
        """Other tokens from now on. Connections whose token is not among them are told so and closed; the others go on
        with what it opens now."""

    def set_time(self, now_ms: int) -> None:
        """Move the clock and wake the reactors, so that what is due happens. Raises ValueError unless the engine was
        made with manual_time_ms."""

    def tick(self) -> int | None:
        """Do everything that is due by now, crons left out. When the next thing is due; None: never.

        For tests and programs without loops; the daemon's reactors and control loops do this by themselves."""

    def wait(self, work: int) -> bool:
        """Sleep until some of this work is due (True), or until stop_waiting() (False). One thread for each work."""

    def sweep(self, work: int, limit: int) -> int:
        """Do what is due of TIMEOUTS, DEPENDENCIES or MEMORY, at most about limit pieces; how many were done. Works in
        slices of a fraction of a millisecond and lets others at the queues in between."""

    def run_log(self) -> None:
        """Write the log on the calling thread until stop_log(); returns at once without a folder.

        Raises EngineError when the disk fails: nothing more is answered then, and the process should end.
        """

    @property
    def log_cut(self) -> int:
        """Bytes of a torn tail of the log that were cut off at the start: nobody was answered about them."""

    def stop_log(self) -> None:
        """End run_log() when all that was done is on the disk."""

    def snapshot(self) -> None:
        """Write the state to the folder, by a child process, and give up the log that it makes needless. Raises
        OSError. One thread at a time."""

    def stop_waiting(self) -> None:
        """End all wait() calls, now and later."""

    def take_control(self) -> bytes:
        """The CRON work as JSON: {"now", "questions": [{"token", "schedule", "timezone", "now"}], "due": [{"name",
        "schedule", "timezone", "slot", "misfire"}]}; times in ms. Each question is to be answered once; what is due is
        offered again until it was fired."""

    def answer(self, question: Mapping[str, Any]) -> bool:
        """Have judge answer a question of take_control(); the command that asked goes on. False: nobody waits for it
        any more."""

    def fire(self, name: str, slot_ms: int, next_run_ms: int | None, push: bool) -> bool:
        """The cron's time was slot_ms: move it on to next_run_ms (None: it never runs again) and, with push, push its
        job; both or neither. False: it is not at that slot any more, or there is no memory now."""

    def check(self) -> None:
        """For tests: hold every count, index and list against a full scan; a difference ends the process."""

    def close(self) -> None:
        """Free everything; may be repeated. Raises ValueError while there are Reactors not yet closed."""

@final
class Reactors:
    """The event loops over one engine. Each is run by a thread of the caller's.

    count: how many there are; each connection belongs to one of them. Raises OSError when the kernel gives no epoll
    or eventfd, MemoryError, and ValueError for a count out of range.
    """

    def __init__(self, engine: Engine, count: int) -> None: ...
    def use_tls(self, certificate: str, key: str) -> None:
        """Show this certificate (a PEM file, with its chain) to new connections from now on; key: a PEM file. The
        process must ignore SIGPIPE, as Python does. Raises EngineError: then nothing has changed."""

    def listen(self, fd: int, tls: bool = False) -> None:
        """Accept connections on fd: a bound, listening, non-blocking stream socket. Before run(). tls: they speak TLS,
        for which use_tls() must have been called.

        The reactors own the descriptor from here on and close it. Raises OSError.
        """

    def connect(self) -> int:
        """A connection from inside the process: the descriptor of a blocking stream socket, the caller's to close.

        It is served like a client's, but needs no token. Closed at once when the reactors are stopping. From any
        thread. Raises OSError.
        """

    def must_wait_ms(self, peer: str) -> int:
        """How long this address (as text) may not try tokens, because too many were wrong; 0: it may. Those of
        connections and of HTTP count together. From any thread."""

    def wrong_token(self, peer: str) -> None:
        """An address (as text) has tried a wrong token over HTTP: it counts, and is reported. From any thread."""

    def take_report(self) -> dict[str, tuple[int, str]]:
        """What was refused since the last report: how often, and whom the last of it was about ("": nobody), by
        ``connections``, ``address`` (too many connections, in all or of one address), ``descriptors`` (accepting was
        put off for want of them), ``token`` (wrong ones), ``token_late`` and ``line_late``. From any thread."""

    def run(self, index: int) -> None:
        """Serve as reactor number index (from 0) on the calling thread until stop(). Raises OSError if it fails."""

    def stop(self, force: bool = False) -> None:
        """Ask every reactor to end, from any thread; returns at once, the threads in run() follow.

        Without force no connection is accepted any more, parked pulls are answered and output is flushed, for 1 s
        at most. With force, also after a stop without it, run() returns at once.
        """

    def close(self) -> None:
        """Close every socket and free everything. May be repeated. Raises ValueError while a thread is in
        run()."""

    @property
    def connections(self) -> int:
        """Open connections over all reactors."""

def scan_log(path: str) -> tuple[int, list[tuple[int, int, int, int, int, int, int, int, bool]]]:
    """What is good in a segment or snapshot: its size in bytes, and a row for each stretch of whole frames that follow
    each other, in order: offset, bytes, first frame, last frame, records, chain before, chain after, the frame up to
    which its last one knew all to be on the disk, and whether it ends with the end of a snapshot. Raises OSError, and
    EngineError for another format.
    """

def tables() -> tuple[
    list[tuple[str, str, str, int, int, str]],
    list[tuple[str, str, tuple[str, ...], tuple[str, ...], str, str, str, str]],
    list[tuple[str, str, int, int, bool]],
]:
    """The rows of csrc/fields.def, commands.def and errors.def, in their order; mqfast.commands names their columns."""
